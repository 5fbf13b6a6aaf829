use crypto::random::SeededRandom;
use crypto::seal::Slot;

use super::*;
use crate::testing::{TempDirectory, master};

fn key_file() -> KeyFile {
    KeyFile::new(Slot::plain(&master()), &SeededRandom::new(1))
}

#[test]
fn a_key_file_is_made_once_and_read_again() {
    let directory = TempDirectory::new();
    let (path, data) = (directory.join("config").join(FILE_NAME), directory.join("data"));
    assert_eq!(read(&path, &data).err(), Some(KeysError::Missing));
    let made = read_or_create(&path, &data, || Ok(key_file())).unwrap();
    let again = read_or_create(&path, &data, || panic!("it is there")).unwrap();
    assert_eq!(*again.encode(), *made.encode());
    assert_eq!(create(&path, &data, &key_file()).err(), Some(KeysError::Exists));
}

#[test]
fn of_programs_that_start_at_once_one_makes_the_key_and_all_use_it() {
    let directory = TempDirectory::new();
    let (path, data) = (directory.join(FILE_NAME), directory.join("data"));
    let start = std::sync::Barrier::new(8);
    let instances: Vec<_> = std::thread::scope(|scope| {
        let begin = |seed| {
            let (path, data, start) = (&path, &data, &start);
            scope.spawn(move || {
                let random = SeededRandom::new(seed);
                start.wait();
                read_or_create(path, data, || Ok(KeyFile::new(Slot::plain(&master()), &random))).unwrap().instance
            })
        };
        let programs: Vec<_> = (0..8).map(begin).collect();
        programs.into_iter().map(|program| program.join().unwrap()).collect()
    });
    assert!(instances.iter().all(|instance| *instance == instances[0]));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn replacing_leaves_one_file_with_the_new_content() {
    let directory = TempDirectory::new();
    let (path, data) = (directory.join(FILE_NAME), directory.join("data"));
    assert_eq!(replace(&path, &data, &key_file()).err(), Some(KeysError::Missing));
    create(&path, &data, &key_file()).unwrap();
    let newer = KeyFile { generation: 5, ..key_file() };
    replace(&path, &data, &newer).unwrap();
    assert_eq!(read(&path, &data).unwrap().generation, 5);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn a_key_inside_the_data_directory_is_refused() {
    let directory = TempDirectory::new();
    let data = directory.join("data");
    fs::create_dir(&data).unwrap();
    let inside = data.join(FILE_NAME);
    assert_eq!(create(&inside, &data, &key_file()).err(), Some(KeysError::InsideData));
    assert!(!inside.exists());
    fs::write(&inside, &*key_file().encode()).unwrap();
    assert_eq!(read(&inside, &data).err(), Some(KeysError::InsideData));
    assert_eq!(replace(&inside, &data, &key_file()).err(), Some(KeysError::InsideData));
    #[cfg(unix)]
    {
        let link = directory.join("link.cbor");
        std::os::unix::fs::symlink(&inside, &link).unwrap();
        assert_eq!(read(&link, &data).err(), Some(KeysError::InsideData), "nor through a link");
    }
}

#[cfg(unix)]
#[test]
fn a_key_file_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let directory = TempDirectory::new();
    let (path, data) = (directory.join("config").join(FILE_NAME), directory.join("data"));
    create(&path, &data, &key_file()).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
    replace(&path, &data, &key_file()).unwrap();
    assert_eq!(mode(&path), 0o600);
    for exposed in [0o640, 0o604, 0o620] {
        fs::set_permissions(&path, fs::Permissions::from_mode(exposed)).unwrap();
        assert_eq!(read(&path, &data).err(), Some(KeysError::Exposed), "{exposed:o}");
    }
}

#[test]
fn what_is_no_key_file_is_said_to_be_damaged() {
    let directory = TempDirectory::new();
    let (path, data) = (directory.join(FILE_NAME), directory.join("data"));
    create(&path, &data, &key_file()).unwrap();
    for content in [vec![], b"text".to_vec(), vec![0; 100_000]] {
        fs::write(&path, content).unwrap();
        assert_eq!(read(&path, &data).err(), Some(KeysError::Content(KeyFileError::Damaged)));
    }
}
