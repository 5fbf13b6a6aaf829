//! Exit codes, and what is said with them.

use serde_json::json;
use waxwing::cli::Exit;

use crate::harness::{Person, broker};
use crate::way::Way;

#[tokio::test(flavor = "multi_thread")]
async fn whoever_cannot_be_reached_securely_is_no_contact_and_an_invitation_is_named() {
    let server = broker("north.example").await;
    let alice = Person::joined(&server, "alice").await;
    let ran = alice.run(&["say", "carol@north.example", "hello"]).await;
    assert_eq!(ran.exit, Exit::NotSecure, "{ran:?}");
    assert!(ran.out.contains("has no app that can read encrypted messages, so nothing was sent"), "{ran:?}");
    assert!(ran.out.contains("waxwing invite") && !ran.out.contains("xmpp:"), "{ran:?}");
    let ran = alice.run(&["say", "carol@north.example", "hello", "--json"]).await;
    assert_eq!(ran.exit, Exit::NotSecure, "{ran:?}");
    let object = ran.object();
    assert_eq!((&object["version"], &object["state"]), (&json!(1), &json!("needs_invite")), "{object}");
    assert_eq!((&object["command"], &object["link"]), (&json!("waxwing invite"), &json!(null)), "{object}");
    assert!(alice.json(&["contacts"]).await.is_empty());
    assert_eq!(alice.run(&["say", "carol", "hello"]).await.exit, Exit::Usage);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_account_every_command_says_what_to_do() {
    let nobody = Person::new();
    for line in [&["say", "bob", "hello"][..], &["inbox"], &["contacts"], &["invite"], &["history", "bob"]] {
        let ran = nobody.run(line).await;
        assert_eq!(ran.exit, Exit::NoAccount, "{line:?}: {ran:?}");
        assert!(ran.err.contains("There is no account here yet"), "{line:?}: {ran:?}");
    }
    let ran = nobody.run(&[]).await;
    assert_eq!(ran.exit, Exit::Ok);
    assert!(ran.out.contains("waxwing join 'xmpp:...'"), "{ran:?}");
    let ran = nobody.run(&["status", "--json"]).await;
    assert_eq!((ran.exit, ran.object()["status"]["account"].clone()), (Exit::NoAccount, json!("none")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_used_is_a_usage_error() {
    let nobody = Person::new();
    for line in [
        &["dance"][..],
        &["say", "bob"],
        &["join", "http://example.org"],
        &["login", "not an address", "--password-file", "/dev/null"],
        &["login", "alice@north.example"],
        &["config", "set", "proxy", "tor"],
        &["config", "get", "colour"],
    ] {
        let ran = nobody.run(line).await;
        assert_eq!(ran.exit, Exit::Usage, "{line:?}: {ran:?}");
        assert!(!ran.err.is_empty() && ran.out.is_empty(), "{line:?}: {ran:?}");
    }
    let ran = nobody.run(&["join", "nonsense", "--json"]).await;
    assert_eq!(ran.object()["error"], "bad_input");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_confirmed_in_time_is_saved_and_sent_later() {
    let server = broker("north.example").await;
    let way = Way::to(&server).await;
    let link = server.invite().await.expect("an invitation").link;
    let alice = Person::new();
    assert_eq!(alice.run(&["join", &way.over(&link), "--name", "alice"]).await.exit, Exit::Ok);
    let bob = Person::joined(&server, "bob").await;
    way.hold(true);
    let ran = alice.run(&["say", "bob@north.example", "later", "--wait", "1"]).await;
    assert_eq!(ran.exit, Exit::NotYetSent, "{ran:?}");
    assert!(ran.out.starts_with("Saved. Your server has not confirmed it yet"), "{ran:?}");
    assert!(alice.run(&[]).await.out.contains("Something is waiting to be sent"));
    assert_eq!(alice.run(&["inbox", "--wait", "1"]).await.exit, Exit::Offline);
    way.hold(false);
    assert_eq!(alice.run(&["say", "bob@north.example", "now"]).await.exit, Exit::Ok);
    let ran = bob.run(&["inbox", "--requests"]).await;
    assert_eq!((ran.out.matches("later").count(), ran.out.matches("now").count()), (1, 1), "{ran:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_are_changed_and_wrong_ones_refused() {
    let server = broker("north.example").await;
    let alice = Person::joined(&server, "alice").await;
    let file = alice.home.0.join("password");
    std::fs::write(&file, "a walnut lantern by the harbour\n").expect("written");
    let file = file.to_str().expect("text");
    assert_eq!(alice.run(&["account", "password", "--password-file", file]).await.exit, Exit::Ok);
    assert_eq!(alice.run(&["status"]).await.exit, Exit::Ok);

    let ca = alice.home.0.join("ca.pem");
    std::fs::write(&ca, &server.facts().ca_pem).expect("written");
    let host = server.addresses().client.to_string();
    let login = |password: &'static str| {
        let (ca, host) = (ca.display().to_string(), host.clone());
        async move {
            let elsewhere = Person::new();
            let file = elsewhere.home.0.join("password");
            std::fs::write(&file, password).expect("written");
            let file = file.to_str().expect("text");
            let line = ["login", "alice@north.example", "--password-file", file, "--host", &host, "--ca-file", &ca];
            let ran = elsewhere.run(&line).await;
            (ran, elsewhere)
        }
    };
    let (ran, _) = login("a walnut lamp").await;
    assert_eq!(ran.exit, Exit::NoAccount, "{ran:?}");
    assert!(ran.err.contains("does not accept this password"), "{ran:?}");
    let (ran, elsewhere) = login("a walnut lantern by the harbour").await;
    assert_eq!(ran.exit, Exit::Ok, "{ran:?}");
    assert_eq!(ran.out.lines().next(), Some("You are signed in as alice@north.example."));
    assert_eq!(elsewhere.run(&["account", "delete"]).await.exit, Exit::Usage, "nobody can be asked");
    assert_eq!(elsewhere.run(&["account", "delete", "--yes"]).await.exit, Exit::Ok);
    assert_eq!(elsewhere.run(&["status"]).await.exit, Exit::NoAccount);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_the_one_of_the_link_is_refused() {
    let (server, other) = (broker("north.example").await, broker("north.example").await);
    let link = server.invite().await.expect("an invitation").link;
    let ran = Person::new().run(&["join", &Way::to(&other).await.over(&link), "--name", "alice"]).await;
    assert_eq!(ran.exit, Exit::NoAccount, "{ran:?}");
    assert!(ran.err.contains("a letter of the link is wrong, or somebody is in between"), "{ran:?}");
    let used = server.invite().await.expect("an invitation").link;
    assert_eq!(Person::new().run(&["join", &used, "--name", "bob"]).await.exit, Exit::Ok);
    let ran = Person::new().run(&["join", &used, "--name", "carol"]).await;
    assert!(ran.exit == Exit::Usage && ran.err.contains("has been used"), "{ran:?}");
    server.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_kept_and_completions_written() {
    let somebody = Person::new();
    assert_eq!(somebody.run(&["config", "set", "proxy", "127.0.0.1:9050"]).await.exit, Exit::Ok);
    assert_eq!(somebody.run(&["config", "get", "proxy"]).await.out, "127.0.0.1:9050\n");
    let all = somebody.json(&["config"]).await;
    assert_eq!(all[0]["settings"]["proxy"], "127.0.0.1:9050");
    assert_eq!(all[0]["settings"]["wait"], json!(null));
    assert_eq!(somebody.run(&["config", "unset", "proxy"]).await.exit, Exit::Ok);
    assert_eq!(somebody.run(&["config", "get", "proxy"]).await.out, "(default)\n");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = somebody.run(&["completions", shell]).await;
        assert!(ran.exit == Exit::Ok && ran.out.contains("waxwing"), "{shell}");
    }
    assert_eq!(somebody.run(&["--version"]).await.out, concat!("waxwing ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_sign_in_is_proved_before_anything_is_replaced_and_a_broker_says_where_it_is() {
    let server = broker("north.example").await;
    let link = server.invite().await.expect("an invitation").link;
    let way = Way::to(&server).await;
    let alice = Person::new();
    assert_eq!(alice.run(&["join", &way.over(&link), "--name", "alice"]).await.exit, Exit::Ok);
    let file = |name: &str, content: &str| {
        let path = alice.home.0.join(name);
        std::fs::write(&path, content).expect("written");
        path.to_str().expect("text").to_owned()
    };
    let (right, wrong) = (file("right", "a walnut lantern"), file("wrong", "a walnut lamp"));
    let ca = file("ca.pem", &server.facts().ca_pem);
    assert_eq!(alice.run(&["account", "password", "--password-file", &right]).await.exit, Exit::Ok);
    let login = ["login", "alice@north.example", "--password-file"];
    // Wrong password, with an authority that must not stay; nobody at that place; not this key.
    let nobody = ["--host", "127.0.0.1:9"];
    let pin = ["--pin", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"];
    for (password, rest, exit) in [
        (&wrong, ["--ca-file", ca.as_str()], Exit::NoAccount),
        (&right, nobody, Exit::Offline),
        (&right, pin, Exit::NoAccount),
    ] {
        let ran = alice.run(&[&login[..], &[password], &rest].concat()).await;
        assert_eq!(ran.exit, exit, "{ran:?}");
        assert_eq!(alice.run(&["config", "get", "ca-file"]).await.out, "(default)\n");
        assert_eq!(alice.run(&["status"]).await.exit, Exit::Ok, "the way that is known still works");
    }
    // The way is gone. The broker has said by itself where it is.
    drop(way);
    assert_eq!(alice.run(&["status"]).await.exit, Exit::Ok);
    // And a right sign-in by certificate instead of the pin is kept, with its authority.
    let host = server.addresses().client.to_string();
    let ran = alice.run(&[&login[..], &[&right, "--host", &host, "--ca-file", &ca]].concat()).await;
    assert_eq!(ran.exit, Exit::Ok, "{ran:?}");
    assert_eq!(alice.run(&["config", "get", "ca-file"]).await.out, format!("{ca}\n"));
    assert_eq!(alice.run(&["status"]).await.exit, Exit::Ok);
    server.stop().await;
}
