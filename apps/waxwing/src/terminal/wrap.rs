//! Sentences broken between words, where a terminal would break them within.

/// Breaks a text into lines of at most `width` columns, as far as its words allow. Lines that hold a command or a link stay as
/// they are, so that they can be copied whole.
#[must_use]
pub fn at_words(text: &str, width: usize) -> String {
    let lines: Vec<String> = text.split('\n').map(|line| wrap(line, width)).collect();
    lines.join("\n")
}

fn wrap(line: &str, width: usize) -> String {
    let is_to_copy = line.contains("waxwing ") || line.contains("://") || line.contains("xmpp:");
    if is_to_copy || line.chars().count() <= width {
        return line.to_owned();
    }
    let indent: String = line.chars().take_while(|c| *c == ' ').collect();
    let (mut wrapped, mut column) = (String::new(), 0);
    for word in line.split(' ').filter(|word| !word.is_empty()) {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > width {
            wrapped.push('\n');
            column = 0;
        }
        if column == 0 {
            wrapped.push_str(&indent);
            column = indent.len();
        } else {
            wrapped.push(' ');
            column += 1;
        }
        wrapped.push_str(word);
        column += length;
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_break_between_words_and_commands_stay_whole() {
        assert_eq!(at_words("one two three four", 9), "one two\nthree\nfour");
        assert_eq!(at_words("    one two three", 11), "    one two\n    three");
        assert_eq!(at_words("short\nlonger than that", 11), "short\nlonger than\nthat");
        let command = "Give them a link: waxwing invite";
        assert_eq!(at_words(command, 10), command);
        assert_eq!(at_words("incomprehensibilities", 5), "incomprehensibilities");
    }
}
