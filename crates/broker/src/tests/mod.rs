//! Whole sessions against each other, in memory.

mod addresses;
mod budgets;
mod clock;
mod contention;
mod crash;
mod dialback;
mod federation;
mod federation_acks;
mod hostile;
mod limits;
mod offline;
mod order;
mod presence;
mod roster;
mod routing;

use xmpp::ns;
use xmpp::xml::Element;

use crate::testing::World;

/// The domain of most tests.
const NORTH: &str = "north.example";

/// A world with one broker, and the accounts alice, bob and carol.
fn world(seed: u64) -> World {
    let world = World::new(seed, &[NORTH]);
    for name in ["alice", "bob", "carol"] {
        world.register(&format!("{name}@{NORTH}"));
    }
    world
}

/// The ids of stanzas, in order.
fn ids(stanzas: &[Element]) -> Vec<&str> {
    stanzas.iter().map(|s| s.attr("id").unwrap_or("-")).collect()
}

/// The condition of an error stanza.
fn condition(stanza: &Element) -> Option<&'static str> {
    xmpp::stanza::StanzaError::of_stanza(stanza).map(|error| error.condition.as_str())
}

/// A stanza's type and sender, for comparing presence.
fn kind_and_from(stanza: &Element) -> (String, String) {
    let attr = |name| stanza.attr(name).unwrap_or_default().to_owned();
    (attr("type"), attr("from"))
}

/// The child of an IQ result.
fn query(stanza: &Element) -> Option<&Element> {
    stanza.children().find(|c| c.ns() != ns::CLIENT)
}
