//! Messages for people who are away (XEP-0160), sealed under a key per day.
//!
//! A row is written before anybody is told that the message is safe, and deleted only when its receiver has it for good:
//! acknowledged (XEP-0198), or written to the socket of a client that does not speak XEP-0198. So a client that is killed
//! while its old connection still looks alive loses nothing: the rows are still there at its next sign-in. They are handed
//! out with the time at which they came (XEP-0203).

mod quota;
mod writer;

use prost::Message;
use store::{Day, Direction, StoreError};
use xmpp::ns;
use xmpp::time::Timestamp;
use xmpp::xml::{Element, Frame, Limits, StreamScanner, Token};

use crate::Core;
use crate::tables::{OFFLINE, OfflineRow};
use quota::Room;
use writer::Change;
pub(crate) use writer::Writer;

/// Namespace of delayed delivery (XEP-0203).
const NS_DELAY: &str = "urn:xmpp:delay";
/// Namespace of message processing hints (XEP-0334).
const NS_HINTS: &str = "urn:xmpp:hints";
/// Namespace of chat states (XEP-0085), which mean nothing later.
const NS_CHAT_STATES: &str = "http://jabber.org/protocol/chatstates";

/// What became of a message for somebody who is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It lies in this row.
    Row(u64),
    /// It is not of the kind that is kept.
    NotWorth,
    /// There is no such account.
    NoAccount,
    /// The account's queue is full, or the part of it that one sender or one domain may fill.
    Full,
}

/// Tells whether a message would mean something later (XEP-0160 §3, XEP-0334 §4).
#[must_use]
pub fn is_worth_keeping(message: &Frame) -> bool {
    let mut content = false;
    for child in message.root().children() {
        match (child.name(), child.ns()) {
            ("no-store", NS_HINTS) => return false,
            ("store", NS_HINTS) => return true,
            (_, NS_HINTS | NS_CHAT_STATES) | ("thread", _) => {}
            _ => content = true,
        }
    }
    content
}

/// Keeps a message.
///
/// # Errors
///
/// What the store says; nothing was written then.
pub(crate) async fn keep(core: &Core, account: &str, message: &Frame) -> Result<Kept, StoreError> {
    let kept = keep_all(core, account, vec![ToKeep { frame: message.clone(), after: None }]).await?;
    Ok(kept.first().copied().unwrap_or(Kept::NotWorth))
}

/// A message to keep.
pub(crate) struct ToKeep {
    pub(crate) frame: Frame,
    /// The row that it comes right after, ahead of all that were written since: it was routed then, and lost. None for
    /// the end of the queue.
    pub(crate) after: Option<u64>,
}

/// Returns the number of the newest row of an account; 0 when there is none.
///
/// # Errors
///
/// What the store says.
pub(crate) async fn newest(core: &Core, account: &str) -> Result<u64, StoreError> {
    let rows = core.store.scan_seq(OFFLINE, account.as_bytes(), .., Direction::Backward, 1).await?;
    Ok(rows.first().map_or(0, |(seq, _)| *seq))
}

/// Keeps messages of one account in one commit; says for each what became of it.
///
/// # Errors
///
/// What the store says; nothing was written then.
pub(crate) async fn keep_all(core: &Core, account: &str, messages: Vec<ToKeep>) -> Result<Vec<Kept>, StoreError> {
    // first, so that a message that leaves no trace does not tell either whether the account exists
    if !messages.iter().any(|message| is_worth_keeping(&message.frame)) {
        return Ok(vec![Kept::NotWorth; messages.len()]);
    }
    if !core.account_exists(account).await? {
        return Ok(vec![Kept::NoAccount; messages.len()]);
    }
    let at = core.date().as_millis();
    writer::make(core, account, Change::Keep(messages, at)).await
}

/// A message that was kept, ready to be sent.
pub(crate) struct Waiting {
    pub(crate) seq: u64,
    pub(crate) frame: Frame,
}

/// Rows that are read at once.
const PAGE: usize = 10;

/// Reads the next messages after row `after`, oldest first, stamped with the time at which they came: `count_max` of
/// them, fewer where they have more than `bytes_max` bytes, and at least one if there is one.
///
/// # Errors
///
/// What the store says.
pub(crate) async fn read(
    core: &Core,
    account: &str,
    after: u64,
    count_max: usize,
    bytes_max: usize,
) -> Result<Vec<Waiting>, StoreError> {
    let mut waiting = Vec::new();
    let (mut from, mut bytes) = (after.saturating_add(1), 0_usize);
    while waiting.len() < count_max && bytes < bytes_max {
        let page = PAGE.min(count_max - waiting.len());
        let rows = core.store.scan_seq(OFFLINE, account.as_bytes(), from.., Direction::Forward, page).await?;
        let is_last = rows.len() < page;
        for (seq, value) in rows {
            let row = OfflineRow::decode(value.as_slice()).map_err(|_| StoreError::Altered)?;
            let frame = parse_stanza(&row.stanza).ok_or(StoreError::Altered)?;
            let delay = Element::new("delay", NS_DELAY)
                .with_attr("from", core.config.domain.as_str())
                .with_attr("stamp", Timestamp::from_millis(row.at).to_xep0082());
            let frame = frame.splice().append(&delay).finish();
            from = seq.saturating_add(1);
            if !waiting.is_empty() && bytes.saturating_add(frame.len()) > bytes_max {
                return Ok(waiting);
            }
            bytes = bytes.saturating_add(frame.len());
            waiting.push(Waiting { seq, frame });
        }
        if is_last {
            break;
        }
    }
    Ok(waiting)
}

/// Reads a stanza of a client stream back from its bytes.
pub(crate) fn parse_stanza(bytes: &[u8]) -> Option<Frame> {
    let limits = Limits { stanza_bytes: bytes.len().saturating_add(4096), ..Limits::OWN_SERVER };
    let mut scanner = StreamScanner::new(limits);
    scanner.push(format!("<stream:stream xmlns='{}' xmlns:stream='{}'>", ns::CLIENT, ns::STREAM).as_bytes());
    scanner.push(bytes);
    let Ok(Some(Token::Open(_))) = scanner.poll() else { return None };
    match scanner.poll() {
        Ok(Some(Token::Frame(frame))) => Some(frame),
        _ => None,
    }
}

/// Deletes messages that their receiver has for good.
///
/// # Errors
///
/// What the store says; the messages are delivered once more then, with the same ids.
pub(crate) async fn delete(core: &Core, account: &str, rows: &[u64]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    writer::make(core, account, Change::Delete(rows.to_vec())).await.map(|_| ())
}

/// Forgets what is older than the setting allows: erases the keys of those days, then the rows, and counts the queues
/// again. Returns how many days were forgotten. To be called once a day.
///
/// # Errors
///
/// What the store says. An account whose queue cannot be counted costs the others nothing: they are counted all the same.
pub async fn expire(core: &Core) -> Result<usize, StoreError> {
    if !core.may_expire().await? {
        return Ok(0);
    }
    let days = u32::try_from(core.config.limits.offline_age.as_secs() / 86_400).unwrap_or(u32::MAX);
    let oldest = Day::of_millis(core.date().as_millis()).minus(days);
    let forgotten = core.store.forget_days_before(oldest).await?;
    if forgotten == 0 {
        return Ok(0);
    }
    let mut position = None;
    loop {
        position = core.store.sweep_forgotten(position).await?.next;
        if position.is_none() {
            break;
        }
    }
    let mut outcome = Ok(forgotten);
    for account in core.accounts().await? {
        let _turn = core.turns.take(OFFLINE, &account.jid).await;
        // what one queue has wrong is no reason to leave the others as they are
        outcome = recount_in_turn(core, &account.jid).await.and(outcome);
    }
    outcome
}

/// Counts a queue anew, and puts aside what is damaged in it. For whoever has its turn.
async fn recount_in_turn(core: &Core, account: &str) -> Result<(), StoreError> {
    loop {
        let mut transaction = core.store.transaction();
        let Some(room) = Room::recount(core, account, &mut transaction).await? else { return Ok(()) };
        room.write(&mut transaction);
        match transaction.commit().await {
            Err(StoreError::Conflict) => {} // another process got on with it
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(inner: &str) -> Frame {
        parse_stanza(format!("<message>{inner}</message>").as_bytes()).unwrap()
    }

    #[test]
    fn what_means_nothing_later_is_not_kept() {
        assert!(is_worth_keeping(&message("<body>x</body>")));
        assert!(is_worth_keeping(&message("<encrypted xmlns='urn:xmpp:omemo:2'/>")));
        assert!(!is_worth_keeping(&message("<composing xmlns='http://jabber.org/protocol/chatstates'/>")));
        assert!(!is_worth_keeping(&message("<body>x</body><no-store xmlns='urn:xmpp:hints'/>")));
        let hinted = "<paused xmlns='http://jabber.org/protocol/chatstates'/><store xmlns='urn:xmpp:hints'/>";
        assert!(is_worth_keeping(&message(hinted)));
        assert!(!is_worth_keeping(&message("")));
    }
}
