//! Two people on two brokers exchange a message, all in memory: `cargo run -p waxwing-broker --example two_clients
//! --features testing`.

use waxwing_broker::testing::World;

fn main() {
    // two brokers, each with its own disk, clock and random source, and a network between them
    let mut world = World::new(1, &["north.example", "south.example"]);
    world.register("alice@north.example");
    world.register("bob@south.example");

    // Alice signs in, and writes while Bob is away: his broker keeps it
    let alice = world.online("alice@north.example", "desk");
    world.send(alice, "<message to='bob@south.example' type='chat' id='1'><body>Are you there?</body></message>");

    // Bob signs in and becomes available: there it is, with the time at which it came
    let bob = world.connect("bob@south.example", "phone");
    world.send(bob, "<presence/>");
    let received = world.take(bob);
    let message = received.iter().find(|stanza| stanza.name() == "message").expect("the message was kept");
    assert_eq!(message.attr("from"), Some("alice@north.example/desk"));
    println!("{}", message.to_xml("jabber:client"));
}
