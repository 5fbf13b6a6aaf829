//! `https://` addresses.

use std::fmt;

use hyper::Uri;

use super::HttpError;
use crate::dial::HostPort;
use crate::names::to_ascii;

/// An `https` URL with a host. There is no way to make one for `http`.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpsUrl {
    place: HostPort,
    path_and_query: String,
}

impl fmt::Debug for HttpsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpsUrl(<redacted>)")
    }
}

impl HttpsUrl {
    /// Reads a URL. A fragment is dropped: it is never sent.
    ///
    /// # Errors
    ///
    /// [`HttpError::NotHttps`] for another scheme, [`HttpError::BadUrl`] for what cannot be asked for, such as a URL
    /// with a user name, which only serves to deceive.
    pub fn parse(text: &str) -> Result<Self, HttpError> {
        let uri: Uri = text.parse().map_err(|_| HttpError::BadUrl)?;
        if uri.scheme_str() != Some("https") {
            return Err(HttpError::NotHttps);
        }
        let authority = uri.authority().ok_or(HttpError::BadUrl)?;
        if authority.as_str().contains('@') || uri.port().is_some() != uri.port_u16().is_some() {
            return Err(HttpError::BadUrl);
        }
        let host = to_ascii(authority.host()).ok_or(HttpError::BadUrl)?;
        let path_and_query = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { place: HostPort::new(host, uri.port_u16().unwrap_or(443)), path_and_query })
    }

    /// Reads the target of a redirect, which must stay on the same host and port.
    pub(super) fn redirected(&self, location: &str) -> Result<Self, HttpError> {
        if location.starts_with('/') && !location.starts_with("//") {
            let path: Uri = location.parse().map_err(|_| HttpError::BadUrl)?;
            let path_and_query = path.path_and_query().map_or("/", |path| path.as_str()).to_owned();
            return Ok(Self { place: self.place.clone(), path_and_query });
        }
        let target = Self::parse(location)?;
        if target.place != self.place {
            return Err(HttpError::RedirectElsewhere);
        }
        Ok(target)
    }

    /// Returns the host, in ASCII.
    pub fn host(&self) -> &str {
        &self.place.host
    }

    /// Returns host and port.
    pub fn place(&self) -> &HostPort {
        &self.place
    }

    /// Returns path and query, as sent in the request.
    pub fn path_and_query(&self) -> &str {
        &self.path_and_query
    }

    /// The value of the `Host` header.
    pub(super) fn authority(&self) -> String {
        let text = self.place.to_text();
        match text.strip_suffix(":443") {
            Some(default_port) => default_port.to_owned(),
            None => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f04_only_https_is_a_url() {
        for (text, error) in [
            ("http://example.org/", HttpError::NotHttps),
            ("HTTP://example.org/", HttpError::NotHttps),
            ("file:///etc/passwd", HttpError::BadUrl),
            ("ftp://example.org/", HttpError::NotHttps),
            ("/relative", HttpError::NotHttps),
            ("https://user@example.org/", HttpError::BadUrl),
            ("https://exa mple.org/", HttpError::BadUrl),
            ("https:///path", HttpError::BadUrl),
            ("", HttpError::BadUrl),
        ] {
            let parsed = HttpsUrl::parse(text);
            assert!(parsed == Err(error.clone()) || parsed == Err(HttpError::BadUrl), "{text}: {parsed:?}");
        }
    }

    #[test]
    fn parts_are_found() {
        let url = HttpsUrl::parse("https://Upload.Example.org:5443/a/b?c=d").expect("a URL");
        assert_eq!((url.host(), url.place().port), ("upload.example.org", 5443));
        assert_eq!(url.path_and_query(), "/a/b?c=d");
        assert_eq!(url.authority(), "upload.example.org:5443");
        let url = HttpsUrl::parse("https://example.org").expect("a URL");
        assert_eq!((url.authority().as_str(), url.path_and_query()), ("example.org", "/"));
    }

    #[test]
    fn f04_redirects_stay_on_their_host() {
        let url = HttpsUrl::parse("https://example.org/a").expect("a URL");
        assert_eq!(url.redirected("/b").map(|url| url.path_and_query().to_owned()), Ok("/b".to_owned()));
        assert!(url.redirected("https://example.org/b").is_ok());
        assert_eq!(url.redirected("https://example.com/b"), Err(HttpError::RedirectElsewhere));
        assert_eq!(url.redirected("https://example.org:444/b"), Err(HttpError::RedirectElsewhere));
        assert_eq!(url.redirected("http://example.org/b"), Err(HttpError::NotHttps));
        assert!(url.redirected("//example.com/b").is_err());
    }
}
