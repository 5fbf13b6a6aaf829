//! The loop of one connection.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use broker::Then;
use broker::budget::Charge;
use net::connection::Connection;
use net::listen::Admission;
use net::tls::{ClientTls, ServerTls, TlsError};
use net::wake::WakeSignal;
use tokio::time::{Instant, Sleep, timeout_at};
use xmpp::stream::TlsFacts;
use xmpp::time::Moment;

use super::Shared;
use super::session::Session;
use crate::settings::Direction;

/// How a connection becomes secure after `<proceed/>`.
pub(super) enum Upgrade {
    /// As who accepted it.
    Accept(ServerTls),
    /// As who dialled it.
    Initiate { tls: ClientTls, domain: String, local_domain: String },
}

/// A connection and what belongs to it.
pub(super) struct Peer {
    pub(super) connection: Connection,
    pub(super) wake: WakeSignal,
    pub(super) upgrade: Option<Box<Upgrade>>,
    /// It has not signed in yet.
    pub(super) stranger: Option<Stranger>,
    /// Counted for where it comes from, and for the account once it has signed in.
    pub(super) descriptor: Option<Charge>,
}

/// What somebody holds who has not signed in yet.
pub(super) struct Stranger {
    _admission: Admission,
    /// When the connection ends, whatever has arrived by then.
    pub(super) deadline: Instant,
}

/// The session itself says goodbye to who did not sign in in time; this is for what a session does not see, such as a
/// handshake that takes for ever.
const GRACE: Duration = Duration::from_secs(1);

impl Stranger {
    pub(super) fn new(shared: &Shared, admission: Admission) -> Self {
        let deadline = admission.since() + shared.broker.config.limits.pre_auth + GRACE;
        Self { _admission: admission, deadline }
    }
}

/// What is written at once: a TLS record.
const PIECE_BYTES: usize = 16 * 1024;

/// Why the loop ends without the session having said so.
struct Lost;

impl From<io::Error> for Lost {
    fn from(_: io::Error) -> Self {
        Self
    }
}

/// Drives a session until its end, however it ends.
pub(super) async fn drive<S: Session>(shared: &Shared, mut session: S, peer: Peer) {
    let registered = shared.stopping.register(peer.wake.callback());
    let _ = run(shared, &mut session, peer).await;
    drop(registered);
    session.closed().await;
}

async fn run<S: Session>(shared: &Shared, session: &mut S, mut peer: Peer) -> Result<(), Lost> {
    let mut alarm = Alarm::new();
    // boxed: gone after the sign-in
    let mut patience = peer.stranger.as_ref().map(|stranger| Box::pin(tokio::time::sleep_until(stranger.deadline)));
    let sleep = tokio::time::sleep(Duration::from_secs(86_400));
    tokio::pin!(sleep);
    loop {
        match flush(shared, session, &mut peer.connection).await? {
            Then::Continue => {}
            Then::StartTls => {
                let upgrading = Box::pin(upgrade(peer.connection, peer.upgrade.take()));
                let upgraded = match &peer.stranger {
                    Some(stranger) => timeout_at(stranger.deadline, upgrading).await.map_err(|_| Lost)?,
                    None => upgrading.await,
                };
                let upgraded = upgraded.map_err(|error| {
                    if error.is_somebody_else() {
                        session.handle_somebody_else();
                    }
                    Lost
                })?;
                peer.connection = upgraded.0;
                session.handle_tls(shared.permitted(upgraded.1)).await;
                continue;
            }
            Then::Close => {
                peer.connection.close().await;
                return Ok(());
            }
        }
        if peer.stranger.is_some() && session.is_signed_in() {
            (peer.stranger, patience) = (None, None);
            if let Some(account) = session.account() {
                peer.descriptor = peer.descriptor.take().map(|held| shared.broker.signed_in(held, &account));
            }
        }
        let pause = session.read_pause();
        alarm.arm(shared, sleep.as_mut(), [session.next_timeout(), pause]);
        tokio::select! {
            read = peer.connection.read_chunk(), if pause.is_none() => {
                let Some(bytes) = read? else { return Ok(()) };
                shared.tap(Direction::Received, &bytes);
                session.handle_bytes(&bytes).await;
            }
            () = peer.wake.woken() => {
                if shared.stopping.is_stopping() {
                    return stop(shared, session, peer).await;
                }
                session.handle_wake().await;
            }
            () = async { if let Some(patience) = &mut patience { patience.await } }, if peer.stranger.is_some() => {
                return Err(Lost);
            }
            () = sleep.as_mut(), if alarm.at.is_some() => {
                alarm.at = None;
                session.handle_timeout().await;
            }
        }
    }
}

/// Writes what the session has to say, and returns what is to be done then.
async fn flush<S: Session>(shared: &Shared, session: &mut S, connection: &mut Connection) -> Result<Then, Lost> {
    // A peer that takes nothing any more is gone; what it did not take is kept elsewhere.
    let patience = shared.broker.config.limits.ack_timeout;
    loop {
        let output = session.take_output();
        if let Some(bytes) = &output.bytes {
            shared.tap(Direction::Sent, bytes);
            // on a slow link what counts is that it goes on, not when it ends
            for piece in bytes.chunks(PIECE_BYTES) {
                tokio::time::timeout(patience, connection.send(piece)).await.map_err(|_| Lost)??;
            }
            session.handle_written().await;
        }
        // `handle_written` may have given it more to say.
        if output.then != Then::Continue || output.bytes.is_none() {
            return Ok(output.then);
        }
    }
}

/// The broker stops: client sessions have found a notice in their mailbox, others have nothing more to say.
async fn stop<S: Session>(shared: &Shared, session: &mut S, mut peer: Peer) -> Result<(), Lost> {
    session.handle_wake().await;
    flush(shared, session, &mut peer.connection).await?;
    peer.connection.close().await;
    Ok(())
}

/// The session has checked that no byte came after the agreement on TLS; this loop keeps none itself.
async fn upgrade(connection: Connection, how: Option<Box<Upgrade>>) -> Result<(Connection, TlsFacts), TlsError> {
    match how.map(|how| *how) {
        Some(Upgrade::Accept(tls)) => connection.accept_tls(&tls, 0).await,
        Some(Upgrade::Initiate { tls, domain, local_domain }) => {
            connection.start_tls(&tls, &domain, Some(&local_domain), 0).await
        }
        None => Err(TlsError::AlreadySecure),
    }
}

/// The one timer of a connection. Moving a timer costs more than letting it fire in vain, so it is only ever moved
/// closer, and a session is asked what is due whenever it fires.
struct Alarm {
    at: Option<Moment>,
}

impl Alarm {
    fn new() -> Self {
        Self { at: None }
    }

    fn arm(&mut self, shared: &Shared, sleep: Pin<&mut Sleep>, wanted: [Option<Moment>; 2]) {
        let Some(next) = wanted.into_iter().flatten().min() else { return };
        if self.at.is_none_or(|at| next < at) {
            let wait = next.since(shared.broker.env.moment());
            // never at once again and again, should a session have nothing to do at the time it named
            sleep.reset(Instant::now() + wait.max(Duration::from_millis(1)));
            self.at = Some(next);
        }
    }
}
