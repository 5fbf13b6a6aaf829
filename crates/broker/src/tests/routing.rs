//! Who gets a message, and what does not reach anybody (RFC 6121 §8, RFC 6120 §8.1, §10).

use crate::testing::World;

#[test]
fn two_clients_exchange_a_message() {
    let mut world = World::new(1, &["north.example"]);
    world.register("alice@north.example");
    world.register("bob@north.example");
    let alice = world.online("alice@north.example", "desk");
    let bob = world.online("bob@north.example", "phone");
    world.send(alice, "<message to='bob@north.example' type='chat' id='m1'><body>hi</body></message>");
    let got = world.take(bob);
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].attr("from"), Some("alice@north.example/desk"));
    assert_eq!(got[0].attr("to"), Some("bob@north.example"));
    world.send(bob, "<message to='alice@north.example/desk' type='chat' id='m2'><body>ho</body></message>");
    assert_eq!(world.take(alice)[0].attr("id"), Some("m2"));
}
