//! What crossed the network, inside TLS, and two questions about it: can anything be read, was any key used twice.

pub(crate) mod ratchets;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use client::output::HttpRequest;
use xmpp::time::Timestamp;

use crate::world::link::Kind;
use crate::world::{Crossing, Party};
use waxwing_tests::words;

/// How far around a message its story goes.
const LOOK_AROUND: Duration = Duration::from_secs(5);

/// Everything that was sent.
#[derive(Default)]
pub(crate) struct Record {
    pub(crate) crossings: Vec<Crossing>,
    /// What was asked for and uploaded over HTTPS.
    pub(crate) http: Vec<Vec<u8>>,
    /// The ids of messages that came back with an error. An error is not kept for somebody who is away (RFC 6121
    /// §8.5.2.2.4), so its receiver may never hear of it.
    pub(crate) returned: BTreeSet<String>,
    /// What went wrong when.
    pub(crate) troubles: Vec<(Timestamp, String)>,
}

impl Record {
    /// Notes what was sent.
    pub(crate) fn note(&mut self, crossing: &Crossing) {
        self.crossings.push(crossing.clone());
        if crossing.kind == Kind::Server {
            let stanzas = crate::stanzas::parse(&crossing.bytes, xmpp::ns::SERVER).unwrap_or_default();
            let errors = stanzas.iter().filter(|s| s.name() == "message" && s.attr("type") == Some("error"));
            self.returned.extend(errors.filter_map(|message| message.attr("id")).map(str::to_owned));
        }
    }

    pub(crate) fn note_http(&mut self, request: &HttpRequest) {
        self.http.push(request.url.clone().into_bytes());
        self.http.push(request.body.to_vec());
    }

    /// Tells the way of a message, and what went wrong around it, for whoever looks for the reason of a failure.
    pub(crate) fn story(&self, id: &str) -> String {
        let ways = self.crossings.iter().filter(|crossing| words::contains(&crossing.bytes, id.as_bytes()));
        let mut story: Vec<(Timestamp, String)> =
            ways.map(|crossing| (crossing.at, format!("{:?} -> {:?}", crossing.from, crossing.to))).collect();
        if let (Some((first, _)), Some((last, _))) = (story.first().cloned(), story.last().cloned()) {
            let near = |at: &Timestamp| *at + LOOK_AROUND >= first && *at <= last + LOOK_AROUND;
            story.extend(self.troubles.iter().filter(|(at, _)| near(at)).cloned());
        }
        story.sort();
        story.iter().map(|(at, what)| format!("{} {what}\n", at.as_millis() % 10_000_000)).collect()
    }

    /// Joins what each machine said to each other one, so that nothing is missed where bytes were sent in pieces.
    pub(crate) fn streams(&self) -> Vec<Vec<u8>> {
        let mut streams: BTreeMap<(Party, Party), Vec<u8>> = BTreeMap::new();
        for crossing in &self.crossings {
            streams.entry((crossing.from, crossing.to)).or_default().extend_from_slice(&crossing.bytes);
        }
        streams.into_values().collect()
    }

    /// Everything that the brokers could see.
    pub(crate) fn everything(&self) -> Vec<Vec<u8>> {
        let mut all = self.streams();
        all.extend(self.http.iter().cloned());
        all
    }

    /// What people's programs said to their brokers, stanza by stanza, as far as it is whole stanzas.
    pub(crate) fn said_by_people(&self) -> impl Iterator<Item = xmpp::xml::Element> {
        let said = self.crossings.iter().filter(|crossing| matches!(crossing.from, Party::Person(_)));
        said.flat_map(|crossing| crate::stanzas::parse(&crossing.bytes, xmpp::ns::CLIENT).unwrap_or_default())
    }
}
