//! The stage: two brokers and two people, each with directories of their own, and recorders on every way between them.
//! Everything is below one temporary directory, which goes away with the stage.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use waxwingd::{Direction, Server, Settings as BrokerSettings, Tap};
use xep::uri::{Endpoint, Link};

use super::recorder::{Bytes, Recorder};
use super::trouble::Trouble;
use crate::api::{Answer, Event, Request};
use crate::runtime::home::create_directory;
use crate::runtime::{Home, Running, Settings};
use tokio::sync::broadcast;

/// A directory that goes away when it is dropped.
#[derive(Debug)]
pub(super) struct Directory(PathBuf);

impl Directory {
    fn new() -> Result<Self, Trouble> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|_| Trouble::new("this machine gives no random numbers"))?;
        let path = std::env::temp_dir().join(format!("waxwing-demo-{}", hex::encode(random)));
        create_directory(&path).map_err(|error| Trouble::new(format!("{}: {error}", path.display())))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // After an interruption somebody may still be writing his last file.
        for _ in 0..40 {
            match fs::remove_dir_all(&self.0) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => std::thread::sleep(Duration::from_millis(25)),
                _ => return,
            }
        }
    }
}

/// A broker, what it sees inside TLS, and the recorder on the way to it from the other broker.
pub(super) struct Broker {
    pub(super) server: Server,
    pub(super) data: PathBuf,
    /// What its tap was given, in both directions.
    pub(super) seen: [Bytes; 2],
    pub(super) tap: Tap,
    pub(super) federation: Recorder,
}

impl Broker {
    async fn start(directory: &Path, name: &str) -> Result<Self, Trouble> {
        let place = directory.join(name);
        let data = place.join("data");
        let mut settings = BrokerSettings::on_disk(&data, place.join("keys"));
        let loopback = BrokerSettings::in_memory();
        (settings.listen, settings.ports) = (loopback.listen, loopback.ports);
        settings.domain = Some(format!("{name}.example"));
        let seen = [Bytes::default(), Bytes::default()];
        let [received, sent] = seen.clone();
        let tap: Tap = Arc::new(move |direction, bytes: &[u8]| match direction {
            Direction::Received => received.push(bytes),
            Direction::Sent => sent.push(bytes),
        });
        settings.danger_tap = Some(Arc::clone(&tap));
        let server = Server::start(settings).await.map_err(|error| Trouble::new(error.to_string()))?;
        let federation = Recorder::before(server.addresses().server_tls).await?;
        Ok(Self { server, data, seen, tap, federation })
    }

    /// What `waxwingd peer add` on the other broker takes, leading over the recorder.
    fn peer_link(&self) -> Result<String, Trouble> {
        let damaged = || Trouble::new("a peer link cannot be read");
        let mut link = Link::parse(&self.server.peer_link()).map_err(|_| damaged())?;
        link.at = vec![Endpoint::parse(&self.federation.address.to_string()).map_err(|_| damaged())?];
        link.to_text().map_err(|_| damaged())
    }
}

/// Somebody with a home and a recorder as the only way out.
pub(super) struct Person {
    pub(super) home: Home,
    pub(super) way_out: Recorder,
    online: Option<Online>,
}

struct Online {
    running: Running,
    events: broadcast::Receiver<Event>,
}

impl Person {
    async fn new(directory: &Path, name: &str) -> Result<Self, Trouble> {
        let home = Home::at(&directory.join(name));
        home.create().map_err(|error| Trouble::new(error.to_string()))?;
        let way_out = Recorder::way_out().await?;
        let settings = Settings { proxy: Some(way_out.address.to_string()), ..Settings::default() };
        settings.save(home.settings())?;
        Ok(Self { home, way_out, online: None })
    }

    /// Runs the engine.
    pub(super) async fn start(&mut self) -> Result<(), Trouble> {
        let running = crate::runtime::start(&self.home).await.map_err(|error| Trouble::new(error.to_string()))?;
        let events = running.handle().listen();
        self.online = Some(Online { running, events });
        Ok(())
    }

    /// Ends the engine: off line.
    pub(super) async fn stop(&mut self) {
        if let Some(online) = self.online.take() {
            online.running.stop().await;
        }
    }

    pub(super) async fn ask(&self, request: Request) -> Result<Answer, Trouble> {
        let online = self.online.as_ref().ok_or_else(|| Trouble::new("somebody is off line"))?;
        Ok(online.running.handle().ask(request).await?)
    }

    /// The next event that answers the question.
    pub(super) async fn wait<T>(&mut self, fits: impl Fn(Event) -> Option<T>) -> Result<T, Trouble> {
        let online = self.online.as_mut().ok_or_else(|| Trouble::new("somebody is off line"))?;
        loop {
            match online.events.recv().await {
                Ok(Event::Account { reason: Some(reason), .. }) => return Err(reason.into()),
                Ok(Event::MessageState { reason: Some(reason), .. }) => return Err(reason.into()),
                Ok(event) => {
                    if let Some(found) = fits(event) {
                        return Ok(found);
                    }
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return Err(Trouble::new("an engine has ended")),
            }
        }
    }
}

/// Everything that is needed.
pub(super) struct Stage {
    pub(super) north: Broker,
    pub(super) south: Broker,
    pub(super) alice: Person,
    pub(super) bob: Person,
    /// Last: it goes away when everybody else has let go of it.
    pub(super) directory: Directory,
}

impl Stage {
    /// Starts the brokers and makes them known to each other.
    pub(super) async fn build() -> Result<Self, Trouble> {
        let directory = Directory::new()?;
        let (north, south) =
            tokio::join!(Broker::start(directory.path(), "north"), Broker::start(directory.path(), "south"),);
        let (north, south) = (north?, south?);
        let peer = |error: waxwingd::PeerError| Trouble::new(error.to_string());
        north.server.add_peer(&south.peer_link()?).await.map_err(peer)?;
        south.server.add_peer(&north.peer_link()?).await.map_err(peer)?;
        let alice = Person::new(directory.path(), "alice").await?;
        let bob = Person::new(directory.path(), "bob").await?;
        Ok(Self { north, south, alice, bob, directory })
    }
}
