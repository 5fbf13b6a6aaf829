//! A small server for tests: accounts, nodes, messages, offline messages, invitations and uploads of all domains at once.
//! It knows no rules and refuses next to nothing, so that what a test sees is the engine's doing.

use std::collections::BTreeMap;
use std::sync::Arc;

use xep::commands::{Progress, Request as CommandRequest, Response};
use xep::ibr::Request as Register;
use xep::omemo::{DeviceList, Version};
use xep::pubsub::request::Answer as PubSubAnswer;
use xep::pubsub::{Item, Request as PubSub};
use xep::upload::{Slot, SlotRequest};
use xmpp::jid::{BareJid, Jid};
use xmpp::sasl::{Hash, ScramVerifier};
use xmpp::stanza::{self, Condition, StanzaError};
use xmpp::stream::c2s::{Registration, Responder, ResponderConfig, ResponderEvent};
use xmpp::stream::{Seed, StreamCondition, Transport};
use xmpp::time::Timestamp;
use xmpp::xml::{Element, Frame};

use super::tls;

/// Changes or drops a message on its way: what a malicious server would do.
pub(crate) type Tamper = Box<dyn FnMut(Element) -> Vec<Element>>;

#[derive(Default)]
struct Account {
    verifiers: Vec<(Hash, ScramVerifier)>,
    nodes: BTreeMap<String, Vec<Item>>,
    offline: Vec<Element>,
}

pub(crate) struct Session {
    responder: Responder,
    jid: Option<Jid>,
    available: bool,
}

/// All servers of a test.
pub(crate) struct Server {
    accounts: BTreeMap<BareJid, Account>,
    sessions: BTreeMap<usize, Session>,
    tokens: BTreeMap<String, Option<BareJid>>,
    pub(crate) uploads: BTreeMap<String, Vec<u8>>,
    /// Hosts at which nobody answers.
    pub(crate) dead_hosts: Vec<String>,
    /// What servers say of where they are.
    pub(crate) address: Option<xep::address::Address>,
    /// Whether nothing can be fetched.
    pub(crate) uploads_down: bool,
    /// Whether the names of upload services lead into a private network.
    pub(crate) uploads_private: bool,
    /// Every message that came from a client, as it came.
    pub(crate) messages: Vec<Element>,
    /// What the servers say does not exist: an account and a node.
    pub(crate) hidden: Vec<(String, String)>,
    /// How requests about nodes of these accounts fail.
    pub(crate) failing: BTreeMap<String, Condition>,
    /// How requests about nodes of these names fail, whoever owns them.
    pub(crate) failing_nodes: Vec<(String, Condition)>,
    /// Nodes about which no question is answered.
    pub(crate) mute_nodes: Vec<String>,
    /// What the server hands out as an invitation, if not what it should.
    pub(crate) invite_uri: Option<String>,
    /// Whether pings get no answer.
    pub(crate) ignores_pings: bool,
    /// How messages to these accounts bounce.
    pub(crate) bouncing: BTreeMap<String, Condition>,
    /// The message that the server ends connections over, and how.
    pub(crate) ends_over: Option<(String, StreamCondition)>,
    /// What is left to write to connections that have ended.
    last_words: BTreeMap<usize, Vec<u8>>,
    pub(crate) tamper: Option<Tamper>,
    /// Whether nodes refuse publish-options until they are configured.
    pub(crate) refuses_options: bool,
    /// Whether publish-options are known at all.
    pub(crate) knows_options: bool,
    configured: Vec<String>,
    /// Whoever sends a forged answer before every true one about a device list.
    pub(crate) forge_answers_from: Vec<String>,
    /// Answers of clients to questions.
    pub(crate) answers: Vec<Element>,
    /// Presence of clients.
    pub(crate) presences: Vec<Element>,
    /// The nodes that were asked for, with their owners.
    pub(crate) asked: Vec<(String, String)>,
    /// Whether XEP-0198 is offered.
    pub(crate) acks: bool,
    /// Whether stanzas are acknowledged, where that is offered.
    pub(crate) acknowledges: bool,
    count: u64,
    now: Timestamp,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self {
            accounts: BTreeMap::new(),
            sessions: BTreeMap::new(),
            tokens: BTreeMap::new(),
            uploads: BTreeMap::new(),
            dead_hosts: Vec::new(),
            address: None,
            uploads_down: false,
            uploads_private: false,
            messages: Vec::new(),
            hidden: Vec::new(),
            failing: BTreeMap::new(),
            failing_nodes: Vec::new(),
            mute_nodes: Vec::new(),
            invite_uri: None,
            ignores_pings: false,
            bouncing: BTreeMap::new(),
            ends_over: None,
            last_words: BTreeMap::new(),
            tamper: None,
            refuses_options: false,
            knows_options: true,
            configured: Vec::new(),
            forge_answers_from: Vec::new(),
            answers: Vec::new(),
            presences: Vec::new(),
            asked: Vec::new(),
            acks: true,
            acknowledges: true,
            count: 0,
            now: Timestamp::default(),
        }
    }

    pub(crate) fn set_now(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// Makes a token that opens an account.
    pub(crate) fn token(&mut self) -> String {
        self.count += 1;
        let token = format!("token-{}", self.count);
        self.tokens.insert(token.clone(), None);
        token
    }

    pub(crate) fn register(&mut self, address: &str, password: &str) {
        let verifier = |hash| (hash, ScramVerifier::derive(hash, password, b"0123456789abcdef", 4096).unwrap());
        let account = self.accounts.entry(BareJid::parse(address).unwrap()).or_default();
        account.verifiers = Hash::ALL.iter().map(|hash| verifier(*hash)).collect();
    }

    /// How many invitations and other ways into an account were made.
    pub(crate) fn invites_count(&self) -> usize {
        self.tokens.len()
    }

    pub(crate) fn has_account(&self, address: &str) -> bool {
        self.accounts.contains_key(&BareJid::parse(address).unwrap())
    }

    pub(crate) fn nodes(&mut self, address: &str) -> &mut BTreeMap<String, Vec<Item>> {
        &mut self.accounts.get_mut(&BareJid::parse(address).unwrap()).unwrap().nodes
    }

    pub(crate) fn connect(&mut self, person: usize, domain: &str) {
        let mut config = ResponderConfig::new(vec![domain.to_owned()]);
        config.registration = Registration { in_band: true, by_token: true };
        config.iterations = 4096;
        config.ack_request_every = 1;
        self.count += 1;
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.count.to_le_bytes());
        let responder = Responder::new(Arc::new(config), Transport::Tls(tls()), Seed::new(seed));
        self.sessions.insert(person, Session { responder, jid: None, available: false });
    }

    /// The connection is gone; what was not acknowledged goes to the offline store.
    pub(crate) fn disconnect(&mut self, person: usize) {
        let Some(mut session) = self.sessions.remove(&person) else { return };
        let Some(jid) = session.jid else { return };
        let lost = session.responder.take_unacked().into_iter().map(|frame| frame.to_element());
        let account = self.accounts.get_mut(&jid.bare());
        if let Some(account) = account {
            account.offline.extend(lost.filter(|stanza| stanza.name() == "message"));
        }
    }

    pub(crate) fn handle_bytes(&mut self, person: usize, bytes: &[u8]) {
        if let Some(session) = self.sessions.get_mut(&person) {
            session.responder.handle_bytes(bytes);
        }
        while let Some(event) = self.sessions.get_mut(&person).and_then(|session| session.responder.poll_event()) {
            self.event(person, event);
        }
    }

    pub(crate) fn poll_output(&mut self, person: usize) -> Option<Vec<u8>> {
        if let Some(bytes) = self.last_words.remove(&person) {
            return Some(bytes);
        }
        let bytes = self.sessions.get_mut(&person)?.responder.poll_output()?;
        let mut text = String::from_utf8(bytes.to_vec()).unwrap();
        if !self.acks {
            text = text.replace("<sm xmlns='urn:xmpp:sm:3'/>", "");
        }
        Some(text.into_bytes())
    }

    fn event(&mut self, person: usize, event: ResponderEvent) {
        let Some(session) = self.sessions.get_mut(&person) else { return };
        match event {
            ResponderEvent::Authenticate { username, mechanism } => {
                let domain = session.responder.domain().unwrap_or_default().to_owned();
                let jid = BareJid::from_parts(Some(&username), &domain).unwrap();
                let verifiers = self.accounts.get(&jid).map(|account| &account.verifiers);
                let found = verifiers.and_then(|all| all.iter().find(|(hash, _)| *hash == mechanism.hash));
                session.responder.provide_credentials(found.map(|(_, verifier)| verifier.clone()), [1; 16]);
            }
            ResponderEvent::Authenticated { username, .. } => {
                let domain = session.responder.domain().unwrap_or_default().to_owned();
                session.jid = Jid::from_parts(Some(&username), &domain, None).ok();
            }
            ResponderEvent::PreAuthIq(iq) => {
                let domain = session.responder.domain().unwrap_or_default().to_owned();
                let answer = self.pre_auth(&iq, &domain);
                self.send(person, &answer);
            }
            ResponderEvent::Bind { resource } => {
                let bare = session.jid.clone().unwrap();
                let jid = bare.with_resource(&resource.unwrap_or_else(|| "r".into())).unwrap();
                session.jid = Some(jid.clone());
                session.responder.bound(&jid);
            }
            ResponderEvent::Stanza(frame)
                if self.ends_over.as_ref().is_some_and(|(id, _)| frame.attr("id").as_deref() == Some(id)) =>
            {
                let condition = self.ends_over.as_ref().map(|(_, condition)| *condition).unwrap();
                session.responder.fail(condition);
                let bytes = session.responder.poll_output().unwrap_or_default();
                self.last_words.insert(person, bytes.to_vec());
            }
            ResponderEvent::Stanza(frame) => {
                if self.acknowledges {
                    session.responder.handled(1);
                }
                let from = session.jid.clone().unwrap();
                self.stanza(person, &from, frame.to_element());
            }
            ResponderEvent::Ended(_) => self.disconnect(person),
            _ => {}
        }
    }

    fn pre_auth(&mut self, iq: &Element, domain: &str) -> Element {
        let child = iq.children().next().unwrap();
        if let Some(token) = xep::invites::token(child) {
            return match self.tokens.contains_key(token) {
                true => stanza::reply_result(iq, None),
                false => stanza::reply_error(iq, &StanzaError::new(Condition::ItemNotFound)),
            };
        }
        let Ok(Register::Register { username, password }) = Register::parse(child) else {
            return stanza::reply_error(iq, &StanzaError::new(Condition::BadRequest));
        };
        let address = format!("{username}@{domain}");
        if self.has_account(&address) {
            return stanza::reply_error(iq, &StanzaError::new(Condition::Conflict));
        }
        self.register(&address, &password);
        stanza::reply_result(iq, None)
    }

    fn send(&mut self, person: usize, element: &Element) {
        if let Some(session) = self.sessions.get_mut(&person) {
            session.responder.send_element(element);
        }
    }

    fn stanza(&mut self, person: usize, from: &Jid, mut stanza: Element) {
        stanza.set_attr("from", from.as_str());
        if stanza.name() == "presence" {
            self.presences.push(stanza.clone());
        }
        match stanza.name() {
            "iq" if matches!(stanza.attr("type"), Some("result" | "error")) => self.answers.push(stanza),
            "iq" => {
                self.forge_answers(person, &stanza);
                if let Some(answer) = self.iq(from, &stanza) {
                    self.send(person, &answer);
                }
            }
            "presence" if stanza.attr("to").is_none() => {
                if let Some(session) = self.sessions.get_mut(&person) {
                    session.available = true;
                }
                let waiting = self.accounts.get_mut(&from.bare()).map(|a| std::mem::take(&mut a.offline));
                for message in waiting.unwrap_or_default() {
                    self.send(person, &message);
                }
            }
            "message" => {
                self.messages.push(stanza.clone());
                let passed = match &mut self.tamper {
                    Some(tamper) => tamper(stanza),
                    None => vec![stanza],
                };
                for stanza in passed {
                    self.deliver(stanza);
                }
            }
            _ => self.deliver(stanza),
        }
    }

    /// Hands a stanza to whom it is addressed to, online or later.
    pub(crate) fn deliver(&mut self, stanza: Element) {
        let Some(to) = stanza.attr("to").and_then(|to| Jid::parse(to).ok()) else { return };
        if let Some(condition) = self.bouncing.get(to.bare_str()).copied() {
            let mut error = stanza::reply_error(&stanza, &StanzaError::new(condition));
            error.set_attr("from", to.as_str());
            return self.hand_over(&Jid::parse(error.attr("to").unwrap()).unwrap(), error);
        }
        self.hand_over(&to, stanza);
    }

    fn hand_over(&mut self, to: &Jid, mut stanza: Element) {
        let online: Vec<usize> = self
            .sessions
            .iter()
            .filter(|(_, s)| s.available && s.jid.as_ref().is_some_and(|jid| jid.bare() == to.bare()))
            .map(|(person, _)| *person)
            .collect();
        for person in &online {
            self.send(*person, &stanza);
        }
        if online.is_empty()
            && stanza.name() == "message"
            && let Some(account) = self.accounts.get_mut(&to.bare())
        {
            let from = Jid::parse(to.domainpart()).ok();
            stanza.push(xep::delay::Delay { from, stamp: self.now }.to_element());
            account.offline.push(stanza);
        }
    }

    fn iq(&mut self, from: &Jid, iq: &Element) -> Option<Element> {
        let kind = iq.attr("type")?;
        if kind != "get" && kind != "set" {
            return None;
        }
        let owner = match iq.attr("to") {
            None => from.bare(),
            Some(to) => Jid::parse(to).ok()?.bare(),
        };
        let child = iq.children().next()?;
        let answer = match child.name() {
            "address" => self.address.as_ref().map(|a| Some(a.to_element())).ok_or(Condition::ServiceUnavailable),
            "ping" if self.ignores_pings => return None,
            "ping" => Ok(None),
            "pubsub" if self.is_mute_about(child) => return None,
            "pubsub" => self.pubsub(&owner, child, kind == "set").map(Some),
            "command" => self.invite(&from.bare(), child).map(Some),
            "request" => self.slot(from, child).map(Some),
            "query" if child.ns() == xep::ibr::NS => self.registration(&from.bare(), child).map(|()| None),
            "query" if child.ns() == xep::disco::NS_INFO => {
                Ok(Some(xep::upload::info("files", 100_000_000).to_element()))
            }
            "query" if child.ns() == xep::disco::NS_ITEMS => Ok(Some(xep::disco::Items::default().to_element())),
            _ => Err(Condition::ServiceUnavailable),
        };
        let mut reply = match answer {
            Ok(child) => stanza::reply_result(iq, child),
            Err(condition) => stanza::reply_error(iq, &StanzaError::new(condition)),
        };
        if iq.attr("to").is_none() {
            reply.remove_attr("from");
        }
        Some(reply)
    }

    fn is_mute_about(&self, pubsub: &Element) -> bool {
        let named = |child: &Element| child.attr("node").is_some_and(|node| self.mute_nodes.iter().any(|m| m == node));
        pubsub.children().any(named)
    }

    /// The right id, the wrong sender, and a device list of the forger's choice.
    fn forge_answers(&mut self, person: usize, iq: &Element) {
        let xml = iq.to_xml("");
        let version = Version::STRONGEST_FIRST.into_iter().find(|version| xml.contains(version.devices_node()));
        let Some(version) = version.filter(|_| iq.attr("type") == Some("get")) else { return };
        let list = DeviceList::of_ids([666]).to_element(version);
        let items = vec![Item::new(Version::DEVICES_ITEM, list)];
        let child = PubSubAnswer::Items { node: version.devices_node().to_owned(), items }.to_element();
        for from in self.forge_answers_from.clone() {
            let mut forged = stanza::reply_result(iq, Some(child.clone()));
            forged.set_attr("from", from);
            self.send(person, &forged);
        }
    }

    fn pubsub(&mut self, owner: &BareJid, pubsub: &Element, is_set: bool) -> Result<Element, Condition> {
        if let Some(condition) = self.failing.get(owner.as_str()) {
            return Err(*condition);
        }
        let account = self.accounts.get_mut(owner).ok_or(Condition::ServiceUnavailable)?;
        match PubSub::parse(pubsub, is_set).map_err(|_| Condition::BadRequest)? {
            PubSub::Publish { options: Some(_), .. } if !self.knows_options => Err(Condition::FeatureNotImplemented),
            PubSub::Publish { node, options: Some(_), .. }
                if self.refuses_options && !self.configured.contains(&node) =>
            {
                Err(Condition::Conflict)
            }
            PubSub::Configure { node, .. } => {
                self.configured.push(node);
                Ok(Element::new("pubsub", xep::pubsub::NS))
            }
            PubSub::Publish { node, item, .. } => {
                let items = account.nodes.entry(node.clone()).or_default();
                items.retain(|old| old.id != item.id);
                let id = item.id.clone().unwrap_or_default();
                items.push(item);
                Ok(PubSubAnswer::Published { node, id }.to_element())
            }
            PubSub::Items { node, ids, .. } => {
                self.asked.push((owner.as_str().to_owned(), node.clone()));
                if let Some((_, condition)) = self.failing_nodes.iter().find(|(failing, _)| *failing == node) {
                    return Err(*condition);
                }
                let hidden = self.hidden.iter().any(|(who, hidden)| who == owner.as_str() && node.starts_with(hidden));
                let items = account.nodes.get(&node).filter(|_| !hidden).ok_or(Condition::ItemNotFound)?;
                let wanted = |item: &&Item| ids.is_empty() || item.id.as_ref().is_some_and(|id| ids.contains(id));
                let items = items.iter().filter(wanted).cloned().collect();
                Ok(PubSubAnswer::Items { node, items }.to_element())
            }
            _ => Err(Condition::FeatureNotImplemented),
        }
    }

    fn invite(&mut self, from: &BareJid, command: &Element) -> Result<Element, Condition> {
        let request = CommandRequest::parse(command).map_err(|_| Condition::BadRequest)?;
        let token = self.token();
        self.tokens.insert(token.clone(), Some(from.clone()));
        let uri = self.invite_uri.clone();
        let uri = uri.unwrap_or_else(|| format!("xmpp:{}?roster;preauth={token};ibr=y", from.as_str()));
        let form = xep::invites::Invitation { uri, landing_url: None, expire: None }.to_form();
        let response =
            Response { node: request.node, session: "s".into(), progress: Progress::Completed, form: Some(form) };
        Ok(response.to_element())
    }

    fn slot(&mut self, from: &Jid, request: &Element) -> Result<Element, Condition> {
        let request = SlotRequest::parse(request).map_err(|_| Condition::BadRequest)?;
        let url = format!("https://upload.{}/{}", from.domainpart(), request.filename);
        Ok(Slot { put_url: url.clone(), put_headers: Vec::new(), get_url: url }.to_element())
    }

    fn registration(&mut self, own: &BareJid, query: &Element) -> Result<(), Condition> {
        match Register::parse(query).map_err(|_| Condition::BadRequest)? {
            Register::Register { password, .. } => self.register(own.as_str(), &password),
            Register::Cancel => {
                self.accounts.remove(own);
            }
        }
        Ok(())
    }

    /// Sends a stanza to a person as if from anywhere.
    pub(crate) fn inject(&mut self, person: usize, stanza: &Element) {
        if let Some(session) = self.sessions.get_mut(&person) {
            session.responder.send(&Frame::from_element(stanza, xmpp::ns::CLIENT));
        }
    }

    /// Hides nodes of an account from now on: device lists and bundles of a version.
    pub(crate) fn hide(&mut self, address: &str, version: Version) {
        self.hidden.push((address.to_owned(), version.ns().to_owned()));
    }
}
