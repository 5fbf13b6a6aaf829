//! Why a stream ended, by who is at fault, and what the wire says about it.

use std::fmt;

use super::ack::AckError;
use crate::xml::XmlError;

macro_rules! conditions {
    ($($variant:ident $name:literal $doc:literal;)*) => {
        /// The condition of a stream error.
        ///
        /// Source: RFC 6120 §4.9.3.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum StreamCondition { $(#[doc = $doc] $variant,)* }

        impl StreamCondition {
            /// All of them.
            pub const ALL: &'static [StreamCondition] = &[$(StreamCondition::$variant,)*];

            /// Returns the element name.
            #[must_use]
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $name,)* } }

            /// Reads an element name.
            #[must_use]
            pub fn parse(name: &str) -> Option<Self> { match name { $($name => Some(Self::$variant),)* _ => None } }
        }
    };
}

conditions! {
    BadFormat "bad-format" "XML that cannot be processed.";
    BadNamespacePrefix "bad-namespace-prefix" "A prefix that is missing or not the right one.";
    Conflict "conflict" "A new stream has replaced this one.";
    ConnectionTimeout "connection-timeout" "The peer has not answered for too long.";
    HostGone "host-gone" "The domain is no longer served here.";
    HostUnknown "host-unknown" "The domain is not served here.";
    ImproperAddressing "improper-addressing" "An address is missing or malformed.";
    InternalServerError "internal-server-error" "The server failed by its own fault.";
    InvalidFrom "invalid-from" "The sender is not who was proved.";
    InvalidNamespace "invalid-namespace" "A namespace other than the right one.";
    InvalidXml "invalid-xml" "XML that its schema does not allow.";
    NotAuthorized "not-authorized" "The peer has not proved who it is.";
    NotWellFormed "not-well-formed" "Not well-formed XML.";
    PolicyViolation "policy-violation" "Against the rules of this service.";
    RemoteConnectionFailed "remote-connection-failed" "The server cannot reach a server that it needs.";
    Reset "reset" "The stream must be negotiated anew.";
    ResourceConstraint "resource-constraint" "The server lacks the resources.";
    RestrictedXml "restricted-xml" "XML that XMPP forbids.";
    SeeOtherHost "see-other-host" "The service is elsewhere.";
    SystemShutdown "system-shutdown" "The server is going down.";
    UndefinedCondition "undefined-condition" "A condition that the list lacks.";
    UnsupportedEncoding "unsupported-encoding" "Not UTF-8.";
    UnsupportedFeature "unsupported-feature" "A mandatory feature that the peer does not know.";
    UnsupportedStanzaType "unsupported-stanza-type" "A top-level element that is not known.";
    UnsupportedVersion "unsupported-version" "A version of XMPP before 1.0.";
}

/// Why a stream is over.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// Both sides have closed it; nothing that was sent before is missing.
    Closed,
    /// The connection ended without the closing tag: the end of what was sent may be missing (attack X17).
    Lost,
    /// The peer ended it with an error.
    PeerError(StreamCondition),
    /// We ended it, because of this. The peer was told.
    Failed(StreamError),
}

/// Why we ended a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamError {
    /// The bytes are not the XML of a stream.
    Xml(XmlError),
    /// The peer broke a rule.
    PeerMisbehaved(Misbehaviour),
    /// The caller decided so.
    Requested(StreamCondition),
}

/// The rules of a stream that a peer can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misbehaviour {
    /// The first element is not a stream header.
    NotAStream,
    /// A header with a wrong namespace, of the stream or of its content.
    WrongNamespace,
    /// A version before 1.0, or none.
    Version,
    /// A domain that is not served here.
    UnknownHost,
    /// An address is missing or malformed.
    Addressing,
    /// After a restart the header names another domain than before.
    HostChanged,
    /// The peer does not offer TLS: an old server, or somebody removed the offer (attack X09).
    TlsNotOffered,
    /// The peer refused TLS.
    TlsRefused,
    /// Bytes before the TLS handshake that would have survived it (attack X09).
    BytesBeforeTls,
    /// STARTTLS where TLS is already on.
    TlsTwice,
    /// The peer's certificate does not prove its domain.
    Certificate,
    /// Something other than the negotiation before the peer has proved who it is.
    NotAuthenticated,
    /// Too many failed logins.
    TooManyLogins,
    /// An element that has no place here.
    UnexpectedElement,
    /// A stanza from somebody else than who was proved (attack X08).
    ForeignFrom,
    /// A dialback key that is longer than any key is.
    LongKey,
    /// An acknowledgement that is not a number, or of stanzas that were never sent.
    Ack(AckError),
    /// Acknowledgements are switched on twice.
    AcksTwice,
    /// Something mandatory is missing in the peer's features.
    FeatureMissing,
    /// An answer that does not fit the question.
    BadAnswer,
}

impl From<&StreamError> for StreamCondition {
    fn from(error: &StreamError) -> StreamCondition {
        match error {
            StreamError::Xml(error) => StreamCondition::parse(error.condition()).unwrap_or(StreamCondition::BadFormat),
            StreamError::Requested(condition) => *condition,
            StreamError::PeerMisbehaved(rule) => match rule {
                Misbehaviour::NotAStream => StreamCondition::BadFormat,
                Misbehaviour::WrongNamespace => StreamCondition::InvalidNamespace,
                Misbehaviour::Version => StreamCondition::UnsupportedVersion,
                Misbehaviour::UnknownHost | Misbehaviour::HostChanged => StreamCondition::HostUnknown,
                Misbehaviour::Addressing => StreamCondition::ImproperAddressing,
                Misbehaviour::TlsNotOffered
                | Misbehaviour::TlsRefused
                | Misbehaviour::BytesBeforeTls
                | Misbehaviour::TlsTwice
                | Misbehaviour::TooManyLogins
                | Misbehaviour::AcksTwice
                | Misbehaviour::LongKey => StreamCondition::PolicyViolation,
                Misbehaviour::Certificate | Misbehaviour::NotAuthenticated => StreamCondition::NotAuthorized,
                Misbehaviour::UnexpectedElement => StreamCondition::UnsupportedStanzaType,
                Misbehaviour::ForeignFrom => StreamCondition::InvalidFrom,
                Misbehaviour::Ack(AckError::NotANumber) => StreamCondition::InvalidXml,
                Misbehaviour::Ack(AckError::HandledTooMany { .. }) | Misbehaviour::BadAnswer => {
                    StreamCondition::UndefinedCondition
                }
                Misbehaviour::FeatureMissing => StreamCondition::UnsupportedFeature,
            },
        }
    }
}

impl From<XmlError> for StreamError {
    fn from(error: XmlError) -> StreamError {
        StreamError::Xml(error)
    }
}

impl From<Misbehaviour> for StreamError {
    fn from(rule: Misbehaviour) -> StreamError {
        StreamError::PeerMisbehaved(rule)
    }
}

impl From<AckError> for StreamError {
    fn from(error: AckError) -> StreamError {
        StreamError::PeerMisbehaved(Misbehaviour::Ack(error))
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StreamError::Xml(error) => error.fmt(f),
            StreamError::Requested(condition) => write!(f, "we closed the stream: {}", condition.as_str()),
            StreamError::PeerMisbehaved(rule) => rule.fmt(f),
        }
    }
}

impl fmt::Display for Misbehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Misbehaviour::NotAStream => "the peer does not speak XMPP",
            Misbehaviour::WrongNamespace => "the stream has a wrong namespace",
            Misbehaviour::Version => "the peer speaks a version before XMPP 1.0",
            Misbehaviour::UnknownHost => "the domain is not served here",
            Misbehaviour::Addressing => "an address is missing or malformed",
            Misbehaviour::HostChanged => "the peer changed the domain in the middle of the negotiation",
            Misbehaviour::TlsNotOffered => "the server does not offer TLS, or somebody removed the offer",
            Misbehaviour::TlsRefused => "the server refused TLS",
            Misbehaviour::BytesBeforeTls => "somebody put data in front of the TLS handshake",
            Misbehaviour::TlsTwice => "the peer asked for TLS twice",
            Misbehaviour::Certificate => "the certificate does not prove the domain",
            Misbehaviour::NotAuthenticated => "the peer has not proved who it is",
            Misbehaviour::TooManyLogins => "too many failed logins",
            Misbehaviour::UnexpectedElement => "the peer sent something that has no place here",
            Misbehaviour::ForeignFrom => "the peer sent in the name of somebody else",
            Misbehaviour::Ack(_) => "the peer acknowledged what was never sent",
            Misbehaviour::LongKey => "the peer presented a dialback key that is longer than any key",
            Misbehaviour::AcksTwice => "the peer switched acknowledgements on twice",
            Misbehaviour::FeatureMissing => "the server lacks something mandatory",
            Misbehaviour::BadAnswer => "an answer does not fit its question",
        })
    }
}

impl std::error::Error for StreamError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_have_their_names_and_back() {
        assert_eq!(StreamCondition::ALL.len(), 25);
        for condition in StreamCondition::ALL {
            assert_eq!(StreamCondition::parse(condition.as_str()), Some(*condition));
        }
        assert_eq!(StreamCondition::parse("xml-not-well-formed"), None);
    }

    #[test]
    fn every_xml_error_has_a_condition() {
        for (error, condition) in [
            (XmlError::Malformed, StreamCondition::NotWellFormed),
            (XmlError::Restricted, StreamCondition::RestrictedXml),
            (XmlError::UndeclaredPrefix, StreamCondition::BadNamespacePrefix),
            (XmlError::TooLarge, StreamCondition::PolicyViolation),
            (XmlError::StrayText, StreamCondition::BadFormat),
        ] {
            assert_eq!(StreamCondition::from(&StreamError::from(error)), condition);
        }
    }
}
