//! [`Route`]: what is on its way to one remote domain, and who makes us go there; [`Question`]s about dialback keys.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};

use xmpp::stream::s2s::{DialbackKey, DialbackVerdict, DialbackVerify};

use super::source::{Origin, Sources};
use super::{Pair, lock};
use crate::Core;
use crate::budget::Charge;
use crate::environment::Wake;
use crate::mailbox::{Bounds, Mailbox};

/// What is on its way to one remote domain, whether or not there is a connection yet.
pub(crate) struct Route {
    pub(crate) mailbox: Arc<Mailbox>,
    /// Where the mailbox's wake leads: to who dials, then to the session.
    wake: Arc<Mutex<Option<Wake>>>,
    /// Dialback keys to ask the peer about.
    questions: Mutex<Vec<Question>>,
    /// Those who have asked for it. When they are gone and nothing was ever sent, nobody needs the connection.
    askers: Mutex<Vec<Weak<Verdicts>>>,
    is_for_stanzas: AtomicBool,
    sources: Sources,
    /// The dial, while it is under way.
    dial: Mutex<Option<Charge>>,
    /// The connection, from the wish for it to its end.
    _descriptor: Charge,
}

impl Route {
    pub(super) fn new(core: &Core, sources: Sources, descriptor: Charge) -> Self {
        let slot: Arc<Mutex<Option<Wake>>> = Arc::default();
        let for_mailbox = Arc::clone(&slot);
        let wake: Wake = Arc::new(move || {
            let session = lock(&for_mailbox).clone();
            if let Some(wake) = session {
                wake();
            }
        });
        let limits = &core.config.limits;
        let bounds = Bounds { count: limits.server_queue_count, bytes: limits.server_queue_bytes };
        Self {
            mailbox: Arc::new(Mailbox::new(wake, bounds)),
            wake: slot,
            questions: Mutex::default(),
            askers: Mutex::default(),
            is_for_stanzas: AtomicBool::new(false),
            sources,
            dial: Mutex::default(),
            _descriptor: descriptor,
        }
    }

    pub(super) fn set_wake(&self, wake: Wake) {
        *lock(&self.wake) = Some(wake);
    }

    pub(super) fn poke(&self) {
        let session = lock(&self.wake).clone();
        if let Some(wake) = session {
            wake();
        }
    }

    /// Begins to dial, if the budget lets it.
    pub(super) fn begin_dial(&self) -> bool {
        // looked at first: a turn that has not come is no refusal
        let charge = if self.sources.may_dial() { self.sources.charge_dial().ok() } else { None };
        let is_begun = charge.is_some();
        *lock(&self.dial) = charge;
        is_begun
    }

    pub(super) fn end_dial(&self) {
        lock(&self.dial).take();
    }

    /// Notes that something of ours is to be sent there. Called under the lock of all routes, so that none is dropped for
    /// want of askers meanwhile.
    pub(super) fn keep(&self, is_for_stanzas: bool) {
        self.is_for_stanzas.fetch_or(is_for_stanzas, Ordering::AcqRel);
    }

    pub(super) fn ask(&self, question: Question) {
        let mut askers = lock(&self.askers);
        askers.retain(|asker| asker.strong_count() > 0);
        askers.push(Weak::clone(&question.answer_to));
        drop(askers);
        lock(&self.questions).push(question);
        self.poke();
    }

    /// Takes the questions that somebody still waits for.
    pub(super) fn take_questions(&self) -> Vec<Question> {
        let mut questions = std::mem::take(&mut *lock(&self.questions));
        questions.retain(Question::is_awaited);
        questions
    }

    /// Whether anybody needs the connection: something was to be sent, or who asked is still there.
    pub(super) fn is_wanted(&self) -> bool {
        self.is_for_stanzas.load(Ordering::Acquire) || lock(&self.askers).iter().any(|asker| asker.strong_count() > 0)
    }
}

/// A dialback key that somebody presented, to be checked with the authoritative server.
pub(crate) struct Question {
    pub(super) claim: DialbackKey,
    /// Gone when the connection is on which the key was presented: then nobody wants to know.
    pub(super) answer_to: Weak<Verdicts>,
    pub(super) origin: Arc<Origin>,
}

impl Question {
    pub(super) fn request(&self) -> DialbackVerify {
        DialbackVerify {
            from: self.claim.to.clone(),
            to: self.claim.from.clone(),
            id: self.claim.stream_id.clone(),
            key: self.claim.key.clone(),
        }
    }

    fn is_awaited(&self) -> bool {
        self.answer_to.strong_count() > 0
    }

    pub(super) fn answer(self, verdict: DialbackVerdict) {
        if let Some(verdicts) = self.answer_to.upgrade() {
            verdicts.put(self.claim, verdict);
        }
    }
}

/// Where the answers for one inbound session arrive, and what it has asked for: its questions end with it.
pub(crate) struct Verdicts {
    answers: Mutex<Vec<(DialbackKey, DialbackVerdict)>>,
    wake: Wake,
}

impl Verdicts {
    pub(super) fn new(wake: Wake) -> Self {
        Self { answers: Mutex::default(), wake }
    }

    fn put(&self, claim: DialbackKey, verdict: DialbackVerdict) {
        lock(&self.answers).push((claim, verdict));
        (self.wake)();
    }

    pub(super) fn take(&self) -> Vec<(DialbackKey, DialbackVerdict)> {
        std::mem::take(&mut *lock(&self.answers))
    }
}

/// What one inbound session asks of other servers. Dropping it ends the questions that are open.
pub(super) struct Asker {
    core: Arc<Core>,
    verdicts: Option<Arc<Verdicts>>,
    origin: Arc<Origin>,
    /// The ways that were begun or used for it.
    pairs: Vec<Pair>,
}

impl Asker {
    pub(super) fn new(core: Arc<Core>, network: Option<&str>, wake: Wake) -> Self {
        let origin = Arc::new(Origin::new(&core, network));
        Self { core, verdicts: Some(Arc::new(Verdicts::new(wake))), origin, pairs: Vec::new() }
    }

    /// Has the authoritative server asked about a key.
    pub(super) fn ask(&mut self, claim: DialbackKey) {
        let Some(verdicts) = &self.verdicts else { return };
        let question = Question { claim, answer_to: Arc::downgrade(verdicts), origin: Arc::clone(&self.origin) };
        let pair = Pair::of_question(&question);
        if !self.pairs.contains(&pair) {
            self.pairs.push(pair);
        }
        self.core.federation.ask(&self.core, question);
    }

    /// Takes the answers that have come in.
    pub(super) fn take(&self) -> Vec<(DialbackKey, DialbackVerdict)> {
        self.verdicts.as_ref().map(|verdicts| verdicts.take()).unwrap_or_default()
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        self.verdicts = None; // before the ways are looked at: nobody waits for an answer any more
        for pair in &self.pairs {
            self.core.federation.drop_unwanted(pair);
        }
    }
}
