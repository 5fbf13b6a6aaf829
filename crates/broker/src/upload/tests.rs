use core::time::Duration;

use xep::upload::Slot;
use xmpp::jid::BareJid;
use xmpp::stanza::{Condition, StanzaError};
use xmpp::xml::Element;

use super::*;
use crate::http::{Request, Response};
use crate::testing::{World, run};

const NORTH: &str = "north.example";
const ALICE: &str = "alice@north.example";
const BASE: &str = "https://north.example:5443";

fn world_with(configure: impl Fn(&mut UploadSettings)) -> World {
    let world = World::with_config(1, &[NORTH, "south.example"], |config| {
        config.services.push("upload".to_owned());
        config.upload.web_base = Some(BASE.to_owned());
        configure(&mut config.upload);
    });
    world.register(ALICE);
    world
}

fn world() -> World {
    world_with(|_| ())
}

fn ask(world: &mut World, client: usize, filename: &str, size: u64) -> Element {
    let request = format!("<request xmlns='urn:xmpp:http:upload:0' filename='{filename}' size='{size}'/>");
    world.send(client, &format!("<iq type='get' id='u' to='upload.north.example'>{request}</iq>"));
    let mut answers = world.take(client);
    answers.retain(|s| s.attr("id") == Some("u"));
    answers.remove(0)
}

/// Asks for a slot and returns its path.
fn slot(world: &mut World, filename: &str, size: u64) -> String {
    let alice = world.online(ALICE, "desk");
    let answer = ask(world, alice, filename, size);
    let slot = Slot::parse(answer.child("slot", xep::upload::NS).expect("a slot")).expect("a slot");
    assert_eq!(slot.put_url, slot.get_url);
    slot.get_url.strip_prefix(BASE).expect("our own address").to_owned()
}

/// As [`slot`], for a file of three bytes and of a type.
fn typed_slot(world: &mut World, content_type: Option<&str>) -> String {
    let alice = world.online(ALICE, "desk");
    let content_type = content_type.map(|text| format!(" content-type='{text}'")).unwrap_or_default();
    world.send(
        alice,
        &format!(
            "<iq type='get' id='t' to='{NORTH}'><request xmlns='urn:xmpp:http:upload:0' filename='a' size='3'{content_type}/></iq>"
        ),
    );
    let answer = world.take(alice).remove(0);
    let slot = Slot::parse(answer.child("slot", xep::upload::NS).expect("a slot")).expect("a slot");
    slot.get_url.strip_prefix(BASE).expect("our own address").to_owned()
}

fn refusal(answer: &Element) -> Option<Condition> {
    StanzaError::of_stanza(answer).map(|e| e.condition)
}

fn request<'a>(method: &'a str, path: &'a str, headers: &'a [(&'a str, &'a str)]) -> Request<'a> {
    Request { method, path, headers }
}

/// Uploads in pieces of `piece` bytes; returns the status.
fn upload(world: &World, path: &str, announced: usize, content: &[u8], piece: usize) -> u16 {
    let announced = announced.to_string();
    let outcome: Result<Response, Response> = run(async {
        let headers = [("content-length", announced.as_str())];
        let mut put = put(world.broker(NORTH).core(), &request("PUT", path, &headers)).await?;
        for bytes in content.chunks(piece) {
            put.handle_bytes(bytes).await?;
        }
        put.finish().await
    });
    outcome.unwrap_or_else(|refused| refused).status
}

fn download(world: &World, path: &str, range: Option<&str>) -> (Response, Vec<u8>) {
    let headers: Vec<(&str, &str)> = range.map(|r| ("range", r)).into_iter().collect();
    run(async {
        let (head, download) = get(world.broker(NORTH).core(), &request("GET", path, &headers)).await;
        let mut content = Vec::new();
        if let Some(mut download) = download {
            while let Some(piece) = download.next().await.expect("readable") {
                content.extend(piece);
            }
        }
        (head, content)
    })
}

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from(i % 251).unwrap_or_default()).collect()
}

#[test]
fn what_was_put_is_what_is_got() {
    let mut world = world();
    for len in [1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES + 17] {
        let path = slot(&mut world, "photo.JPG", len as u64);
        assert!(path.ends_with(".jpg"), "{path}");
        assert_eq!(download(&world, &path, None).0.status, 404, "nothing there yet");
        assert_eq!(upload(&world, &path, len, &content(len), 70_000), 201);
        let (head, got) = download(&world, &path, None);
        assert_eq!((head.status, got == content(len)), (200, true), "{len}");
        assert_eq!(head.header("content-length"), Some(len.to_string().as_str()));
    }
}

#[test]
fn the_answer_makes_nobody_run_or_show_anything() {
    let mut world = world();
    let path = slot(&mut world, "page.html", 5);
    upload(&world, &path, 5, b"<b>x<", 5);
    let (head, _) = download(&world, &path, None);
    for (name, value) in [
        ("content-type", "application/octet-stream"),
        ("content-disposition", "attachment"),
        ("connection", "close"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; sandbox"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
    ] {
        assert_eq!(head.header(name), Some(value));
    }
}

#[test]
fn parts_of_a_file() {
    let mut world = world();
    let len = 2 * CHUNK_BYTES + 100;
    let path = slot(&mut world, "a", len as u64);
    upload(&world, &path, len, &content(len), CHUNK_BYTES);
    let end = CHUNK_BYTES + 10;
    let (head, got) = download(&world, &path, Some(&format!("bytes={}-{}", CHUNK_BYTES - 10, end - 1)));
    assert_eq!((head.status, got.as_slice()), (206, &content(len)[CHUNK_BYTES - 10..end]));
    assert_eq!(head.header("content-range"), Some(format!("bytes {}-{}/{len}", CHUNK_BYTES - 10, end - 1).as_str()));
    assert_eq!(download(&world, &path, Some("bytes=-3")).1, &content(len)[len - 3..]);
    let (head, got) = download(&world, &path, Some(&format!("bytes={len}-")));
    assert_eq!((head.status, got.len()), (416, 0));
    assert_eq!(head.header("content-range"), Some(format!("bytes */{len}").as_str()));
}

#[test]
fn only_the_head() {
    let mut world = world();
    let path = slot(&mut world, "a", 3);
    upload(&world, &path, 3, b"abc", 3);
    let (head, download) = run(get(world.broker(NORTH).core(), &request("HEAD", &path, &[])));
    assert_eq!((head.status, head.header("content-length"), download.is_none()), (200, Some("3"), true));
}

#[test]
fn a_file_comes_once_and_with_the_size_that_was_asked_for() {
    let mut world = world();
    let path = slot(&mut world, "a", 10);
    assert_eq!(upload(&world, &path, 9, &content(9), 9), 400, "announced shorter");
    assert_eq!(upload(&world, &path, 11, &content(11), 11), 400, "announced longer");
    assert_eq!(upload(&world, &path, 10, &content(9), 9), 400, "is shorter");
    assert_eq!(upload(&world, &path, 10, &content(11), 4), 413, "is longer");
    let none = run(put(world.broker(NORTH).core(), &request("PUT", &path, &[])));
    assert_eq!(none.err().map(|r| r.status), Some(411), "not announced");
    assert_eq!(download(&world, &path, None).0.status, 404);
    assert_eq!(upload(&world, &path, 10, &content(10), 10), 201, "after all these failures");
    assert_eq!(upload(&world, &path, 10, &content(10), 10), 409, "and never again");
}

#[test]
fn two_cannot_put_one_file_at_the_same_time() {
    let mut world = world();
    let path = slot(&mut world, "a", 4);
    let headers = [("content-length", "4")];
    let core = world.broker(NORTH).core();
    let first = run(put(core, &request("PUT", &path, &headers))).expect("the first");
    assert_eq!(run(put(core, &request("PUT", &path, &headers))).err().map(|r| r.status), Some(409));
    drop(first);
    assert!(run(put(core, &request("PUT", &path, &headers))).is_ok(), "the first was cut off");
}

#[test]
fn f01_paths_lead_nowhere_else() {
    let mut world = world();
    let path = slot(&mut world, "../../etc/passwd", 4);
    assert!(!path.trim_start_matches(PATH).contains('/'), "{path}");
    let path = slot(&mut world, "x.html?a=b", 4);
    assert!(!path.contains('?') && !path.contains('.'), "only plain endings: {path}");
    for bad in
        ["/upload/", "/upload/..", "/upload/../../x", "/upload/a/b", "/upload/%2e%2e", "/other", "/upload/\u{e4}"]
    {
        assert_eq!(download(&world, bad, None).0.status, 404, "{bad}");
        assert_eq!(upload(&world, bad, 4, b"abcd", 4), 404, "{bad}");
    }
}

#[test]
fn x18_sizes_and_days_are_bounded() {
    let mut world = world_with(|settings| {
        settings.max_bytes = 1000;
        settings.per_day_bytes = 2500;
    });
    let alice = world.online(ALICE, "desk");
    let refused = ask(&mut world, alice, "a", 1001);
    assert_eq!(refusal(&refused), Some(Condition::NotAcceptable));
    assert!(StanzaError::of_stanza(&refused).is_some_and(|e| e.extra.iter().any(|x| x.name() == "file-too-large")));
    for _ in 0..2 {
        assert_eq!(refusal(&ask(&mut world, alice, "a", 1000)), None);
    }
    assert_eq!(refusal(&ask(&mut world, alice, "a", 1000)), Some(Condition::ResourceConstraint));
    world.advance(Duration::from_secs(86_400));
    let alice = world.online(ALICE, "phone");
    assert_eq!(refusal(&ask(&mut world, alice, "a", 1000)), None);
}

#[test]
fn strangers_get_no_slot() {
    let mut world = world();
    world.register("bob@south.example");
    let bob = world.online("bob@south.example", "desk");
    let request = "<request xmlns='urn:xmpp:http:upload:0' filename='a' size='10'/>";
    world.send(bob, &format!("<iq type='get' id='u' to='north.example'>{request}</iq>"));
    assert_eq!(refusal(&world.take(bob)[0]), Some(Condition::Forbidden));
}

#[test]
fn files_and_slots_end() {
    let mut world = world();
    let kept = slot(&mut world, "a", 3);
    upload(&world, &kept, 3, b"abc", 3);
    let unused = slot(&mut world, "b", 3);
    world.advance(Duration::from_secs(2 * 3600));
    assert_eq!(upload(&world, &unused, 3, b"abc", 3), 404, "the slot has waited too long");
    assert_eq!(download(&world, &kept, None).0.status, 200);
    assert_eq!(run(forget_expired(world.broker(NORTH).core())), Ok(1));
    world.advance(Duration::from_secs(14 * 86_400));
    assert_eq!(download(&world, &kept, None).0.status, 404);
    let core = world.broker(NORTH).core();
    assert_eq!(run(forget_expired(core)), Ok(1));
    let name = name_in(&kept).expect("a name");
    let chunks = run(core.store.scan_seq(UPLOAD_CHUNKS, name.as_bytes(), .., store::Direction::Forward, 10));
    assert!(chunks.is_ok_and(|rows| rows.is_empty()));
    assert!(run(core.store.list(UPLOADS_OF, ALICE.as_bytes())).is_ok_and(|rows| rows.is_empty()));
}

#[test]
fn everything_of_an_account_goes_with_it() {
    let mut world = world();
    let path = slot(&mut world, "a", 3);
    upload(&world, &path, 3, b"abc", 3);
    let core = world.broker(NORTH).core();
    run(crate::accounts::delete(core, &BareJid::parse(ALICE).expect("an address"))).expect("closed");
    assert_eq!(download(&world, &path, None).0.status, 404);
    assert!(run(core.store.list(UPLOADS, UPLOADS_OWNER)).is_ok_and(|rows| rows.is_empty()));
}

#[test]
fn a_file_survives_a_restart() {
    let mut world = world();
    let path = slot(&mut world, "a", 3);
    upload(&world, &path, 3, b"abc", 3);
    world.crash(NORTH);
    assert_eq!(download(&world, &path, None).1, b"abc");
}

/// XEP-0363 §7: the type that was asked for is the one that must come, if one was; then it is forgotten.
#[test]
fn a_file_has_the_type_that_was_asked_for() {
    let mut world = world();
    for (asked, sent, status) in [
        (Some("image/jpeg"), Some("image/jpeg"), 201),
        (Some("image/jpeg"), Some("IMAGE/JPEG; q=1"), 201),
        (Some("text/plain; charset=utf-8"), Some("text/plain"), 201),
        (Some("application/octet-stream"), None, 201),
        (Some("image/jpeg"), None, 415),
        (Some("image/jpeg"), Some("text/html"), 415),
        (None, Some("text/html"), 201),
        (None, None, 201),
    ] {
        let path = typed_slot(&mut world, asked);
        let headers: Vec<(&str, &str)> =
            [("content-length", "3")].into_iter().chain(sent.map(|sent| ("content-type", sent))).collect();
        let done: Result<Response, Response> = run(async {
            let mut put = put(world.broker(NORTH).core(), &request("PUT", &path, &headers)).await?;
            put.handle_bytes(b"abc").await?;
            put.finish().await
        });
        assert_eq!(done.unwrap_or_else(|refused| refused).status, status, "{asked:?} {sent:?}");
        let name = name_in(&path).expect("a name");
        let (_, row) = run(read(world.broker(NORTH).core(), name)).expect("readable").expect("a row");
        assert_eq!(row.content_type.is_some(), status != 201, "what came is forgotten");
        assert_eq!(row.complete, status == 201);
    }
}

#[test]
fn apps_in_browsers_see_answers_and_are_given_no_credentials() {
    let (options, refused) = (for_browsers(options()), for_browsers(Response::text(404, "There is no such file.")));
    for answer in [&options, &refused] {
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(answer.header("access-control-allow-methods"), Some("OPTIONS, HEAD, GET, PUT"));
        assert!(answer.header("access-control-allow-headers").is_some_and(|names| names.contains("Content-Type")));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
    assert_eq!((options.status, options.body.len()), (204, 0));
}
