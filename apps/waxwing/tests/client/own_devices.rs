//! C22: somebody signs in to an account that has another app, theirs or not.

use serde_json::json;
use waxwing::cli::Exit;
use waxwingd::Server;

use crate::harness::{Person, Ran, broker};

const QUESTION: &str = "Is it yours?";

/// Alice's account is open at one machine, and she signs in at another one.
struct Scene {
    server: Server,
    bob: Person,
    phone: Person,
    laptop: Person,
}

impl Scene {
    async fn new() -> Self {
        let server = broker("north.example").await;
        let phone = Person::joined(&server, "alice").await;
        let file = phone.home.0.join("password");
        std::fs::write(&file, "a walnut lantern by the harbour\n").expect("written");
        let file = file.to_str().expect("text");
        assert_eq!(phone.run(&["account", "password", "--password-file", file]).await.exit, Exit::Ok);
        let bob = Person::new();
        assert_eq!(bob.run(&["join", &phone.link().await, "--name", "bob"]).await.exit, Exit::Ok);
        Self { server, bob, phone, laptop: Person::new() }
    }

    async fn login(&self, answers: Option<&'static str>) -> Ran {
        let (file, ca) = (self.laptop.home.0.join("password"), self.laptop.home.0.join("ca.pem"));
        std::fs::write(&file, "a walnut lantern by the harbour\n").expect("written");
        std::fs::write(&ca, &self.server.facts().ca_pem).expect("written");
        let (file, ca) = (file.to_str().expect("text"), ca.to_str().expect("text"));
        let host = self.server.addresses().client.to_string();
        let line = ["login", "alice@north.example", "--password-file", file, "--host", &host, "--ca-file", ca];
        let ran = match answers {
            Some(answers) => self.laptop.at_terminal(&line, answers).await,
            None => self.laptop.run(&line).await,
        };
        assert_eq!(ran.exit, Exit::Ok, "{ran:?}");
        let link = self.bob.link().await;
        assert_eq!(self.laptop.run(&["add", &link]).await.exit, Exit::Ok);
        ran
    }

    async fn state(&self) -> serde_json::Value {
        let objects = self.laptop.json(&["devices"]).await;
        let device = objects.iter().find(|object| object["kind"] == "device").expect("the phone");
        device["device"]["state"].clone()
    }

    async fn phones_fingerprint(&self) -> String {
        let objects = self.phone.json(&["devices"]).await;
        objects[0]["fingerprint"].as_str().expect("digits").to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c22_login_asks_whose_the_other_app_is_and_an_honest_owner_is_led_through_it() {
    let scene = Scene::new().await;
    let ran = scene.login(Some("what?\nyes\n")).await;
    assert_eq!(ran.err.matches(QUESTION).count(), 2, "an answer that is none is asked for again: {ran:?}");
    assert!(ran.err.contains(&scene.phones_fingerprint().await), "the phone shows the same: {ran:?}");
    assert_eq!(scene.state().await, "believed");
    assert_eq!(scene.laptop.run(&["say", "bob", "hello"]).await.exit, Exit::Ok);
    let ran = scene.laptop.at_terminal(&["verify", "bob"], "").await;
    assert!(ran.exit == Exit::Ok && !ran.err.contains(QUESTION), "{ran:?}");
    scene.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c22_a_script_gets_a_row_that_lasts_and_no_number() {
    let scene = Scene::new().await;
    let ran = scene.login(None).await;
    assert!(!ran.err.contains(QUESTION), "{ran:?}");
    assert_eq!(scene.laptop.run(&["say", "bob", "hello"]).await.exit, Exit::Ok);
    for _ in 0..2 {
        let ran = scene.laptop.run(&["verify", "bob"]).await;
        assert_eq!(ran.exit, Exit::OwnDeviceWaits, "{ran:?}");
        assert!(ran.out.is_empty() && ran.err.contains("waxwing devices"), "{ran:?}");
        let ran = scene.laptop.run(&["notices", "--seen"]).await;
        assert!(ran.out.contains("Your account has another app"), "{ran:?}");
    }
    let ran = scene.laptop.run(&["verify", "bob", "--json"]).await;
    assert_eq!(ran.objects().last().map(|object| object["error"].clone()), Some(json!("own_device_waits")));
    assert_eq!(scene.state().await, "undecided");
    let listed = scene.laptop.run(&["devices"]).await;
    let number = listed.out.lines().find(|line| line.contains("waits for your answer")).expect("listed");
    let number = number.split_whitespace().next().expect("a number").to_owned();
    assert_eq!(scene.laptop.run(&["devices", "agree", &number]).await.exit, Exit::Ok);
    assert_eq!(scene.laptop.run(&["verify", "bob"]).await.exit, Exit::Ok);
    assert_eq!(scene.laptop.run(&["devices", "refuse", &number]).await.exit, Exit::Ok);
    assert_eq!(scene.state().await, "refused");
    scene.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c22_later_is_asked_again_only_where_it_matters() {
    let scene = Scene::new().await;
    scene.login(None).await;
    let ran = scene.laptop.at_terminal(&["say", "bob", "hello"], "later\n").await;
    assert!(ran.err.contains(QUESTION), "the first command at a terminal asks: {ran:?}");
    let ran = scene.laptop.at_terminal(&["contacts"], "").await;
    assert!(!ran.err.contains(QUESTION) && ran.err.contains("! Your account"), "then a line is enough: {ran:?}");
    let ran = scene.laptop.at_terminal(&["verify", "bob"], "later\n").await;
    assert!(ran.err.contains(QUESTION) && ran.exit == Exit::OwnDeviceWaits, "{ran:?}");
    let ran = scene.laptop.at_terminal(&["verify", "bob"], "no\n").await;
    assert!(ran.err.contains(QUESTION) && ran.exit == Exit::Ok, "{ran:?}");
    assert_eq!(scene.state().await, "refused");
    scene.server.stop().await;
}
