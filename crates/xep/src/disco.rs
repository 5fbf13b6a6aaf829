//! Service discovery: what an entity is, what it can do, and what belongs to it (XEP-0030, with the forms of XEP-0128).

use xmpp::jid::Jid;
use xmpp::xml::Element;

use crate::forms::Form;
use crate::{Claim, Malformed, Status};

/// Namespace of questions about an entity itself.
pub const NS_INFO: &str = "http://jabber.org/protocol/disco#info";
/// Namespace of questions about what belongs to an entity.
pub const NS_ITEMS: &str = "http://jabber.org/protocol/disco#items";

/// Questions and answers of both kinds.
pub const CLAIM: Claim = Claim { xep: 30, version: "2.5.0", status: Status::Complete, features: &[NS_INFO, NS_ITEMS] };

/// What an entity is (XEP-0030 §3.1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// Kind of entity, like `client`.
    pub category: String,
    /// Kind within the category, like `phone`.
    pub kind: String,
    /// Language of the name.
    pub lang: Option<String>,
    /// Name for a person.
    pub name: Option<String>,
}

impl Identity {
    /// Makes an identity.
    #[must_use]
    pub fn new(category: &str, kind: &str, name: Option<&str>) -> Self {
        Self { category: category.to_owned(), kind: kind.to_owned(), lang: None, name: name.map(str::to_owned) }
    }
}

/// The answer to "what are you?".
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Info {
    /// The node asked about.
    pub node: Option<String>,
    /// What the entity is.
    pub identities: Vec<Identity>,
    /// What it can do.
    pub features: Vec<String>,
    /// More about it (XEP-0128).
    pub forms: Vec<Form>,
}

impl Info {
    /// Tells whether the entity can do `feature`.
    #[must_use]
    pub fn has_feature(&self, feature: &str) -> bool {
        self.features.iter().any(|f| f == feature)
    }

    /// Tells whether the entity is of that category and kind.
    #[must_use]
    pub fn has_identity(&self, category: &str, kind: &str) -> bool {
        self.identities.iter().any(|i| i.category == category && i.kind == kind)
    }

    /// Returns the form with that `FORM_TYPE`.
    #[must_use]
    pub fn form(&self, meaning: &str) -> Option<&Form> {
        self.forms.iter().find(|f| f.meaning() == Some(meaning))
    }

    /// Makes the question.
    #[must_use]
    pub fn query(node: Option<&str>) -> Element {
        Element::new("query", NS_INFO).with_attr_opt("node", node)
    }

    /// Reads an answer.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when it is no such answer, an identity lacks its category or type, or a feature its name.
    pub fn parse(query: &Element) -> Result<Self, Malformed> {
        if !query.is("query", NS_INFO) {
            return Err(Malformed("not an answer of service discovery"));
        }
        let mut info = Self { node: query.attr("node").map(str::to_owned), ..Self::default() };
        for child in query.children() {
            if child.is("identity", NS_INFO) {
                let attr = |name| child.attr(name).map(str::to_owned);
                info.identities.push(Identity {
                    category: attr("category").ok_or(Malformed("an identity without category"))?,
                    kind: attr("type").ok_or(Malformed("an identity without type"))?,
                    lang: attr("xml:lang"),
                    name: attr("name"),
                });
            } else if child.is("feature", NS_INFO) {
                let var = child.attr("var").ok_or(Malformed("a feature without name"))?;
                info.features.push(var.to_owned());
            } else if child.is("x", crate::forms::NS) {
                info.forms.push(Form::parse(child)?);
            }
        }
        Ok(info)
    }

    /// Writes the answer.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let identity = |i: &Identity| {
            Element::new("identity", NS_INFO)
                .with_attr("category", i.category.as_str())
                .with_attr("type", i.kind.as_str())
                .with_attr_opt("xml:lang", i.lang.as_deref())
                .with_attr_opt("name", i.name.as_deref())
        };
        Self::query(self.node.as_deref())
            .with_children(self.identities.iter().map(identity))
            .with_children(self.features.iter().map(|f| Element::new("feature", NS_INFO).with_attr("var", f.as_str())))
            .with_children(self.forms.iter().map(Form::to_element))
    }
}

/// Something that belongs to an entity (XEP-0030 §4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its address.
    pub jid: Jid,
    /// Its node at that address.
    pub node: Option<String>,
    /// Its name for a person.
    pub name: Option<String>,
}

/// The answer to "what belongs to you?".
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Items {
    /// The node asked about.
    pub node: Option<String>,
    /// What belongs to the entity.
    pub items: Vec<Item>,
}

impl Items {
    /// Makes the question.
    #[must_use]
    pub fn query(node: Option<&str>) -> Element {
        Element::new("query", NS_ITEMS).with_attr_opt("node", node)
    }

    /// Reads an answer; items whose address is none are left out.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when it is no such answer.
    pub fn parse(query: &Element) -> Result<Self, Malformed> {
        if !query.is("query", NS_ITEMS) {
            return Err(Malformed("not an answer of service discovery"));
        }
        let attr = |e: &Element, name| e.attr(name).map(str::to_owned);
        let item = |e: &Element| {
            Some(Item { jid: Jid::parse(e.attr("jid")?).ok()?, node: attr(e, "node"), name: attr(e, "name") })
        };
        let items = query.children().filter(|c| c.is("item", NS_ITEMS)).filter_map(item).collect();
        Ok(Self { node: attr(query, "node"), items })
    }

    /// Writes the answer.
    #[must_use]
    pub fn to_element(&self) -> Element {
        Self::query(self.node.as_deref()).with_children(self.items.iter().map(|i| {
            Element::new("item", NS_ITEMS)
                .with_attr("jid", i.jid.as_str())
                .with_attr_opt("node", i.node.as_deref())
                .with_attr_opt("name", i.name.as_deref())
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forms::FormType;

    #[test]
    fn answers_come_back_the_same() {
        let info = Info {
            node: Some("n".into()),
            identities: vec![Identity::new("server", "im", Some("north")), Identity::new("pubsub", "pep", None)],
            features: vec![NS_INFO.into(), NS_ITEMS.into()],
            forms: vec![Form::of_type(FormType::Result, "urn:xmpp:http:upload:0").with("max-file-size", "5242880")],
        };
        assert_eq!(Info::parse(&info.to_element()), Ok(info.clone()));
        assert!(info.has_feature(NS_INFO) && !info.has_feature("urn:none"));
        assert!(info.has_identity("pubsub", "pep") && !info.has_identity("pubsub", "im"));
        assert_eq!(info.form("urn:xmpp:http:upload:0").and_then(|f| f.value("max-file-size")), Some("5242880"));
    }

    #[test]
    fn items_without_address_are_left_out() {
        let items = Items {
            node: None,
            items: vec![Item {
                jid: Jid::parse("upload.example.org").expect("an address"),
                node: Some("x".into()),
                name: Some("Files".into()),
            }],
        };
        let answer = items.to_element().with_child(Element::new("item", NS_ITEMS).with_attr("jid", "@"));
        assert_eq!(Items::parse(&answer), Ok(items));
    }

    #[test]
    fn half_an_answer_is_none() {
        let query = || Element::new("query", NS_INFO);
        assert!(Info::parse(&Element::new("query", NS_ITEMS)).is_err());
        assert!(Info::parse(&query().with_child(Element::new("feature", NS_INFO))).is_err());
        assert!(
            Info::parse(&query().with_child(Element::new("identity", NS_INFO).with_attr("category", "c"))).is_err()
        );
    }
}
