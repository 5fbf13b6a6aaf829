use std::path::Path;
use std::sync::Barrier;

use super::*;
use crate::backend::Change;
use crate::conformance;
use crate::testing::{TempDirectory, block_on};

fn put(key: &[u8], value: Vec<u8>) -> Batch {
    Batch { changes: vec![Change::Put(Row { key: key.to_vec(), value })], ..Batch::default() }
}

fn get(backend: &SqliteBackend, key: &[u8]) -> Option<Vec<u8>> {
    block_on(backend.get(key)).unwrap()
}

#[test]
fn it_conforms() {
    let directory = TempDirectory::new();
    let number = AtomicU64::new(0);
    conformance::run(|| {
        let name = format!("{}.db", number.fetch_add(1, Ordering::Relaxed));
        Arc::new(SqliteBackend::open(&directory.join(&name)).unwrap())
    });
}

#[test]
fn what_was_committed_is_there_after_reopening() {
    let directory = TempDirectory::new();
    let path = directory.join("new").join("store.db");
    let backend = SqliteBackend::open(&path).unwrap();
    block_on(backend.commit(put(b"k", b"v".to_vec()))).unwrap();
    drop(backend);
    assert_eq!(get(&SqliteBackend::open(&path).unwrap(), b"k").as_deref(), Some(&b"v"[..]));
}

/// Batches that wait while a group is being written share the next sync.
#[test]
fn concurrent_commits_share_syncs() {
    const CALLERS: usize = 200;
    let directory = TempDirectory::new();
    let path = directory.join("store.db");
    let backend = SqliteBackend::open(&path).unwrap();
    // Somebody else holds the write lock, so the first group waits, and the rest gathers behind it.
    let mut blocker = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    let held = blocker.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    let commits: Vec<_> = (0..CALLERS).map(|n| backend.commit(put(&n.to_be_bytes(), vec![1; 300]))).collect();
    held.rollback().unwrap();
    for commit in commits {
        block_on(commit).unwrap();
    }
    let syncs = backend.group_commit_count();
    assert!((1..=2).contains(&syncs), "{syncs} syncs for {CALLERS} commits");
    for n in 0..CALLERS {
        assert!(get(&backend, &n.to_be_bytes()).is_some());
    }
}

#[test]
fn a_conflict_in_a_group_spoils_no_other_batch() {
    let directory = TempDirectory::new();
    let backend = SqliteBackend::open(&directory.join("store.db")).unwrap();
    let expect_absent = |batch: Batch| Batch {
        expectations: vec![crate::backend::Expectation { key: b"k".to_vec(), found: None }],
        ..batch
    };
    let first = backend.commit(expect_absent(put(b"k", b"1".to_vec())));
    let second = backend.commit(expect_absent(put(b"k", b"2".to_vec())));
    let third = backend.commit(put(b"other", b"3".to_vec()));
    assert_eq!(block_on(first), Ok(()));
    assert_eq!(block_on(second), Err(BackendError::Conflict));
    assert_eq!(block_on(third), Ok(()));
    assert_eq!(get(&backend, b"k").as_deref(), Some(&b"1"[..]));
    assert_eq!(get(&backend, b"other").as_deref(), Some(&b"3"[..]));
}

#[test]
fn readers_see_whole_batches_while_others_write() {
    let directory = TempDirectory::new();
    let backend = SqliteBackend::open(&directory.join("store.db")).unwrap();
    let both = |value: u32| Batch {
        changes: [b"a", b"b"]
            .map(|key| Change::Put(Row { key: key.to_vec(), value: value.to_be_bytes().to_vec() }))
            .to_vec(),
        ..Batch::default()
    };
    block_on(backend.commit(both(0))).unwrap();
    let start = Barrier::new(3);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            start.wait();
            (1..50).for_each(|value| block_on(backend.commit(both(value))).unwrap());
        });
        for _ in 0..2 {
            scope.spawn(|| {
                start.wait();
                for _ in 0..50 {
                    let rows = block_on(backend.scan(KeyRange::all(), 10)).unwrap();
                    assert_eq!(rows[0].value, rows[1].value);
                }
            });
        }
    });
}

#[test]
fn a_full_disk_is_said_and_nothing_is_lost() {
    let directory = TempDirectory::new();
    let path = directory.join("store.db");
    let options = SqliteOptions { max_size_bytes: Some(256 * 1024) };
    let backend = SqliteBackend::open_with(&path, &options).unwrap();
    let mut kept = 0u32;
    let refused = loop {
        match block_on(backend.commit(put(&kept.to_be_bytes(), vec![2; 4000]))) {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 1000, "256 KiB hold no thousand rows of 4 KB");
    };
    assert_eq!(refused, BackendError::DiskFull);
    assert!(kept > 10);
    // In a group, what still fits is not refused along with what does not.
    let large = backend.commit(put(b"large", vec![3; 200_000]));
    let delete = backend
        .commit(Batch { changes: vec![Change::Delete { key: 0u32.to_be_bytes().to_vec() }], ..Batch::default() });
    assert_eq!(block_on(large), Err(BackendError::DiskFull));
    assert_eq!(block_on(delete), Ok(()));
    // There is space again now.
    assert_eq!(block_on(backend.commit(put(b"after", vec![2; 3000]))), Ok(()));
    drop(backend);
    let backend = SqliteBackend::open(&path).unwrap();
    assert!(get(&backend, b"after").is_some());
    for n in 1..kept {
        assert_eq!(get(&backend, &n.to_be_bytes()), Some(vec![2; 4000]), "row {n}");
    }
}

/// Whoever may read and not write is told so, and the rows are there when writing is allowed again.
#[cfg(target_os = "linux")]
#[test]
fn a_read_only_directory_is_said_and_nothing_is_lost() {
    use std::os::unix::fs::PermissionsExt;
    let directory = TempDirectory::new();
    let path = directory.join("store.db");
    let backend = SqliteBackend::open(&path).unwrap();
    block_on(backend.commit(put(b"k", b"v".to_vec()))).unwrap();
    drop(backend);
    let set_mode = |mode| std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(mode)).unwrap();
    set_mode(0o500);
    let bypassed = std::fs::write(directory.join("probe"), b"").is_ok();
    // An administrator may write everywhere but into a file system of the kernel.
    let refused_at = if bypassed { Path::new("/sys/kernel/store.db") } else { &path };
    let refused = SqliteBackend::open(refused_at).err();
    set_mode(0o700);
    assert_eq!(refused, Some(BackendError::ReadOnly));
    assert_eq!(get(&SqliteBackend::open(&path).unwrap(), b"k").as_deref(), Some(&b"v"[..]));
}

/// A process is killed while it commits, again and again: every commit that was acknowledged is there afterwards.
#[cfg(unix)]
#[test]
fn killed_while_committing_keeps_what_was_acknowledged() {
    const PATH: &str = "WAXWING_STORE_CRASH_TEST";
    if let Some(path) = std::env::var_os(PATH) {
        commit_until_killed(Path::new(&path));
    }
    let directory = TempDirectory::new();
    let path = directory.join("store.db");
    for acknowledged_before_kill in [1, 7, 60, 250] {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "backend::sqlite::tests::killed_while_committing_keeps_what_was_acknowledged"])
            .env(PATH, &path)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
        let mut acknowledged = Vec::new();
        for line in lines.map_while(Result::ok) {
            acknowledged.extend(line.strip_prefix("acknowledged ").map(str::to_owned));
            if acknowledged.len() == acknowledged_before_kill {
                child.kill().unwrap(); // SIGKILL; what it acknowledged until it is dead is still read here
            }
        }
        child.wait().unwrap();
        assert!(acknowledged.len() >= acknowledged_before_kill, "the child did commit");
        let backend = SqliteBackend::open(&path).unwrap();
        for key in acknowledged {
            assert_eq!(get(&backend, key.as_bytes()), Some(key.repeat(20).into_bytes()), "row {key}");
        }
    }
}

#[cfg(unix)]
fn commit_until_killed(path: &Path) -> ! {
    let backend = SqliteBackend::open(path).unwrap();
    std::thread::scope(|scope| {
        for caller in 0..4 {
            let backend = &backend;
            scope.spawn(move || {
                for number in 0u64.. {
                    let key = format!("{}-{caller}-{number}", std::process::id());
                    block_on(backend.commit(put(key.as_bytes(), key.repeat(20).into_bytes()))).unwrap();
                    // One write, so that no line is torn; not `println!`, which the test harness would keep back.
                    let line = format!("acknowledged {key}\n");
                    std::io::Write::write_all(&mut std::io::stdout().lock(), line.as_bytes()).unwrap();
                }
            });
        }
    });
    unreachable!("the callers end with the process")
}

#[test]
fn a_second_process_is_kept_out() {
    let directory = TempDirectory::new();
    let path = directory.join("store.db");
    let first = SqliteBackend::open(&path).unwrap();
    assert_eq!(SqliteBackend::open(&path).err(), Some(BackendError::InUse));
    drop(first);
    assert!(SqliteBackend::open(&path).is_ok());
}

#[test]
fn what_is_no_database_is_refused_and_left_alone() {
    let directory = TempDirectory::new();
    let path = directory.join("store.db");
    let text = vec![b'x'; 5000];
    std::fs::write(&path, &text).unwrap();
    assert_eq!(SqliteBackend::open(&path).err(), Some(BackendError::Damaged));
    assert_eq!(std::fs::read(&path).unwrap(), text);
}

#[test]
fn a_newer_schema_is_refused() {
    let directory = TempDirectory::new();
    let path = directory.join("store.db");
    drop(SqliteBackend::open(&path).unwrap());
    Connection::open(&path).unwrap().execute_batch("PRAGMA user_version=99").unwrap();
    assert_eq!(SqliteBackend::open(&path).err(), Some(BackendError::TooNew));
}

/// `secure_delete` and an emptied journal: no copy of an erased row is left in any file.
#[test]
fn erased_rows_are_gone_from_the_files() {
    let directory = TempDirectory::new();
    let backend = SqliteBackend::open(&directory.join("store.db")).unwrap();
    block_on(backend.commit(put(b"k", b"a canary that sings".repeat(20)))).unwrap();
    assert!(files_contain(directory.path(), b"a canary that sings"), "the control: it was there");
    let changes = vec![Change::Delete { key: b"k".to_vec() }];
    block_on(backend.commit(Batch { changes, erase: true, ..Batch::default() })).unwrap();
    assert!(!files_contain(directory.path(), b"a canary that sings"));
}

#[cfg(unix)]
#[test]
fn every_file_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let directory = TempDirectory::new();
    let path = directory.join("data").join("store.db");
    let backend = SqliteBackend::open(&path).unwrap();
    block_on(backend.commit(put(b"k", b"v".to_vec()))).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    let files: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 3, "database, journal, lock: {}", files.len());
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    drop(backend);
    // One that was opened up is closed again.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let _backend = SqliteBackend::open(&path).unwrap();
    assert_eq!(mode(&path), 0o600);
}

fn files_contain(directory: &Path, needle: &[u8]) -> bool {
    std::fs::read_dir(directory).unwrap().any(|entry| {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        bytes.windows(needle.len()).any(|window| window == needle)
    })
}
