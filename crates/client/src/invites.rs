//! Invitations: reading links, making links, and recognising those who come by one of ours.

use crypto::omemo::IdentityKey;
use store::Transaction;
use xep::commands::{Progress, Request, Response};
use xep::uri::{self, Action, Link, TrustKeys, UriError};
use xmpp::jid::{BareJid, Jid};

use crate::command::{Outcome, Reply, RequestId};
use crate::engine::{Answer, Engine, Question};
use crate::error::{CommandError, EngineError, LinkProblem};
use crate::event::Notice;
use crate::output::Endpoint;
use crate::tables::{self, InviteRow};

/// What a link says to this program.
#[derive(Clone)]
pub(crate) struct Invitation {
    /// The server to register at, or of the person.
    pub(crate) domain: String,
    /// The user name that the link prescribes for a new account.
    pub(crate) username: Option<String>,
    /// The person whom the link is about.
    pub(crate) inviter: Option<BareJid>,
    pub(crate) token: Option<String>,
    /// Nothing stands behind the action, as when a shell took the rest for the next command.
    pub(crate) is_bare: bool,
    /// Whether the token opens an account.
    pub(crate) may_register: bool,
    /// The person's identity keys, in Montgomery form.
    pub(crate) keys: Vec<[u8; 32]>,
    /// Keys that are not, or no longer, the person's.
    pub(crate) distrusted: Vec<[u8; 32]>,
    pub(crate) pin: Option<[u8; 32]>,
    pub(crate) endpoints: Vec<Endpoint>,
}

impl Invitation {
    /// Reads a link about a person or an account.
    pub(crate) fn parse(link: &str) -> Result<Self, LinkProblem> {
        let link = Link::parse(link.trim()).map_err(|error| match error {
            UriError::Scheme => LinkProblem::NoLink,
            _ => LinkProblem::Damaged,
        })?;
        let person = || link.address.localpart().map(|_| link.address.bare()).ok_or(LinkProblem::BelongsToNobody);
        let (username, inviter, may_register) = match link.action {
            Action::Register => (link.address.localpart().map(str::to_owned), None, true),
            Action::Roster => (None, Some(person()?), link.ibr),
            Action::Peer => return Err(LinkProblem::ForServers),
            _ => (None, Some(person()?), false),
        };
        let montgomery = |keys: &[[u8; 32]]| -> Result<Vec<[u8; 32]>, LinkProblem> {
            let convert = |key| IdentityKey::from_ed25519(key).map(|key| *key.montgomery());
            keys.iter().map(|key| convert(key).map_err(|_| LinkProblem::Damaged)).collect()
        };
        Ok(Self {
            domain: link.address.domainpart().to_owned(),
            username,
            inviter,
            token: link.preauth.clone().filter(|_| link.is_invite()),
            is_bare: matches!(link.action, Action::Register | Action::Roster)
                && Link::new(link.address.clone(), link.action.clone()) == link,
            may_register,
            // A link with a key that is none is damaged: better no link than one that seems to have no keys.
            keys: montgomery(&link.keys.trust)?,
            distrusted: montgomery(&link.keys.distrust)?,
            pin: link.pin,
            endpoints: link.at.iter().map(endpoint_from_uri).collect(),
        })
    }
}

impl Invitation {
    /// The person whom the link belongs to, who is somebody else than the user.
    pub(crate) fn person(&self, own: &BareJid) -> Result<BareJid, LinkProblem> {
        match &self.inviter {
            Some(inviter) if inviter == own => Err(LinkProblem::Own),
            Some(inviter) => Ok(inviter.clone()),
            None => Err(LinkProblem::BelongsToNobody),
        }
    }
}

pub(crate) fn endpoint_from_uri(endpoint: &uri::Endpoint) -> Endpoint {
    let host = match &endpoint.host {
        uri::Host::Name(name) => name.clone(),
        uri::Host::Address(address) => address.to_string(),
    };
    Endpoint { host, port: endpoint.port }
}

pub(crate) fn endpoint_to_uri(endpoint: &Endpoint) -> Option<uri::Endpoint> {
    let host = match endpoint.host.parse() {
        Ok(address) => uri::Host::Address(address),
        Err(_) => uri::Host::parse(&xmpp::jid::to_ascii(&endpoint.host)?).ok()?,
    };
    (endpoint.port > 0).then_some(uri::Endpoint { host, port: endpoint.port })
}

impl Engine {
    /// Begins to make an invitation.
    pub(crate) fn invite(&mut self) -> Result<Reply, CommandError> {
        self.own()?;
        if !self.is_online() {
            return Err(CommandError::Offline);
        }
        let request = self.new_request();
        self.ask_invite(request);
        Ok(Reply::Accepted(request))
    }

    /// Asks the server for a link (XEP-0401 §4).
    pub(crate) fn ask_invite(&mut self, request: RequestId) {
        let Some(domain) = self.account.as_ref().and_then(|a| Jid::parse(a.jid.domainpart()).ok()) else { return };
        let command = Request::start(xep::invites::COMMAND_INVITE).to_element();
        self.ask("set", Some(&domain), command, Question::Invite { request });
    }

    /// The server's link, with our keys and where the server is; without one, a link that only shows who we are.
    pub(crate) async fn invite_answer(&mut self, request: RequestId, answer: Answer) -> Result<(), EngineError> {
        let made = match &answer {
            Answer::Result(Some(command)) => Response::parse(command)
                .ok()
                .filter(|response| response.progress == Progress::Completed)
                .and_then(|response| response.form)
                .and_then(|form| xep::invites::Invitation::parse(&form).ok()),
            _ => None,
        };
        let own = self.own_or_bad()?;
        // Our keys go into it, so it has to be about us and nobody else.
        let link = made.as_ref().and_then(|made| Link::parse(&made.uri).ok());
        let link = link.filter(|link| link.address.bare() == own && link.action == Action::Roster);
        if let Some(token) = link.as_ref().and_then(|link| link.preauth.clone()) {
            self.save_invite(token).await?;
        }
        let link = link.unwrap_or_else(|| Link::new(own.to_jid(), Action::Roster));
        let text = self.complete_link(link).await?;
        let outcome = match (text, answer.failure()) {
            (None, Some(failure)) => Err(failure),
            (text, _) => {
                Ok(Outcome::Invited { link: text.unwrap_or_default(), page: made.and_then(|made| made.landing_url) })
            }
        };
        self.done(request, outcome);
        Ok(())
    }

    async fn save_invite(&mut self, token: String) -> Result<(), EngineError> {
        let own = self.own_or_bad()?;
        let row = InviteRow {
            account: own.as_str().to_owned(),
            token: token.clone(),
            made_ms: self.now().as_millis(),
            used_by: None,
            joined_by: None,
        };
        let mut tx = self.store.transaction();
        tables::save(&mut tx, &invite_key(&own, &token), &row);
        Ok(tx.commit().await?)
    }

    /// Adds to a link what makes it trustworthy: our keys (XEP-0434), and the server's key and addresses.
    pub(crate) async fn complete_link(&self, mut link: Link) -> Result<Option<String>, EngineError> {
        link.keys = TrustKeys { trust: self.own_identity_keys().await?, distrust: Vec::new() };
        if let Some(account) = &self.account {
            link.pin = link.pin.or(account.pin());
            if link.at.is_empty() {
                link.at = account.endpoints().iter().filter_map(endpoint_to_uri).collect();
            }
        }
        Ok(link.to_text().ok())
    }

    /// A link by which others verify us.
    pub(crate) async fn own_link(&self) -> Result<String, EngineError> {
        let own = self.own_or_bad()?;
        Ok(self.complete_link(Link::new(own.to_jid(), Action::Trust)).await?.unwrap_or_default())
    }

    /// Whether a token is one of ours that admits somebody.
    pub(crate) async fn is_open_token(&self, token: &str, by: &BareJid) -> Result<bool, EngineError> {
        Ok(self.open_invite(token, by).await?.is_some())
    }

    /// The invitation of a token that nobody has used, or that they have used who are a contact: their app may tell it again.
    /// It admits nobody a second time whom the user has removed.
    async fn open_invite(&self, token: &str, by: &BareJid) -> Result<Option<InviteRow>, EngineError> {
        let own = self.own_or_bad()?;
        let row = tables::load::<InviteRow>(&self.store, &invite_key(&own, token)).await?;
        let is_contact = match row.as_ref().and_then(|row| row.used_by.as_deref()) {
            Some(used_by) if used_by == by.as_str() => {
                self.contact_row(&own, by).await?.is_some_and(|contact| contact.is_accepted())
            }
            _ => false,
        };
        Ok(row.filter(|row| row.used_by.is_none() || is_contact))
    }

    /// Somebody is removed or blocked: what they joined by and have not used is used up.
    pub(crate) async fn close_invites(&self, tx: &mut Transaction, who: &str) -> Result<(), EngineError> {
        let own = self.own_or_bad()?;
        for mut row in tables::list::<InviteRow>(&self.store, tables::INVITE, &tables::owner(&own, &[])).await? {
            if row.used_by.is_none() && row.joined_by.as_deref() == Some(who) {
                row.used_by.clone_from(&row.joined_by);
                tables::save(tx, &invite_key(&own, &row.token), &row);
            }
        }
        Ok(())
    }

    /// Hears from the own server that an account was made with an invitation of ours. Each invitation is worth one notice,
    /// so a server cannot fill the store with people whom nobody invited.
    pub(crate) async fn somebody_joined(&mut self, token: &str, who: BareJid) -> Result<(), EngineError> {
        let own = self.own_or_bad()?;
        let key = invite_key(&own, token);
        let Some(mut row) = tables::load::<InviteRow>(&self.store, &key).await? else { return Ok(()) };
        if row.joined_by.is_some() {
            return Ok(());
        }
        row.joined_by = Some(who.as_str().to_owned());
        let mut tx = self.store.transaction();
        tables::save(&mut tx, &key, &row);
        let noted = self.note(&mut tx, Notice::Joined { contact: who }).await?;
        tx.commit().await?;
        self.notify([noted]);
        Ok(())
    }

    /// Whether a token is one of ours that admits somebody; notes that they have used it.
    pub(crate) async fn redeem_token(
        &self,
        tx: &mut Transaction,
        token: &str,
        by: &BareJid,
    ) -> Result<bool, EngineError> {
        let Some(mut row) = self.open_invite(token, by).await? else { return Ok(false) };
        row.used_by = Some(by.as_str().to_owned());
        tables::save(tx, &invite_key(&self.own_or_bad()?, token), &row);
        Ok(true)
    }
}

fn invite_key(own: &BareJid, token: &str) -> store::Key {
    tables::INVITE.row(&tables::owner(own, &[]), token.as_bytes())
}
