use super::cache::Cache;
use super::*;
use crate::forms::{Field, FormType};

fn info(identities: Vec<Identity>, features: &[&str], forms: Vec<Form>) -> Info {
    Info { node: None, identities, features: features.iter().map(|f| (*f).to_owned()).collect(), forms }
}

/// XEP-0115 §5.2.
fn exodus() -> Info {
    info(
        vec![Identity::new("client", "pc", Some("Exodus 0.9.1"))],
        &[
            "http://jabber.org/protocol/disco#info",
            "http://jabber.org/protocol/disco#items",
            "http://jabber.org/protocol/muc",
            "http://jabber.org/protocol/caps",
        ],
        vec![],
    )
}

/// XEP-0115 §5.3.
fn psi() -> Info {
    let name = |lang: &str, name| Identity { lang: Some(lang.into()), ..Identity::new("client", "pc", Some(name)) };
    let mut form = Form::of_type(FormType::Result, "urn:xmpp:dataforms:softwareinfo")
        .with_field(Field::new("ip_version", "ipv6").with_type("text-multi"))
        .with("software", "Psi")
        .with("software_version", "0.11")
        .with("os", "Mac")
        .with("os_version", "10.5.1");
    for field in form.fields.iter_mut().filter(|f| f.var.as_deref() == Some("ip_version")) {
        field.values.push("ipv4".to_owned());
    }
    let mut info = exodus();
    info.identities = vec![name("en", "Psi 0.11"), name("el", "Ψ 0.11")];
    info.forms.push(form);
    info
}

fn announced(info: &Info) -> Caps {
    Caps::announcing(info, "https://example.org/app")
}

#[test]
fn the_examples_of_the_xep() {
    assert_eq!(verification_string(&exodus(), HashFunction::Sha1), "QgayPKawpkPSDYmwT/WM94uAlu0=");
    assert_eq!(verification_string(&psi(), HashFunction::Sha1), "q07IKJEyjvHSyhy//CH0CxmKi8w=");
    for info in [exodus(), psi()] {
        assert_eq!(verify(&announced(&info), &info), Trust::Everybody);
    }
}

#[test]
fn capabilities_come_back_the_same() {
    let caps = announced(&psi());
    let presence = |c| Element::new("presence", "jabber:client").with_child(c);
    assert_eq!(Caps::inside(&presence(caps.to_element())), Ok(Some(caps.clone())));
    assert_eq!(caps.query_node(), "https://example.org/app#q07IKJEyjvHSyhy//CH0CxmKi8w=");
    let mut old = caps.to_element();
    old.remove_attr("hash");
    assert_eq!(Caps::inside(&presence(old)), Ok(None));
    assert!(Caps::inside(&presence(caps.to_element().with_attr("node", "x".repeat(2000)))).is_err());
}

#[test]
fn a_poisoned_answer_never_reaches_the_cache() {
    let honest = info(
        vec![Identity::new("client", "phone", None)],
        &["http://jabber.org/protocol/caps", "urn:xmpp:avatar:metadata+notify", "urn:xmpp:ping"],
        vec![],
    );
    let caps = announced(&honest);
    let mut cache = Cache::new(10);

    // Another answer altogether.
    assert_eq!(cache.learn(&caps, exodus()), None);
    // The last feature told as the name of a form; the last two as form and field; the last three as all of it.
    let all = ["http://jabber.org/protocol/caps", "urn:xmpp:avatar:metadata+notify", "urn:xmpp:ping"];
    for kept in 0..3 {
        let mut hidden = all[kept..].iter();
        let mut form = Form::of_type(FormType::Result, hidden.next().expect("one at least"));
        if let Some(var) = hidden.next() {
            let mut field = Field { var: Some((*var).to_owned()), ..Field::default() };
            field.values = hidden.map(|v| (*v).to_owned()).collect();
            form.fields.push(field);
        }
        let poisoned = info(honest.identities.clone(), &all[..kept], vec![form]);
        assert_eq!(verification_string(&poisoned, HashFunction::Sha1), caps.ver, "the attack works on the hash");
        assert_eq!(verify(&caps, &poisoned), Trust::SenderOnly);
        assert!(cache.learn(&caps, poisoned).is_some());
    }
    // A feature swallowed by the name of an identity.
    let swallowed = info(
        vec![Identity::new("client", "phone", Some("<http://jabber.org/protocol/caps"))],
        &["urn:xmpp:avatar:metadata+notify", "urn:xmpp:ping"],
        vec![],
    );
    assert_eq!(verify(&caps, &swallowed), Trust::SenderOnly);
    assert_eq!(cache.lookup(&caps), None);

    assert!(cache.learn(&caps, honest.clone()).is_some());
    assert_eq!(cache.lookup(&caps).as_deref(), Some(&honest));
}

#[test]
fn answers_with_something_twice_are_refused() {
    let mut twice = exodus();
    twice.features.push("http://jabber.org/protocol/caps".to_owned());
    assert_eq!(verify(&announced(&twice), &twice), Trust::Refused);
    let mut twice = exodus();
    twice.identities.extend(exodus().identities);
    assert_eq!(verify(&announced(&twice), &twice), Trust::Refused);
    let mut twice = psi();
    twice.forms.extend(psi().forms);
    assert_eq!(verify(&announced(&twice), &twice), Trust::Refused);
    let mut two_types = psi();
    two_types.forms[0].fields[0].values.push("other".to_owned());
    assert_eq!(verify(&announced(&two_types), &two_types), Trust::Refused);
}

#[test]
fn forms_without_hidden_type_do_not_count() {
    let mut extra = psi();
    extra.forms.push(Form::new(FormType::Result).with("a", "b"));
    assert_eq!(verification_string(&extra, HashFunction::Sha1), "q07IKJEyjvHSyhy//CH0CxmKi8w=");
}

#[test]
fn unknown_functions_are_believed_for_their_sender_only() {
    let mut caps = announced(&exodus());
    caps.hash = "sha3-256".to_owned();
    let mut cache = Cache::new(10);
    assert!(cache.learn(&caps, psi()).is_some());
    assert_eq!(cache.lookup(&caps), None);
}

#[test]
fn the_cache_forgets_the_oldest() {
    let mut cache = Cache::new(2);
    let kinds: Vec<Info> =
        ["a", "b", "c"].map(|name| info(vec![Identity::new("client", "pc", Some(name))], &[], vec![])).into();
    for kind in &kinds {
        cache.learn(&announced(kind), kind.clone());
    }
    let known: Vec<bool> = kinds.iter().map(|k| cache.lookup(&announced(k)).is_some()).collect();
    assert_eq!(known, [false, true, true]);
}
