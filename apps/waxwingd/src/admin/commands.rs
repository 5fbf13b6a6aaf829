//! What an administrator can have done.

use std::sync::Arc;

use broker::accounts::{self, AccountError};
use store::StoreError;
use xmpp::jid::BareJid;

use super::doctor;
use super::invites;
use super::protocol::{AccountLine, Command, Done, Failure, Outcome, PeerLine, Status};
use crate::connection::Shared;
use crate::server::{Facts, PeerError, peers};
use crate::settings::Storage;

/// What the commands need to know of the running broker.
pub(crate) struct Context {
    pub(crate) shared: Arc<Shared>,
    pub(crate) facts: Arc<Facts>,
    pub(crate) identity: Arc<net::identity::ReloadableIdentity>,
    pub(crate) storage: Storage,
}

/// Does what is asked.
pub(crate) async fn execute(context: &Context, command: Command) -> Outcome {
    match run(context, command).await {
        Ok(done) => Outcome::Ok(done),
        Err(failure) => Outcome::Error(failure),
    }
}

async fn run(context: &Context, command: Command) -> Result<Done, Failure> {
    let broker = &context.shared.broker;
    match command {
        Command::Invite { days, name } => invites::make(broker, days, name.as_deref()).await,
        Command::InviteList => invites::list(broker).await,
        Command::InviteRevoke { id } => invites::revoke(broker, &id).await,
        Command::Status => Ok(Done::Status(status(context).await?)),
        Command::PeerAdd { link } => Ok(Done::Peer { domain: peers::add(broker, &link).await? }),
        Command::PeerList => Ok(Done::Peers(peer_lines(context).await?)),
        Command::PeerRemove { domain } => {
            peers::remove(broker, &domain).await?;
            Ok(Done::Nothing)
        }
        Command::AccountList => Ok(Done::Accounts(account_lines(context).await?)),
        Command::AccountAdd { name, admin } => {
            let (address, password) = accounts::create_by_operator(broker.core(), &name, admin).await?;
            Ok(Done::Added { address: address.as_str().to_owned(), password: password.as_str().to_owned() })
        }
        Command::AccountDelete { name } => {
            accounts::delete(broker.core(), &address(context, &name)?).await?;
            Ok(Done::Nothing)
        }
        Command::AccountReset { name } => {
            let address = address(context, &name)?;
            let password = accounts::reset_password(broker.core(), &address).await?;
            Ok(Done::Password { address: address.as_str().to_owned(), password: password.as_str().to_owned() })
        }
        Command::ClockAccept => {
            broker.core().accept_clock().await?;
            Ok(Done::Nothing)
        }
        Command::CaExport => Ok(Done::Certificate { pem: context.facts.ca_pem.clone() }),
        Command::Doctor { domain } => Ok(Done::Checks(doctor::examine(context, domain.as_deref()).await)),
    }
}

async fn status(context: &Context) -> Result<Status, Failure> {
    let facts = &context.facts;
    Ok(Status {
        domain: facts.domain.clone(),
        pin: facts.pin.to_text(),
        ports: facts.addresses.into(),
        accounts: account_lines(context).await?.len(),
        sessions: context.shared.broker.session_count(),
        peers: peer_lines(context).await?.len(),
        peer_link: facts.peer_link.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

async fn peer_lines(context: &Context) -> Result<Vec<PeerLine>, Failure> {
    let known = peers::list(&context.shared.broker).await?;
    let line = |peer: broker::Peer| PeerLine {
        pinned: peer.pin.is_some(),
        by_link: peer.is_introduced(),
        domain: peer.domain,
        addresses: peer.addresses,
    };
    Ok(known.into_iter().map(line).collect())
}

async fn account_lines(context: &Context) -> Result<Vec<AccountLine>, Failure> {
    let broker = &context.shared.broker;
    let rows = broker.accounts().await.map_err(Failure::from)?;
    let open = rows.into_iter().filter(|row| !row.closed);
    let mut lines: Vec<AccountLine> =
        open.map(|row| AccountLine { online: broker.has_sessions(&row.jid), address: row.jid }).collect();
    lines.sort_by(|a, b| a.address.cmp(&b.address));
    Ok(lines)
}

/// Reads a name (`alice`) or an address of this broker.
fn address(context: &Context, name: &str) -> Result<BareJid, Failure> {
    let domain = context.facts.domain.as_str();
    let parsed = if name.contains('@') { BareJid::parse(name) } else { BareJid::parse(&format!("{name}@{domain}")) };
    match parsed {
        Ok(address) if address.localpart().is_some() && address.domainpart() == domain => Ok(address),
        _ => Err(AccountError::NotFound.into()),
    }
}

/// A sentence of its own as a part of ours: without its capital and its full stop.
pub(super) fn as_part(sentence: &str) -> String {
    let mut rest = sentence.trim_end_matches('.').chars();
    rest.next().map_or_else(String::new, |first| first.to_lowercase().chain(rest).collect())
}

impl From<AccountError> for Failure {
    fn from(error: AccountError) -> Self {
        let todo = match error {
            AccountError::NotFound => "`waxwingd account list` shows the accounts.",
            AccountError::NameReserved => "If that is you, say so with --admin.",
            AccountError::NameTaken => "Somebody has it, or had it once, or an invitation keeps it. Choose another.",
            _ => "",
        };
        Self::with_todo(as_part(error.words()), todo)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::with_todo(error.what_happened(), error.what_to_do()).named("store")
    }
}

impl From<PeerError> for Failure {
    fn from(error: PeerError) -> Self {
        Self::new(error.to_string())
    }
}
