//! Links as people paste them, before the engine looks at them.

use xep::encoding::base64url;
use xep::uri::{Action, Endpoint, Link};

use super::Context;
use crate::api::Refusal;
use crate::runtime::page;

/// The link; the address of an invitation's page is followed to the link that it has.
pub(super) async fn resolve(context: &Context<'_>, pasted: String) -> Result<String, Refusal> {
    if page::is_page(&pasted) { page::link_of_page(&context.settings, &pasted).await } else { Ok(pasted) }
}

/// Whether it opens an account, by an invitation or for everybody.
pub(super) fn opens_account(link: &str) -> bool {
    Link::parse(link).is_ok_and(|link| link.action == Action::Register || link.ibr)
}

/// The account that a link names, for signing in, and where and how to know its server.
pub(super) struct Named {
    pub(super) address: String,
    pub(super) at: Vec<String>,
    pub(super) pin: Option<String>,
}

/// Reads a link that names an account, as a server's page shows it beside the password.
pub(super) fn named(link: &str) -> Option<Named> {
    let link = Link::parse(link).ok().filter(|link| link.address.localpart().is_some())?;
    Some(Named {
        address: link.address.bare().as_str().to_owned(),
        at: link.at.iter().map(Endpoint::to_text).collect(),
        pin: link.pin.map(|pin| base64url(&pin)),
    })
}

/// Whether nothing stands behind the action: some shells take the rest of a link for the next command.
pub(super) fn may_be_cut_off(link: &str) -> bool {
    let asks = |link: &Link| matches!(link.action, Action::Register | Action::Roster);
    Link::parse(link).is_ok_and(|link| asks(&link) && link == Link::new(link.address.clone(), link.action.clone()))
}
