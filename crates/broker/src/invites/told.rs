//! Telling who invited that somebody came: a message from the server, which waits for them when they are away.

use xmpp::jid::BareJid;
use xmpp::ns;
use xmpp::xml::Element;

use crate::Core;
use crate::tables::InviteRow;

/// Tells the account that made an invitation who has come by it. The operator sees it in the list of invitations.
///
/// Other people's apps show the sentence, as coming from the server; Waxwing reads the element beside it.
pub(crate) async fn tell_inviter(core: &Core, joined: &BareJid, invite: &InviteRow) {
    let Some(inviter) = invite.inviter.as_deref().and_then(|jid| BareJid::parse(jid).ok()) else { return };
    if !matches!(core.account_exists(inviter.as_str()).await, Ok(true)) {
        return; // gone since
    }
    let words = format!("{} has joined with your invitation.", joined.as_str());
    let message = Element::new("message", ns::CLIENT)
        .with_attr("from", core.config.domain.as_str())
        .with_attr("to", inviter.as_str())
        .with_attr("id", core.env.random_id())
        .with_child(Element::new("body", ns::CLIENT).with_text(words))
        .with_child(xep::invites::joined(joined, &invite.token));
    crate::route::send(core, &message).await;
}
