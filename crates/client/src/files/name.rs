//! Names of files as others choose them, made safe to save under and to show.

use unicode_normalization::UnicodeNormalization;
use xmpp::xml::is_xml_char;

/// Longest name, in bytes of UTF-8; suffixes of programs still fit behind it.
pub const NAME_BYTES_MAX: usize = 120;

/// What a file is called when nothing usable is left of its name.
const FALLBACK: &str = "file";

/// Longest ending that survives shortening, the dot included.
const ENDING_BYTES_MAX: usize = 16;

/// Makes a name safe: the last part of any path, in NFC, without control and direction characters, without what some
/// file system cannot store, no leading dot, dash or tilde, no device name, at most [`NAME_BYTES_MAX`] bytes, never empty.
///
/// A safe name stays as it is.
///
/// Attack row F01; security-design §5.3.
#[must_use]
pub fn safe_name(offered: &str) -> String {
    let last_part = offered.rsplit(['/', '\\']).next().unwrap_or_default();
    // composed last: an invisible character may stand between a letter and its accent
    let clean: String = last_part.chars().filter(|c| !is_unsafe(*c)).nfc().collect();
    // Windows drops dots and spaces at the end, and so would make one name of two; shells hide what begins with a dot
    let trimmed = clean.trim_start_matches(is_edge).trim_end_matches(is_edge);
    let short = shorten(trimmed, NAME_BYTES_MAX);
    let short = short.trim_end_matches(is_edge);
    if short.is_empty() {
        return FALLBACK.to_owned();
    }
    let is_misread = is_device_name(short) || short.starts_with(is_read_by_shells);
    if is_misread { shorten(&format!("_{short}"), NAME_BYTES_MAX) } else { short.to_owned() }
}

/// Makes the `attempt`-th variant of a safe name that is taken: `photo.jpg`, `photo (2).jpg`, `photo (3).jpg`.
#[must_use]
pub fn with_suffix(name: &str, attempt: u32) -> String {
    if attempt <= 1 {
        return name.to_owned();
    }
    let suffix = format!(" ({attempt})");
    let (stem, ending) = split_ending(name);
    let stem = cut(stem, NAME_BYTES_MAX.saturating_sub(suffix.len() + ending.len()));
    format!("{stem}{suffix}{ending}")
}

/// What a name must not begin with: `rm *` takes `-rf` for an option, and a shell takes `~` for a home directory.
fn is_read_by_shells(c: char) -> bool {
    matches!(c, '-' | '~')
}

fn is_edge(c: char) -> bool {
    c == '.' || c.is_whitespace()
}

/// Characters that never belong in a name: control characters, invisible ones that turn the direction of text or join
/// and split it, line ends of Unicode, and what Windows or a shell would read as something else.
fn is_unsafe(c: char) -> bool {
    let invisible = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}');
    c.is_control() || !is_xml_char(c) || invisible || matches!(c, '<' | '>' | ':' | '"' | '|' | '?' | '*')
}

/// Cuts a name to `max` bytes, keeping its ending, by which people and programs know what it is.
fn shorten(name: &str, max: usize) -> String {
    if name.len() <= max {
        return name.to_owned();
    }
    let (stem, ending) = split_ending(name);
    format!("{}{ending}", cut(stem, max.saturating_sub(ending.len())))
}

/// Splits `photo.jpg` into `photo` and `.jpg`; an ending of unusual length is none.
fn split_ending(name: &str) -> (&str, &str) {
    match name.rfind('.').and_then(|dot| name.split_at_checked(dot)) {
        Some((stem, ending)) if !stem.is_empty() && ending.len() <= ENDING_BYTES_MAX => (stem, ending),
        _ => (name, ""),
    }
}

/// Cuts text to at most `max` bytes, between characters.
fn cut(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    text.get(..end).unwrap_or_default().trim_end_matches(is_edge)
}

/// Names that Windows keeps for devices, whatever their ending.
fn is_device_name(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let numbered = |prefix: &str| {
        stem.strip_prefix(prefix)
            .is_some_and(|n| matches!(n, "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³"))
    };
    ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"].contains(&stem.as_str())
        || numbered("COM")
        || numbered("LPT")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[(&str, &str)]) {
        for (offered, safe) in rows {
            assert_eq!(safe_name(offered), *safe, "{offered:?}");
        }
    }

    #[test]
    fn f01_only_the_last_part_of_a_path_is_left() {
        table(&[
            ("photo.jpg", "photo.jpg"),
            ("/etc/passwd", "passwd"),
            ("../../.ssh/authorized_keys", "authorized_keys"),
            ("..\\..\\Windows\\evil.dll", "evil.dll"),
            ("C:\\x\\y.txt", "y.txt"),
            ("C:evil.txt", "Cevil.txt"),
            ("a/..", "file"),
            ("..", "file"),
            ("dir/", "file"),
            ("", "file"),
        ]);
    }

    #[test]
    fn f01_no_options_and_no_home_directories() {
        table(&[
            ("-rf", "_-rf"),
            ("--help", "_--help"),
            ("/tmp/-rf", "_-rf"),
            (" .-rf", "_-rf"),
            ("~", "_~"),
            ("~root", "_~root"),
            ("a-b~", "a-b~"),
            ("_-rf", "_-rf"),
        ]);
        assert_eq!(safe_name(&format!("-{}", "x".repeat(200))).len(), NAME_BYTES_MAX);
    }

    #[test]
    fn f01_no_hidden_names_and_no_names_that_windows_changes() {
        table(&[
            (".bashrc", "bashrc"),
            ("...x", "x"),
            (" . .x", "x"),
            ("x.txt. . ", "x.txt"),
            ("  a b  ", "a b"),
            ("a<b>:\"|?*c", "abc"),
        ]);
    }

    #[test]
    fn f01_no_control_and_no_direction_characters() {
        table(&[
            ("a\u{0}b\n\r\tc\u{7f}\u{85}.txt", "abc.txt"),
            ("invoice\u{202e}fdp.exe", "invoicefdp.exe"),
            ("\u{2066}a\u{2069}\u{200f}\u{200b}\u{feff}.txt", "a.txt"),
            ("\u{202e}", "file"),
            ("a\u{2028}b\u{e0001}.txt", "ab.txt"),
        ]);
    }

    #[test]
    fn f01_names_are_in_nfc() {
        table(&[
            ("re\u{301}sume\u{301}.pdf", "r\u{e9}sum\u{e9}.pdf"),
            ("\u{212b}.txt", "\u{c5}.txt"),
            ("ﬁ.txt", "ﬁ.txt"),
        ]);
    }

    #[test]
    fn f01_no_device_names() {
        table(&[
            ("con", "_con"),
            ("NUL.txt", "_NUL.txt"),
            ("Com1.tar.gz", "_Com1.tar.gz"),
            ("lpt9 .x", "_lpt9 .x"),
            ("console.txt", "console.txt"),
            ("com10", "com10"),
        ]);
    }

    #[test]
    fn f01_at_most_120_bytes_and_the_ending_is_kept() {
        let long = safe_name(&format!("{}.jpeg", "é".repeat(200)));
        assert!(long.len() <= NAME_BYTES_MAX && long.ends_with("é.jpeg"), "{long}");
        assert_eq!(safe_name(&"x".repeat(500)).len(), NAME_BYTES_MAX);
        assert_eq!(safe_name(&format!("a.{}", "x".repeat(500))).len(), NAME_BYTES_MAX);
        assert!(safe_name(&format!("con.{}", "x".repeat(500))).len() <= NAME_BYTES_MAX);
        assert_eq!(safe_name(&format!("{} . .txt", "x".repeat(115))).len(), 115 + ".txt".len());
    }

    #[test]
    fn f01_a_taken_name_gets_a_suffix() {
        assert_eq!(with_suffix("photo.jpg", 1), "photo.jpg");
        assert_eq!(with_suffix("photo.jpg", 2), "photo (2).jpg");
        assert_eq!(with_suffix("photo", 13), "photo (13)");
        let long = safe_name(&format!("{}.jpg", "é".repeat(200)));
        let (a, b) = (with_suffix(&long, 2), with_suffix(&long, 3));
        assert!(a != b && a.len() <= NAME_BYTES_MAX && a.ends_with(" (2).jpg"), "{a}");
    }

    #[test]
    fn f01_safe_names_stay_as_they_are() {
        for offered in ["photo.jpg", "../x/.y", "\u{202e}é\u{301}\u{301}.a", "com1", "a . . .b", "x.", "Ａ．ｊｐｇ"]
        {
            let once = safe_name(offered);
            assert_eq!(safe_name(&once), once, "{offered:?}");
        }
        for len in 100..140 {
            let once = safe_name(&format!("{} ..{}", "é".repeat(len / 2), "e".repeat(len % 20)));
            assert_eq!(safe_name(&once), once);
        }
    }

    #[test]
    fn f01_whatever_is_offered() {
        const PIECES: [&str; 24] = [
            "a",
            "é",
            "e",
            "\u{301}",
            ".",
            "..",
            " ",
            "/",
            "\\",
            ":",
            "con",
            "CON",
            "nul",
            "com1",
            "\u{202e}",
            "\u{0}",
            "\n",
            "😀",
            "字",
            ".tar.gz",
            ".jpg",
            "\u{3000}",
            "\u{feff}",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        ];
        let mut state = 1_u64;
        for _ in 0..20_000 {
            let mut offered = String::new();
            for _ in 0..state % 12 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                offered.push_str(PIECES[(state >> 33) as usize % PIECES.len()]);
            }
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 1;
            let safe = safe_name(&offered);
            assert!(!safe.is_empty() && safe.len() <= NAME_BYTES_MAX, "{offered:?}");
            assert!(!safe.starts_with('.') && !safe.ends_with(['.', ' ']), "{offered:?}");
            assert!(!safe.contains(['/', '\\', ':', '\0', '\n', '\u{202e}']) && !is_device_name(&safe), "{offered:?}");
            assert_eq!(safe_name(&safe), safe, "{offered:?}");
            assert!(with_suffix(&safe, 2).len() <= NAME_BYTES_MAX);
        }
    }
}
