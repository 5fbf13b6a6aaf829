//! Links for a camera, drawn with characters.

use fast_qr::{ECL, QRBuilder};

/// Dark on light whatever the colours of the terminal are: a code must be the darker of the two.
const COLOURS: &str = "\x1b[30;107m";
const PLAIN: &str = "\x1b[0m";

/// A code, two rows of it to a line.
pub(super) struct Code {
    /// The lines, with the sequences that colour them.
    pub(super) lines: Vec<String>,
    /// How many columns each takes.
    pub(super) columns: usize,
}

/// Draws a code that takes at most `rows` lines; nothing when the text is too long for that.
///
/// Scanners want four light modules around a code (ISO/IEC 18004 §6.3.8), but take two, and mostly one: a code that fits
/// on the screen is worth more than a margin.
pub(super) fn draw(text: &str, rows: usize) -> Option<Code> {
    let code = QRBuilder::new(text).ecl(ECL::L).build().ok()?;
    let margin = [2, 1].into_iter().find(|margin| (code.size + 2 * margin).div_ceil(2) <= rows)?;
    let side = code.size + 2 * margin;
    let is_dark = |x: usize, y: usize| {
        let inside = (margin..margin + code.size).contains(&x) && (margin..margin + code.size).contains(&y);
        // a code has as many rows and columns as its size says
        inside && code[y - margin][x - margin].value()
    };
    let line = |y: usize| {
        let cells = (0..side).map(|x| match (is_dark(x, y), is_dark(x, y + 1)) {
            (true, true) => '█',
            (true, false) => '▀',
            (false, true) => '▄',
            (false, false) => ' ',
        });
        format!("{COLOURS}{}{PLAIN}", cells.collect::<String>())
    };
    Some(Code { lines: (0..side).step_by(2).map(line).collect(), columns: side })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_square_has_a_margin_and_fits() {
        let code = draw("HTTPS://192.168.100.100:5443/I/ABCDEFGHIJKLMNOPQRSTUVWXYZ", 17).expect("fits");
        assert_eq!((code.lines.len(), code.columns), (17, 33), "29 modules and two on each side");
        for line in &code.lines {
            let cells = line.strip_prefix(COLOURS).and_then(|rest| rest.strip_suffix(PLAIN)).expect("coloured");
            assert_eq!(cells.chars().count(), code.columns);
        }
        assert!(code.lines[0].contains(&" ".repeat(33)), "the margin is light");
        assert_eq!(draw(&"A".repeat(57), 16).map(|code| code.columns), Some(31), "less margin where it must be");
        assert!(draw(&"A".repeat(57), 15).is_none() && draw(&"x".repeat(5000), 1000).is_none());
    }
}
