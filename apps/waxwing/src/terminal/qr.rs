//! Links as codes that a phone can scan off the screen.

use fast_qr::{ECL, QRBuilder};

/// Draws a link with half-block characters, dark on light whatever the terminal's colours; nothing for a link that is too
/// long for a screen.
#[must_use]
pub fn draw(link: &str) -> Option<String> {
    const QUIET: i32 = 2; // four by the standard, but terminals are small and phones tolerant
    let code = QRBuilder::new(link.as_bytes()).ecl(ECL::L).build().ok()?;
    let size = i32::try_from(code.size).ok().filter(|size| *size <= 97)?;
    let dark = |row: i32, column: i32| {
        (0..size).contains(&row) && (0..size).contains(&column) && {
            let at = usize::try_from(row * size + column).unwrap_or_default();
            code.data.get(at).is_some_and(|module| module.value())
        }
    };
    let mut drawn = String::new();
    for row in (-QUIET..size + QUIET).step_by(2) {
        drawn.push_str("\x1b[30;107m");
        for column in -QUIET..size + QUIET {
            drawn.push(match (dark(row, column), dark(row + 1, column)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        drawn.push_str("\x1b[0m\n");
    }
    Some(drawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_becomes_a_square() {
        let drawn = draw("xmpp:alice@north.example?roster").expect("fits");
        let lines: Vec<&str> = drawn.lines().collect();
        let width = |line: &str| line.trim_start_matches("\x1b[30;107m").trim_end_matches("\x1b[0m").chars().count();
        assert!(lines.iter().all(|line| width(line) == width(lines[0])), "a rectangle");
        assert!(lines.len().abs_diff(width(lines[0]) / 2) <= 1, "of square modules");
        assert!(draw(&"x".repeat(4000)).is_none());
    }
}
