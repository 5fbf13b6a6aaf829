//! Data forms: named fields with values, asked, submitted or told (XEP-0004).
//!
//! Knows the four types of form, fields with options, and `FORM_TYPE` (XEP-0068). Lacks: reported items of search
//! results, and layout: no part of us shows a foreign form.

use xmpp::jid::Jid;
use xmpp::xml::Element;

use crate::{Claim, Malformed, Status};

/// Namespace of data forms.
pub const NS: &str = "jabber:x:data";

/// Fields and types; not `<reported/>` and `<item/>`.
pub const CLAIM: Claim = Claim { xep: 4, version: "2.13.2", status: Status::Partial, features: &[NS] };

/// What a form is for (XEP-0004 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FormType {
    /// Asks to be filled in.
    Form,
    /// Is filled in.
    Submit,
    /// Withdraws.
    Cancel,
    /// Tells.
    Result,
}

impl FormType {
    const ALL: [Self; 4] = [Self::Form, Self::Submit, Self::Cancel, Self::Result];

    /// Returns the value of the `type` attribute.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Submit => "submit",
            Self::Cancel => "cancel",
            Self::Result => "result",
        }
    }
}

/// One field of a form (XEP-0004 §3.2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Field {
    /// Name; only `fixed` fields have none.
    pub var: Option<String>,
    /// `text-single` where the wire says nothing.
    pub field_type: Option<String>,
    /// Words for a person.
    pub label: Option<String>,
    /// Must be filled in.
    pub required: bool,
    /// Values in order.
    pub values: Vec<String>,
    /// Values to choose from, with their labels.
    pub options: Vec<(Option<String>, String)>,
}

impl Field {
    /// Makes a field with one value.
    #[must_use]
    pub fn new(var: impl Into<String>, value: impl Into<String>) -> Self {
        Self { var: Some(var.into()), values: vec![value.into()], ..Self::default() }
    }

    /// Makes a field to be filled in.
    #[must_use]
    pub fn ask(var: impl Into<String>, field_type: &str, label: &str) -> Self {
        Self {
            var: Some(var.into()),
            field_type: Some(field_type.to_owned()),
            label: Some(label.to_owned()),
            ..Self::default()
        }
    }

    /// Sets the type.
    #[must_use]
    pub fn with_type(mut self, field_type: &str) -> Self {
        self.field_type = Some(field_type.to_owned());
        self
    }

    /// Sets the value that a form proposes.
    #[must_use]
    pub fn with_value(mut self, value: impl Into<String>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Offers values to choose from.
    #[must_use]
    pub fn with_options(mut self, options: &[&str]) -> Self {
        self.options.extend(options.iter().map(|o| (None, (*o).to_owned())));
        self
    }

    /// Demands a value.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    fn parse(element: &Element) -> Self {
        let option = |o: &Element| Some((o.attr("label").map(str::to_owned), o.child_text("value", NS)?));
        Self {
            var: element.attr("var").map(str::to_owned),
            field_type: element.attr("type").map(str::to_owned),
            label: element.attr("label").map(str::to_owned),
            required: element.child("required", NS).is_some(),
            values: element.children().filter(|c| c.is("value", NS)).map(Element::text).collect(),
            options: element.children().filter(|c| c.is("option", NS)).filter_map(option).collect(),
        }
    }

    fn to_element(&self) -> Element {
        let value = |v: &String| Element::new("value", NS).with_text(v);
        let mut field = Element::new("field", NS)
            .with_attr_opt("var", self.var.as_deref())
            .with_attr_opt("type", self.field_type.as_deref())
            .with_attr_opt("label", self.label.as_deref());
        if self.required {
            field.push(Element::new("required", NS));
        }
        field.with_children(self.values.iter().map(value)).with_children(
            self.options.iter().map(|(label, v)| {
                Element::new("option", NS).with_attr_opt("label", label.as_deref()).with_child(value(v))
            }),
        )
    }
}

/// A form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// What it is for.
    pub form_type: FormType,
    /// Words for a person above the form.
    pub title: Option<String>,
    /// What a person should do.
    pub instructions: Vec<String>,
    /// The fields in order.
    pub fields: Vec<Field>,
}

impl Form {
    /// Makes an empty form.
    #[must_use]
    pub fn new(form_type: FormType) -> Self {
        Self { form_type, title: None, instructions: Vec::new(), fields: Vec::new() }
    }

    /// Makes a form whose `FORM_TYPE` says what the other fields mean (XEP-0068 §3).
    #[must_use]
    pub fn of_type(form_type: FormType, meaning: &str) -> Self {
        Self::new(form_type).with_field(Field::new("FORM_TYPE", meaning).with_type("hidden"))
    }

    /// Appends a field.
    #[must_use]
    pub fn with_field(mut self, field: Field) -> Self {
        self.fields.push(field);
        self
    }

    /// Appends a field with one value.
    #[must_use]
    pub fn with(self, var: &str, value: impl Into<String>) -> Self {
        self.with_field(Field::new(var, value))
    }

    /// Returns the field called `var`.
    #[must_use]
    pub fn field(&self, var: &str) -> Option<&Field> {
        self.fields.iter().find(|f| f.var.as_deref() == Some(var))
    }

    /// Returns the first value of the field called `var`.
    #[must_use]
    pub fn value(&self, var: &str) -> Option<&str> {
        self.field(var)?.values.first().map(String::as_str)
    }

    /// Returns the meaning that `FORM_TYPE` gives to the form.
    #[must_use]
    pub fn meaning(&self) -> Option<&str> {
        self.value("FORM_TYPE")
    }

    /// Returns the value of a boolean field (XEP-0004 §3.3).
    ///
    /// # Errors
    ///
    /// [`Malformed`] when the value is none of `0`, `1`, `false` and `true`.
    pub fn boolean(&self, var: &str) -> Result<Option<bool>, Malformed> {
        match self.value(var) {
            None => Ok(None),
            Some("1" | "true") => Ok(Some(true)),
            Some("0" | "false") => Ok(Some(false)),
            Some(_) => Err(Malformed("a boolean field holds no boolean")),
        }
    }

    /// Returns the addresses in a `jid-multi` field.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when a value is no address.
    pub fn jids(&self, var: &str) -> Result<Vec<Jid>, Malformed> {
        let values = self.field(var).map(|f| f.values.as_slice()).unwrap_or_default();
        values.iter().map(|v| Jid::parse(v).map_err(|_| Malformed("a field holds no address"))).collect()
    }

    /// Reads an `<x/>`.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when it is no form or of an unknown type.
    pub fn parse(element: &Element) -> Result<Self, Malformed> {
        if !element.is("x", NS) {
            return Err(Malformed("not a data form"));
        }
        // XEP-0004 §3.1 demands a type; some clients forget it where they fill a form in, and mean that
        let form_type = match element.attr("type") {
            None => Some(FormType::Submit),
            Some(text) => FormType::ALL.into_iter().find(|known| known.as_str() == text),
        };
        Ok(Self {
            form_type: form_type.ok_or(Malformed("a data form of unknown type"))?,
            title: element.child_text("title", NS),
            instructions: element.children().filter(|c| c.is("instructions", NS)).map(Element::text).collect(),
            fields: element.children().filter(|c| c.is("field", NS)).map(Field::parse).collect(),
        })
    }

    /// Reads the form inside another element, where there is one.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when there is an `<x/>` that is no form.
    pub fn inside(parent: &Element) -> Result<Option<Self>, Malformed> {
        parent.child("x", NS).map(Self::parse).transpose()
    }

    /// Writes the `<x/>`.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let text = |name: &'static str, words: &String| Element::new(name, NS).with_text(words);
        Element::new("x", NS)
            .with_attr("type", self.form_type.as_str())
            .with_children(self.title.iter().map(|t| text("title", t)))
            .with_children(self.instructions.iter().map(|i| text("instructions", i)))
            .with_children(self.fields.iter().map(Field::to_element))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_come_back_the_same() {
        let mut form = Form::of_type(FormType::Form, "urn:example:form")
            .with_field(Field::ask("name", "text-single", "Name").required())
            .with_field(
                Field::ask("access", "list-single", "Who").with_value("open").with_options(&["open", "whitelist"]),
            )
            .with("yes", "1");
        form.title = Some("Settings".to_owned());
        form.instructions.push("Fill in.".to_owned());
        assert_eq!(Form::parse(&form.to_element()), Ok(form.clone()));
        assert_eq!(form.meaning(), Some("urn:example:form"));
        assert_eq!(form.boolean("yes"), Ok(Some(true)));
        assert_eq!(form.boolean("no"), Ok(None));
        assert!(form.boolean("access").is_err());
        assert!(form.jids("access").is_ok_and(|j| j.len() == 1));
    }

    #[test]
    fn what_is_no_form_is_refused() {
        assert!(Form::parse(&Element::new("x", "jabber:x:oob")).is_err());
        assert_eq!(Form::parse(&Element::new("x", NS)).map(|form| form.form_type), Ok(FormType::Submit));
        assert!(Form::parse(&Element::new("x", NS).with_attr("type", "set")).is_err());
        assert_eq!(Form::inside(&Element::new("query", "q")), Ok(None));
    }
}
