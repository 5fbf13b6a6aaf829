//! Attack row X08: a peer that says it is somebody else.

use super::*;

pub(super) const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:server' \
    xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback' \
    from='north.example' to='south.example' version='1.0'>";

/// A peer written by hand, on direct TLS.
pub(super) struct Script {
    pub(super) south: Responder,
    shown: Option<&'static str>,
    pub(super) events: Vec<ResponderEvent>,
}

impl Script {
    pub(super) fn new(shown: Option<&'static str>) -> Script {
        Script {
            south: Responder::new(config(), Transport::Tls(facts(shown)), Seed::new([2; 32])),
            shown,
            events: Vec::new(),
        }
    }

    pub(super) fn say(&mut self, text: &str) -> String {
        self.south.handle_bytes(text.as_bytes());
        while let Some(event) = self.south.poll_event() {
            if let ResponderEvent::VerifyCertificate { domain } = &event {
                self.south.certificate_verified(self.shown == Some(domain.as_str()));
            }
            self.events.push(event);
        }
        String::from_utf8(self.south.poll_output().unwrap_or_default().to_vec()).unwrap()
    }

    /// A stream that `north.example` has opened and proved by its certificate.
    pub(super) fn authenticated() -> Script {
        let mut script = Script::new(Some("north.example"));
        script.say(HEADER);
        script.say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>");
        assert!(!script.say(HEADER).contains("EXTERNAL"));
        script.events.clear();
        script
    }

    pub(super) fn ended(&self) -> Option<&Ending> {
        self.events.iter().find_map(|event| match event {
            ResponderEvent::Ended(ending) => Some(ending),
            _ => None,
        })
    }
}

#[track_caller]
fn refused(script: &mut Script, text: &str, condition: &str, rule: Misbehaviour) {
    let answer = script.say(text);
    assert!(answer.contains(&format!("<stream:error><{condition} ")), "{text}: {answer}");
    assert_eq!(script.ended(), Some(&failed(rule)), "{text}");
    assert!(!script.events.iter().any(|event| matches!(event, ResponderEvent::Stanza(_))), "{text}");
}

#[test]
fn x08_a_stanza_from_a_domain_that_was_not_proved_ends_the_stream() {
    for from in [
        "alice@mallory.example",
        "mallory.example",
        "alice@south.example",
        "alice@sub.north.example",
        "alice@mallory.example/x@north.example",
        "mallory.example/alice@north.example",
        "alice@mallory.example@north.example",
    ] {
        let stanza = format!("<message from='{from}' to='bob@south.example'/>");
        let mut script = Script::authenticated();
        let answer = script.say(&stanza);
        assert!(answer.contains("<invalid-from ") || answer.contains("<improper-addressing "), "{from}: {answer}");
        assert!(!script.events.iter().any(|event| matches!(event, ResponderEvent::Stanza(_))), "{from}");
        assert!(script.ended().is_some(), "{from}");
    }
}

#[test]
fn x08_addresses_in_other_spellings_are_the_same_domain() {
    let mut script = Script::authenticated();
    script.say("<message from='Alice@NORTH.example/x@mallory.example' to='bob@South.Example/x'/>");
    assert!(matches!(script.events[..], [ResponderEvent::Stanza(_)]), "{:?}", script.events);
}

#[test]
fn x08_unauthenticated_stanzas_end_the_stream() {
    let stanza = "<message from='a@north.example' to='b@south.example'/>";
    for shown in [None, Some("north.example"), Some("mallory.example")] {
        let mut script = Script::new(shown);
        script.say(HEADER);
        refused(&mut script, stanza, "not-authorized", Misbehaviour::NotAuthenticated);
    }
    // a claim alone proves nothing
    let mut script = Script::new(None);
    script.say(HEADER);
    script.say("<db:result from='north.example' to='south.example'>key</db:result>");
    refused(&mut script, stanza, "not-authorized", Misbehaviour::NotAuthenticated);
}

#[test]
fn x08_a_dialback_pair_opens_nothing_else() {
    let open = || {
        let mut script = Script::new(None);
        script.say(HEADER);
        script.say("<db:result from='north.example' to='south.example'>key</db:result>");
        let Some(ResponderEvent::DialbackKey(claim)) = script.events.pop() else { panic!("{:?}", script.events) };
        script.south.dialback_result(&claim, DialbackVerdict::Valid);
        assert!(script.say("").contains("type='valid'"));
        script
    };
    let stanza = |from: &str, to: &str| format!("<message from='{from}' to='{to}'/>");
    let foreign = Misbehaviour::ForeignFrom;
    refused(&mut open(), &stanza("a@east.example", "b@south.example"), "invalid-from", foreign);
    refused(&mut open(), &stanza("a@north.example", "b@rooms.south.example"), "invalid-from", foreign);
    refused(&mut open(), &stanza("a@north.example", "b@else.example"), "host-unknown", Misbehaviour::UnknownHost);
    let mut fine = open();
    fine.say(&stanza("a@north.example", "b@south.example"));
    assert!(matches!(fine.events[..], [ResponderEvent::Stanza(_)]));
}

#[test]
fn x08_missing_addresses_end_the_stream() {
    for stanza in ["<message/>", "<message from='a@north.example'/>", "<message to='b@south.example'/>"] {
        refused(&mut Script::authenticated(), stanza, "improper-addressing", Misbehaviour::Addressing);
    }
}

#[test]
fn x08_a_certificate_of_somebody_else_is_not_offered_external() {
    let mut script = Script::new(Some("mallory.example"));
    assert!(!script.say(HEADER).contains("EXTERNAL"));
    let auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>";
    assert!(script.say(auth).contains("<invalid-mechanism/>"));
    assert!(!script.south.accepts("north.example", "south.example"));
}

#[test]
fn x08_another_name_after_the_proof_ends_the_stream() {
    let mut script = Script::new(Some("north.example"));
    script.say(HEADER);
    assert!(
        script.say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>").contains("<success")
    );
    let other = HEADER.replace("north.example", "mallory.example");
    assert!(script.say(&other).contains("<host-unknown "));
    assert_eq!(script.ended(), Some(&failed(Misbehaviour::HostChanged)));
}

#[test]
fn x08_pairs_are_bounded() {
    let mut script = Script::new(None);
    script.say(HEADER);
    for number in 0..64 {
        script.say(&format!("<db:result from='d{number}.example' to='south.example'>key</db:result>"));
    }
    let answer = script.say("<db:result from='one-more.example' to='south.example'>key</db:result>");
    assert!(answer.contains("type='error'") && answer.contains("<resource-constraint"), "{answer}");
    let asked = script.events.iter().filter(|event| matches!(event, ResponderEvent::DialbackKey(_))).count();
    assert_eq!(asked, 64);
    // repeating a claim asks nobody twice
    script.say("<db:result from='d1.example' to='south.example'>key</db:result>");
    assert_eq!(script.events.len(), 64);
}

#[test]
fn headers_that_are_none() {
    for (from, to, condition) in [
        ("jabber:server'", "jabber:client'", "invalid-namespace"),
        (" version='1.0'>", ">", "unsupported-version"),
        (" to='south.example'", "", "improper-addressing"),
        ("to='south.example'", "to='else.example'", "host-unknown"),
        ("from='north.example'", "from='alice@north.example'", "improper-addressing"),
    ] {
        let mut script = Script::new(None);
        let answer = script.say(&HEADER.replacen(from, to, 1));
        assert!(answer.contains(&format!("<stream:error><{condition} ")), "{condition}: {answer}");
        assert!(answer.contains("from='south.example'") && script.ended().is_some(), "{answer}");
    }
}

#[test]
fn elements_that_have_no_place() {
    for element in ["<hello xmlns='x'/>", "<r xmlns='urn:xmpp:sm:3'/>", "<db:other from='a' to='b'/>"] {
        let mut script = Script::authenticated();
        script.say(element);
        assert!(script.ended().is_some(), "{element}");
    }
}

#[test]
fn x17_a_truncated_stream_is_not_a_closed_one() {
    let mut script = Script::authenticated();
    script.say("<message from='a@north.example' to='b@south.example'>");
    script.south.handle_eof();
    script.say("");
    assert_eq!(script.ended(), Some(&Ending::Lost));
    assert_eq!(script.events.len(), 1);
}
