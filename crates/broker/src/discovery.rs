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
        return Err(Condition::ServiceUnavailable);
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
