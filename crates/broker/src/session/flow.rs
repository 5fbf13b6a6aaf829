//! Stanzas to the client: sent, acknowledged, and the offline messages among them.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use xmpp::stream::StreamCondition;

use super::{Bound, ClientSession, InFlight, OfflineReading, Phase};
use crate::budget::Held;
use crate::mailbox::{Claim, Delivery, Mail, Position};
use crate::offline;

/// Offline messages that are sent before the first of them must have arrived.
const OFFLINE_BATCH: usize = 100;

/// Bytes that are sent before the first of them must have arrived; one stanza may be larger. On a slow link more would lie
/// in buffers for longer than a client may take to answer, and the backlog would never drain.
const WINDOW_BYTES: usize = 64 * 1024;

/// The slowest link on which a client can still answer in time, in bytes per second.
const SLOWEST_LINK: usize = 1024;

impl ClientSession {
    /// Sends a stanza to the client.
    pub(super) fn send(&mut self, delivery: Delivery) {
        let Phase::Bound(bound) = &mut self.phase else { return };
        let Delivery { frame, claim, position, held, .. } = delivery;
        bound.sent_bytes += frame.len();
        if !self.stream.send(&frame) {
            // the stream is over: whoever closes the session finds it another place
            bound.in_flight.push_back(InFlight {
                claim,
                position,
                bytes: frame.len(),
                at: self.core.env.moment(),
                held,
                frame: Some(frame),
            });
            return;
        }
        let bytes = frame.len();
        let kept = if bound.acks { None } else { Some(frame) };
        let at = self.core.env.moment();
        bound.in_flight.push_back(InFlight { claim, position, bytes, at, held, frame: kept });
    }

    /// Sends a stanza that comes from this session itself and not out of the mailbox.
    pub(super) fn send_own(&mut self, frame: xmpp::xml::Frame) {
        let Phase::Bound(bound) = &self.phase else { return };
        let frame = frame.without_structure();
        let held = Held::charge_anyway(&bound.handle.by, &frame);
        let mailbox = &bound.handle.mailbox;
        mailbox.launched(1, frame.len());
        if mailbox.is_overdrawn() {
            // a client that makes us answer and never acknowledges (XEP-0198) must not fill the memory
            self.stream.fail(StreamCondition::ResourceConstraint);
        }
        self.send(Delivery::remote(frame, Claim::None, held, false));
    }

    /// Compares with the stream how many stanzas the client has acknowledged.
    pub(super) fn land_acknowledged(&mut self) {
        let Phase::Bound(bound) = &self.phase else { return };
        if bound.acks {
            let landed = bound.in_flight.len().saturating_sub(self.stream.unacked().0);
            if landed > 0 {
                self.land(landed);
            }
        }
    }

    /// The client has the oldest `count` stanzas for good.
    pub(super) fn land(&mut self, count: usize) {
        let Phase::Bound(bound) = &mut self.phase else { return };
        let mut bytes = 0;
        for landed in bound.in_flight.drain(..count.min(bound.in_flight.len())) {
            bytes += landed.bytes;
            let row = match landed.claim {
                Claim::None => None,
                Claim::Live(ticket) => ticket.arrived(),
                Claim::Row(seq) => Some(seq),
            };
            bound.done_rows.extend(row);
        }
        if bound.in_flight.is_empty() {
            bound.in_flight = std::collections::VecDeque::new(); // an idle session keeps no memory
        }
        bound.sent_bytes = bound.sent_bytes.saturating_sub(bytes);
        if bound.handle.mailbox.landed(count, bytes) {
            bound.looks_again = true; // it had overflowed into the offline store
        }
    }

    /// Deletes rows that the client has for good, and goes on reading the offline store when all of a batch is there.
    pub(super) async fn after_landing(&mut self) {
        let Phase::Bound(bound) = &mut self.phase else { return };
        if !bound.done_rows.is_empty() {
            let rows = std::mem::take(&mut bound.done_rows);
            // rows that could not be deleted are delivered once more, with the same ids
            let _ = Box::pin(offline::delete(&self.core, bound.handle.jid.bare_str(), &rows)).await;
        }
        let Phase::Bound(bound) = &mut self.phase else { return };
        if bound.offline != OfflineReading::Idle && bound.rows_under_way().next().is_none() {
            match bound.offline {
                OfflineReading::UpTo(after) => Box::pin(self.read_offline(after)).await,
                _ => {
                    bound.offline = OfflineReading::Idle;
                    self.core.registry.release_offline(&bound.handle);
                }
            }
        }
        self.send_deferred().await;
    }

    /// Sends a stanza, or keeps it back if it is a message and others come first (RFC 6120 §10.1). Questions and presence
    /// pass: a client that cannot ask until it has read everything cannot read it.
    pub(super) fn send_in_order(&mut self, delivery: Delivery) {
        let Phase::Bound(bound) = &mut self.phase else { return };
        if !delivery.is_message || (bound.deferred.is_empty() && bound.is_in_order()) {
            return self.send(delivery);
        }
        bound.defer(delivery);
    }

    /// Looks into the offline store if there may be something, and sends what was kept back when nothing is before it.
    pub(super) async fn send_deferred(&mut self) {
        while let Phase::Bound(bound) = &mut self.phase
            && bound.may_look()
        {
            bound.looks_again = false;
            if bound.handle.takes_messages() && self.core.registry.claim_offline(&bound.handle) {
                bound.offline = OfflineReading::UpTo(0);
                Box::pin(self.read_offline(0)).await;
            }
        }
        while let Phase::Bound(bound) = &mut self.phase
            && bound.is_in_order()
            && (bound.room() > 0 || bound.deferred.is_empty())
        {
            let Some(delivery) = bound.deferred.pop_front() else {
                bound.deferred = VecDeque::new(); // an idle session keeps no memory
                return;
            };
            self.send(delivery);
        }
    }

    /// Sends the next offline messages after row `after`, as many as there is room for, and among them what was kept back
    /// and comes before them.
    async fn read_offline(&mut self, after: u64) {
        // what comes before all rows that are left goes first, without reading these each time
        if !self.send_deferred_before(after.saturating_add(1)) {
            return;
        }
        let Some(waiting) = self.next_offline(after).await else { return self.end_reading() };
        for offline::Waiting { seq, frame } in waiting {
            let all_before = self.send_deferred_before(seq);
            let Phase::Bound(bound) = &mut self.phase else { return };
            if !all_before {
                bound.offline = OfflineReading::UpTo(seq.saturating_sub(1));
                return;
            }
            bound.offline = OfflineReading::UpTo(seq);
            bound.handle.mailbox.launched(1, frame.len());
            let held = Held::charge_anyway(&bound.handle.by, &frame);
            self.send(Delivery::message(frame, Claim::Row(seq), Position::default(), held));
        }
    }

    /// All rows have been sent.
    fn end_reading(&mut self) {
        let Phase::Bound(bound) = &mut self.phase else { return };
        if bound.rows_under_way().next().is_some() {
            bound.offline = OfflineReading::Sent;
        } else {
            bound.offline = OfflineReading::Idle;
            self.core.registry.release_offline(&bound.handle);
        }
    }

    /// Sends what was kept back and comes before a row, as far as there is room. Returns whether there is room for more.
    fn send_deferred_before(&mut self, seq: u64) -> bool {
        while let Phase::Bound(bound) = &mut self.phase
            && bound.room() > 0
        {
            let Some(earlier) = bound.deferred.pop_front_if(|deferred| deferred.position.after < seq) else {
                return true;
            };
            self.send(earlier);
        }
        false
    }

    /// Reads the next offline messages; `None` at the end. What the client gets anyway is passed over: rows that are under
    /// way, and live messages that were written besides.
    ///
    /// When the store fails it is the end too: they stay where they are, and the next sign-in finds them.
    async fn next_offline(&mut self, mut after: u64) -> Option<Vec<offline::Waiting>> {
        loop {
            let Phase::Bound(bound) = &self.phase else { return None };
            let account = bound.handle.jid.bare_str();
            let mut waiting = offline::read(&self.core, account, after, OFFLINE_BATCH, WINDOW_BYTES).await.ok()?;
            after = waiting.last()?.seq;
            self.defer_mail();
            let Phase::Bound(bound) = &self.phase else { return None };
            let under_way = bound.rows_to_pass_over();
            waiting.retain(|w| !under_way.contains(&w.seq));
            if !waiting.is_empty() {
                return Some(waiting);
            }
        }
    }

    /// Keeps back all messages in the mailbox. To be done after rows were read and before they are sent: whatever was sent
    /// before something that is in a row, by the same sender, and whatever is such a row itself, is there by then.
    pub(super) fn defer_mail(&mut self) {
        let Phase::Bound(bound) = &mut self.phase else { return };
        for mail in bound.handle.mailbox.take_messages() {
            match mail {
                Mail::Stanza(delivery) => bound.defer(delivery),
                Mail::Notice(_) => bound.looks_again = true,
            }
        }
    }
}

impl Bound {
    /// How much may be sent before something must have arrived.
    pub(super) fn room(&self) -> usize {
        WINDOW_BYTES.saturating_sub(self.sent_bytes)
    }

    /// How much longer than usual a client may take to answer, for what it has to read first.
    pub(super) fn patience(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.sent_bytes.saturating_mul(1000) / SLOWEST_LINK).unwrap_or(u64::MAX))
    }

    /// Whether no message has to wait for another.
    pub(super) fn is_in_order(&self) -> bool {
        self.heir_of.is_none() && !self.looks_again && !matches!(self.offline, OfflineReading::UpTo(_))
    }

    /// Whether the offline store is to be looked into now.
    fn may_look(&self) -> bool {
        let is_reading = matches!(self.offline, OfflineReading::UpTo(_));
        self.looks_again && self.heir_of.is_none() && !is_reading && self.room() > 0
    }

    /// Keeps a message back.
    fn defer(&mut self, delivery: Delivery) {
        // nearly always the last one; what a session before this one left behind comes before what was routed since
        let at = self.deferred.iter().rposition(|other| other.position.order <= delivery.position.order);
        self.deferred.insert(at.map_or(0, |at| at + 1), delivery);
    }

    /// Collects the rows that the client gets without their being read, or has for good.
    fn rows_to_pass_over(&self) -> HashSet<u64> {
        let done = self.done_rows.iter().copied();
        self.rows_under_way().chain(self.rows_of_live_messages()).chain(done).collect()
    }

    /// Lists the rows of live messages that the client gets or has got, and that were written for their senders' sake.
    fn rows_of_live_messages(&self) -> impl Iterator<Item = u64> {
        let claims = self.in_flight.iter().map(|sent| &sent.claim).chain(self.deferred.iter().map(|d| &d.claim));
        claims.filter_map(|claim| match claim {
            Claim::Live(ticket) => ticket.row(),
            _ => None,
        })
    }

    /// Lists the rows of the offline store that were sent and that the client does not have for good.
    fn rows_under_way(&self) -> impl Iterator<Item = u64> {
        self.in_flight.iter().filter_map(|sent| match sent.claim {
            Claim::Row(seq) => Some(seq),
            _ => None,
        })
    }
}
