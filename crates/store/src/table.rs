//! [`Table`] and [`Key`]: how rows are named by those who own them, and how the name is hidden in the database.
//!
//! ```text
//! stored key of a point row   = H(1, table, owner)[16] ‖ H(3, H(1, table, owner), name)[16]
//! stored key of an ordered row = H(2, table, owner)[16] ‖ seq u64 big-endian
//! ```
//!
//! `H` is the blind index of the master key. Rows of one owner lie side by side, ordered rows in their order, and nobody
//! without the key can tell whose they are. Equal names of different owners have different hashes.

use std::fmt;

use crypto::seal::{BlindHash, BlindIndex};

const PURPOSE_ROWS: u8 = 1;
const PURPOSE_SEQ: u8 = 2;
const PURPOSE_NAME: u8 = 3;

const PREFIX_BYTES: usize = 16;
const MAX_BYTES: usize = 32;

/// A table: one kind of thing that a program remembers. Declare them as constants, in one file per program.
///
/// The name is part of what protects each row: a table that is renamed is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// Unique within the program. Names that begin with `store.` belong to this crate.
    pub name: &'static str,
}

impl Table {
    /// Declares a table.
    pub const fn new(name: &'static str) -> Self {
        Self { name }
    }

    /// Names the row `name` of `owner`: found by its name, or listed with the owner's others in no useful order.
    pub fn row(&self, owner: &[u8], name: &[u8]) -> Key {
        Key { table: *self, owner: owner.into(), place: Place::Row(name.into()) }
    }

    /// Names the row number `seq` of `owner`: read in order by [`crate::Store::scan_seq`].
    pub fn seq(&self, owner: &[u8], seq: u64) -> Key {
        Key { table: *self, owner: owner.into(), place: Place::Seq(seq) }
    }
}

/// The name of one row. Shows nothing of it in `Debug`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key {
    table: Table,
    owner: Box<[u8]>,
    place: Place,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Place {
    Row(Box<[u8]>),
    Seq(u64),
}

impl std::hash::Hash for Table {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl Key {
    pub(crate) fn locate(&self, index: &BlindIndex) -> RowId {
        match &self.place {
            Place::Row(name) => {
                let prefix = rows_prefix(index, self.table, &self.owner);
                let name = index.hash(PURPOSE_NAME, &[&prefix, name]);
                RowId::new(self.table, Kind::Row, &prefix, &name)
            }
            Place::Seq(seq) => seq_row(self.table, &seq_prefix(index, self.table, &self.owner), *seq),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, <redacted>)", self.table.name)
    }
}

/// What the point rows of an owner have in common.
pub(crate) fn rows_prefix(index: &BlindIndex, table: Table, owner: &[u8]) -> BlindHash {
    index.hash(PURPOSE_ROWS, &[table.name.as_bytes(), owner])
}

/// What the ordered rows of an owner have in common.
pub(crate) fn seq_prefix(index: &BlindIndex, table: Table, owner: &[u8]) -> BlindHash {
    index.hash(PURPOSE_SEQ, &[table.name.as_bytes(), owner])
}

pub(crate) fn seq_row(table: Table, prefix: &BlindHash, seq: u64) -> RowId {
    RowId::new(table, Kind::Seq, prefix, &seq.to_be_bytes())
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Row,
    Seq,
}

/// Where a row lies: what [`crate::Store::list`] gives, to delete a row without knowing its name.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RowId {
    table: Table,
    kind: Kind,
    stored: StoredKey,
}

impl RowId {
    fn new(table: Table, kind: Kind, prefix: &BlindHash, rest: &[u8]) -> Self {
        let mut stored = StoredKey { bytes: [0; MAX_BYTES], length: PREFIX_BYTES + rest.len() };
        for (to, from) in stored.bytes.iter_mut().zip(prefix.iter().chain(rest)) {
            *to = *from;
        }
        Self { table, kind, stored }
    }

    /// A row that a scan of a prefix found; `None` when its key has not the length of a row of ours.
    pub(crate) fn found(table: Table, kind: Kind, stored: &[u8]) -> Option<Self> {
        let (prefix, rest) = stored.split_first_chunk::<PREFIX_BYTES>()?;
        let expected = match kind {
            Kind::Row => 16,
            Kind::Seq => 8,
        };
        (rest.len() == expected).then(|| Self::new(table, kind, prefix, rest))
    }

    /// A row of whatever kind, by the length of its key; its table has yet to be tried.
    pub(crate) fn guess(table: Table, stored: &[u8]) -> Option<Self> {
        Self::found(table, Kind::Row, stored).or_else(|| Self::found(table, Kind::Seq, stored))
    }

    /// The number of an ordered row.
    pub(crate) fn seq(&self) -> u64 {
        let number = self.stored.bytes.iter().skip(PREFIX_BYTES).take(8);
        number.fold(0, |seq, byte| (seq << 8) | u64::from(*byte))
    }

    pub(crate) fn table(&self) -> Table {
        self.table
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn stored(&self) -> &StoredKey {
        &self.stored
    }
}

impl fmt::Debug for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowId({}, <redacted>)", self.table.name)
    }
}

/// A full stored key, without an allocation.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct StoredKey {
    bytes: [u8; MAX_BYTES],
    length: usize,
}

impl StoredKey {
    pub(crate) fn as_slice(&self) -> &[u8] {
        self.bytes.split_at_checked(self.length).map_or(&self.bytes, |(used, _)| used)
    }

    /// A byte that is spread evenly over keys: the last of a keyed hash, or of a number.
    pub(crate) fn spread(&self) -> u8 {
        self.as_slice().last().copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto::Secret;
    use crypto::seal::MasterKey;

    const ROSTER: Table = Table::new("roster");
    const OTHER: Table = Table::new("other");

    fn stored(key: &Key) -> Vec<u8> {
        key.locate(&MasterKey::new(Secret::new([1; 32])).blind_index()).stored().as_slice().to_vec()
    }

    #[test]
    fn rows_of_an_owner_share_a_prefix_and_nothing_else_does() {
        let bob = stored(&ROSTER.row(b"alice", b"bob"));
        let carol = stored(&ROSTER.row(b"alice", b"carol"));
        assert_eq!(bob[..16], carol[..16]);
        assert_ne!(bob[16..], carol[16..]);
        assert_ne!(bob[..16], stored(&ROSTER.row(b"dave", b"bob"))[..16]);
        assert_ne!(bob[16..], stored(&ROSTER.row(b"dave", b"bob"))[16..]);
        assert_ne!(bob[..16], stored(&OTHER.row(b"alice", b"bob"))[..16]);
        assert_ne!(bob[..16], stored(&ROSTER.seq(b"alice", 1))[..16]);
    }

    #[test]
    fn ordered_rows_sort_by_their_number() {
        let numbers = [0, 1, 255, 256, 1 << 40, u64::MAX];
        let keys: Vec<_> = numbers.iter().map(|seq| stored(&ROSTER.seq(b"alice", *seq))).collect();
        assert!(keys.is_sorted());
        for (number, key) in numbers.iter().zip(&keys) {
            assert_eq!(RowId::found(ROSTER, Kind::Seq, key).unwrap().seq(), *number);
        }
    }

    #[test]
    fn debug_shows_no_owner_and_no_name() {
        let shown = format!("{:?}", ROSTER.row(b"alice", b"bob"));
        assert_eq!(shown, "Key(roster, <redacted>)");
    }
}
