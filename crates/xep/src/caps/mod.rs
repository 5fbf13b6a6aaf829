//! Entity capabilities: what a client can do, as a hash in its presence (XEP-0115).
//!
//! The hash lets everybody ask only once per kind of client, and that is the danger: who answers the one question
//! decides for all. [`verify`] says how far an answer may be trusted. Beyond the checks of §5.4 it keeps answers for
//! their sender alone when the same hash could stand for another answer: the input of the hash does not separate
//! features from forms, so a feature can be hidden as the name of a form (§9.3 knows this and has no remedy).
//!
//! [`cache`] remembers answers within a bound.

pub mod cache;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};
use xmpp::xml::Element;

use crate::disco::{Identity, Info};
use crate::forms::Form;
use crate::{Claim, Malformed, Status};

/// Namespace of entity capabilities.
pub const NS: &str = "http://jabber.org/protocol/caps";

/// Generation, verification and cache; not the format before version 1.4.
pub const CLAIM: Claim = Claim { xep: 115, version: "1.6.0", status: Status::Complete, features: &[NS] };

/// Longest `node` or `ver` that we keep.
const MAX_LEN: usize = 1024;

/// The hash functions that we compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HashFunction {
    /// The one that everybody must know.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl HashFunction {
    /// Reads the name from the registry of hash functions.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "sha-1" => Some(Self::Sha1),
            "sha-256" => Some(Self::Sha256),
            "sha-512" => Some(Self::Sha512),
            _ => None,
        }
    }

    /// Returns the name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha1 => "sha-1",
            Self::Sha256 => "sha-256",
            Self::Sha512 => "sha-512",
        }
    }

    fn base64(self, input: &str) -> String {
        match self {
            Self::Sha1 => STANDARD.encode(Sha1::digest(input)),
            Self::Sha256 => STANDARD.encode(Sha256::digest(input)),
            Self::Sha512 => STANDARD.encode(Sha512::digest(input)),
        }
    }
}

/// The `<c/>` in a presence.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Caps {
    /// Name of the hash function.
    pub hash: String,
    /// Address of the software, not of the person.
    pub node: String,
    /// Verification string.
    pub ver: String,
}

impl Caps {
    /// Announces `info` under the function that everybody knows.
    #[must_use]
    pub fn announcing(info: &Info, node: &str) -> Self {
        let hash = HashFunction::Sha1;
        Self { hash: hash.as_str().to_owned(), node: node.to_owned(), ver: verification_string(info, hash) }
    }

    /// Reads the `<c/>` of a presence; `None` where there is none, or only one in the format before version 1.4.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when an attribute is missing or endless.
    pub fn inside(presence: &Element) -> Result<Option<Self>, Malformed> {
        let Some(c) = presence.child("c", NS) else { return Ok(None) };
        let Some(hash) = c.attr("hash") else { return Ok(None) };
        let attr = |name| match c.attr(name) {
            Some(value) if value.len() <= MAX_LEN => Ok(value.to_owned()),
            _ => Err(Malformed("capabilities lack an attribute")),
        };
        Ok(Some(Self { hash: hash.to_owned(), node: attr("node")?, ver: attr("ver")? }))
    }

    /// Writes the `<c/>`.
    #[must_use]
    pub fn to_element(&self) -> Element {
        Element::new("c", NS)
            .with_attr("hash", self.hash.as_str())
            .with_attr("node", self.node.as_str())
            .with_attr("ver", self.ver.as_str())
    }

    /// Returns the node under which the announcer is asked (XEP-0115 §6.2).
    #[must_use]
    pub fn query_node(&self) -> String {
        format!("{}#{}", self.node, self.ver)
    }
}

/// How far an answer can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trust {
    /// The hash stands for this answer and no other that we know how to make: good for everybody who announces it.
    Everybody,
    /// Good for the one who gave it: the function is unknown, or the answer is one of several with that hash.
    SenderOnly,
    /// Not what was announced: to be thrown away.
    Refused,
}

/// Checks an answer of service discovery against the capabilities that were announced.
///
/// Source: XEP-0115 §5.4, and for [`Trust::SenderOnly`] §9.3.
#[must_use]
pub fn verify(caps: &Caps, info: &Info) -> Trust {
    let Some(hash) = HashFunction::parse(&caps.hash) else { return Trust::SenderOnly };
    if is_ill_formed(info) || verification_string(info, hash) != caps.ver {
        return Trust::Refused;
    }
    if is_ambiguous(info) { Trust::SenderOnly } else { Trust::Everybody }
}

/// Computes the verification string.
///
/// Source: XEP-0115 §5.1.
#[must_use]
pub fn verification_string(info: &Info, hash: HashFunction) -> String {
    let mut input = String::new();
    let mut add = |text: &str| {
        input.push_str(text);
        input.push('<');
    };
    let mut identities: Vec<&Identity> = info.identities.iter().collect();
    identities.sort_by_key(|i| (i.category.as_str(), i.kind.as_str(), i.lang.as_deref().unwrap_or("")));
    for i in identities {
        let (lang, name) = (i.lang.as_deref().unwrap_or(""), i.name.as_deref().unwrap_or(""));
        add(&format!("{}/{}/{lang}/{name}", i.category, i.kind));
    }
    let mut features: Vec<&str> = info.features.iter().map(String::as_str).collect();
    features.sort_unstable();
    features.into_iter().for_each(&mut add);
    let mut forms: Vec<(&str, &Form)> = info.forms.iter().filter_map(|f| Some((hidden_type(f)?, f))).collect();
    forms.sort_by_key(|(meaning, _)| *meaning);
    for (meaning, form) in forms {
        add(meaning);
        for (var, mut values) in fields(form) {
            add(var);
            values.sort_unstable();
            values.into_iter().for_each(&mut add);
        }
    }
    hash.base64(&input)
}

/// Returns the `FORM_TYPE` of a form that counts: one whose field is hidden (XEP-0115 §5.4 step 3.6).
fn hidden_type(form: &Form) -> Option<&str> {
    let field = form.field("FORM_TYPE")?;
    if field.field_type.as_deref() != Some("hidden") {
        return None;
    }
    field.values.first().map(String::as_str)
}

/// Returns the fields other than `FORM_TYPE`, sorted.
fn fields(form: &Form) -> Vec<(&str, Vec<&str>)> {
    let field = |f: &'_ crate::forms::Field| f.var.as_deref() != Some("FORM_TYPE");
    let mut fields: Vec<(&str, Vec<&str>)> = form
        .fields
        .iter()
        .filter(|f| field(f))
        .map(|f| (f.var.as_deref().unwrap_or(""), f.values.iter().map(String::as_str).collect()))
        .collect();
    fields.sort_by_key(|(var, _)| *var);
    fields
}

/// Tells whether something stands there twice (XEP-0115 §5.4 steps 3.3 to 3.5).
fn is_ill_formed(info: &Info) -> bool {
    let mut identities = BTreeSet::new();
    let mut features = BTreeSet::new();
    let mut meanings = BTreeSet::new();
    let one_type = |f: &Form| f.field("FORM_TYPE").is_none_or(|t| t.values.windows(2).all(|w| w.first() == w.last()));
    !info.identities.iter().all(|i| identities.insert(i))
        || !info.features.iter().all(|f| features.insert(f))
        || !info.forms.iter().filter_map(hidden_type).all(|m| meanings.insert(m))
        || !info.forms.iter().all(one_type)
}

/// Tells whether another answer could have the same hash input.
///
/// `<` ends every part and `/` parts an identity, so neither may stand inside one. A feature at the end of the list can
/// be told as the name of a form, the next as that of a field, the next as its value: so a form must have fields, a
/// field must have values, names of fields must not look like features, and what decides about notifications must not
/// stand in a form at all.
fn is_ambiguous(info: &Info) -> bool {
    let has = |text: &str, bad: &[char]| text.contains(bad);
    let identity = |i: &Identity| {
        has(&i.category, &['<', '/'])
            || has(&i.kind, &['<', '/'])
            || i.lang.as_deref().is_some_and(|l| has(l, &['<', '/']))
            || i.name.as_deref().is_some_and(|n| has(n, &['<']))
    };
    let form = |f: &Form| {
        let Some(meaning) = hidden_type(f) else { return false };
        let fields = fields(f);
        let looks_like_feature = |text: &str| text.contains('<') || text.ends_with("+notify");
        fields.is_empty()
            || looks_like_feature(meaning)
            || fields.iter().any(|(var, values)| {
                values.is_empty()
                    || looks_like_feature(var)
                    || (var.contains(':') && !var.starts_with('{'))
                    || values.iter().any(|v| looks_like_feature(v))
            })
    };
    info.identities.iter().any(identity) || info.features.iter().any(|f| f.contains('<')) || info.forms.iter().any(form)
}
