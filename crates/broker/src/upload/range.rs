//! Parts of a file (RFC 9110 §14).

/// What of a file is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it.
    All,
    /// From the first byte up to, not including, the second.
    Part(u64, u64),
    /// Something beyond its end.
    Nothing,
}

/// Reads a `Range` header for a file of `size` bytes. What is no single range of bytes is ignored, as the RFC allows.
pub(super) fn parse(header: Option<&str>, size: u64) -> Wanted {
    let Some(range) = header.and_then(|h| h.trim().strip_prefix("bytes=")) else { return Wanted::All };
    let Some((first, last)) = range.split_once('-') else { return Wanted::All };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    match (number(first.trim()), number(last.trim()), first.trim().is_empty(), last.trim().is_empty()) {
        (Some(first), _, _, true) if first < size => Wanted::Part(first, size),
        (Some(first), Some(last), ..) if first <= last && first < size => {
            Wanted::Part(first, last.saturating_add(1).min(size))
        }
        (Some(first), Some(last), ..) if first > last => Wanted::All,
        (Some(_), _, _, true) | (Some(_), Some(_), ..) => Wanted::Nothing,
        (None, Some(0), true, _) => Wanted::Nothing,
        (None, Some(length), true, _) => Wanted::Part(size.saturating_sub(length), size),
        _ => Wanted::All,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_as_the_rfc_has_them() {
        for (header, wanted) in [
            (None, Wanted::All),
            (Some("bytes=0-499"), Wanted::Part(0, 500)),
            (Some("bytes=500-"), Wanted::Part(500, 1000)),
            (Some("bytes=-500"), Wanted::Part(500, 1000)),
            (Some("bytes=-5000"), Wanted::Part(0, 1000)),
            (Some("bytes=999-99999999999999999999999"), Wanted::Part(999, 1000)),
            (Some("bytes=1000-"), Wanted::Nothing),
            (Some("bytes=1000-2000"), Wanted::Nothing),
            (Some("bytes=-0"), Wanted::Nothing),
            (Some("bytes=5-4"), Wanted::All),
            (Some("bytes=0-1,5-6"), Wanted::All),
            (Some("bytes=a-b"), Wanted::All),
            (Some("bytes=-"), Wanted::All),
            (Some("items=0-1"), Wanted::All),
        ] {
            assert_eq!(parse(header, 1000), wanted, "{header:?}");
        }
    }
}
