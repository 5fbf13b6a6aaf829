//! Acknowledgements: who is responsible for a stanza (XEP-0198 §4).
//!
//! Two counters per direction and nothing else; resumption would keep these two values beyond the connection.

use std::collections::VecDeque;

use super::Misbehaviour;
use crate::ns;
use crate::stanza::Condition;
use crate::xml::{Element, Frame};

/// What can be wrong with an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AckError {
    /// `h` is missing or not an unsigned 32-bit number.
    NotANumber,
    /// More was acknowledged than was sent.
    HandledTooMany {
        /// What the peer says it handled.
        h: u32,
        /// What was sent.
        sent: u32,
    },
}

/// Reads the attribute `h`.
pub(super) fn parse_h(element: &Frame) -> Result<u32, AckError> {
    let text = element.attr("h").ok_or(AckError::NotANumber)?;
    // `parse` alone would take a leading plus sign
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or(AckError::NotANumber)
}

/// The answer to what cannot be switched on, or not now. Resumption is not offered, so who tries it is told to begin anew
/// (XEP-0198 §6).
pub(super) fn failed(request: &Frame) -> Result<Element, Misbehaviour> {
    let condition = match request.name() {
        "enable" => Condition::UnexpectedRequest,
        "resume" => Condition::FeatureNotImplemented,
        _ => return Err(Misbehaviour::UnexpectedElement),
    };
    Ok(Element::new("failed", ns::SM).with_child(Element::new(condition.as_str(), ns::STANZA_ERRORS)))
}

/// The stanzas that the peer has not acknowledged, each with what the caller wants to know about it.
#[derive(Debug)]
pub(super) struct Unacked<T> {
    queue: VecDeque<(T, Frame)>,
    /// The last `h`, modulo 2³².
    acked: u32,
    bytes: usize,
    /// Stanzas sent since an acknowledgement was last requested.
    unrequested: u32,
}

impl<T> Unacked<T> {
    pub(super) fn new() -> Unacked<T> {
        Unacked::starting_at(0)
    }

    fn starting_at(acked: u32) -> Unacked<T> {
        Unacked { queue: VecDeque::new(), acked, bytes: 0, unrequested: 0 }
    }

    pub(super) fn push(&mut self, tag: T, frame: Frame) {
        self.bytes = self.bytes.saturating_add(frame.len());
        self.unrequested = self.unrequested.saturating_add(1);
        self.queue.push_back((tag, frame));
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Stanzas sent since [`Unacked::requested`].
    pub(super) fn unrequested(&self) -> u32 {
        self.unrequested
    }

    /// An `<r/>` is being written.
    pub(super) fn requested(&mut self) {
        self.unrequested = 0;
    }

    /// Forgets the stanzas that the peer has handled, and returns their tags, oldest first.
    ///
    /// `h` counts stanzas handled since the stream was enabled, modulo 2³². A repeated `h` returns nothing.
    ///
    /// # Errors
    ///
    /// [`AckError::HandledTooMany`] when `h` is ahead of what was sent; the queue is unchanged.
    ///
    /// Source: XEP-0198 v1.6.3 §4, §6.
    pub(super) fn acknowledge(&mut self, h: u32) -> Result<Vec<T>, AckError> {
        let newly = h.wrapping_sub(self.acked) as usize; // the counter wraps, so never compare it with `<`
        if newly > self.queue.len() {
            let sent = self.acked.wrapping_add(self.queue.len() as u32);
            return Err(AckError::HandledTooMany { h, sent });
        }
        self.acked = h;
        let tags = self.queue.drain(..newly).map(|(tag, frame)| {
            self.bytes = self.bytes.saturating_sub(frame.len());
            tag
        });
        let tags = tags.collect();
        if self.queue.is_empty() {
            self.queue = VecDeque::new(); // an idle stream keeps no memory
        }
        Ok(tags)
    }

    pub(super) fn take(&mut self) -> Vec<(T, Frame)> {
        self.bytes = 0;
        std::mem::take(&mut self.queue).into()
    }
}

/// What we have received and what we have taken responsibility for.
///
/// Counts from the first stanza of the stream, so that a stanza received before acknowledgements were enabled and
/// handled afterwards is not mistaken for a later one.
#[derive(Debug, Default)]
pub(super) struct Handled {
    received: u64,
    handled: u64,
    /// What had been received when acknowledgements were enabled; `None` until then.
    enabled_at: Option<u64>,
    /// What had been received at the first and at the last question that is not answered. The last alone would move ahead
    /// of a busy stream for ever.
    asked_at: Option<(u64, u64)>,
}

impl Handled {
    pub(super) fn enable(&mut self) {
        self.enabled_at = Some(self.received);
    }

    pub(super) fn received_one(&mut self) {
        self.received += 1;
    }

    /// The caller is now responsible for `count` more; more than were received count as all.
    pub(super) fn handle(&mut self, count: u32) {
        self.handled = self.handled.saturating_add(count.into()).min(self.received);
    }

    /// The peer wants to know.
    pub(super) fn asked(&mut self) {
        let first = self.asked_at.map_or(self.received, |(first, _)| first);
        self.asked_at = Some((first, self.received));
    }

    /// The `h` to send, once everything received before the first open question has been handled. An answer before that would
    /// tell the peer nothing, and it might not ask again.
    pub(super) fn take_answer(&mut self) -> Option<u32> {
        let (first, last) = self.asked_at?;
        if self.handled < first {
            return None;
        }
        self.asked_at = (self.handled < last).then_some((last, last));
        Some(self.h())
    }

    /// The present `h`: stanzas handled since enabling, modulo 2³² (XEP-0198 §4).
    pub(super) fn h(&self) -> u32 {
        let since = self.handled.saturating_sub(self.enabled_at.unwrap_or(self.received));
        (since & u64::from(u32::MAX)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Frame {
        Frame::from_element(&Element::new("message", ns::CLIENT), ns::CLIENT)
    }

    #[test]
    fn acknowledges_in_order_and_once() {
        let mut unacked = Unacked::new();
        for id in 0..5 {
            unacked.push(id, frame());
        }
        assert_eq!((unacked.len(), unacked.bytes(), unacked.unrequested()), (5, 50, 5));
        assert_eq!(unacked.acknowledge(2).unwrap(), [0, 1]);
        assert_eq!(unacked.acknowledge(2).unwrap(), [] as [i32; 0]);
        assert_eq!(unacked.bytes(), 30);
        assert_eq!(unacked.acknowledge(6), Err(AckError::HandledTooMany { h: 6, sent: 5 }));
        assert_eq!(unacked.acknowledge(1), Err(AckError::HandledTooMany { h: 1, sent: 5 }));
        let left: Vec<i32> = unacked.take().into_iter().map(|(id, _)| id).collect();
        assert_eq!(left, [2, 3, 4]);
        assert_eq!(unacked.bytes(), 0);
    }

    #[test]
    fn counters_wrap_at_two_to_the_32() {
        let mut unacked = Unacked::starting_at(u32::MAX - 1);
        for id in 0..4 {
            unacked.push(id, frame());
        }
        assert_eq!(unacked.acknowledge(u32::MAX).unwrap(), [0]);
        assert_eq!(unacked.acknowledge(1).unwrap(), [1, 2]);
        assert_eq!(unacked.acknowledge(3), Err(AckError::HandledTooMany { h: 3, sent: 2 }));
        assert_eq!(unacked.acknowledge(2).unwrap(), [3]);

        let before = u64::from(u32::MAX);
        let mut handled = Handled { received: before, handled: before, enabled_at: Some(0), asked_at: None };
        assert_eq!(handled.h(), u32::MAX);
        handled.received_one();
        handled.received_one();
        handled.asked();
        assert_eq!(handled.take_answer(), None);
        handled.handle(2);
        assert_eq!(handled.take_answer(), Some(1));
    }

    #[test]
    fn what_came_before_enabling_is_not_counted() {
        let mut handled = Handled::default();
        handled.received_one();
        handled.enable();
        handled.received_one();
        handled.asked();
        handled.handle(1);
        assert_eq!((handled.take_answer(), handled.h()), (None, 0));
        handled.handle(1);
        assert_eq!(handled.take_answer(), Some(1));
    }

    #[test]
    fn an_answer_waits_for_what_was_received_before_the_question() {
        let mut handled = Handled::default();
        handled.enable();
        handled.asked();
        assert_eq!(handled.take_answer(), Some(0));
        handled.received_one();
        handled.received_one();
        handled.asked();
        handled.received_one();
        handled.handle(1);
        assert_eq!(handled.take_answer(), None);
        handled.handle(1);
        assert_eq!((handled.take_answer(), handled.take_answer()), (Some(2), None));
        handled.handle(100);
        assert_eq!(handled.h(), 3);
    }

    /// On a stream that never rests there is always something unhandled at the last question.
    #[test]
    fn a_busy_stream_is_answered_all_the_same() {
        let mut handled = Handled::default();
        handled.enable();
        handled.received_one();
        for before in 1..10 {
            handled.asked();
            handled.received_one();
            handled.asked();
            handled.handle(1);
            assert_eq!(handled.take_answer(), Some(before));
        }
        handled.handle(1);
        assert_eq!((handled.take_answer(), handled.take_answer()), (Some(10), None));
    }

    #[test]
    fn only_plain_numbers_are_counts() {
        let h = |value: Option<&str>| {
            let element = Element::new("a", ns::SM).with_attr_opt("h", value);
            parse_h(&Frame::from_element(&element, ns::CLIENT))
        };
        assert_eq!((h(Some("0")), h(Some("4294967295"))), (Ok(0), Ok(u32::MAX)));
        for wrong in [None, Some(""), Some("-1"), Some("+1"), Some("4294967296"), Some("x"), Some(" 1")] {
            assert_eq!(h(wrong), Err(AckError::NotANumber));
        }
    }
}
