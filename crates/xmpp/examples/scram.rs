//! Logs in by SCRAM, both ends in one program: what the server stores, what each side sends, who proves what.

use waxwing_xmpp::sasl::client::ClientExchange;
use waxwing_xmpp::sasl::select::{Policy, select};
use waxwing_xmpp::sasl::server::{Lookup, ServerExchange};
use waxwing_xmpp::sasl::{ChannelBindings, Credential, Hash, Offer, ScramVerifier, TlsVersion};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Registration: the server keeps this, and never the password. Salts and nonces are random in a real program.
    let stored = ScramVerifier::derive(Hash::Sha256, "correct horse", b"sixteen bytes !!", 4096)?;

    // Both ends of one TLS connection know the same secret of it, and the server announces what it can do.
    let tls = ChannelBindings { exporter: Some([7; 32]), server_end_point: None };
    let version = Some(TlsVersion::Tls13);
    let offer = Offer::for_connection(&Hash::ALL, &tls);

    let chosen = select(&offer, &tls, Policy::default())?;
    println!("mechanism: {}", chosen.mechanism.name());

    let (client, first) = ClientExchange::start(&chosen, "alice", "c-nonce", &offer, &tls, version);
    println!("C: {first}");
    let server = ServerExchange::start(chosen.mechanism, first.as_bytes(), &offer, &tls, "example.org")?;
    let (server, challenge) = server.challenge(Lookup::Known(stored), "s-nonce", &offer, version);
    println!("S: {challenge}");
    let (client, proof) = client.handle_server_first(challenge.as_bytes(), &Credential::password("correct horse"))?;
    println!("C: {proof}");
    let done = server.handle_client_final(proof.as_bytes())?;
    println!("S: {}", done.server_final);
    let keys = client.handle_server_final(done.server_final.as_bytes())?;

    assert_eq!(keys.client_key(), done.client_key.as_bytes());
    println!("{} is logged in, and the server has proved itself", done.username);
    Ok(())
}
