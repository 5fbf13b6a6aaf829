//! Questions to the broker itself: who answers which.
//!
//! A service is a module with `async fn handle(core: &Core, request: &IqRequest<'_>) -> IqOutcome`. Services are asked
//! one below the other in `dispatch`; the first that does not say [`IqOutcome::NotMine`] has answered. The caller
//! wraps the outcome into the reply, so a service never sees ids and addresses of the answer.

use xmpp::jid::{BareJid, Jid};
use xmpp::stanza::{Condition, StanzaError};
use xmpp::xml::Element;

use crate::Core;

/// Whether a question changes something (RFC 6120 §8.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IqKind {
    /// It only asks.
    Get,
    /// It changes something.
    Set,
}

/// Whom a question is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IqTarget {
    /// An account of ours, on whose behalf the server answers (RFC 6121 §8.5.2.1.3). It may not exist.
    Account(BareJid),
    /// The server itself.
    Server,
    /// A service on a sub-domain of ours: the name in front of our domain, such as `upload`.
    Service(String),
}

/// One question that the broker answers itself.
#[derive(Debug)]
pub struct IqRequest<'a> {
    /// Who asks; stamped or checked, so it is true.
    pub from: &'a Jid,
    /// The asker is signed in here (and not on another server).
    pub is_local: bool,
    /// Whom it is for.
    pub target: IqTarget,
    /// Whether it changes something.
    pub kind: IqKind,
    /// The `id` of the stanza.
    pub id: &'a str,
    /// The child of the stanza: what is asked.
    pub payload: &'a Element,
}

impl IqRequest<'_> {
    /// Tells whether somebody asks about his own account.
    #[must_use]
    pub fn is_own_account(&self) -> bool {
        matches!(&self.target, IqTarget::Account(account) if account.as_str() == self.from.bare_str())
    }

    /// Tells whether the payload is the element `name` of `ns`.
    #[must_use]
    pub fn is(&self, name: &str, ns: &str) -> bool {
        self.payload.is(name, ns)
    }
}

/// What a service says to a question.
#[derive(Debug, Clone, PartialEq)]
pub enum IqOutcome {
    /// The answer, with its child if it has one.
    Result(Option<Element>),
    /// No.
    Error(StanzaError),
    /// Another service's matter.
    NotMine,
}

impl From<Condition> for IqOutcome {
    fn from(condition: Condition) -> Self {
        Self::Error(StanzaError::new(condition))
    }
}

/// Asks the services, one below the other.
///
/// What nobody knows is `service-unavailable` (RFC 6120 §8.4), which is also what an account that does not exist says,
/// so that nobody learns from it which accounts do.
pub(crate) async fn dispatch(core: &Core, request: &IqRequest<'_>) -> IqOutcome {
    macro_rules! ask {
        ($($service:path),* $(,)?) => {
            $(
                // boxed: a service may route, and what it routes may be a question
                let outcome = Box::pin($service(core, request)).await;
                if outcome != IqOutcome::NotMine {
                    return outcome;
                }
            )*
        };
    }
    ask!(
        crate::roster::handle,
        crate::pep::handle,
        crate::discovery::handle,
        crate::accounts::registration::handle,
        crate::invites::handle,
        crate::upload::handle,
        crate::federation::handle,
        crate::small::handle,
    );
    Condition::ServiceUnavailable.into()
}
