//! [`Value`]: the plaintext of a row, as read.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crypto::seal::ROW_TAG_BYTES;
use zeroize::Zeroizing;

/// The value of a row as it was read, with what tells this write of it from every other.
///
/// Dereferences to its bytes. A clone is another handle to the same bytes, which are erased with the last one.
#[derive(Clone)]
pub struct Value(Arc<Inner>);

struct Inner {
    bytes: Zeroizing<Vec<u8>>,
    tag: RowTag,
}

/// The head of a sealed row (format, epoch, nonce): two writes never have the same.
pub(crate) type RowTag = [u8; ROW_TAG_BYTES];

impl Value {
    pub(crate) fn new(bytes: Zeroizing<Vec<u8>>, tag: RowTag) -> Self {
        Self(Arc::new(Inner { bytes, tag }))
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.0.bytes
    }

    pub(crate) fn tag(&self) -> &RowTag {
        &self.0.tag
    }
}

impl Deref for Value {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl AsRef<[u8]> for Value {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

/// By content; whether it is the same write is not looked at.
impl PartialEq<[u8]> for Value {
    fn eq(&self, other: &[u8]) -> bool {
        self.as_slice() == other
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value(<redacted>)")
    }
}
