//! Patterns: elements that leave open what does not matter.
//!
//! An element fits a pattern when it has the same name and namespace, at least the attributes and children that the
//! pattern has, and its text where the pattern has any. In attributes and text:
//!
//! | written | means |
//! |---|---|
//! | `{any}` | anything, but it must be there |
//! | `{none}` | the attribute must not be there |
//! | `{is one\|two}` | one of these |
//! | `{keep name}` | anything; later steps write `{kept name}` |
//!
//! Among the children `<none xmlns='dialogue'>` holds patterns of which none may fit a child, and
//! `<either xmlns='dialogue'>` patterns of which at least one must.

use std::collections::BTreeMap;

use xmpp::xml::Element;

/// What `{keep name}` found.
pub type Kept = BTreeMap<String, String>;

/// Tells whether an element fits a pattern; what was to be kept goes into `kept`.
pub fn fits(pattern: &Element, element: &Element, kept: &mut Kept) -> bool {
    let text = pattern.text();
    let text = text.trim();
    pattern.is(element.name(), element.ns())
        && pattern.attrs().all(|(name, wanted)| value_fits(wanted, element.attr(name), kept))
        && (text.is_empty() || value_fits(text, Some(element.text().trim()), kept))
        && pattern.children().all(|child| child_fits(child, element, kept))
}

fn child_fits(pattern: &Element, parent: &Element, kept: &mut Kept) -> bool {
    match (pattern.ns(), pattern.name()) {
        ("dialogue", "none") => !pattern.children().any(|p| has_child(p, parent, kept)),
        ("dialogue", "either") => pattern.children().any(|p| has_child(p, parent, kept)),
        _ => has_child(pattern, parent, kept),
    }
}

fn has_child(pattern: &Element, parent: &Element, kept: &mut Kept) -> bool {
    parent.children().any(|child| fits(pattern, child, kept))
}

fn value_fits(wanted: &str, found: Option<&str>, kept: &mut Kept) -> bool {
    let special = wanted.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    match (special, found) {
        (Some("none"), found) => found.is_none(),
        (_, None) => false,
        (Some("any"), Some(found)) => !found.is_empty(),
        (Some(special), Some(found)) => {
            if let Some(name) = special.strip_prefix("keep ") {
                kept.insert(name.to_owned(), found.to_owned());
                return true;
            }
            special.strip_prefix("is ").is_some_and(|list| list.split('|').any(|one| one == found))
        }
        (None, Some(found)) => wanted == found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(xml: &str) -> Element {
        crate::raw::parse(xml).first().expect("one element").to_element()
    }

    fn matches(pattern: &str, xml: &str) -> bool {
        fits(&element(pattern), &element(xml), &mut Kept::new())
    }

    #[test]
    fn what_a_pattern_leaves_open_may_be_anything() {
        let stanza = "<iq type='error' id='7'><query xmlns='a'/><error code='404'><x xmlns='b'>text</x></error></iq>";
        for good in [
            "<iq/>",
            "<iq id='{any}' from='{none}'/>",
            "<iq type='{is result|error}'><error><x xmlns='b'> text </x></error></iq>",
            "<iq><none xmlns='dialogue'><query xmlns='c'/></none></iq>",
            "<iq><either xmlns='dialogue'><query xmlns='c'/><query xmlns='a'/></either></iq>",
        ] {
            assert!(matches(good, stanza), "{good}");
        }
        for bad in [
            "<message/>",
            "<iq id='8'/>",
            "<iq from='{any}'/>",
            "<iq id='{none}'/>",
            "<iq type='{is get|set}'/>",
            "<iq><query xmlns='c'/></iq>",
            "<iq><error><x xmlns='b'>other</x></error></iq>",
            "<iq><none xmlns='dialogue'><query xmlns='a'/></none></iq>",
            "<iq><either xmlns='dialogue'><query xmlns='c'/></either></iq>",
        ] {
            assert!(!matches(bad, stanza), "{bad}");
        }
    }

    #[test]
    fn values_are_kept() {
        let mut kept = Kept::new();
        assert!(fits(&element("<iq id='{keep number}'/>"), &element("<iq id='7'/>"), &mut kept));
        assert_eq!(kept.get("number").map(String::as_str), Some("7"));
    }
}
