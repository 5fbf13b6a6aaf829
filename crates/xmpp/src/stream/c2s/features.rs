//! Stream features of client streams: what the broker writes and the client reads (RFC 6120 §4.3.2).

use super::event::{Registration, ResponderConfig};
use crate::ns;
use crate::sasl::Offer;
use crate::xml::{Element, Limits};

const REGISTER: &str = "http://jabber.org/features/iq-register";
const REGISTER_TOKEN: &str = "urn:xmpp:ibr-token:0";

/// On a plain connection: TLS and nothing else (RFC 7590 §3.4).
pub(super) const PLAIN: &str = "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/>\
     </starttls></stream:features>";

/// Before the login.
pub(super) fn login(config: &ResponderConfig, offer: &Offer) -> String {
    let mut xml = format!("<stream:features><mechanisms xmlns='{}'>", ns::SASL);
    for mechanism in &offer.mechanisms {
        xml.push_str(&format!("<mechanism>{mechanism}</mechanism>"));
    }
    xml.push_str("</mechanisms>");
    if let Some(bindings) = &offer.bindings {
        xml.push_str(&format!("<sasl-channel-binding xmlns='{}'>", ns::SASL_CB));
        for binding in bindings {
            xml.push_str(&format!("<channel-binding type='{binding}'/>"));
        }
        xml.push_str("</sasl-channel-binding>");
    }
    let Registration { in_band, by_token } = config.registration;
    for (offered, namespace) in [(in_band, REGISTER), (by_token, REGISTER_TOKEN)] {
        if offered {
            xml.push_str(&format!("<register xmlns='{namespace}'/>"));
        }
    }
    xml.push_str(&limits(config.pre_auth_limits, config.idle_seconds));
    xml.push_str("</stream:features>");
    xml
}

/// After the login. The session element is for clients of RFC 3921, which wait for it; newer ones see that it is
/// optional and skip it.
pub(super) fn session(config: &ResponderConfig) -> String {
    let mut xml = format!(
        "<stream:features><bind xmlns='{}'/><session xmlns='{}'><optional/></session><sm xmlns='{}'/>",
        ns::BIND,
        ns::SESSION,
        ns::SM
    );
    for feature in &config.features {
        xml.push_str(&feature.to_xml(ns::CLIENT));
    }
    xml.push_str(&limits(config.limits, config.idle_seconds));
    xml.push_str("</stream:features>");
    xml
}

/// XEP-0478.
pub(in crate::stream) fn limits(limits: Limits, idle_seconds: Option<u32>) -> String {
    let idle = idle_seconds.map(|seconds| format!("<idle-seconds>{seconds}</idle-seconds>")).unwrap_or_default();
    format!("<limits xmlns='{}'><max-bytes>{}</max-bytes>{idle}</limits>", ns::STREAM_LIMITS, limits.stanza_bytes)
}

/// The features that a server offered last.
#[derive(Debug, Clone)]
pub struct Features(Element);

impl Default for Features {
    fn default() -> Features {
        Features(Element::new("features", ns::STREAM))
    }
}

impl Features {
    pub(in crate::stream) fn new(element: Element) -> Features {
        Features(element)
    }

    /// Looks up a feature.
    #[must_use]
    pub fn get(&self, name: &str, namespace: &str) -> Option<&Element> {
        self.0.child(name, namespace)
    }

    /// Whether STARTTLS is offered.
    #[must_use]
    pub fn starttls(&self) -> bool {
        self.get("starttls", ns::TLS).is_some()
    }

    /// The mechanisms and binding types on offer, exactly as announced.
    #[must_use]
    pub fn offer(&self) -> Offer {
        let mechanisms = self.get("mechanisms", ns::SASL).into_iter().flat_map(Element::children);
        let mechanisms = mechanisms.filter(|child| child.is("mechanism", ns::SASL)).map(Element::text).collect();
        let bindings = self.get("sasl-channel-binding", ns::SASL_CB).map(|list| {
            let types = list.children().filter(|child| child.is("channel-binding", ns::SASL_CB));
            types.filter_map(|child| child.attr("type").map(str::to_owned)).collect()
        });
        Offer { mechanisms, bindings }
    }

    /// What somebody without an account may do.
    #[must_use]
    pub fn registration(&self) -> Registration {
        Registration {
            in_band: self.get("register", REGISTER).is_some(),
            by_token: self.get("register", REGISTER_TOKEN).is_some(),
        }
    }

    /// Whether the server acknowledges stanzas (XEP-0198).
    #[must_use]
    pub fn acks(&self) -> bool {
        self.get("sm", ns::SM).is_some()
    }

    /// Whether an old server insists on RFC 3921 sessions.
    #[must_use]
    pub fn needs_session(&self) -> bool {
        self.get("session", ns::SESSION).is_some_and(|session| session.child("optional", ns::SESSION).is_none())
    }

    /// The longest stanza that the server takes, in bytes (XEP-0478).
    #[must_use]
    pub fn max_bytes(&self) -> Option<usize> {
        self.get("limits", ns::STREAM_LIMITS)?.child_text("max-bytes", ns::STREAM_LIMITS)?.parse().ok()
    }

    /// Seconds of silence that the server allows (XEP-0478).
    #[must_use]
    pub fn idle_seconds(&self) -> Option<u32> {
        self.get("limits", ns::STREAM_LIMITS)?.child_text("idle-seconds", ns::STREAM_LIMITS)?.parse().ok()
    }
}
