//! The HTTPS listener: the page of an invitation, and files.

use bytes::Bytes;
use net::Service;
use net::dial::{Dialler, Endpoint, HostPort, Mode, Target};
use net::dns::Names;
use net::http::{Access, Fetch, HttpClient, HttpError, HttpsUrl, Place, Upload};
use net::tls::ClientTls;
use net::verify::Trust;
use waxwingd::Server;
use xep::upload::{Slot, SlotRequest};

use crate::person::{Person, Way};
use crate::talk::{register, settings};

/// How a client of this broker uses its URLs: at the known address, believing the pin only.
fn place(server: &Server, url: &str) -> Place {
    let at = HostPort::new("127.0.0.1", server.addresses().https.port());
    Place::new(HttpsUrl::parse(url).expect("a URL"), Access::Pinned(server.pin())).at([at])
}

/// Sends one request as a browser would and returns head and body of the answer.
async fn request(server: &Server, text: String) -> String {
    let at = Endpoint::new("127.0.0.1", server.addresses().https.port(), Mode::DirectTls);
    let target = Target::new(server.domain(), Service::Https).at([at]);
    let tls = ClientTls::new(Service::Https, Trust::pins([server.pin()]));
    let link = Dialler::direct(Names::system()).connect_link(&target, &tls, None).await.expect("it listens");
    let mut connection = link.connection;
    connection.send(text.as_bytes()).await.expect("written");
    let mut answer = Vec::new();
    while let Ok(Some(bytes)) = connection.read_chunk().await {
        answer.extend_from_slice(&bytes);
    }
    String::from_utf8(answer).expect("text")
}

async fn upload(person: &mut Person, server: &Server, size_bytes: u64) -> Slot {
    let request = SlotRequest { filename: "photo.jpg".to_owned(), size_bytes, content_type: None };
    let service = format!("upload.{}", server.domain());
    let answer = person.ask("get", &service, request.to_element()).await;
    assert_eq!(answer.attr("type"), Some("result"), "{}", answer.to_xml(xmpp::ns::CLIENT));
    Slot::parse(answer.children().next().expect("a slot")).expect("a slot")
}

#[tokio::test]
async fn a_file_goes_up_and_comes_down_whole_and_in_part() {
    let server = Server::start(settings("north.example")).await.expect("starts");
    let mut alice = register(&server, "alice").await;
    let file: Vec<u8> = (0..700_000u32).flat_map(|n| n.to_le_bytes()).take(700_001).collect();
    let slot = upload(&mut alice, &server, file.len() as u64).await;
    assert!(slot.put_url.starts_with(&format!("https://north.example:{}/", server.addresses().https.port())));
    let client = HttpClient::new(Dialler::direct(Names::system()));
    let put = |bytes: &[u8]| Upload::from_bytes(Bytes::copy_from_slice(bytes));
    let too_short = client.put(&place(&server, &slot.put_url), &slot.put_headers, put(&file[1..])).await;
    assert_eq!(too_short, Err(HttpError::Status(400)));
    client.put(&place(&server, &slot.put_url), &slot.put_headers, put(&file)).await.expect("taken");

    for offset in [0usize, 300_000] {
        let fetch = Fetch { place: place(&server, &slot.get_url), offset: offset as u64, max_bytes: file.len() as u64 };
        let mut received = Vec::new();
        let mut write = |bytes: &[u8]| {
            received.extend_from_slice(bytes);
            Ok(())
        };
        let done = client.get(&fetch, &mut |_| Ok(()), &mut write).await.expect("fetched");
        assert_eq!(done.offset, offset as u64);
        assert!(received == file[offset..], "from {offset}");
    }
    let elsewhere = place(&server, &slot.get_url.replace("/upload/", "/upload/x"));
    let fetch = Fetch { place: elsewhere, offset: 0, max_bytes: 10 };
    let missing = client.get(&fetch, &mut |_| Ok(()), &mut |_| Ok(())).await;
    assert_eq!(missing.map(|_| ()), Err(HttpError::Status(404)));
    server.stop().await;
}

#[tokio::test]
async fn the_page_of_an_invitation_makes_an_account_without_script() {
    let server = Server::start(settings("north.example")).await.expect("starts");
    let invite = server.invite().await.expect("an invitation");
    let page = invite.page.clone().expect("a page");
    let path = page.split_once(&format!(":{}", server.addresses().https.port())).expect("our port").1.to_owned();
    let host = format!("127.0.0.1:{}", server.addresses().https.port());
    let shown = request(&server, format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")).await;
    assert!(shown.starts_with("HTTP/1.1 200"), "{shown}");
    assert!(shown.contains("default-src 'none'") && !shown.contains("<script"), "{shown}");
    assert!(shown.contains("xmpp:north.example?register"), "{shown}");

    let way = Way::of_link(&invite.link);
    let form = format!("name=alice&token={}", way.token.as_deref().expect("a token"));
    let post = format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\norigin: https://{host}\r\nsec-fetch-site: same-origin\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{form}",
        form.len()
    );
    let made = request(&server, post).await;
    assert!(made.starts_with("HTTP/1.1 200") && made.contains("alice@north.example"), "{made}");
    let front = request(&server, format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")).await;
    assert!(front.starts_with("HTTP/1.1 200") && front.contains("You need an invitation"), "{front}");
    server.stop().await;
}

/// What leaves XMPP names machines in ASCII: URLs of files and pages, the certificate, SNI and `Host`. Our own client takes
/// what it gets.
#[tokio::test]
async fn a_domain_with_other_letters_is_ascii_wherever_it_leaves_xmpp() {
    let server = Server::start(settings("b\u{fc}cher.example")).await.expect("starts");
    let invite = server.invite().await.expect("an invitation");
    let page = invite.page.clone().expect("a page");
    assert!(page.is_ascii() && invite.link.is_ascii(), "{page} {}", invite.link);
    let mut alice = register(&server, "alice").await;
    let slot = upload(&mut alice, &server, 10).await;
    for url in [&slot.put_url, &slot.get_url] {
        assert!(url.starts_with("https://xn--bcher-kva.example:"), "{url}");
        assert!(xep::https_url::HttpsUrl::parse(url).is_ok(), "our own client takes it: {url}");
    }
    let client = HttpClient::new(Dialler::direct(Names::system()));
    let put = Upload::from_bytes(Bytes::from_static(b"0123456789"));
    client.put(&place(&server, &slot.put_url), &slot.put_headers, put).await.expect("taken");
    // by SNI and the name in the certificate, without the pin
    let at = Endpoint::new("127.0.0.1", server.addresses().https.port(), Mode::DirectTls);
    let tls = ClientTls::new(Service::Https, Trust::only_pem(&server.facts().ca_pem).expect("its authority"));
    for name in ["b\u{fc}cher.example", "xn--bcher-kva.example"] {
        let target = Target::new(name, Service::Https).at([at.clone()]);
        assert!(Dialler::direct(Names::system()).connect_link(&target, &tls, None).await.is_ok(), "{name}");
    }
    server.stop().await;
}

/// What a browser asks and does for an app from elsewhere (XEP-0363 §8).
#[tokio::test]
async fn an_app_in_a_browser_may_upload_and_fetch() {
    let server = Server::start(settings("north.example")).await.expect("starts");
    let mut alice = register(&server, "alice").await;
    let slot = upload(&mut alice, &server, 3).await;
    let path =
        slot.put_url.split_once(&format!(":{}", server.addresses().https.port())).expect("our port").1.to_owned();
    let from_app = "host: north.example\r\norigin: https://app.example\r\nconnection: close\r\n";
    for (asked, status) in [
        (format!("OPTIONS {path} HTTP/1.1\r\n{from_app}access-control-request-method: PUT\r\n\r\n"), "204"),
        (format!("GET {path} HTTP/1.1\r\n{from_app}\r\n"), "404"),
        (format!("PUT {path} HTTP/1.1\r\n{from_app}content-length: 3\r\n\r\nabc"), "201"),
        (format!("GET {path} HTTP/1.1\r\n{from_app}\r\n"), "200"),
        (format!("HEAD {path} HTTP/1.1\r\n{from_app}\r\n"), "200"),
        (format!("DELETE {path} HTTP/1.1\r\n{from_app}\r\n"), "405"),
    ] {
        let answer = request(&server, asked.clone()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{asked} {answer}");
        assert!(answer.contains("access-control-allow-origin: *\r\n"), "{asked} {answer}");
    }
    let page = request(&server, format!("OPTIONS / HTTP/1.1\r\n{from_app}\r\n")).await;
    assert!(!page.contains("access-control-"), "pages are for nobody else: {page}");
    server.stop().await;
}
