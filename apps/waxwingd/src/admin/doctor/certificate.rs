//! The certificate: whose names it carries, who vouches for it, until when.

use net::identity::Identity;
use net::verify::Trust;
use xmpp::time::Timestamp;

use super::super::commands::Context;
use super::super::protocol::Check;
use crate::server::certificate::{read_files, trouble, trouble_in_words};
use crate::settings::Settings;

const DAY_MILLIS: i64 = 86_400_000;
/// Fewer days than this, and somebody should look why it was not renewed: authorities issue for 90 and renew at 30.
const DAYS_LOW: i64 = 14;

/// What is served, in three checks.
pub(super) fn all(context: &Context, identity: &Identity, now: Timestamp) -> Vec<Check> {
    let facts = &context.facts;
    let is_own = facts.certificate_trouble.is_none() && !facts.has_public_certificate;
    let trust = context.shared.dial_tls.trust();
    vec![
        names(identity, &facts.domain, is_own),
        authority(identity, &facts.domain, is_own, trust, now),
        expiry(identity, is_own, now),
    ]
}

/// What a start would serve.
pub(super) fn of_files(settings: &Settings, domain: &str, now: Timestamp) -> Vec<Check> {
    let Some(files) = &settings.certificate else {
        return vec![Check::good("certificate", "the broker makes its own; links carry what clients need to know it")];
    };
    match read_files(files) {
        Ok(identity) => vec![
            names(&identity, domain, false),
            authority(&identity, domain, false, &Trust::public(), now),
            expiry(&identity, false, now),
        ],
        Err(error) => vec![Check::bad("certificate", error.what_happened(), error.what_to_do())],
    }
}

/// Whether the names of the broker and of its services are in it.
pub(super) fn names(identity: &Identity, domain: &str, is_own: bool) -> Check {
    let name = "certificate names";
    if !identity.facts().names_host(domain) {
        let todo = if is_own {
            "Restart the broker: it makes a new one."
        } else {
            "Get a certificate for this domain, or remove [certificate] from the settings."
        };
        return Check::bad(name, format!("the certificate does not name {domain}, so nobody accepts it"), todo);
    }
    Check::good(name, format!("the certificate names {domain}"))
}

/// Who vouches for it.
pub(super) fn authority(identity: &Identity, domain: &str, is_own: bool, trust: &Trust, now: Timestamp) -> Check {
    let name = "certificate authority";
    if is_own {
        return Check::good(
            name,
            "the broker's own: Waxwing knows it by the links, other apps need the file of `waxwingd ca export`",
        );
    }
    match trouble(identity, domain, trust, now) {
        None => Check::good(name, "a known authority vouches for the certificate"),
        Some(trouble) => {
            let (why, todo) = trouble_in_words(trouble, domain);
            Check::bad(name, why, todo)
        }
    }
}

/// Until when it is good.
pub(super) fn expiry(identity: &Identity, is_own: bool, now: Timestamp) -> Check {
    let name = "certificate expiry";
    let renewal = if is_own {
        "Restart the broker: it makes a new one."
    } else {
        "Renew the files that the settings name (certbot renew); they are read again every six hours and at the start."
    };
    let days = identity.expires().as_millis().saturating_sub(now.as_millis()).div_euclid(DAY_MILLIS);
    if days < 0 {
        return Check::bad(name, "the certificate has expired, so nobody accepts it", renewal);
    }
    if days < DAYS_LOW {
        return Check::warning(name, format!("the certificate ends in {days} days"), renewal);
    }
    let by = if is_own { "and renewed by itself" } else { "and the files are looked at every six hours" };
    Check::good(name, format!("the certificate is good for {days} days, {by}"))
}
