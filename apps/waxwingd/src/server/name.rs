//! What a broker is called when nobody gave it a domain.

use net::certificate::Pin;
use xmpp::jid::BareJid;

/// Longest part of the machine's name, so that the label stays below 63 bytes.
const HOST_CHARS_MAX: usize = 40;

/// Makes `<hostname>-<20 characters of the pin>.local`.
///
/// The characters keep brokers on machines of the same name apart, and prove the name to whoever sees the key; `.local` is never looked up in public DNS
/// (RFC 6762 §3), so the name cannot belong to somebody else.
#[must_use]
pub fn own_name(hostname: &str, pin: &Pin) -> String {
    let first_label = hostname.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let label: String =
        first_label.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(HOST_CHARS_MAX).collect();
    let label = match label.trim_matches('-') {
        "" => "waxwing",
        label => label,
    };
    format!("{label}-{}.local", xep::peer::name_chars(pin.as_bytes()))
}

/// Brings a domain into the form that accounts have, or says that it is none: a name, never an address.
#[must_use]
pub fn canonical(domain: &str) -> Option<String> {
    let bare = BareJid::parse(domain).ok()?;
    let name = bare.domainpart();
    let is_name =
        bare.localpart().is_none() && net::names::ip_literal(name).is_none() && net::names::to_ascii(name).is_some();
    is_name.then(|| name.to_owned())
}

/// The name of this machine.
#[must_use]
pub fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_the_machine_and_the_pin() {
        let pin = Pin::from_bytes([0xff; 32]);
        assert_eq!(own_name("Tower.example.org", &pin), "tower-77777777777777777777.local");
        assert_eq!(own_name("__", &pin), "waxwing-77777777777777777777.local");
        assert_eq!(own_name("", &pin), "waxwing-77777777777777777777.local");
        assert_eq!(own_name("a b", &pin), "a-b-77777777777777777777.local");
        let long = own_name(&"x".repeat(80), &pin);
        assert!(canonical(&long).is_some(), "{long}");
    }

    #[test]
    fn a_domain_is_a_name() {
        assert_eq!(canonical("Example.ORG").as_deref(), Some("example.org"));
        for bad in ["", "192.0.2.1", "[2001:db8::1]", "alice@example.org", "example.org/x", "no name"] {
            assert_eq!(canonical(bad), None, "{bad}");
        }
    }
}
