//! The two XMPP services of a domain.

/// Which service of a domain is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// For clients (`xmpp-client`).
    Client,
    /// For other servers (`xmpp-server`).
    Server,
    /// Web pages and files of the domain. It has no SRV names.
    Https,
}

impl Service {
    /// The protocol name in ALPN (XEP-0368 §3).
    pub(crate) fn alpn(self) -> &'static [u8] {
        match self {
            Self::Client => b"xmpp-client",
            Self::Server => b"xmpp-server",
            Self::Https => b"http/1.1",
        }
    }

    /// The service labels of SRV-IDs (RFC 4985), for STARTTLS and direct TLS.
    pub(crate) fn srv_labels(self) -> impl Iterator<Item = &'static str> {
        let labels: &[&str] = match self {
            Self::Client => &["_xmpp-client", "_xmpps-client"],
            Self::Server => &["_xmpp-server", "_xmpps-server"],
            Self::Https => &[],
        };
        labels.iter().copied()
    }

    /// The assigned port of STARTTLS connections.
    pub const fn starttls_port(self) -> u16 {
        match self {
            Self::Client => 5222,
            Self::Server => 5269,
            Self::Https => 443,
        }
    }

    /// The customary port of direct TLS connections.
    pub const fn direct_tls_port(self) -> u16 {
        match self {
            Self::Client => 5223,
            Self::Server => 5270,
            Self::Https => 443,
        }
    }
}
