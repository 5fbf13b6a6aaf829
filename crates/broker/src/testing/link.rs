//! A connection between two brokers in the world.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use xmpp::stream::Transport;
use xmpp::time::Moment;

use super::{flag, run, tls};
use crate::Broker;
use crate::federation::{DialRequest, ServerSession};
use crate::session::Then;

/// Whether the server that opens a connection shows a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificates {
    /// It does, and may prove itself by it (SASL EXTERNAL).
    Shown,
    /// It does not, and must prove itself by dialback.
    Hidden,
}

/// A connection between two brokers, with the session at each end.
pub(super) struct Link {
    ends: [End; 2],
}

struct End {
    domain: String,
    session: Option<ServerSession>,
    woken: Arc<AtomicBool>,
}

impl Link {
    /// Makes the connection that `from` asks for. Each shows a certificate for its own domain, unless hidden.
    pub(super) fn dial(from: &Broker, to: &Broker, request: &DialRequest, certificates: Certificates) -> Option<Self> {
        let (near, near_wake) = flag();
        let (far, far_wake) = flag();
        let shown_by = |broker: &Broker| Transport::Tls(tls(Some(&broker.config.domain)));
        let outbound = from.dialled(request, shown_by(to), near_wake)?;
        let inbound = match certificates {
            Certificates::Shown => to.accept_server(shown_by(from), far_wake),
            Certificates::Hidden => to.accept_server(Transport::Tls(tls(None)), far_wake),
        };
        let end = |broker: &Broker, session, woken| End {
            domain: broker.config.domain.clone(),
            session: Some(session),
            woken,
        };
        Some(Self { ends: [end(from, outbound, near), end(to, inbound, far)] })
    }

    pub(super) fn touches(&self, domain: &str) -> bool {
        self.ends.iter().any(|end| end.domain == domain)
    }

    /// The broker of a domain is gone without a word, and the other one has noticed.
    pub(super) fn lose(self, domain: &str) {
        for end in self.ends {
            if let Some(session) = end.session.filter(|_| end.domain != domain) {
                run(session.closed());
            }
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.ends.iter().all(|end| end.session.is_none())
    }

    /// Moves bytes; what the far end answers stays with it while `mute`.
    pub(super) fn pump(&mut self, mute: bool) -> bool {
        let [near, far] = &mut self.ends;
        let sent = near.pump_into(far);
        (!mute && far.pump_into(near)) || sent
    }

    pub(super) fn next_timeout(&self) -> Option<Moment> {
        self.ends.iter().filter_map(|end| end.session.as_ref()?.next_timeout()).min()
    }

    pub(super) fn check_timeout(&mut self, now: Moment) {
        for end in &mut self.ends {
            if let Some(session) = &mut end.session
                && session.next_timeout().is_some_and(|at| at <= now)
            {
                run(session.handle_timeout());
            }
        }
    }
}

impl End {
    fn pump_into(&mut self, there: &mut End) -> bool {
        let Some(session) = &mut self.session else { return false };
        let mut busy = false;
        if self.woken.swap(false, Ordering::AcqRel) {
            run(session.handle_wake());
            busy = true;
        }
        let output = session.take_output();
        if let Some(bytes) = output.bytes {
            busy = true;
            run(session.handle_written());
            if let Some(other) = &mut there.session {
                run(other.handle_bytes(&bytes));
            }
        }
        if output.then == Then::Close {
            for end in [self, there] {
                if let Some(session) = end.session.take() {
                    run(session.closed());
                }
            }
            return true;
        }
        busy
    }
}
