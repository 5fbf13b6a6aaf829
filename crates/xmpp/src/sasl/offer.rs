//! What the server offers before a login, and the proof that it arrived unedited.

use super::{BindingType, ChannelBindings, Hash, Mechanism};
use base64::{Engine, engine::general_purpose::STANDARD};

/// The TLS versions we speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2, with AEAD and the extended master secret.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl TlsVersion {
    /// Four hexadecimal digits, as the SCRAM attribute `t` has them.
    ///
    /// Source: XEP-0515 §4.1.
    pub const fn as_hex(self) -> &'static str {
        match self {
            TlsVersion::Tls12 => "0303",
            TlsVersion::Tls13 => "0304",
        }
    }
}

/// The lists that a server announces before a login, exactly as they are on the wire.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offer {
    /// The names of all mechanisms, also of those we do not speak.
    pub mechanisms: Vec<String>,
    /// The names of all channel binding types (XEP-0440); `None` when the server sent no such list.
    pub bindings: Option<Vec<String>>,
}

impl Offer {
    /// What a server offers on a connection with these bindings: every SCRAM of these hashes, `-PLUS` where it can be.
    ///
    /// Source: XEP-0440 §3 rule 1, RFC 5802 §6.
    pub fn for_connection(hashes: &[Hash], bindings: &ChannelBindings) -> Offer {
        let types: Vec<String> = bindings.types().map(|binding| binding.name().to_owned()).collect();
        let can_bind = !types.is_empty();
        let mechanisms = Mechanism::ALL
            .into_iter()
            .filter(|mechanism| hashes.contains(&mechanism.hash) && (can_bind || !mechanism.plus))
            .map(|mechanism| mechanism.name().to_owned())
            .collect();
        Offer { mechanisms, bindings: can_bind.then_some(types) }
    }

    /// Whether any mechanism with channel binding is offered, also one we do not speak.
    pub fn has_plus(&self) -> bool {
        self.mechanisms.iter().any(|name| name.ends_with("-PLUS"))
    }

    /// Whether a binding type is on the list.
    pub fn has_binding(&self, binding: BindingType) -> bool {
        self.bindings.as_ref().is_some_and(|names| names.iter().any(|name| name == binding.name()))
    }

    /// The attribute `h`: a hash of both lists, sorted by bytes.
    ///
    /// Source: XEP-0474 §6.1.
    pub fn hash(&self, hash: Hash) -> String {
        let mut text = sorted(&self.mechanisms);
        if let Some(bindings) = &self.bindings {
            text.push('\u{1f}');
            text.push_str(&sorted(bindings));
        }
        STANDARD.encode(hash.digest(text.as_bytes()).as_bytes())
    }
}

fn sorted(names: &[String]) -> String {
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.sort_unstable(); // by bytes, which is i;octet
    names.join("\u{1e}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_xep_0474() {
        let offer = Offer {
            mechanisms: vec!["SCRAM-SHA-1-PLUS".into(), "SCRAM-SHA-1".into()],
            bindings: Some(vec!["tls-server-end-point".into(), "tls-exporter".into()]),
        };
        assert_eq!(offer.hash(Hash::Sha1), "G6k/rBLDqgOhRRaCuuatSDFkJ08=");
    }

    #[test]
    fn a_connection_without_bindings_offers_no_plus() {
        let offer = Offer::for_connection(&Hash::ALL, &ChannelBindings::default());
        assert_eq!(offer.mechanisms, ["SCRAM-SHA-256", "SCRAM-SHA-1"]);
        assert_eq!(offer.bindings, None);
        assert!(!offer.has_plus());
    }

    #[test]
    fn the_list_of_bindings_follows_the_connection() {
        let bindings = ChannelBindings { exporter: Some([1; 32]), server_end_point: None };
        let offer = Offer::for_connection(&[Hash::Sha256], &bindings);
        assert_eq!(offer.mechanisms, ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]);
        assert!(offer.has_binding(BindingType::Exporter));
        assert!(!offer.has_binding(BindingType::ServerEndPoint));
    }
}
