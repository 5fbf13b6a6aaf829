//! Where received files go (attack row F01): written privately under a name that nobody knows, then moved to a name that
//! is free. Never over another file, never executable, never opened.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use client::files::{safe_name, with_suffix};

use super::home::{create_directory, private_file};

/// So many names are tried.
const ATTEMPTS: u32 = 1000;

/// Saves a file and returns where it is.
///
/// # Errors
///
/// What the machine says; nothing is left behind then.
pub fn save(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<PathBuf> {
    create_directory(directory)?;
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|_| io::ErrorKind::Other)?;
    let hidden = directory.join(format!(".waxwing-{}.part", hex::encode(random)));
    let saved = write(&hidden, bytes).and_then(|()| publish(directory, &hidden, name));
    let _ = fs::remove_file(&hidden);
    saved
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = private_file().create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A hard link fails where there is a file already; a rename would replace it.
fn publish(directory: &Path, hidden: &Path, name: &str) -> io::Result<PathBuf> {
    let name = safe_name(name);
    for attempt in 1..=ATTEMPTS {
        let path = directory.join(with_suffix(&name, attempt));
        match fs::hard_link(hidden, &path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied) => {
                // File systems without hard links (FAT on a memory card): take the name first, then replace our own.
                match private_file().create_new(true).open(&path) {
                    Ok(_) => return fs::rename(hidden, &path).map(|()| path),
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    Err(error) => return Err(error),
                }
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn f01_files_are_private_never_replaced_and_stay_in_their_directory() {
        let root = std::env::temp_dir().join(format!("waxwing-downloads-{}", std::process::id()));
        let directory = root.join("files");
        let first = save(&directory, "photo.jpg", b"one").expect("saved");
        let second = save(&directory, "photo.jpg", b"two").expect("saved");
        let third = save(&directory, "../../photo.jpg", b"three").expect("saved");
        assert_eq!(first, directory.join("photo.jpg"));
        assert_eq!(second, directory.join("photo (2).jpg"));
        assert_eq!(third, directory.join("photo (3).jpg"));
        assert_eq!(fs::read(&first).expect("there"), b"one");
        let mode = fs::metadata(&first).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let link = directory.join("link.txt");
        std::os::unix::fs::symlink(root.join("victim"), &link).expect("made");
        let beside = save(&directory, "link.txt", b"four").expect("saved");
        assert_ne!(beside, link);
        assert!(!root.join("victim").exists());
        assert_eq!(fs::read_dir(&directory).expect("there").count(), 5, "nothing else is left");
        fs::remove_dir_all(root).expect("removed");
    }
}
