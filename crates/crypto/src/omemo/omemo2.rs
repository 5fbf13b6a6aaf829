//! The profile of `urn:xmpp:omemo:2` (XEP-0384 §4.2, §4.3, §12).

use prost::Message;

use super::error::{KeyError, Undecryptable};
use super::keys::{IdentityKey, IdentityKeyPair, RatchetKey};
use super::profile::{Exchange, Framed, Header, Profile, ProfileId, Role, Rules};
use super::proto::Fields;
use crate::Random;

/// OMEMO 2: Ed25519 identity keys and signatures, fixed associated data, MACs of 16 bytes.
pub struct Omemo2;

const MAC_LENGTH: usize = 16;

/// `OMEMOMessage` (XEP-0384 §12).
#[derive(Clone, PartialEq, Message)]
struct WireMessage {
    #[prost(uint32, required, tag = "1")]
    n: u32,
    #[prost(uint32, required, tag = "2")]
    pn: u32,
    #[prost(bytes = "vec", required, tag = "3")]
    dh_pub: Vec<u8>,
    #[prost(bytes = "vec", optional, tag = "4")]
    ciphertext: Option<Vec<u8>>,
}

/// `OMEMOAuthenticatedMessage`.
#[derive(Clone, PartialEq, Message)]
struct WireAuthenticated {
    #[prost(bytes = "vec", required, tag = "1")]
    mac: Vec<u8>,
    #[prost(bytes = "vec", required, tag = "2")]
    message: Vec<u8>,
}

/// `OMEMOKeyExchange`; the message inside is framed already, and a message field is bytes on the wire.
#[derive(Clone, PartialEq, Message)]
struct WireExchange {
    #[prost(uint32, required, tag = "1")]
    pk_id: u32,
    #[prost(uint32, required, tag = "2")]
    spk_id: u32,
    #[prost(bytes = "vec", required, tag = "3")]
    ik: Vec<u8>,
    #[prost(bytes = "vec", required, tag = "4")]
    ek: Vec<u8>,
    #[prost(bytes = "vec", required, tag = "5")]
    message: Vec<u8>,
}

impl Profile for Omemo2 {
    const ID: ProfileId = ProfileId::Omemo2;
}

impl Rules for Omemo2 {
    const X3DH_INFO: &'static [u8] = b"OMEMO X3DH";
    const ROOT_INFO: &'static [u8] = b"OMEMO Root Chain";
    const MESSAGE_INFO: &'static [u8] = b"OMEMO Message Key Material";

    fn identity_bytes(key: &IdentityKey) -> Option<Vec<u8>> {
        key.ed25519().map(|bytes| bytes.to_vec())
    }

    fn parse_identity(bytes: &[u8]) -> Result<IdentityKey, KeyError> {
        IdentityKey::from_ed25519(bytes.try_into().map_err(|_| KeyError::Malformed)?)
    }

    fn prekey_bytes(key: &RatchetKey) -> Vec<u8> {
        key.as_bytes().to_vec()
    }

    fn parse_prekey(bytes: &[u8]) -> Result<RatchetKey, KeyError> {
        RatchetKey::from_slice(bytes)
    }

    fn sign_prekey(identity: &IdentityKeyPair, prekey: &RatchetKey, _random: &dyn Random) -> [u8; 64] {
        identity.sign(prekey.as_bytes())
    }

    fn verify_prekey(identity: &IdentityKey, prekey: &RatchetKey, signature: &[u8; 64]) -> bool {
        identity.verify(prekey.as_bytes(), signature)
    }

    fn associated_data(initiator: &[u8], responder: &[u8], _sender: Role) -> Vec<u8> {
        [initiator, responder].concat()
    }

    fn frame(header: &Header, ciphertext: Vec<u8>, mac: impl FnOnce(&[u8]) -> [u8; 32]) -> Vec<u8> {
        let message = WireMessage {
            n: header.counter,
            pn: header.previous,
            dh_pub: header.ratchet.as_bytes().to_vec(),
            ciphertext: Some(ciphertext),
        }
        .encode_to_vec();
        let mac = mac(&message).into_iter().take(MAC_LENGTH).collect();
        WireAuthenticated { mac, message }.encode_to_vec()
    }

    fn parse(bytes: &[u8]) -> Result<Framed<'_>, Undecryptable> {
        let outer = Fields::parse(bytes)?;
        let (mac, authenticated) = (outer.bytes(1)?, outer.bytes(2)?);
        let inner = Fields::parse(authenticated)?;
        if mac.len() != MAC_LENGTH {
            return Err(Undecryptable);
        }
        Ok(Framed {
            header: Header {
                ratchet: RatchetKey::from_slice(inner.bytes(3)?).map_err(|_| Undecryptable)?,
                counter: inner.number(1)?,
                previous: inner.number(2)?,
            },
            ciphertext: inner.bytes(4)?,
            authenticated,
            mac,
        })
    }

    fn frame_exchange(exchange: &Exchange, _sender_device: u32, message: Vec<u8>) -> Option<Vec<u8>> {
        let exchange = WireExchange {
            pk_id: exchange.prekey_id,
            spk_id: exchange.signed_prekey_id,
            ik: Self::identity_bytes(&exchange.identity)?,
            ek: exchange.ephemeral.as_bytes().to_vec(),
            message,
        };
        Some(exchange.encode_to_vec())
    }

    fn parse_exchange(bytes: &[u8]) -> Result<(Exchange, &[u8]), Undecryptable> {
        let fields = Fields::parse(bytes)?;
        let exchange = Exchange {
            identity: Self::parse_identity(fields.bytes(3)?).map_err(|_| Undecryptable)?,
            ephemeral: RatchetKey::from_slice(fields.bytes(4)?).map_err(|_| Undecryptable)?,
            // Required: a key exchange without a one-time prekey is refused (XEP-0384 §4.2).
            prekey_id: fields.number(1)?,
            signed_prekey_id: fields.number(2)?,
        };
        Ok((exchange, fields.bytes(5)?))
    }
}
