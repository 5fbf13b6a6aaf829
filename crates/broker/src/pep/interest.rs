//! Which resources want to hear of which nodes: what their capabilities say (XEP-0163 §4.2, XEP-0115).
//!
//! In memory only, and bounded. Capabilities that nobody knows yet are asked for in the name of the account that got the
//! presence, because whoever hides from strangers still answers a contact.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use xep::caps::Caps;
use xep::caps::cache::Cache;
use xep::disco::Info;
use xmpp::jid::{BareJid, Jid};
use xmpp::xml::Element;

use super::notify;
use super::reader::Asker;
use crate::{Core, route};

/// Kinds of client that are remembered.
const KINDS_MAX: usize = 2000;
/// Resources of one address that are remembered.
const RESOURCES_MAX: usize = 50;
/// Addresses that are remembered.
const ADDRESSES_MAX: usize = 100_000;
/// Questions that wait for their answer.
const ASKED_MAX: usize = 10_000;
/// Nodes that one resource can be interested in.
const NODES_MAX: usize = 256;

/// Bytes of the names of such nodes that are remembered of one kind of client.
const FEATURES_BYTES_MAX: usize = 16 * 1024;

/// A resource that is available to somebody here.
#[derive(Default)]
struct Resource {
    caps: Option<Caps>,
    info: Option<Arc<Info>>,
    /// Somebody was asked what these capabilities mean.
    is_asked: bool,
    /// Accounts of ours that have its presence, and whether it may hear of their nodes: it sees their presence too.
    accounts: HashMap<BareJid, bool>,
    /// Those of them that owe it their newest items once its capabilities are known.
    waiting: Vec<BareJid>,
}

impl Resource {
    /// What an account owes a resource that may hear of its nodes since now.
    fn owe(&mut self, account: &BareJid) -> Step {
        match &self.info {
            Some(info) => Step::Send(wanted(info, None)),
            None => self.ask(account),
        }
    }

    /// Lets an account wait for what the capabilities mean; who waits for an answer that will not come waits for this one.
    fn ask(&mut self, account: &BareJid) -> Step {
        if !self.waiting.contains(account) {
            self.waiting.push(account.clone());
        }
        match &self.caps {
            Some(caps) if !std::mem::replace(&mut self.is_asked, true) => Step::Ask(caps.clone()),
            _ => Step::Nothing, // asked already
        }
    }
}

/// A question for capabilities.
struct Asked {
    whom: Jid,
    caps: Caps,
}

struct Inner {
    kinds: Cache,
    resources: HashMap<Box<str>, HashMap<Box<str>, Resource>>,
    asked: HashMap<Box<str>, Asked>,
}

impl Inner {
    /// Forgets all questions: their answers will be ignored. Whoever was asked counts as never having said what he can,
    /// so that his next presence leads to the question again.
    fn give_up_asking(&mut self) {
        for (_, Asked { whom, caps }) in self.asked.drain() {
            let resources = self.resources.get_mut(whom.bare_str());
            let resource = resources.and_then(|resources| resources.get_mut(whom.resourcepart()?));
            if let Some(resource) = resource.filter(|resource| resource.caps.as_ref() == Some(&caps)) {
                (resource.caps, resource.is_asked) = (None, false);
            }
        }
    }
}

/// What is known of the interests of resources.
pub(crate) struct Interests(Mutex<Inner>);

impl Default for Interests {
    fn default() -> Self {
        let kinds = Cache::new(KINDS_MAX);
        Self(Mutex::new(Inner { kinds, resources: HashMap::new(), asked: HashMap::new() }))
    }
}

/// What a presence leads to.
enum Step {
    /// Nothing.
    Nothing,
    /// The newest items of these nodes are due.
    Send(Vec<String>),
    /// The capabilities must be asked for.
    Ask(Caps),
}

impl Interests {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists the full addresses of the resources of `bare` that want to hear of a node.
    pub(crate) fn interested(&self, bare: &str, node: &str) -> Vec<String> {
        let feature = format!("{node}+notify");
        let inner = self.inner();
        let Some(resources) = inner.resources.get(bare) else { return Vec::new() };
        let is_interested = |r: &Resource| r.info.as_ref().is_some_and(|info| info.has_feature(&feature));
        resources.iter().filter(|(_, r)| is_interested(r)).map(|(name, _)| format!("{bare}/{name}")).collect()
    }

    /// A resource is no longer available to an account.
    fn gone(&self, account: &BareJid, from: &Jid) {
        let mut inner = self.inner();
        let Some(resources) = inner.resources.get_mut(from.bare_str()) else { return };
        match from.resourcepart() {
            Some(name) => {
                if let Some(resource) = resources.get_mut(name) {
                    resource.accounts.remove(account);
                    resource.waiting.retain(|a| a != account);
                }
            }
            None => resources.values_mut().for_each(|r| {
                r.accounts.remove(account);
            }),
        }
        resources.retain(|_, r| !r.accounts.is_empty());
        if resources.is_empty() {
            inner.resources.remove(from.bare_str());
        }
    }

    /// A resource is available to an account, with these capabilities. `hears`: it may hear of the account's nodes.
    fn came(&self, account: &BareJid, from: &Jid, caps: Option<Caps>, hears: bool) -> Step {
        let (Some(name), Some(caps)) = (from.resourcepart(), caps) else {
            // who says nothing of himself wants nothing, and costs nothing here
            self.gone(account, from);
            return Step::Nothing;
        };
        let mut inner = self.inner();
        let inner = &mut *inner;
        let is_full = inner.resources.len() >= ADDRESSES_MAX && !inner.resources.contains_key(from.bare_str());
        if is_full {
            return Step::Nothing;
        }
        let resources = inner.resources.entry(from.bare_str().into()).or_default();
        if resources.len() >= RESOURCES_MAX && !resources.contains_key(name) {
            return Step::Nothing;
        }
        let resource = resources.entry(name.into()).or_default();
        let is_new = resource.accounts.insert(account.clone(), hears) != Some(true);
        let is_changed = resource.caps.as_ref() != Some(&caps);
        let before = std::mem::take(&mut resource.info);
        if is_changed {
            resource.is_asked = false;
            resource.info = inner.kinds.lookup(&caps);
            resource.caps = Some(caps);
        } else {
            resource.info.clone_from(&before);
        }
        if !hears {
            resource.waiting.retain(|waiting| waiting != account);
            return Step::Nothing;
        }
        match &resource.info {
            // who was here before has had what he wanted before
            Some(info) if is_changed => Step::Send(wanted(info, before.filter(|_| !is_new).as_deref())),
            None if is_changed => resource.ask(account),
            _ if is_new => resource.owe(account),
            _ => Step::Nothing,
        }
    }

    /// The resources of an address may hear of an account's nodes from now on. Returns what each is owed.
    fn granted(&self, account: &BareJid, bare: &BareJid) -> Vec<(Jid, Step)> {
        let mut inner = self.inner();
        let Some(resources) = inner.resources.get_mut(bare.as_str()) else { return Vec::new() };
        let mut owed = Vec::new();
        for (name, resource) in resources {
            if let Some(hears @ false) = resource.accounts.get_mut(account)
                && let Ok(full) = bare.to_jid().with_resource(name)
            {
                *hears = true;
                owed.push((full, resource.owe(account)));
            }
        }
        owed
    }

    /// The resources of an address may no longer hear of an account's nodes.
    fn revoked(&self, account: &BareJid, bare: &BareJid) {
        let mut inner = self.inner();
        for resource in inner.resources.get_mut(bare.as_str()).into_iter().flat_map(HashMap::values_mut) {
            resource.waiting.retain(|waiting| waiting != account);
            if let Some(hears) = resource.accounts.get_mut(account) {
                *hears = false;
            }
        }
    }

    /// Tells whether anything is remembered of an address for an account.
    #[cfg(test)]
    pub(crate) fn knows(&self, account: &str, bare: &str) -> bool {
        let inner = self.inner();
        let mut resources = inner.resources.get(bare).into_iter().flat_map(HashMap::values);
        resources.any(|resource| resource.accounts.keys().any(|known| known.as_str() == account))
    }

    /// Remembers a question; no when there are too many.
    fn ask(&self, id: &str, whom: &Jid, caps: Caps) -> bool {
        let mut inner = self.inner();
        if inner.asked.len() >= ASKED_MAX {
            inner.give_up_asking();
        }
        inner.asked.insert(id.into(), Asked { whom: whom.clone(), caps }).is_none()
    }

    /// Takes an answer in. Returns who owes the resource which items; `None` when nobody asked.
    fn answered(&self, id: &str, from: &Jid, info: Option<Info>) -> Option<(Vec<BareJid>, Vec<String>)> {
        let mut inner = self.inner();
        let inner = &mut *inner;
        if inner.asked.get(id)?.whom != *from {
            return None;
        }
        let asked = inner.asked.remove(id)?;
        let info = info.and_then(|info| inner.kinds.learn_part(&asked.caps, info, only_interests));
        let resource = inner.resources.get_mut(from.bare_str()).and_then(|r| r.get_mut(from.resourcepart()?));
        let resource = match resource {
            Some(resource) if resource.caps.as_ref() == Some(&asked.caps) => resource,
            _ => return Some((Vec::new(), Vec::new())), // gone, or changed since
        };
        let waiting = std::mem::take(&mut resource.waiting);
        let wanted = info.as_deref().map(|info| wanted(info, None)).unwrap_or_default();
        resource.info = info;
        Some((waiting, wanted))
    }
}

/// Leaves only what decides about notifications, within a bound: what a client says of itself can be as long as a
/// stanza, and thousands are remembered.
fn only_interests(info: Info) -> Info {
    let mut bytes = 0;
    let fits = |feature: &String| {
        bytes += feature.len();
        bytes <= FEATURES_BYTES_MAX
    };
    let features = info.features.into_iter().filter(|f| f.ends_with("+notify")).take(NODES_MAX).take_while(fits);
    Info { features: features.collect(), ..Info::default() }
}

/// Lists the nodes that capabilities ask for, without those that others asked for already.
fn wanted(info: &Info, before: Option<&Info>) -> Vec<String> {
    let new = |feature: &&String| before.is_none_or(|before| !before.has_feature(feature));
    let nodes = info.features.iter().filter(new).filter_map(|f| f.strip_suffix("+notify"));
    nodes.take(NODES_MAX).map(str::to_owned).collect()
}

/// An account gets the presence of a resource: one of its own, or a contact's.
///
/// Only contacts who see the account's presence are told anything by it. Of those who only show theirs, what they can is
/// remembered until they may ([`contact_changed`]); of others nothing is kept.
pub(crate) async fn handle_presence(core: &Core, account: &BareJid, from: &Jid, presence: &Element) {
    match presence.attr("type") {
        None => {}
        Some("unavailable") => return core.interests.gone(account, from),
        Some(_) => return,
    }
    let Ok(asker) = Asker::load(core, account, &from.bare()).await else { return };
    if !asker.sees_presence() && !asker.shows_presence() {
        return;
    }
    let caps = Caps::inside(presence).ok().flatten();
    let step = core.interests.came(account, from, caps, asker.sees_presence());
    carry_out(core, account, from, step).await;
}

/// A contact sees an account's presence since now, or no longer does: what was learnt from the contact's presence before
/// counts from now on, or no more (XEP-0163 §4.3.4).
pub(crate) async fn contact_changed(core: &Core, account: &BareJid, contact: &BareJid, sees_presence: bool) {
    if !sees_presence {
        return core.interests.revoked(account, contact);
    }
    for (resource, step) in core.interests.granted(account, contact) {
        carry_out(core, account, &resource, step).await;
    }
}

async fn carry_out(core: &Core, account: &BareJid, to: &Jid, step: Step) {
    match step {
        Step::Nothing => {}
        Step::Send(nodes) => {
            // what cannot be read now is not sent; the client asks for what it needs
            let _ = notify::last_items(core, account, to, &nodes).await;
        }
        Step::Ask(caps) => {
            let id = core.env.random_id();
            let query = Info::query(Some(&caps.query_node()));
            if core.interests.ask(&id, to, caps) {
                let iq = xmpp::stanza::iq("get", &id, Some(to.as_str()), query).with_attr("from", account.as_str());
                route::send(core, &iq).await;
            }
        }
    }
}

/// The answer to one of our questions, sent to the bare address of an account. Others are ignored.
pub(crate) async fn handle_answer(core: &Core, from: &Jid, iq: &Element) {
    let info = match iq.attr("type") {
        Some("result") => iq.children().next().and_then(|query| Info::parse(query).ok()),
        _ => None,
    };
    let Some(id) = iq.attr("id") else { return };
    let Some((accounts, nodes)) = core.interests.answered(id, from, info) else { return };
    for account in accounts {
        let _ = notify::last_items(core, &account, from, &nodes).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caps(ver: &str) -> Caps {
        let text = format!("<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:x' ver='{ver}'/>");
        let presence = crate::offline::parse_stanza(format!("<presence>{text}</presence>").as_bytes()).unwrap();
        Caps::inside(&presence.to_element()).unwrap().unwrap()
    }

    fn is_asked(interests: &Interests, account: &str, from: &Jid, caps: Caps) -> bool {
        let account = BareJid::parse(account).unwrap();
        matches!(interests.came(&account, from, Some(caps), true), Step::Ask(_))
    }

    #[test]
    fn questions_that_were_given_up_are_asked_again_and_nobody_is_forgotten() {
        let interests = Interests::default();
        let from = Jid::parse("bob@south.example/phone").unwrap();
        let caps = caps("QgayPKawpkPSDYmwT/WM94uAlu0=");
        assert!(is_asked(&interests, "alice@north.example", &from, caps.clone()));
        assert!(interests.ask("first", &from, caps.clone()));
        assert!(!is_asked(&interests, "alice@north.example", &from, caps.clone()), "asked already");
        let other = Jid::parse("carol@south.example/phone").unwrap();
        for n in 0..ASKED_MAX {
            assert!(interests.ask(&n.to_string(), &other, caps.clone()));
        }
        assert!(interests.answered("first", &from, None).is_none(), "given up");
        assert!(is_asked(&interests, "carol@north.example", &from, caps.clone()));
        assert!(interests.ask("again", &from, caps.clone()));
        let (waiting, _) = interests.answered("again", &from, None).unwrap();
        let waiting: Vec<_> = waiting.iter().map(BareJid::as_str).collect();
        assert_eq!(waiting, ["alice@north.example", "carol@north.example"]);
        assert!(!is_asked(&interests, "alice@north.example", &from, caps), "who answers nothing useful is left alone");
    }
}
