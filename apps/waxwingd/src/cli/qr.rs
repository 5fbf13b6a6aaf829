//! Links for a camera, drawn with characters.

use fast_qr::QRBuilder;

/// White modules around the code; scanners need four, and terminals have margins of their own.
const MARGIN: usize = 2;

/// Draws a code in half blocks, two rows to a line; nothing when the text is too long for one.
///
/// Light on dark: most terminals are dark, and a code must be the darker of the two, so light modules are drawn.
pub(super) fn draw(text: &str) -> String {
    let Ok(code) = QRBuilder::new(text).build() else { return String::new() };
    let size = code.size;
    let is_light = |x: usize, y: usize| {
        let inside = (MARGIN..MARGIN + size).contains(&x) && (MARGIN..MARGIN + size).contains(&y);
        // a code has as many rows and columns as its size says
        !inside || !code[y - MARGIN][x - MARGIN].value()
    };
    let side = size + 2 * MARGIN;
    let mut drawn = String::new();
    for y in (0..side).step_by(2) {
        for x in 0..side {
            drawn.push(match (is_light(x, y), y + 1 < side && is_light(x, y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        drawn.push('\n');
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_square_and_has_its_margin() {
        let drawn = draw("xmpp:north.example?register;preauth=x");
        let lines: Vec<&str> = drawn.lines().collect();
        let width = lines[0].chars().count();
        assert!(lines.iter().all(|line| line.chars().count() == width));
        assert_eq!(lines.len(), width.div_ceil(2));
        assert!(lines[0].chars().all(|c| c == '█'), "the margin is light");
        assert!(lines[1].contains(' '), "the corner of the code is dark");
        assert_eq!(draw(&"x".repeat(5000)), "");
    }
}
