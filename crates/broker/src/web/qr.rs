//! Links to be taken by a camera, as pictures inside the page.

use fast_qr::{ECL, QRBuilder};
use maud::{Markup, html};

/// White modules around the code; scanners need four (ISO/IEC 18004 §6.3.8).
const MARGIN: usize = 4;

/// Draws a code; empty when the text is too long for one. A screen is clean: the least correction makes the largest modules.
pub(super) fn code(text: &str, title: &str) -> Markup {
    let Ok(qr) = QRBuilder::new(text).ecl(ECL::L).build() else { return html! {} };
    let size = qr.size + 2 * MARGIN;
    let mut path = String::new();
    for y in 0..qr.size {
        // our own number, not input: a code has as many rows as its size says
        let row = &qr[y];
        let mut x = 0;
        while x < qr.size {
            let length = row.iter().skip(x).take(qr.size - x).take_while(|m| m.value()).count();
            if length > 0 {
                path.push_str(&format!("M{} {}h{length}v1h-{length}z", x + MARGIN, y + MARGIN));
            }
            x += length.max(1);
        }
    }
    html! {
        svg xmlns="http://www.w3.org/2000/svg" class="qr" viewBox=(format!("0 0 {size} {size}")) role="img"
            aria-label=(title) {
            rect width=(size) height=(size) fill="#fff" {}
            path d=(path) fill="#000" shape-rendering="crispEdges" {}
        }
    }
}
