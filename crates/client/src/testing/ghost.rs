//! A device of a broker's own: it encrypts as anybody does, and says that it is whoever its broker likes.

use crypto::omemo::{Bundle, Device, Legacy, Omemo2, SessionSet};
use crypto::random::SeededRandom;
use xep::omemo::client::{Recipient, Recipients, Said, Sealer, seal, seal_empty};
use xep::omemo::{BundleElement, DeviceList, Version};
use xep::pubsub::Item;
use xep::sce::{Envelope, recipients_hash};
use xmpp::jid::BareJid;
use xmpp::xml::Element;

use super::World;

pub(crate) struct Ghost {
    pub(crate) device: Device,
    sessions: SessionSet<Omemo2>,
    random: SeededRandom,
    count: u64,
    /// The recipient's keys as they were fetched last.
    bundle: Option<Bundle<Omemo2>>,
}

impl Ghost {
    pub(crate) fn new(world: &World, seed: u64) -> Self {
        let random = SeededRandom::new(seed);
        let now = u64::try_from(world.now().as_secs()).unwrap();
        Self { device: Device::generate(now, &random), sessions: SessionSet::new(), random, count: 0, bundle: None }
    }

    pub(crate) fn id(&self) -> u32 {
        self.device.id()
    }

    /// A message from `from` with these words, or none, encrypted for the only device of `to` on the current session or a new
    /// one.
    pub(crate) fn message(&mut self, world: &mut World, from: &str, to: &str, text: Option<&str>) -> Element {
        let body = |text: &str| vec![Element::new("body", xmpp::ns::CLIENT).with_text(text)];
        self.message_of(world, from, to, text.map(body))
    }

    /// As [`Ghost::message`], with this content.
    fn message_of(&mut self, world: &mut World, from: &str, to: &str, content: Option<Vec<Element>>) -> Element {
        let now = u64::try_from(world.now().as_secs()).unwrap();
        let (own, to) = (BareJid::parse(from).unwrap(), BareJid::parse(to).unwrap());
        let recipient = world.device_ids(to.as_str())[0];
        if !self.sessions.is_ready(now) {
            if self.bundle.is_none() {
                let item = world.server.nodes(to.as_str())["urn:xmpp:omemo:2:bundles"].last().unwrap().clone();
                let bundle = BundleElement::parse(item.payload.as_ref().unwrap()).unwrap().1.into();
                self.bundle = Some(Bundle::<Omemo2>::parse(&bundle).unwrap());
            }
            let bundle = self.bundle.as_ref().unwrap();
            self.sessions.start(&self.device, bundle, now, &self.random).unwrap();
        }
        let sealer = Sealer { device: &self.device, now, random: &self.random };
        let target = Recipient { jid: &to, device: recipient, sessions: &mut self.sessions };
        let sealed = match content {
            None => seal_empty(&sealer, target).unwrap(),
            Some(content) => {
                let envelope = Envelope {
                    from: own,
                    to: to.clone(),
                    time: world.now(),
                    recipients_hash: Some(recipients_hash([(&to, recipient)])),
                    witnesses: Default::default(),
                    content,
                };
                let mut recipients = Recipients { omemo2: vec![target], legacy: Vec::new() };
                seal(&sealer, &Said { envelope: &envelope, body: "" }, &mut recipients).unwrap()
            }
        };
        self.count += 1;
        sealed
            .to_message(&to, &format!("ghost-{}-{}", self.id(), self.count))
            .with_attr("from", format!("{from}/ghost"))
    }

    /// The next message has the id of the last one.
    pub(crate) fn repeat_id(&mut self) {
        self.count -= 1;
    }

    /// Forgets its session: the next message is a key exchange again.
    pub(crate) fn begin_again(&mut self) {
        self.sessions = SessionSet::new();
    }

    /// Fetches the recipient's keys again before the next session.
    pub(crate) fn fetch_again(&mut self) {
        self.bundle = None;
    }

    /// Says something in the name of `from`, straight into the connection of a person.
    pub(crate) fn say(&mut self, world: &mut World, person: usize, from: &str, to: &str, text: &str) {
        let message = self.message(world, from, to, Some(text));
        world.server.inject(person, &message);
        world.settle();
    }

    /// As [`Ghost::say`], with this content.
    pub(crate) fn say_content(
        &mut self,
        world: &mut World,
        person: usize,
        from: &str,
        to: &str,
        content: Vec<Element>,
    ) {
        let message = self.message_of(world, from, to, Some(content));
        world.server.inject(person, &message);
        world.settle();
    }

    /// The account shows this device from now on, beside those that are there, with a bundle.
    pub(crate) fn appear_at(&self, world: &mut World, account: &str) {
        self.appear_with_bundle_of(&self.device, world, account);
    }

    /// As [`Ghost::appear_at`], with the keys of another one.
    pub(crate) fn appear_with_bundle_of(&self, device: &Device, world: &mut World, account: &str) {
        let mut ids = world.device_ids(account);
        ids.push(self.id());
        let nodes = world.server.nodes(account);
        for version in Version::STRONGEST_FIRST {
            let list = DeviceList::of_ids(ids.iter().copied()).to_element(version);
            nodes.insert(version.devices_node().to_owned(), vec![Item::new(Version::DEVICES_ITEM, list)]);
            let bundle = BundleElement::from(match version {
                Version::Omemo2 => device.bundle::<Omemo2>(),
                Version::Legacy => device.bundle::<Legacy>(),
            });
            let item = Item::new(&version.bundle_item(self.id()), bundle.to_element(version));
            nodes.entry(version.bundle_node(self.id())).or_default().push(item);
        }
    }
}
