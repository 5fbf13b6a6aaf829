//! The proof: everything that left a program or lies on a disk is searched for everything that was secret. And the proof of
//! the proof: a marker put into each place on purpose must be found there, in every writing.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

use serde::Serialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use waxwingd::Direction;

use super::recorder::{Bytes, Recorder};
use super::scanner::{Scanner, WRITINGS, What, write};
use super::stage::Stage;
use super::story::Secrets;
use super::trouble::Trouble;

/// Words are searched for in pieces of this length that overlap, so that a part is found as well.
const WORD_BYTES: usize = 16;
const WORD_STEP: usize = 3;
/// Pieces of the picture, and how far they are apart.
const PICTURE_BYTES: usize = 24;
const PICTURE_STEP: usize = 512;

/// What was found in one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Place {
    /// `wires`, `brokers` or `disks`.
    pub(super) place: &'static str,
    /// Directions of connections, directions of brokers, or files.
    pub(super) parts: usize,
    pub(super) bytes: usize,
    /// Bytes of secrets that could be read; the proof holds when there are none.
    pub(super) readable_bytes: usize,
    /// How often an address stands there. Inside the brokers it must: they carry messages to addresses.
    pub(super) addresses_seen: usize,
    /// Whether the marker was found in every writing.
    pub(super) control_found: bool,
}

/// The result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Proof {
    pub(super) places: [Place; 3],
    pub(super) things: usize,
    pub(super) forms: usize,
    pub(super) holds: bool,
}

/// Puts the marker everywhere, stops everything, and looks.
pub(super) async fn prove(stage: Stage, secrets: &Secrets) -> Result<Proof, Trouble> {
    let marker = marker()?;
    let control = control_text(&marker);
    let control_wire = send_in_clear(&control).await?;
    (stage.north.tap)(Direction::Received, &control);
    fs::write(stage.north.data.join("control"), &control)?;

    let Stage { north, south, alice, bob, directory } = stage;
    let mut wires: Vec<Vec<u8>> = vec![];
    let mut silent = false;
    for recorder in [&alice.way_out, &bob.way_out, &north.federation, &south.federation] {
        let recorded = recorder.recordings.take();
        silent |= recorded.iter().all(Vec::is_empty);
        wires.extend(recorded);
    }
    wires.extend(control_wire);
    let homes = [alice.home.data().to_path_buf(), bob.home.data().to_path_buf()];
    let data = [north.data, south.data];
    // Once with the journals of databases in use, once as they are left.
    let mut disks = Vec::new();
    for place in &data {
        read_all(place, &mut disks)?;
    }
    north.server.stop().await;
    south.server.stop().await;
    let seen: Vec<Vec<u8>> = north.seen.iter().chain(&south.seen).map(Bytes::take).collect();
    for place in data.iter().chain(&homes) {
        read_all(place, &mut disks)?;
    }
    let report = tokio::task::block_in_place(|| look(secrets, &marker, &wires, &seen, &disks));
    drop(directory);
    // A federation link of which nothing was recorded would prove nothing.
    Ok(Proof { holds: report.holds && !silent, ..report })
}

fn look(secrets: &Secrets, marker: &[u8], wires: &[Vec<u8>], seen: &[Vec<u8>], disks: &[Vec<u8>]) -> Proof {
    let contents = contents(secrets);
    let who = secrets.addresses.iter().map(|address| (What::Address, address.as_bytes()));
    let passwords = secrets.passwords.iter().map(|password| (What::Password, password.as_bytes()));
    let all = Scanner::new(contents.iter().copied().chain(who.clone()).chain(passwords));
    let inside = Scanner::new(contents.iter().copied().chain(who));
    let control = Scanner::new([(What::Marker, marker)]);
    let places = [
        place("wires", wires, &all, &control, |_| true),
        place("brokers", seen, &inside, &control, |what| what != What::Address),
        place("disks", disks, &all, &control, |_| true),
    ];
    let holds = places.iter().all(|place| place.readable_bytes == 0 && place.control_found && place.bytes > 0);
    let things = contents.len() + secrets.addresses.len() + secrets.passwords.len();
    Proof { places, things, forms: all.pattern_count(), holds }
}

fn place(
    place: &'static str,
    parts: &[Vec<u8>],
    scanner: &Scanner,
    control: &Scanner,
    is_secret: impl Fn(What) -> bool,
) -> Place {
    let found: Vec<_> = parts.iter().flat_map(|part| scanner.scan(part)).collect();
    let markers: BTreeSet<_> = parts.iter().flat_map(|part| control.scan(part)).map(|found| found.writing).collect();
    Place {
        place,
        parts: parts.len(),
        bytes: parts.iter().map(Vec::len).sum(),
        readable_bytes: found.iter().filter(|found| is_secret(found.what)).map(|found| found.secret_bytes).sum(),
        addresses_seen: found.iter().filter(|found| found.what == What::Address).count(),
        control_found: WRITINGS.iter().all(|writing| markers.contains(writing)),
    }
}

/// What nobody in between may be able to read: words, the name of the file, the file.
fn contents(secrets: &Secrets) -> Vec<(What, &[u8])> {
    let words = secrets.words.iter().flat_map(|words| words.as_bytes().windows(WORD_BYTES).step_by(WORD_STEP));
    let pieces = (0..secrets.picture.len()).step_by(PICTURE_STEP);
    let pieces = pieces.filter_map(|at| secrets.picture.get(at..at + PICTURE_BYTES));
    words
        .map(|piece| (What::Words, piece))
        .chain([(What::FileName, secrets.file_name.as_bytes())])
        .chain(pieces.map(|piece| (What::FileBytes, piece)))
        .collect()
}

fn marker() -> Result<Vec<u8>, Trouble> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|_| Trouble::new("this machine gives no random numbers"))?;
    Ok(format!("this is readable on purpose {}", hex::encode(random)).into_bytes())
}

/// The marker in every writing.
fn control_text(marker: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    for form in WRITINGS.iter().flat_map(|writing| write(marker, *writing)) {
        text.extend(form);
        text.push(b'\n');
    }
    text
}

/// Sends bytes in clear over a recorded connection, like a program that forgot to encrypt.
async fn send_in_clear(bytes: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let recorder = Recorder::before(listener.local_addr()?).await?;
    let mut near = TcpStream::connect(recorder.address).await?;
    let (mut far, _) = listener.accept().await?;
    near.write_all(bytes).await?;
    near.shutdown().await?;
    let mut arrived = Vec::new();
    far.read_to_end(&mut arrived).await?;
    Ok(recorder.recordings.take())
}

/// All files below a directory, as their bytes lie on the disk.
fn read_all(directory: &Path, files: &mut Vec<Vec<u8>>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            read_all(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(fs::read(entry.path())?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        Secrets {
            words: vec!["Hello Bob, shall we meet at the old mill?".into()],
            file_name: "map-of-the-river.png".into(),
            picture: super::super::picture::draw(5),
            addresses: ["alice@north.example".into(), "bob@south.example".into()],
            passwords: ["walnut-lantern-1".into(), "copper-meadow-2".into()],
        }
    }

    #[test]
    fn the_proof_fails_without_its_control() {
        let marker = b"this is readable on purpose 0123456789abcdef".to_vec();
        let control = vec![control_text(&marker)];
        assert!(look(&secrets(), &marker, &control, &control, &control).holds);
        let without = vec![b"nothing of interest".to_vec()];
        for (wires, seen, disks) in
            [(&without, &control, &control), (&control, &without, &control), (&control, &control, &without)]
        {
            assert!(!look(&secrets(), &marker, wires, seen, disks).holds);
        }
        // a control in one writing only proves that writing only
        let raw = vec![marker.clone()];
        assert!(!look(&secrets(), &marker, &raw, &control, &control).holds);
    }

    #[test]
    fn every_secret_is_found_in_every_place() {
        let marker = b"this is readable on purpose 0123456789abcdef".to_vec();
        let secrets = secrets();
        let control = control_text(&marker);
        let leaks: [&[u8]; 5] = [
            b"...we meet at the old mill...",
            b"map-of-the-river.png",
            secrets.picture.get(1000..2000).expect("long"),
            b"alice@north.example",
            b"copper-meadow-2",
        ];
        for (nth, leak) in leaks.iter().enumerate() {
            let leaking = vec![[control.as_slice(), leak].concat()];
            let clean = vec![control.clone()];
            assert!(!look(&secrets, &marker, &leaking, &clean, &clean).holds, "wire {nth}");
            assert!(!look(&secrets, &marker, &clean, &clean, &leaking).holds, "disk {nth}");
            let inside = look(&secrets, &marker, &clean, &leaking, &clean);
            assert_eq!(inside.holds, nth >= 3, "addresses and passwords pass through the broker: {nth}");
        }
    }
}
