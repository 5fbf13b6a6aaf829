//! Dialback over TLS: the claim, the question, the answers.

use super::*;
use crate::stanza::Condition;

#[test]
fn a_proved_key_opens_one_pair() {
    for random in 0..20 {
        let mut link = Link::new(plain, by_dialback());
        link.random = random;
        link.north_shows = None;
        link.run();
        assert!(link.authorized(), "{:?}", link.north_log);
        assert!(link.south.accepts("north.example", "south.example"));
        assert!(!link.south.accepts("north.example", "rooms.south.example"));
        link.north.send(&message("alice@north.example", "bob@south.example"));
        assert_eq!(link.run().stanzas(), 1);
    }
}

#[test]
fn the_key_belongs_to_this_stream() {
    let mut link = Link::new(direct, by_dialback());
    link.run();
    let claim = link.south_log.iter().find_map(|event| match event {
        ResponderEvent::DialbackKey(claim) => Some(claim.clone()),
        _ => None,
    });
    let DialbackKey { from, to, stream_id, key } = claim.unwrap();
    assert_eq!(stream_id, link.south.stream_id());
    // what the authoritative server, which is north itself, says to it
    let question = |id: &str| DialbackVerify { from: to.clone(), to: from.clone(), id: id.into(), key: key.clone() };
    assert_eq!(dialback::is_ours(SECRET, &question(&stream_id)), DialbackVerdict::Valid);
    assert_eq!(dialback::is_ours(SECRET, &question("another")), DialbackVerdict::Invalid);
    assert_eq!(dialback::is_ours(b"another", &question(&stream_id)), DialbackVerdict::Invalid);
}

#[test]
fn an_invalid_key_ends_the_stream() {
    let mut link = Link::new(direct, by_dialback());
    link.verdict = DialbackVerdict::Invalid;
    link.run();
    assert!(
        link.north_log
            .iter()
            .any(|event| { matches!(event, InitiatorEvent::Refused { verdict: DialbackVerdict::Invalid, .. }) })
    );
    assert_eq!(link.north_ended(), Some(&Ending::Closed));
    assert!(!link.authorized());
}

#[test]
fn an_error_leaves_the_stream_open_for_another_try() {
    let mut link = Link::new(direct, by_dialback());
    link.verdict = DialbackVerdict::Error(Condition::RemoteServerTimeout);
    link.run();
    let refused =
        InitiatorEvent::Refused { from: "north.example".into(), to: "south.example".into(), verdict: link.verdict };
    assert_eq!(link.north_log.last(), Some(&refused));
    link.verdict = DialbackVerdict::Valid;
    assert!(link.north.authorize("north.example", "south.example"));
    assert!(link.run().authorized());
}

#[test]
fn further_pairs_on_a_stream_with_a_certificate() {
    let mut link = Link::new(direct, InitiatorConfig { external: true, ..by_dialback() });
    link.run();
    assert!(link.north.authorize("rooms.north.example", "south.example"));
    assert!(link.north.authorize("rooms.north.example", "unknown.example"));
    link.run();
    assert!(link.north.is_authorized("rooms.north.example", "south.example"));
    assert!(!link.north.is_authorized("rooms.north.example", "unknown.example"));
    let verdict = DialbackVerdict::Error(Condition::ItemNotFound);
    assert!(
        link.north_log
            .iter()
            .any(|event| { matches!(event, InitiatorEvent::Refused { verdict: said, .. } if *said == verdict) })
    );
    link.north.send(&message("room@rooms.north.example", "bob@south.example"));
    assert_eq!(link.run().stanzas(), 1);
}

#[test]
fn asking_whether_a_key_is_theirs() {
    let mut link = Link::new(plain, InitiatorConfig { authenticate: false, ..by_certificate() });
    link.run();
    assert_eq!(link.north_log.last(), Some(&InitiatorEvent::Opened));
    let right = dialback::key(SECRET, "north.example", "south.example", "s1");
    for (key, verdict) in [(right.as_str(), DialbackVerdict::Valid), ("0000", DialbackVerdict::Invalid)] {
        let mut request = DialbackVerify {
            from: "north.example".into(),
            to: "south.example".into(),
            id: "s1".into(),
            key: key.into(),
        };
        assert!(link.north.verify(&request));
        link.run();
        request.key.clear();
        assert_eq!(link.north_log.last(), Some(&InitiatorEvent::DialbackVerified { request, verdict }));
    }
    let stranger =
        DialbackVerify { from: "north.example".into(), to: "east.example".into(), id: "s1".into(), key: right };
    link.north.verify(&stranger);
    link.run();
    assert!(matches!(
        link.north_log.last(),
        Some(InitiatorEvent::DialbackVerified { verdict: DialbackVerdict::Error(Condition::ItemNotFound), .. })
    ));
    assert!(!link.north.send(&message("a@north.example", "b@south.example")), "nothing was authorized");
}

#[test]
fn answers_that_nobody_asked_for_are_dropped() {
    let mut link = Link::new(direct, by_dialback());
    link.verdict = DialbackVerdict::Error(Condition::RemoteServerTimeout);
    link.run();
    let seen = link.north_log.len();
    link.north.handle_bytes(
        b"<db:result from='south.example' to='north.example' type='valid'/>\
          <db:result from='east.example' to='north.example' type='valid'/>\
          <db:verify from='south.example' to='north.example' id='x' type='valid'/>",
    );
    link.run();
    assert_eq!(link.north_log.len(), seen);
    assert!(!link.authorized());
    // and the other way round: an answer to a claim of another stream
    let claim = DialbackKey {
        from: "mallory.example".into(),
        to: "south.example".into(),
        stream_id: "other".into(),
        key: String::new(),
    };
    link.south.dialback_result(&claim, DialbackVerdict::Valid);
    assert!(!link.south.accepts("mallory.example", "south.example"));
    assert_eq!(link.south.poll_output(), None);
}

/// Keys are short; nobody makes us keep and pass on long ones.
#[test]
fn b01_a_key_longer_than_any_key_ends_the_stream() {
    for (length, is_taken) in [(dialback::KEY_MAX, true), (dialback::KEY_MAX + 1, false)] {
        for name in ["result", "verify"] {
            let mut link = Link::new(direct, by_dialback());
            link.verdict = DialbackVerdict::Error(Condition::RemoteServerTimeout);
            link.run();
            let key = "0".repeat(length);
            let element = format!(
                "<db:{name} xmlns:db='jabber:server:dialback' from='other.example' to='south.example' id='i'>{key}</db:{name}>"
            );
            link.south.handle_bytes(element.as_bytes());
            let event = link.south.poll_event();
            let ended = Ending::Failed(StreamError::PeerMisbehaved(Misbehaviour::LongKey));
            match event {
                Some(ResponderEvent::Ended(ending)) => assert_eq!((ending, is_taken), (ended, false)),
                Some(ResponderEvent::DialbackKey(_) | ResponderEvent::DialbackVerify(_)) => assert!(is_taken),
                other => panic!("{other:?}"),
            }
        }
    }
}
