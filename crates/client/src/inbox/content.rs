//! What a decrypted message says: words, a file, the token of an invitation; and when.

use store::Transaction;
use xep::omemo::{Encrypted, NS_LEGACY, NS_OMEMO2};
use xep::receipts;
use xep::sce::{self, Arrival, EnvelopeError, Expected, TimeVerdict};
use xep::witness::Witnesses;
use xmpp::jid::BareJid;
use xmpp::time::Timestamp;
use xmpp::xml::Element;

use super::judgement::Mark;
use crate::conversations::Numbered;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::introduction;
use crate::invites::Invitation;
use crate::tables::{ContactRow, FileRow, MessageRow, StateCode};
use crate::transfers;

/// Longest id of a message that is kept, in bytes.
const ID_BYTES_MAX: usize = 256;

/// What a message says.
#[derive(Default)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) file: Option<FileRow>,
    /// The token of an invitation of ours, perhaps.
    pub(super) token: Option<String>,
    /// What they say of their server.
    pub(super) introduction: Option<Invitation>,
    /// When it was written.
    pub(super) written: Option<Timestamp>,
    pub(super) odd_time: bool,
    /// Said in the older encryption, which does not bind words to their key.
    pub(super) legacy: bool,
    /// What the sender's device gives to keep, and gives back.
    pub(super) witnesses: Witnesses,
    /// The sender meant other devices than the message is encrypted for.
    pub(super) not_all_addressed: bool,
    /// The envelope has what only Waxwing puts there.
    pub(super) from_waxwing: bool,
    /// The id of this message, where its sender asks to be told that it arrived.
    pub(super) receipt_for: Option<String>,
    /// The id of a message of ours that has arrived, as they say.
    pub(super) arrived: Option<String>,
}

impl Said {
    pub(super) fn has_words(&self) -> bool {
        !self.text.is_empty() || self.file.is_some()
    }
}

/// The stanza around.
pub(super) struct Context<'a> {
    pub(super) own: &'a BareJid,
    pub(super) from: &'a BareJid,
    pub(super) message: &'a Element,
    pub(super) now: Timestamp,
}

impl Context<'_> {
    /// When the own server says that it took the message, if it kept it. Nobody else's stamp counts (X07).
    fn stamp(&self) -> Option<Timestamp> {
        xep::delay::stamp_of_own_server(self.message, self.own)
    }

    /// The devices that the message is encrypted for, as a hash. Legacy keys do not say whose they are, so beside them it
    /// cannot be known.
    fn addressed(&self) -> Option<[u8; 32]> {
        if self.message.child("encrypted", NS_LEGACY).is_some() {
            return None;
        }
        let element = Encrypted::parse(self.message.child("encrypted", NS_OMEMO2)?).ok()?;
        Some(sce::recipients_hash(element.keys.iter().filter_map(|key| Some((key.jid.as_ref()?, key.device)))))
    }

    /// A legacy message is its text. Whether it asks for a receipt stands beside it, in clear.
    pub(super) fn legacy(&self, body: &str) -> Said {
        let outside: Vec<Element> = self.message.children().filter(|c| c.ns() == receipts::NS).cloned().collect();
        let said =
            Said { written: self.stamp(), legacy: true, receipt_for: self.receipt_for(&outside), ..Said::default() };
        match transfers::offer_in_text(body) {
            Some(file) => Said { file: Some(file), ..said },
            None => Said { text: body.to_owned(), ..said },
        }
    }

    /// The stanza's own id, if it asks for a receipt (XEP-0184 §3).
    fn receipt_for(&self, content: &[Element]) -> Option<String> {
        let id = self.message.attr("id").filter(|id| !id.is_empty() && id.len() <= ID_BYTES_MAX)?;
        receipts::is_requested(content).then(|| id.to_owned())
    }

    /// An envelope says who wrote to whom; both must fit the stanza (C14).
    pub(super) fn envelope(&self, bytes: &[u8]) -> Result<Said, EnvelopeError> {
        let arrival = match self.stamp() {
            Some(stamp) => Arrival::Delayed { stamp },
            None => Arrival::Live { now: self.now },
        };
        // Not the stanza's `to`: a server can write there whatever the envelope says, a room for example.
        let expected = Expected { from: self.from, to: self.own, group: false, arrival };
        let opened = sce::open(bytes, &expected)?;
        let (written, odd_time) = match opened.time {
            TimeVerdict::Fits(stated) => (Some(stated), false),
            TimeVerdict::Differs { stated } => (Some(stated), true),
            TimeVerdict::Absent => (self.stamp(), false),
        };
        let body = opened.content.iter().find(|c| c.is("body", xmpp::ns::CLIENT)).map(Element::text);
        // Some apps know envelopes and no offers: their files are links, as of old.
        let file = transfers::offer_in_content(&opened.content)
            .or_else(|| transfers::offer_in_text(body.as_deref().unwrap_or_default()));
        Ok(Said {
            // Beside an offer the text is only for apps that do not know offers.
            text: body.filter(|_| file.is_none()).unwrap_or_default(),
            file,
            introduction: introduction::of_content(&opened.content, self.from),
            token: opened.content.iter().find_map(|c| xep::invites::token(c)).map(str::to_owned),
            written,
            odd_time,
            legacy: false,
            witnesses: opened.witnesses,
            from_waxwing: opened.recipients_hash.is_some(),
            receipt_for: self.receipt_for(&opened.content),
            arrived: receipts::received_id(&opened.content).map(str::to_owned),
            not_all_addressed: opened
                .recipients_hash
                .is_some_and(|meant| self.addressed().is_some_and(|is| is != meant)),
        })
    }
}

/// The id by which a repetition is known: the sender's own (XEP-0359 §3.1), else the stanza's. Without either the
/// ratchet is what tells.
fn id_of(message: &Element) -> Option<String> {
    let id = xep::sid::origin_id_of(message).or(message.attr("id"))?;
    (!id.is_empty() && id.len() <= ID_BYTES_MAX).then(|| id.to_owned())
}

impl Engine {
    /// Saves a message of somebody else; `None` when it has been saved before.
    pub(super) async fn put_received(
        &mut self,
        tx: &mut Transaction,
        who: &BareJid,
        contact: &mut ContactRow,
        mark: Mark,
        message: &Element,
        said: Said,
    ) -> Result<Option<MessageRow>, EngineError> {
        let row = self.received_row(contact, message, said);
        if self.message_by_id(who, false, &row.id).await?.is_some() {
            return Ok(None);
        }
        let (verified, unconfirmed) = (mark == Mark::Verified, mark == Mark::NewApp);
        let mut row = MessageRow { verified, unconfirmed, ..row };
        let numbered = if contact.is_request() { Numbered::ByLast } else { Numbered::ByCounter };
        self.put_new_message(tx, who, &mut row, numbered).await?;
        contact.unread_count = contact.unread_count.saturating_add(1);
        Ok(Some(row))
    }

    /// A message of somebody else, not marked and without a place yet.
    pub(super) fn received_row(&self, contact: &ContactRow, message: &Element, said: Said) -> MessageRow {
        let now = self.now();
        MessageRow {
            account: contact.account.clone(),
            contact: contact.address.clone(),
            id: id_of(message).unwrap_or_else(|| self.env.id()),
            written_ms: said.written.unwrap_or(now).as_millis(),
            saved_ms: now.as_millis(),
            state: StateCode::Received.into(),
            legacy: said.legacy,
            text: said.text,
            file: said.file,
            ..MessageRow::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use xep::sce::Envelope;

    use super::*;

    fn jid(text: &str) -> BareJid {
        BareJid::parse(text).unwrap()
    }

    /// Opens, as alice, an envelope that says `from` and `to` and came from bob.
    fn opened(from: &str, to: &str, content: Vec<Element>) -> Result<Said, EnvelopeError> {
        opened_of(from, to, "alice@north.example/r", content)
    }

    /// As [`opened`], in a stanza to `stanza_to`.
    fn opened_of(from: &str, to: &str, stanza_to: &str, content: Vec<Element>) -> Result<Said, EnvelopeError> {
        let (alice, bob) = (jid("alice@north.example"), jid("bob@south.example"));
        let now = Timestamp::from_secs(1_800_000_000);
        let message = Element::new("message", xmpp::ns::CLIENT)
            .with_attr("from", "bob@south.example/r")
            .with_attr("to", stanza_to);
        let envelope = Envelope {
            from: jid(from),
            to: jid(to),
            time: now,
            recipients_hash: None,
            witnesses: Witnesses::default(),
            content,
        };
        let bytes = envelope.to_bytes(|padding| padding.fill(0)).unwrap();
        Context { own: &alice, from: &bob, message: &message, now }.envelope(&bytes)
    }

    #[test]
    fn c14_an_envelope_counts_only_from_and_to_whom_it_says() {
        let body = || vec![Element::new("body", xmpp::ns::CLIENT).with_text("hi")];
        assert_eq!(opened("bob@south.example", "alice@north.example", body()).unwrap().text, "hi");
        assert!(opened("eve@south.example", "alice@north.example", body()).is_err(), "passed on by bob");
        assert!(opened("bob@south.example", "carol@north.example", body()).is_err(), "redirected");
        let room = "room@north.example";
        assert!(opened("bob@south.example", room, body()).is_err(), "taken out of a room");
        assert!(opened_of("bob@south.example", room, room, body()).is_err(), "and the stanza made to fit");
    }

    #[test]
    fn a_link_in_an_envelope_is_a_file_and_beside_an_offer_it_is_not_shown() {
        let link = format!("aesgcm://files.example.org/x/photo.jpg#{}", "ab".repeat(44));
        let body = Element::new("body", xmpp::ns::CLIENT).with_text(&link);
        let said = opened("bob@south.example", "alice@north.example", vec![body]).unwrap();
        assert_eq!((said.text.as_str(), said.file.map(|file| file.name)), ("", Some("photo.jpg".to_owned())));
        let words = Element::new("body", xmpp::ns::CLIENT).with_text(format!("look: {link}"));
        let said = opened("bob@south.example", "alice@north.example", vec![words]).unwrap();
        assert!(said.file.is_none() && said.text.starts_with("look: "));
    }

    #[test]
    fn c14_what_only_servers_say_is_dropped_inside() {
        let stamp = Element::new("delay", "urn:xmpp:delay").with_attr("stamp", "2001-01-01T00:00:00Z");
        let carbon = Element::new("received", "urn:xmpp:carbons:2");
        let said = opened("bob@south.example", "alice@north.example", vec![stamp, carbon]).unwrap();
        assert!(!said.has_words());
        assert_eq!(said.written, Some(Timestamp::from_secs(1_800_000_000)));
    }
}
