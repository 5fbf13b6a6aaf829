//! The client's side of a SCRAM exchange.
//!
//! Each step consumes the state before it, so that no message can be sent twice or out of order:
//! [`ClientExchange`] -> [`AwaitServerFinal`] -> [`ScramKeys`], which exist only when the server has proved itself.

use super::message::{self, ServerFirst};
use super::select::{Binding, Selection};
use super::{ChannelBindings, Credential, Digest, ExchangeError, Hash, Offer, ScramKeys, TlsVersion};

/// Fewer iterations would make a stolen proof cheap to guess (RFC 7677 §4).
pub const MIN_ITERATIONS: u32 = 4096;
/// More would let a server keep this machine busy (attack X11).
pub const MAX_ITERATIONS: u32 = 1_000_000;

/// An exchange whose first message is on its way.
#[derive(Debug)]
pub struct ClientExchange {
    hash: Hash,
    offer_hash: String,
    offer_must_be_proven: bool,
    tls_version: Option<TlsVersion>,
    gs2_header: String,
    binding_data: Vec<u8>,
    first_bare: String,
    nonce: String,
}

impl ClientExchange {
    /// Starts an exchange; returns it and the client-first-message.
    ///
    /// `username` is the localpart of the account. `nonce` is at least 18 random bytes in base64 or hexadecimal, made
    /// for this exchange. `offer` is what the server announced, `bindings` and `tls_version` are facts of our own end
    /// of the TLS connection (`None` without TLS).
    pub fn start(
        selection: &Selection,
        username: &str,
        nonce: &str,
        offer: &Offer,
        bindings: &ChannelBindings,
        tls_version: Option<TlsVersion>,
    ) -> (ClientExchange, String) {
        let (flag, binding_data) = match selection.binding {
            Binding::Unsupported => ("n".to_owned(), Vec::new()),
            Binding::NotOffered => ("y".to_owned(), Vec::new()),
            Binding::Type(binding) => {
                (format!("p={}", binding.name()), bindings.data(binding).unwrap_or_default().to_vec())
            }
        };
        let hash = selection.mechanism.hash;
        let exchange = ClientExchange {
            hash,
            offer_hash: offer.hash(hash),
            offer_must_be_proven: selection.offer_must_be_proven,
            tls_version,
            gs2_header: format!("{flag},,"),
            binding_data,
            first_bare: format!("n={},r={nonce}", message::escape(username)),
            nonce: nonce.to_owned(),
        };
        let first = format!("{}{}", exchange.gs2_header, exchange.first_bare);
        (exchange, first)
    }

    /// Checks the server's challenge and answers it with a proof. Takes long where the keys are not kept.
    ///
    /// # Errors
    ///
    /// Whatever would make the proof unsafe to give: a foreign nonce, an iteration count outside
    /// [`MIN_ITERATIONS`] ..= [`MAX_ITERATIONS`], an edited offer, a different TLS version at the server's end.
    ///
    /// Source: RFC 5802 §5.1, XEP-0474 §6.2, XEP-0515 §4.2.
    pub fn handle_server_first(
        self,
        server_first: &[u8],
        credential: &Credential,
    ) -> Result<(AwaitServerFinal, String), ExchangeError> {
        let challenge = ServerFirst::parse(server_first)?;
        let fresh = challenge.nonce.strip_prefix(self.nonce.as_str()).ok_or(ExchangeError::Nonce)?;
        if fresh.is_empty() {
            return Err(ExchangeError::Nonce);
        }
        if !(MIN_ITERATIONS..=MAX_ITERATIONS).contains(&challenge.iterations) {
            return Err(ExchangeError::Iterations { asked: challenge.iterations });
        }
        self.check_downgrade(&challenge)?;
        let keys =
            credential.keys(self.hash, &challenge.salt, challenge.iterations).map_err(|_| ExchangeError::Password)?;

        let mut binding_input = self.gs2_header.clone().into_bytes();
        binding_input.extend_from_slice(&self.binding_data);
        let without_proof = format!("c={},r={}", message::encode(&binding_input), challenge.nonce);
        let server_first = String::from_utf8_lossy(server_first); // parsed above, hence UTF-8
        let auth_message = format!("{},{server_first},{without_proof}", self.first_bare);
        let proof = keys.proof(&auth_message);
        let client_final = format!("{without_proof},p={}", message::encode(proof.as_bytes()));
        let expected = keys.server_signature(&auth_message);
        Ok((AwaitServerFinal { keys, expected }, client_final))
    }

    fn check_downgrade(&self, challenge: &ServerFirst<'_>) -> Result<(), ExchangeError> {
        match challenge.offer_hash {
            Some(hash) if hash != self.offer_hash => return Err(ExchangeError::OfferEdited),
            None if self.offer_must_be_proven => return Err(ExchangeError::OfferUnproven),
            _ => {}
        }
        match (challenge.tls_version, self.tls_version) {
            (Some(theirs), Some(ours)) if theirs != ours.as_hex() => Err(ExchangeError::TlsVersion),
            _ => Ok(()),
        }
    }
}

/// An exchange whose proof is on its way: the server has yet to prove itself.
pub struct AwaitServerFinal {
    keys: ScramKeys,
    expected: Digest,
}

impl AwaitServerFinal {
    /// Checks that the server knows the account's verifier; only then is the login done. Returns the keys, which the
    /// caller may keep for the next login.
    ///
    /// # Errors
    ///
    /// [`ExchangeError::ServerUnproven`] when the signature is wrong: this is not the account's server.
    pub fn handle_server_final(self, server_final: &[u8]) -> Result<ScramKeys, ExchangeError> {
        let signature = message::parse_server_final(server_final)?;
        if self.expected.ct_eq(&signature) { Ok(self.keys) } else { Err(ExchangeError::ServerUnproven) }
    }
}

impl std::fmt::Debug for AwaitServerFinal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AwaitServerFinal")
    }
}
