//! SCRAM messages at both ends (RFC 5802, attack rows X10 and X11).

use std::sync::OnceLock;

use xmpp::sasl::client::ClientExchange;
use xmpp::sasl::select::{Policy, Selection, select};
use xmpp::sasl::server::{Lookup, ServerExchange};
use xmpp::sasl::{ChannelBindings, Credential, Hash, Mechanism, Offer, PasswordForm, ScramKeys};

const SALT: &[u8] = b"sixteen bytes...";
const CLIENT_NONCE: &str = "fyko+d2lbbFgONRv9qkxdawL";
const SERVER_NONCE: &str = "3rfcNHYJY1ZVvWVs7jVhkq31";

/// The keys of the one account; deriving them once is enough.
fn keys() -> &'static ScramKeys {
    static KEYS: OnceLock<ScramKeys> = OnceLock::new();
    KEYS.get_or_init(|| {
        ScramKeys::derive(Hash::Sha256, "pencil", PasswordForm::SaslPrep, SALT, 4096).expect("a plain password")
    })
}

fn bindings() -> ChannelBindings {
    ChannelBindings { exporter: Some([9; 32]), server_end_point: None }
}

fn client() -> (ClientExchange, String, Selection) {
    let offer = Offer::for_connection(&[Hash::Sha256], &bindings());
    let selection = select(&offer, &bindings(), Policy::default()).expect("a mechanism that both have");
    let (exchange, first) = ClientExchange::start(&selection, "user", CLIENT_NONCE, &offer, &bindings(), None);
    (exchange, first, selection)
}

fn credential() -> Credential {
    // without a password, another salt or count is refused at once: the fuzzer must not spend its time in PBKDF2
    Credential::Keys { keys: keys().clone(), password: None }
}

/// Feeds the bytes to each end as each of the four messages. The first byte chooses; the rest is the message.
///
/// # Panics
///
/// When the server takes an altered proof, or the client an altered signature.
pub fn sasl(data: &[u8]) {
    let Some((choice, message)) = data.split_first() else { return };
    let offer = Offer::for_connection(&[Hash::Sha256], &bindings());
    match choice % 4 {
        0 => {
            for mechanism in Mechanism::ALL {
                let Ok(exchange) = ServerExchange::start(mechanism, message, &offer, &bindings(), "example.org") else {
                    continue;
                };
                let unknown = Lookup::Unknown { salt: SALT.to_vec(), iterations: 4096 };
                let (next, _) = exchange.challenge(unknown, SERVER_NONCE, &offer, None);
                assert!(next.handle_client_final(message).is_err(), "nobody has logged in");
            }
        }
        1 => {
            let (exchange, _, _) = client();
            if let Ok((next, last)) = exchange.handle_server_first(message, &credential()) {
                assert!(last.starts_with("c=") && last.contains(",p="));
                assert!(next.handle_server_final(message).is_err(), "a challenge is no signature");
            }
        }
        2 => {
            let genuine = dialogue();
            let (_, first, selection) = client();
            let server =
                ServerExchange::start(selection.mechanism, first.as_bytes(), &offer, &bindings(), "example.org");
            let lookup = Lookup::Known(keys().verifier());
            let (next, _) = server.expect("our own message").challenge(lookup, SERVER_NONCE, &offer, None);
            let logged_in = next.handle_client_final(message).is_ok();
            assert!(!logged_in || message == genuine[2].as_slice(), "an altered proof was taken");
        }
        _ => {
            let genuine = dialogue();
            let (exchange, _, _) = client();
            let (next, _) = exchange.handle_server_first(&genuine[1], &credential()).expect("a genuine challenge");
            let proved = next.handle_server_final(message).is_ok();
            let same_signature = message.starts_with(&genuine[3]); // extensions may follow (RFC 5802 §7)
            assert!(!proved || same_signature, "an altered signature was taken");
        }
    }
}

/// The four messages of a login that succeeds.
fn dialogue() -> &'static [Vec<u8>; 4] {
    static DIALOGUE: OnceLock<[Vec<u8>; 4]> = OnceLock::new();
    DIALOGUE.get_or_init(|| {
        let offer = Offer::for_connection(&[Hash::Sha256], &bindings());
        let (exchange, first, selection) = client();
        let server = ServerExchange::start(selection.mechanism, first.as_bytes(), &offer, &bindings(), "example.org");
        let lookup = Lookup::Known(keys().verifier());
        let (next, challenge) = server.expect("our own message").challenge(lookup, SERVER_NONCE, &offer, None);
        let (_, proof) =
            exchange.handle_server_first(challenge.as_bytes(), &credential()).expect("a genuine challenge");
        let logged_in = next.handle_client_final(proof.as_bytes()).expect("the right password");
        [first.into_bytes(), challenge.into_bytes(), proof.into_bytes(), logged_in.server_final.into_bytes()]
    })
}

/// The messages of a login that succeeds, each for the end that reads it.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    (0u8..).zip(dialogue()).map(|(choice, message)| [&[choice], message.as_slice()].concat()).collect()
}
