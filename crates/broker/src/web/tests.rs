use xmpp::sasl::{Hash, ScramVerifier};

use super::*;
use crate::invites::{self, Spec};
use crate::testing::{World, run};

const NORTH: &str = "north.example";

fn world() -> World {
    let world = World::with_config(1, &[NORTH], |config| {
        config.invites.web_base = Some("https://north.example:5443".to_owned());
        config.invites.pin = Some([9; 32]);
    });
    world.register("alice@north.example");
    world
}

fn invite(world: &World, spec: &Spec) -> String {
    run(invites::create(world.broker(NORTH).core(), spec)).expect("an invitation").token
}

fn get(world: &World, path: &str) -> Response {
    run(serve(world.broker(NORTH).core(), &Request { method: "GET", path, headers: &[] }, b""))
}

fn show(world: &World, token: &str) -> (u16, String) {
    let response = get(world, &format!("{INVITE_PATH}{token}"));
    (response.status, String::from_utf8(response.body).expect("text"))
}

const FROM_PAGE: &[(&str, &str)] =
    &[("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", "same-origin")];

fn post_with(world: &World, token: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let path = format!("{INVITE_PATH}{token}");
    let request = Request { method: "POST", path: &path, headers };
    let response = run(serve(world.broker(NORTH).core(), &request, body.as_bytes()));
    (response.status, String::from_utf8(response.body).expect("text"))
}

fn post(world: &World, token: &str, name: &str) -> (u16, String) {
    post_with(world, token, FROM_PAGE, &format!("token={token}&name={name}"))
}

/// Returns what stands in the elements of class `once`: the address and the password.
fn once(page: &str) -> Vec<&str> {
    page.split("<p class=\"once\">").skip(1).filter_map(|rest| rest.split('<').next()).collect()
}

#[test]
fn the_page_shows_link_code_apps_and_form() {
    let world = world();
    let alice = Spec {
        inviter: Some(BareJid::parse("alice@north.example").expect("an address")),
        is_contact: true,
        ..Spec::default()
    };
    let token = invite(&world, &alice);
    let (status, page) = show(&world, &token);
    assert_eq!(status, 200);
    for part in [
        "alice@north.example invites you",
        "href=\"xmpp:alice@north.example?roster;preauth=",
        "wx-pin=",
        "<svg ",
        "Android",
        "iPhone",
        "Windows",
        "Linux",
        "Mac",
        "choose OMEMO",
        "waxwing join 'xmpp:",
        "only you and the people you write to can read them",
        "<form method=\"post\"",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(page.contains(&format!("name=\"token\" value=\"{token}\"")));
}

#[test]
fn a_code_in_upper_case_leads_to_the_same_page() {
    let world = world();
    let invite = run(invites::create(world.broker(NORTH).core(), &Spec::default())).expect("an invitation");
    let code = invite.code_url.expect("there is a page");
    let path = code.strip_prefix("HTTPS://NORTH.EXAMPLE:5443").expect("the page's address");
    assert!(path.starts_with("/I/"), "{path}");
    for path in [path.to_owned(), path.to_lowercase()] {
        let response = get(&world, &path);
        assert_eq!(response.status, 200);
        let page = String::from_utf8(response.body).expect("text");
        assert!(page.contains(&format!("name=\"token\" value=\"{}\"", invite.token)));
    }
    assert_eq!(get(&world, "/I/GUESS").status, 404);
}

#[test]
fn x20_no_script_nothing_from_elsewhere_no_frames() {
    let world = world();
    let token = invite(&world, &Spec::default());
    let response = get(&world, &format!("{INVITE_PATH}{token}"));
    for (name, value) in [
        ("content-security-policy", CSP),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("cache-control", "no-store"),
        ("content-type", "text/html; charset=utf-8"),
    ] {
        assert_eq!(response.header(name), Some(value));
    }
    assert!(!CSP.contains("unsafe") && CSP.contains("frame-ancestors 'none'") && !CSP.contains("script"));
    let page = String::from_utf8(response.body).expect("text");
    for forbidden in ["<script", "onclick", "javascript:", "<img", "<iframe", "style=", "src="] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    let style = get(&world, STYLE_PATH);
    assert_eq!(style.header("content-type"), Some("text/css; charset=utf-8"));
    assert!(!String::from_utf8(style.body).expect("text").contains("url("));
}

#[test]
fn who_registers_sees_a_password_once_that_works_and_is_kept_nowhere() {
    let world = world();
    let token = invite(&world, &Spec::default());
    let (status, page) = post(&world, &token, "Bob");
    assert_eq!(status, 200);
    let [address, password] = once(&page)[..] else { panic!("address and password are shown") };
    assert_eq!(address, "bob@north.example");
    let row = run(world.broker(NORTH).core().account("bob@north.example")).expect("readable").expect("an account");
    for verifier in &row.verifiers {
        let hash = if verifier.hash == 1 { Hash::Sha1 } else { Hash::Sha256 };
        let derived = ScramVerifier::derive(hash, password, &verifier.salt, verifier.iterations).expect("a password");
        assert_eq!(derived.keys.stored_key, verifier.stored_key);
    }
    assert_eq!(show(&world, &token).0, 404, "used up");
    assert_eq!(post(&world, &token, "carol").0, 404);
}

#[test]
fn a_taken_name_is_said_at_once_with_three_free_ones() {
    let world = world();
    let token = invite(&world, &Spec::default());
    let (status, page) = post(&world, &token, "alice");
    assert_eq!(status, 409);
    assert!(page.contains("This name is taken."));
    let proposed: Vec<&str> = page
        .split("type=\"submit\" name=\"name\" value=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert_eq!(proposed.len(), 3);
    let (status, page) = post(&world, &token, proposed[0]);
    assert_eq!((status, once(&page)[0]), (200, format!("{}@north.example", proposed[0]).as_str()));
}

#[test]
fn bad_names_are_explained_and_escaped() {
    let world = world();
    let token = invite(&world, &Spec::default());
    let (status, page) = post(&world, &token, "%3Cb%3E%22x");
    assert_eq!(status, 409);
    assert!(page.contains("cannot be used") && !page.contains("<b>") && page.contains("&lt;b&gt;&quot;x"));
    assert_eq!(post(&world, &token, "").0, 409);
    assert_eq!(post(&world, &token, "bob").0, 200, "the invitation is still good");
}

#[test]
fn without_a_good_invitation_there_is_no_form_and_no_answer_about_names() {
    let mut world = world();
    let token = invite(&world, &Spec::default());
    assert_eq!(show(&world, "guess").0, 404);
    let (taken, free) = (post(&world, "guess", "alice"), post(&world, "guess", "bob"));
    assert_eq!(taken, free);
    assert_eq!(taken.0, 404);
    world.advance(core::time::Duration::from_secs(8 * 86_400));
    assert_eq!((show(&world, &token).0, post(&world, &token, "bob").0), (404, 404));
}

#[test]
fn x20_forms_from_elsewhere_do_nothing() {
    let world = world();
    let token = invite(&world, &Spec::default());
    let body = format!("token={token}&name=bob");
    let kind = ("content-type", "application/x-www-form-urlencoded");
    for (headers, body, status) in [
        (vec![kind, ("sec-fetch-site", "cross-site")], body.as_str(), 403),
        (vec![kind], body.as_str(), 403),
        (vec![kind, ("origin", "https://evil.example"), ("host", "north.example:5443")], body.as_str(), 403),
        (FROM_PAGE.to_vec(), "name=bob", 403),
        (FROM_PAGE.to_vec(), "token=other&name=bob", 403),
        (vec![("content-type", "text/plain"), ("sec-fetch-site", "same-origin")], body.as_str(), 400),
        (FROM_PAGE.to_vec(), &format!("{body}&x={}", "x".repeat(FORM_BYTES_MAX)), 400),
    ] {
        assert_eq!(post_with(&world, &token, &headers, body).0, status, "{headers:?}");
    }
    assert_eq!(run(world.broker(NORTH).core().account_exists("bob@north.example")), Ok(false));
    let origin = vec![kind, ("origin", "https://north.example:5443"), ("host", "north.example:5443")];
    assert_eq!(post_with(&world, &token, &origin, &body).0, 200);
}

#[test]
fn a_kept_name_needs_no_typing() {
    let world = world();
    let juliet = BareJid::parse("juliet@north.example").expect("an address");
    let token = invite(&world, &Spec { address: Some(juliet), ..Spec::default() });
    let (_, page) = show(&world, &token);
    assert!(page.contains("juliet") && !page.contains("id=\"name\""));
    let (status, page) = post(&world, &token, "romeo");
    assert_eq!((status, once(&page)[0]), (200, "juliet@north.example"), "whatever the form says");
}

#[test]
fn other_paths_and_methods() {
    let world = world();
    let front = get(&world, "/");
    let text = String::from_utf8(front.body).expect("text");
    assert!(front.status == 200 && text.contains("north.example") && text.contains("You need an invitation"), "{text}");
    let nothing = get(&world, "/favicon.ico");
    assert_eq!((nothing.status, nothing.header("content-type")), (404, Some("text/html; charset=utf-8")));
    assert_eq!(get(&world, "/robots.txt").body, b"User-agent: *\nDisallow: /\n");
    let request = Request { method: "DELETE", path: "/invite/x", headers: &[] };
    let response = run(serve(world.broker(NORTH).core(), &request, b""));
    assert_eq!((response.status, response.header("allow")), (405, Some("GET, HEAD, POST")));
}

/// The hidden fields of the first form of a page, as a browser sends them.
fn hidden(page: &str) -> String {
    let form = page.split("<form").nth(1).and_then(|rest| rest.split("</form>").next()).expect("a form");
    let fields = form.split("<input type=\"hidden\" name=\"").skip(1).filter_map(|field| {
        let (name, rest) = field.split_once("\" value=\"")?;
        Some(format!("{name}={}", rest.split('"').next()?))
    });
    fields.collect::<Vec<_>>().join("&")
}

fn send(world: &World, path: &str, body: &str) -> Response {
    let request = Request { method: "POST", path, headers: FROM_PAGE };
    run(serve(world.broker(NORTH).core(), &request, body.as_bytes()))
}

fn text(response: &Response) -> String {
    String::from_utf8(response.body.clone()).expect("text")
}

#[test]
fn a_reload_shows_the_password_again_and_nothing_was_kept_for_that() {
    let mut world = world();
    let token = invite(&world, &Spec::default());
    let path = format!("{INVITE_PATH}{token}");
    let form = format!("{}&name=bob", hidden(&show(&world, &token).1));
    let other = format!("{}&name=bob", hidden(&show(&world, &token).1));
    let first = send(&world, &path, &form);
    assert_eq!(first.status, 200);
    let first = text(&first);
    assert_eq!(once(&first)[0], "bob@north.example");
    assert_eq!(once(&text(&send(&world, &path, &form))), once(&first), "the same form, the same page");
    // somebody else who had the page open at the same time has another password in it, which is not the account's
    assert_eq!(send(&world, &path, &other).status, 404);
    assert_eq!(post(&world, &token, "bob").0, 404, "nor does the bare link lead to it");
    assert_eq!(get(&world, &path).status, 404);
    world.advance(recent::LIFETIME);
    assert_eq!(send(&world, &path, &form).status, 404, "and not for ever");
}

#[test]
fn a_password_is_kept_for_who_asks_until_they_have_it_or_time_is_over() {
    let mut world = world();
    let register = |world: &World, name: &str| {
        let token = invite(world, &Spec::default());
        let path = format!("{INVITE_PATH}{token}");
        let form = format!("{}&name={name}", hidden(&show(world, &token).1));
        let page = text(&send(world, &path, &form));
        let password = once(&page)[1].to_owned();
        (path, format!("{}&do=keep", hidden(&page)), password)
    };
    let (path, keep, password) = register(&world, "bob");
    let kept = send(&world, &path, &keep);
    assert_eq!(kept.status, 303);
    let again = kept.header("location").expect("an address").to_owned();
    let name = again.strip_prefix(AGAIN_PATH).expect("ours");
    assert!(name.len() == 32 && !again.contains(&password), "{again}");
    for _ in 0..3 {
        let page = get(&world, &again);
        assert_eq!((page.status, page.header("cache-control")), (200, Some("no-store")));
        assert_eq!(once(&text(&page)), ["bob@north.example", password.as_str()]);
    }
    assert_eq!(send(&world, &path, &keep).header("location"), Some(again.as_str()), "asked twice, kept once");
    let forget = hidden(&text(&get(&world, &again)));
    let elsewhere = Request { method: "POST", path: &again, headers: &[("sec-fetch-site", "cross-site")] };
    assert_eq!(run(serve(world.broker(NORTH).core(), &elsewhere, forget.as_bytes())).status, 403);
    assert_eq!(send(&world, &again, "id=other").status, 403);
    assert_eq!(send(&world, &again, &forget).status, 200);
    assert_eq!(get(&world, &again).status, 404, "forgotten");
    assert_eq!(send(&world, &path, &keep).status, 404, "for good");

    let (path, keep, _) = register(&world, "carol");
    let again = send(&world, &path, &keep).header("location").expect("an address").to_owned();
    world.advance(recent::LIFETIME - core::time::Duration::from_secs(1));
    assert_eq!(get(&world, &again).status, 200);
    world.advance(core::time::Duration::from_secs(1));
    let over = get(&world, &again);
    assert!(over.status == 404 && text(&over).contains("waxwingd account reset"), "{}", text(&over));
}

#[test]
fn x20_nobody_has_a_password_kept_that_the_page_did_not_show() {
    let world = world();
    let token = invite(&world, &Spec::default());
    let path = format!("{INVITE_PATH}{token}");
    let form = hidden(&show(&world, &token).1);
    assert_eq!(send(&world, &path, &format!("{form}&do=keep")).status, 404, "before there is an account");
    let (page, _) = (text(&send(&world, &path, &format!("{form}&name=bob"))), ());
    let keep = format!("{}&do=keep", hidden(&page));
    let forged = keep.replace(once(&page)[1], "aaaaa-bbbbb-ccccc-ddddd");
    assert_eq!(send(&world, &path, &forged).status, 404);
    let other = invite(&world, &Spec::default());
    let moved = keep.replace(&token, &other);
    assert_ne!(send(&world, &format!("{INVITE_PATH}{other}"), &moved).status, 303, "the proof is for one invitation");
    assert_eq!(get(&world, "/again/").status, 404);
}

#[test]
fn pages_are_honest_about_names_that_phones_cannot_find() {
    let page = |configure: fn(&mut crate::BrokerConfig)| {
        let world = World::with_config(1, &[NORTH], |config| {
            config.invites.web_base = Some("https://north.example:5443".to_owned());
            configure(config);
        });
        let token = invite(&world, &Spec::default());
        show(&world, &token).1
    };
    let everywhere = page(|_| {});
    assert!(!everywhere.contains("Which apps work here") && everywhere.contains("Dino"), "{everywhere}");
    let own = page(|config| config.invites.pin = Some([9; 32]));
    assert!(own.contains("No public authority vouches") && own.contains("Dino"), "{own}");
    let by_link = page(|config| {
        config.invites.pin = Some([9; 32]);
        config.invites.at = vec![xep::uri::Endpoint::parse("192.0.2.1:5223").expect("an endpoint")];
        config.invites.starttls_port = Some(5222);
    });
    assert!(by_link.contains("phones cannot look it up") && by_link.contains("192.0.2.1, port 5222"), "{by_link}");
    assert!(
        !by_link.contains("Dino") && by_link.contains("Extended connection settings"),
        "only apps that can: {by_link}"
    );
}
