//! What the two ends of a server stream are told at their start, and what they report.

use super::{DialbackKey, DialbackVerdict, DialbackVerify};
use crate::stream::Ending;
use crate::stream::header::prepared;
use crate::xml::{Frame, Limits};
use zeroize::Zeroizing;

/// The settings of all incoming server streams of a broker; shared, hence in an `Arc`.
#[derive(Debug, Clone)]
pub struct ResponderConfig {
    /// The domains that stanzas may be addressed to, of accounts and of services, in prepared form (RFC 7622 §3.2).
    pub domains: Vec<String>,
    /// Bounds until a domain is proved.
    pub pre_auth_limits: Limits,
    /// Bounds afterwards; advertised by XEP-0478.
    pub limits: Limits,
    /// Seconds of silence after which the stream is closed; advertised by XEP-0478.
    pub idle_seconds: Option<u32>,
    /// Pairs of domains that may be asked for or proved on one stream.
    pub max_pairs: usize,
}

impl ResponderConfig {
    /// The defaults for some domains.
    #[must_use]
    pub fn new(domains: Vec<String>) -> ResponderConfig {
        ResponderConfig {
            domains: domains.iter().map(|domain| prepared(domain)).collect(),
            pre_auth_limits: Limits::PRE_AUTH,
            limits: Limits::SERVER,
            idle_seconds: None,
            max_pairs: 64,
        }
    }
}

/// What the receiving end of a server stream reports.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ResponderEvent {
    /// Write what `poll_output` returns, start TLS on the connection, then call `handle_tls`.
    StartTls,
    /// **Question:** does the peer's certificate (in the facts given to `handle_tls`) prove this domain, by roots,
    /// pins or DANE? Answer with `certificate_verified`.
    VerifyCertificate {
        /// The domain that the peer claims.
        domain: String,
    },
    /// The peer is this domain, by its certificate; it may send to every local domain.
    Authenticated {
        /// The proved domain.
        domain: String,
    },
    /// The peer claims a domain by dialback. Ask that domain's server (`Initiator::verify`), then answer with
    /// `dialback_result`. Nothing waits for it.
    DialbackKey(DialbackKey),
    /// Another server asks whether a key is ours. Answer with `dialback_verified`.
    DialbackVerify(DialbackVerify),
    /// The peer wants acknowledgements (XEP-0198): from now on every stanza counts, and is covered by what the caller
    /// says with `handled`.
    AcksEnabled,
    /// A stanza, from a proved domain to a local one.
    Stanza(Frame),
    /// The stream is over. Write what `poll_output` returns and close the connection.
    Ended(Ending),
}

/// The settings of one outgoing server stream.
#[derive(Clone)]
pub struct InitiatorConfig {
    /// The local domain that sends.
    pub from: String,
    /// The domain to reach.
    pub to: String,
    /// Whether to prove ourselves at all: not where the stream only asks about a dialback key.
    pub authenticate: bool,
    /// Offer our certificate by SASL EXTERNAL.
    pub external: bool,
    /// The secret for dialback keys (XEP-0185), where dialback may be used.
    pub dialback_secret: Option<Zeroizing<Vec<u8>>>,
    /// Bounds on what the peer may send.
    pub limits: Limits,
}

impl std::fmt::Debug for InitiatorConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("s2s::InitiatorConfig(<redacted>)")
    }
}

impl InitiatorConfig {
    /// The defaults for a pair of domains: by certificate, without dialback.
    #[must_use]
    pub fn new(from: impl Into<String>, to: impl Into<String>) -> InitiatorConfig {
        InitiatorConfig {
            from: prepared(&from.into()),
            to: prepared(&to.into()),
            authenticate: true,
            external: true,
            dialback_secret: None,
            limits: Limits::SERVER,
        }
    }
}

/// What the sending end of a server stream reports.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum InitiatorEvent {
    /// Write what `poll_output` returns, start TLS on the connection, then call `handle_tls`.
    StartTls,
    /// **Question:** does the peer's certificate prove this domain? Answer with `certificate_verified`; on `false` the
    /// stream ends.
    VerifyCertificate {
        /// The domain that was dialled.
        domain: String,
    },
    /// The stream is up and the peer is who it should be: `verify` may be called. `Authorized` or `Refused` follows
    /// where we prove ourselves by dialback.
    Opened,
    /// Stanzas may be sent for this pair of domains; `verify` may be called as well.
    Authorized {
        /// The local domain.
        from: String,
        /// The remote domain.
        to: String,
    },
    /// The peer does not take stanzas for this pair of domains.
    Refused {
        /// The local domain.
        from: String,
        /// The remote domain.
        to: String,
        /// Its reason.
        verdict: DialbackVerdict,
    },
    /// The peer has taken responsibility for so many more of the stanzas that were sent, the oldest first (XEP-0198).
    Acknowledged(usize),
    /// The answer to `verify`.
    DialbackVerified {
        /// What was asked; the key is left empty.
        request: DialbackVerify,
        /// The answer.
        verdict: DialbackVerdict,
    },
    /// The stream is over. Write what `poll_output` returns and close the connection.
    Ended(Ending),
}
