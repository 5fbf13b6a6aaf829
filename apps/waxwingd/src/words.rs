//! Every sentence that this program says, held in files, so that a change of words is seen and read as a whole.
//!
//! The files are `apps/waxwingd/words/*.txt`. A test that finds other words fails and shows both; with `BLESS=1` in the
//! environment it writes them instead.

use std::path::PathBuf;

/// Compares words with those that were read and found good.
pub(crate) fn assert_matches(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("words").join(format!("{name}.txt"));
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        std::fs::write(&path, text).expect("written");
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == text,
        "the words of {name} have changed. Read them, and run the test again with BLESS=1 when they are good.\n\
         --- before\n{expected}\n--- now\n{text}"
    );
}
