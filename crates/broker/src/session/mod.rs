//! [`ClientSession`]: one client connection, from its first byte to what becomes of unacknowledged stanzas at its end.
//!
//! A program drives it like this, in one task per connection:
//!
//! ```text
//! loop {
//!     match next {
//!         bytes read            => session.handle_bytes(&bytes).await,     // not while read_pause() says to wait
//!         TLS handshake done    => session.handle_tls(facts).await,
//!         woken                 => session.handle_wake().await,
//!         next_timeout() is here => session.handle_timeout().await,
//!     }
//!     let output = session.take_output();
//!     write(output.bytes);  session.handle_written().await;                // says that the bytes are with the socket
//!     match output.then { Continue, StartTls, Close }                      // more to write wakes the session again
//! }
//! session.closed().await;                                                  // always, however the connection ended
//! ```
//!
//! All of a turn's output is one piece, so a turn is one TLS record and one system call.

mod end;
mod flow;
mod inbound;
mod login;
mod settling;

pub use login::month_of;

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use xmpp::jid::Jid;
use xmpp::stream::c2s::{Responder, ResponderEvent};
use xmpp::stream::{Seed, StreamCondition, TlsFacts, Transport};
use xmpp::time::Moment;

use crate::allowance::Allowance;
use crate::budget::{Held, Scope, Unread};
use crate::environment::Wake;
use crate::mailbox::{Claim, Delivery, Mail, Notice, Position};
use crate::registry::SessionHandle;
use crate::settle::Unsettled;
use crate::{Broker, Core};

/// What the program does after writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Nothing special.
    Continue,
    /// Start the TLS handshake, then call `handle_tls`.
    StartTls,
    /// Close the connection, then call `closed`.
    Close,
}

/// What a session wants done now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Write this, if there is anything.
    pub bytes: Option<Bytes>,
    /// And then do this.
    pub then: Then,
}

/// One client connection.
pub struct ClientSession {
    core: Arc<Core>,
    stream: Responder,
    wake: Wake,
    phase: Phase,
    starts_tls: bool,
    /// The connection's own at first, then its account's.
    allowance: Arc<Allowance>,
    last_heard: Moment,
    /// Since when an answer is awaited from the client, if one is.
    waiting_since: Option<Moment>,
    /// Input that is not read to its end; the connection is charged at first, then its account.
    unread: Unread,
}

enum Phase {
    /// Not yet bound.
    Login(Box<login::Login>),
    /// Stanzas flow.
    Bound(Box<Bound>),
    /// Nothing more happens.
    Over,
}

/// What a session with a resource keeps.
struct Bound {
    handle: Arc<SessionHandle>,
    /// The last `to` and what it was parsed to: most stanzas of a conversation go to one address.
    last_to: Option<(Box<str>, Jid)>,
    /// The client speaks XEP-0198.
    acks: bool,
    /// Stanzas from the client that its `h` does not cover yet.
    unsettled: Unsettled,
    /// Stanzas to the client that it does not have for good, oldest first.
    in_flight: VecDeque<InFlight>,
    /// The bytes of these.
    sent_bytes: usize,
    /// Rows of the offline store that the client has for good and that are to be deleted.
    done_rows: Vec<u64>,
    offline: OfflineReading,
    /// There may be rows in the offline store that have not been looked for.
    looks_again: bool,
    /// The session of this number had the resource before, and may leave something behind: what is for the client waits
    /// until it has, or for this long.
    heir_of: Option<(u64, Moment)>,
    /// Messages that come after others which are in the offline store or with that session, in the order of routing.
    deferred: VecDeque<Delivery>,
    /// Whom the client has sent directed presence to (RFC 6121 §4.6).
    directed: Option<HashSet<Jid>>,
    /// The client has been told in words that it must encrypt.
    advised: bool,
}

/// A stanza that was sent and that the client does not have for good.
struct InFlight {
    claim: Claim,
    position: Position,
    bytes: usize,
    at: Moment,
    /// What of the budget of the whole is held for it.
    held: Held,
    /// Kept here only where the stream does not keep it (without XEP-0198).
    frame: Option<xmpp::xml::Frame>,
}

/// How far the session is with the offline messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OfflineReading {
    /// Not at it.
    Idle,
    /// All have been sent, and not all have arrived: no other session reads them meanwhile.
    Sent,
    /// Sent up to this row; more are read when these have arrived.
    UpTo(u64),
}

impl fmt::Debug for ClientSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSession")
    }
}

impl Broker {
    /// Makes the session of a connection that a client opened. `wake` must lead to a call of
    /// [`ClientSession::handle_wake`].
    #[must_use]
    pub fn accept_client(&self, transport: Transport, wake: Wake) -> ClientSession {
        self.accept_client_from(transport, wake, None)
    }

    /// As [`Broker::accept_client`]. Wrong passwords are counted for `network` too: any name for where the client comes
    /// from, the same for all who come from there.
    #[must_use]
    pub fn accept_client_from(&self, transport: Transport, wake: Wake, network: Option<&str>) -> ClientSession {
        let core = Arc::clone(self.core());
        let mut seed = [0; 32];
        core.env.random.fill(&mut seed);
        let now = core.env.moment();
        let limits = &core.config.limits;
        ClientSession {
            stream: Responder::new(Arc::clone(&core.client_streams), transport, Seed::new(seed)),
            wake,
            phase: Phase::Login(Box::new(login::Login::new(now + limits.pre_auth, network))),
            starts_tls: false,
            allowance: Allowance::new(limits),
            last_heard: now,
            waiting_since: None,
            unread: Unread::new(core.budgets.bytes.own_share(Scope::Connection)),
            core,
        }
    }
}

impl ClientSession {
    /// Takes bytes from the connection.
    pub async fn handle_bytes(&mut self, bytes: &[u8]) {
        let now = self.core.env.moment();
        self.last_heard = now;
        self.waiting_since = None;
        self.allowance.charge_bytes(now, bytes.len());
        self.stream.handle_bytes(bytes);
        self.turn().await;
        self.unread.set(self.stream.held_input());
    }

    /// TLS is up, after [`Then::StartTls`].
    pub async fn handle_tls(&mut self, facts: TlsFacts) {
        self.stream.handle_tls(facts);
        self.turn().await;
    }

    /// The wake function was called.
    pub async fn handle_wake(&mut self) {
        self.turn().await;
    }

    /// The time of [`ClientSession::next_timeout`] has come.
    pub async fn handle_timeout(&mut self) {
        Box::pin(self.check_timers()).await;
        self.turn().await;
    }

    /// What [`ClientSession::take_output`] returned has been written to the connection.
    pub async fn handle_written(&mut self) {
        let Phase::Bound(bound) = &mut self.phase else { return };
        if bound.acks || bound.in_flight.is_empty() {
            return;
        }
        let count = bound.in_flight.len();
        self.land(count);
        self.after_landing().await;
        let has_more = |bound: &Bound| !bound.in_flight.is_empty() || bound.handle.mailbox.has_mail();
        if matches!(&self.phase, Phase::Bound(bound) if has_more(bound)) {
            (self.wake)(); // the next messages are there to be written
        }
    }

    /// Returns what is to be done now; once per turn.
    pub fn take_output(&mut self) -> Output {
        let bytes = self.stream.poll_output();
        let then = match self.phase {
            Phase::Over => Then::Close,
            _ if std::mem::take(&mut self.starts_tls) => Then::StartTls,
            _ => Then::Continue,
        };
        Output { bytes, then }
    }

    /// Tells until when nothing is to be read from the connection, because its account is over its rate: it feels this as
    /// back-pressure and loses nothing.
    #[must_use]
    pub fn read_pause(&self) -> Option<Moment> {
        let now = self.core.env.moment();
        self.allowance.wait_until(now).max(self.unread.pause(now))
    }

    /// Returns the bound address.
    #[must_use]
    pub fn jid(&self) -> Option<&Jid> {
        match &self.phase {
            Phase::Bound(bound) => Some(&bound.handle.jid),
            _ => None,
        }
    }

    /// Handles everything that is there: events of the stream, then the mailbox, then what the client's `h` waits for.
    async fn turn(&mut self) {
        while let Some(event) = self.stream.poll_event() {
            self.handle_event(event).await;
            self.land_acknowledged();
        }
        self.land_acknowledged(); // an acknowledgement alone is no event
        self.handle_mail().await;
        self.after_landing().await;
        self.settle();
        if let Phase::Bound(bound) = &self.phase
            && bound.acks
            && self.stream.unacked().0 > 0
        {
            self.waiting_since.get_or_insert(self.core.env.moment());
        }
    }

    async fn handle_event(&mut self, event: ResponderEvent) {
        match event {
            ResponderEvent::StartTls => self.starts_tls = true,
            ResponderEvent::AcksEnabled => {
                if let Phase::Bound(bound) = &mut self.phase {
                    // what was sent before is not counted: it is with the socket, as for any client without XEP-0198
                    bound.acks = true;
                    let count = bound.in_flight.len();
                    self.land(count);
                }
            }
            ResponderEvent::Stanza(frame) => self.handle_stanza(frame).await,
            // boxed: what is rare must not make every task as large as itself
            ResponderEvent::Ended(_) => Box::pin(self.end()).await,
            login => Box::pin(self.handle_login(login)).await,
        }
    }

    async fn handle_mail(&mut self) {
        if matches!(&self.phase, Phase::Bound(bound) if !bound.is_in_order()) {
            self.defer_mail(); // all at once: what is left where it is would be overtaken, and nothing is sent by this
        }
        let Phase::Bound(bound) = &mut self.phase else { return };
        let mail = bound.handle.mailbox.take(bound.room());
        for item in mail {
            match item {
                Mail::Stanza(delivery) => self.send_in_order(delivery),
                Mail::Notice(notice) => Box::pin(self.handle_notice(notice)).await,
            }
        }
        self.send_deferred().await;
    }

    async fn handle_notice(&mut self, notice: Notice) {
        match notice {
            Notice::Conflict => self.stream.fail(StreamCondition::Conflict),
            Notice::AccountGone => self.stream.fail(StreamCondition::NotAuthorized),
            Notice::Shutdown => self.stream.fail(StreamCondition::SystemShutdown),
            Notice::Offline => {
                // looked for when the mailbox is empty: what lies in it may come before what is found
                if let Phase::Bound(bound) = &mut self.phase {
                    bound.looks_again = true;
                }
                return;
            }
            Notice::Ended(predecessor) => {
                if let Phase::Bound(bound) = &mut self.phase {
                    bound.heir_of = bound.heir_of.filter(|(id, _)| *id != predecessor);
                }
                return;
            }
        }
        self.end().await;
    }
}
