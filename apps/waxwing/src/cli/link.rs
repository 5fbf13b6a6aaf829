//! Links as people paste them, before the engine looks at them.

use xep::uri::{Action, Link};

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

/// Whether it opens an account under a name of one's own choice.
pub(super) fn leaves_name_open(link: &str) -> bool {
    Link::parse(link).is_ok_and(|link| match link.action {
        Action::Register => link.address.localpart().is_none(),
        _ => link.ibr,
    })
}

/// Whether nothing stands behind the action: some shells take the rest of a link for the next command.
pub(super) fn may_be_cut_off(link: &str) -> bool {
    let asks = |link: &Link| matches!(link.action, Action::Register | Action::Roster);
    Link::parse(link).is_ok_and(|link| asks(&link) && link == Link::new(link.address.clone(), link.action.clone()))
}
