//! What an invitation looks like in a message or on paper.

use xep::encoding::base64url;
use xep::uri::{Action, Link};
use xmpp::jid::{BareJid, Jid};

use crate::Core;
use crate::tables::InviteRow;

/// Makes the `xmpp:` link of an invitation (XEP-0401 §5.1 and §5.4).
pub(crate) fn uri(core: &Core, invite: &InviteRow) -> Option<String> {
    let parse = |jid: &Option<String>| jid.as_deref().and_then(|j| Jid::parse(j).ok());
    let (address, action) = match (parse(&invite.inviter), invite.is_contact, parse(&invite.jid)) {
        (Some(inviter), true, _) => (inviter, Action::Roster),
        (_, _, Some(address)) => (address, Action::Register),
        _ => (Jid::parse(&core.config.domain).ok()?, Action::Register),
    };
    let mut link = Link::new(address, action);
    link.ibr = link.action == Action::Roster && invite.may_register;
    link.preauth = Some(invite.token.clone());
    finish(core, link)
}

/// Makes the `xmpp:` link that names an account of ours, for signing in.
pub(crate) fn account_uri(core: &Core, account: &BareJid) -> Option<String> {
    finish(core, Link::new(account.to_jid(), Action::Identify))
}

/// Adds the pin and the places of a broker that DNS and certificate authorities do not know.
fn finish(core: &Core, mut link: Link) -> Option<String> {
    link.pin = core.config.invites.pin;
    link.at.clone_from(&core.config.invites.at);
    link.to_text().ok()
}

/// Makes the address of the page in upper case: codes for cameras write those characters in five and a half bits each
/// instead of eight (ISO/IEC 18004 §7.4.4), so the code fits beside text on a small terminal.
pub(super) fn code_url(core: &Core, token: &str) -> Option<String> {
    let url = format!("{}{}{token}", core.config.invites.web_base.as_ref()?, crate::web::CODE_PATH);
    Some(url.to_ascii_uppercase())
}

/// Makes the address of the page. Behind the sign that browsers keep for themselves it names the key of a broker that no
/// authority vouches for, so that a program which is given the page instead of the link knows whom it asks.
pub(super) fn landing_url(core: &Core, token: &str) -> Option<String> {
    let pin = core.config.invites.pin.map(|pin| format!("#wx-pin={}", base64url(&pin))).unwrap_or_default();
    Some(format!("{}{}{token}{pin}", core.config.invites.web_base.as_ref()?, crate::web::INVITE_PATH))
}
