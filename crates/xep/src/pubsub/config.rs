//! What a node can be set to (XEP-0060 §8.2 and §16.4.4).

use super::{FORM_NODE_CONFIG, PubSubError};
use crate::forms::{Field, Form, FormType};

/// Who may read a node (XEP-0060 §4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccessModel {
    /// Everybody.
    Open,
    /// Who sees the owner's presence.
    Presence,
    /// Contacts in certain groups of the owner's roster.
    Roster,
    /// The owner, and addresses that the owner lists.
    Whitelist,
}

impl AccessModel {
    const ALL: [Self; 4] = [Self::Open, Self::Presence, Self::Roster, Self::Whitelist];

    /// Returns the word for it in forms.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Presence => "presence",
            Self::Roster => "roster",
            Self::Whitelist => "whitelist",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.as_str() == text)
    }
}

/// How many items a node keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MaxItems {
    /// That many, and not more than the service allows.
    Number(u32),
    /// As many as the service allows.
    Max,
}

impl MaxItems {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "max" => Some(Self::Max),
            number => number.parse().ok().filter(|n| *n > 0).map(Self::Number),
        }
    }

    fn to_text(self) -> String {
        match self {
            Self::Max => "max".to_owned(),
            Self::Number(n) => n.to_string(),
        }
    }

    /// Returns the number of items where the service allows `limit`.
    #[must_use]
    pub fn count(self, limit: u32) -> u32 {
        match self {
            Self::Number(n) => n.min(limit),
            Self::Max => limit,
        }
    }
}

/// When the newest item is sent without a new publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SendLast {
    /// Not at all.
    Never,
    /// To new subscribers.
    OnSub,
    /// To new subscribers, and to subscribers who become available.
    OnSubAndPresence,
}

impl SendLast {
    const ALL: [Self; 3] = [Self::Never, Self::OnSub, Self::OnSubAndPresence];

    /// Returns the word for it in forms.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::OnSub => "on_sub",
            Self::OnSubAndPresence => "on_sub_and_presence",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.as_str() == text)
    }
}

/// To whom replies to an item go (XEP-0060 §12.17).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ItemReply {
    /// Items say nothing of it.
    None,
    /// To its publisher, whom each item names.
    Publisher,
}

impl ItemReply {
    const ALL: [Self; 2] = [Self::None, Self::Publisher];

    /// Returns the word for it in forms.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Publisher => "publisher",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.as_str() == text)
    }
}

/// The settings of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeConfig {
    /// Words for a person.
    pub title: Option<String>,
    /// Namespace of the payloads, as far as the owner tells.
    pub payload_type: Option<String>,
    /// Who may read.
    pub access: AccessModel,
    /// Groups that may read under [`AccessModel::Roster`].
    pub roster_groups: Vec<String>,
    /// How many items are kept.
    pub max_items: MaxItems,
    /// Whether items are kept on disk at all.
    pub persist: bool,
    /// When the newest item is sent by itself.
    pub send_last: SendLast,
    /// Whether notifications are sent.
    pub notify: bool,
    /// Whether notifications hold the payload.
    pub payloads: bool,
    /// Whether subscribers hear of retracted items.
    pub notify_retract: bool,
    /// Whether subscribers hear of the node's end.
    pub notify_delete: bool,
    /// Whether subscribers hear of changed settings.
    pub notify_config: bool,
    /// Whether items name their publisher.
    pub item_reply: ItemReply,
}

impl Default for NodeConfig {
    /// The defaults of a personal service (XEP-0163 §5): the newest item, for those who see the owner's presence.
    fn default() -> Self {
        Self {
            title: None,
            payload_type: None,
            access: AccessModel::Presence,
            roster_groups: Vec::new(),
            max_items: MaxItems::Number(1),
            persist: true,
            send_last: SendLast::OnSubAndPresence,
            notify: true,
            payloads: true,
            notify_retract: true,
            notify_delete: true,
            notify_config: false,
            item_reply: ItemReply::None,
        }
    }
}

/// Longest title, type and group that we keep, in bytes.
const MAX_TEXT_LEN: usize = 256;
/// Groups at most.
const MAX_GROUPS: usize = 32;

impl NodeConfig {
    /// Returns the settings as they become when a form is applied; fields that the form lacks stay as they are.
    ///
    /// # Errors
    ///
    /// [`PubSubError::NotAcceptable`] for a value that we do not offer, or a field that we do not know: the owner must
    /// not believe that a node is closed because of a setting that nobody heeds.
    pub fn apply(&self, form: &Form) -> Result<Self, PubSubError> {
        let mut config = self.clone();
        for field in &form.fields {
            let Some(var) = field.var.as_deref() else { continue };
            if var != "FORM_TYPE" {
                config.set(var, field)?;
            }
        }
        Ok(config)
    }

    /// Checks the conditions of a publication against these settings.
    ///
    /// # Errors
    ///
    /// [`PubSubError::PreconditionNotMet`] when a field asks for another value; [`PubSubError::NotAcceptable`] for a
    /// field or a value that we do not know.
    ///
    /// Source: XEP-0060 §7.1.5.
    pub fn check_preconditions(&self, options: &Form) -> Result<(), PubSubError> {
        if self.apply(options)? == *self { Ok(()) } else { Err(PubSubError::PreconditionNotMet) }
    }

    fn set(&mut self, var: &str, field: &Field) -> Result<(), PubSubError> {
        let bad = PubSubError::NotAcceptable;
        let value = field.values.first().map_or("", String::as_str);
        let text = || match value {
            "" => Ok(None),
            value if value.len() <= MAX_TEXT_LEN => Ok(Some(value.to_owned())),
            _ => Err(bad),
        };
        let boolean = || match value {
            "1" | "true" => Ok(true),
            "0" | "false" => Ok(false),
            _ => Err(bad),
        };
        // What we do not offer may be asked for as long as the value says that it is not wanted.
        let only = |offered: &[&str]| if offered.contains(&value) { Ok(()) } else { Err(bad) };
        match var.strip_prefix("pubsub#").ok_or(bad)? {
            "title" => self.title = text()?,
            "type" => self.payload_type = text()?,
            "access_model" => self.access = AccessModel::parse(value).ok_or(bad)?,
            "roster_groups_allowed" => {
                if field.values.len() > MAX_GROUPS || field.values.iter().any(|g| g.len() > MAX_TEXT_LEN) {
                    return Err(bad);
                }
                self.roster_groups = field.values.clone();
            }
            "max_items" => self.max_items = MaxItems::parse(value).ok_or(bad)?,
            "persist_items" => self.persist = boolean()?,
            "send_last_published_item" => self.send_last = SendLast::parse(value).ok_or(bad)?,
            "deliver_notifications" => self.notify = boolean()?,
            "deliver_payloads" => self.payloads = boolean()?,
            "notify_retract" => self.notify_retract = boolean()?,
            "notify_delete" => self.notify_delete = boolean()?,
            "notify_config" => self.notify_config = boolean()?,
            "publish_model" => only(&["publishers"])?,
            "notification_type" => only(&["headline"])?,
            "node_type" => only(&["leaf"])?,
            "subscribe" => only(&["1", "true"])?,
            "purge_offline" | "presence_based_delivery" | "tempsub" => only(&["0", "false"])?,
            "itemreply" => self.item_reply = ItemReply::parse(value).ok_or(bad)?,
            "item_expire" => only(&["max", "0", ""])?,
            "max_payload_size" | "collection" | "body_xslt" | "dataform_xslt" | "description" | "language" => {}
            _ => return Err(bad),
        }
        Ok(())
    }

    /// Writes the settings as a form of the type given; as [`FormType::Form`] with everything an owner can choose.
    #[must_use]
    pub fn to_form(&self, form_type: FormType) -> Form {
        let flag = |on: bool| if on { "1" } else { "0" };
        let access: Vec<&str> = AccessModel::ALL.iter().map(|m| m.as_str()).collect();
        let last: Vec<&str> = SendLast::ALL.iter().map(|m| m.as_str()).collect();
        let replies: Vec<&str> = ItemReply::ALL.iter().map(|m| m.as_str()).collect();
        let ask = |var: &str, kind: &str, label: &str, value: &str| {
            Field::ask(format!("pubsub#{var}"), kind, label).with_value(value)
        };
        let mut groups = Field::ask("pubsub#roster_groups_allowed", "text-multi", "Groups that may read");
        groups.values.clone_from(&self.roster_groups);
        Form::of_type(form_type, FORM_NODE_CONFIG)
            .with_field(ask("title", "text-single", "Title", self.title.as_deref().unwrap_or("")))
            .with_field(ask(
                "type",
                "text-single",
                "Namespace of the payload",
                self.payload_type.as_deref().unwrap_or(""),
            ))
            .with_field(ask("access_model", "list-single", "Who may read", self.access.as_str()).with_options(&access))
            .with_field(groups)
            .with_field(ask("max_items", "text-single", "Items kept", &self.max_items.to_text()))
            .with_field(ask("persist_items", "boolean", "Keep items", flag(self.persist)))
            .with_field(
                ask("send_last_published_item", "list-single", "Send the newest item", self.send_last.as_str())
                    .with_options(&last),
            )
            .with_field(ask("deliver_notifications", "boolean", "Notify", flag(self.notify)))
            .with_field(ask("deliver_payloads", "boolean", "Notify with payload", flag(self.payloads)))
            .with_field(ask("notify_retract", "boolean", "Notify of retracted items", flag(self.notify_retract)))
            .with_field(ask("notify_delete", "boolean", "Notify of the node's end", flag(self.notify_delete)))
            .with_field(ask("notify_config", "boolean", "Notify of changed settings", flag(self.notify_config)))
            .with_field(
                ask("itemreply", "list-single", "Whom items name", self.item_reply.as_str()).with_options(&replies),
            )
            .with_field(
                ask("publish_model", "list-single", "Who may publish", "publishers").with_options(&["publishers"]),
            )
            .with_field(
                ask("notification_type", "list-single", "Type of message", "headline").with_options(&["headline"]),
            )
    }
}
