//! Times as people read them: in the time zone of the machine (`TZ`, `/etc/localtime`). JSON keeps UTC.

use std::sync::OnceLock;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Date and minute where the user is. Where the machine does not know that, in UTC, and it says so.
#[must_use]
pub fn minute(stamp: &str) -> String {
    static ZONE: OnceLock<Option<TimeZone>> = OnceLock::new();
    minute_in(ZONE.get_or_init(|| TimeZone::try_system().ok()).as_ref(), stamp)
}

fn minute_in(zone: Option<&TimeZone>, stamp: &str) -> String {
    let Ok(time) = stamp.parse::<Timestamp>() else { return super::plain::name(stamp) };
    match zone {
        Some(zone) => time.to_zoned_datetime(zone.clone()).strftime("%F %R").to_string(),
        None => time.strftime("%F %R UTC").to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_wall_clock() {
        let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("rules");
        for (stamp, shown) in [
            ("2026-05-01T22:34:56.000Z", "2026-05-02 00:34"),
            ("2026-01-01T12:00:00Z", "2026-01-01 13:00"),
            ("2026-10-25T00:30:00.000Z", "2026-10-25 02:30"),
            ("2026-10-25T01:30:00.000Z", "2026-10-25 02:30"),
        ] {
            assert_eq!(minute_in(Some(&berlin), stamp), shown);
        }
        assert_eq!(minute_in(None, "2026-05-01T22:34:56.000Z"), "2026-05-01 22:34 UTC");
        assert_eq!(minute_in(None, "yesterday\n"), "yesterday\u{240a}");
    }
}
