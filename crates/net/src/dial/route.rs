//! Static routes: domains whose place and key are known without DNS and without authorities.
//!
//! A peer link (`waxwingd peer add`) makes one; the pins count in both directions.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::Endpoint;
use crate::certificate::Pin;
use crate::names::to_ascii;
use crate::verify::Trust;

/// Where a domain is, and which keys are its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Route {
    /// The hosts to try, in this order; none means: by DNS.
    pub at: Vec<Endpoint>,
    /// The only keys that are believed; none means: by authorities.
    pub pins: Vec<Pin>,
}

/// All static routes. Cheap to clone and shared between clones.
#[derive(Clone, Default)]
pub struct Routes {
    by_domain: Arc<RwLock<HashMap<String, Route>>>,
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Routes")
    }
}

impl Routes {
    /// Sets the route of a domain, replacing an earlier one. Returns false when the domain is no name.
    pub fn set(&self, domain: &str, route: Route) -> bool {
        let Some(domain) = to_ascii(domain) else { return false };
        self.by_domain.write().unwrap_or_else(PoisonError::into_inner).insert(domain, route);
        true
    }

    /// Removes the route of a domain.
    pub fn remove(&self, domain: &str) {
        if let Some(domain) = to_ascii(domain) {
            self.by_domain.write().unwrap_or_else(PoisonError::into_inner).remove(&domain);
        }
    }

    /// Returns the route of a domain, or of the domain that it is a service of (`rooms.` and the like).
    pub fn of(&self, domain: &str) -> Option<Route> {
        let domain = to_ascii(domain)?;
        let routes = self.by_domain.read().unwrap_or_else(PoisonError::into_inner);
        let parent = || domain.split_once('.').filter(|(label, _)| crate::identity::SERVICE_LABELS.contains(label));
        routes.get(&domain).or_else(|| routes.get(parent()?.1)).cloned()
    }

    /// Returns whom to believe about a domain, where its route has pins.
    pub fn trust_of(&self, domain: &str) -> Option<Trust> {
        let route = self.of(domain)?;
        (!route.pins.is_empty()).then(|| Trust::pins(route.pins))
    }

    pub(super) fn endpoints_of(&self, domain: &str) -> Option<Vec<Endpoint>> {
        self.of(domain).map(|route| route.at).filter(|at| !at.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dial::Mode;

    #[test]
    fn a_route_covers_the_domain_and_its_services() {
        let routes = Routes::default();
        let route =
            Route { at: vec![Endpoint::new("127.0.0.1", 5270, Mode::DirectTls)], pins: vec![Pin::from_bytes([7; 32])] };
        assert!(routes.set("North.example", route.clone()));
        assert!(!routes.set("not a name", route.clone()));
        assert_eq!(routes.of("north.example."), Some(route.clone()));
        assert_eq!(routes.of("rooms.north.example"), Some(route));
        assert_eq!(routes.of("evil.north.example"), None);
        assert_eq!(routes.of("example"), None);
        assert!(matches!(routes.trust_of("north.example"), Some(Trust::Pins(_))));
        routes.remove("NORTH.example");
        assert_eq!(routes.of("north.example"), None);
    }
}
