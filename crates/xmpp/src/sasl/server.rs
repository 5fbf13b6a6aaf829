//! The server's side of a SCRAM exchange.
//!
//! [`ServerExchange`] knows who wants to log in; the caller looks that name up and answers with what it stores, or
//! with a made-up salt; [`AwaitClientFinal`] checks the proof. An account that does not exist goes through the same
//! steps and the same computations, and fails with the same error (attack X11).

use crate::jid::BareJid;

use super::message::{self, BindingFlag, ClientFinal, ClientFirst};
use super::{
    BindingType, ChannelBindings, ClientKey, Digest, ExchangeError, Mechanism, Offer, ScramVerifier, TlsVersion,
    VerifierKeys,
};

/// What the account database says about a name.
#[derive(Debug, Clone)]
pub enum Lookup {
    /// The account exists.
    Known(ScramVerifier),
    /// It does not: the exchange goes on with these and fails at its end.
    Unknown {
        /// Always the same for the same name, or a second attempt would tell: an HMAC of the name under a server key.
        salt: Vec<u8>,
        /// The iteration count of real accounts.
        iterations: u32,
    },
}

/// A client has said who it is.
#[derive(Debug)]
pub struct ServerExchange {
    mechanism: Mechanism,
    username: String,
    client_nonce: String,
    client_first_bare: String,
    /// What `c=` must hold: the client's header and the binding data of *our* end.
    binding_input: Vec<u8>,
}

impl ServerExchange {
    /// Reads the client-first-message. `offer` is what was announced on this connection, `bindings` its facts; `domain` is
    /// the one that accounts belong to.
    ///
    /// # Errors
    ///
    /// [`ExchangeError::BindingStripped`] when the client would have bound the connection but saw no offer to do so,
    /// though we made one: somebody edited it. [`ExchangeError::BindingType`] when flag and mechanism do not fit,
    /// [`ExchangeError::ForeignAuthzid`] when the client wants to be somebody else, or names itself by something that is
    /// not the bare address of the account (RFC 6120 §6.3.8).
    ///
    /// Source: RFC 5802 §5, §6.
    pub fn start(
        mechanism: Mechanism,
        client_first: &[u8],
        offer: &Offer,
        bindings: &ChannelBindings,
        domain: &str,
    ) -> Result<ServerExchange, ExchangeError> {
        let first = ClientFirst::parse(client_first)?;
        let data = match (first.flag, mechanism.plus) {
            (BindingFlag::Type(name), true) => {
                let binding = BindingType::parse(name).filter(|binding| offer.has_binding(*binding));
                binding.and_then(|binding| bindings.data(binding)).ok_or(ExchangeError::BindingType)?
            }
            (BindingFlag::NotOffered, false) if offer.has_plus() => return Err(ExchangeError::BindingStripped),
            (BindingFlag::None | BindingFlag::NotOffered, false) => &[],
            (BindingFlag::Type(_), false) | (_, true) => return Err(ExchangeError::BindingType),
        };
        if first.authzid.as_ref().is_some_and(|authzid| !is_account(authzid, &first.username, domain)) {
            return Err(ExchangeError::ForeignAuthzid);
        }
        let mut binding_input = first.gs2_header.as_bytes().to_vec();
        binding_input.extend_from_slice(data);
        Ok(ServerExchange {
            mechanism,
            client_nonce: first.nonce.to_owned(),
            client_first_bare: first.bare.to_owned(),
            username: first.username,
            binding_input,
        })
    }

    /// The name that wants to log in, unescaped but otherwise as the client wrote it.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// Answers with the challenge: returns the next state and the server-first-message.
    ///
    /// `nonce` is at least 18 random bytes in base64 or hexadecimal, made for this exchange.
    ///
    /// Source: RFC 5802 §5.1, XEP-0474 §6.1, XEP-0515 §4.1.
    pub fn challenge(
        self,
        lookup: Lookup,
        nonce: &str,
        offer: &Offer,
        tls_version: Option<TlsVersion>,
    ) -> (AwaitClientFinal, String) {
        let hash = self.mechanism.hash;
        let (verifier, exists) = match lookup {
            Lookup::Known(verifier) => (verifier, true),
            Lookup::Unknown { salt, iterations } => {
                // stand-ins of the right length, so that the same work is done; `exists` is what decides
                let nobody = hash.hmac(nonce.as_bytes(), &salt).as_bytes().to_vec();
                let keys = VerifierKeys { stored_key: nobody.clone(), server_key: nobody };
                (ScramVerifier { iterations, salt, keys, other: None }, false)
            }
        };
        let nonce = format!("{}{nonce}", self.client_nonce);
        let mut server_first =
            format!("r={nonce},s={},i={},h={}", message::encode(&verifier.salt), verifier.iterations, offer.hash(hash));
        if let Some(version) = tls_version {
            server_first.push_str(",t=");
            server_first.push_str(version.as_hex());
        }
        let signed_so_far = format!("{},{server_first}", self.client_first_bare);
        let next = AwaitClientFinal {
            mechanism: self.mechanism,
            username: self.username,
            binding_input: self.binding_input,
            verifier,
            exists,
            nonce,
            signed_so_far,
        };
        (next, server_first)
    }
}

/// The challenge is on its way.
#[derive(Debug)]
pub struct AwaitClientFinal {
    mechanism: Mechanism,
    username: String,
    binding_input: Vec<u8>,
    verifier: ScramVerifier,
    exists: bool,
    nonce: String,
    signed_so_far: String,
}

impl AwaitClientFinal {
    /// Checks the proof. On success the client has shown that it knows the password, on this TLS connection where the
    /// mechanism binds to it.
    ///
    /// # Errors
    ///
    /// [`ExchangeError::Proof`] for a wrong password and for an unknown account alike;
    /// [`ExchangeError::BindingMismatch`] when the client is on another TLS connection than we are.
    pub fn handle_client_final(self, client_final: &[u8]) -> Result<LoggedIn, ExchangeError> {
        use subtle::ConstantTimeEq;
        let last = ClientFinal::parse(client_final)?;
        let hash = self.mechanism.hash;
        let auth_message = format!("{},{}", self.signed_so_far, last.without_proof);
        let check = |keys: &VerifierKeys| {
            let signature = hash.hmac(&keys.stored_key, auth_message.as_bytes());
            let client_key = Digest::from_output(&last.proof).xor(signature.as_bytes());
            let is_right = hash.digest(client_key.as_bytes()).ct_eq(&keys.stored_key);
            (is_right, client_key, hash.hmac(&keys.server_key, auth_message.as_bytes()))
        };
        // both are always computed, whether the password has two forms or not: nobody learns which from the time it takes
        let first = check(&self.verifier.keys);
        let second = check(self.verifier.other.as_ref().unwrap_or(&self.verifier.keys));
        let right_proof = first.0 || second.0;
        let (_, client_key, server_signature) = if first.0 { first } else { second };
        let right_binding = bool::from(last.binding.ct_eq(&self.binding_input));

        if last.nonce != self.nonce {
            return Err(ExchangeError::Nonce);
        }
        if !right_binding {
            return Err(ExchangeError::BindingMismatch);
        }
        if !right_proof || !self.exists || last.proof.len() != hash.len_bytes() {
            return Err(ExchangeError::Proof);
        }
        Ok(LoggedIn {
            username: self.username,
            client_key: ClientKey::new(hash, client_key),
            server_final: format!("v={}", message::encode(server_signature.as_bytes())),
        })
    }
}

/// Whether an authorization identity is the bare address of the account that signs in.
fn is_account(authzid: &str, username: &str, domain: &str) -> bool {
    let account = BareJid::from_parts(Some(username), domain);
    // an address that is written in another way is the same address
    BareJid::parse(authzid).is_ok_and(|authzid| authzid.localpart().is_some() && Ok(authzid) == account)
}

/// A finished login.
#[derive(Debug)]
pub struct LoggedIn {
    /// The name that logged in, as the client wrote it.
    pub username: String,
    /// The key that only this login reveals.
    pub client_key: ClientKey,
    /// The server-final-message, with which the server proves itself.
    pub server_final: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::{Hash, PasswordForm, ScramKeys};
    use base64::{Engine, engine::general_purpose::STANDARD};

    /// The exchange of RFC 5802 §5 or RFC 7677 §3, from the challenge on.
    fn published(hash: Hash, bare: &str, server_first: &str, client_final: &str, server_final: &str) {
        let challenge = message::ServerFirst::parse(server_first.as_bytes()).unwrap();
        let keys =
            ScramKeys::derive(hash, "pencil", PasswordForm::SaslPrep, &challenge.salt, challenge.iterations).unwrap();
        let state = AwaitClientFinal {
            mechanism: Mechanism { hash, plus: false },
            username: "user".into(),
            binding_input: b"n,,".to_vec(),
            verifier: keys.verifier(),
            exists: true,
            nonce: challenge.nonce.into(),
            signed_so_far: format!("{bare},{server_first}"),
        };
        let done = state.handle_client_final(client_final.as_bytes()).unwrap();
        assert_eq!(done.server_final, server_final);
        assert_eq!(done.client_key.as_bytes(), keys.client_key());
    }

    #[test]
    fn rfc_5802_sha_1() {
        published(
            Hash::Sha1,
            "n=user,r=fyko+d2lbbFgONRv9qkxdawL",
            "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        );
    }

    #[test]
    fn rfc_7677_sha_256() {
        published(
            Hash::Sha256,
            "n=user,r=rOprNGfwEbeRWgbNEkqO",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        );
    }

    #[test]
    fn a_verifier_is_what_its_password_gives() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = ScramVerifier::derive(Hash::Sha256, "pencil", &salt, 4096).unwrap();
        assert_eq!(STANDARD.encode(&verifier.keys.stored_key), "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=");
        assert_eq!(STANDARD.encode(&verifier.keys.server_key), "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
    }
}
