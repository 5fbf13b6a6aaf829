//! What the pages say. Everything that comes from outside is escaped by the template.

use maud::{DOCTYPE, Markup, html};
use xmpp::jid::BareJid;

use super::apps::{APPS, App};
use super::{AGAIN_PATH, INVITE_PATH, STYLE_PATH, qr};
use crate::Core;
use crate::accounts::AccountError;
use crate::invites;
use crate::tables::InviteRow;

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

/// Which apps find this broker, and believe that it is the one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// DNS knows the name, and an authority vouches for the certificate.
    Everywhere,
    /// DNS knows the name; the certificate is the broker's own.
    OwnCertificate,
    /// Only links lead here: the name is the broker's own, or DNS does not know it.
    ByLink,
}

fn reach(core: &Core) -> Reach {
    match (&core.config.invites.pin, core.config.invites.at.is_empty()) {
        (None, _) => Reach::Everywhere,
        (Some(_), true) => Reach::OwnCertificate,
        (Some(_), false) => Reach::ByLink,
    }
}

/// The invitation: what this is, the way with Waxwing, the way with other apps, and the form for who needs an address
/// first.
///
/// `failed` is the name that could not be had and why, `suggestions` are names that can.
pub(super) fn invitation(
    core: &Core,
    invite: &InviteRow,
    failed: Option<(&str, &AccountError)>,
    suggestions: &[String],
) -> Markup {
    let link = invites::uri(core, invite);
    let domain = core.config.domain.as_str();
    let content = html! {
        h1 { (headline(core, invite)) }
        p.lead {
            strong { (domain) } " is a private message server. What you write, and the files you send, are encrypted on \
            your device: only you and the people you write to can read them, and this server cannot. Take an app, open \
            this invitation, and you are there. It is good for one person."
        }
        @if let Some((name, error)) = failed { section { (complaint(name, error)) (form(core, invite, Some(name), suggestions)) } }
        (honest(core))
        @if let Some(link) = &link {
            // first what works for most people here
            @if reach(core) == Reach::ByLink { (with_waxwing(link)) (with_link(link)) }
            @else { (with_link(link)) (with_waxwing(link)) }
        }
        @if failed.is_none() { section { (form(core, invite, None, suggestions)) } }
        (apps(core, Reader::Invited))
    };
    frame(core, "Invitation", &content)
}

fn headline(core: &Core, invite: &InviteRow) -> Markup {
    match &invite.inviter {
        Some(inviter) => html! { (inviter) " invites you to chat" },
        None => html! { "You are invited to " (core.config.domain) },
    }
}

/// What does not work with this broker, where something does not.
fn honest(core: &Core) -> Markup {
    let domain = core.config.domain.as_str();
    match reach(core) {
        Reach::Everywhere => html! {},
        Reach::OwnCertificate => html! {
            section.warn {
                h2 { "Which apps work here" }
                p {
                    "No public authority vouches for this server. Waxwing knows it by the invitation. Other apps ask \
                    whether you accept its certificate, or refuse it. Your browser has warned you for the same reason."
                }
            }
        },
        Reach::ByLink => html! {
            section.warn {
                h2 { "Which apps work here" }
                p {
                    "The name " strong { (domain) } " is known to this server alone: the internet does not know it, and phones \
                    cannot look it up. Waxwing finds the server by the invitation. Most other apps do not; those that \
                    can be told where it is stand below. All of them must be in a network that reaches the server. \
                    Your browser has warned you because no public authority vouches for it."
                }
            }
        },
    }
}

fn with_waxwing(link: &str) -> Markup {
    html! {
        section {
            h2 { "With Waxwing (Linux and Mac, in a terminal)" }
            p { "Copy this line as a whole. It asks for a name, makes your account, and finds who invited you." }
            code.copy { "waxwing join '" (link) "'" }
        }
    }
}

fn with_link(link: &str) -> Markup {
    html! {
        section {
            h2 { "With an app that you have" }
            div.beside {
                div {
                    p { a.button href=(link) { "Open the invitation" } }
                    p.soft { "If nothing happens, your device has no app that takes invitations. Take one of those below, then come back and press the button again." }
                }
                div.wide {
                    (qr::code(link, "The invitation as a code for your phone"))
                    p.soft { "Or scan this code with the app on your phone." }
                }
            }
        }
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

/// The form. It carries a password that we have drawn, with a proof that we have, so that the same form sent once more
/// gets the same answer.
fn form(core: &Core, invite: &InviteRow, typed: Option<&str>, suggestions: &[String]) -> Markup {
    let kept = invite.jid.as_deref().and_then(|jid| jid.split_once('@')).map(|(name, _)| name);
    let action = format!("{INVITE_PATH}{}", invite.token);
    let password = crate::accounts::password::generate(&*core.env.random);
    let hidden = html! {
        input type="hidden" name="token" value=(invite.token);
        input type="hidden" name="password" value=(*password);
        input type="hidden" name="proof" value=(core.recent.proof(&invite.token, &password));
    };
    html! {
        h2 { "Get an address here first" }
        p.soft {
            "For apps that ask for an address and a password. With Waxwing, and with apps that open the invitation, \
            you do not need this."
        }
        form method="post" action=(action) autocomplete="off" {
            (hidden)
            @if let Some(kept) = kept {
                p { "Your address will be " strong { (kept) "@" (core.config.domain) } "." }
                button type="submit" { "Take it" }
            } @else {
                label for="name" { "Your name" }
                div.field {
                    input #name name="name" value=[typed] required maxlength="64" autocapitalize="none"
                        spellcheck="false" autocomplete="username";
                    span { "@" (core.config.domain) }
                }
                button type="submit" { "Take this name" }
            }
        }
        @if !suggestions.is_empty() {
            p { "These are free:" }
            div.row {
                @for name in suggestions {
                    form method="post" action=(action) {
                        (hidden)
                        button.second type="submit" name="name" value=(name) { (name) }
                    }
                }
            }
        }
    }
}

/// Who reads about apps.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// Somebody with an invitation, who has no address yet.
    Invited,
    /// Somebody with an address.
    Registered,
    /// Whoever came along.
    Anybody,
}

/// The apps that can work with this broker, and how.
fn apps(core: &Core, reader: Reader) -> Markup {
    let reach = reach(core);
    let works = |app: &&App| reach != Reach::ByLink || app.by_address.is_some();
    html! {
        section {
            h2 { @if reach == Reach::ByLink { "Other apps that can be told where this server is" } @else { "Other apps" } }
            p.soft { "People with any of these can write to each other, and to people with Waxwing." }
            @for app in APPS.iter().filter(works) { (self::app(app, reach, reader)) }
            @if reach == Reach::ByLink { (by_hand(core)) }
        }
    }
}

fn app(app: &App, reach: Reach, reader: Reader) -> Markup {
    let account = match (reader, reach) {
        (Reader::Invited, Reach::ByLink) => "Get an address on this page, and sign in with it.",
        (Reader::Invited, _) => app.account,
        (Reader::Registered, _) => "Sign in with your address and password.",
        (Reader::Anybody, _) => "",
    };
    html! {
        h3 { (app.platform) ": " a href=(app.url) rel="noreferrer noopener" { (app.name) } }
        @if !account.is_empty() { p { (account) } }
        @if let Some(how) = app.by_address.filter(|_| reach == Reach::ByLink) { p { (how) } }
        p { strong { "Encryption: " } (app.encryption) }
        @if let Some(note) = app.note { p.soft { (note) } }
        @if app.is_mobile && reach != Reach::ByLink {
            div.wide { (qr::code(app.url, &format!("{} for {}", app.name, app.platform))) }
        }
    }
}

/// What to type into an app that DNS cannot lead here.
fn by_hand(core: &Core) -> Markup {
    let invites = &core.config.invites;
    html! {
        h3 { "Server and port" }
        ul {
            @for at in &invites.at {
                li {
                    (at.host.to_text()) ", port "
                    @if let Some(port) = invites.starttls_port { (port) } @else { (at.port) " (TLS)" }
                }
            }
        }
    }
}

/// Whether a password can be shown again.
#[derive(Clone, Copy)]
pub(super) enum Keeping<'a> {
    /// Not unless the person asks for it.
    Offered {
        /// The invitation that was used.
        token: &'a str,
    },
    /// It is kept under a name.
    Kept {
        /// The name.
        id: &'a str,
    },
}

/// The new address with its password.
pub(super) fn welcome(core: &Core, address: &BareJid, password: &str, keeping: Keeping<'_>) -> Markup {
    let link = invites::account_uri(core, address);
    let content = html! {
        h1 { "Your address is ready" }
        section {
            p.name { "Address" }
            p.once { (address.as_str()) }
            p.name { "Password" }
            p.once { (password) }
            p { strong { "Write the password down, or save it in a password manager." } " Nobody can look it up later." }
            (keep(core, password, keeping))
        }
        section {
            h2 { "How to go on" }
            ul {
                li { "Get one of the apps below, and sign in with address and password." }
                @if reach(core) == Reach::Everywhere {
                    li { "With Waxwing in a terminal: " code.copy { "waxwing login " (address.as_str()) } }
                }
                li { "Then tell the person who invited you your address, if they do not see you yet." }
            }
            @if let Some(link) = link {
                div.beside {
                    div { p { a.button href=(link) { "Open your app" } } }
                    div.wide { (qr::code(&link, "Your address as a code for your phone")) }
                }
            }
        }
        (apps(core, Reader::Registered))
    };
    frame(core, "Welcome", &content)
}

/// The choice to have the password once more, or to have it forgotten.
fn keep(core: &Core, password: &str, keeping: Keeping<'_>) -> Markup {
    match keeping {
        Keeping::Offered { token } => html! {
            p.soft {
                "You are going to install an app first? Then let this page stay, in case your device closes it. For \
                half an hour the server keeps the password in its memory, and you can come back to this page."
            }
            form method="post" action=(format!("{INVITE_PATH}{token}")) {
                input type="hidden" name="token" value=(token);
                input type="hidden" name="password" value=(password);
                input type="hidden" name="proof" value=(core.recent.proof(token, password));
                button.second type="submit" name="do" value="keep" { "Let me come back to this page" }
            }
        },
        Keeping::Kept { id } => html! {
            p.soft {
                "You can come back to this page for half an hour: keep its address to yourself. After that, or when you \
                press the button, the server forgets the password."
            }
            form method="post" action=(format!("{AGAIN_PATH}{id}")) {
                input type="hidden" name="id" value=(id);
                button.second type="submit" { "I have the password. Forget it" }
            }
        },
    }
}

/// The password was forgotten because its owner said so.
pub(super) fn done(core: &Core) -> Markup {
    let content = html! {
        h1 { "The password is forgotten here" }
        p { "Sign in with your address and the password that you have written down." }
        (apps(core, Reader::Registered))
    };
    frame(core, "Done", &content)
}

/// The password was forgotten because its time was over.
pub(super) fn forgotten(core: &Core) -> Markup {
    let content = html! {
        h1 { "This page is over" }
        p { "Your account is there. This server does not keep passwords, and this one was shown before." }
        p {
            "If you did not write it down, ask whoever runs this server for a new one. They run: "
            code { "waxwingd account reset NAME" }
        }
    };
    frame(core, "Over", &content)
}

/// There is no such invitation, or none any more.
pub(super) fn over(core: &Core) -> Markup {
    let content = html! {
        h1 { "This invitation is over" }
        p { "It has been used, was taken back, or its time has run out. Ask for another one." }
        p.soft {
            "You have just made your account with it? Then sign in with its address and password. If you did not write \
            the password down, ask whoever runs this server for a new one."
        }
    };
    frame(core, "Invitation", &content)
}

/// The front page.
pub(super) fn front(core: &Core) -> Markup {
    let domain = core.config.domain.as_str();
    let content = html! {
        h1 { (domain) }
        p.lead {
            "A private message server. What people write here is encrypted on their devices: only they and the people \
            they write to can read it, and this server cannot."
        }
        section {
            h2 { "You want an address here?" }
            @if core.config.accounts.is_open {
                p { "In an app, make a new account and choose the server " strong { (domain) } "." }
            } @else {
                p {
                    "You need an invitation. People who have an address here can make one in their app (with Waxwing: "
                    code { "waxwing invite" } "), and so can whoever runs this server."
                }
            }
        }
        section {
            h2 { "You have an address here?" }
            p { "This page has nothing to sign in to. Use your app." }
        }
        (honest(core))
        (apps(core, Reader::Anybody))
    };
    frame(core, "Private messages", &content)
}

/// There is no such page.
pub(super) fn nothing(core: &Core) -> Markup {
    let content = html! {
        h1 { "There is nothing here" }
        p { "The address may be cut off: links of invitations are long. Copy it again as a whole." }
        p { a href="/" { "To the front page" } }
    };
    frame(core, "Nothing here", &content)
}

/// The disk does not obey.
pub(super) fn unavailable(core: &Core) -> Markup {
    let content = html! {
        h1 { "Try again later" }
        p { "The server cannot save anything at the moment. Your invitation is still good." }
    };
    frame(core, "Try again later", &content)
}
