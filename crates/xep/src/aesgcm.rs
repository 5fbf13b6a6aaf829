//! OMEMO media sharing (XEP-0454): the `aesgcm://` URL that legacy clients send as the whole text of a message.

use std::fmt;

use crate::https_url::HttpsUrl;
use crate::{Claim, Malformed, Status};

/// What this module claims.
pub const CLAIM: Claim = Claim { xep: 454, version: "0.1.0", status: Status::Complete, features: &[] };

const SCHEME: &str = "aesgcm://";
const IV_BYTES: usize = 12;
const KEY_BYTES: usize = 32;
/// Longest text that is looked at: a URL and a thumbnail.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// Where an encrypted file lies, and how to decrypt it. `Debug` hides all of it.
#[derive(Clone, PartialEq, Eq)]
pub struct AesgcmUrl {
    /// The ciphertext with its tag.
    pub url: HttpsUrl,
    /// The nonce.
    pub iv: [u8; IV_BYTES],
    /// The AES-256 key.
    pub key: [u8; KEY_BYTES],
}

impl fmt::Debug for AesgcmUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("aesgcm://<redacted>")
    }
}

impl AesgcmUrl {
    /// Reads the text of a decrypted message that is nothing but such a URL; a thumbnail on a second line is ignored.
    ///
    /// A text that merely contains one is no file, and must not be made a link either: the fragment is the key.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when the text is anything else. Nonces of 16 bytes, which clients stopped sending years ago, are
    /// among that.
    ///
    /// Source: XEP-0454 §3 to §5.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(Malformed("the text is too long"));
        }
        let line = match text.split_once('\n') {
            Some((line, thumbnail)) if thumbnail.starts_with("data:image/") && !thumbnail.contains('\n') => line,
            Some(_) => return Err(Malformed("more than an aesgcm URL")),
            None => text,
        };
        let rest = line.strip_prefix(SCHEME).ok_or(Malformed("not an aesgcm URL"))?;
        let (place, secret) = rest.split_once('#').ok_or(Malformed("the aesgcm URL has no key"))?;
        let mut bytes = [0; IV_BYTES + KEY_BYTES];
        hex::decode_to_slice(secret, &mut bytes).map_err(|_| Malformed("the key of the aesgcm URL is damaged"))?;
        let (iv, key) = bytes.split_first_chunk().ok_or(Malformed("the key of the aesgcm URL is damaged"))?;
        let key = key.try_into().map_err(|_| Malformed("the key of the aesgcm URL is damaged"))?;
        Ok(Self { url: HttpsUrl::parse(&format!("https://{place}"))?, iv: *iv, key })
    }

    /// Writes the URL.
    #[must_use]
    pub fn to_text(&self) -> String {
        let https = self.url.to_text();
        let place = https.strip_prefix("https://").unwrap_or(&https);
        format!("{SCHEME}{place}#{}{}", hex::encode(self.iv), hex::encode(self.key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of XEP-0454 §3.
    const EXAMPLE: &str = "aesgcm://download.montague.tld/4a771ac1-f0b2-4a4a-9700-f2a26fa2bb67/tr%C3%A8s%20cool.jpg\
        #8c3d050e9386ec173861778f68e9af38a97aaf82faa4063b4d0878a61261534410c8a84331eaac851759f587";

    #[test]
    fn the_example_of_the_specification() {
        let url = AesgcmUrl::parse(EXAMPLE).unwrap();
        assert_eq!(hex::encode(url.iv), "8c3d050e9386ec173861778f");
        assert_eq!(hex::encode(url.key), "68e9af38a97aaf82faa4063b4d0878a61261534410c8a84331eaac851759f587");
        assert_eq!(
            url.url.to_text(),
            "https://download.montague.tld/4a771ac1-f0b2-4a4a-9700-f2a26fa2bb67/tr%C3%A8s%20cool.jpg"
        );
        assert_eq!(url.to_text(), EXAMPLE);
        let with_thumbnail = format!("{EXAMPLE}\ndata:image/jpeg,/9j/4AAQSkZJRg");
        assert_eq!(AesgcmUrl::parse(&with_thumbnail), Ok(url));
    }

    #[test]
    fn anything_else_is_text() {
        let bad = [
            String::new(),
            format!("look: {EXAMPLE}"),
            format!("{EXAMPLE} "),
            format!("{EXAMPLE}\n"),
            format!("{EXAMPLE}\nand more"),
            format!("{EXAMPLE}\ndata:image/jpeg,x\ny"),
            format!("{EXAMPLE}00"),
            EXAMPLE.replace("aesgcm", "https"),
            EXAMPLE.replace("aesgcm", "AESGCM "),
            EXAMPLE.replace('#', "?"),
            EXAMPLE.replace("8c3d", "8c3g"),
            EXAMPLE.replace("8c3d", ""),
            EXAMPLE.replace("download", "user@download"),
            EXAMPLE.replace("montague.tld", "montague.tld:0"),
        ];
        for text in bad {
            assert!(AesgcmUrl::parse(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", AesgcmUrl::parse(EXAMPLE)), "Ok(aesgcm://<redacted>)");
    }
}
