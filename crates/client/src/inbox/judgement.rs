//! Whose words are shown, as a pure function (security-design §2.6, attack row C21).
//!
//! A server can put a device of its own on a list, or send a key exchange from one that no list names. What that device says
//! is signed by a key, and nothing but the state of that key decides what becomes of it.

use crate::tables::{ContactRow, DeviceTrustCode, PeerDeviceRow, TrustCode};

/// What the sender is to the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The own account.
    Oneself,
    /// Nobody the user has accepted: words wait in the requests.
    Stranger,
    /// A contact, and what is known of them.
    Contact {
        /// How certain it is who they are.
        trust: TrustCode,
        /// A link has promised keys: others are not taken at face value.
        has_promise: bool,
    },
}

impl Standing {
    pub(crate) fn of(is_own: bool, contact: Option<&ContactRow>) -> Self {
        match contact.filter(|contact| contact.is_accepted()) {
            _ if is_own => Self::Oneself,
            None => Self::Stranger,
            Some(contact) => Self::Contact { trust: contact.trust(), has_promise: !contact.promised_keys.is_empty() },
        }
    }
}

/// What is known of the key that has signed the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyState {
    /// What was decided about it.
    pub(crate) trust: DeviceTrustCode,
    /// Whether its owner's server lists the device now.
    pub(crate) is_listed: bool,
    /// Whether it came after the first sight of its owner, and nobody has confirmed it.
    pub(crate) is_unconfirmed: bool,
    /// Whether another key has shown up under the same number.
    pub(crate) has_conflict: bool,
    /// Whether the user decides about it by itself: agreeing to another device of the person left it out.
    pub(crate) is_by_itself: bool,
}

impl From<&PeerDeviceRow> for KeyState {
    fn from(row: &PeerDeviceRow) -> Self {
        Self {
            trust: row.trust(),
            is_listed: row.is_listed(),
            is_unconfirmed: row.unconfirmed,
            has_conflict: row.conflict,
            is_by_itself: row.by_itself,
        }
    }
}

/// How words are marked where they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// The key was compared.
    Verified,
    /// Taken at face value since the first contact.
    Unverified,
    /// From an app that came later and that nobody has confirmed.
    NewApp,
}

/// What becomes of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// They are shown.
    Shown(Mark),
    /// They are kept where nobody reads them, until the user has decided about the device.
    Held,
    /// They are not kept.
    Dropped,
}

/// Decides what becomes of words.
///
/// | key | of a contact | of the own account | of a stranger |
/// |---|---|---|---|
/// | refused | dropped | dropped | dropped |
/// | compared | shown, verified | shown, verified | shown, verified |
/// | taken at face value | shown | shown | shown |
/// | the same, another key under its number | held | held | shown |
/// | undecided, listed, person taken at face value, [`is_taken_at_face_value`] | shown as of a new app | - | - |
/// | undecided otherwise | held | held | shown |
///
/// Being off the list changes nothing for a key that is known, and being on it makes nobody of an unknown one.
pub(crate) fn judge(standing: Standing, key: KeyState) -> Fate {
    let face_value = if key.is_unconfirmed { Mark::NewApp } else { Mark::Unverified };
    match (key.trust, standing) {
        (DeviceTrustCode::Distrusted, _) => Fate::Dropped,
        (DeviceTrustCode::Verified, _) => Fate::Shown(Mark::Verified),
        // What strangers say is believed by nobody: it waits in the requests.
        (_, Standing::Stranger) => Fate::Shown(face_value),
        (DeviceTrustCode::Tofu, _) if key.has_conflict => Fate::Held,
        (DeviceTrustCode::Tofu, _) => Fate::Shown(face_value),
        (DeviceTrustCode::Undecided, standing) if is_taken_at_face_value(standing, key) => Fate::Shown(Mark::NewApp),
        (DeviceTrustCode::Undecided, _) => Fate::Held,
    }
}

/// Whether an undecided device becomes one that is taken at face value, because its owner was never compared and their
/// server names it. One that was left out when the user agreed to another does not: the person is no longer verified then,
/// and who has agreed to one device has said nothing about the next.
pub(crate) fn is_taken_at_face_value(standing: Standing, key: KeyState) -> bool {
    let believed = Standing::Contact { trust: TrustCode::Tofu, has_promise: false };
    standing == believed
        && key.trust == DeviceTrustCode::Undecided
        && key.is_listed
        && !key.has_conflict
        && !key.is_by_itself
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOFU: Standing = Standing::Contact { trust: TrustCode::Tofu, has_promise: false };
    const PROMISED: Standing = Standing::Contact { trust: TrustCode::Tofu, has_promise: true };
    const VERIFIED: Standing = Standing::Contact { trust: TrustCode::Verified, has_promise: false };
    const CHANGED: Standing = Standing::Contact { trust: TrustCode::Changed, has_promise: false };
    const GONE: Standing = Standing::Contact { trust: TrustCode::Tombstoned, has_promise: false };

    fn key(trust: DeviceTrustCode) -> KeyState {
        KeyState { trust, is_listed: true, is_unconfirmed: false, has_conflict: false, is_by_itself: false }
    }

    /// All keys of a state: on and off the list, confirmed or not, with and without conflict.
    fn keys(trust: DeviceTrustCode) -> impl Iterator<Item = KeyState> {
        (0..16).map(move |bits| KeyState {
            trust,
            is_listed: bits & 1 > 0,
            is_unconfirmed: bits & 2 > 0,
            has_conflict: bits & 4 > 0,
            is_by_itself: bits & 8 > 0,
        })
    }

    #[test]
    fn c21_refused_keys_are_dropped_and_compared_ones_shown_whoever_it_is_and_whatever_lists_say() {
        for standing in [Standing::Oneself, Standing::Stranger, TOFU, PROMISED, VERIFIED, CHANGED, GONE] {
            for key in keys(DeviceTrustCode::Distrusted) {
                assert_eq!(judge(standing, key), Fate::Dropped, "{standing:?} {key:?}");
            }
            for key in keys(DeviceTrustCode::Verified) {
                assert_eq!(judge(standing, key), Fate::Shown(Mark::Verified), "{standing:?} {key:?}");
            }
        }
    }

    #[test]
    fn c21_keys_taken_at_face_value_stay_so_off_the_list() {
        for standing in [Standing::Oneself, TOFU, PROMISED, VERIFIED, CHANGED, GONE] {
            for key in keys(DeviceTrustCode::Tofu) {
                let expected = match (key.has_conflict, key.is_unconfirmed) {
                    (true, _) => Fate::Held,
                    (false, true) => Fate::Shown(Mark::NewApp),
                    (false, false) => Fate::Shown(Mark::Unverified),
                };
                assert_eq!(judge(standing, key), expected, "{standing:?} {key:?}");
            }
        }
    }

    #[test]
    fn c21_undecided_keys_are_held_but_for_listed_ones_of_people_who_were_never_compared() {
        for standing in [Standing::Oneself, PROMISED, VERIFIED, CHANGED, GONE] {
            for key in keys(DeviceTrustCode::Undecided) {
                assert_eq!(judge(standing, key), Fate::Held, "{standing:?} {key:?}");
                assert!(!is_taken_at_face_value(standing, key));
            }
        }
        let listed = key(DeviceTrustCode::Undecided);
        for (key, expected) in [
            (listed, Fate::Shown(Mark::NewApp)),
            (KeyState { is_listed: false, ..listed }, Fate::Held),
            (KeyState { has_conflict: true, ..listed }, Fate::Held),
            (KeyState { is_by_itself: true, ..listed }, Fate::Held),
        ] {
            assert_eq!(judge(TOFU, key), expected, "{key:?}");
            assert_eq!(is_taken_at_face_value(TOFU, key), expected != Fate::Held);
        }
    }

    #[test]
    fn c21_what_strangers_say_is_never_marked_as_verified_without_a_compared_key() {
        for trust in [DeviceTrustCode::Undecided, DeviceTrustCode::Tofu] {
            for key in keys(trust) {
                assert!(matches!(judge(Standing::Stranger, key), Fate::Shown(Mark::Unverified | Mark::NewApp)));
            }
        }
    }
}
