//! What was learned about capabilities, within a bound.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::{Caps, Trust, verify};
use crate::disco::Info;

/// Remembers answers that are good for everybody who announces the same hash; forgets the oldest when full.
///
/// Whatever may not be shared is handed back to the caller, who keeps it with the one session it came from.
#[derive(Debug)]
pub struct Cache {
    known: HashMap<(String, String), Arc<Info>>,
    order: VecDeque<(String, String)>,
    capacity: usize,
}

impl Cache {
    /// Makes a cache for `capacity` kinds of client.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { known: HashMap::new(), order: VecDeque::new(), capacity }
    }

    /// Returns what is known of capabilities.
    #[must_use]
    pub fn lookup(&self, caps: &Caps) -> Option<Arc<Info>> {
        self.known.get(&(caps.hash.clone(), caps.ver.clone())).cloned()
    }

    /// Takes an answer in; returns what may be believed of its sender, or `None` when it is not what was announced.
    pub fn learn(&mut self, caps: &Caps, info: Info) -> Option<Arc<Info>> {
        self.learn_part(caps, info, |info| info)
    }

    /// As [`Cache::learn`], but keeps and returns only what `part` leaves of an answer that may be believed.
    pub fn learn_part(&mut self, caps: &Caps, info: Info, part: impl FnOnce(Info) -> Info) -> Option<Arc<Info>> {
        let trust = verify(caps, &info);
        let info = Arc::new(part(info));
        match trust {
            Trust::Refused => return None,
            Trust::SenderOnly => {}
            Trust::Everybody => {
                let key = (caps.hash.clone(), caps.ver.clone());
                if self.known.insert(key.clone(), Arc::clone(&info)).is_none() {
                    self.order.push_back(key);
                }
                while self.order.len() > self.capacity {
                    if let Some(oldest) = self.order.pop_front() {
                        self.known.remove(&oldest);
                    }
                }
            }
        }
        Some(info)
    }
}
