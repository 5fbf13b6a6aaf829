//! Which mechanism a client uses, and with which channel binding.
//!
//! The rule is simple and has no fallback: whenever the connection *can* be bound, it must be. What an attacker
//! between the ends can do by editing the offer is make the login fail.

use super::{BindingType, ChannelBindings, Mechanism, Offer};

/// What the client knows and allows beyond the offer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Policy {
    /// This account has logged in by SCRAM before: an offer without it is reported as an attack, not as an old server.
    pub scram_seen: bool,
    /// Binding types that this server has refused on a connection just before. Filled only where the server offers
    /// `-PLUS` but no list of types (XEP-0440 is newer than `-PLUS`), so that the next type can be tried.
    pub refused: Refused,
    /// The user has accepted, for this account, to log in without channel binding.
    pub danger_no_binding: bool,
}

/// Binding types that were tried and refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refused {
    /// `tls-exporter` was refused.
    pub exporter: bool,
    /// `tls-server-end-point` was refused.
    pub server_end_point: bool,
}

impl Refused {
    /// Adds a type.
    #[must_use]
    pub fn with(mut self, binding: BindingType) -> Refused {
        match binding {
            BindingType::Exporter => self.exporter = true,
            BindingType::ServerEndPoint => self.server_end_point = true,
        }
        self
    }

    fn contains(self, binding: BindingType) -> bool {
        match binding {
            BindingType::Exporter => self.exporter,
            BindingType::ServerEndPoint => self.server_end_point,
        }
    }
}

/// How a login is bound to the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    /// `p=`: bound by this type.
    Type(BindingType),
    /// `y`: we would bind, the server offers nothing of the kind. A server that did offer it will notice.
    NotOffered,
    /// `n`: the two ends have no type in common.
    Unsupported,
}

/// What to log in with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selection {
    /// The mechanism.
    pub mechanism: Mechanism,
    /// Its channel binding.
    pub binding: Binding,
    /// Whether the login must stop unless the server proves its offer (XEP-0474): set where the offer is why
    /// we do not bind.
    pub offer_must_be_proven: bool,
    /// Whether the server listed its binding types; where not, a refusal may mean the type, not the password.
    pub types_announced: bool,
}

/// Why no mechanism can be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SelectError {
    /// The server offers no SCRAM that we speak.
    NoScram,
    /// It offered SCRAM before, to this account: somebody removed it.
    ScramWithdrawn,
    /// Binding types are announced but no mechanism that could use them: somebody removed those (XEP-0440 §3 rule 5).
    PlusStripped,
    /// The server offers `-PLUS` without a list, and has refused every type that we can do.
    EveryBindingRefused,
}

impl std::fmt::Display for SelectError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            SelectError::NoScram => "the server offers no login method that protects the password",
            SelectError::ScramWithdrawn => "the server used to offer a safe login method and no longer does",
            SelectError::PlusStripped => "the list of login methods was edited on the way",
            SelectError::EveryBindingRefused => {
                "the server refused to bind the login to this connection by tls-exporter and by tls-server-end-point"
            }
        })
    }
}

impl std::error::Error for SelectError {}

/// Chooses by the offer, what this connection can do, and the policy.
///
/// # Errors
///
/// [`SelectError`] when every choice left would be weaker than what both ends can do.
///
/// Source: XEP-0440 §3, XEP-0474 §7, RFC 5802 §6.
pub fn select(offer: &Offer, ours: &ChannelBindings, policy: Policy) -> Result<Selection, SelectError> {
    let types_announced = offer.bindings.is_some();
    let choose = |plus: bool, binding: Binding, offer_must_be_proven: bool| {
        let mechanism = strongest(offer, plus).ok_or(if policy.scram_seen {
            SelectError::ScramWithdrawn
        } else {
            SelectError::NoScram
        })?;
        Ok(Selection { mechanism, binding, offer_must_be_proven, types_announced })
    };
    if ours.types().next().is_none() {
        return choose(false, Binding::Unsupported, false);
    }
    if !offer.has_plus() {
        return match types_announced && !policy.danger_no_binding {
            true => Err(SelectError::PlusStripped),
            false => choose(false, Binding::NotOffered, false),
        };
    }
    let usable = ours.types().find(|binding| match types_announced {
        true => offer.has_binding(*binding),
        false => !policy.refused.contains(*binding),
    });
    match usable {
        // a server may offer -PLUS only for hashes that we do not speak; then we cannot bind
        Some(binding) if strongest(offer, true).is_some() => choose(true, Binding::Type(binding), false),
        None if !types_announced && !policy.danger_no_binding => Err(SelectError::EveryBindingRefused),
        _ => choose(false, Binding::Unsupported, !policy.danger_no_binding),
    }
}

fn strongest(offer: &Offer, plus: bool) -> Option<Mechanism> {
    let offered = |mechanism: &Mechanism| offer.mechanisms.iter().any(|name| name == mechanism.name());
    Mechanism::ALL.into_iter().find(|mechanism| mechanism.plus == plus && offered(mechanism))
}
