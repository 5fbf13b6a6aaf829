//! Rows that no longer open: one damaged byte costs its row and nothing beside it.
//!
//! A scan that meets such a row puts its sealed bytes aside and goes on. They stay there, so that a person can look at
//! them or put back a backup, and [`Store::aside`] tells how many there are: damage is told, never passed over in silence.
//! A row that is read by its name stays where it is, and is an error.

use crypto::seal::ROW_TAG_BYTES;

use crate::table::RowId;
use crate::{Store, StoreError, Table};

/// Damaged rows. Point rows of the owner "", named by stored key: length of the table's name u8, name, sealed bytes.
const ASIDE: Table = Table::new("store.aside");

impl Store {
    /// Lists the tables that rows were put aside from, once for each row.
    ///
    /// # Errors
    ///
    /// As [`Store::get`].
    pub async fn aside(&self) -> Result<Vec<String>, StoreError> {
        let rows = self.list(ASIDE, b"").await?;
        let table = |bytes: &[u8]| {
            let (length, rest) = bytes.split_first()?;
            String::from_utf8(rest.get(..usize::from(*length))?.to_vec()).ok()
        };
        Ok(rows.iter().filter_map(|(_, value)| table(value.as_slice())).collect())
    }

    /// Puts a row aside that does not open. Where that cannot be written now it stays, and the next scan tries again.
    pub(crate) async fn set_aside(&self, row: &RowId, sealed: &[u8]) {
        let name = row.table().name;
        // What is too short to be told from a later value of the same row cannot be moved safely, so it stays and is skipped.
        let (Some(tag), Ok(length)) = (sealed.first_chunk::<ROW_TAG_BYTES>(), u8::try_from(name.len())) else { return };
        if row.table() == ASIDE {
            return;
        }
        let mut transaction = self.transaction();
        transaction.expect_tag(row, *tag);
        transaction.put(&ASIDE.row(b"", row.stored().as_slice()), [&[length], name.as_bytes(), sealed].concat());
        transaction.delete_row(row);
        let _ = transaction.commit().await;
    }
}
