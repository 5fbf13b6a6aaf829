//! What the pages say. Everything that comes from outside is escaped by the template.

use maud::{DOCTYPE, Markup, html};
use xmpp::jid::BareJid;

use super::apps::APPS;
use super::{INVITE_PATH, STYLE_PATH, qr};
use crate::Core;
use crate::accounts::AccountError;
use crate::invites;
use crate::tables::InviteRow;

pub(super) const STYLE: &str = "\
:root { color-scheme: light dark; font: 1.05rem/1.5 system-ui, sans-serif }
body { max-width: 40rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem; line-height: 1.2 }
h2 { font-size: 1.2rem; margin-top: 2rem }
a.button, button { display: inline-block; padding: .6rem 1rem; border: 0; border-radius: .4rem; background: #1d5c4f;
  color: #fff; font: inherit; text-decoration: none; cursor: pointer }
a:focus-visible, button:focus-visible, input:focus-visible { outline: 3px solid #e0a100; outline-offset: 2px }
input { font: inherit; padding: .5rem; width: 14rem; max-width: 100% }
.qr { width: 11rem; height: 11rem; display: block; margin: .5rem 0 }
.error { border-left: .3rem solid #b3261e; padding-left: .8rem }
.once { font: 1.3rem/1.6 ui-monospace, monospace; overflow-wrap: anywhere }
ul.apps { padding: 0; list-style: none }
ul.apps li { margin: 1rem 0 }
";

fn frame(core: &Core, title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex, nofollow";
                title { (title) " – " (core.config.domain) }
                link rel="stylesheet" href=(STYLE_PATH);
            }
            body { main { (content) } }
        }
    }
}

/// The invitation: the link for who has an app, apps for who has none, and the form for who wants an address first.
///
/// `failed` is the name that could not be had and why, `suggestions` are names that can.
pub(super) fn invitation(
    core: &Core,
    invite: &InviteRow,
    failed: Option<(&str, &AccountError)>,
    suggestions: &[String],
) -> Markup {
    let link = invites::uri(core, invite);
    let content = html! {
        h1 { (headline(core, invite)) }
        @if let Some((name, error)) = failed { (complaint(name, error)) }
        (form(core, invite, failed.map(|(name, _)| name), suggestions))
        @if let Some(link) = link {
            h2 { "You have an app already?" }
            p { a.button href=(link) { "Open the invitation in your app" } }
            (qr::code(&link, "The invitation as a code for your phone"))
            p { "Or point your phone's app at this code." }
        }
        (apps())
    };
    frame(core, "Invitation", &content)
}

fn headline(core: &Core, invite: &InviteRow) -> Markup {
    match &invite.inviter {
        Some(inviter) => html! { (inviter) " invites you to chat" },
        None => html! { "You are invited to " (core.config.domain) },
    }
}

fn complaint(name: &str, error: &AccountError) -> Markup {
    html! {
        p.error role="alert" {
            @if !name.is_empty() { strong { (name) } ": " }
            (error.words())
        }
    }
}

fn form(core: &Core, invite: &InviteRow, typed: Option<&str>, suggestions: &[String]) -> Markup {
    let kept = invite.jid.as_deref().and_then(|jid| jid.split_once('@')).map(|(name, _)| name);
    html! {
        h2 { "Get an address here" }
        form method="post" action=(format!("{INVITE_PATH}{}", invite.token)) autocomplete="off" {
            input type="hidden" name="token" value=(invite.token);
            @if let Some(kept) = kept {
                p { "Your address will be " strong { (kept) "@" (core.config.domain) } "." }
                p { button type="submit" { "Take it" } }
            } @else {
                p {
                    label for="name" { "Your name" } br;
                    input #name name="name" value=[typed] required maxlength="64" autocapitalize="none"
                        spellcheck="false" autocomplete="username";
                    " @" (core.config.domain)
                }
                p { button type="submit" { "Take this name" } }
            }
        }
        @if !suggestions.is_empty() {
            p { "These are free:" }
            @for name in suggestions {
                form method="post" action=(format!("{INVITE_PATH}{}", invite.token)) {
                    input type="hidden" name="token" value=(invite.token);
                    p { button type="submit" name="name" value=(name) { (name) } }
                }
            }
        }
    }
}

fn apps() -> Markup {
    html! {
        h2 { "Apps" }
        ul.apps {
            @for app in APPS {
                li {
                    (app.platform) ": "
                    a href=(app.url) rel="noreferrer noopener" { (app.name) }
                    @if app.is_mobile { (qr::code(app.url, &format!("{} for {}", app.name, app.platform))) }
                }
            }
        }
    }
}

/// The new address with its password, which nobody sees again.
pub(super) fn welcome(core: &Core, address: &BareJid, password: &str) -> Markup {
    let link = invites::account_uri(core, address);
    let content = html! {
        h1 { "Your address is ready" }
        p { "Address" }
        p.once { (address.as_str()) }
        p { "Password" }
        p.once { (password) }
        p { strong { "Write the password down now." } " It is shown this once, and nobody can look it up." }
        @if let Some(link) = link {
            p { a.button href=(link) { "Open your app" } }
            (qr::code(&link, "Your address as a code for your phone"))
        }
        p { "Sign in with address and password in your app. If it asks, switch on OMEMO." }
        (apps())
    };
    frame(core, "Welcome", &content)
}

/// There is no such invitation, or none any more.
pub(super) fn over(core: &Core) -> Markup {
    let content = html! {
        h1 { "This invitation is over" }
        p { "It was used, or its time has run out. Ask for another one." }
    };
    frame(core, "Invitation", &content)
}

/// The disk does not obey.
pub(super) fn unavailable(core: &Core) -> Markup {
    let content = html! {
        h1 { "Try again later" }
        p { "The server cannot do this now." }
    };
    frame(core, "Try again later", &content)
}
