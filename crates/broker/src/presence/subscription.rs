//! The subscription states of RFC 6121 Appendix A, as pure rules.
//!
//! A state is four facts: the user receives the contact's presence (`to`), the contact receives the user's (`from`), and
//! for either direction whether a request is open. Every row of the tables of Appendix A follows from these.

/// The four kinds of presence that change a subscription (RFC 6121 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Subscribe,
    Subscribed,
    Unsubscribe,
    Unsubscribed,
}

impl Kind {
    /// Reads the `type` of a presence.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Subscribe, Self::Subscribed, Self::Unsubscribe, Self::Unsubscribed]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }

    /// Returns the value of `type`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
            Self::Subscribed => "subscribed",
            Self::Unsubscribe => "unsubscribe",
            Self::Unsubscribed => "unsubscribed",
        }
    }
}

/// What holds between a user and a contact, as the user's server sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct State {
    /// The user receives the contact's presence.
    pub(crate) to: bool,
    /// The contact receives the user's presence.
    pub(crate) from: bool,
    /// The user has asked.
    pub(crate) pending_out: bool,
    /// The contact has asked.
    pub(crate) pending_in: bool,
    /// The user has allowed it before being asked (RFC 6121 §3.4).
    pub(crate) approved: bool,
}

/// What the user's server does with a stanza that the user sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outbound {
    pub(crate) state: State,
    /// It goes on to the contact.
    pub(crate) route: bool,
}

/// What the user's server does with a stanza that the contact sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Inbound {
    pub(crate) state: State,
    /// The user sees it.
    pub(crate) deliver: bool,
    /// The server answers `subscribed` on the user's behalf (RFC 6121 §3.1.3, §3.4.2).
    pub(crate) auto_subscribed: bool,
}

/// The user sends `kind` to the contact (RFC 6121 §A.2).
pub(crate) fn outbound(before: State, kind: Kind) -> Outbound {
    let mut state = before;
    let route = match kind {
        Kind::Subscribe => {
            state.pending_out |= !before.to;
            true
        }
        Kind::Unsubscribe => {
            state.to = false;
            state.pending_out = false;
            true
        }
        Kind::Subscribed => {
            state.from |= before.pending_in;
            state.pending_in = false;
            state.approved |= !before.from && !before.pending_in;
            before.pending_in
        }
        Kind::Unsubscribed => {
            state.from = false;
            state.pending_in = false;
            state.approved = false;
            before.from || before.pending_in
        }
    };
    Outbound { state, route }
}

/// The contact sends `kind` to the user (RFC 6121 §A.3).
pub(crate) fn inbound(before: State, kind: Kind) -> Inbound {
    let mut state = before;
    let mut auto_subscribed = false;
    let deliver = match kind {
        Kind::Subscribe if before.from => {
            auto_subscribed = true;
            false
        }
        Kind::Subscribe if before.approved => {
            state.from = true;
            state.approved = false;
            auto_subscribed = true;
            false
        }
        Kind::Subscribe => {
            state.pending_in = true;
            !before.pending_in
        }
        Kind::Unsubscribe => {
            state.from = false;
            state.pending_in = false;
            before.from || before.pending_in
        }
        Kind::Subscribed => {
            state.to |= before.pending_out;
            state.pending_out = false;
            before.pending_out
        }
        Kind::Unsubscribed => {
            state.to = false;
            state.pending_out = false;
            before.to || before.pending_out
        }
    };
    Inbound { state, deliver, auto_subscribed }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Kind::{Subscribe, Subscribed, Unsubscribe, Unsubscribed};

    /// The nine states by the names of RFC 6121 §A.1.
    fn state(name: &str) -> State {
        let (to, from) = match name.split(' ').next() {
            Some("To") => (true, false),
            Some("From") => (false, true),
            Some("Both") => (true, true),
            _ => (false, false),
        };
        State { to, from, pending_out: name.contains("Out"), pending_in: name.contains("In"), approved: false }
    }

    const STATES: [&str; 9] = ["None", "None Out", "None In", "None OutIn", "To", "To In", "From", "From Out", "Both"];

    #[test]
    fn tables_of_appendix_a_2_outbound() {
        let tables: [(Kind, [(bool, &str); 9]); 4] = [
            // A.2.1
            (
                Subscribe,
                [
                    (true, "None Out"),
                    (true, "None Out"),
                    (true, "None OutIn"),
                    (true, "None OutIn"),
                    (true, "To"),
                    (true, "To In"),
                    (true, "From Out"),
                    (true, "From Out"),
                    (true, "Both"),
                ],
            ),
            // A.2.2
            (
                Unsubscribe,
                [
                    (true, "None"),
                    (true, "None"),
                    (true, "None In"),
                    (true, "None In"),
                    (true, "None"),
                    (true, "None In"),
                    (true, "From"),
                    (true, "From"),
                    (true, "From"),
                ],
            ),
            // A.2.3
            (
                Subscribed,
                [
                    (false, "None"),
                    (false, "None Out"),
                    (true, "From"),
                    (true, "From Out"),
                    (false, "To"),
                    (true, "Both"),
                    (false, "From"),
                    (false, "From Out"),
                    (false, "Both"),
                ],
            ),
            // A.2.4
            (
                Unsubscribed,
                [
                    (false, "None"),
                    (false, "None Out"),
                    (true, "None"),
                    (true, "None Out"),
                    (false, "To"),
                    (true, "To"),
                    (true, "None"),
                    (true, "None Out"),
                    (true, "To"),
                ],
            ),
        ];
        for (kind, rows) in tables {
            for (before, (route, after)) in STATES.into_iter().zip(rows) {
                let mut got = outbound(state(before), kind);
                got.state.approved = false; // §3.4 is beside the tables
                assert_eq!(got, Outbound { state: state(after), route }, "{kind:?} in {before}");
            }
        }
    }

    #[test]
    fn tables_of_appendix_a_3_inbound() {
        let tables: [(Kind, [(bool, &str); 9]); 4] = [
            // A.3.1
            (
                Subscribe,
                [
                    (true, "None In"),
                    (true, "None OutIn"),
                    (false, "None In"),
                    (false, "None OutIn"),
                    (true, "To In"),
                    (false, "To In"),
                    (false, "From"),
                    (false, "From Out"),
                    (false, "Both"),
                ],
            ),
            // A.3.2
            (
                Unsubscribe,
                [
                    (false, "None"),
                    (false, "None Out"),
                    (true, "None"),
                    (true, "None Out"),
                    (false, "To"),
                    (true, "To"),
                    (true, "None"),
                    (true, "None Out"),
                    (true, "To"),
                ],
            ),
            // A.3.3
            (
                Subscribed,
                [
                    (false, "None"),
                    (true, "To"),
                    (false, "None In"),
                    (true, "To In"),
                    (false, "To"),
                    (false, "To In"),
                    (false, "From"),
                    (true, "Both"),
                    (false, "Both"),
                ],
            ),
            // A.3.4
            (
                Unsubscribed,
                [
                    (false, "None"),
                    (true, "None"),
                    (false, "None In"),
                    (true, "None In"),
                    (true, "None"),
                    (true, "None In"),
                    (false, "From"),
                    (true, "From"),
                    (true, "From"),
                ],
            ),
        ];
        for (kind, rows) in tables {
            for (before, (deliver, after)) in STATES.into_iter().zip(rows) {
                let got = inbound(state(before), kind);
                let auto_subscribed = kind == Subscribe && state(before).from;
                assert_eq!(got, Inbound { state: state(after), deliver, auto_subscribed }, "{kind:?} in {before}");
            }
        }
    }

    #[test]
    fn what_was_allowed_before_is_granted_at_once() {
        let allowed = outbound(State::default(), Subscribed);
        assert!(allowed.state.approved && !allowed.route);
        let asked = inbound(allowed.state, Subscribe);
        assert!(asked.auto_subscribed && !asked.deliver && asked.state.from && !asked.state.approved);
        let withdrawn = outbound(allowed.state, Unsubscribed);
        assert_eq!(withdrawn, Outbound { state: State::default(), route: false });
    }
}
