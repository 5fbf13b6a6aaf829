//! The machine's clock.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use xmpp::time::{Clock, Moment, Timestamp};

/// The clocks of this machine. The wall clock jumps when the administrator or the time service sets it.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let millis = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            // A clock before 1970 is a machine without a battery: count backwards rather than fail.
            Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
        };
        Timestamp::from_millis(millis)
    }

    fn moment(&self) -> Moment {
        static START: OnceLock<Instant> = OnceLock::new();
        let since = START.get_or_init(Instant::now).elapsed();
        Moment::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn boot(&self) -> Option<([u8; 16], Duration)> {
        static BOOT: OnceLock<Option<[u8; 16]>> = OnceLock::new();
        let read = || parse_boot_id(&std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?);
        let boot = (*BOOT.get_or_init(read))?;
        Some((boot, parse_uptime(&std::fs::read_to_string("/proc/uptime").ok()?)?))
    }
}

/// Reads what Linux calls its run: a UUID (proc_sys_kernel(5)).
fn parse_boot_id(text: &str) -> Option<[u8; 16]> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).filter_map(|d| u8::try_from(d).ok()).collect();
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes: Vec<u8> = pairs.iter().map(|[high, low]| (high << 4) | low).collect();
    bytes.try_into().ok().filter(|_| rest.is_empty())
}

/// Reads for how long the machine has run, time asleep included (proc_uptime(5)).
fn parse_uptime(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.split_whitespace().next()?.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_of_the_machine_is_read() {
        let boot = parse_boot_id("0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0\n").unwrap();
        assert_eq!((boot[0], boot[15]), (0x0f, 0xf0));
        assert_eq!(parse_boot_id("0f1e"), None);
        assert_eq!(parse_uptime("35.25 12.00\n"), Some(Duration::from_millis(35_250)));
        assert_eq!((parse_uptime(""), parse_uptime("-1 2")), (None, None));
        #[cfg(target_os = "linux")]
        assert!(SystemClock.boot() <= SystemClock.boot());
    }

    #[test]
    fn the_clock_is_past_the_day_this_was_written() {
        let before = SystemClock.moment();
        assert!(SystemClock.moment() >= before);
        assert!(SystemClock.now() > Timestamp::from_millis(1_735_689_600_000));
    }
}
