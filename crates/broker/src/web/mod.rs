//! The pages of the broker: an invitation, the form that makes an account of it, and a front page.
//!
//! Plain HTML without script, without anything from elsewhere, and without any end-to-end key. The broker makes the
//! password, shows it, and keeps no copy unless the person asks for one, in memory and for half an hour (`recent`).
//! Everything is a function from a request to a response.

mod apps;
mod form;
mod pages;
mod qr;
mod recent;
mod style;

#[cfg(test)]
mod tests;

use xmpp::jid::BareJid;

use crate::Core;
use crate::accounts::{self, AccountError, names};
use crate::http::{Request, Response};
use crate::tables::InviteRow;

pub(crate) use recent::Recent;

/// Path in front of the token.
pub const INVITE_PATH: &str = "/invite/";
/// The same in codes for cameras, which are in upper case: the path counts in either, and so does the token.
pub const CODE_PATH: &str = "/i/";
/// Path in front of the name under which a password is kept for who asked for it.
const AGAIN_PATH: &str = "/again/";
/// Path of the style sheet.
const STYLE_PATH: &str = "/style.css";
/// Largest form that is read.
pub const FORM_BYTES_MAX: usize = 4096;
/// Free names that are proposed instead of a taken one.
const SUGGESTIONS: usize = 3;

/// No script, nothing inline but the markup itself, nothing from elsewhere, no frames.
const CSP: &str =
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Answers a request for a page. What is not found is a page too.
pub async fn serve(core: &Core, request: &Request<'_>, body: &[u8]) -> Response {
    let is_read = matches!(request.method, "GET" | "HEAD");
    let coded = request.path.get(..CODE_PATH.len()).filter(|path| path.eq_ignore_ascii_case(CODE_PATH));
    let coded = coded.and_then(|path| request.path.get(path.len()..)).map(str::to_ascii_lowercase);
    if let Some(token) = coded.as_deref().or_else(|| request.path.strip_prefix(INVITE_PATH)) {
        return match request.method {
            "GET" | "HEAD" => show(core, token).await,
            "POST" => take(core, request, token, body).await,
            _ => not_allowed("GET, HEAD, POST"),
        };
    }
    if let Some(id) = request.path.strip_prefix(AGAIN_PATH) {
        return match request.method {
            "GET" | "HEAD" => again(core, id),
            "POST" => forget(core, request, id, body),
            _ => not_allowed("GET, HEAD, POST"),
        };
    }
    match request.path {
        _ if !is_read => not_allowed("GET, HEAD"),
        STYLE_PATH => {
            let style = Response::new(200).with("content-type", "text/css; charset=utf-8");
            Response { body: style::STYLE.as_bytes().to_vec(), ..style.with("cache-control", "max-age=3600") }
        }
        "/" => page(200, pages::front(core)),
        "/robots.txt" => Response::text(200, "User-agent: *\nDisallow: /\n"),
        _ => page(404, pages::nothing(core)),
    }
}

/// Forgets passwords that were kept for who asked and did not come back; to be called every minute or so.
pub fn forget_old(core: &Core) {
    core.recent.forget_old(core.env.moment());
}

fn not_allowed(allowed: &str) -> Response {
    Response::text(405, "This cannot be done here.").with("allow", allowed)
}

fn page(status: u16, markup: maud::Markup) -> Response {
    let mut response = Response::new(status)
        .with("content-type", "text/html; charset=utf-8")
        .with("content-security-policy", CSP)
        .with("cross-origin-opener-policy", "same-origin")
        .with("permissions-policy", "camera=(), microphone=(), geolocation=()")
        // an invitation and a password must not lie in a cache
        .with("cache-control", "no-store");
    response.body = markup.into_string().into_bytes();
    response
}

/// Finds the invitation, or the page that says that there is none.
async fn invitation(core: &Core, token: &str) -> Result<InviteRow, Response> {
    match crate::invites::lookup(core, token).await {
        Ok(Some(invite)) if invite.may_register => Ok(invite),
        Ok(_) => Err(page(404, pages::over(core))),
        Err(_) => Err(page(503, pages::unavailable(core))),
    }
}

async fn show(core: &Core, token: &str) -> Response {
    match invitation(core, token).await {
        Ok(invite) => page(200, pages::invitation(core, &invite, None, &[])),
        Err(response) => response,
    }
}

/// The fields of a form of ours.
struct Form(Vec<(String, String)>);

impl Form {
    /// Reads a form, if one of our own pages has sent it.
    fn read(request: &Request<'_>, body: &[u8]) -> Result<Self, Response> {
        if !form::is_from_our_page(request) {
            return Err(Response::text(403, "This form must be sent from its own page."));
        }
        let content = request.header("content-type");
        let is_form = content.is_some_and(|content| content.starts_with("application/x-www-form-urlencoded"));
        if !is_form || body.len() > FORM_BYTES_MAX {
            return Err(Response::text(400, "This is not the form of this page."));
        }
        Ok(Self(form::parse(body)))
    }

    fn field(&self, name: &str) -> &str {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }
}

/// Takes the form of an invitation: makes an account, shows one again that was just made, or keeps its password.
async fn take(core: &Core, request: &Request<'_>, token: &str, body: &[u8]) -> Response {
    let form = match Form::read(request, body) {
        Ok(form) => form,
        Err(refused) => return refused,
    };
    // the token stands in the form too: a page elsewhere that only knows the address cannot send it
    if form.field("token") != token {
        return Response::text(403, "This form must be sent from its own page.");
    }
    let now = core.env.moment();
    let password = form.field("password");
    if core.recent.is_ours(token, password, form.field("proof")) {
        if form.field("do") == "keep" {
            let kept = core.recent.keep(token, password, core.env.random_id(), now);
            return match kept {
                Some(id) => {
                    Response::new(303).with("location", format!("{AGAIN_PATH}{id}")).with("cache-control", "no-store")
                }
                None => page(404, pages::forgotten(core)),
            };
        }
        if let Some(address) = core.recent.made_with(token, password, now) {
            return page(200, pages::welcome(core, &address, password, pages::Keeping::Offered { token }));
        }
        return register(core, token, form.field("name"), password).await;
    }
    // a form that somebody has made by hand, or from before a restart
    let password = accounts::password::generate(&*core.env.random);
    register(core, token, form.field("name"), &password).await
}

/// Makes an account for who holds the invitation.
async fn register(core: &Core, token: &str, typed: &str, password: &str) -> Response {
    let invite = match invitation(core, token).await {
        Ok(invite) => invite,
        Err(response) => return response,
    };
    let kept = invite.jid.as_deref().and_then(|jid| BareJid::parse(jid).ok());
    let name = kept.as_ref().and_then(|jid| jid.localpart()).unwrap_or(typed);
    match accounts::create(core, name, password, Some(token)).await {
        Ok(address) => {
            core.recent.remember(token, &address, password, core.env.moment());
            page(200, pages::welcome(core, &address, password, pages::Keeping::Offered { token }))
        }
        Err(AccountError::InvalidToken) => page(404, pages::over(core)),
        Err(AccountError::Store(_) | AccountError::Busy) => page(503, pages::unavailable(core)),
        Err(error) => {
            let suggestions = match (&error, names::parse(core, name)) {
                (AccountError::NameTaken, Ok(taken)) => {
                    names::suggest(core, &taken, SUGGESTIONS).await.unwrap_or_default()
                }
                _ => Vec::new(),
            };
            page(409, pages::invitation(core, &invite, Some((name, &error)), &suggestions))
        }
    }
}

/// Shows a password to who had it kept.
fn again(core: &Core, id: &str) -> Response {
    match core.recent.kept(id, core.env.moment()) {
        Some((address, password)) => page(200, pages::welcome(core, &address, &password, pages::Keeping::Kept { id })),
        None => page(404, pages::forgotten(core)),
    }
}

/// Forgets a password that its owner has.
fn forget(core: &Core, request: &Request<'_>, id: &str, body: &[u8]) -> Response {
    let form = match Form::read(request, body) {
        Ok(form) => form,
        Err(refused) => return refused,
    };
    // the name stands in the form too, as the token does
    if form.field("id") != id {
        return Response::text(403, "This form must be sent from its own page.");
    }
    if core.recent.forget(id, core.env.moment()) {
        page(200, pages::done(core))
    } else {
        page(404, pages::forgotten(core))
    }
}
