//! Who may read a node.

use super::{AccessModel, Affiliation, NodeConfig, PubSubError};

/// How somebody stands to the owner of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reader<'a> {
    /// The reader is the owner.
    pub is_owner: bool,
    /// How the node lists the reader.
    pub affiliation: Affiliation,
    /// The reader sees the owner's presence (`from` or `both` in the owner's roster).
    pub sees_presence: bool,
    /// The groups of the reader in the owner's roster.
    pub groups: &'a [String],
}

impl Reader<'static> {
    /// Somebody of whom the owner knows nothing.
    pub const STRANGER: Self =
        Self { is_owner: false, affiliation: Affiliation::None, sees_presence: false, groups: &[] };
    /// The owner.
    pub const OWNER: Self = Self { is_owner: true, affiliation: Affiliation::Owner, sees_presence: true, groups: &[] };
}

/// Decides whether somebody may read a node and subscribe to it.
///
/// # Errors
///
/// The error that XEP-0060 §6.1.3 and §6.5.9 give for the access model.
pub fn check_access(config: &NodeConfig, reader: Reader<'_>) -> Result<(), PubSubError> {
    if reader.is_owner {
        return Ok(());
    }
    if reader.affiliation == Affiliation::Outcast {
        return Err(PubSubError::Forbidden);
    }
    match config.access {
        AccessModel::Open => Ok(()),
        AccessModel::Presence if reader.sees_presence => Ok(()),
        AccessModel::Presence => Err(PubSubError::PresenceRequired),
        AccessModel::Roster if reader.groups.iter().any(|g| config.roster_groups.contains(g)) => Ok(()),
        AccessModel::Roster => Err(PubSubError::NotInRosterGroup),
        AccessModel::Whitelist if matches!(reader.affiliation, Affiliation::Member | Affiliation::Owner) => Ok(()),
        AccessModel::Whitelist => Err(PubSubError::Closed),
    }
}
