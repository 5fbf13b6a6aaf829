//! [`Secret`]: a fixed number of key bytes that leave no trace.
//!
//! Deliberately lacking: `Clone`, `Debug`, `Display`, `Hash` and every kind of serialisation. Whoever copies a secret says
//! so ([`Secret::duplicate`]), and whoever looks inside says so too ([`Secret::expose`]), so that both can be found by
//! searching the code.

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::Random;

/// `N` secret bytes, erased when dropped and compared in constant time.
///
/// The bytes live on the heap: moving a `Secret` moves a pointer, so no copies stay behind on the stack.
///
/// It cannot be printed or copied by accident:
///
/// ```compile_fail
/// let secret = waxwing_crypto::Secret::new([0; 32]);
/// println!("{secret:?}");
/// ```
///
/// ```compile_fail
/// let secret = waxwing_crypto::Secret::new([0; 32]);
/// let copy = secret.clone();
/// ```
pub struct Secret<const N: usize>(Box<[u8; N]>);

impl<const N: usize> Secret<N> {
    /// Copies `bytes` and erases the array that was passed. An array is copied when it is passed, so a variable of the
    /// caller's that it came from still holds the bytes: erase that there, or have them written in place
    /// ([`Secret::expose_mut`]).
    pub fn new(mut bytes: [u8; N]) -> Self {
        let mut secret = Self(Box::new([0; N]));
        secret.0.copy_from_slice(&bytes);
        bytes.zeroize();
        secret
    }

    /// Draws a new secret.
    pub fn generate(random: &dyn Random) -> Self {
        let mut secret = Self(Box::new([0; N]));
        random.fill(secret.0.as_mut_slice());
        secret
    }

    /// Copies a secret out of `bytes`; `None` unless there are exactly `N` of them.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut secret = Self(Box::new([0; N]));
        if bytes.len() != N {
            return None;
        }
        secret.0.copy_from_slice(bytes);
        Some(secret)
    }

    /// The bytes themselves. Do not let them outlive the secret.
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }

    /// The bytes themselves, to be written in place (by a key derivation, say).
    pub fn expose_mut(&mut self) -> &mut [u8; N] {
        &mut self.0
    }

    /// Makes a second copy, on purpose.
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }

    /// Copies the bytes into a buffer that is erased when dropped, for serialised state that is sealed right after.
    pub fn to_zeroizing(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.to_vec())
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<const N: usize> ZeroizeOnDrop for Secret<N> {}

impl<const N: usize> PartialEq for Secret<N> {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }
}

impl<const N: usize> Eq for Secret<N> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;

    #[test]
    fn equality_is_by_value() {
        let a = Secret::new([7u8; 32]);
        assert!(a == a.duplicate());
        assert!(a != Secret::new([8u8; 32]));
    }

    #[test]
    fn a_slice_of_the_wrong_length_is_no_secret() {
        assert!(Secret::<32>::from_slice(&[0; 31]).is_none());
        assert!(Secret::<32>::from_slice(&[0; 33]).is_none());
        assert!(Secret::<32>::from_slice(&[1; 32]).is_some_and(|s| s.expose() == &[1; 32]));
    }

    #[test]
    fn generated_secrets_differ() {
        let random = SeededRandom::new(1);
        assert!(Secret::<16>::generate(&random) != Secret::<16>::generate(&random));
    }
}
