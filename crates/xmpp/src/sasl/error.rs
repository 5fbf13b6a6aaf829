//! Why an exchange failed, by who is at fault, and what the other side is told.

/// What a failed SASL exchange says on the wire.
///
/// Source: RFC 6120 §6.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SaslCondition {
    /// The initiating entity gave up.
    Aborted,
    /// The account is switched off for now.
    AccountDisabled,
    /// The credentials are too old.
    CredentialsExpired,
    /// The mechanism needs TLS first.
    EncryptionRequired,
    /// The base64 was wrong.
    IncorrectEncoding,
    /// The identity to act as is not the one that logs in.
    InvalidAuthzid,
    /// The mechanism was not offered.
    InvalidMechanism,
    /// The message does not follow its mechanism.
    MalformedRequest,
    /// Policy asks for a stronger mechanism.
    MechanismTooWeak,
    /// Wrong credentials, an unknown account, or a broken channel binding: not told apart on purpose.
    NotAuthorized,
    /// Try later.
    TemporaryAuthFailure,
}

impl SaslCondition {
    const ALL: [(SaslCondition, &'static str); 11] = [
        (SaslCondition::Aborted, "aborted"),
        (SaslCondition::AccountDisabled, "account-disabled"),
        (SaslCondition::CredentialsExpired, "credentials-expired"),
        (SaslCondition::EncryptionRequired, "encryption-required"),
        (SaslCondition::IncorrectEncoding, "incorrect-encoding"),
        (SaslCondition::InvalidAuthzid, "invalid-authzid"),
        (SaslCondition::InvalidMechanism, "invalid-mechanism"),
        (SaslCondition::MalformedRequest, "malformed-request"),
        (SaslCondition::MechanismTooWeak, "mechanism-too-weak"),
        (SaslCondition::NotAuthorized, "not-authorized"),
        (SaslCondition::TemporaryAuthFailure, "temporary-auth-failure"),
    ];

    /// The element name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(condition, _)| *condition == self).map_or("not-authorized", |(_, name)| name)
    }

    /// Recognises an element name.
    pub fn parse(name: &str) -> Option<SaslCondition> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(condition, _)| *condition)
    }
}

/// Why a SCRAM exchange stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExchangeError {
    /// A message does not follow the grammar of RFC 5802 §7.
    Malformed,
    /// The client wants to act as somebody else.
    ForeignAuthzid,
    /// A mandatory extension (`m=`) that nobody has defined.
    MandatoryExtension,
    /// `-PLUS` without a binding, a binding without `-PLUS`, or a binding type that was not offered.
    BindingType,
    /// The client says that we offered no channel binding, but we did: the offer was edited on the way.
    BindingStripped,
    /// The channel binding data differ: the two ends do not share one TLS connection.
    BindingMismatch,
    /// The nonce is not the one of this exchange.
    Nonce,
    /// The iteration count is outside 4096 ..= 1 000 000.
    Iterations {
        /// What the server asked for.
        asked: u32,
    },
    /// The lists of mechanisms and bindings differ at the two ends (XEP-0474).
    OfferEdited,
    /// The server did not send the hash of its lists, without which this login would not be safe.
    OfferUnproven,
    /// The two ends see different TLS versions (XEP-0515).
    TlsVersion,
    /// The proof is wrong, or there is no such account.
    Proof,
    /// The server does not know the password's verifier: it is not our server.
    ServerUnproven,
    /// The server refused, with an `e=` attribute.
    ServerRefused,
    /// The password holds characters that no password may hold (RFC 8265 §4).
    Password,
}

impl From<&ExchangeError> for SaslCondition {
    fn from(error: &ExchangeError) -> SaslCondition {
        match error {
            ExchangeError::Malformed | ExchangeError::MandatoryExtension | ExchangeError::BindingType => {
                SaslCondition::MalformedRequest
            }
            ExchangeError::ForeignAuthzid => SaslCondition::InvalidAuthzid,
            ExchangeError::ServerUnproven
            | ExchangeError::ServerRefused
            | ExchangeError::OfferEdited
            | ExchangeError::OfferUnproven
            | ExchangeError::TlsVersion
            | ExchangeError::Iterations { .. } => SaslCondition::Aborted,
            // one answer for all of these, so that a guesser learns nothing
            ExchangeError::BindingStripped
            | ExchangeError::BindingMismatch
            | ExchangeError::Nonce
            | ExchangeError::Proof
            | ExchangeError::Password => SaslCondition::NotAuthorized,
        }
    }
}

impl std::fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = match self {
            ExchangeError::Malformed => "a SCRAM message is malformed",
            ExchangeError::ForeignAuthzid => "the authorization identity is not the authentication identity",
            ExchangeError::MandatoryExtension => "an unknown mandatory SCRAM extension",
            ExchangeError::BindingType => "the channel binding type does not fit the mechanism or the offer",
            ExchangeError::BindingStripped => "the offer of channel binding was removed on the way",
            ExchangeError::BindingMismatch => "the two ends do not share one TLS connection",
            ExchangeError::Nonce => "the nonce does not belong to this exchange",
            ExchangeError::Iterations { asked } => {
                return write!(f, "the server asks for {asked} iterations; 4096 to 1000000 are accepted");
            }
            ExchangeError::OfferEdited => "the list of login methods was edited on the way",
            ExchangeError::OfferUnproven => "the server cannot prove its list of login methods",
            ExchangeError::TlsVersion => "the two ends see different TLS versions",
            ExchangeError::Proof => "the name or the password is wrong",
            ExchangeError::ServerUnproven => "the server did not prove that it knows the account",
            ExchangeError::ServerRefused => "the server refused the login",
            ExchangeError::Password => "the password holds characters that are not allowed",
        };
        f.write_str(text)
    }
}

impl std::error::Error for ExchangeError {}
