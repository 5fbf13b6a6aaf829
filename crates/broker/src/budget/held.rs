//! [`Held`]: a stanza that waits somewhere, charged to who caused it.

use std::sync::Arc;
use std::time::Duration;

use xmpp::jid::Jid;
use xmpp::time::Moment;
use xmpp::xml::Frame;

use super::{Charge, Scope, Share};
use crate::Core;
use crate::core::Place;

/// Who caused something: the share of bytes of an account or of another domain.
pub(crate) type Source = Arc<Share>;

/// How long a connection is not read whose source holds all the unread input that it may.
const SPENT_PAUSE: Duration = Duration::from_secs(1);

/// What a place in a queue costs beside the stanza.
const SLOT_BYTES: usize = 256;

/// The charge of one stanza in one queue, or its part of a charge for several. Given back when the last part is dropped.
#[derive(Clone, Default)]
pub(crate) enum Held {
    /// Nothing: somebody else holds the charge, as the ticket of a message does.
    #[default]
    Nothing,
    /// Several queues hold the same bytes.
    Joint {
        /// Held, and nothing else.
        _charge: Arc<Charge>,
    },
    /// The budget has no room for it, so no queue takes it.
    Refused,
}

impl Held {
    /// Charges a stanza that lies in so many queues at once; its bytes count once, its places each.
    pub(crate) fn charge(by: &Source, frame: &Frame, queues: usize) -> Self {
        by.charge(cost(frame, queues)).map_or(Self::Refused, |charge| Self::Joint { _charge: Arc::new(charge) })
    }

    /// Charges a stanza that cannot be refused: an answer to one's own question, a row from the disk.
    pub(crate) fn charge_anyway(by: &Source, frame: &Frame) -> Self {
        Self::Joint { _charge: Arc::new(by.charge_anyway(cost(frame, 1))) }
    }

    pub(crate) fn is_refused(&self) -> bool {
        matches!(self, Self::Refused)
    }
}

/// What a stanza costs that lies in so many queues at once.
fn cost(frame: &Frame, queues: usize) -> usize {
    frame.held_bytes().saturating_add(queues.saturating_mul(SLOT_BYTES))
}

/// Input of a connection that is not read to its end, charged to its source.
pub(crate) struct Unread {
    by: Source,
    charge: Option<Charge>,
}

impl Unread {
    pub(crate) fn new(by: Source) -> Self {
        Self { by, charge: None }
    }

    /// So much is held now.
    pub(crate) fn set(&mut self, bytes: usize) {
        match (bytes, &mut self.charge) {
            (0, charge) => *charge = None,
            (bytes, Some(charge)) => charge.set_amount(bytes),
            (bytes, charge) => *charge = Some(self.by.charge_anyway(bytes)),
        }
    }

    /// Until when no more is to be read, because the source holds all that it may.
    pub(crate) fn pause(&self, now: Moment) -> Option<Moment> {
        (self.charge.is_some() && self.by.is_spent()).then(|| now + SPENT_PAUSE)
    }
}

impl Core {
    /// Finds the share of bytes of whoever an address belongs to. Takes a lock: whoever sends often keeps what it returns.
    pub(crate) fn source(&self, jid: &Jid) -> Source {
        match self.place(jid) {
            Place::Account => self.budgets.bytes.share(Scope::Account, jid.bare_str()),
            Place::Remote(domain) => self.budgets.bytes.share(Scope::Domain, self.federation.source_of(domain)),
            Place::Server | Place::Service(_) => self.budgets.bytes.share(Scope::Domain, &self.config.domain),
        }
    }
}
