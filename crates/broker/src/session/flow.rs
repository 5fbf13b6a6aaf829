//! Stanzas to the client: sent, acknowledged, and the offline messages among them.

use xmpp::stream::StreamCondition;

use super::{ClientSession, InFlight, OfflineReading, Phase};
use crate::mailbox::{Claim, Delivery};
use crate::offline;

/// Offline messages that are sent before the first of them must have arrived.
const OFFLINE_BATCH: usize = 100;

impl ClientSession {
    /// Sends a stanza to the client.
    pub(super) fn send(&mut self, delivery: Delivery) {
        let Phase::Bound(bound) = &mut self.phase else { return };
        let Delivery { frame, claim, .. } = delivery;
        if !self.stream.send(&frame) {
            // the stream is over: whoever closes the session finds it another place
            bound.in_flight.push_back(InFlight {
                claim,
                bytes: frame.len(),
                at: self.core.env.now(),
                frame: Some(frame),
            });
            return;
        }
        let bytes = frame.len();
        let kept = if bound.acks { None } else { Some(frame) };
        bound.in_flight.push_back(InFlight { claim, bytes, at: self.core.env.now(), frame: kept });
    }

    /// Sends a stanza that comes from this session itself and not out of the mailbox.
    pub(super) fn send_own(&mut self, frame: xmpp::xml::Frame) {
        if let Phase::Bound(bound) = &self.phase {
            let mailbox = &bound.handle.mailbox;
            mailbox.launched(1, frame.len());
            if mailbox.is_overdrawn() {
                // a client that makes us answer and never acknowledges (XEP-0198) must not fill the memory
                self.stream.fail(StreamCondition::ResourceConstraint);
            }
        }
        self.send(Delivery::new(frame));
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
        if bound.handle.mailbox.landed(count, bytes) {
            bound.offline = OfflineReading::UpTo(0); // it had overflowed into the offline store
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
        if let OfflineReading::UpTo(_) = bound.offline
            && bound.in_flight.is_empty()
        {
            Box::pin(self.read_offline()).await;
        }
    }

    /// Sends the next offline messages, unless another session of the account is at it.
    pub(super) async fn read_offline(&mut self) {
        let Phase::Bound(bound) = &mut self.phase else { return };
        if !bound.handle.takes_messages() || !self.core.registry.claim_offline(&bound.handle) {
            return;
        }
        let after = match bound.offline {
            OfflineReading::Idle => 0,
            OfflineReading::UpTo(seq) => seq,
        };
        // rows that are under way already are not sent twice
        let under_way = bound.in_flight.iter().filter_map(|sent| match sent.claim {
            Claim::Row(seq) => Some(seq),
            _ => None,
        });
        let after = under_way.max().unwrap_or(0).max(after);
        let account = bound.handle.jid.bare_str().to_owned();
        let bytes_max = self.core.config.limits.session_queue_bytes;
        let Ok(waiting) = offline::read(&self.core, &account, after, OFFLINE_BATCH, bytes_max).await else {
            // the store failed: they stay where they are, and the next sign-in finds them
            self.core.registry.release_offline(&bound.handle);
            bound.offline = OfflineReading::Idle;
            return;
        };
        let Some(last) = waiting.last().map(|w| w.seq) else {
            bound.offline = OfflineReading::Idle;
            let rows_under_way = bound.in_flight.iter().any(|sent| matches!(sent.claim, Claim::Row(_)));
            if rows_under_way {
                bound.offline = OfflineReading::UpTo(after); // look again when these have arrived
            } else {
                self.core.registry.release_offline(&bound.handle);
            }
            return;
        };
        bound.offline = OfflineReading::UpTo(last);
        bound.handle.mailbox.launched(waiting.len(), waiting.iter().map(|w| w.frame.len()).sum());
        for offline::Waiting { seq, frame } in waiting {
            self.send(Delivery::message(frame, Claim::Row(seq)));
        }
    }
}
