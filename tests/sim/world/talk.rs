//! What people do and see.

use bytes::Bytes;
use client::command::{InboxFilter, InboxSide, Outcome, Reply};
use client::event::{Contact, Content, Message, MessageId, MessageState};
use client::{Command, CommandError};
use store::block_on;

use super::World;

impl World {
    /// Gives a command; what follows from it happens later.
    ///
    /// # Errors
    ///
    /// What the engine says.
    pub(crate) fn command_only(&mut self, person: usize, command: Command) -> Result<Reply, CommandError> {
        let engine = self.people[person].engine.as_mut().expect("the program runs");
        let reply = block_on(engine.command(command));
        self.check_power_of_person(person);
        reply
    }

    /// Gives a command and lets everything happen that follows.
    ///
    /// # Panics
    ///
    /// When the engine refuses.
    pub(crate) fn command(&mut self, person: usize, command: Command) -> Reply {
        let reply = self.command_only(person, command).expect("the engine obeys");
        self.settle();
        reply
    }

    fn finished(&mut self, person: usize, command: Command) -> Outcome {
        let Reply::Accepted(request) = self.command(person, command) else { panic!("this takes time") };
        let outcome = self.people[person].outcome(request).expect("it has ended");
        outcome.unwrap_or_else(|failure| panic!("it has ended well, and not with {failure:?}"))
    }

    /// Adds somebody who joins a broker by an invitation of its operator.
    pub(crate) fn join(&mut self, name: &str, site: usize) -> usize {
        let person = self.person();
        let link = self.sites[site].invite();
        self.finished(person, Command::Join { link, name: Some(name.to_owned()) });
        person
    }

    /// Makes an invite link of a person.
    pub(crate) fn invite(&mut self, person: usize) -> String {
        match self.finished(person, Command::Invite) {
            Outcome::Invited { link, .. } => link,
            other => panic!("an invitation, and not {other:?}"),
        }
    }

    /// Has `guest` add `host` by an invite link of hers.
    pub(crate) fn befriend(&mut self, guest: usize, host: usize) {
        let link = self.invite(host);
        self.command(guest, Command::Add { link, name: None });
    }

    /// Two people on two brokers, of whom Bob has added Alice by her link.
    pub(crate) fn alice_and_bob(seed: u64) -> (Self, usize, usize) {
        let mut world = Self::new(seed);
        let alice = world.join("alice", super::NORTH);
        let bob = world.join("bob", super::SOUTH);
        world.befriend(bob, alice);
        (world, alice, bob)
    }

    /// Says something, and lets it arrive.
    pub(crate) fn say(&mut self, person: usize, who: &str, text: &str) -> MessageId {
        let id = self.say_only(person, who, text).expect("the engine takes a message");
        self.settle();
        id
    }

    /// Says something; `None` when the engine does not take it, because its disk is in trouble.
    pub(crate) fn say_only(&mut self, person: usize, who: &str, text: &str) -> Option<MessageId> {
        match self.command_only(person, Command::Say { who: who.to_owned(), text: text.to_owned() }) {
            Ok(Reply::Saved { message, .. }) => Some(message),
            Ok(other) => panic!("it is saved, and not {other:?}"),
            Err(CommandError::Store(_)) => None,
            Err(other) => panic!("it is saved, and not refused with {other:?}"),
        }
    }

    /// Sends a file, and lets it arrive.
    pub(crate) fn send_file(&mut self, person: usize, who: &str, name: &str, bytes: Bytes) -> MessageId {
        let media_type = Some("image/jpeg".to_owned());
        match self.command(person, Command::SendFile { who: who.to_owned(), name: name.to_owned(), media_type, bytes })
        {
            Reply::Saved { message, .. } => message,
            other => panic!("it is saved, and not {other:?}"),
        }
    }

    /// Fetches an offered file.
    pub(crate) fn fetch_file(&mut self, person: usize, who: &str, message: &MessageId) {
        self.finished(person, Command::Fetch { who: who.to_owned(), message: message.clone() });
    }

    /// Starts a person's program again and goes online.
    pub(crate) fn start_person(&mut self, person: usize) {
        self.people[person].disk.restart();
        let clock = self.machine_clock();
        self.people[person].start(clock).expect("a sound disk opens");
        self.command_only(person, Command::GoOnline).expect("it goes online");
    }

    /// What lies in a person's inbox, oldest first.
    pub(crate) fn inbox(&mut self, person: usize, from: InboxSide) -> Vec<Message> {
        let filter = InboxFilter { from, unread_only: false, limit: 10_000 };
        match self.command_only(person, Command::Inbox(filter)) {
            Ok(Reply::Messages(messages)) => messages,
            other => panic!("messages, and not {other:?}"),
        }
    }

    /// What a person got to read, from contacts or from others.
    pub(crate) fn texts(&mut self, person: usize, from: InboxSide) -> Vec<String> {
        let received = self.inbox(person, from).into_iter().filter(|message| message.state == MessageState::Received);
        let text = |message: Message| match message.content {
            Content::Text(text) => text,
            Content::File(file) => format!("file {}", file.name),
            other => panic!("words or a file, and not {other:?}"),
        };
        received.map(text).collect()
    }

    /// What a person got to read from contacts.
    pub(crate) fn received(&mut self, person: usize) -> Vec<String> {
        self.texts(person, InboxSide::Contacts)
    }

    /// What is known about a message.
    pub(crate) fn state(&mut self, person: usize, who: &str, id: &MessageId) -> MessageState {
        let command = Command::History { who: who.to_owned(), before: None, limit: 10_000 };
        match self.command_only(person, command) {
            Ok(Reply::Messages(messages)) => messages.into_iter().find(|m| m.id == *id).expect("it is known").state,
            other => panic!("messages, and not {other:?}"),
        }
    }

    /// Finds somebody among contacts and requests.
    pub(crate) fn contact(&mut self, person: usize, address: &str) -> Option<Contact> {
        let mut all = Vec::new();
        for command in [Command::Contacts, Command::Requests] {
            match self.command_only(person, command) {
                Ok(Reply::Contacts(contacts)) => all.extend(contacts),
                other => panic!("contacts, and not {other:?}"),
            }
        }
        all.into_iter().find(|contact| contact.address.as_str() == address)
    }
}
