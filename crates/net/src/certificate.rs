//! Reading certificates: pin, expiry, names, and the hash that channel binding wants.
//!
//! Nothing here decides whether a certificate is good; that is [`crate::verify`].

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::signature_algorithm::RsaSsaPssParams;
use xmpp::time::Timestamp;

/// Why a certificate could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateError {
    /// Not an X.509 certificate in DER.
    Malformed,
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this is not a certificate")
    }
}

impl std::error::Error for CertificateError {}

/// SHA-256 of a SubjectPublicKeyInfo: what an invite link carries as `wx-pin`.
///
/// It names the key, not the certificate, so it survives renewal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pin([u8; 32]);

impl Pin {
    /// Computes the pin of a SubjectPublicKeyInfo in DER.
    pub fn of_spki(spki: &[u8]) -> Self {
        Self(Sha256::digest(spki).into())
    }

    /// Computes the pin of the key in a certificate.
    ///
    /// # Errors
    ///
    /// [`CertificateError::Malformed`].
    pub fn of_certificate(der: &[u8]) -> Result<Self, CertificateError> {
        Ok(Self::of_spki(read(der)?.public_key().raw))
    }

    /// Takes the 32 bytes as they are.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads the text form, 43 characters of base64url without padding.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }

    /// Writes the text form, 43 characters of base64url without padding.
    pub fn to_text(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Returns the 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(<redacted>)") // it identifies a broker
    }
}

/// What a certificate says about itself.
#[derive(Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The pin of its key.
    pub pin: Pin,
    /// SHA-256 of the whole certificate, for people who compare certificates.
    pub fingerprint: [u8; 32],
    /// The first moment at which it is valid.
    pub not_before: Timestamp,
    /// The last moment at which it is valid.
    pub not_after: Timestamp,
    /// Its DNS-IDs, lower case, A-labels, possibly with a leading `*.`.
    pub dns_names: Vec<String>,
    /// Its SRV-IDs (RFC 4985), such as `_xmpp-server.example.org`, lower case.
    pub srv_names: Vec<String>,
}

impl fmt::Debug for CertificateFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateFacts")
            .field("not_before", &self.not_before)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

impl CertificateFacts {
    /// Reads a certificate in DER.
    ///
    /// # Errors
    ///
    /// [`CertificateError::Malformed`].
    pub fn read(der: &[u8]) -> Result<Self, CertificateError> {
        let certificate = read(der)?;
        let (dns_names, srv_names) = names(&certificate);
        let validity = certificate.validity();
        let moment = |time: x509_parser::time::ASN1Time| Timestamp::from_millis(time.timestamp().saturating_mul(1000));
        Ok(Self {
            pin: Pin::of_spki(certificate.public_key().raw),
            fingerprint: Sha256::digest(der).into(),
            not_before: moment(validity.not_before),
            not_after: moment(validity.not_after),
            dns_names,
            srv_names,
        })
    }

    /// Says whether the certificate names this host, by RFC 9525 §6.3: a `*` stands for one whole leftmost label.
    pub fn names_host(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.dns_names.iter().any(|name| match name.strip_prefix("*.") {
            Some(parent) => host.split_once('.').is_some_and(|(first, rest)| !first.is_empty() && rest == parent),
            None => *name == host,
        })
    }
}

/// Computes the `tls-server-end-point` binding of a leaf certificate.
///
/// It is the hash of the certificate by the hash function of its signature, where MD5 and SHA-1 become SHA-256.
/// `None` where the signature has no single hash function (Ed25519), because then the binding is undefined.
///
/// Source: RFC 5929 §4.1.
pub fn server_end_point(leaf: &[u8]) -> Option<Vec<u8>> {
    let certificate = read(leaf).ok()?;
    let algorithm = &certificate.signature_algorithm;
    match signature_hash_of(&algorithm.algorithm.to_id_string(), algorithm.parameters.as_ref())? {
        Hash::Sha256 => Some(Sha256::digest(leaf).to_vec()),
        Hash::Sha384 => Some(Sha384::digest(leaf).to_vec()),
        Hash::Sha512 => Some(Sha512::digest(leaf).to_vec()),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

fn signature_hash_of(oid: &str, parameters: Option<&x509_parser::der_parser::asn1_rs::Any<'_>>) -> Option<Hash> {
    match oid {
        // RSA with MD5, SHA-1, SHA-256; ECDSA with SHA-1, SHA-256
        "1.2.840.113549.1.1.4" | "1.2.840.113549.1.1.5" | "1.2.840.113549.1.1.11" => Some(Hash::Sha256),
        "1.2.840.10045.4.1" | "1.2.840.10045.4.3.2" => Some(Hash::Sha256),
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => Some(Hash::Sha384),
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => Some(Hash::Sha512),
        // RSASSA-PSS names its hash in the parameters; absent means SHA-1 (RFC 4055 §3.1).
        "1.2.840.113549.1.1.10" => {
            let parameters = RsaSsaPssParams::try_from(parameters?).ok()?;
            match parameters.hash_algorithm_oid().to_id_string().as_str() {
                "1.3.14.3.2.26" | "2.16.840.1.101.3.4.2.1" => Some(Hash::Sha256),
                "2.16.840.1.101.3.4.2.2" => Some(Hash::Sha384),
                "2.16.840.1.101.3.4.2.3" => Some(Hash::Sha512),
                _ => None,
            }
        }
        _ => None,
    }
}

fn read(der: &[u8]) -> Result<X509Certificate<'_>, CertificateError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) | Err(_) => Err(CertificateError::Malformed),
    }
}

fn names(certificate: &X509Certificate<'_>) -> (Vec<String>, Vec<String>) {
    let mut dns = Vec::new();
    let mut srv = Vec::new();
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return (dns, srv); // the common name is not an identity (RFC 9525 §2)
    };
    for name in &extension.value.general_names {
        match name {
            GeneralName::DNSName(name) => dns.push(name.to_ascii_lowercase()),
            GeneralName::OtherName(oid, value) if oid.to_id_string() == ID_ON_DNS_SRV => {
                srv.extend(ia5_string(value).map(|name| name.to_ascii_lowercase()));
            }
            _ => {}
        }
    }
    (dns, srv)
}

/// `id-on-dnsSRV`, RFC 4985 §2.
const ID_ON_DNS_SRV: &str = "1.3.6.1.5.5.7.8.7";

/// Reads `[0] EXPLICIT IA5String` of at most 127 bytes, or the bare IA5String.
fn ia5_string(value: &[u8]) -> Option<&str> {
    let inner = match value {
        [0xa0, length, rest @ ..] if usize::from(*length) == rest.len() && *length < 0x80 => rest,
        bare => bare,
    };
    match inner {
        [0x16, length, text @ ..] if usize::from(*length) == text.len() && *length < 0x80 => {
            std::str::from_utf8(text).ok().filter(|text| text.is_ascii())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, OtherNameValue, SanType, SignatureAlgorithm};

    fn certificate(algorithm: &'static SignatureAlgorithm, names: Vec<SanType>) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        let key = KeyPair::generate_for(algorithm).expect("made");
        params.self_signed(&key).expect("made").der().to_vec()
    }

    #[test]
    fn the_end_point_hash_follows_the_signature() {
        let sha256 = certificate(&rcgen::PKCS_ECDSA_P256_SHA256, Vec::new());
        assert_eq!(server_end_point(&sha256), Some(Sha256::digest(&sha256).to_vec()));
        let sha384 = certificate(&rcgen::PKCS_ECDSA_P384_SHA384, Vec::new());
        assert_eq!(server_end_point(&sha384), Some(Sha384::digest(&sha384).to_vec()));
        let ed25519 = certificate(&rcgen::PKCS_ED25519, Vec::new());
        assert_eq!(server_end_point(&ed25519), None, "Ed25519 has no single hash function");
        assert_eq!(server_end_point(b"no certificate"), None);
    }

    #[test]
    fn old_hashes_become_sha256_and_pss_names_its_own() {
        let hash = |oid: &str| signature_hash_of(oid, None);
        assert_eq!(hash("1.2.840.113549.1.1.4"), Some(Hash::Sha256), "MD5 with RSA");
        assert_eq!(hash("1.2.840.113549.1.1.5"), Some(Hash::Sha256), "SHA-1 with RSA");
        assert_eq!(hash("1.2.840.113549.1.1.12"), Some(Hash::Sha384));
        assert_eq!(hash("1.2.840.10045.4.3.4"), Some(Hash::Sha512));
        assert_eq!(hash("1.2.840.113549.1.1.10"), None, "PSS without parameters says nothing usable");
        assert_eq!(hash("1.2.3"), None);
    }

    #[test]
    fn names_are_read() {
        let dns = |name: &str| SanType::DnsName(name.try_into().expect("a name"));
        let srv = |name: &str| {
            let oid = ID_ON_DNS_SRV.split('.').map(|arc| arc.parse().expect("a number")).collect();
            SanType::OtherName((oid, OtherNameValue::Utf8String(name.to_owned())))
        };
        let der = certificate(&rcgen::PKCS_ECDSA_P256_SHA256, vec![dns("*.Example.org"), srv("_xmpp-server.x")]);
        let facts = CertificateFacts::read(&der).expect("read");
        assert_eq!(facts.dns_names, ["*.example.org"]);
        assert_eq!(facts.srv_names, Vec::<String>::new(), "an SRV-ID is an IA5String, not UTF-8 (RFC 4985 §2)");
        assert!(facts.names_host("rooms.example.org"));
        for other in ["example.org", "a.b.example.org", ".example.org"] {
            assert!(!facts.names_host(other), "{other}");
        }
    }

    #[test]
    fn srv_ids_are_read_strictly() {
        assert_eq!(ia5_string(b"\xa0\x05\x16\x03abc"), Some("abc"));
        assert_eq!(ia5_string(b"\x16\x03abc"), Some("abc"));
        for bad in
            [&b""[..], b"\x16", b"\x16\x04abc", b"\x16\x02abc", b"\xa0\x06\x16\x03abc", b"\x16\x01\xff", b"\x0c\x01a"]
        {
            assert_eq!(ia5_string(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn damaged_certificates_are_read_or_refused_without_a_panic() {
        let name = SanType::DnsName("north.example".try_into().expect("a name"));
        let whole = certificate(&rcgen::PKCS_ECDSA_P256_SHA256, vec![name]);
        let mut refused = 0;
        for at in 0..whole.len() {
            for value in [0x00, 0x7f, 0x80, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] = value;
                refused += usize::from(CertificateFacts::read(&damaged).is_err());
                let _ = server_end_point(&damaged);
            }
            assert!(CertificateFacts::read(&whole[..at]).is_err(), "cut at {at}");
        }
        assert!(refused > 0);
    }

    #[test]
    fn pins_have_a_text_form_and_hide_from_debug() {
        let pin = Pin::from_bytes([0xff; 32]);
        assert_eq!(pin.to_text(), "__________________________________________8");
        assert_eq!(Pin::parse(&pin.to_text()), Some(pin));
        for bad in ["", "____", "//////////////////////////////////////////8", &format!("{}=", pin.to_text())] {
            assert_eq!(Pin::parse(bad), None, "{bad}");
        }
        assert!(!format!("{pin:?}").contains("ff"));
    }
}
