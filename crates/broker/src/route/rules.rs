//! RFC 6121 §8.5 as one table: what becomes of a message for an account of ours.
//!
//! Where the RFC leaves a choice: a message to the bare address goes to *all* resources of non-negative priority, because
//! each device holds its own keys and the broker cannot know which one its owner will look at; what nobody can take is
//! kept (chat, normal) or bounced (groupchat); headlines and errors are dropped.

use xmpp::stanza::Condition;

/// The type of a message (RFC 6121 §5.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessageType {
    Normal,
    Chat,
    Groupchat,
    Headline,
    Error,
}

impl MessageType {
    /// Reads the attribute; what is unknown or absent is `normal`.
    pub(crate) fn of(text: Option<&str>) -> Self {
        match text {
            Some("chat") => Self::Chat,
            Some("groupchat") => Self::Groupchat,
            Some("headline") => Self::Headline,
            Some("error") => Self::Error,
            _ => Self::Normal,
        }
    }
}

/// Whom a message is addressed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Addressed {
    /// The account.
    Bare,
    /// A resource that is connected.
    Resource,
    /// A resource that is not.
    MissingResource,
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// To the resource that it is addressed to.
    ToResource,
    /// To all resources of non-negative priority.
    ToAll,
    /// To the offline store, if the account exists; otherwise back.
    Keep,
    /// Back to the sender.
    Bounce(Condition),
    /// Nowhere.
    Drop,
}

/// Decides (RFC 6121 §8.5.4, table 1). `takers`: whether any resource has a non-negative priority.
pub(crate) fn fate(addressed: Addressed, message_type: MessageType, takers: bool) -> Fate {
    use Addressed::{Bare, MissingResource, Resource};
    use MessageType::{Chat, Error, Groupchat, Headline, Normal};
    match (addressed, message_type) {
        (Resource, _) => Fate::ToResource,
        (Bare | MissingResource, Error) | (MissingResource, Headline) => Fate::Drop,
        (Bare | MissingResource, Groupchat) | (MissingResource, Normal) => Fate::Bounce(Condition::ServiceUnavailable),
        (Bare, Normal | Chat) | (MissingResource, Chat) if takers => Fate::ToAll,
        (Bare, Normal | Chat) | (MissingResource, Chat) => Fate::Keep,
        (Bare, Headline) if takers => Fate::ToAll,
        (Bare, Headline) => Fate::Drop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Addressed::{Bare, MissingResource, Resource};
    use Fate::{Bounce, Drop, Keep, ToAll, ToResource};
    use MessageType::{Chat, Error, Groupchat, Headline, Normal};

    /// RFC 6121 §8.5.4, table 1, row by row; errors by §8.5.2.1.1, §8.5.2.2.1 and §8.5.3.2.1.
    #[test]
    fn table_1_of_rfc_6121() {
        const E: Fate = Bounce(Condition::ServiceUnavailable);
        let types = [Normal, Chat, Groupchat, Headline, Error];
        let rows = [
            // no active resources, or only ones of negative priority
            (Bare, false, [Keep, Keep, E, Drop, Drop]),
            (MissingResource, false, [E, Keep, E, Drop, Drop]),
            (Resource, false, [ToResource; 5]),
            // resources of non-negative priority
            (Bare, true, [ToAll, ToAll, E, ToAll, Drop]),
            (MissingResource, true, [E, ToAll, E, Drop, Drop]),
            (Resource, true, [ToResource; 5]),
        ];
        for (addressed, takers, fates) in rows {
            for (message_type, expected) in types.into_iter().zip(fates) {
                let got = fate(addressed, message_type, takers);
                assert_eq!(got, expected, "{addressed:?} {message_type:?} takers: {takers}");
            }
        }
    }

    #[test]
    fn an_unknown_type_is_normal() {
        assert_eq!(MessageType::of(Some("shout")), Normal);
        assert_eq!(MessageType::of(None), Normal);
        assert_eq!(MessageType::of(Some("error")), Error);
    }
}
