//! What happens on the stage: two people meet, write, miss each other, and share a picture.

use std::fs;

use super::picture;
use super::stage::Stage;
use super::transcript::Transcript;
use super::trouble::Trouble;
use crate::api::{Answer, Event, Request};

/// Everything that nobody else may be able to read.
pub(super) struct Secrets {
    pub(super) words: Vec<String>,
    pub(super) file_name: String,
    pub(super) picture: Vec<u8>,
    pub(super) addresses: [String; 2],
    pub(super) passwords: [String; 2],
}

impl Secrets {
    /// Made up anew for each run, so that nothing can be found that was there before.
    fn new() -> Result<Self, Trouble> {
        let mut random = [0u8; 32];
        getrandom::fill(&mut random).map_err(|_| Trouble::new("this machine gives no random numbers"))?;
        let number = |nth: usize| random.get(nth * 4..nth * 4 + 4).map(hex::encode).unwrap_or_default();
        let seed = random.last_chunk::<8>().map_or(1, |bytes| u64::from_le_bytes(*bytes));
        let words = vec![
            format!("Hello Bob, shall we meet at the old mill at seven? {}", number(0)),
            format!("Gladly, Alice. I bring the map and something warm. {}", number(1)),
            format!("You are away, so read this later: come by the river path. {}", number(2)),
        ];
        Ok(Self {
            words,
            file_name: format!("map-of-the-river-{}.png", number(3)),
            picture: picture::draw(seed),
            addresses: ["alice@north.example".to_owned(), "bob@south.example".to_owned()],
            passwords: [format!("walnut-lantern-{}", number(4)), format!("copper-meadow-{}", number(5))],
        })
    }

    fn word(&self, nth: usize) -> String {
        self.words.get(nth).cloned().unwrap_or_default()
    }
}

/// Plays the story.
pub(super) async fn play(stage: &mut Stage, transcript: &mut Transcript<'_>) -> Result<Secrets, Trouble> {
    let secrets = Secrets::new()?;
    join(stage, transcript, &secrets).await?;
    meet(stage, transcript).await?;
    converse(stage, transcript, &secrets).await?;
    miss(stage, transcript, &secrets).await?;
    share(stage, transcript, &secrets).await?;
    stage.alice.stop().await;
    stage.bob.stop().await;
    Ok(secrets)
}

async fn join(stage: &mut Stage, transcript: &mut Transcript<'_>, secrets: &Secrets) -> Result<(), Trouble> {
    let refused = |_| Trouble::new("a broker makes no invite link");
    let to_north = stage.north.server.invite().await.map_err(refused)?.link;
    let to_south = stage.south.server.invite().await.map_err(refused)?.link;
    let [alice_password, bob_password] = secrets.passwords.clone();
    stage.alice.start().await?;
    stage.bob.start().await?;
    let people = [(&stage.alice, "alice", to_north, alice_password), (&stage.bob, "bob", to_south, bob_password)];
    for (person, name, link, password) in people {
        let Answer::Joined { address, .. } = person.ask(Request::Join { link, name: Some(name.to_owned()) }).await?
        else {
            return Err(Trouble::new("joining gave no account"));
        };
        if !secrets.addresses.contains(&address) {
            return Err(Trouble::new("an account has another name than it should"));
        }
        person.ask(Request::ChangePassword { new: Some(password) }).await?;
        transcript.step(&format!("{address} opened an account with an invite link and chose a password."));
    }
    Ok(())
}

async fn meet(stage: &mut Stage, transcript: &mut Transcript<'_>) -> Result<(), Trouble> {
    let Answer::Invited { link, .. } = stage.alice.ask(Request::Invite).await? else {
        return Err(Trouble::new("Alice got no link to give to Bob"));
    };
    stage.bob.ask(Request::Add { link, name: None }).await?;
    let accepted = |event| match event {
        Event::Contact { contact } if contact.relation == "accepted" => Some(()),
        _ => None,
    };
    stage.alice.wait(accepted).await?;
    transcript.step("Alice gave Bob a link. They are contacts now, from one broker to the other.");
    Ok(())
}

async fn converse(stage: &mut Stage, transcript: &mut Transcript<'_>, secrets: &Secrets) -> Result<(), Trouble> {
    let Stage { alice, bob, .. } = stage;
    let [_, bob_address] = &secrets.addresses;
    say(alice, bob_address, &secrets.word(0)).await?;
    hear(bob, &secrets.word(0)).await?;
    transcript.step("Alice wrote to Bob, and Bob read it.");
    say(bob, "alice", &secrets.word(1)).await?;
    hear(alice, &secrets.word(1)).await?;
    transcript.step("Bob answered, and Alice read it.");
    Ok(())
}

async fn miss(stage: &mut Stage, transcript: &mut Transcript<'_>, secrets: &Secrets) -> Result<(), Trouble> {
    let Stage { alice, bob, .. } = stage;
    bob.stop().await;
    say(alice, "bob", &secrets.word(2)).await?;
    transcript.step("Bob went off line. Alice wrote all the same, and her broker confirmed it.");
    bob.start().await?;
    bob.ask(Request::GoOnline).await?;
    hear(bob, &secrets.word(2)).await?;
    transcript.step("Bob came back and read what had waited for him.");
    Ok(())
}

async fn share(stage: &mut Stage, transcript: &mut Transcript<'_>, secrets: &Secrets) -> Result<(), Trouble> {
    let path = stage.directory.path().join("bob").join(&secrets.file_name);
    fs::write(&path, &secrets.picture)?;
    let Stage { alice, bob, .. } = stage;
    let path = path.display().to_string();
    let Answer::Saved { message: sent, .. } =
        bob.ask(Request::Send { who: "alice".to_owned(), path, path_hex: None }).await?
    else {
        return Err(Trouble::new("the picture was not sent"));
    };
    bob.wait(|event| is_sent(event, &sent)).await?;
    let offered = |event| match event {
        Event::Message { message } if message.file.is_some() => Some(message),
        _ => None,
    };
    let offer = alice.wait(offered).await?;
    let request = Request::Fetch { who: offer.contact, message: offer.id };
    let Answer::Fetched { path: Some(path) } = alice.ask(request).await? else {
        return Err(Trouble::new("the picture was not fetched"));
    };
    if fs::read(&path)? != secrets.picture || !path.ends_with(&secrets.file_name) {
        return Err(Trouble::new("the picture that arrived is not the one that was sent"));
    }
    let bytes = secrets.picture.len();
    transcript.step(&format!("Bob sent a picture of {bytes} bytes. Alice has it, byte for byte the same."));
    Ok(())
}

async fn say(person: &mut super::stage::Person, who: &str, text: &str) -> Result<(), Trouble> {
    let request = Request::Say { who: who.to_owned(), text: text.to_owned() };
    let Answer::Saved { message, .. } = person.ask(request).await? else {
        return Err(Trouble::new("a message was not sent"));
    };
    person.wait(|event| is_sent(event, &message)).await
}

fn is_sent(event: Event, id: &str) -> Option<()> {
    matches!(event, Event::MessageState { message, state, .. } if message == id && (state == "sent" || state == "delivered")).then_some(())
}

async fn hear(person: &mut super::stage::Person, text: &str) -> Result<(), Trouble> {
    let heard = |event| match event {
        Event::Message { message } if message.direction == "in" => message.text,
        _ => None,
    };
    if person.wait(heard).await? == text { Ok(()) } else { Err(Trouble::new("a message arrived changed")) }
}
