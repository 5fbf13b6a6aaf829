use super::*;

#[test]
fn takes_the_examples_of_the_rfc() {
    // RFC 7622 §3.5, table 1.
    for good in [
        "juliet@example.com",
        "juliet@example.com/foo",
        "juliet@example.com/foo bar",
        "juliet@example.com/foo@bar",
        "foo\\20bar@example.com",
        "fußball@example.com",
        "π@example.com",
        "king@example.com/♚",
        "example.com",
        "example.com/foobar",
        "a.example.com/b@example.net",
    ] {
        let jid = Jid::parse(good).expect(good);
        assert_eq!(jid.as_str(), good);
    }
    assert_eq!(Jid::parse("Σ@example.com").unwrap().as_str(), "σ@example.com");
}

#[test]
fn refuses_the_examples_of_the_rfc() {
    // RFC 7622 §3.5, table 2.
    for (bad, why) in [
        ("\"juliet\"@example.com", JidError::Localpart),
        ("foo bar@example.com", JidError::Localpart),
        ("juliet@example.com/", JidError::Resourcepart),
        ("@example.com/", JidError::Localpart),
        ("henry\u{2163}@example.com", JidError::Localpart),
        ("♚@example.com", JidError::Localpart),
        ("juliet@", JidError::Domainpart),
        ("/foobar", JidError::Domainpart),
        ("", JidError::Domainpart),
    ] {
        assert_eq!(Jid::parse(bad).err(), Some(why), "{bad}");
    }
}

#[test]
fn parts_are_what_they_were() {
    let jid = Jid::parse("Alice@Example.ORG./Home@work/2").unwrap();
    assert_eq!(jid.localpart(), Some("alice"));
    assert_eq!(jid.domainpart(), "example.org");
    assert_eq!(jid.resourcepart(), Some("Home@work/2"));
    assert_eq!(jid.bare().as_str(), "alice@example.org");
    assert_eq!(jid.bare().to_jid().resourcepart(), None);
    assert_eq!(jid.bare().with_resource("x").unwrap().as_str(), "alice@example.org/x");
    assert_eq!(Jid::parse("[::1]").unwrap().domainpart(), "[::1]");
    assert_eq!(BareJid::parse("a@b/c").err(), Some(JidError::HasResource));
}

#[test]
fn international_names_have_one_form() {
    assert_eq!(Jid::parse("a@xn--bcher-kva.example").unwrap().as_str(), "a@bücher.example");
    assert_eq!(Jid::parse("a@BÜCHER.example").unwrap().as_str(), "a@bücher.example");
}

#[test]
fn debug_is_redacted() {
    let jid = Jid::parse("alice@example.org/x").unwrap();
    assert_eq!(format!("{jid:?} {:?}", jid.bare()), "<redacted> <redacted>");
}

#[test]
fn parts_have_a_bound() {
    let long = "a".repeat(1024);
    assert_eq!(Jid::parse(&format!("{long}@b")).err(), Some(JidError::Localpart));
    assert_eq!(Jid::parse(&format!("a@b/{long}")).err(), Some(JidError::Resourcepart));
    assert!(Jid::parse(&format!("{}@b", &long[1..])).is_ok());
}

#[test]
fn a_domain_leaves_xmpp_in_ascii() {
    for (domain, ascii) in [
        ("B\u{fc}cher.Example", Some("xn--bcher-kva.example")),
        ("xn--bcher-kva.example.", Some("xn--bcher-kva.example")),
        ("EXAMPLE.org", Some("example.org")),
        ("[2001:db8::1]", Some("[2001:db8::1]")),
        ("192.0.2.1", Some("192.0.2.1")),
        ("a b.example", None),
        ("", None),
    ] {
        assert_eq!(to_ascii(domain).as_deref(), ascii, "{domain}");
    }
}
