//! Service discovery: what the server, its services and its accounts say of themselves (XEP-0030).

use xep::disco::{Identity, Info, Items, NS_INFO, NS_ITEMS};
use xmpp::jid::{BareJid, Jid};
use xmpp::stanza::{Condition, StanzaError};
use xmpp::xml::Element;

use crate::iq::{IqKind, IqOutcome, IqRequest, IqTarget};
use crate::{Core, invites, pep};

/// What a name for the server is in the eyes of others.
const NAME: &str = "Waxwing";

/// Answers questions of service discovery.
pub async fn handle(core: &Core, request: &IqRequest<'_>) -> IqOutcome {
    if request.kind != IqKind::Get || request.payload.name() != "query" {
        return IqOutcome::NotMine;
    }
    let node = request.payload.attr("node").filter(|node| !node.is_empty());
    let answer = match request.payload.ns() {
        NS_INFO => info(core, request, node).await,
        NS_ITEMS => items(core, request, node).await,
        _ => return IqOutcome::NotMine,
    };
    match answer {
        Ok(answer) => IqOutcome::Result(Some(answer)),
        Err(condition) => IqOutcome::Error(StanzaError::new(condition)),
    }
}

async fn info(core: &Core, request: &IqRequest<'_>, node: Option<&str>) -> Result<Element, Condition> {
    let info = match (&request.target, node) {
        (IqTarget::Server, None) => server(core),
        (IqTarget::Server, Some(node)) => command(node).ok_or(Condition::ItemNotFound)?,
        (IqTarget::Service(name), None) if name == "upload" => xep::upload::info("Files", core.config.upload.max_bytes),
        (IqTarget::Service(_), _) => return Err(Condition::ItemNotFound),
        (IqTarget::Account(account), node) => account_info(core, account, request.from, node).await?,
    };
    Ok(info.to_element())
}

fn server(core: &Core) -> Info {
    let mut info = Info { identities: vec![Identity::new("server", "im", Some(NAME))], ..Info::default() };
    let claims = [&xep::disco::CLAIM, &xep::ibr::CLAIM, &xep::invites::CLAIM, &xep::commands::CLAIM, &xep::ping::CLAIM];
    info.features = claims.iter().flat_map(|claim| claim.features).map(|f| (*f).to_owned()).collect();
    info.features.push("msgoffline".to_owned()); // XEP-0160 §5
    // Personal services are the accounts', but packaged profanity asks only the server whether they take options with
    // what is published, and without them nobody can read its keys.
    pep::discovery::describe(&mut info);
    if core.config.upload.web_base.is_some() {
        let upload = xep::upload::info("Files", core.config.upload.max_bytes);
        info.features.push(xep::upload::NS.to_owned());
        info.forms.extend(upload.forms);
    }
    info.features.sort_unstable();
    info.features.dedup();
    info
}

fn command(node: &str) -> Option<Info> {
    let known = [xep::invites::COMMAND_INVITE, xep::invites::COMMAND_CREATE_ACCOUNT];
    let identity = match node {
        xep::commands::NS => Identity::new("automation", "command-list", None),
        node if known.contains(&node) => Identity::new("automation", "command-node", None),
        _ => return None,
    };
    let features = vec![xep::commands::NS.to_owned(), xep::forms::NS.to_owned()];
    Some(Info { node: Some(node.to_owned()), identities: vec![identity], features, forms: Vec::new() })
}

/// Describes an account to its owner and to those who see its presence; to others only its nodes, one by one, because
/// encryption needs the open ones.
async fn account_info(core: &Core, account: &BareJid, from: &Jid, node: Option<&str>) -> Result<Info, Condition> {
    if !core.account_exists(account.as_str()).await.map_err(|_| Condition::InternalServerError)? {
        // as an account without nodes answers a stranger
        return Err(if node.is_some() { Condition::ItemNotFound } else { Condition::ServiceUnavailable });
    }
    if let Some(node) = node {
        let info = pep::discovery::node_info(core, account, from, node).await;
        return info.map_err(|_| Condition::InternalServerError)?.ok_or(Condition::ItemNotFound);
    }
    if !is_known(core, account, from).await? {
        return Err(Condition::ServiceUnavailable);
    }
    let mut info = Info { identities: vec![Identity::new("account", "registered", None)], ..Info::default() };
    info.features.extend(xep::disco::CLAIM.features.iter().map(|f| (*f).to_owned()));
    pep::discovery::describe(&mut info);
    Ok(info)
}

async fn items(core: &Core, request: &IqRequest<'_>, node: Option<&str>) -> Result<Element, Condition> {
    let items = match (&request.target, node) {
        (IqTarget::Server, None) => services(core),
        (IqTarget::Server, Some(xep::commands::NS)) if request.is_local => invites::command_items(core),
        (IqTarget::Account(account), None) => {
            // to strangers an account that exists looks like one that does not
            if !is_known(core, account, request.from).await? {
                return Err(Condition::ServiceUnavailable);
            }
            pep::discovery::items(core, account, request.from).await.map_err(|_| Condition::InternalServerError)?
        }
        (_, node) => Items { node: node.map(str::to_owned), items: Vec::new() },
    };
    Ok(items.to_element())
}

fn services(core: &Core) -> Items {
    let item = |name: &String| {
        let jid = Jid::parse(&format!("{name}.{}", core.config.domain)).ok()?;
        Some(xep::disco::Item { jid, node: None, name: None })
    };
    Items { node: None, items: core.config.services.iter().filter_map(item).collect() }
}

/// Tells whether somebody is the owner of an account or sees its presence.
async fn is_known(core: &Core, account: &BareJid, from: &Jid) -> Result<bool, Condition> {
    if from.bare_str() == account.as_str() {
        return Ok(true);
    }
    let row = crate::roster::load(core, account.as_str(), from.bare_str()).await;
    Ok(row.map_err(|_| Condition::InternalServerError)?.is_some_and(|row| row.from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::World;

    const NORTH: &str = "north.example";

    fn world() -> World {
        let world = World::with_config(1, &[NORTH, "south.example"], |config| {
            config.services.push("upload".to_owned());
            config.upload.web_base = Some("https://north.example:5443".to_owned());
        });
        world.register("alice@north.example");
        world.register("bob@south.example");
        world
    }

    fn ask(world: &mut World, client: usize, to: &str, query: &Element) -> Result<Element, Condition> {
        world.send(client, &xmpp::stanza::iq("get", "q", Some(to), query.clone()).to_xml(xmpp::ns::CLIENT));
        let answer = world.take(client).into_iter().find(|s| s.attr("id") == Some("q")).expect("an answer");
        match StanzaError::of_stanza(&answer) {
            Some(error) => Err(error.condition),
            None => Ok(answer.into_children().next().expect("an answer")),
        }
    }

    fn info(world: &mut World, client: usize, to: &str, node: Option<&str>) -> Result<Info, Condition> {
        ask(world, client, to, &Info::query(node)).map(|query| Info::parse(&query).expect("an answer"))
    }

    #[test]
    fn the_server_says_what_it_is_and_where_files_go() {
        let mut world = world();
        let alice = world.online("alice@north.example", "desk");
        let server = info(&mut world, alice, NORTH, None).expect("an answer");
        assert!(server.has_identity("server", "im"));
        for feature in ["urn:xmpp:ping", "jabber:iq:register", "msgoffline", xep::upload::NS, NS_INFO] {
            assert!(server.has_feature(feature), "{feature}");
        }
        let items = ask(&mut world, alice, NORTH, &Items::query(None)).expect("an answer");
        let items = Items::parse(&items).expect("items").items;
        assert_eq!(items.iter().map(|i| i.jid.as_str()).collect::<Vec<_>>(), ["upload.north.example"]);
        let files = info(&mut world, alice, "upload.north.example", None).expect("an answer");
        assert!(files.has_identity("store", "file"));
        assert_eq!(xep::upload::max_file_size(&files), Some(200 * 1024 * 1024));
        assert_eq!(info(&mut world, alice, NORTH, Some("made-up")), Err(Condition::ItemNotFound));
    }

    #[test]
    fn commands_are_for_our_own_people() {
        let mut world = world();
        let bob = world.online("bob@south.example", "phone");
        let listed = ask(&mut world, bob, NORTH, &Items::query(Some(xep::commands::NS))).expect("an answer");
        assert!(Items::parse(&listed).is_ok_and(|items| items.items.is_empty()));
        let alice = world.online("alice@north.example", "desk");
        let command = info(&mut world, alice, NORTH, Some(xep::invites::COMMAND_INVITE)).expect("an answer");
        assert!(command.has_identity("automation", "command-node"));
    }

    #[test]
    fn the_server_says_where_it_is_to_its_own_people_only() {
        let at = vec![xep::uri::Endpoint::parse("192.0.2.1:5222").expect("an address")];
        for known_by_pin in [false, true] {
            let mut world = World::with_config(2, &[NORTH, "south.example"], |config| {
                config.invites.pin = known_by_pin.then_some([7; 32]);
                config.invites.at.clone_from(&at);
            });
            world.register("alice@north.example");
            world.register("bob@south.example");
            let alice = world.online("alice@north.example", "desk");
            let bob = world.online("bob@south.example", "phone");
            let said = ask(&mut world, alice, NORTH, &xep::address::question());
            let said = said.map(|element| xep::address::Address::parse(&element).expect("an address"));
            let address = xep::address::Address { pin: [7; 32], at: at.clone() };
            assert_eq!(said, if known_by_pin { Ok(address) } else { Err(Condition::ServiceUnavailable) });
            assert_eq!(ask(&mut world, bob, NORTH, &xep::address::question()), Err(Condition::ServiceUnavailable));
        }
    }

    #[test]
    fn a_ping_is_answered_for_the_server_and_for_oneself() {
        let mut world = world();
        let alice = world.online("alice@north.example", "desk");
        for (to, answered) in [(NORTH, true), ("alice@north.example", true), ("nobody@north.example", false)] {
            world.send(alice, &format!("<iq type='get' id='p' to='{to}'><ping xmlns='urn:xmpp:ping'/></iq>"));
            assert_eq!(world.take(alice)[0].attr("type") == Some("result"), answered, "{to}");
        }
    }
}
