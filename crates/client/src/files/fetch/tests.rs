//! Addresses of files, attack row F04, and the way of a file from one end to the other.

use bytes::Bytes;
use crypto::random::SeededRandom;
use xep::esfs::Reach;
use xep::upload::Slot;
use xep::uri;

use xep::hashes::Hash;

use super::*;
use crate::files::{FILE_BYTES_MAX, Padding, Prepared, open, padded_len};

const PIN: [u8; 32] = [7; 32];

fn own() -> Broker {
    let endpoints = vec![Endpoint { host: "192.0.2.10".into(), port: 5223 }];
    Broker { domain: "north-abcdef.local".into(), pin: Some([1; 32]), endpoints }
}

fn sender() -> Broker {
    Broker { domain: "south-ghijkl.local".into(), pin: Some(PIN), endpoints: Vec::new() }
}

fn prepared(padding: Padding) -> Prepared {
    let random = SeededRandom::new(9);
    Prepared::new("holiday/../photo.jpg", Some("image/jpeg"), b"a picture".to_vec(), padding, &random).unwrap()
}

fn slot(get_url: &str) -> Slot {
    Slot {
        put_url: get_url.into(),
        put_headers: vec![("Authorization".into(), "Basic x".into())],
        get_url: get_url.into(),
    }
}

fn offer(get_url: &str, reach: Option<Reach>) -> Offer {
    let outgoing = prepared(Padding::ToSizeClass).offer(&slot(get_url), reach).unwrap();
    Offer::of_content(&outgoing.content()).unwrap()
}

fn request(offer: &Offer) -> Result<HttpRequest, Failure> {
    fetch_request(HttpId(1), offer, &own(), &sender())
}

fn reach() -> Reach {
    Reach { pin: PIN, at: vec![uri::Endpoint::parse("10.0.0.5:5443").unwrap()] }
}

#[test]
fn a_file_reaches_both_kinds_of_devices() {
    let prepared = prepared(Padding::None);
    assert_eq!(prepared.slot_request().size_bytes, 9 + 16);
    let url = "https://files.example.org/x/photo%20one.jpg";
    let outgoing = prepared.offer(&slot(url), None).unwrap();
    let upload = prepared.upload(HttpId(4), &slot(url), &own()).unwrap();
    assert_eq!((upload.method, upload.url.as_str(), upload.id), (HttpMethod::Put, url, HttpId(4)));
    assert!(!upload.body.windows(7).any(|w| w == b"picture"));
    assert!(upload.headers.contains(&("Authorization".into(), "Basic x".into())));

    let shared = Offer::of_content(&outgoing.content()).unwrap();
    let link = Offer::of_body(&outgoing.body()).unwrap();
    for (offer, name) in [(shared, "photo.jpg"), (link, "photo one.jpg")] {
        let kept = Offer::from_text(&offer.to_text()).unwrap();
        assert_eq!(kept, offer);
        let file = open(&kept, &upload.body).unwrap();
        assert_eq!((file.name.as_str(), &file.bytes[..]), (name, &b"a picture"[..]));
    }
}

#[test]
fn padding_hides_the_length_and_is_cut_off() {
    let prepared = prepared(Padding::ToSizeClass);
    assert_eq!(prepared.slot_request().size_bytes, 4096 + 16);
    let url = "https://files.example.org/x";
    let upload = prepared.upload(HttpId(1), &slot(url), &own()).unwrap();
    let offer = Offer::of_content(&prepared.offer(&slot(url), None).unwrap().content()).unwrap();
    assert_eq!(&open(&offer, &upload.body).unwrap().bytes[..], b"a picture");
    assert_eq!([0, 1, 4097, 65_536, 65_537].map(padded_len), [4096, 4096, 8192, 65_536, 67_584]);
    for len in (65_537..10_000_000).step_by(99_991) {
        let padded = padded_len(len);
        assert!(padded >= len && padded - len <= len / 8 && padded_len(padded) == padded);
    }
}

#[test]
fn names_and_slots_say_nothing() {
    let request = prepared(Padding::None).slot_request();
    assert!(!request.filename.contains("photo") && !format!("{:?}", prepared(Padding::None)).contains("photo"));
    assert_eq!(request.content_type.as_deref(), Some("application/octet-stream"));
}

#[test]
fn damaged_or_exchanged_files_are_not_handed_out() {
    let url = "https://files.example.org/x";
    let upload = prepared(Padding::ToSizeClass).upload(HttpId(1), &slot(url), &own()).unwrap();
    let good = offer(url, None);
    assert!(open(&good, &upload.body).is_ok());
    let mut flipped = upload.body.to_vec();
    flipped[100] ^= 1;
    for bad in [Bytes::new(), upload.body.slice(..4000), Bytes::from(flipped)] {
        assert_eq!(open(&good, &bad), Err(Failure::FileDamaged));
    }
    let Offer::Sharing(sharing) = good else { panic!("an element") };
    let mut longer = sharing.clone();
    longer.file.size_bytes = Some(5000);
    let mut other_file = sharing.clone();
    other_file.file.hashes = vec![Hash::sha256(b"another picture")];
    let mut other_ciphertext = sharing;
    for source in &mut other_ciphertext.sources {
        if let Source::Encrypted(source) = source {
            source.hashes = vec![Hash::sha256(b"another ciphertext")];
        }
    }
    for wrong in [longer, other_file, other_ciphertext] {
        assert_eq!(open(&Offer::Sharing(wrong), &upload.body), Err(Failure::FileDamaged));
    }
}

#[test]
fn f04_nothing_is_fetched_from_strangers() {
    assert!(may_fetch(Relation::Accepted));
    assert!(!may_fetch(Relation::Request) && !may_fetch(Relation::Blocked));
}

#[test]
fn f04_public_hosts_may_not_lead_into_private_networks() {
    let request = request(&offer("https://files.example.org/x", None)).unwrap();
    assert_eq!(request.identity, ServerIdentity::PublicCertificate);
    assert_eq!((request.private_addresses, request.addresses), (PrivateAddresses::Refuse, Vec::new()));
}

#[test]
fn f04_private_addresses_are_refused() {
    for host in [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.1",
        "172.16.5.5",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "198.18.0.1",
        "192.0.0.8",
        "localhost",
        "x.localhost",
        "[::1]",
        "[::]",
        "[fe80::1]",
        "[fd00::1]",
        "[ff02::1]",
        "[::ffff:10.0.0.1]",
        "[64:ff9b::a00:1]",
        "[2002:a00:1::]",
    ] {
        let refused = request(&offer(&format!("https://{host}/x"), None));
        assert_eq!(refused, Err(Failure::FileAddress), "{host}");
    }
    for host in ["8.8.8.8", "[2001:4860:4860::8888]", "[::ffff:8.8.8.8]"] {
        assert!(request(&offer(&format!("https://{host}/x"), None)).is_ok(), "{host}");
    }
}

#[test]
fn f04_the_own_broker_may_be_private_and_is_pinned() {
    for url in
        ["https://north-abcdef.local:5443/x", "https://upload.North-Abcdef.local:5443/x", "https://192.0.2.10:5443/x"]
    {
        let request = request(&offer(url, None)).unwrap();
        assert_eq!(request.identity, ServerIdentity::Pin([1; 32]));
        assert_eq!(request.private_addresses, PrivateAddresses::Allow);
        assert_eq!(request.addresses, [Endpoint { host: "192.0.2.10".into(), port: 5443 }]);
    }
    let lookalike = request(&offer("https://evil-north-abcdef.local/x", None)).unwrap();
    assert_eq!(lookalike.identity, ServerIdentity::PublicCertificate);
}

#[test]
fn f04_the_senders_pin_must_be_the_known_one() {
    let url = "https://south-ghijkl.local:5443/x";
    let pinned = request(&offer(url, Some(reach()))).unwrap();
    assert_eq!((pinned.identity, pinned.private_addresses), (ServerIdentity::Pin(PIN), PrivateAddresses::Allow));
    assert_eq!(pinned.addresses, [Endpoint { host: "10.0.0.5".into(), port: 5443 }]);
    let other_pin = Reach { pin: [8; 32], ..reach() };
    let unpinned = request(&offer(url, Some(other_pin.clone()))).unwrap();
    assert_eq!(unpinned.identity, ServerIdentity::PublicCertificate);
    assert_eq!((unpinned.private_addresses, unpinned.addresses), (PrivateAddresses::Refuse, Vec::new()));
    let private = offer("https://10.0.0.5:5443/x", Some(other_pin));
    assert_eq!(request(&private), Err(Failure::FileAddress));
}

#[test]
fn f04_http_and_redirects_and_endless_answers() {
    let link = prepared(Padding::None).offer(&slot("https://files.example.org/x"), None).unwrap().body();
    assert!(Offer::of_body(&link.replace("aesgcm://", "http://")).is_none());
    assert_eq!(
        prepared(Padding::None).offer(&slot("http://files.example.org/x"), None).err(),
        Some(Failure::FileAddress)
    );
    assert_eq!(fetched(HttpOutcome::Failed(HttpFailure::Redirected)), Err(Failure::FileAddress));
    for status in [201, 206, 301, 302, 404, 410, 500] {
        let outcome = HttpOutcome::Response { status, body: Bytes::from_static(b"x") };
        assert_eq!(fetched(outcome), Err(Failure::FileGone), "{status}");
    }
    let small = request(&offer("https://files.example.org/x", None)).unwrap();
    assert!(small.response_bytes_max < 200_000);
    let Offer::Sharing(mut sharing) = offer("https://files.example.org/x", None) else { panic!("an element") };
    sharing.file.size_bytes = Some(FILE_BYTES_MAX + 1);
    assert_eq!(request(&Offer::Sharing(sharing)), Err(Failure::FileTooLarge));
}

#[test]
fn offers_without_encryption_are_none() {
    let Offer::Sharing(mut sharing) = offer("https://files.example.org/x", None) else { panic!("an element") };
    sharing.sources = vec![Source::Url(HttpsUrl::parse("https://files.example.org/x").unwrap())];
    assert!(Offer::of_content(&[sharing.to_element()]).is_none());
}

/// The domain of an account is written with its own letters, URLs with ASCII: it is the same broker.
#[test]
fn the_own_broker_is_known_by_either_spelling_of_its_domain() {
    let own = Broker { domain: "b\u{fc}cher.example".into(), ..own() };
    for (url, is_own) in [
        ("https://xn--bcher-kva.example:5443/upload/a", true),
        ("https://upload.xn--bcher-kva.example/a", true),
        ("https://xn--bcher-kva.example.evil.example/a", false),
        ("https://bcher.example/a", false),
    ] {
        let url = HttpsUrl::parse(url).unwrap();
        assert_eq!(own.place(&url).is_some(), is_own, "{url:?}");
    }
}
