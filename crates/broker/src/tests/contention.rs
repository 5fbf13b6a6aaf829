//! Fifty at once at the same rows: nobody is refused, and nobody's change is lost.
//!
//! Everything here runs on a store whose every access to the disk waits once, and all futures take their steps in turn.
//! So each of fifty reads before any of them commits, which is the worst that can happen to optimistic commits, and
//! happens every time.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crypto::Secret;
use crypto::random::SeededRandom;
use crypto::seal::{InstanceId, MasterKey};
use store::backend::memory::MemoryBackend;
use store::backend::{Backend, BackendError, Batch, BoxFuture, KeyRange, Row};
use store::{Store, StoreError};
use xmpp::jid::{BareJid, Jid};
use xmpp::stanza::StanzaError;
use xmpp::xml::{Element, Frame};

use crate::offline::{self, Kept, parse_stanza};
use crate::tables::{ACCOUNTS, ACCOUNTS_OWNER, AccountRow};
use crate::testing::ManualClock;
use crate::{Broker, BrokerConfig, Environment, IqKind, IqOutcome, IqRequest, IqTarget};

/// How many come at once: more than any number of tries that used to be thought enough.
const MANY: usize = 50;
const BOB: &str = "bob@north.example";

/// A disk that lets others go first, once for each access.
struct Slow(MemoryBackend);

/// Waits once.
async fn step_back() {
    let mut waited = false;
    poll_fn(|_| if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

impl Backend for Slow {
    fn get<'a>(&'a self, key: &'a [u8]) -> BoxFuture<'a, Result<Option<Vec<u8>>, BackendError>> {
        Box::pin(async move {
            step_back().await;
            self.0.get(key).await
        })
    }

    fn scan(&self, range: KeyRange, limit: u32) -> BoxFuture<'_, Result<Vec<Row>, BackendError>> {
        Box::pin(async move {
            step_back().await;
            self.0.scan(range, limit).await
        })
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'_, Result<(), BackendError>> {
        Box::pin(async move {
            step_back().await;
            self.0.commit(batch).await
        })
    }
}

/// A broker on a slow disk, which is returned too.
fn broker() -> (Broker, MemoryBackend) {
    let disk = MemoryBackend::new();
    let random = Arc::new(SeededRandom::new(1));
    let opening =
        Store::open(Arc::new(Slow(disk.clone())), MasterKey::new(Secret::new([3; 32])), InstanceId([4; 16]), {
            Arc::clone(&random) as _
        });
    let store = one(opening).expect("a store in memory opens");
    let mut config = BrokerConfig::new("north.example");
    config.upload.web_base = Some("https://north.example".into());
    config.invites.per_day = 1000;
    let broker = Broker::new(config, store, Environment::new(Arc::new(ManualClock::new()), random));
    let row = AccountRow { jid: BOB.into(), ..AccountRow::default() };
    let mut transaction = broker.store.transaction();
    transaction.put(&ACCOUNTS.row(ACCOUNTS_OWNER, BOB.as_bytes()), prost::Message::encode_to_vec(&row));
    one(transaction.commit()).expect("it takes a row");
    (broker, disk)
}

/// Runs futures at once, one step of each in turn.
fn all<T>(futures: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut running: Vec<Pin<Box<_>>> = futures.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<T>> = running.iter().map(|_| None).collect();
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..100_000 {
        for (future, done) in running.iter_mut().zip(&mut done).filter(|(_, done)| done.is_none()) {
            if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
                *done = Some(value);
            }
        }
        if done.iter().all(Option::is_some) {
            return done.into_iter().flatten().collect();
        }
    }
    panic!("they never end");
}

fn one<T>(future: impl Future<Output = T>) -> T {
    all([future]).pop().expect("one future, one value")
}

fn element(xml: &str) -> Element {
    parse_stanza(xml.as_bytes()).expect("the test writes a stanza").to_element()
}

fn message(n: usize) -> Frame {
    let text = format!("<message from='s{n}@south.example/x' id='{n}'><body>{n}</body></message>");
    parse_stanza(text.as_bytes()).expect("a message")
}

/// Asks the broker as an IQ would.
async fn ask(broker: &Broker, from: &str, target: IqTarget, kind: IqKind, payload: &str) -> Result<(), StanzaError> {
    let (from, payload) = (Jid::parse(from).expect("an address"), element(payload));
    let is_local = from.domainpart() == "north.example";
    let request = IqRequest { from: &from, is_local, target, kind, id: "1", payload: &payload };
    match crate::iq::dispatch(broker, &request).await {
        IqOutcome::Result(_) => Ok(()),
        IqOutcome::Error(error) => Err(error),
        IqOutcome::NotMine => panic!("nobody answers"),
    }
}

fn bob() -> IqTarget {
    IqTarget::Account(BareJid::parse(BOB).expect("an address"))
}

#[test]
fn x18_many_who_write_to_one_who_is_away_are_all_kept_in_few_commits() {
    let (broker, disk) = broker();
    let before = disk.commit_count();
    let kept = all((0..MANY).map(|n| {
        let broker = broker.clone();
        async move { offline::keep(&broker, BOB, &message(n)).await }
    }));
    assert!(kept.iter().all(|kept| matches!(kept, Ok(Kept::Row(_)))), "{kept:?}");
    assert!(disk.commit_count() - before < 10, "{} commits", disk.commit_count() - before);
    let waiting = one(offline::read(&broker, BOB, 0, usize::MAX, usize::MAX)).expect("it is readable");
    let ids: Vec<_> = waiting.iter().filter_map(|w| w.frame.attr("id")).map(|id| id.parse::<usize>()).collect();
    assert_eq!(ids.len(), MANY);
    assert!(ids.is_sorted_by(|a, b| matches!((a, b), (Ok(a), Ok(b)) if a < b)), "first come, first served");
    // each is deleted on its own, while others write
    let rows: Vec<u64> = waiting.iter().map(|w| w.seq).collect();
    let changed = all(rows.into_iter().map(|row| {
        let broker = broker.clone();
        async move {
            let (kept, deleted) = (offline::keep(&broker, BOB, &message(1)).await, [row]);
            (kept, offline::delete(&broker, BOB, &deleted).await, offline::delete(&broker, BOB, &deleted).await)
        }
    }));
    assert!(changed.iter().all(|c| matches!(c, (Ok(Kept::Row(_)), Ok(()), Ok(())))), "{changed:?}");
    let waiting = one(offline::read(&broker, BOB, 0, usize::MAX, usize::MAX)).expect("it is readable");
    assert_eq!(waiting.len(), MANY);
    let rows: Vec<u64> = waiting.iter().map(|w| w.seq).collect();
    assert_eq!(one(offline::delete(&broker, BOB, &rows)), Ok(()));
    let counters = one(broker.store.list(crate::tables::OFFLINE_QUOTA, BOB.as_bytes())).expect("it is readable");
    assert_eq!(counters.len(), 0, "what was counted was given back, once");
}

#[test]
fn x18_a_full_disk_refuses_what_is_new_and_still_deletes() {
    let (broker, disk) = broker();
    let Ok(Kept::Row(row)) = one(offline::keep(&broker, BOB, &message(0))) else { panic!("it is kept") };
    let deleted = [row];
    disk.inject(store::backend::memory::Fault::DiskFull);
    let outcomes = all((0..2).map(|n| {
        let (broker, deleted) = (broker.clone(), deleted);
        async move {
            match n {
                0 => offline::keep(&broker, BOB, &message(1)).await.map(|_| ()),
                _ => offline::delete(&broker, BOB, &deleted).await,
            }
        }
    }));
    assert!(outcomes[0].is_err());
    assert_eq!(outcomes[1], Ok(()), "made together, and each gets what it can have");
    disk.inject(store::backend::memory::Fault::None);
    assert!(matches!(one(offline::keep(&broker, BOB, &message(2))), Ok(Kept::Row(_))), "and works again");
}

#[test]
fn x18_a_writer_that_is_dropped_takes_nobody_with_it() {
    let (broker, _disk) = broker();
    let mut context = Context::from_waker(Waker::noop());
    let (first, second) = (message(1), message(2));
    let mut dropped = Box::pin(offline::keep(&broker, BOB, &first));
    let mut other = Box::pin(offline::keep(&broker, BOB, &second));
    // the first takes both changes, and is dropped in the middle of its commit
    for _ in 0..3 {
        assert!(dropped.as_mut().poll(&mut context).is_pending());
        assert!(other.as_mut().poll(&mut context).is_pending());
    }
    drop(dropped);
    assert!(matches!(one(other), Ok(Kept::Row(_))));
}

#[test]
fn x18_many_who_subscribe_to_one_node_are_all_subscribed() {
    let (broker, _disk) = broker();
    let publish = "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='n'><item id='1'><x xmlns='u:x'/>\
        </item></publish><publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>\
        <value>http://jabber.org/protocol/pubsub#publish-options</value></field><field var='pubsub#access_model'>\
        <value>open</value></field></x></publish-options></pubsub>";
    assert_eq!(one(ask(&broker, BOB, bob(), IqKind::Set, publish)), Ok(()));
    let answers = all((0..MANY).map(|n| {
        let broker = broker.clone();
        async move {
            let from = format!("s{n}@south.example/x");
            let subscribe = format!(
                "<pubsub xmlns='http://jabber.org/protocol/pubsub'><subscribe node='n' jid='s{n}@south.example'/></pubsub>"
            );
            ask(&broker, &from, bob(), IqKind::Set, &subscribe).await
        }
    }));
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    // and the owner's devices publish at once
    let answers = all((0..MANY).map(|n| {
        let broker = broker.clone();
        async move { ask(&broker, &format!("{BOB}/{n}"), bob(), IqKind::Set, publish).await }
    }));
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}

#[test]
fn x18_many_changes_of_one_roster_row_all_succeed() {
    let (broker, _disk) = broker();
    let answers = all((0..MANY).map(|n| {
        let broker = broker.clone();
        async move {
            let item = format!("<query xmlns='jabber:iq:roster'><item jid='carol@south.example' name='{n}'/></query>");
            ask(&broker, &format!("{BOB}/{n}"), bob(), IqKind::Set, &item).await
        }
    }));
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}

#[test]
fn x18_many_invitations_slots_and_passwords_of_one_account_are_all_made() {
    let (broker, _disk) = broker();
    let spec = crate::invites::Spec { inviter: BareJid::parse(BOB).ok(), ..Default::default() };
    let made = all((0..MANY).map(|_| {
        let (broker, spec) = (broker.clone(), spec.clone());
        async move { crate::invites::create(&broker, &spec).await }
    }));
    assert!(made.iter().all(Result::is_ok), "{made:?}");
    let slots = all((0..MANY).map(|n| {
        let broker = broker.clone();
        async move {
            let request = "<request xmlns='urn:xmpp:http:upload:0' filename='a.bin' size='10'/>";
            ask(&broker, &format!("{BOB}/{n}"), IqTarget::Server, IqKind::Get, request).await
        }
    }));
    assert!(slots.iter().all(Result::is_ok), "{slots:?}");
}

/// A store that says `Conflict` although nobody else changed anything is one that another process uses too.
#[test]
fn x18_a_conflict_with_another_process_is_decided_again() {
    let disk = Arc::new(MemoryBackend::new());
    let random = Arc::new(SeededRandom::new(1));
    let open = || {
        let master = MasterKey::new(Secret::new([3; 32]));
        let opening = Store::open(Arc::clone(&disk) as _, master, InstanceId([4; 16]), Arc::clone(&random) as _);
        one(opening).expect("a store in memory opens")
    };
    let broker = |store| {
        let random = Arc::clone(&random) as _;
        let env = Environment::new(Arc::new(ManualClock::new()), random);
        Broker::new(BrokerConfig::new("north.example"), store, env)
    };
    let (ours, theirs) = (broker(open()), broker(open()));
    let row = AccountRow { jid: BOB.into(), ..AccountRow::default() };
    let mut transaction = ours.store.transaction();
    transaction.put(&ACCOUNTS.row(ACCOUNTS_OWNER, BOB.as_bytes()), prost::Message::encode_to_vec(&row));
    assert_eq!(one(transaction.commit()), Ok::<(), StoreError>(()));
    for n in 0..4 {
        let broker = if n % 2 == 0 { &ours } else { &theirs };
        assert!(matches!(one(offline::keep(broker, BOB, &message(n))), Ok(Kept::Row(_))));
    }
    assert_eq!(one(offline::read(&ours, BOB, 0, 10, usize::MAX)).expect("readable").len(), 4);
}
