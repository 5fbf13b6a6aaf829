//! What happens next: whatever can happen at once does, then the earliest parcel arrives or the earliest timer rings.

use std::time::Duration;

use broker::federation::DialFailure;
use broker::session::Then;
use bytes::Bytes;
use client::output::{ConnectFailure, ConnectPlan, HttpFailure, HttpOutcome, HttpRequest, Output, ServerIdentity};
use client::{Engine, EngineError};
use crypto::Random;
use crypto::random::SeededRandom;
use store::block_on;
use xmpp::stream::Transport;
use xmpp::time::Timestamp;

use super::link::{End, Kind, Link, LinkId, Parcel, Pipe, Session, facts, flag};
use super::site::{host_of, pin_of};
use super::{Crossing, Party, Tls, World};

/// A world that does so much without an end is broken.
const STEPS_MAX: u64 = 100_000;
/// When nothing happens for so long, everything has settled.
const QUIET: Duration = Duration::from_secs(2);

/// Where the next thing happens.
enum Next {
    Parcel(LinkId, usize),
    SessionTimer(LinkId, usize),
    EngineTimer(usize),
}

impl World {
    /// Lets everything happen that is under way.
    pub(crate) fn settle(&mut self) {
        let mut steps = 0;
        while self.step(self.now() + QUIET) {
            steps += 1;
            assert!(steps < STEPS_MAX, "the world does not come to rest");
        }
    }

    /// Lets time pass.
    pub(crate) fn advance(&mut self, by: Duration) {
        let end = self.now() + by;
        let mut steps = 0;
        while self.step(end) {
            steps += 1;
            assert!(steps < STEPS_MAX, "time does not pass");
        }
        self.clock.set(end);
    }

    /// Does the next thing, unless it is later than `until`.
    pub(crate) fn step(&mut self, until: Timestamp) -> bool {
        self.pump();
        let Some((at, next)) = self.next() else { return false };
        if at > until {
            return false;
        }
        // a timer that is set for a time that has passed rings a moment later, or time would stand still
        let at = if matches!(next, Next::Parcel(..)) { at } else { at.max(self.now() + Duration::from_millis(1)) };
        self.clock.set(at);
        match next {
            Next::Parcel(link, from) => self.arrive(link, from),
            Next::SessionTimer(link, end) => self.with_session(link, end, Session::handle_timeout),
            Next::EngineTimer(person) => {
                self.with_engine(person, |engine| block_on(engine.handle_timeout()));
            }
        }
        true
    }

    fn next(&self) -> Option<(Timestamp, Next)> {
        let mut first: Option<(Timestamp, Next)> = None;
        let mut offer = |at: Timestamp, next: Next| {
            if first.as_ref().is_none_or(|(best, _)| at < *best) {
                first = Some((at, next));
            }
        };
        for (id, link) in &self.links {
            for end in 0..2 {
                if let End::Broker { session, .. } = &link.ends[end]
                    && let Some(at) = session.next_timeout()
                {
                    offer(at, Next::SessionTimer(*id, end));
                }
                if let Some((at, _)) = link.pipes[end].parcels.front().filter(|_| !link.silent) {
                    let pause = match &link.ends[1 - end] {
                        End::Broker { session, .. } => session.read_pause(),
                        _ => None,
                    };
                    offer(pause.map_or(*at, |pause| pause.max(*at)), Next::Parcel(*id, end));
                }
            }
        }
        for (number, person) in self.people.iter().enumerate() {
            if let Some(at) = person.engine.as_ref().and_then(Engine::next_timeout) {
                offer(at, Next::EngineTimer(number));
            }
        }
        first
    }

    /// Does everything that needs no time.
    fn pump(&mut self) {
        let mut busy = true;
        while busy {
            busy = false;
            for person in 0..self.people.len() {
                busy |= self.pump_person(person);
            }
            for site in 0..self.sites.len() {
                busy |= self.dial(site);
            }
            let ids: Vec<LinkId> = self.links.keys().copied().collect();
            for id in ids {
                for end in 0..2 {
                    if self.links.get(&id).is_some_and(|link| link.ends[end].take_wake()) {
                        busy = true;
                        self.with_session(id, end, Session::handle_wake);
                    }
                }
            }
        }
        self.links.retain(|_, link| !link.ends.iter().all(End::is_gone));
    }

    fn pump_person(&mut self, person: usize) -> bool {
        let mut busy = false;
        while let Some(output) = self.people[person].engine.as_mut().and_then(Engine::poll_output) {
            busy = true;
            self.carry_out(person, output);
        }
        let who = &mut self.people[person];
        while let Some(event) = who.engine.as_mut().and_then(Engine::poll_event) {
            who.events.push(event);
        }
        busy
    }

    fn carry_out(&mut self, person: usize, output: Output) {
        match output {
            Output::Connect(plan) => self.connect(person, &plan),
            Output::Bytes(bytes) => {
                if let Some(link) = self.people[person].link {
                    self.send(link, 0, bytes);
                }
            }
            Output::StartTls => {
                if let Some(link) = self.people[person].link {
                    self.handshake(link);
                }
            }
            Output::Disconnect => {
                if let Some(link) = self.people[person].link.take() {
                    self.leave(link, 0);
                }
            }
            Output::Http(request) => {
                let (id, outcome) = (request.id, self.fetch(person, &request));
                self.people[person].requests.push(request);
                self.with_engine(person, |engine| block_on(engine.handle_http(id, outcome)));
            }
            Output::SaveFile(file) => {
                let id = file.id;
                self.people[person].saved.push(file);
                self.with_engine(person, |engine| block_on(engine.handle_saved(id, true)));
            }
            Output::AdvanceGeneration => {
                if self.people[person].advance_generation() {
                    self.with_engine(person, |engine| block_on(engine.handle_generation()));
                }
            }
            other => panic!("an output that the simulation does not know: {other:?}"),
        }
    }

    /// Lets an engine do something. One whose power fails is dead; one whose disk fails otherwise goes on.
    pub(super) fn with_engine<T>(&mut self, person: usize, job: impl FnOnce(&mut Engine) -> Result<T, EngineError>) {
        if let Some(engine) = self.people[person].engine.as_mut() {
            let _ = job(engine);
            self.check_power_of_person(person);
        }
    }

    pub(super) fn check_power_of_person(&mut self, person: usize) {
        if !self.people[person].disk.is_powered() {
            self.kill_person(person);
        }
    }

    /// Lets a session do something, and writes what it has to say, unless the power failed meanwhile.
    fn with_session(&mut self, id: LinkId, end: usize, job: impl FnOnce(&mut Session)) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let End::Broker { site, session, .. } = &mut link.ends[end] else { return };
        let site = *site;
        job(session);
        if self.sites[site].disk.is_powered() {
            self.write_out(id, end);
        }
        if !self.sites[site].disk.is_powered() {
            self.kill_site(site);
        }
    }

    fn write_out(&mut self, id: LinkId, end: usize) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let End::Broker { session, .. } = &mut link.ends[end] else { return };
        let (bytes, then) = session.take_output();
        if let Some(bytes) = bytes {
            session.handle_written();
            self.send(id, end, bytes);
        }
        match then {
            Then::Continue => {}
            // the side that accepted waits for the other one to begin
            Then::StartTls if end == 0 => self.handshake(id),
            Then::StartTls => {}
            Then::Close => self.leave(id, end),
        }
    }

    /// Puts bytes into the pipe: in pieces, and late, as the dice say.
    fn send(&mut self, id: LinkId, end: usize, bytes: Bytes) {
        let Some(link) = self.links.get(&id) else { return };
        let at = self.now();
        let crossing = Crossing { at, kind: link.kind, from: link.parties[end], to: link.parties[1 - end], bytes };
        self.record.note(&crossing);
        let mut bytes = match &mut self.tamper {
            Some(tamper) => tamper(&crossing),
            None => crossing.bytes.clone(),
        };
        self.tampered_count += u64::from(bytes != crossing.bytes);
        if bytes.len() > 1 && self.dice.once_in(4) {
            let first = bytes.split_to(1 + self.dice.index(bytes.len() - 1));
            self.push(id, end, Parcel::Bytes(first));
        }
        if !bytes.is_empty() {
            self.push(id, end, Parcel::Bytes(bytes));
        }
    }

    pub(super) fn push(&mut self, id: LinkId, end: usize, parcel: Parcel) {
        let jitter = self.dice.below(20);
        let now = self.now();
        if let Some(link) = self.links.get_mut(&id) {
            let at = now + Duration::from_millis(link.delay_ms + jitter);
            link.pipes[end].push(at, parcel);
        }
    }

    fn handshake(&mut self, id: LinkId) {
        self.push(id, 0, Parcel::Tls);
        self.push(id, 1, Parcel::Tls);
    }

    /// One end closes in order: the other hears of it after everything else.
    pub(super) fn leave(&mut self, id: LinkId, end: usize) {
        self.push(id, end, Parcel::End);
        if let Some(link) = self.links.get_mut(&id)
            && let End::Broker { session, .. } = std::mem::replace(&mut link.ends[end], End::Gone)
        {
            session.closed();
        }
    }

    /// The first parcel of the pipe that leads away from `from` arrives.
    fn arrive(&mut self, id: LinkId, from: usize) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let Some((_, parcel)) = link.pipes[from].parcels.pop_front() else { return };
        let to = 1 - from;
        let facts = link.facts(to);
        match (&link.ends[to], parcel) {
            (End::Gone, _) => {}
            (End::Person(person), parcel) => {
                let person = *person;
                match parcel {
                    Parcel::Bytes(bytes) => {
                        self.with_engine(person, |engine| block_on(engine.handle_bytes(&bytes)));
                    }
                    Parcel::Tls => self.with_engine(person, |engine| block_on(engine.handle_tls(facts))),
                    Parcel::End => {
                        link.ends[to] = End::Gone;
                        self.people[person].link = None;
                        self.with_engine(person, |engine| block_on(engine.handle_disconnected()));
                    }
                }
            }
            (End::Broker { .. }, Parcel::Bytes(bytes)) => {
                self.with_session(id, to, |session| session.handle_bytes(&bytes));
            }
            (End::Broker { .. }, Parcel::Tls) => self.with_session(id, to, |session| session.handle_tls(facts)),
            (End::Broker { site, .. }, Parcel::End) => {
                let site = *site;
                if let End::Broker { session, .. } = std::mem::replace(&mut link.ends[to], End::Gone) {
                    session.closed();
                }
                if !self.sites[site].disk.is_powered() {
                    self.kill_site(site);
                }
            }
        }
    }

    fn new_link(&mut self, kind: Kind, ends: [End; 2], shown: [Option<String>; 2], exporters: [[u8; 32]; 2]) -> LinkId {
        self.next_link += 1;
        let id = LinkId(self.next_link);
        let delay_ms = 1 + self.dice.below(80);
        let pipes = [Pipe::default(), Pipe::default()];
        let parties = [ends[0].party(), ends[1].party()];
        self.links.insert(id, Link { kind, ends, parties, pipes, exporters, shown, delay_ms, silent: false });
        id
    }

    /// What the two ends derive from their handshake: the same, unless somebody sits between them.
    fn exporters(&mut self) -> [[u8; 32]; 2] {
        let random = SeededRandom::new(self.dice.below(u64::MAX));
        let mut exporters = [[0; 32]; 2];
        random.fill(&mut exporters[0]);
        exporters[1] = exporters[0];
        if self.interceptor {
            random.fill(&mut exporters[1]);
        }
        exporters
    }

    fn is_direct(&mut self) -> bool {
        match self.tls {
            Tls::Any => self.dice.once_in(2),
            Tls::Direct => true,
            Tls::Upgraded => false,
        }
    }

    fn connect(&mut self, person: usize, plan: &ConnectPlan) {
        let site = self.site_by_domain(&plan.domain);
        let known = site.is_some() && plan.addresses.iter().all(|at| at.host == host_of(&plan.domain));
        let reachable = site.filter(|site| {
            self.sites[*site].broker.is_some() && !self.is_parted(Party::Person(person), Party::Site(*site))
        });
        let failure = match reachable {
            _ if !known => ConnectFailure::NoSuchServer,
            None => ConnectFailure::Unreachable,
            Some(site) if plan.identity == ServerIdentity::Pin(pin_of(&plan.domain)) => {
                return self.connect_to(person, site);
            }
            Some(_) => ConnectFailure::NotTrusted,
        };
        self.with_engine(person, |engine| block_on(engine.handle_connect_failed(failure)));
    }

    fn connect_to(&mut self, person: usize, site: usize) {
        if let Some(old) = self.people[person].link.take() {
            self.leave(old, 0);
        }
        let (direct, exporters) = (self.is_direct(), self.exporters());
        let domain = self.sites[site].domain.clone();
        let transport = |exporter, peer: Option<&str>| match direct {
            true => Transport::Tls(facts(exporter, peer, Some(&domain))),
            false => Transport::Plain,
        };
        let (woken, wake) = flag();
        let Some(broker) = &self.sites[site].broker else { return };
        let session = Session::Client(Box::new(broker.accept_client(transport(exporters[1], None), wake)));
        let ends = [End::Person(person), End::broker(site, session, woken)];
        let id = self.new_link(Kind::Client, ends, [None, Some(domain.clone())], exporters);
        self.people[person].link = Some(id);
        let transport = match direct {
            true => Transport::Tls(facts(exporters[0], Some(&domain), Some(&domain))),
            false => Transport::Plain,
        };
        self.with_engine(person, |engine| block_on(engine.handle_connected(transport)));
    }

    /// Makes the connections that a broker asks for.
    fn dial(&mut self, from: usize) -> bool {
        let mut busy = false;
        while let Some(request) = self.sites[from].broker.as_ref().and_then(broker::Broker::poll_dial) {
            busy = true;
            let to = self.site_by_domain(request.domain());
            let to = to
                .filter(|to| self.sites[*to].broker.is_some() && !self.is_parted(Party::Site(from), Party::Site(*to)));
            let (direct, exporters) = (self.is_direct(), self.exporters());
            let Some(broker) = self.sites[from].broker.clone() else { return true };
            let Some(to) = to else {
                broker.dial_failed(&request, DialFailure::Timeout);
                continue;
            };
            let domains = [self.sites[from].domain.clone(), self.sites[to].domain.clone()];
            let transport = |end: usize| match direct {
                true => Transport::Tls(facts(exporters[end], Some(&domains[1 - end]), Some(&domains[1]))),
                false => Transport::Plain,
            };
            let (near, near_wake) = flag();
            let (far, far_wake) = flag();
            let Some(accepting) = &self.sites[to].broker else { return true };
            let Some(outbound) = broker.dialled(&request, transport(0), near_wake) else { continue };
            let inbound = accepting.accept_server(transport(1), far_wake);
            let ends =
                [End::broker(from, Session::Server(outbound), near), End::broker(to, Session::Server(inbound), far)];
            self.new_link(Kind::Server, ends, domains.clone().map(Some), exporters);
        }
        busy
    }

    /// Carries out a request over HTTPS, as the program around an engine would.
    fn fetch(&mut self, person: usize, request: &HttpRequest) -> HttpOutcome {
        let host = request.url.strip_prefix("https://").and_then(|rest| rest.split(['/', ':']).next());
        let site = host.and_then(|host| host.strip_prefix("upload.")).and_then(|domain| self.site_by_domain(domain));
        let Some(site) = site.filter(|site| !self.is_parted(Party::Person(person), Party::Site(*site))) else {
            return HttpOutcome::Failed(HttpFailure::Network);
        };
        if request.identity != ServerIdentity::Pin(pin_of(&self.sites[site].domain)) {
            return HttpOutcome::Failed(HttpFailure::NotTrusted);
        }
        self.record.note_http(request);
        let served = self.sites[site].serve(request);
        if !self.sites[site].disk.is_powered() {
            self.kill_site(site);
            return HttpOutcome::Failed(HttpFailure::Network);
        }
        match served {
            Some((_, body)) if body.len() as u64 > request.response_bytes_max => {
                HttpOutcome::Failed(HttpFailure::TooLarge)
            }
            Some((status, body)) => HttpOutcome::Response { status, body },
            None => HttpOutcome::Failed(HttpFailure::Network),
        }
    }
}
