//! What is done at the start and now and then: forgetting what is over, renewing the certificate.

use std::sync::{Arc, Weak};
use std::time::Duration;

use broker::budget::Level;
use net::identity::ReloadableIdentity;
use store::ClockVerdict;
use xmpp::time::Timestamp;

use super::certificate;
use crate::connection::Shared;
use crate::settings::CertificateFiles;

/// How often.
const INTERVAL: Duration = Duration::from_secs(6 * 3600);

/// How often what is kept in memory for minutes is looked at.
const SHORT_INTERVAL: Duration = Duration::from_secs(60);

/// Forgets what was kept for minutes, until the broker stops.
pub(super) async fn forget_soon(shared: Weak<Shared>) {
    while let Some(running) = shared.upgrade() {
        broker::web::forget_old(running.broker.core());
        let stopping = running.stopping.clone();
        drop(running);
        tokio::select! {
            () = stopping.wait() => return,
            () = tokio::time::sleep(SHORT_INTERVAL) => {}
        }
    }
}

/// Runs until the broker stops.
pub(super) async fn run(shared: Weak<Shared>, identity: Arc<ReloadableIdentity>, files: Option<CertificateFiles>) {
    if let Some(shared) = shared.upgrade() {
        forget(&shared).await;
        say_expiry(&shared, &identity);
    }
    loop {
        let Some(stopping) = shared.upgrade().map(|shared| shared.stopping.clone()) else { return };
        tokio::select! {
            () = stopping.wait() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        let Some(shared) = shared.upgrade() else { return };
        forget(&shared).await;
        renew(&shared, &identity, files.as_ref()).await;
        say_expiry(&shared, &identity);
    }
}

/// Says in the log while a certificate can still be renewed in time.
fn say_expiry(shared: &Shared, identity: &ReloadableIdentity) {
    let left = identity.choose(None).expires().as_millis().saturating_sub(shared.broker.env.now().as_millis());
    let days = left.div_euclid(86_400_000);
    if days < 14 {
        tracing::warn!(days, "the certificate ends soon; `waxwingd doctor` says what to do");
    } else {
        tracing::info!(days, "the certificate is good");
    }
}

/// Says in the log how much there is to do, until the broker stops: totals, rounded so that they tell of nobody.
pub(super) async fn say_how_it_is(shared: Weak<Shared>) {
    while let Some(running) = shared.upgrade() {
        let is = HowItIs::of(running.broker.session_count(), running.broker.budgets.levels().map(|(_, level)| level));
        let HowItIs { sessions, held_mib, peak_mib, refused, descriptors } = is;
        tracing::info!(sessions, held_mib, peak_mib, refused, descriptors, "how it is");
        let stopping = running.stopping.clone();
        drop(running);
        tokio::select! {
            () = stopping.wait() => return,
            () = tokio::time::sleep(HOUR) => {}
        }
    }
}

/// What the log says once an hour. Counts are rounded up to tens and bytes to MiB: from less, people could be told apart.
#[derive(Debug, PartialEq, Eq)]
struct HowItIs {
    sessions: u64,
    held_mib: u64,
    peak_mib: u64,
    refused: u64,
    descriptors: u64,
}

impl HowItIs {
    fn of(sessions: usize, [bytes, dials, descriptors]: [Level; 3]) -> Self {
        let tens = |count: u64| count.div_ceil(10).saturating_mul(10);
        let mib = |bytes: usize| (bytes as u64).div_ceil(1024 * 1024);
        let refused = bytes.refused.saturating_add(dials.refused).saturating_add(descriptors.refused);
        Self {
            sessions: tens(sessions as u64),
            held_mib: mib(bytes.held),
            peak_mib: mib(bytes.peak),
            refused: tens(refused),
            descriptors: tens(descriptors.held as u64),
        }
    }
}

const HOUR: Duration = Duration::from_secs(3600);

/// Whether the date may be believed; if not, nothing expires and nothing is renewed by it (B10).
async fn may_believe_the_date(shared: &Shared) -> bool {
    match shared.broker.core().look_at_clock().await {
        Ok(ClockVerdict::Doubted { .. }) => {
            tracing::warn!(
                "the clock is more than a day from where it was; nothing expires meanwhile; see waxwingd doctor"
            );
            false
        }
        Ok(ClockVerdict::Believed) => true,
        Err(_) => false,
    }
}

/// Forgets what is over. What fails now is tried again next time.
async fn forget(shared: &Shared) {
    let core = shared.broker.core();
    let _ = may_believe_the_date(shared).await; // said once a time; what expires asks for itself
    // Each for itself: what one of them cannot do is no reason to leave the others undone.
    let done = [
        broker::offline::expire(core).await.is_ok(),
        broker::upload::forget_expired(core).await.is_ok(),
        broker::invites::forget_expired(core).await.is_ok(),
        broker::accounts::finish_deletions(core).await.is_ok(),
    ];
    if done.contains(&false) {
        tracing::warn!("the store did not let go of what is over; this is tried again later");
    }
}

/// Takes a new certificate into use when there is one: a file that was replaced, or one of our own.
async fn renew(shared: &Shared, identity: &ReloadableIdentity, files: Option<&CertificateFiles>) {
    let now: Timestamp = shared.broker.env.now();
    let renewed = match files {
        Some(files) => certificate::read_files(files).ok(),
        None if may_believe_the_date(shared).await => renew_own(shared, now).await,
        None => None,
    };
    match renewed {
        Some(renewed) if renewed.facts() != identity.choose(None).facts() => {
            identity.replace(renewed, Vec::new());
            tracing::info!("a renewed certificate is in use");
        }
        Some(_) => {}
        None if files.is_some() => tracing::warn!("the certificate files cannot be used; the old certificate stays"),
        None => {}
    }
}

async fn renew_own(shared: &Shared, now: Timestamp) -> Option<net::identity::Identity> {
    let mut row = certificate::load(&shared.broker.store).await.ok()??;
    if !row.needs_renewal(now) {
        return None;
    }
    row.renew(now).ok()?;
    row.save(&shared.broker.store).await.ok()?;
    row.identity().ok()
}

#[cfg(test)]
mod tests {
    use net::clock::SystemClock;
    use net::identity::{OwnCa, generate_key_pem};
    use xmpp::time::Clock as _;

    use super::*;
    use crate::{Server, Settings};

    #[test]
    fn what_is_said_every_hour_is_rounded() {
        let level = |held: usize, peak, refused| Level {
            held,
            held_by_clients: 0,
            peak,
            capacity: 1 << 30,
            reserved: 0,
            sources: 1,
            largest: held,
            refused,
        };
        let levels = [level((5 << 20) + 1, (9 << 20) - 1, 3), level(7, 7, 4), level(41, 60, 5)];
        let is = HowItIs::of(1, levels);
        assert_eq!(is, HowItIs { sessions: 10, held_mib: 6, peak_mib: 9, refused: 20, descriptors: 50 });
        let nothing = HowItIs::of(0, [level(0, 0, 0); 3]);
        assert_eq!(nothing, HowItIs { sessions: 0, held_mib: 0, peak_mib: 0, refused: 0, descriptors: 0 });
    }

    #[tokio::test]
    async fn a_certificate_file_that_was_replaced_is_taken_into_use_and_a_broken_one_is_not() {
        let directory = std::env::temp_dir().join(format!("waxwingd-renewal-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("made");
        let files = CertificateFiles { chain: directory.join("chain.pem"), key: directory.join("key.pem") };
        let ca = OwnCa::generate("north.example", SystemClock.now()).expect("made");
        let key = generate_key_pem().expect("made");
        let issue = || ca.issue("north.example", &key, SystemClock.now()).expect("issued");
        std::fs::write(&files.key, &key).expect("written");
        std::fs::write(&files.chain, issue()).expect("written");
        let mut settings = Settings::in_memory();
        settings.domain = Some("north.example".into());
        settings.certificate = Some(files.clone());
        let server = Server::start(settings).await.expect("starts");
        let in_use = || server.identity().choose(None).facts().fingerprint;
        let first = in_use();
        std::fs::write(&files.chain, "half a file").expect("written");
        renew(&server.shared, server.identity(), Some(&files)).await;
        assert_eq!(in_use(), first);
        std::fs::write(&files.chain, issue()).expect("written");
        renew(&server.shared, server.identity(), Some(&files)).await;
        assert_ne!(in_use(), first);
        std::fs::remove_dir_all(&directory).expect("removed");
        server.stop().await;
    }

    #[tokio::test]
    async fn a_certificate_of_our_own_stays_while_it_is_good() {
        let server = Server::start(Settings::in_memory()).await.expect("starts");
        let first = server.identity().choose(None).facts().fingerprint;
        renew(&server.shared, server.identity(), None).await;
        forget(&server.shared).await;
        assert_eq!(server.identity().choose(None).facts().fingerprint, first);
        server.stop().await;
    }
}
