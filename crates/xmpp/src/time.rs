//! Points in time, and the form they take on the wire.
//!
//! Knows: milliseconds since the Unix epoch and the profile of XEP-0082. Lacks, on purpose: a clock. Whoever needs
//! the time is handed a [`Clock`], so that a simulation can own it.

use core::fmt;
use core::time::Duration;

/// A point in time: whole milliseconds since 1970-01-01T00:00:00Z, leap seconds ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// The source of the current time.
pub trait Clock: Send + Sync {
    /// Returns the time of the wall clock. It may be wrong by years and may jump: it says what is written down, never how
    /// long something takes.
    fn now(&self) -> Timestamp;

    /// Returns the present moment, which only ever gets later: for rates and deadlines.
    fn moment(&self) -> Moment;

    /// Names the run of the machine, and says how long it lasts by a clock that nobody sets; programs of one run can compare
    /// what they were told. Nothing where the machine does not tell.
    fn boot(&self) -> Option<([u8; 16], Duration)> {
        None
    }
}

/// A moment in the life of this process: milliseconds since some moment before it began. It means nothing to anybody else
/// and is never written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(u64);

impl Moment {
    /// Makes a moment from milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Returns milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Returns how much later `self` is than `earlier`; zero when it is not later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl core::ops::Add<Duration> for Moment {
    type Output = Self;
    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(rhs.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// The text is no XEP-0082 `dateTime`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadTimestamp;

impl fmt::Display for BadTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a date and time of the form 2026-01-31T12:00:00Z (XEP-0082)")
    }
}

impl core::error::Error for BadTimestamp {}

impl Timestamp {
    /// Makes a timestamp from milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Makes a timestamp from seconds since the Unix epoch.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Returns milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Returns whole seconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Returns the number of the UTC day since the Unix epoch, rounded down.
    #[must_use]
    pub const fn day(self) -> i64 {
        self.0.div_euclid(86_400_000)
    }

    /// Returns how much later `self` is than `earlier`; zero when it is not later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Writes the UTC `dateTime` with milliseconds, `2026-01-31T12:00:00.000Z`.
    ///
    /// Source: XEP-0082 §3.2.
    #[must_use]
    pub fn to_xep0082(self) -> String {
        let (year, month, day) = civil_from_days(self.day());
        let in_day = self.0.rem_euclid(86_400_000);
        let (hour, minute) = (in_day / 3_600_000, in_day / 60_000 % 60);
        let (second, millis) = (in_day / 1000 % 60, in_day % 1000);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }

    /// Reads a `dateTime`, with any zone offset and any number of fraction digits (those past the third are dropped).
    ///
    /// # Errors
    ///
    /// [`BadTimestamp`] when the text has another form or names no real date.
    ///
    /// Source: XEP-0082 §3.2.
    pub fn parse_xep0082(text: &str) -> Result<Self, BadTimestamp> {
        let (date, time) = text.trim().split_once(['T', 't']).ok_or(BadTimestamp)?;
        let mut date_parts = date.rsplitn(3, '-');
        let day = digits(date_parts.next(), 2)?;
        let month = digits(date_parts.next(), 2)?;
        let year = digits(date_parts.next(), 4)?;
        if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
            return Err(BadTimestamp);
        }
        let (clock, offset_minutes) = split_zone(time)?;
        let (hms, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
        let mut parts = hms.split(':');
        let hour = digits(parts.next(), 2)?;
        let minute = digits(parts.next(), 2)?;
        let second = digits(parts.next(), 2)?;
        if parts.next().is_some() || hour > 23 || minute > 59 || second > 60 {
            return Err(BadTimestamp);
        }
        let millis = fraction_millis(fraction)?;
        let days = days_from_civil(year, month, day);
        let secs = days * 86_400 + hour * 3600 + minute * 60 + second - offset_minutes * 60;
        Ok(Self(secs * 1000 + millis))
    }
}

impl core::ops::Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(rhs.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl core::ops::Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(rhs.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// Reads exactly `width` ASCII digits.
fn digits(text: Option<&str>, width: usize) -> Result<i64, BadTimestamp> {
    match text {
        Some(t) if t.len() == width && t.bytes().all(|b| b.is_ascii_digit()) => t.parse().map_err(|_| BadTimestamp),
        _ => Err(BadTimestamp),
    }
}

fn fraction_millis(fraction: &str) -> Result<i64, BadTimestamp> {
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return Err(BadTimestamp);
    }
    let padded: String = fraction.chars().chain("00".chars()).take(3).collect();
    padded.parse().map_err(|_| BadTimestamp)
}

/// Splits `12:00:00+02:00` into the clock and the offset in minutes.
fn split_zone(time: &str) -> Result<(&str, i64), BadTimestamp> {
    if let Some(clock) = time.strip_suffix(['Z', 'z']) {
        return Ok((clock, 0));
    }
    let at = time.rfind(['+', '-']).ok_or(BadTimestamp)?;
    let (clock, zone) = time.split_at(at);
    let (sign, zone) = match zone.strip_prefix('+') {
        Some(rest) => (1, rest),
        None => (-1, zone.strip_prefix('-').ok_or(BadTimestamp)?),
    };
    let (hours, minutes) = zone.split_once(':').ok_or(BadTimestamp)?;
    let (hours, minutes) = (digits(Some(hours), 2)?, digits(Some(minutes), 2)?);
    if hours > 14 || minutes > 59 {
        return Err(BadTimestamp);
    }
    Ok((clock, sign * (hours * 60 + minutes)))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Counts days since the epoch; the year starts in March here, so that the leap day comes last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Inverts [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_reads_the_same_instant() {
        for millis in [0, -1, 951_782_400_000, 1_700_000_000_123, 4_102_444_799_999, -62_135_596_800_000] {
            let t = Timestamp::from_millis(millis);
            assert_eq!(Timestamp::parse_xep0082(&t.to_xep0082()), Ok(t));
        }
        assert_eq!(Timestamp::from_millis(0).to_xep0082(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn reads_offsets_and_fractions() {
        let moon = Timestamp::parse_xep0082("1969-07-21T02:56:15Z");
        assert_eq!(Timestamp::parse_xep0082("1969-07-20T21:56:15-05:00"), moon);
        let t = Timestamp::parse_xep0082("2026-01-01T00:00:00.5Z").map(Timestamp::as_millis);
        assert_eq!(t.map(|ms| ms % 1000), Ok(500));
    }

    #[test]
    fn refuses_what_is_no_date() {
        for bad in [
            "",
            "T",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01 00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00.Z",
            "٢٠٢٦-01-01T00:00:00Z",
            "2026-01-01T00:00:00+99:00",
        ] {
            assert_eq!(Timestamp::parse_xep0082(bad), Err(BadTimestamp), "{bad}");
        }
    }
}
