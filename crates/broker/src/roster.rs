//! Rosters: contacts as their owner sees them (RFC 6121 §2).

use std::fmt;

use prost::Message;
use store::{StoreError, Value};
use xmpp::jid::BareJid;
use xmpp::ns;
use xmpp::stanza::{self, Condition, StanzaError};
use xmpp::xml::Element;

use crate::Core;
use crate::iq::{IqKind, IqOutcome, IqRequest};
use crate::tables::{ROSTER, RosterRow};

/// Longest name of a contact or a group, in bytes.
const NAME_BYTES_MAX: usize = 1023;
/// Most groups of one contact.
const GROUPS_MAX: usize = 64;

/// Why a roster was not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RosterError {
    /// The request is not of the right form.
    Malformed,
    /// A name is too long, or there are too many groups (RFC 6121 §2.3.3).
    NotAcceptable,
    /// Only the owner may see and change a roster.
    Forbidden,
    /// There is no such contact to remove.
    NotFound,
    /// The roster is full.
    Full,
    /// The machine.
    Store(StoreError),
}

impl From<StoreError> for RosterError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for RosterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(StanzaError::from(self).condition.as_str())
    }
}

impl std::error::Error for RosterError {}

impl From<&RosterError> for StanzaError {
    fn from(error: &RosterError) -> Self {
        Self::new(match error {
            RosterError::Malformed => Condition::BadRequest,
            RosterError::NotAcceptable => Condition::NotAcceptable,
            RosterError::Forbidden => Condition::Forbidden,
            RosterError::NotFound => Condition::ItemNotFound,
            RosterError::Full => Condition::ResourceConstraint,
            RosterError::Store(_) => Condition::InternalServerError,
        })
    }
}

/// Answers roster requests.
pub(crate) async fn handle(core: &Core, request: &IqRequest<'_>) -> IqOutcome {
    if !request.is("query", ns::ROSTER) {
        return IqOutcome::NotMine;
    }
    let outcome = if !request.is_own_account() {
        Err(RosterError::Forbidden)
    } else if request.kind == IqKind::Get {
        get(core, request).await
    } else {
        set(core, request).await
    };
    match outcome {
        Ok(child) => IqOutcome::Result(child),
        Err(error) => IqOutcome::Error(StanzaError::from(&error)),
    }
}

async fn get(core: &Core, request: &IqRequest<'_>) -> Result<Option<Element>, RosterError> {
    if let Some(session) = core.registry.session(request.from) {
        session.set_interested();
    }
    let rows = load_all(core, request.from.bare_str()).await?;
    let items = rows.iter().filter(|row| row.listed).map(item_element);
    Ok(Some(Element::new("query", ns::ROSTER).with_children(items)))
}

async fn set(core: &Core, request: &IqRequest<'_>) -> Result<Option<Element>, RosterError> {
    let mut items = request.payload.children().filter(|c| c.is("item", ns::ROSTER));
    let (Some(item), None) = (items.next(), items.next()) else { return Err(RosterError::Malformed) };
    let contact = item.attr("jid").and_then(|jid| BareJid::parse(jid).ok()).ok_or(RosterError::Malformed)?;
    let account = request.from.bare();
    if item.attr("subscription") == Some("remove") {
        return remove(core, &account, &contact).await;
    }
    if contact == account {
        return Err(RosterError::NotAcceptable);
    }
    let (name, groups) = parse_item(item)?;
    let (before, after) = update(core, account.as_str(), contact.as_str(), |row| {
        let mut row = row.unwrap_or_else(|| RosterRow { jid: contact.as_str().to_owned(), ..RosterRow::default() });
        let before = row.clone();
        // everything but name and groups is for the server to say (RFC 6121 §2.1.2)
        row.name.clone_from(&name);
        row.groups.clone_from(&groups);
        row.listed = true;
        (Change::Put(row.clone()), (before, row))
    })
    .await?;
    if before.groups != after.groups {
        // what cannot be read now is not sent, and clients ask for what they need
        let _ = Box::pin(crate::pep::groups_changed(core, &account, before, after)).await;
    }
    Ok(None)
}

fn parse_item(item: &Element) -> Result<(Option<String>, Vec<String>), RosterError> {
    let name = item.attr("name").filter(|name| !name.is_empty()).map(str::to_owned);
    let groups: Vec<String> = item.children().filter(|c| c.is("group", ns::ROSTER)).map(Element::text).collect();
    let is_fit = |text: &String| text.len() <= NAME_BYTES_MAX;
    if !name.iter().chain(&groups).all(is_fit) || groups.len() > GROUPS_MAX || groups.iter().any(String::is_empty) {
        return Err(RosterError::NotAcceptable);
    }
    let distinct: std::collections::HashSet<&String> = groups.iter().collect();
    if distinct.len() != groups.len() {
        return Err(RosterError::Malformed); // RFC 6121 §2.3.3
    }
    Ok((name, groups))
}

async fn remove(core: &Core, account: &BareJid, contact: &BareJid) -> Result<Option<Element>, RosterError> {
    let before = update(core, account.as_str(), contact.as_str(), |row| match row {
        Some(row) if row.listed => (Change::Delete, Some(row.state())),
        _ => (Change::Nothing, None),
    })
    .await?;
    let before = before.ok_or(RosterError::NotFound)?;
    // boxed: the other side may be one of ours, whose roster changes in turn
    Box::pin(crate::presence::part(core, account, contact, before)).await;
    Ok(None)
}

/// What becomes of a row.
pub(crate) enum Change {
    Nothing,
    Put(RosterRow),
    Delete,
}

/// Reads one contact of an account.
pub(crate) async fn load(core: &Core, account: &str, contact: &str) -> Result<Option<RosterRow>, StoreError> {
    let value = core.store.get(&ROSTER.row(account.as_bytes(), contact.as_bytes())).await?;
    value.as_ref().map(decode).transpose()
}

/// Reads all contacts of an account, in no useful order; also those that the user does not see. The account is charged for
/// it: whoever asks for a long list again and again waits.
pub(crate) async fn load_all(core: &Core, account: &str) -> Result<Vec<RosterRow>, StoreError> {
    let rows = core.store.list(ROSTER, account.as_bytes()).await?;
    core.charge_work_of(account, rows.len(), rows.iter().map(|(_, value)| value.len()).sum());
    rows.iter().map(|(_, value)| decode(value)).collect()
}

fn decode(value: &Value) -> Result<RosterRow, StoreError> {
    RosterRow::decode(value.as_slice()).map_err(|_| StoreError::Altered)
}

/// Changes one contact: loads, decides, commits, and then tells the interested resources (RFC 6121 §2.1.6).
///
/// Those who change the roster of one account do so one after the other. `decide` may be called several times all the
/// same, when another process was faster.
///
/// # Errors
///
/// [`RosterError::Full`] when there would be too many contacts or open requests; [`RosterError::Store`].
pub(crate) async fn update<R>(
    core: &Core,
    account: &str,
    contact: &str,
    mut decide: impl FnMut(Option<RosterRow>) -> (Change, R),
) -> Result<R, RosterError> {
    let key = ROSTER.row(account.as_bytes(), contact.as_bytes());
    let _turn = core.turns.take(ROSTER, account).await;
    loop {
        let as_read = core.store.get(&key).await?;
        let row = as_read.as_ref().map(decode).transpose()?;
        let was_listed = row.as_ref().is_some_and(|row| row.listed);
        let len_before = row.as_ref().map_or(0, |row| row.encoded_len());
        let (change, result) = decide(row);
        let mut transaction = core.store.transaction();
        transaction.expect(&key, as_read.as_ref());
        let push = match change {
            Change::Nothing => return Ok(result),
            Change::Put(row) => {
                if row.encoded_len() > len_before || row.listed != was_listed {
                    check_room(core, account, &row).await?;
                }
                transaction.put(&key, row.encode_to_vec());
                (row.listed || was_listed).then(|| item_element(&row))
            }
            Change::Delete => {
                transaction.delete(&key);
                let removed = Element::new("item", ns::ROSTER).with_attr("jid", contact);
                was_listed.then(|| removed.with_attr("subscription", "remove"))
            }
        };
        match transaction.commit().await {
            Ok(()) => {
                if let Some(item) = push {
                    self::push(core, account, item);
                }
                return Ok(result);
            }
            Err(StoreError::Conflict) => {} // another process was faster
            Err(error) => return Err(error.into()),
        }
    }
}

/// Refuses one contact, or one open request, too many, and what makes all of them together too large.
async fn check_room(core: &Core, account: &str, row: &RosterRow) -> Result<(), RosterError> {
    let rows = load_all(core, account).await?;
    let same_kind = rows.iter().filter(|other| other.listed == row.listed && other.jid != row.jid);
    let (count, bytes) = same_kind.fold((0, 0), |(count, bytes), other| (count + 1, bytes + other.encoded_len()));
    let limits = &core.config.limits;
    let max = if row.listed { limits.roster_items } else { limits.pending_requests };
    let is_full = count >= max || bytes + row.encoded_len() > limits.roster_bytes;
    if is_full { Err(RosterError::Full) } else { Ok(()) }
}

/// Tells the interested resources about one contact. Without `from`, so that it cannot come from anybody else
/// (RFC 6121 §2.1.6, attack row X03).
fn push(core: &Core, account: &str, item: Element) {
    let query = Element::new("query", ns::ROSTER).with_child(item);
    for session in core.registry.sessions(account, crate::SessionHandle::is_interested) {
        let id = core.env.random_id();
        let iq = stanza::iq("set", &id, Some(session.jid.as_str()), query.clone());
        crate::route::deliver(&session, &iq);
    }
}

/// Writes a contact as its owner sees it (RFC 6121 §2.1.2).
fn item_element(row: &RosterRow) -> Element {
    let subscription = match (row.to, row.from) {
        (false, false) => "none",
        (true, false) => "to",
        (false, true) => "from",
        (true, true) => "both",
    };
    Element::new("item", ns::ROSTER)
        .with_attr("jid", row.jid.as_str())
        .with_attr_opt("name", row.name.as_deref())
        .with_attr("subscription", subscription)
        .with_attr_opt("ask", row.pending_out.then_some("subscribe"))
        .with_attr_opt("approved", row.approved.then_some("true"))
        .with_children(row.groups.iter().map(|group| Element::new("group", ns::ROSTER).with_text(group)))
}
