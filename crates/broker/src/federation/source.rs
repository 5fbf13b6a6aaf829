//! [`Sources`]: who makes the broker reach another server, and may make it hold so many connections.
//!
//! A way to another server is charged to whoever caused it: the account that sends there, or the connection and the
//! network on which a dialback key was presented; and always to the registered domain that it leads to, so that many
//! sub-domains are no more than one; names that anybody makes out of a key are one too, until somebody here knows them. What nobody in particular caused (answers, and what an account publishes) is the
//! domain's alone. One descriptor is charged as long as the way is there, one dial while it is being made; the latter
//! is waited for.

use std::sync::Arc;

use xmpp::jid::Jid;
use xmpp::xml::Frame;

use super::Federation;
use super::peers::Peers;
use crate::budget::{Budget, Charge, Refusal, Scope, Share};
use crate::{Broker, Core};

/// Under this name all brokers are charged together that name themselves and that nobody here knows.
pub(crate) const STRANGERS: &str = "local";

/// What one source may hold of the descriptors, however many there are.
const fn most(scope: Scope) -> usize {
    match scope {
        Scope::Connection => 16,
        Scope::Network | Scope::Account => 128,
        Scope::Domain => 64,
    }
}

/// One source, with its shares of both budgets.
#[derive(Clone)]
struct Source {
    descriptors: Arc<Share>,
    dials: Arc<Share>,
}

impl Source {
    fn named(core: &Core, scope: Scope, name: &str) -> Self {
        let descriptors = &core.budgets.descriptors;
        Self {
            descriptors: descriptors.share_of(scope, name, divisor(descriptors, scope)),
            dials: core.budgets.dials.share(scope, name),
        }
    }

    fn connection(core: &Core) -> Self {
        let descriptors = &core.budgets.descriptors;
        Self {
            descriptors: descriptors.own_share_of(Scope::Connection, divisor(descriptors, Scope::Connection)),
            dials: core.budgets.dials.own_share(Scope::Connection),
        }
    }
}

/// So that a source gets [`most`] of a large budget, and its usual part of a small one.
fn divisor(descriptors: &Budget, scope: Scope) -> usize {
    scope.divisor().max(descriptors.level().capacity.div_ceil(most(scope)))
}

/// All who answer for a way to another server; the first is who caused it.
#[derive(Clone)]
pub(super) struct Sources(Vec<Source>);

impl Sources {
    /// A stanza of ours for `remote` caused it.
    pub(super) fn of_stanza(core: &Core, frame: &Frame, remote: &str) -> Self {
        let domain = Source::named(core, Scope::Domain, core.federation.source_of(remote));
        match account_of(core, frame) {
            Some(account) => Self(vec![Source::named(core, Scope::Account, &account), domain]),
            None => Self(vec![domain]),
        }
    }

    /// Holds one descriptor in the name of all.
    pub(super) fn charge_descriptor(&self) -> Result<Charge, Refusal> {
        self.charge(|source| &source.descriptors)
    }

    /// Whether one more dial could be charged now.
    pub(super) fn may_dial(&self) -> bool {
        self.0.iter().all(|source| !source.dials.is_spent())
    }

    /// Holds one dial in the name of all.
    pub(super) fn charge_dial(&self) -> Result<Charge, Refusal> {
        self.charge(|source| &source.dials)
    }

    fn charge(&self, share: impl Fn(&Source) -> &Arc<Share>) -> Result<Charge, Refusal> {
        let (first, others) = self.0.split_first().ok_or(Refusal::Whole)?;
        others.iter().try_fold(share(first).charge(1)?, |charge, source| charge.also(share(source)))
    }
}

/// Where an incoming connection comes from; what its claims make us do is charged to it.
pub(super) struct Origin(Vec<Source>);

impl Origin {
    pub(super) fn new(core: &Core, network: Option<&str>) -> Self {
        let network = network.map(|network| Source::named(core, Scope::Network, network));
        Self(std::iter::once(Source::connection(core)).chain(network).collect())
    }

    /// A dialback key that was presented here, as one of `remote`, caused it.
    pub(super) fn sources(&self, core: &Core, remote: &str) -> Sources {
        let domain = Source::named(core, Scope::Domain, core.federation.source_of(remote));
        Sources(self.0.iter().cloned().chain(std::iter::once(domain)).collect())
    }
}

impl Broker {
    /// Holds the descriptor of a connection that somebody has opened, in the name of where it comes from; `None` when
    /// there is no room for it. Clients hand it on with [`Broker::signed_in`].
    #[must_use]
    pub fn arrival(&self, network: Option<&str>) -> Option<Charge> {
        Sources(Origin::new(self.core(), network).0).charge_descriptor().ok()
    }

    /// The connection is an account's from now on, and so is its descriptor.
    #[must_use]
    pub fn signed_in(&self, descriptor: Charge, account: &str) -> Charge {
        descriptor.hand_to(&Source::named(self.core(), Scope::Account, account).descriptors)
    }
}

/// Returns the account whose client has sent a stanza, if one has. What is sent in the name of an account without its
/// doing (an answer, a notice of its personal service) is not its fault.
fn account_of(core: &Core, frame: &Frame) -> Option<String> {
    let kind = frame.attr("type");
    let kind = kind.as_deref().unwrap_or_default();
    let from = Jid::parse(&frame.attr("from")?).ok()?;
    let is_clients = if from.is_bare() {
        frame.name() == "presence" && matches!(kind, "subscribe" | "unsubscribe")
    } else {
        !matches!(kind, "error" | "result") && core.registry.session(&from).is_some()
    };
    is_clients.then(|| from.bare_str().to_owned())
}

impl Federation {
    /// Returns the name under which a domain is charged: the one that somebody has registered (public suffixes, private
    /// ones included), because its owner makes as many names in it as they like; the whole name where there is none.
    ///
    /// A name that a key makes itself (`xep::peer`) costs nothing, so all that nobody here has introduced and no operator
    /// has added are one source, [`STRANGERS`].
    pub(crate) fn source_of<'a>(&self, domain: &'a str) -> &'a str {
        self.peers.source_of(domain)
    }
}

impl Peers {
    /// See [`Federation::source_of`].
    pub(super) fn source_of<'a>(&self, domain: &'a str) -> &'a str {
        let registered = registered_domain(domain);
        let is_stranger = is_self_made(domain) && !self.knows(domain) && !self.knows(registered);
        if is_stranger { STRANGERS } else { registered }
    }
}

/// Whether a name is of the kind that keys make themselves: no registry gives it away.
pub(crate) fn is_self_made(domain: &str) -> bool {
    domain.rsplit('.').next() == Some(STRANGERS)
}

/// Returns the domain that somebody has registered, of a name in it; the whole name where there is none.
pub(crate) fn registered_domain(domain: &str) -> &str {
    psl::domain_str(domain).unwrap_or(domain)
}
