//! The profile of `eu.siacs.conversations.axolotl`: libsignal's protocol version 3.
//!
//! Source: XEP-0384 0.3.0, `signal-protocols-summary.md` §2 to §4, `omemo-legacy-wire-notes.md`.

use prost::Message;

use super::error::{KeyError, Undecryptable};
use super::keys::{IdentityKey, IdentityKeyPair, RatchetKey};
use super::profile::{Exchange, Framed, Header, Profile, ProfileId, Role, Rules};
use super::proto::Fields;
use super::xeddsa;
use crate::Random;

/// OMEMO 0.3: X25519 identity keys, XEdDSA signatures, MACs of 8 bytes with the sender's identity first.
pub struct Legacy;

const MAC_LENGTH: usize = 8;
/// The message's version in the high half, the sender's highest version in the low half.
const VERSION: u8 = 0x33;

/// libsignal's `SignalMessage`.
#[derive(Clone, PartialEq, Message)]
struct WireMessage {
    #[prost(bytes = "vec", required, tag = "1")]
    ratchet_key: Vec<u8>,
    #[prost(uint32, required, tag = "2")]
    counter: u32,
    #[prost(uint32, required, tag = "3")]
    previous_counter: u32,
    #[prost(bytes = "vec", required, tag = "4")]
    ciphertext: Vec<u8>,
}

/// libsignal's `PreKeySignalMessage`.
#[derive(Clone, PartialEq, Message)]
struct WireExchange {
    #[prost(uint32, required, tag = "1")]
    pre_key_id: u32,
    #[prost(bytes = "vec", required, tag = "2")]
    base_key: Vec<u8>,
    #[prost(bytes = "vec", required, tag = "3")]
    identity_key: Vec<u8>,
    #[prost(bytes = "vec", required, tag = "4")]
    message: Vec<u8>,
    #[prost(uint32, required, tag = "5")]
    registration_id: u32,
    #[prost(uint32, required, tag = "6")]
    signed_pre_key_id: u32,
}

impl Profile for Legacy {
    const ID: ProfileId = ProfileId::Legacy;
}

impl Rules for Legacy {
    const X3DH_INFO: &'static [u8] = b"WhisperText";
    const ROOT_INFO: &'static [u8] = b"WhisperRatchet";
    const MESSAGE_INFO: &'static [u8] = b"WhisperMessageKeys";

    fn identity_bytes(key: &IdentityKey) -> Option<Vec<u8>> {
        Some(key.to_legacy().to_vec())
    }

    fn parse_identity(bytes: &[u8]) -> Result<IdentityKey, KeyError> {
        IdentityKey::from_legacy(bytes)
    }

    fn prekey_bytes(key: &RatchetKey) -> Vec<u8> {
        key.to_legacy().to_vec()
    }

    fn parse_prekey(bytes: &[u8]) -> Result<RatchetKey, KeyError> {
        RatchetKey::from_legacy(bytes)
    }

    fn sign_prekey(identity: &IdentityKeyPair, prekey: &RatchetKey, random: &dyn Random) -> [u8; 64] {
        identity.sign_legacy(&prekey.to_legacy(), random)
    }

    fn verify_prekey(identity: &IdentityKey, prekey: &RatchetKey, signature: &[u8; 64]) -> bool {
        xeddsa::verify(identity, &prekey.to_legacy(), signature)
    }

    fn associated_data(initiator: &[u8], responder: &[u8], sender: Role) -> Vec<u8> {
        match sender {
            Role::Initiator => [initiator, responder].concat(),
            Role::Responder => [responder, initiator].concat(),
        }
    }

    fn frame(header: &Header, ciphertext: Vec<u8>, mac: impl FnOnce(&[u8]) -> [u8; 32]) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(
            WireMessage {
                ratchet_key: header.ratchet.to_legacy().to_vec(),
                counter: header.counter,
                previous_counter: header.previous,
                ciphertext,
            }
            .encode_to_vec(),
        );
        let mac = mac(&bytes);
        bytes.extend(mac.into_iter().take(MAC_LENGTH));
        bytes
    }

    fn parse(bytes: &[u8]) -> Result<Framed<'_>, Undecryptable> {
        let body = bytes.len().checked_sub(MAC_LENGTH).ok_or(Undecryptable)?;
        let (authenticated, mac) = bytes.split_at_checked(body).ok_or(Undecryptable)?;
        let fields = Fields::parse(strip_version(authenticated)?)?;
        Ok(Framed {
            header: Header {
                ratchet: RatchetKey::from_legacy(fields.bytes(1)?).map_err(|_| Undecryptable)?,
                counter: fields.number(2)?,
                previous: fields.number(3)?,
            },
            ciphertext: fields.bytes(4)?,
            authenticated,
            mac,
        })
    }

    fn frame_exchange(exchange: &Exchange, sender_device: u32, message: Vec<u8>) -> Option<Vec<u8>> {
        let exchange = WireExchange {
            pre_key_id: exchange.prekey_id,
            base_key: exchange.ephemeral.to_legacy().to_vec(),
            identity_key: exchange.identity.to_legacy().to_vec(),
            message,
            registration_id: sender_device,
            signed_pre_key_id: exchange.signed_prekey_id,
        };
        let mut bytes = vec![VERSION];
        bytes.extend(exchange.encode_to_vec());
        Some(bytes)
    }

    fn parse_exchange(bytes: &[u8]) -> Result<(Exchange, &[u8]), Undecryptable> {
        let fields = Fields::parse(strip_version(bytes)?)?;
        let exchange = Exchange {
            identity: IdentityKey::from_legacy(fields.bytes(3)?).map_err(|_| Undecryptable)?,
            ephemeral: RatchetKey::from_legacy(fields.bytes(2)?).map_err(|_| Undecryptable)?,
            // Optional in libsignal, required here: without it the first message could be replayed.
            prekey_id: fields.number(1)?,
            signed_prekey_id: fields.number(6)?,
        };
        Ok((exchange, fields.bytes(4)?))
    }
}

/// Takes off the version byte: the message must be of version 3, whatever else the sender can speak.
fn strip_version(bytes: &[u8]) -> Result<&[u8], Undecryptable> {
    match bytes.split_first() {
        Some((version, rest)) if version >> 4 == 3 && version & 0x0f >= 3 => Ok(rest),
        _ => Err(Undecryptable),
    }
}
