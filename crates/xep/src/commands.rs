//! Ad-hoc commands: small dialogues of forms (XEP-0050), as far as invitations need them.
//!
//! Knows one command with at most one form to fill in. Lacks: `prev` and `next`, notes beyond one line of text.

use xmpp::xml::Element;

use crate::forms::Form;
use crate::{Claim, Malformed, Status};

/// Namespace of ad-hoc commands, and the node under which service discovery lists them.
pub const NS: &str = "http://jabber.org/protocol/commands";

/// Commands of one or two steps.
pub const CLAIM: Claim = Claim { xep: 50, version: "1.3.0", status: Status::Partial, features: &[NS] };

/// What the requester wants (XEP-0050 §3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Action {
    /// Whatever comes next.
    #[default]
    Execute,
    /// Finish.
    Complete,
    /// Stop.
    Cancel,
}

/// One step of the requester.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Name of the command.
    pub node: String,
    /// Which dialogue it belongs to.
    pub session: Option<String>,
    /// What is wanted.
    pub action: Action,
    /// The form as it was filled in.
    pub form: Option<Form>,
}

impl Request {
    /// Starts a command.
    #[must_use]
    pub fn start(node: &str) -> Self {
        Self { node: node.to_owned(), session: None, action: Action::Execute, form: None }
    }

    /// Reads a `<command/>`.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when it is none, or asks for a step that we do not have.
    pub fn parse(command: &Element) -> Result<Self, Malformed> {
        if !command.is("command", NS) {
            return Err(Malformed("not a command"));
        }
        let action = match command.attr("action") {
            None | Some("execute") => Action::Execute,
            Some("complete" | "next") => Action::Complete,
            Some("cancel") => Action::Cancel,
            Some(_) => return Err(Malformed("a step that this command does not have")),
        };
        Ok(Self {
            node: command.attr("node").ok_or(Malformed("a command without name"))?.to_owned(),
            session: command.attr("sessionid").map(str::to_owned),
            action,
            form: Form::inside(command)?,
        })
    }

    /// Writes the `<command/>`.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let action = match self.action {
            Action::Execute => "execute",
            Action::Complete => "complete",
            Action::Cancel => "cancel",
        };
        Element::new("command", NS)
            .with_attr("node", self.node.as_str())
            .with_attr("action", action)
            .with_attr_opt("sessionid", self.session.as_deref())
            .with_children(self.form.as_ref().map(Form::to_element))
    }
}

/// How a dialogue stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Progress {
    /// A form is to be filled in.
    Executing,
    /// It is done.
    Completed,
    /// It was stopped.
    Canceled,
}

/// One step of the one who carries a command out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Name of the command.
    pub node: String,
    /// Which dialogue it belongs to.
    pub session: String,
    /// How it stands.
    pub progress: Progress,
    /// The form to fill in, or the result.
    pub form: Option<Form>,
}

impl Response {
    /// Reads a `<command/>`.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when it is no answer.
    pub fn parse(command: &Element) -> Result<Self, Malformed> {
        let progress = match command.attr("status").filter(|_| command.is("command", NS)) {
            Some("executing") => Progress::Executing,
            Some("completed") => Progress::Completed,
            Some("canceled") => Progress::Canceled,
            _ => return Err(Malformed("not the answer to a command")),
        };
        Ok(Self {
            node: command.attr("node").unwrap_or_default().to_owned(),
            session: command.attr("sessionid").unwrap_or_default().to_owned(),
            progress,
            form: Form::inside(command)?,
        })
    }

    /// Writes the `<command/>`.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let status = match self.progress {
            Progress::Executing => "executing",
            Progress::Completed => "completed",
            Progress::Canceled => "canceled",
        };
        let actions = (self.progress == Progress::Executing).then(|| {
            Element::new("actions", NS).with_attr("execute", "complete").with_child(Element::new("complete", NS))
        });
        Element::new("command", NS)
            .with_attr("node", self.node.as_str())
            .with_attr("sessionid", self.session.as_str())
            .with_attr("status", status)
            .with_children(actions)
            .with_children(self.form.as_ref().map(Form::to_element))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forms::FormType;

    #[test]
    fn both_sides_come_back_the_same() {
        for action in [Action::Execute, Action::Complete, Action::Cancel] {
            let form = Some(Form::new(FormType::Submit).with("a", "b"));
            let request = Request { action, session: Some("s".into()), form, ..Request::start("n") };
            assert_eq!(Request::parse(&request.to_element()), Ok(request));
        }
        for progress in [Progress::Executing, Progress::Completed, Progress::Canceled] {
            let response = Response { node: "n".into(), session: "s".into(), progress, form: None };
            assert_eq!(Response::parse(&response.to_element()), Ok(response));
        }
        assert!(Request::parse(&Element::new("command", NS)).is_err());
        assert!(Response::parse(&Request::start("n").to_element()).is_err());
    }
}
