//! The page of an invitation, which some people get instead of the link: it has the link in it.
//!
//! The address of a page of a broker that no authority vouches for ends in `#wx-pin=…`, its key as links name it. Browsers keep
//! that part for themselves; here it is what the page's server has to prove.

use net::certificate::Pin;
use net::http::{Access, Fetch, HttpError, HttpsUrl, Place};
use net::tls::TlsError;
use net::verify::Trust;
use xep::encoding::parse_base64url;
use xep::uri::Link;

use super::Settings;
use super::network::Network;
use crate::api::{Kind, Refusal};
use crate::words::refusals;

/// Larger than any page of ours.
const PAGE_BYTES_MAX: u64 = 256 * 1024;
/// In front of the pin, behind the `#`.
const PIN: &str = "wx-pin=";

/// Whether a text is the address of a page rather than a link.
pub fn is_page(text: &str) -> bool {
    text.trim().get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://"))
}

/// Fetches the page of an invitation and takes the link out of it.
///
/// # Errors
///
/// [`Kind::BadInput`] when there is no link on the page, or the address of the page is damaged; [`Kind::SignInFailed`] when its
/// server does not prove to be the right one; [`Kind::Offline`] when it does not answer.
pub async fn link_of_page(settings: &Settings, page: &str) -> Result<String, Refusal> {
    let (url, pin) = take_apart(page)?;
    let network = Network::new(settings)?;
    // The person named the place, so it may be in their own network.
    let access = match pin {
        Some(pin) => Access::OwnBroker(Trust::pins([Pin::from_bytes(pin)])),
        None => Access::OwnBroker(network.authorities()),
    };
    let fetch = Fetch { place: Place::new(url, access), offset: 0, max_bytes: PAGE_BYTES_MAX };
    let mut body = Vec::new();
    let mut write = |piece: &[u8]| {
        body.extend_from_slice(piece);
        Ok(())
    };
    let fetched = network.http().get(&fetch, &mut |_| Ok(()), &mut write).await;
    fetched.map_err(|error| refusal(&error, pin.is_some()))?;
    let link = find(&String::from_utf8_lossy(&body)).and_then(|link| Link::parse(&link).ok());
    let mut link = link.ok_or_else(|| Refusal::new(Kind::BadInput, refusals::page_without_link()))?;
    link.pin = pin.or(link.pin);
    link.to_text().map_err(|_| Refusal::new(Kind::BadInput, refusals::page_without_link()))
}

/// The URL, and the key that its server must have.
fn take_apart(page: &str) -> Result<(HttpsUrl, Option<[u8; 32]>), Refusal> {
    let damaged = || Refusal::new(Kind::BadInput, client::LinkProblem::Damaged.words());
    let (url, fragment) = page.trim().split_once('#').unwrap_or((page.trim(), ""));
    let pin = match fragment.strip_prefix(PIN) {
        Some(pin) => Some(parse_base64url(pin).ok_or_else(damaged)?),
        None => None,
    };
    Ok((HttpsUrl::parse(url).map_err(|_| damaged())?, pin))
}

fn refusal(error: &HttpError, has_pin: bool) -> Refusal {
    match error {
        HttpError::Status(404 | 410) => Refusal::from(client::Failure::InviteInvalid),
        HttpError::Tls(TlsError::Certificate(_)) if has_pin => Refusal::from(client::Failure::OtherServer),
        HttpError::Tls(TlsError::Certificate(_)) => Refusal::new(Kind::SignInFailed, refusals::page_not_trusted()),
        HttpError::Status(_) => Refusal::new(Kind::BadInput, refusals::page_without_link()),
        _ => Refusal::new(Kind::Offline, refusals::page_not_reached()),
    }
}

/// The first `xmpp:` link in an attribute.
fn find(html: &str) -> Option<String> {
    let (_, from_link) = html.split_once("\"xmpp:")?;
    let (link, _) = from_link.split_once('"')?;
    Some(format!("xmpp:{}", link.replace("&amp;", "&")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_is_found_in_the_page() {
        let page =
            "<p>xmpp:not@this</p><a class=\"button\" href=\"xmpp:a@b.example?roster;preauth=x&amp;y;ibr=y\">Open</a>";
        assert_eq!(find(page).as_deref(), Some("xmpp:a@b.example?roster;preauth=x&y;ibr=y"));
        assert_eq!(find("<p>nothing</p>"), None);
        assert_eq!(find("<a href=\"xmpp:cut"), None);
    }

    #[test]
    fn the_key_behind_the_sign_is_taken_and_a_damaged_one_is_not_ignored() {
        let pin = xep::encoding::base64url(&[7; 32]);
        let (url, found) = take_apart(&format!("https://h.example:5443/invite/t#wx-pin={pin}")).expect("whole");
        assert_eq!((url.path_and_query(), found), ("/invite/t", Some([7; 32])));
        assert_eq!(take_apart("https://h.example/invite/t").expect("whole").1, None);
        for damaged in ["https://h.example/invite/t#wx-pin=AAAA", "https://", "https://a b/"] {
            assert_eq!(take_apart(damaged).expect_err("damaged").kind, Kind::BadInput, "{damaged}");
        }
        assert!(is_page(" HTTPS://h.example/") && !is_page("xmpp:h.example") && !is_page("http"));
    }
}
