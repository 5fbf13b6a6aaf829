//! Descriptors: as many as the operating system grants.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Kept for files, the database, the name server and what is being accepted.
const KEPT: u64 = 128;

/// More are not counted on, however many there may be.
const MOST: u64 = 65_536;

/// Raises the limit of open descriptors of this process to what it may have, and returns how many connections fit.
pub(super) fn raise() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    let highest = limit.maximum.map_or(MOST, |maximum| maximum.min(MOST));
    if limit.current.is_some_and(|current| current < highest) {
        limit.current = Some(highest);
        // if it is refused, what there was before is what counts
        let _ = setrlimit(Resource::Nofile, limit);
    }
    let granted = getrlimit(Resource::Nofile).current.unwrap_or(MOST).min(MOST);
    usize::try_from(granted.saturating_sub(KEPT)).unwrap_or(usize::MAX).max(64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b01_all_descriptors_that_the_process_may_have_are_used() {
        let usable = raise();
        let limit = getrlimit(Resource::Nofile);
        let allowed = limit.maximum.unwrap_or(MOST).min(MOST);
        assert!(limit.current.is_none_or(|current| current >= allowed));
        assert_eq!(usable as u64, allowed.saturating_sub(KEPT).max(64));
    }
}
