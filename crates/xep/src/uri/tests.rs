//! Examples of the specifications, round trips, and damaged links.

use xmpp::jid::Jid;

use super::*;

fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap()
}

fn endpoints(texts: &[&str]) -> Vec<Endpoint> {
    texts.iter().map(|t| Endpoint::parse(t).unwrap()).collect()
}

#[test]
fn examples_of_rfc_5122_and_xep_0147() {
    let uri = XmppUri::parse("xmpp:example-node@example.com?message;subject=Hello%20World").unwrap();
    assert_eq!(uri.address, jid("example-node@example.com"));
    assert_eq!((uri.action.as_str(), uri.value("subject")), ("message", Some("Hello World")));
    for plain in ["xmpp:example.com", "XMPP:example-node@example.com/some-resource", "xmpp:a@example.com?"] {
        assert!(XmppUri::parse(plain).is_ok(), "{plain}");
    }
    let with_authority = XmppUri::parse("xmpp://guest@example.com/support@example.com?message#part").unwrap();
    assert_eq!(with_authority.address, jid("support@example.com"));
    assert_eq!(with_authority.pairs, []);
}

#[test]
fn names_with_delimiters_are_escaped_and_read_back() {
    let nasty = "nasty!#$%()*+,-.;=?[\\]^_`{|}~node@example.com/a @/?#x";
    let address = Jid::parse(nasty).unwrap();
    let uri = XmppUri { address, action: "message".into(), pairs: vec![("body".into(), "a;b=c&d%20\n+é/?#".into())] };
    let text = uri.to_text();
    assert!(text.is_ascii() && !text.contains(' '), "{text}");
    assert_eq!(XmppUri::parse(&text), Ok(uri));
    assert_eq!(XmppUri::parse("xmpp:nic%C3%A9@example.com").map(|u| u.address), Ok(jid("nicé@example.com")));
    assert_eq!(XmppUri::parse("xmpp:nicé@example.com").map(|u| u.address), Ok(jid("nicé@example.com")));
}

#[test]
fn invites_of_xep_0379_0401_and_0445() {
    let invite = Link::parse("xmpp:inviter@example.com?roster;preauth=TOKEN;ibr=y").unwrap();
    assert_eq!((invite.action.clone(), invite.preauth.as_deref(), invite.ibr), (Action::Roster, Some("TOKEN"), true));
    assert!(invite.is_invite());
    let named = Link::parse("xmpp:romeo@montague.net?roster;preauth=1tMFqYDdKhfe2pwp;name=Romeo%20Montague").unwrap();
    assert_eq!((named.name.as_deref(), named.ibr), (Some("Romeo Montague"), false));
    for (text, local) in
        [("xmpp:juliet@example.com?register;preauth=T", Some("juliet")), ("xmpp:example.com?register;preauth=T", None)]
    {
        let link = Link::parse(text).unwrap();
        assert_eq!((link.action.clone(), link.address.localpart()), (Action::Register, local));
        assert_eq!(link.to_text().as_deref(), Ok(text));
    }
    assert!(!Link::parse("xmpp:example.com?register").unwrap().is_invite());
}

#[test]
fn trust_message_of_xep_0434() {
    let text = "xmpp:bob@example.com?trust-message;encryption=urn:xmpp:omemo:2;\
        trust=623548d3835c6d33ef5cb680f7944ef381cf712bf23a0119dabe5c4f252cd02f;\
        distrust=b423f5088de9a924d51b31581723d850c7cc67d0a4fe6b267c3d301ff56d2413;\
        distrust=d9f849b6b828309c5f2c8df4f38fd891887da5aaa24a22c50d52f69b4a80817e";
    let link = Link::parse(text).unwrap();
    assert_eq!((link.keys.trust.len(), link.keys.distrust.len()), (1, 2));
    assert_eq!(link.to_text().as_deref(), Ok(text));
    let other = Link::parse("xmpp:bob@example.com?trust-message;encryption=urn:other;trust=zz").unwrap();
    assert!(other.keys.is_empty());
    for bad in ["trust=62", "encryption=urn:xmpp:omemo:2;trust=62", "encryption=urn:xmpp:omemo:2;trust=zz"] {
        let refused = Link::parse(&format!("xmpp:bob@example.com?trust-message;{bad}"));
        assert_eq!(refused, Err(UriError::TrustKey), "{bad}");
    }
}

#[test]
fn everything_at_once_reads_back_the_same() {
    let mut link = Link::new(jid("alice@north-abcdef.local"), Action::Roster);
    link.name = Some("Alice; the =1st".into());
    link.preauth = Some("tok+/=en".into());
    link.ibr = true;
    link.body = Some("line\nline".into());
    link.keys = TrustKeys { trust: vec![[1; 32], [2; 32]], distrust: vec![[3; 32]] };
    link.pin = Some([0xfe; 32]);
    link.at = endpoints(&["192.0.2.7:5223", "[2001:db8::1]:5223", "north.example.org:443"]);
    let text = link.to_text().unwrap();
    assert!(text.contains(";wx-at=192.0.2.7:5223,%5B2001:db8::1%5D:5223,north.example.org:443"), "{text}");
    assert_eq!(Link::parse(&text), Ok(link.clone()));
    for action in [Action::Identify, Action::Message, Action::Register, Action::Trust, Action::Peer] {
        let link = Link { action, ..link.clone() };
        assert_eq!(Link::parse(&link.to_text().unwrap()), Ok(link));
    }
}

#[test]
fn damaged_links_are_refused() {
    for (bad, error) in [
        ("", UriError::Scheme),
        ("alice@example.org", UriError::Scheme),
        ("mailto:alice@example.org", UriError::Scheme),
        ("xmpp:", UriError::Address(JidError::Domainpart)),
        ("xmpp://guest@example.com", UriError::Address(JidError::Domainpart)),
        ("xmpp:@example.org", UriError::Address(JidError::Localpart)),
        ("xmpp:a%2@example.org", UriError::Escape),
        ("xmpp:a%zz@example.org", UriError::Escape),
        ("xmpp:a@example.org?message;body=%ff", UriError::Escape),
        ("xmpp:a@example.org?message;body=%00", UriError::Escape),
        ("xmpp:a@example.org?roster;=x", UriError::Query),
        ("xmpp:a@example.org?roster;wx-pin=", UriError::Pin),
        ("xmpp:a@example.org?roster;wx-pin=AAAA", UriError::Pin),
        ("xmpp:a@example.org?roster;wx-at=", UriError::Endpoint),
        ("xmpp:a@example.org?roster;wx-at=host", UriError::Endpoint),
        ("xmpp:a@example.org?roster;wx-at=a:1,", UriError::Endpoint),
    ] {
        assert_eq!(Link::parse(bad), Err(error), "{bad}");
    }
    assert_eq!(Link::parse(&format!("xmpp:a@b?message;body={}", "x".repeat(9000))), Err(UriError::TooLong));
    assert_eq!(Link::parse(&format!("xmpp:a@b?message{}", ";k=v".repeat(161))), Err(UriError::TooLong));
    assert_eq!(Link::parse(&format!("xmpp:a@b?roster;wx-at={}", vec!["h:1"; 17].join(","))), Err(UriError::TooLong));
    assert_eq!(Link::parse(&format!("xmpp:a@b?roster;preauth={}", "t".repeat(257))), Err(UriError::TooLong));
    let mut long = Link::new(jid("a@b"), Action::Roster);
    long.preauth = Some("t".repeat(257));
    assert_eq!(long.to_text(), Err(UriError::TooLong));
}

#[test]
fn unknown_actions_and_keys_are_ignored() {
    let link = Link::parse("xmpp:romeo@montague.net?vcard;x=y").unwrap();
    assert_eq!((link.action.clone(), link.is_invite()), (Action::Other, false));
    assert_eq!(link.to_text().as_deref(), Ok("xmpp:romeo@montague.net"));
}

#[test]
fn endpoints_are_strict() {
    for good in ["localhost:5222", "a-b.example.org:1", "127.0.0.1:65535", "[::1]:443", "_x.example:5"] {
        assert_eq!(Endpoint::parse(good).map(|e| e.to_text()).as_deref(), Ok(good));
    }
    assert_eq!(Endpoint::parse("Host.Example.:5").map(|e| e.to_text()).as_deref(), Ok("host.example:5"));
    for bad in [
        "",
        ":",
        "a:",
        ":1",
        "a:0",
        "a:65536",
        "a:+1",
        "a:1 ",
        "a b:1",
        "::1:443",
        "[::1]",
        "[127.0.0.1]:1",
        "[::1:5",
        "a..b:1",
        "-a:1",
        "a/b:1",
        "a@b:1",
        "1.2.3:1",
        "0x7f000001:1",
        "127.1:80",
        "2130706433:80",
        "é:1",
    ] {
        assert_eq!(Endpoint::parse(bad), Err(UriError::Endpoint), "{bad}");
    }
}

#[test]
fn debug_shows_neither_address_nor_token() {
    let link = Link::parse("xmpp:alice@example.org?roster;preauth=SECRET;wx-at=192.0.2.1:5222").unwrap();
    let shown = format!("{link:?} {:?} {:?}", link.at, link.keys);
    for secret in ["alice", "example", "SECRET", "192"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
