//! A machine that runs a broker.

use std::sync::Arc;

use broker::accounts::AccountSettings;
use broker::http::Request;
use broker::{Broker, BrokerConfig, Environment, Peer, upload};
use bytes::Bytes;
use client::output::{HttpMethod, HttpRequest};
use crypto::random::SeededRandom;
use crypto::seal::{InstanceId, KeyFile, MasterKey};
use sha2::{Digest, Sha256};
use store::backend::memory::MemoryBackend;
use store::{Store, block_on};
use xep::uri::{Endpoint, Host};
use xmpp::time::Clock;

use super::Disk;
use crate::first_light;

/// The hash of the key in a server's certificate.
pub(crate) fn pin_of(domain: &str) -> [u8; 32] {
    match domain {
        first_light::DOMAIN => first_light::PIN,
        _ => Sha256::digest(domain.as_bytes()).into(),
    }
}

/// The name of the machine that a broker runs on.
pub(crate) fn host_of(domain: &str) -> String {
    match domain {
        first_light::DOMAIN => first_light::HOST.to_owned(),
        _ => format!("host.{domain}"),
    }
}

/// A broker, while it runs, and the disk below it.
pub(crate) struct Site {
    pub(crate) domain: String,
    pub(crate) disk: MemoryBackend,
    pub(crate) broker: Option<Broker>,
    config: BrokerConfig,
    /// What opens the disk, when it is not made from the seed.
    key_file: Option<KeyFile>,
    seed: u64,
    starts: u64,
}

impl Site {
    /// Sets up a machine that is switched off. `others` are the domains that it is told of.
    pub(crate) fn new(domain: &str, others: &[&str], seed: u64) -> Self {
        let mut config = BrokerConfig::new(domain);
        config.scram_iterations = 4096; // the least that a client accepts
        config.accounts = AccountSettings::default();
        config.services = vec!["upload".to_owned()];
        config.upload.web_base = Some(format!("https://upload.{domain}:5443"));
        config.invites.pin = Some(pin_of(domain));
        let host = Host::parse(&host_of(domain)).expect("the name of a host");
        config.invites.at = vec![Endpoint { host, port: 5222 }];
        config.peers = others
            .iter()
            .map(|other| Peer {
                domain: (*other).to_owned(),
                addresses: vec![format!("{}:5269", host_of(other))],
                pin: Some(pin_of(other)),
                introduced_by: Vec::new(),
            })
            .collect();
        Self {
            domain: domain.to_owned(),
            disk: MemoryBackend::new(),
            broker: None,
            config,
            key_file: None,
            seed,
            starts: 0,
        }
    }

    /// As [`Site::new`], with a disk that another program wrote.
    pub(crate) fn with_disk(domain: &str, others: &[&str], seed: u64, disk: Disk) -> Self {
        Self { disk: disk.rows, key_file: Some(disk.key_file), ..Self::new(domain, others, seed) }
    }

    /// Starts the broker on what its disk holds.
    pub(crate) fn start(&mut self, clock: Arc<dyn Clock>) {
        self.starts += 1;
        self.disk.restart();
        let keys = SeededRandom::new(self.seed);
        let (master, instance) = match &self.key_file {
            Some(file) => (file.open_unattended().expect("the key is not wrapped"), file.instance),
            None => (MasterKey::generate(&keys), InstanceId::generate(&keys)),
        };
        // what a machine draws after a restart, it has never drawn before
        let random = Arc::new(SeededRandom::new(self.seed.wrapping_mul(1_000_003).wrapping_add(self.starts)));
        let store = block_on(Store::open(Arc::new(self.disk.clone()), master, instance, random.clone()));
        let store = store.expect("a sound disk opens");
        block_on(broker::migrate(&store)).expect("a sound disk takes what is new");
        let broker = Broker::new(self.config.clone(), store, Environment::new(clock, random));
        block_on(broker.load_peers()).expect("a sound disk is readable");
        self.broker = Some(broker);
    }

    /// Makes the operator's invitation for a new account.
    pub(crate) fn invite(&self) -> String {
        let broker = self.broker.as_ref().expect("the broker runs");
        block_on(broker::invites::create(broker, &broker::invites::Spec::default())).expect("an invitation").uri
    }

    /// Answers a request on the broker's web address: a status and a body, or nothing from a broker that does not run.
    pub(crate) fn serve(&self, request: &HttpRequest) -> Option<(u16, Bytes)> {
        let broker = self.broker.as_ref()?;
        let path = request.url.split_once("://")?.1.split_once('/').map(|(_, path)| format!("/{path}"))?;
        let length = request.body.len().to_string();
        let headers = [("content-length", length.as_str())];
        let served = match request.method {
            HttpMethod::Put => {
                let head = Request { method: "PUT", path: &path, headers: &headers };
                block_on(put(broker, &head, &request.body))
            }
            HttpMethod::Get => block_on(get(broker, &Request { method: "GET", path: &path, headers: &[] }))?,
        };
        Some(served)
    }
}

async fn put(broker: &Broker, head: &Request<'_>, body: &[u8]) -> (u16, Bytes) {
    let taken = async {
        let mut put = upload::put(broker, head).await?;
        for piece in body.chunks(10_000) {
            put.handle_bytes(piece).await?;
        }
        put.finish().await
    };
    let response = taken.await.unwrap_or_else(|refused| refused);
    (response.status, response.body.into())
}

async fn get(broker: &Broker, head: &Request<'_>) -> Option<(u16, Bytes)> {
    let (head, download) = upload::get(broker, head).await;
    let mut body = head.body;
    if let Some(mut download) = download {
        while let Some(piece) = download.next().await.ok()? {
            body.extend_from_slice(&piece);
        }
    }
    Some((head.status, body.into()))
}
