//! Links and addresses of files (attack row F04).

use xep::aesgcm::AesgcmUrl;
use xep::https_url::HttpsUrl;
use xep::uri::{Action, Endpoint, Link, XmppUri};

/// Parses a text as every kind of link; what is accepted is written and read again the same.
///
/// # Panics
///
/// When it is not.
pub fn uris(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(uri) = XmppUri::parse(text) {
        let written = uri.to_text();
        assert!(written.is_ascii() && !written.contains([' ', '<', '>', '"']), "not fit for a link");
        if written.len() <= xep::uri::BYTES_MAX {
            assert_eq!(XmppUri::parse(&written), Ok(uri));
        }
    }
    if let Ok(mut link) = Link::parse(text) {
        let written = link.to_text();
        if link.action == Action::Other {
            link.action = Action::Identify; // what we do not act on is not passed on
        }
        if let Ok(written) = written {
            assert_eq!(Link::parse(&written), Ok(link));
        }
    }
    if let Ok(url) = HttpsUrl::parse(text) {
        assert_eq!(HttpsUrl::parse(&url.to_text()), Ok(url));
    }
    if let Ok(url) = AesgcmUrl::parse(text) {
        assert_eq!(AesgcmUrl::parse(&url.to_text()), Ok(url));
    }
    if let Ok(endpoint) = Endpoint::parse(text) {
        assert_eq!(Endpoint::parse(&endpoint.to_text()), Ok(endpoint));
    }
}
