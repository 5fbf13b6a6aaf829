//! Requests and responses of the web, as plain values: the program's listener turns them into bytes.
//!
//! The listener guarantees TLS, a bound on the size of headers, and that `path` is what stood in the request line, not
//! decoded. Everything else is checked here.

/// What a browser or a client asks.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// `GET`, `HEAD`, `POST` or `PUT`.
    pub method: &'a str,
    /// The path, without query.
    pub path: &'a str,
    /// Headers: names in lower case, values as they are.
    pub headers: &'a [(&'a str, &'a str)],
}

impl<'a> Request<'a> {
    /// Returns the value of a header; of one that stands there twice, nothing, because the two may disagree.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let mut values = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| *v);
        let value = values.next()?;
        values.next().is_none().then_some(value)
    }

    /// Tells whether only the head of the response is wanted.
    #[must_use]
    pub fn is_head(&self) -> bool {
        self.method == "HEAD"
    }
}

/// An answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Headers, in order. The length is the listener's to add.
    pub headers: Vec<(&'static str, String)>,
    /// What follows, unless it is a download that comes in pieces.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Response({}, {} bytes)", self.status, self.body.len())
    }
}

/// Headers that every answer carries.
const ALWAYS: [(&str, &str); 3] =
    [("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer"), ("x-frame-options", "DENY")];

impl Response {
    /// Makes an answer without a body.
    #[must_use]
    pub fn new(status: u16) -> Self {
        let headers = ALWAYS.iter().map(|(n, v)| (*n, (*v).to_owned())).collect();
        Self { status, headers, body: Vec::new() }
    }

    /// Makes an answer of one line of text.
    #[must_use]
    pub fn text(status: u16, text: &str) -> Self {
        let mut response = Self::new(status)
            .with("content-type", "text/plain; charset=utf-8")
            .with("content-security-policy", "default-src 'none'")
            .with("cache-control", "no-store");
        response.body = text.as_bytes().to_vec();
        response
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Returns the value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_str())
    }
}
