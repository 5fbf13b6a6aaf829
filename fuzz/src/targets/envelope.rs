//! Envelopes after decryption: a contact's own bytes (XEP-0420, attack row C14).

use xep::sce::{self, Arrival, Envelope, Expected, TimeVerdict};
use xep::witness::{Returned, Witnesses};
use xmpp::jid::BareJid;
use xmpp::time::Timestamp;
use xmpp::xml::Element;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn jids() -> [BareJid; 2] {
    ["alice@example.org", "bob@example.net"].map(|jid| BareJid::parse(jid).expect("an address"))
}

/// Opens an envelope; what was accepted can be put into an envelope of ours and comes out the same.
///
/// # Panics
///
/// When it does not, or when something forbidden came through.
pub fn envelope(data: &[u8]) {
    let [from, to] = jids();
    let expected = Expected { from: &from, to: &to, group: false, arrival: Arrival::Live { now: NOW } };
    let Ok(opened) = sce::open(data, &expected) else { return };
    assert!(opened.content.iter().all(sce::allowed_inside));
    let again = Envelope {
        from: from.clone(),
        to: to.clone(),
        time: NOW,
        recipients_hash: opened.recipients_hash,
        witnesses: opened.witnesses.clone(),
        content: opened.content.clone(),
    };
    if let Ok(bytes) = again.to_bytes(|padding| padding.fill(7)) {
        assert_eq!(bytes.len(), sce::size_class(bytes.len()), "not padded to a class");
        let reopened = sce::open(&bytes, &expected).expect("what we write, we read");
        assert_eq!(reopened.content, opened.content);
        assert_eq!(reopened.witnesses, opened.witnesses);
        assert_eq!(reopened.time, TimeVerdict::Fits(NOW));
        assert_eq!((reopened.recipients_hash, reopened.dropped_count), (opened.recipients_hash, 0));
    }
    let stanza = Element::new("message", xmpp::ns::CLIENT);
    assert_eq!(opened.content.len(), opened.clone().restore(&stanza).children().count());
}

/// An envelope as we write it.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let [from, to] = jids();
    let content = vec![Element::new("body", xmpp::ns::CLIENT).with_text("Hello & <World>")];
    let returned = vec![Returned { device: 5, sealed: vec![2; 64] }];
    let witnesses = Witnesses { newest: Some(vec![1; 64]), returned };
    let envelope = Envelope { from, to, time: NOW, recipients_hash: Some([1; 32]), witnesses, content };
    vec![envelope.to_bytes(|padding| padding.fill(3)).expect("a short envelope")]
}
