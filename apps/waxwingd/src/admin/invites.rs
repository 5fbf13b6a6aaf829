//! Invitations of the operator: made, listed, taken back.

use std::time::Duration;

use broker::Broker;
use broker::accounts::names;
use broker::invites::{InviteError, Listed, RevokeError, Spec};

use super::protocol::{Done, Failure, InviteLine, ListedLine};
use crate::server::Invite;

/// Longest life of an invitation that the operator makes, in days.
const DAYS_MAX: u32 = 365;

pub(super) async fn make(broker: &Broker, days: Option<u32>, name: Option<&str>) -> Result<Done, Failure> {
    if days.is_some_and(|days| !(1..=DAYS_MAX).contains(&days)) {
        return Err(Failure::new(format!("an invitation can be good for 1 to {DAYS_MAX} days")));
    }
    let lifetime = days.map(|days| Duration::from_secs(u64::from(days) * 86_400));
    let address = name.map(|name| names::parse(broker.core(), name)).transpose()?;
    let invite = crate::server::invite(broker, Spec { address, lifetime, ..Spec::default() }).await?;
    Ok(Done::Invite(invite.into()))
}

pub(super) async fn list(broker: &Broker) -> Result<Done, Failure> {
    let listed = broker::invites::list(broker.core()).await?;
    Ok(Done::Invites(listed.into_iter().map(line).collect()))
}

pub(super) async fn revoke(broker: &Broker, id: &str) -> Result<Done, Failure> {
    let revoked = broker::invites::revoke(broker.core(), token_of(id)).await.map_err(|error| match error {
        RevokeError::Unknown => Failure::with_todo(
            "there is no open invitation that begins so; it may have been used, or have ended",
            "`waxwingd invite list` shows those that are open.",
        ),
        RevokeError::Ambiguous => {
            Failure::with_todo("more than one invitation begins so", "Give more letters, or the whole link.")
        }
        RevokeError::Store(error) => error.into(),
        _ => Failure::new("the invitation was not taken back"),
    })?;
    Ok(Done::Revoked(line(revoked)))
}

/// The token in whatever somebody has at hand: the beginning from the list, the link, or the address of the page.
fn token_of(given: &str) -> &str {
    let given = given.trim();
    let after = |mark: &str| given.split_once(mark).map(|(_, rest)| rest);
    let token = after("preauth=").or_else(|| after("/invite/")).unwrap_or(given);
    token.split([';', '?', '#']).next().unwrap_or(token)
}

fn line(listed: Listed) -> ListedLine {
    ListedLine {
        id: listed.id,
        inviter: listed.inviter,
        address: listed.address,
        used_by: listed.used_by,
        expires_at: listed.expires_at.to_xep0082(),
    }
}

impl From<Invite> for InviteLine {
    fn from(invite: Invite) -> Self {
        Self { link: invite.link, page: invite.page, code: invite.code, expires_at: invite.expires_at.to_xep0082() }
    }
}

impl From<InviteError> for Failure {
    fn from(error: InviteError) -> Self {
        match error {
            InviteError::Store(error) => error.into(),
            InviteError::TooLong => {
                Self::with_todo("the link would be too long", "Name fewer hosts in `announce`, or a shorter domain.")
            }
            error => Self::new(super::commands::as_part(&error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_in_what_is_at_hand() {
        for given in [
            "abc234",
            " abc234\n",
            "xmpp:north.example?register;preauth=abc234;wx-pin=x",
            "https://north.example:5443/invite/abc234",
        ] {
            assert_eq!(token_of(given), "abc234", "{given}");
        }
    }
}
