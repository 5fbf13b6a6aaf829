//! A diary in SQLite, sealed, with its key outside the data directory: `cargo run -p waxwing-store --example diary`.

use std::error::Error;
use std::sync::Arc;

use crypto::random::SeededRandom; // a program takes the system's source, never this one
use crypto::seal::{KeyFile, MasterKey, Slot};
use waxwing_store::backend::sqlite::SqliteBackend;
use waxwing_store::{Direction, Store, Table, block_on, keys};

const DIARY: Table = Table::new("diary");

fn main() -> Result<(), Box<dyn Error>> {
    let home = std::env::temp_dir().join(format!("waxwing-diary-{}", std::process::id()));
    let (key_path, data) = (home.join("config").join(keys::FILE_NAME), home.join("data"));
    let random = Arc::new(SeededRandom::new(1));
    let new_key = || Ok(KeyFile::new(Slot::plain(&MasterKey::generate(&*random)), &*random));
    let key_file = keys::read_or_create(&key_path, &data, new_key)?;

    let backend = Arc::new(SqliteBackend::open(&data.join("store.db"))?);
    block_on(async {
        let store = Store::open(backend, key_file.open_unattended()?, key_file.instance, random.clone()).await?;
        for line in ["Met Bob.", "Bob wrote."] {
            let mut transaction = store.transaction();
            transaction.put(&DIARY.seq(b"alice", store.next_seq(DIARY, b"alice").await?), line);
            transaction.commit().await?;
        }
        for (number, line) in store.scan_seq(DIARY, b"alice", .., Direction::Forward, 10).await? {
            println!("{number}: {}", String::from_utf8_lossy(&line));
        }
        Ok::<_, Box<dyn Error>>(())
    })?;
    std::fs::remove_dir_all(home)?;
    Ok(())
}

#[test]
fn it_runs() {
    main().unwrap();
}
