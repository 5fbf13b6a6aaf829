//! The two commands by which clients make invitations (XEP-0401 §5, carried by XEP-0050).

use xep::commands::{Action, NS, Progress, Request, Response};
use xep::disco::{Item, Items};
use xep::forms::Form;
use xep::invites::{COMMAND_CREATE_ACCOUNT, COMMAND_INVITE, Invitation, create_account_form};
use xmpp::jid::Jid;
use xmpp::stanza::{Condition, StanzaError};

use super::{InviteError, Spec, create};
use crate::Core;
use crate::accounts::{AccountError, names};
use crate::iq::{IqKind, IqOutcome, IqRequest, IqTarget};

/// Lists the commands, for service discovery (XEP-0401 §3).
#[must_use]
pub fn command_items(core: &Core) -> Items {
    let Ok(jid) = Jid::parse(&core.config.domain) else { return Items::default() };
    let item =
        |node: &str, name: &str| Item { jid: jid.clone(), node: Some(node.to_owned()), name: Some(name.to_owned()) };
    let items = vec![item(COMMAND_INVITE, "Invite user"), item(COMMAND_CREATE_ACCOUNT, "Create account")];
    Items { node: Some(NS.to_owned()), items }
}

/// Answers the two commands; every account of ours may use them.
pub async fn handle(core: &Core, request: &IqRequest<'_>) -> IqOutcome {
    if !request.is("command", NS) || request.target != IqTarget::Server || request.kind != IqKind::Set {
        return IqOutcome::NotMine;
    }
    if !request.is_local {
        return Condition::Forbidden.into();
    }
    let step = match Request::parse(request.payload) {
        Ok(step) => step,
        Err(fault) => return IqOutcome::Error(fault.into()),
    };
    let inviter = request.from.bare();
    let spec = match (step.node.as_str(), step.action, &step.form) {
        (COMMAND_INVITE | COMMAND_CREATE_ACCOUNT, Action::Cancel, _) => return respond(step, Progress::Canceled, None),
        (COMMAND_INVITE, ..) => {
            Ok(Spec { inviter: Some(inviter), is_contact: true, subscribes: true, ..Spec::default() })
        }
        (COMMAND_CREATE_ACCOUNT, _, None) => {
            return respond(step, Progress::Executing, Some(create_account_form()));
        }
        (COMMAND_CREATE_ACCOUNT, _, Some(form)) => {
            account_spec(core, form).map(|spec| Spec { inviter: Some(inviter), ..spec })
        }
        _ => return Condition::ItemNotFound.into(),
    };
    let made = match spec {
        Ok(spec) => create(core, &spec).await,
        Err(error) => return IqOutcome::Error(error),
    };
    match made {
        Ok(invite) => {
            let told = Invitation { uri: invite.uri, landing_url: invite.landing_url, expire: Some(invite.expires_at) };
            respond(step, Progress::Completed, Some(told.to_form()))
        }
        Err(error) => {
            let condition = match error {
                InviteError::TooMany => Condition::ResourceConstraint,
                InviteError::NameTaken => Condition::Conflict,
                InviteError::TooLong | InviteError::Store(_) => Condition::InternalServerError,
            };
            IqOutcome::Error(StanzaError::new(condition).with_text(error.to_string()))
        }
    }
}

/// Reads the form of the second command. Its default touches no contact list.
fn account_spec(core: &Core, form: &Form) -> Result<Spec, StanzaError> {
    let address = match form.value("username").filter(|name| !name.is_empty()) {
        Some(name) => Some(names::parse(core, name).map_err(|e: AccountError| StanzaError::from(&e))?),
        None => None,
    };
    let subscribes = form.boolean("roster-subscription")?.unwrap_or(false);
    Ok(Spec { address, subscribes, ..Spec::default() })
}

fn respond(step: Request, progress: Progress, form: Option<Form>) -> IqOutcome {
    // a dialogue of two steps needs no memory: the second carries everything
    let session = step.session.unwrap_or_else(|| step.node.clone());
    IqOutcome::Result(Some(Response { node: step.node, session, progress, form }.to_element()))
}
