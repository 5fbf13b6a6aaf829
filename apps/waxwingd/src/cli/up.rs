//! `up`: the broker runs until it is told to stop.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use broker::invites::InviteError;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use super::announce::{self, Scene};
use super::{UpArgs, print, service};
use crate::admin;
use crate::admin::protocol::{Failure, InviteLine, PortsLine};
use crate::error::StartError;
use crate::paths::Places;
use crate::server::{Found, Server, disk};
use crate::settings::{Ports, Settings, Storage};

/// Puts what the command line says over what the file says.
pub(super) fn adjust(mut settings: Settings, arguments: &UpArgs) -> Result<Settings, Failure> {
    if let Some(base) = arguments.port_base {
        settings.ports = Ports::from_base(base).ok_or_else(|| {
            Failure::with_todo(format!("there are no five ports from {base} on"), "Choose a number from 1 to 65531.")
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
        Self::with_todo(error.what_happened(), error.what_to_do()).named(error.word())
    }
}

/// Starts, says so, and waits for the signal to stop.
pub(super) fn run(settings: Settings, places: &Places, arguments: &UpArgs) -> Result<ExitCode, Failure> {
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
        let invite = invite(&server, arguments).await?;
        let said = if arguments.json.json {
            ready_line(&server, invite.as_ref())
        } else {
            announce::up(&scene(&server, invite, &storage, places).await?)
        };
        // Nobody may be listening any more; the broker runs all the same.
        let _ = io::stdout().write_all(said.as_bytes()).and_then(|()| io::stdout().flush());
        service::notify("READY=1");
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        service::notify("STOPPING=1");
        server.stop().await;
        Ok(ExitCode::SUCCESS)
    })
}

/// The invitation to show: a new one where it was asked for, else the first person's as long as nobody has joined.
///
/// Never under a service manager, whose journal keeps what is printed, and never into a file that nobody asked to have
/// it in: whoever reads the link has the account.
async fn invite(server: &Server, arguments: &UpArgs) -> Result<Option<InviteLine>, InviteError> {
    if service::is_service() {
        return Ok(None);
    }
    if arguments.invite {
        return Ok(Some(server.invite().await?.into()));
    }
    if arguments.json.json || io::stdout().is_terminal() {
        return Ok(server.first_invite().await?.map(InviteLine::from));
    }
    Ok(None)
}

#[derive(Serialize)]
struct Ready<'a> {
    version: u32,
    kind: &'static str,
    ready: bool,
    domain: &'a str,
    pin: String,
    ports: PortsLine,
    /// The data is older than when this broker last ran.
    rolled_back: bool,
    invite: Option<&'a InviteLine>,
    peer_link: &'a str,
}

fn ready_line(server: &Server, invite: Option<&InviteLine>) -> String {
    let facts = server.facts();
    let ready = Ready {
        version: print::JSON_VERSION,
        kind: "ready",
        ready: true,
        domain: server.domain(),
        pin: server.pin().to_text(),
        ports: server.addresses().into(),
        rolled_back: facts.found == Found::RolledBack,
        invite,
        peer_link: &facts.peer_link,
    };
    // Strings and numbers only: this cannot fail.
    format!("{}\n", serde_json::to_string(&ready).unwrap_or_default())
}

async fn scene(
    server: &Server,
    invite: Option<InviteLine>,
    storage: &Storage,
    places: &Places,
) -> Result<Scene, store::StoreError> {
    let facts = server.facts();
    let command = match Places::usual() {
        Some(usual) if usual == *places => "waxwingd".to_owned(),
        _ => format!("waxwingd --data-dir {}", places.data.display()),
    };
    Ok(Scene {
        domain: facts.domain.clone(),
        command,
        invite_days: invite.as_ref().map_or(0, |invite| print::days_until(&invite.expires_at)),
        invite,
        is_terminal: io::stdout().is_terminal(),
        is_service: service::is_service(),
        accounts: server.account_count().await?,
        is_name_open: facts.is_name_open,
        has_public_certificate: facts.has_public_certificate,
        is_rolled_back: facts.found == Found::RolledBack,
        certificate_trouble: facts
            .certificate_trouble
            .map(|trouble| crate::server::certificate::trouble_in_words(trouble, &facts.domain).0),
        key_file: match storage {
            Storage::Memory => None,
            Storage::Directories { keys, .. } => Some(disk::key_file(keys).display().to_string()),
        },
    })
}
