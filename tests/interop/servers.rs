//! That the peers themselves start; everything else builds on it.

use waxwing_tests::lab::Lab;
use waxwing_tests::peers::ejabberd::Ejabberd;
use waxwing_tests::peers::prosody::Prosody;

#[test]
fn prosody_and_ejabberd_start() {
    let lab = Lab::new("servers", &["prosody", "ejabberd"]);
    let prosody = Prosody::start(&lab, "prosody");
    prosody.register("alice", "a long enough password");
    let _ejabberd = Ejabberd::start(&lab, "ejabberd");
}
