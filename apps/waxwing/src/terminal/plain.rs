//! Text that others wrote, made harmless: a terminal obeys control characters, and a reader believes what it sees.

/// Makes received text fit to print over several lines. Control characters and those that turn the direction of text
/// become visible signs; nothing that was written is left out.
#[must_use]
pub fn text(received: &str) -> String {
    received.chars().map(|c| if c == '\n' { c } else { visible(c) }).collect()
}

/// Makes a received name fit for one line.
#[must_use]
pub fn name(received: &str) -> String {
    received.chars().map(visible).collect()
}

fn visible(c: char) -> char {
    match c {
        // The Unicode block "Control Pictures" shows each of them in its own place.
        '\t' => ' ',
        '\u{0}'..='\u{1f}' => char::from_u32(0x2400 + u32::from(c)).unwrap_or(char::REPLACEMENT_CHARACTER),
        '\u{7f}' => '\u{2421}',
        '\u{80}'..='\u{9f}' => char::REPLACEMENT_CHARACTER,
        // Unicode Standard Annex #9 §2, line and paragraph separators, and characters that nobody sees.
        '\u{61c}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => char::REPLACEMENT_CHARACTER,
        other => other,
    }
}

/// How many bytes, for people.
#[must_use]
pub fn size(bytes: u64) -> String {
    match bytes {
        0..=999 => format!("{bytes} B"),
        1_000..=999_949 => format!("{}.{} kB", bytes / 1_000, bytes % 1_000 / 100),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x16_terminals_get_no_commands() {
        assert_eq!(text("a\u{1b}[31mred\u{7}\r\nb"), "a\u{241b}[31mred\u{2407}\u{240d}\nb");
        assert_eq!(text("\u{9b}31m\u{7f}"), "\u{fffd}31m\u{2421}");
        assert_eq!(name("two\nlines"), "two\u{240a}lines");
    }

    #[test]
    fn x16_text_turns_no_direction() {
        assert_eq!(text("invoice\u{202e}fdp.exe"), "invoice\u{fffd}fdp.exe");
        assert_eq!(text("\u{2066}\u{200f}\u{feff}\u{e0041}"), "\u{fffd}".repeat(4));
        assert_eq!(text("שלום, 山田 👩‍👩‍👧"), "שלום, 山田 👩‍👩‍👧");
    }

    #[test]
    fn sizes_are_short() {
        for (bytes, shown) in
            [(0, "0 B"), (999, "999 B"), (1_250, "1.2 kB"), (999_999, "0.9 MB"), (3_450_000, "3.4 MB")]
        {
            assert_eq!(size(bytes), shown);
        }
    }
}
