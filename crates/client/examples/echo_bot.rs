//! A bot that says back what contacts say: `cargo run -p waxwing-client --example echo_bot`. Sockets are left out: `turn`
//! is called whenever the engine has been told something, and returns what the program around is to do.

use crypto::random::SeededRandom;
use std::sync::Arc;
use store::{Store, block_on};
use waxwing_client::command::{Login, Password};
use waxwing_client::engine::Origin;
use waxwing_client::event::{Content, MessageState};
use waxwing_client::{Command, CommandError, Engine, Environment, Event, Output};
use xmpp::time::{Clock, Moment, Timestamp};

/// Echoes what has arrived.
pub(crate) async fn turn(engine: &mut Engine) -> Result<Vec<Output>, CommandError> {
    while let Some(event) = engine.poll_event() {
        let Event::Message(message) = event else { continue };
        if let (Content::Text(text), MessageState::Received, false) = (message.content, message.state, message.request)
        {
            engine.command(Command::Say { who: message.contact.as_str().to_owned(), text }).await?;
        }
    }
    Ok(std::iter::from_fn(|| engine.poll_output()).collect())
}

struct Noon;
impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(1_800_000_000)
    }

    fn moment(&self) -> Moment {
        Moment::default()
    }
}

/// Begins to sign in, and shows what it wants.
pub(crate) fn main() {
    let random = Arc::new(SeededRandom::new(1)); // a real bot uses the machine's randomness
    let engine = Engine::open(Store::in_memory(random.clone()), Environment::new(Arc::new(Noon), random), Origin::Same);
    let mut engine = block_on(engine).expect("a store in memory opens");
    let (address, password) = ("echo@example.org".into(), Password::new("?"));
    let login = Command::Login(Login {
        address,
        password,
        at: Vec::new(),
        pin: None,
        by_certificate: false,
        danger_no_binding: false,
    });
    block_on(engine.command(login)).expect("the address is one");
    println!("{:?}", block_on(turn(&mut engine)).expect("a store in memory works"));
}
