//! The dialogues, held with other servers: so they are known to describe XMPP and not us.

use waxwing_tests::dialogue::{self, Subject};
use waxwing_tests::lab::Lab;
use waxwing_tests::peers::ejabberd::Ejabberd;
use waxwing_tests::peers::prosody::Prosody;
use waxwing_tests::raw::Server;

#[tokio::test]
async fn prosody_speaks_as_the_dialogues_say() {
    let lab = Lab::new("prosody-dialogues", &["prosody"]);
    let _prosody = Prosody::start(&lab, "prosody");
    let host = lab.host("prosody");
    let server = Server::new(host.at(5222), &host.domain, &lab.ca_file());
    dialogue::play_all(&Subject { name: "prosody", server }).await;
}

#[tokio::test]
async fn ejabberd_speaks_as_the_dialogues_say() {
    let lab = Lab::new("ejabberd-dialogues", &["ejabberd"]);
    let _ejabberd = Ejabberd::start(&lab, "ejabberd");
    let host = lab.host("ejabberd");
    let server = Server::new(host.at(5222), &host.domain, &lab.ca_file()).without_binding();
    dialogue::play_all(&Subject { name: "ejabberd", server }).await;
}
