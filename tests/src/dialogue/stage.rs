//! Playing a script: who is connected, and each step in turn.

use std::collections::BTreeMap;

use xmpp::ns;
use xmpp::xml::Element;

use super::Subject;
use super::pattern::Kept;
use super::person::Person;
use super::script::{Act, Script, Step};
use crate::raw::{RawClient, SignIn, try_parse};

/// The password of everybody.
const PASSWORD: &str = "a long enough password";

/// Plays a script; `number` keeps its accounts apart from those of other scripts on the same server.
pub(super) async fn play(script: &Script, subject: &Subject, number: usize) -> Result<(), String> {
    let mut stage = Stage { subject, number, people: BTreeMap::new(), kept: Kept::new() };
    for person in &script.people {
        let user = stage.user(person);
        RawClient::register(&subject.server, &user, PASSWORD, None).await.close().await;
    }
    for step in &script.steps {
        stage.step(step).await.map_err(|why| format!("line {}, {}: {why}", step.line, step.who))?;
    }
    Ok(())
}

struct Stage<'a> {
    subject: &'a Subject,
    number: usize,
    people: BTreeMap<String, Person>,
    kept: Kept,
}

impl Stage<'_> {
    async fn step(&mut self, step: &Step) -> Result<(), String> {
        match &step.act {
            Act::Do(what) => self.act(&step.who, what).await,
            Act::Send(text) => {
                let text = self.fill(text)?;
                self.person(&step.who)?.send(&text).await;
                Ok(())
            }
            Act::Expect(text) => {
                let pattern = self.pattern(text)?;
                let person = self.people.get_mut(&step.who).ok_or("is not connected")?;
                let got = person.expect(&pattern, &mut self.kept).await;
                got.map(drop).map_err(|why| format!("expected {}\n  {why}", pattern.to_xml(ns::CLIENT)))
            }
            Act::Absent(text) => {
                let pattern = self.pattern(text)?;
                self.settle().await?;
                self.person(&step.who)?.absent(&pattern)
            }
        }
    }

    async fn act(&mut self, who: &str, what: &str) -> Result<(), String> {
        let (verb, argument) = what.split_once(' ').unwrap_or((what, PASSWORD));
        match verb {
            "connect" => {
                let person = Person::connect(&self.subject.server).await?;
                self.people.insert(who.to_owned(), person);
            }
            "login" | "online" => {
                let (user, resource) = who.split_once('/').unwrap_or((who, ""));
                let resource = resource.split('@').next().unwrap_or_default();
                let mut person = Person::login(&self.subject.server, &self.user(user), argument, resource).await;
                if verb == "online" {
                    let own = person.jid.as_ref().map(|jid| jid.as_str().to_owned()).unwrap_or_default();
                    person.send("<presence/>").await;
                    let echo = Element::new("presence", ns::CLIENT).with_attr("from", own);
                    person.expect(&echo, &mut self.kept).await?;
                }
                self.people.insert(who.to_owned(), person);
            }
            "refused" => {
                let user = self.user(who.split_once('/').map_or(who, |(user, _)| user));
                let how = SignIn::default();
                if RawClient::try_login(&self.subject.server, &user, argument, &how).await.is_ok() {
                    return Err("could sign in".into());
                }
            }
            "logout" => {
                let mut person = self.people.remove(who).ok_or("is not connected")?;
                person.send("</stream:stream>").await;
                person.closed().await?;
                self.settle().await?;
            }
            "vanish" => drop(self.people.remove(who).ok_or("is not connected")?),
            "closed" => {
                self.person(who)?.closed().await?;
                self.people.remove(who);
            }
            _ => return Err(format!("nobody knows how to {verb:?}")),
        }
        Ok(())
    }

    /// Lets every stanza that is under way inside the server arrive: two rounds, because an answer may cause another.
    async fn settle(&mut self) -> Result<(), String> {
        for _ in 0..2 {
            for person in self.people.values_mut().filter(|person| person.jid.is_some()) {
                person.settle().await?;
            }
        }
        Ok(())
    }

    fn person(&mut self, who: &str) -> Result<&mut Person, String> {
        self.people.get_mut(who).ok_or_else(|| "is not connected".to_owned())
    }

    fn user(&self, person: &str) -> String {
        format!("{person}{}", self.number)
    }

    fn pattern(&self, text: &str) -> Result<Element, String> {
        let text = self.fill(text)?;
        let frames = try_parse(&text).map_err(|e| format!("the pattern is no XML: {e}: {text}"))?;
        frames.first().map(xmpp::xml::Frame::to_element).ok_or_else(|| format!("the pattern is incomplete: {text}"))
    }

    /// Replaces addresses and kept values; what only patterns know stays.
    fn fill(&self, text: &str) -> Result<String, String> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (word, after) = after.split_once('}').ok_or("a brace is not closed")?;
            out.push_str(before);
            out.push_str(&self.meaning(word)?);
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }

    fn meaning(&self, word: &str) -> Result<String, String> {
        let domain = &self.subject.server.domain;
        if matches!(word, "any" | "none") || word.starts_with("is ") || word.starts_with("keep ") {
            return Ok(format!("{{{word}}}"));
        }
        if word == "domain" {
            return Ok(domain.clone());
        }
        if let Some(name) = word.strip_prefix("kept ") {
            return self.kept.get(name).cloned().ok_or_else(|| format!("nothing was kept as {name}"));
        }
        if let Some(person) = word.strip_prefix("user ") {
            return Ok(self.user(person));
        }
        if let Some((unit, count)) = word.split_once('*') {
            return Ok(unit.repeat(count.parse().map_err(|_| format!("{count} is no number"))?));
        }
        Ok(match word.split_once('/') {
            Some((user, resource)) => format!("{}@{domain}/{resource}", self.user(user)),
            None => format!("{}@{domain}", self.user(word)),
        })
    }
}
