//! What an invitation looks like in a message or on paper.

use xep::uri::{Action, Link};
use xmpp::jid::Jid;

use super::Spec;
use crate::Core;

/// Makes the `xmpp:` link (XEP-0401 §5.1 and §5.4), with the pin and the places of a broker that DNS does not know.
pub(super) fn uri(core: &Core, spec: &Spec, token: &str) -> Option<String> {
    let (address, action) = match (&spec.inviter, spec.is_contact, &spec.address) {
        (Some(inviter), true, _) => (inviter.to_jid(), Action::Roster),
        (_, _, Some(address)) => (address.to_jid(), Action::Register),
        _ => (Jid::parse(&core.config.domain).ok()?, Action::Register),
    };
    let mut link = Link::new(address, action);
    link.ibr = link.action == Action::Roster;
    link.preauth = Some(token.to_owned());
    link.pin = core.config.invites.pin;
    link.at.clone_from(&core.config.invites.at);
    link.to_text().ok()
}

/// Makes the address of the page.
pub(super) fn landing_url(core: &Core, token: &str) -> Option<String> {
    Some(format!("{}/invite/{token}", core.config.invites.web_base.as_ref()?))
}

/// Makes the `xmpp:` link of an invitation that is on disk, for the page.
pub(crate) fn uri_of(core: &Core, invite: &crate::tables::InviteRow, is_contact: bool) -> Option<String> {
    let parse = |jid: &Option<String>| jid.as_deref().and_then(|j| xmpp::jid::BareJid::parse(j).ok());
    let spec = Spec { inviter: parse(&invite.inviter), is_contact, address: parse(&invite.jid), ..Spec::default() };
    uri(core, &spec, &invite.token)
}
