//! The order of SRV records (RFC 2782, "Usage rules").

use std::fmt;

/// One SRV record.
#[derive(Clone, PartialEq, Eq)]
pub struct Srv {
    /// Lower ones are tried first.
    pub priority: u16,
    /// The share of this host among those of equal priority.
    pub weight: u16,
    /// The TCP port.
    pub port: u16,
    /// The host, without final dot.
    pub host: String,
}

impl fmt::Debug for Srv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Srv").field("priority", &self.priority).field("weight", &self.weight).finish_non_exhaustive()
    }
}

/// Orders records: priorities ascending; within one priority a random order in proportion to the weights.
///
/// `draw(n)` returns a random number from 0 to `n`, both included.
pub fn order(mut records: Vec<Srv>, draw: &mut (dyn FnMut(u32) -> u32 + Send)) -> Vec<Srv> {
    // Zero weights come first within a priority, so that they keep "a very small chance" (RFC 2782).
    records.sort_by_key(|srv| (srv.priority, srv.weight != 0));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(priority) = records.first().map(|srv| srv.priority) {
        let group = records.iter().take_while(|srv| srv.priority == priority);
        let total: u32 = group.map(|srv| u32::from(srv.weight)).sum();
        let wanted = draw(total);
        let mut running = 0u32;
        let chosen = records.iter().take_while(|srv| srv.priority == priority).position(|srv| {
            running += u32::from(srv.weight);
            running >= wanted
        });
        ordered.push(records.remove(chosen.unwrap_or(0)));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn srv(priority: u16, weight: u16, host: &str) -> Srv {
        Srv { priority, weight, port: 5222, host: host.to_owned() }
    }

    fn hosts(records: &[Srv]) -> String {
        records.iter().map(|srv| srv.host.as_str()).collect()
    }

    #[test]
    fn priorities_come_before_weights() {
        let records = vec![srv(20, 100, "c"), srv(10, 0, "a"), srv(10, 1, "b")];
        assert_eq!(hosts(&order(records.clone(), &mut |_| 0)), "abc");
        assert_eq!(hosts(&order(records, &mut |total| total)), "bac");
    }

    #[test]
    fn weights_decide_in_proportion() {
        let mut first = [0u32; 3];
        for number in 0..=60 {
            let mut numbers = [number, 0, 0].into_iter();
            let records = vec![srv(1, 10, "a"), srv(1, 50, "b"), srv(1, 0, "z")];
            let ordered = order(records, &mut |total| numbers.next().unwrap_or(0).min(total));
            match ordered[0].host.as_str() {
                "a" => first[0] += 1,
                "b" => first[1] += 1,
                _ => first[2] += 1,
            }
        }
        assert_eq!(first, [10, 50, 1], "one draw each for zero weight, ten and fifty for the others");
    }

    #[test]
    fn nothing_is_lost_or_repeated() {
        let records: Vec<Srv> = (0..50).map(|n| srv(n % 3, n % 7, &format!("h{n} "))).collect();
        let mut state = 1u32;
        let ordered = order(records.clone(), &mut |total| {
            state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            (state >> 8) % (total + 1)
        });
        assert_eq!(ordered.len(), records.len());
        assert!(records.iter().all(|record| ordered.contains(record)));
        assert!(ordered.is_sorted_by_key(|srv| srv.priority));
    }
}
