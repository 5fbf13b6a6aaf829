use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use xmpp::xml::Element;

use super::structure::decoded_len;
use super::*;

fn omemo2(payload: Option<&[u8]>) -> Element {
    let key = Element::new("key", NS_OMEMO_2).with_attr("rid", "31415").with_text("AAAA");
    let keys = Element::new("keys", NS_OMEMO_2).with_attr("jid", "bob@example.org").with_child(key);
    let header = Element::new("header", NS_OMEMO_2).with_attr("sid", "27183").with_child(keys);
    let payload = payload.map(|p| Element::new("payload", NS_OMEMO_2).with_text(STANDARD.encode(p)));
    Element::new("encrypted", NS_OMEMO_2).with_child(header).with_children(payload)
}

fn legacy(iv: &[u8], payload: Option<&[u8]>) -> Element {
    let ns = NS_OMEMO_LEGACY;
    let header = Element::new("header", ns)
        .with_attr("sid", "27183")
        .with_child(Element::new("key", ns).with_attr("rid", "31415").with_text("AAAA"))
        .with_child(Element::new("iv", ns).with_text(STANDARD.encode(iv)));
    let payload = payload.map(|p| Element::new("payload", ns).with_text(STANDARD.encode(p)));
    Element::new("encrypted", ns).with_child(header).with_children(payload)
}

fn openpgp(packets: &[u8]) -> Element {
    Element::new("openpgp", NS_OPENPGP).with_text(STANDARD.encode(packets))
}

fn body() -> Element {
    Element::new("body", ns::CLIENT).with_text("hello")
}

fn message(message_type: Option<&str>, children: impl IntoIterator<Item = Element>) -> Element {
    Element::new("message", ns::CLIENT).with_attr_opt("type", message_type).with_children(children)
}

fn judge(message: &Element, policy: E2eePolicy) -> Verdict {
    inspect(&Frame::from_element(message, ns::CLIENT), policy)
}

fn passes(message: &Element, policy: E2eePolicy) -> bool {
    matches!(judge(message, policy), Verdict::Pass)
}

fn rejected(message: &Element) -> bool {
    matches!(judge(message, E2eePolicy::Required), Verdict::Reject(_))
}

/// Returns the names of what is left, or `None` where the message is refused.
fn left(message: &Element, policy: E2eePolicy) -> Option<Vec<String>> {
    let frame = Frame::from_element(message, ns::CLIENT);
    let frame = match inspect(&frame, policy) {
        Verdict::Pass => frame,
        Verdict::Strip(drop) => frame.splice().drop_children(drop).finish(),
        Verdict::Reject(_) => return None,
    };
    Some(frame.root().children().map(|c| c.name().to_owned()).collect())
}

fn xhtml() -> Element {
    Element::new("html", "http://jabber.org/protocol/xhtml-im")
}

fn oob() -> Element {
    Element::new("x", "jabber:x:oob")
}

/// B02: every type with every element that can carry words, unencrypted and beside an encrypted element.
#[test]
fn b02_no_readable_message_passes_and_no_readable_part_beside_an_encrypted_one() {
    let types = [None, Some("chat"), Some("normal"), Some("groupchat"), Some("headline"), Some("made-up")];
    let readable: [fn() -> Element; 7] = [
        body,
        xhtml,
        oob,
        || Element::new("reactions", "urn:xmpp:reactions:0"),
        || Element::new("file-sharing", "urn:xmpp:sfs:0"),
        || Element::new("forwarded", "urn:xmpp:forward:0").with_child(message(None, [body()])),
        || Element::new("body", ns::SERVER).with_text("hello"),
    ];
    let pointing: [fn() -> Element; 3] = [
        || Element::new("reply", "urn:xmpp:reply:0"),
        || Element::new("replace", "urn:xmpp:message-correct:0"),
        || Element::new("attach-to", "urn:xmpp:message-attaching:1"),
    ];
    let encrypted: [fn() -> Element; 3] =
        [|| omemo2(Some(&[0; 32])), || legacy(&[0; 12], Some(b"x")), || openpgp(&[0xc1, 1, 3, 0xd2, 1, 1])];
    for message_type in types {
        for part in readable {
            assert!(rejected(&message(message_type, [part()])), "{message_type:?} {:?}", part());
            assert!(passes(&message(message_type, [part()]), E2eePolicy::Preferred));
        }
        for part in readable.into_iter().chain(pointing) {
            for sealed in encrypted {
                let mixed = message(message_type, [part(), sealed(), Element::new("store", "urn:xmpp:hints")]);
                let kept = vec![sealed().name().to_owned(), "store".to_owned()];
                for policy in [E2eePolicy::Required, E2eePolicy::Preferred] {
                    assert_eq!(left(&mixed, policy).as_ref(), Some(&kept), "{message_type:?} {:?}", part());
                }
                assert!(passes(&mixed, E2eePolicy::Off));
            }
        }
    }
}

#[test]
fn b02_the_refusal_says_what_to_do() {
    let Verdict::Reject(error) = judge(&message(Some("chat"), [body()]), E2eePolicy::Required) else {
        panic!("a readable message passed");
    };
    assert_eq!(error.condition, Condition::PolicyViolation);
    assert_eq!(error.text.as_deref(), Some(REFUSAL));
}

#[test]
fn what_carries_no_words_passes() {
    let subject = || Element::new("subject", ns::CLIENT).with_text("Tea");
    let invite = Element::new("x", "http://jabber.org/protocol/muc#user")
        .with_child(Element::new("invite", "http://jabber.org/protocol/muc#user"));
    let receipt = Element::new("received", "urn:xmpp:receipts").with_attr("id", "1");
    for exempt in [
        message(Some("error"), [body()]),
        message(Some("groupchat"), [subject()]),
        message(None, [invite]),
        message(Some("chat"), [receipt]),
        message(Some("chat"), [Element::new("body", ns::CLIENT)]),
        message(Some("chat"), [omemo2(None)]),
        Element::new("iq", ns::CLIENT).with_child(body()),
        Element::new("presence", ns::CLIENT).with_child(body()),
    ] {
        assert!(passes(&exempt, E2eePolicy::Required), "{exempt:?}");
    }
    assert!(rejected(&message(Some("chat"), [subject()])), "a subject outside a room is words");
    assert!(rejected(&message(Some("groupchat"), [subject(), body()])));
}

#[test]
fn an_encrypted_element_must_look_like_one() {
    let ns2 = NS_OMEMO_2;
    let mut no_keys = omemo2(Some(&[0; 16]));
    for header in no_keys.children_mut().filter(|c| c.name() == "header") {
        header.retain_children(|_| false);
    }
    let twice = omemo2(Some(&[0; 16])).with_child(Element::new("payload", ns2).with_text("AAAA"));
    let words = Element::new("encrypted", ns2).with_text("hello");
    let plain_payload = omemo2(None).with_child(Element::new("payload", ns2).with_text("hello world"));
    for bad in [
        omemo2(Some(&[])),
        omemo2(Some(&[0; 15])),
        omemo2(Some(&[0; 17])),
        legacy(&[0; 11], Some(b"x")),
        legacy(&[0; 12], Some(b"")),
        no_keys,
        twice,
        words,
        plain_payload,
        openpgp(&[]),
        openpgp(b"hello"),
        openpgp(&[0xd2, 1, 1]),                      // encrypted to nobody
        openpgp(&[0xc1, 1, 3, 0xcb, 1, 0]),          // literal data after a session key
        openpgp(&[0xc1, 1, 3, 0xd2, 1, 1, 0xcb, 0]), // literal data after the encrypted data
        openpgp(&[0xc1, 200]),                       // cut off
        Element::new("openpgp", NS_OPENPGP).with_text("not base64!"),
    ] {
        assert!(rejected(&message(Some("chat"), [bad.clone()])), "{bad:?}");
        assert!(rejected(&message(Some("chat"), [bad.clone(), omemo2(Some(&[0; 16]))])), "beside a good one: {bad:?}");
    }
}

#[test]
fn encrypted_elements_of_the_right_form_pass() {
    for good in [
        omemo2(Some(&[0; 16])),
        omemo2(None),
        legacy(&[0; 12], Some(b"x")),
        legacy(&[0; 16], None),
        openpgp(&[0xc1, 1, 3, 0xc1, 2, 3, 3, 0xd2, 1, 1]),
        openpgp(&[0x84, 1, 3, 0xd2, 0xff, 0, 0, 0, 1, 1]), // old format header, five-octet length
        openpgp(&[0x84, 1, 3, 0xd2, 0xed, 1]),             // partial lengths
    ] {
        assert!(passes(&message(Some("chat"), [good.clone()]), E2eePolicy::Required), "{good:?}");
    }
}

#[test]
fn base64_is_measured_without_decoding() {
    for len in 0..40 {
        assert_eq!(decoded_len(&STANDARD.encode(vec![7; len])), Some(len));
    }
    assert_eq!(decoded_len("\n  AA\n  AA "), Some(3));
    for bad in ["A", "AA", "AAA", "AA=A", "A===", "====", "AA-_", "AAAA=", "ä"] {
        assert_eq!(decoded_len(bad), None, "{bad}");
    }
}
