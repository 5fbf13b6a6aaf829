//! The dialogues of this directory, held with `waxwingd`. The `interop` tests hold the same ones with other servers.

use net::verify::Trust;
use waxwing_tests::dialogue::{self, Subject};
use waxwing_tests::raw;
use waxwingd::server::Server;
use waxwingd::settings::Settings;
use xep::policy::E2eePolicy;

/// A broker for anybody, without the policy: scripts say things in clear.
fn settings() -> Settings {
    let mut settings = Settings::in_memory();
    settings.domain = Some("waxwing.example".into());
    settings.policy = E2eePolicy::Off;
    settings.registration.is_open = true;
    settings.scram_iterations = 4096;
    settings.pre_auth_per_network = None;
    settings
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waxwingd_speaks_as_the_dialogues_say() {
    let broker = Server::start(settings()).await.expect("the broker starts");
    let trust = Trust::only_pem(&broker.facts().ca_pem).expect("its certificate is one");
    let server = raw::Server {
        address: broker.addresses().client,
        domain: broker.domain().to_owned(),
        trust,
        danger_no_binding: false,
    };
    dialogue::play_all(&Subject { name: "waxwingd", server }).await;
    broker.stop().await;
}

#[test]
fn every_dialogue_is_for_our_broker() {
    for script in dialogue::read_all() {
        assert!(script.servers.iter().any(|server| server == "waxwingd"), "{} is not", script.name);
    }
}
