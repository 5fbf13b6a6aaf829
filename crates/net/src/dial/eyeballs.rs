//! Happy eyeballs: several addresses of one host, tried one shortly after the other, the first that answers wins.
//!
//! Source: RFC 8305 §4 and §5.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;

/// The "Connection Attempt Delay" that RFC 8305 §5 recommends.
pub(super) const DELAY: Duration = Duration::from_millis(250);

/// Alternates the families, IPv6 first, and keeps the order within each (RFC 8305 §4).
pub(super) fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let (v6, v4): (Vec<_>, Vec<_>) = addresses.into_iter().partition(SocketAddr::is_ipv6);
    let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
    let mut mixed = Vec::with_capacity(v6.len() + v4.len());
    loop {
        let pair = (v6.next(), v4.next());
        mixed.extend(pair.0.into_iter().chain(pair.1));
        if pair == (None, None) {
            return mixed;
        }
    }
}

/// Connects to the first address that answers. The next one is started after `delay`, or at once when one has failed;
/// the losers are dropped. When all fail, the last error is returned.
pub(super) async fn race<T, F, Fut>(addresses: Vec<SocketAddr>, delay: Duration, connect: F) -> io::Result<T>
where
    T: Send + 'static,
    F: Fn(SocketAddr) -> Fut,
    Fut: Future<Output = io::Result<T>> + Send + 'static,
{
    let mut waiting = addresses.into_iter();
    let mut running = JoinSet::new();
    let mut last_error = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        let more = match waiting.next() {
            Some(address) => {
                running.spawn(connect(address));
                true
            }
            None if running.is_empty() => return Err(last_error),
            None => false,
        };
        tokio::select! {
            finished = running.join_next() => match finished {
                Some(Ok(Ok(connected))) => return Ok(connected),
                Some(Ok(Err(error))) => last_error = error,
                Some(Err(_)) | None => {}
            },
            () = tokio::time::sleep(delay), if more => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn families_alternate_and_ipv6_is_first() {
        let given = ["1.0.0.1:1", "1.0.0.2:1", "1.0.0.3:1", "[2a00::1]:1"].map(address).to_vec();
        let expected = ["[2a00::1]:1", "1.0.0.1:1", "1.0.0.2:1", "1.0.0.3:1"].map(address).to_vec();
        assert_eq!(interleave(given), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_address_costs_one_delay_only() {
        let started = Instant::now();
        let addresses = vec![address("[2a00::1]:1"), address("1.0.0.1:1")];
        let winner = race(addresses, DELAY, |address| async move {
            if address.is_ipv6() {
                std::future::pending::<()>().await; // a host that swallows packets
            }
            Ok(address)
        });
        assert_eq!(winner.await.expect("the second one answers"), address("1.0.0.1:1"));
        assert_eq!(started.elapsed(), DELAY);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_starts_the_next_one_at_once() {
        let started = Instant::now();
        let addresses = vec![address("[2a00::1]:1"), address("1.0.0.1:1")];
        let winner = race(addresses, DELAY, |address| async move {
            if address.is_ipv6() { Err(io::ErrorKind::ConnectionRefused.into()) } else { Ok(address) }
        });
        assert_eq!(winner.await.expect("the second one answers"), address("1.0.0.1:1"));
        assert_eq!(started.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_first_one_still_wins_over_a_slower_second() {
        let addresses = vec![address("[2a00::1]:1"), address("1.0.0.1:1")];
        let winner = race(addresses, DELAY, |address| async move {
            tokio::time::sleep(Duration::from_millis(if address.is_ipv6() { 400 } else { 200 })).await;
            Ok(address)
        });
        assert_eq!(winner.await.expect("both answer"), address("[2a00::1]:1"));
    }

    #[tokio::test(start_paused = true)]
    async fn all_dead_is_the_last_error() {
        let outcome = race(vec![address("1.0.0.1:1")], DELAY, |_| async {
            Err::<(), _>(io::ErrorKind::ConnectionRefused.into())
        });
        assert_eq!(outcome.await.expect_err("dead").kind(), io::ErrorKind::ConnectionRefused);
        let nothing = race(Vec::new(), DELAY, |_| async { Ok(()) });
        assert!(nothing.await.is_err());
    }
}
