//! The number that two people compare to know that nobody sits between them.
//!
//! Sixty digits, thirty for each person: an iterated SHA-512 over the identity keys of all her devices and her address. Both
//! screens show the same text, because the smaller half comes first whoever looks. Until a person has an account
//! certificate, the keys stand in for it (security-design §2.4).

use std::fmt;

use sha2::{Digest, Sha512};

/// How often the hash is repeated: makes it expensive to search for keys with a similar number.
const ROUNDS: u32 = 5200;
/// Digits of one person, in groups of five.
const GROUPS: usize = 6;
/// Keeps these hashes apart from all others.
const DOMAIN: &[u8] = b"WX-NUMBER-1\0";

/// Sixty digits that are the same for both people, and only if both see the same keys and addresses.
#[derive(Clone, PartialEq, Eq)]
pub struct ComparisonNumber(String);

impl ComparisonNumber {
    /// The sixty digits without spaces.
    pub fn digits(&self) -> &str {
        &self.0
    }

    /// Twelve groups of five digits, separated by spaces: for reading aloud.
    pub fn grouped(&self) -> String {
        let mut grouped = String::with_capacity(72);
        for (index, digit) in self.0.chars().enumerate() {
            if index > 0 && index % 5 == 0 {
                grouped.push(' ');
            }
            grouped.push(digit);
        }
        grouped
    }
}

impl fmt::Debug for ComparisonNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ComparisonNumber(<redacted>)")
    }
}

/// One person: her bare JID, and the identity keys of her devices in Montgomery form (in any order; repetitions count once).
#[derive(Clone, Copy)]
pub struct Person<'a> {
    /// The bare JID as prepared by RFC 7622.
    pub bare_jid: &'a str,
    /// [`IdentityKey::montgomery`](crate::omemo::IdentityKey::montgomery) of each device.
    pub keys: &'a [[u8; 32]],
}

/// The number of two people. The order of the two does not matter.
pub fn compare(one: Person<'_>, other: Person<'_>) -> ComparisonNumber {
    let (one, other) = (half(one), half(other));
    let (first, second) = if one <= other { (one, other) } else { (other, one) };
    ComparisonNumber(first + &second)
}

/// Thirty digits: SHA-512 over the sorted keys and the address, then 5200 times over the result, the keys and the address.
fn half(person: Person<'_>) -> String {
    let mut keys = person.keys.to_vec();
    keys.sort_unstable();
    keys.dedup();
    // The count makes clear where the keys end and the address begins.
    let mut input = (keys.len() as u32).to_le_bytes().to_vec();
    input.extend(keys.iter().flatten());
    input.extend_from_slice(person.bare_jid.as_bytes());

    let mut hash = Sha512::new().chain_update(DOMAIN).chain_update(&input).finalize();
    for _ in 0..ROUNDS {
        hash = Sha512::new().chain_update(hash).chain_update(&input).finalize();
    }
    // Each group of five digits is five bytes modulo 100 000; the bias is below one in ten million.
    hash.chunks_exact(5)
        .take(GROUPS)
        .map(|chunk| {
            let number = chunk.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
            format!("{:05}", number % 100_000)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: Person<'static> = Person { bare_jid: "alice@north.example", keys: &[[1; 32], [2; 32]] };
    const BOB: Person<'static> = Person { bare_jid: "bob@south.example", keys: &[[3; 32]] };

    #[test]
    fn both_see_the_same_sixty_digits() {
        let number = compare(ALICE, BOB);
        assert_eq!(number, compare(BOB, ALICE));
        assert_eq!(number.digits().len(), 60);
        assert!(number.digits().bytes().all(|digit| digit.is_ascii_digit()));
        assert_eq!(number.grouped().split(' ').collect::<String>(), number.digits());
        assert!(number.grouped().split(' ').all(|group| group.len() == 5));
    }

    /// Computed by a few lines of Python: people compare across versions, so it must never change.
    #[test]
    fn the_number_is_what_it_always_was() {
        assert_eq!(compare(ALICE, BOB).digits(), "154971746923555782150042183711883913344381817965920106204669");
    }

    #[test]
    fn the_order_and_repetition_of_devices_do_not_matter() {
        let keys = [[2; 32], [1; 32], [2; 32]];
        let shuffled = Person { keys: &keys, ..ALICE };
        assert_eq!(compare(shuffled, BOB), compare(ALICE, BOB));
    }

    #[test]
    fn every_key_and_address_counts() {
        let number = compare(ALICE, BOB);
        let one_device = Person { keys: &ALICE.keys[..1], ..ALICE };
        assert_ne!(compare(one_device, BOB), number);
        let elsewhere = Person { bare_jid: "alice@south.example", ..ALICE };
        assert_ne!(compare(elsewhere, BOB), number);
        let swapped = Person { keys: BOB.keys, ..ALICE };
        assert_ne!(compare(swapped, Person { keys: ALICE.keys, ..BOB }), number);
    }
}
