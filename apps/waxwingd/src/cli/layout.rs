//! Words on a terminal of 80 columns: wrapped, and beside a code.

use super::qr::Code;

/// The columns of a terminal that nobody has made wider.
pub(super) const COLUMNS: usize = 80;
/// Between a code and the words beside it.
const GAP: usize = 2;

/// Breaks a paragraph into lines of at most `columns`. A word that is longer stands alone on its line.
pub(super) fn wrap(paragraph: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in paragraph.split(' ').filter(|word| !word.is_empty()) {
        let Some(line) = lines.last_mut() else { break };
        let width = line.chars().count() + word.chars().count();
        if line.is_empty() {
            line.push_str(word);
        } else if width < columns {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// How many lines of a terminal a text takes that is longer than one.
pub(super) fn rows_of(text: &str) -> usize {
    text.chars().count().div_ceil(COLUMNS).max(1)
}

/// Puts paragraphs beside a code, or below each other where there is none.
pub(super) fn beside(code: Option<&Code>, paragraphs: &[String]) -> Vec<String> {
    let Some(code) = code else {
        return paragraphs.iter().flat_map(|paragraph| wrap(paragraph, COLUMNS)).collect();
    };
    let width = COLUMNS.saturating_sub(code.columns + GAP);
    // a word that is longer than the space beside the code is cut: what is to be copied stands below it
    let cut = |line: String| line.chars().collect::<Vec<_>>().chunks(width.max(1)).map(String::from_iter).collect();
    let words = paragraphs.iter().flat_map(|paragraph| wrap(paragraph, width));
    let words: Vec<String> = words.flat_map(|line| -> Vec<String> { cut(line) }).collect();
    let empty = " ".repeat(code.columns);
    let line = |nth: usize| {
        let drawn = code.lines.get(nth).unwrap_or(&empty);
        let said = words.get(nth).map_or("", String::as_str);
        format!("{drawn}{}{said}", " ".repeat(GAP)).trim_end().to_owned()
    };
    (0..code.lines.len().max(words.len())).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_kept_whole() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("averylongword and more", 5), ["averylongword", "and", "more"]);
        assert_eq!(wrap("", 5), [""]);
        assert_eq!((rows_of(""), rows_of(&"x".repeat(80)), rows_of(&"x".repeat(81))), (1, 1, 2));
    }
}
