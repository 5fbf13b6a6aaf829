//! `up`: the broker runs until it is told to stop.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use super::{UpArgs, print, qr};
use crate::admin;
use crate::admin::protocol::{Failure, PortsLine};
use crate::error::StartError;
use crate::paths::Places;
use crate::server::{Found, Invite, Server, disk};
use crate::settings::{Ports, Settings, Storage};

/// Puts what the command line says over what the file says.
pub(super) fn adjust(mut settings: Settings, arguments: &UpArgs) -> Result<Settings, Failure> {
    if let Some(base) = arguments.port_base {
        settings.ports = Ports::from_base(base).ok_or_else(|| Failure {
            what: format!("there are no five ports from {base} on"),
            todo: "Choose a number from 1 to 65531.".to_owned(),
        })?;
    }
    if arguments.domain.is_some() {
        settings.domain.clone_from(&arguments.domain);
    }
    if arguments.listen.is_some() {
        settings.listen = arguments.listen;
    }
    if arguments.memory {
        settings.storage = Storage::Memory;
    }
    Ok(settings)
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self { what: error.what_happened(), todo: error.what_to_do() }
    }
}

/// Starts, says so, and waits for the signal to stop.
pub(super) fn run(settings: Settings, places: &Places, json: bool) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|_| Failure::new("the system gives no threads or no file descriptors"))?;
    runtime.block_on(async {
        // The signals come first: one that arrives during the start is not lost.
        let failed = |_: io::Error| Failure::new("signals cannot be received");
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let storage = settings.storage.clone();
        let server = Server::start(settings).await?;
        if let Storage::Directories { data, .. } = &storage {
            server.administer(admin::socket(data), storage.clone())?;
        }
        let invite = server.invite().await.map_err(|error| Failure::new(error.to_string()))?;
        let said = if json { ready_line(&server, &invite) } else { announcement(&server, &invite, &storage, places) };
        // Nobody may be listening any more; the broker runs all the same.
        let _ = io::stdout().write_all(said.as_bytes()).and_then(|()| io::stdout().flush());
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        server.stop().await;
        Ok(ExitCode::SUCCESS)
    })
}

#[derive(Serialize)]
struct Ready<'a> {
    v: u32,
    ready: bool,
    domain: &'a str,
    pin: String,
    ports: PortsLine,
    invite: InviteLink<'a>,
    peer_link: &'a str,
}

#[derive(Serialize)]
struct InviteLink<'a> {
    link: &'a str,
    page: Option<&'a str>,
}

fn ready_line(server: &Server, invite: &Invite) -> String {
    let ready = Ready {
        v: 1,
        ready: true,
        domain: server.domain(),
        pin: server.pin().to_text(),
        ports: server.addresses().into(),
        invite: InviteLink { link: &invite.link, page: invite.page.as_deref() },
        peer_link: &server.facts().peer_link,
    };
    // Strings and numbers only: this cannot fail.
    format!("{}\n", serde_json::to_string(&ready).unwrap_or_default())
}

/// What a person reads.
fn announcement(server: &Server, invite: &Invite, storage: &Storage, places: &Places) -> String {
    let facts = server.facts();
    let ports = facts.addresses;
    let mut text = format!("Waxwing broker {} is ready.\n", facts.domain);
    if facts.found == Found::RolledBack {
        text.push_str("Attention: the data is older than when the broker last ran. Was a backup put back?\n");
    }
    text.push_str("\nInvite somebody with this link. It opens one account:\n\n");
    text.push_str(&format!("  {}\n\n", invite.link));
    if io::stdout().is_terminal() {
        text.push_str(&qr::draw(&invite.link));
        text.push('\n');
    }
    match (&invite.page, facts.has_public_certificate) {
        (Some(page), true) => text.push_str(&format!("The same as a page: {page}\n")),
        (Some(page), false) => text.push_str(&format!(
            "The same as a page: {page}\n\
             Browsers will warn about it. Conversations, Dino and other apps need a domain with a public certificate,\n\
             or the certificate that `waxwingd ca export` prints, installed where they run.\n"
        )),
        (None, _) => {}
    }
    text.push_str("More invitations: waxwingd invite\n\n");
    if facts.is_name_open {
        text.push_str("The first account fixes the name. For another one, stop and start with --domain.\n");
    }
    text.push_str(&format!(
        "Reached at ports {} (STARTTLS) and {} (TLS) by apps, {} and {} by other brokers, {} for pages and files.\n",
        ports.client.port(),
        ports.client_tls.port(),
        ports.server.port(),
        ports.server_tls.port(),
        ports.https.port(),
    ));
    text.push_str(&format!("Connect another broker: there, run waxwingd peer add '{}'\n", facts.peer_link));
    match storage {
        Storage::Memory => text.push_str("Everything is in memory and ends with this program.\n"),
        Storage::Directories { data, .. } => text.push_str(&format!(
            "The data is in {}. What opens it lies on this machine, readable by you only: {}\n",
            data.display(),
            disk::key_file(&places.config).display(),
        )),
    }
    text.push_str(print::STOP_HINT);
    text
}
