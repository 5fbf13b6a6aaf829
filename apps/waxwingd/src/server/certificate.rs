//! Who the broker is in TLS: a key and an authority of its own, sealed in the store; or a public certificate in files.
//!
//! The key is made once and stays, so that the pin in links stays good over every renewal. Both private keys are rows of
//! the sealed store and never files: whoever copies the data directory without the key file has neither.

use net::Service;
use net::identity::{Identity, IdentityError, OwnCa, generate_key_pem};
use net::verify::{Trust, VerifyError, verify_chain};
use prost::Message;
use store::{Store, StoreError, Table};
use xmpp::time::Timestamp;

use crate::error::StartError;
use crate::settings::CertificateFiles;

/// The broker itself. One point row of the owner `self`, named `identity`: [`IdentityRow`].
const SELF: Table = Table::new("waxwingd");

/// A certificate is renewed when it has less than this left: a third of its life.
const RENEW_BEFORE_DAYS: i64 = net::identity::LEAF_DAYS / 3;
const DAY_MILLIS: i64 = 86_400_000;

/// What the broker remembers about itself.
#[derive(Clone, PartialEq, Message)]
pub(super) struct IdentityRow {
    /// The domain that it serves.
    #[prost(string, tag = "1")]
    pub(super) domain: String,
    /// Its private key, PKCS #8 in PEM.
    #[prost(string, tag = "2")]
    key_pem: String,
    /// The certificate of its authority, in PEM.
    #[prost(string, tag = "3")]
    pub(super) ca_pem: String,
    /// The private key of its authority, in PEM.
    #[prost(string, tag = "4")]
    ca_key_pem: String,
    /// The chain in use, in PEM, its own certificate first.
    #[prost(string, tag = "5")]
    chain_pem: String,
    /// The domain was given and not made up: DNS knows it.
    #[prost(bool, tag = "6")]
    pub(super) is_public_name: bool,
}

/// Loads what the broker remembers about itself.
pub(super) async fn load(store: &Store) -> Result<Option<IdentityRow>, StoreError> {
    let row = store.get(&SELF.row(b"self", b"identity")).await?;
    row.map(|value| IdentityRow::decode(value.as_slice()).map_err(|_| StoreError::Altered)).transpose()
}

/// Makes a key that has no domain yet.
pub(super) fn new_key() -> Result<IdentityRow, IdentityError> {
    Ok(IdentityRow { key_pem: generate_key_pem()?, ..IdentityRow::default() })
}

impl IdentityRow {
    /// Gives the row a domain, and an authority of that name, which can sign nothing else.
    pub(super) fn rename(&mut self, domain: &str, is_public_name: bool, now: Timestamp) -> Result<(), IdentityError> {
        let ca = OwnCa::generate(domain, now)?;
        domain.clone_into(&mut self.domain);
        self.is_public_name = is_public_name;
        ca.certificate_pem().clone_into(&mut self.ca_pem);
        self.ca_key_pem = ca.key_pem();
        self.renew(now)
    }

    /// Issues a new certificate for the same key.
    pub(super) fn renew(&mut self, now: Timestamp) -> Result<(), IdentityError> {
        let ca = OwnCa::from_pem(&self.ca_pem, &self.ca_key_pem)?;
        self.chain_pem = ca.issue(&self.domain, &self.key_pem, now)?;
        Ok(())
    }

    /// The certificate and its key, ready for TLS.
    pub(super) fn identity(&self) -> Result<Identity, IdentityError> {
        Identity::from_pem(&self.chain_pem, &self.key_pem)
    }

    /// Tells whether the certificate ends soon, or has ended, or begins in the future because the clock was wrong.
    pub(super) fn needs_renewal(&self, now: Timestamp) -> bool {
        self.identity().map_or(true, |identity| {
            let left = identity.expires().as_millis().saturating_sub(now.as_millis());
            left < RENEW_BEFORE_DAYS * DAY_MILLIS || identity.facts().not_before > now
        })
    }

    /// The pin of the key, whatever the domain.
    pub(super) fn pin(&self, now: Timestamp) -> Result<net::certificate::Pin, IdentityError> {
        let ca = OwnCa::generate("waxwing.invalid", now)?;
        let chain = ca.issue("waxwing.invalid", &self.key_pem, now)?;
        Ok(Identity::from_pem(&chain, &self.key_pem)?.pin())
    }

    pub(super) async fn save(&self, store: &Store) -> Result<(), StoreError> {
        let mut transaction = store.transaction();
        transaction.put(&SELF.row(b"self", b"identity"), self.encode_to_vec());
        transaction.commit().await
    }
}

/// Reads a public certificate.
pub(crate) fn read_files(files: &CertificateFiles) -> Result<Identity, StartError> {
    let read = |path: &std::path::Path| {
        let unreadable =
            |error: std::io::Error| StartError::Unreadable { path: path.to_path_buf(), kind: error.kind() };
        std::fs::read_to_string(path).map_err(unreadable)
    };
    let (chain, key) = (read(&files.chain)?, read(&files.key)?);
    Identity::from_pem(&chain, &key).map_err(|error| {
        let at_fault = match error {
            IdentityError::BadKey | IdentityError::KeyMismatch => &files.key,
            _ => &files.chain,
        };
        StartError::Identity { path: Some(at_fault.clone()), error }
    })
}

/// Why apps that do not know the broker will not believe a certificate; nothing when they will.
pub(crate) fn trouble(identity: &Identity, domain: &str, trust: &Trust, now: Timestamp) -> Option<VerifyError> {
    let chain: Vec<&[u8]> = identity.chain().collect();
    verify_chain(&chain, domain, Service::Client, trust, now).err()
}

/// The same in words: what is wrong, and what to do.
pub(crate) fn trouble_in_words(trouble: VerifyError, domain: &str) -> (String, &'static str) {
    let renew = "Renew it where it was issued; the files are read again every six hours and at the start.";
    match trouble {
        VerifyError::Expired => ("the certificate has expired, and apps refuse it".to_owned(), renew),
        VerifyError::NotYetValid => (
            "the certificate is not valid yet, and apps refuse it".to_owned(),
            "Check the clock of this machine: timedatectl",
        ),
        VerifyError::WrongName => (
            format!("the certificate does not name {domain}, and apps refuse it"),
            "Get a certificate for this domain, or remove [certificate] from the settings.",
        ),
        VerifyError::UnknownIssuer => (
            "no public authority vouches for the certificate, and apps refuse it unless they come by a link".to_owned(),
            "Is `chain` the full chain (fullchain.pem), and not only the certificate itself or one signed by yourself?",
        ),
        other => (
            format!("apps refuse the certificate: {other}"),
            "Get a certificate for servers from a public authority, with the full chain.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn the_pin_is_the_keys_over_names_and_renewals() {
        let mut row = new_key().expect("made");
        let pin = row.pin(NOW).expect("computed");
        row.rename("north.example", true, NOW).expect("named");
        assert_eq!(row.identity().expect("read").pin(), pin);
        let ca = row.ca_pem.clone();
        assert!(!row.needs_renewal(NOW));
        let late = Timestamp::from_millis(NOW.as_millis() + 270 * DAY_MILLIS);
        assert!(row.needs_renewal(late));
        row.renew(late).expect("renewed");
        assert!(!row.needs_renewal(late));
        assert_eq!(row.identity().expect("read").pin(), pin);
        assert_eq!(row.ca_pem, ca, "who has installed the authority need not do it again");
        assert!(row.needs_renewal(NOW), "a certificate of the future is one of a wrong clock");
        row.rename("south.example", false, NOW).expect("renamed");
        assert_eq!(row.identity().expect("read").pin(), pin);
    }
}
