//! The examples of XEP-0447 and XEP-0448, and offers that are wrong.

use super::*;
use crate::esfs::{Cipher, EncryptedSource, Reach};
use crate::hashes::Hash;
use crate::https_url::HttpsUrl;
use crate::{document, uri};
use xmpp::xml::Element;

/// XEP-0448 §3.1, example 1, as far as we read it.
const EXAMPLE: &str = "<file-sharing xmlns='urn:xmpp:sfs:0' disposition='inline'>
    <file xmlns='urn:xmpp:file:metadata:0'>
      <media-type>image/jpeg</media-type>
      <name>summit.jpg</name>
      <size>3032449</size>
      <width>4096</width>
      <height>2160</height>
      <hash xmlns='urn:xmpp:hashes:2' algo='sha3-256'>2XarmwTlNxDAMkvymloX3S5+VbylNrJt/l5QyPa+YoU=</hash>
      <desc>Photo from the summit.</desc>
      <thumbnail xmlns='urn:xmpp:thumbs:1' uri='cid:x@bob.xmpp.org' media-type='image/png' width='128' height='96'/>
    </file>
    <sources>
      <encrypted xmlns='urn:xmpp:esfs:0' cipher='urn:xmpp:ciphers:aes-256-gcm-nopadding:0'>
        <key>SuRJ2agVm/pQbJQlPq/B23Xt1YOOJCcEGJA5HrcYOGQ=</key>
        <iv>T8RDMBaiqn6Ci4Nw</iv>
        <hash xmlns='urn:xmpp:hashes:2' algo='sha3-256'>BgKI2gp2kNCRsARNvhFmw5kFf9BBo2pTbV2D8XHTMWI=</hash>
        <sources xmlns='urn:xmpp:sfs:0'>
          <url-data xmlns='http://jabber.org/protocol/url-data' target='https://download.montague.lit/4a771ac1/e.jpg'/>
          <url-data xmlns='http://jabber.org/protocol/url-data' target='http://download.montague.lit/plain'/>
        </sources>
      </encrypted>
      <jinglepub xmlns='urn:xmpp:jinglepub:1' from='romeo@montague.lit/resource' id='9559976B'/>
    </sources>
  </file-sharing>";

fn read(xml: &str) -> Result<FileSharing, crate::Malformed> {
    FileSharing::parse(&document::parse(xml.as_bytes(), 65536).unwrap())
}

#[test]
fn the_example_of_the_specification() {
    let offer = read(EXAMPLE).unwrap();
    assert_eq!(offer.disposition, Some(Disposition::Inline));
    assert_eq!(offer.file.name.as_deref(), Some("summit.jpg"));
    assert_eq!((offer.file.size_bytes, offer.file.dimensions), (Some(3_032_449), Some((4096, 2160))));
    let [Source::Encrypted(source)] = offer.sources.as_slice() else { panic!("one encrypted source") };
    assert_eq!((source.cipher, source.key.len(), source.iv.len()), (Cipher::Aes256Gcm, 32, 12));
    assert_eq!(source.urls, [HttpsUrl::parse("https://download.montague.lit/4a771ac1/e.jpg").unwrap()]);
    assert_eq!(FileSharing::parse(&offer.to_element()), Ok(offer));
}

#[test]
fn an_offer_with_a_pin_round_trips() {
    let url = HttpsUrl::parse("https://north-abcdef.local:5443/upload/x").unwrap();
    let source = EncryptedSource {
        cipher: Cipher::Aes256Gcm,
        key: vec![1; 32],
        iv: vec![2; 12],
        hashes: vec![Hash::sha256(b"c")],
        urls: vec![url.clone()],
        reach: Some(Reach { pin: [7; 32], at: vec![uri::Endpoint::parse("192.0.2.1:5443").unwrap()] }),
    };
    let offer = FileSharing {
        disposition: None,
        file: FileMetadata {
            name: Some("a & b.txt".into()),
            media_type: Some("text/plain".into()),
            size_bytes: Some(3),
            hashes: vec![Hash::sha256(b"abc")],
            description: None,
            dimensions: None,
        },
        sources: vec![Source::Encrypted(Box::new(source)), Source::Url(url)],
    };
    assert_eq!(FileSharing::parse(&offer.to_element()), Ok(offer));
}

#[test]
fn broken_sources_are_left_out() {
    for (from, to) in [
        ("<iv>T8RDMBaiqn6Ci4Nw</iv>", ""),
        ("<iv>T8RDMBaiqn6Ci4Nw</iv>", "<iv>T8RDMBaiqn6Ci4Nw</iv><iv>T8RDMBaiqn6Ci4Nw</iv>"),
        ("T8RDMBaiqn6Ci4Nw", "T8RD"),
        ("SuRJ2agVm", "AA"),
        ("aes-256-gcm-nopadding:0", "rot13:0"),
        ("https://download", "gopher://download"),
    ] {
        assert_eq!(read(&EXAMPLE.replacen(from, to, 1)).map(|o| o.sources), Ok(Vec::new()), "{to}");
    }
    let wrong_pin = "<wx xmlns='urn:waxwing:files:0' pin='AAAA'/></encrypted>";
    assert_eq!(read(&EXAMPLE.replace("</encrypted>", wrong_pin)).map(|o| o.sources), Ok(Vec::new()));
}

#[test]
fn broken_descriptions_are_refused() {
    for (from, to) in [
        ("<size>3032449</size>", "<size>-1</size>"),
        ("<size>3032449</size>", "<size>99999999999999999999</size>"),
        ("<width>4096</width>", "<width>4294967296</width>"),
        ("<file xmlns='urn:xmpp:file:metadata:0'>", "<file xmlns='urn:xmpp:file:metadata:9'>"),
        ("summit.jpg", &"x".repeat(1025)),
    ] {
        assert!(read(&EXAMPLE.replacen(from, to, 1)).is_err(), "{to}");
    }
    assert!(FileSharing::parse(&Element::new("file-sharing", NS)).is_err());
}
