//! The pages of the broker: an invitation, and the form that makes an account of it.
//!
//! Plain HTML without script, without anything from elsewhere, and without any end-to-end key. The broker makes the
//! password, shows it once and keeps no copy. Everything is a function from a request to a response.

mod apps;
mod form;
mod pages;
mod qr;

#[cfg(test)]
mod tests;

use xmpp::jid::BareJid;

use crate::Core;
use crate::accounts::{self, AccountError, names};
use crate::http::{Request, Response};
use crate::tables::InviteRow;

/// Path in front of the token.
pub const INVITE_PATH: &str = "/invite/";
/// The same in codes for cameras, which are in upper case: the path counts in either, and so does the token.
pub const CODE_PATH: &str = "/i/";
/// Path of the style sheet.
const STYLE_PATH: &str = "/style.css";
/// Largest form that is read.
pub const FORM_BYTES_MAX: usize = 4096;
/// Free names that are proposed instead of a taken one.
const SUGGESTIONS: usize = 3;

/// No script, nothing inline but the markup itself, nothing from elsewhere, no frames.
const CSP: &str =
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Answers a request for a page; `None` where the path is not one of ours.
pub async fn serve(core: &Core, request: &Request<'_>, body: &[u8]) -> Option<Response> {
    if request.path == STYLE_PATH {
        return Some(match request.method {
            "GET" | "HEAD" => {
                let style = Response::new(200).with("content-type", "text/css; charset=utf-8");
                Response { body: pages::STYLE.as_bytes().to_vec(), ..style.with("cache-control", "max-age=3600") }
            }
            _ => not_allowed("GET, HEAD"),
        });
    }
    let coded = request.path.get(..CODE_PATH.len()).filter(|path| path.eq_ignore_ascii_case(CODE_PATH));
    let coded = coded.map(|path| request.path[path.len()..].to_ascii_lowercase());
    let token = coded.as_deref().or_else(|| request.path.strip_prefix(INVITE_PATH))?;
    Some(match request.method {
        "GET" | "HEAD" => show(core, token).await,
        "POST" => register(core, request, token, body).await,
        _ => not_allowed("GET, HEAD, POST"),
    })
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

/// Makes an account for who holds the invitation.
async fn register(core: &Core, request: &Request<'_>, token: &str, body: &[u8]) -> Response {
    if !form::is_from_our_page(request) {
        return Response::text(403, "This form must be sent from its own page.");
    }
    let is_form = request.header("content-type").is_some_and(|t| t.starts_with("application/x-www-form-urlencoded"));
    if !is_form || body.len() > FORM_BYTES_MAX {
        return Response::text(400, "This is not the form of this page.");
    }
    let fields = form::parse(body);
    let field = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).unwrap_or_default();
    // the token stands in the form too: a page elsewhere that only knows the address cannot send it
    if field("token") != token {
        return Response::text(403, "This form must be sent from its own page.");
    }
    let invite = match invitation(core, token).await {
        Ok(invite) => invite,
        Err(response) => return response,
    };
    let kept = invite.jid.as_deref().and_then(|jid| BareJid::parse(jid).ok());
    let name = kept.as_ref().and_then(|jid| jid.localpart()).unwrap_or(field("name"));
    let password = accounts::password::generate(&*core.env.random);
    match accounts::create(core, name, &password, Some(token)).await {
        Ok(address) => page(200, pages::welcome(core, &address, &password)),
        Err(AccountError::InvalidToken) => page(404, pages::over(core)),
        Err(AccountError::Store(_)) => page(503, pages::unavailable(core)),
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
