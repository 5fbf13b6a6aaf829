//! Both ends against each other, and an attacker between them.

use super::client::ClientExchange;
use super::select::{Binding, Policy, Refused, SelectError, Selection, select};
use super::server::{LoggedIn, Lookup, ServerExchange};
use super::*;

const SALT: &[u8; 16] = b"sixteen bytes !!";
/// The domain of the accounts.
const DOMAIN: &str = "example.org";
/// The least that a client accepts: fast tests.
const ITERATIONS: u32 = 4096;

fn bindings(exporter: u8, end_point: u8) -> ChannelBindings {
    ChannelBindings { exporter: Some([exporter; 32]), server_end_point: Some(vec![end_point; 32]) }
}

/// One login, with everything that an attacker could change between the two ends.
struct Login {
    client_bindings: ChannelBindings,
    server_bindings: ChannelBindings,
    client_tls: TlsVersion,
    server_tls: TlsVersion,
    client_sees: Offer,
    server_made: Offer,
    password: &'static str,
    exists: bool,
}

impl Login {
    fn honest() -> Login {
        let offer = Offer::for_connection(&Hash::ALL, &bindings(1, 2));
        Login {
            client_bindings: bindings(1, 2),
            server_bindings: bindings(1, 2),
            client_tls: TlsVersion::Tls13,
            server_tls: TlsVersion::Tls13,
            client_sees: offer.clone(),
            server_made: offer,
            password: "correct horse",
            exists: true,
        }
    }

    fn select(&self) -> Result<Selection, SelectError> {
        select(&self.client_sees, &self.client_bindings, Policy::default())
    }

    fn run(&self) -> Result<(LoggedIn, ScramKeys), ExchangeError> {
        self.run_with(&self.select().unwrap())
    }

    fn run_with(&self, selection: &Selection) -> Result<(LoggedIn, ScramKeys), ExchangeError> {
        let (client, first) = ClientExchange::start(
            selection,
            "alice",
            "clientnonceclientnonce",
            &self.client_sees,
            &self.client_bindings,
            Some(self.client_tls),
        );
        let server = ServerExchange::start(
            selection.mechanism,
            first.as_bytes(),
            &self.server_made,
            &self.server_bindings,
            DOMAIN,
        )?;
        assert_eq!(server.username(), "alice");
        let lookup = if self.exists {
            let hash = selection.mechanism.hash;
            Lookup::Known(ScramVerifier::derive(hash, "correct horse", SALT, ITERATIONS).unwrap())
        } else {
            Lookup::Unknown { salt: SALT.to_vec(), iterations: ITERATIONS }
        };
        let (server, challenge) =
            server.challenge(lookup, "servernonceservernonce", &self.server_made, Some(self.server_tls));
        let (client, proof) = client.handle_server_first(challenge.as_bytes(), &Credential::password(self.password))?;
        let done = server.handle_client_final(proof.as_bytes())?;
        let keys = client.handle_server_final(done.server_final.as_bytes())?;
        Ok((done, keys))
    }
}

#[test]
fn every_mechanism_logs_in() {
    for mechanism in Mechanism::ALL {
        let login = Login::honest();
        for binding in BindingType::ALL {
            let binding = if mechanism.plus { Binding::Type(binding) } else { Binding::Unsupported };
            let selection = Selection { mechanism, binding, offer_must_be_proven: true, types_announced: true };
            let (done, keys) = login.run_with(&selection).unwrap();
            assert_eq!(done.username, "alice");
            assert_eq!(done.client_key.as_bytes(), keys.client_key());
            assert_eq!(done.client_key.hash(), mechanism.hash);
        }
    }
}

#[test]
fn the_strongest_is_chosen() {
    let selection = Login::honest().select().unwrap();
    assert_eq!(selection.mechanism.name(), "SCRAM-SHA-256-PLUS");
    assert_eq!(selection.binding, Binding::Type(BindingType::Exporter));
}

#[test]
fn kept_keys_log_in_without_the_password() {
    let keys = ScramKeys::derive(Hash::Sha256, "correct horse", PasswordForm::SaslPrep, SALT, ITERATIONS).unwrap();
    let stored = ScramKeys::from_parts(Hash::Sha256, SALT, ITERATIONS, keys.client_key(), keys.server_key()).unwrap();
    let credential = Credential::Keys { keys: stored, password: None };
    assert!(credential.keys(Hash::Sha256, SALT, ITERATIONS).is_ok());
    // another salt or hash needs the password again
    assert_eq!(credential.keys(Hash::Sha256, b"new salt", ITERATIONS).unwrap_err(), PasswordError);
    assert_eq!(credential.keys(Hash::Sha1, SALT, ITERATIONS).unwrap_err(), PasswordError);
    assert!(ScramKeys::from_parts(Hash::Sha256, SALT, ITERATIONS, b"short", keys.server_key()).is_none());
}

#[test]
fn secrets_are_not_printed() {
    let keys = ScramKeys::derive(Hash::Sha1, "correct horse", PasswordForm::SaslPrep, SALT, ITERATIONS).unwrap();
    let printed = format!("{keys:?} {:?} {:?}", keys.verifier(), Credential::password("correct horse"));
    assert!(!printed.contains("horse") && !printed.contains("115"), "{printed}");
}

#[test]
fn x10_a_removed_plus_mechanism_fails_the_login() {
    let mut login = Login::honest();
    login.client_sees.mechanisms.retain(|name| !name.ends_with("-PLUS"));
    assert_eq!(login.select(), Err(SelectError::PlusStripped));
    // the attacker removes the list of types too: the client says so, the server knows better
    login.client_sees.bindings = None;
    assert_eq!(login.select().unwrap().binding, Binding::NotOffered);
    assert_eq!(login.run().unwrap_err(), ExchangeError::BindingStripped);
}

#[test]
fn x10_a_weaker_hash_than_offered_fails_the_login() {
    let mut login = Login::honest();
    login.client_sees.mechanisms.retain(|name| name.starts_with("SCRAM-SHA-1"));
    assert_eq!(login.select().unwrap().mechanism.name(), "SCRAM-SHA-1-PLUS");
    assert_eq!(login.run().unwrap_err(), ExchangeError::OfferEdited);
}

#[test]
fn x10_a_weaker_binding_than_offered_fails_the_login() {
    let mut login = Login::honest();
    login.client_sees.bindings = Some(vec!["tls-server-end-point".into()]);
    assert_eq!(login.select().unwrap().binding, Binding::Type(BindingType::ServerEndPoint));
    assert_eq!(login.run().unwrap_err(), ExchangeError::OfferEdited);
    // only types that nobody speaks: no binding, but the offer must then be proven, and is not
    login.client_sees.bindings = Some(vec!["tls-unique".into()]);
    let selection = login.select().unwrap();
    assert_eq!((selection.binding, selection.offer_must_be_proven), (Binding::Unsupported, true));
    assert_eq!(login.run().unwrap_err(), ExchangeError::OfferEdited);
}

#[test]
fn x10_an_unproven_offer_is_not_trusted_to_be_without_binding() {
    let mut login = Login::honest();
    login.client_sees.bindings = Some(vec!["tls-unique".into()]);
    let selection = login.select().unwrap();
    let (client, _) = ClientExchange::start(
        &selection,
        "alice",
        "nonce",
        &login.client_sees,
        &login.client_bindings,
        Some(TlsVersion::Tls13),
    );
    let challenge = b"r=nonceserver,s=QQ==,i=4096";
    let error = client.handle_server_first(challenge, &Credential::password("correct horse")).unwrap_err();
    assert_eq!(error, ExchangeError::OfferUnproven);
}

#[test]
fn x10_a_valid_rogue_certificate_fails_the_login() {
    // the attacker ends TLS on both sides: other exporter, other certificate
    let mut login = Login::honest();
    login.client_bindings = bindings(7, 8);
    assert_eq!(login.run().unwrap_err(), ExchangeError::BindingMismatch);
    // even with the server's own key and certificate, the exporter differs
    login.client_bindings = bindings(7, 2);
    assert_eq!(login.run().unwrap_err(), ExchangeError::BindingMismatch);
}

#[test]
fn x10_different_tls_versions_fail_the_login() {
    let mut login = Login::honest();
    login.server_tls = TlsVersion::Tls12;
    assert_eq!(login.run().unwrap_err(), ExchangeError::TlsVersion);
}

#[test]
fn x10_there_is_no_fallback_to_plain() {
    let mut login = Login::honest();
    login.client_sees = Offer { mechanisms: vec!["PLAIN".into(), "SCRAM-SHA-512".into()], bindings: None };
    assert_eq!(login.select(), Err(SelectError::NoScram));
    let policy = Policy { scram_seen: true, danger_no_binding: true, ..Policy::default() };
    assert_eq!(select(&login.client_sees, &login.client_bindings, policy), Err(SelectError::ScramWithdrawn));
    assert_eq!(Mechanism::parse("PLAIN"), None);
}

#[test]
fn plus_without_a_list_tries_each_binding_once() {
    let mut login = Login::honest();
    login.client_sees.bindings = None;
    let ours = &login.client_bindings;
    let mut policy = Policy::default();
    let chosen = |policy| select(&login.client_sees, ours, policy).map(|selection| selection.binding);
    assert_eq!(chosen(policy), Ok(Binding::Type(BindingType::Exporter)));
    policy.refused = Refused::default().with(BindingType::Exporter);
    assert_eq!(chosen(policy), Ok(Binding::Type(BindingType::ServerEndPoint)));
    policy.refused = policy.refused.with(BindingType::ServerEndPoint);
    assert_eq!(chosen(policy), Err(SelectError::EveryBindingRefused));
    policy.danger_no_binding = true;
    assert_eq!(chosen(policy), Ok(Binding::Unsupported));
}

#[test]
fn without_tls_facts_nothing_is_bound() {
    let none = ChannelBindings::default();
    let selection = select(&Offer::for_connection(&Hash::ALL, &none), &none, Policy::default()).unwrap();
    assert_eq!((selection.mechanism.name(), selection.binding), ("SCRAM-SHA-256", Binding::Unsupported));
}

#[test]
fn flag_and_mechanism_must_fit() {
    let offer = Offer::for_connection(&Hash::ALL, &bindings(1, 2));
    let start = |plus, first: &str| {
        let mechanism = Mechanism { hash: Hash::Sha256, plus };
        ServerExchange::start(mechanism, first.as_bytes(), &offer, &bindings(1, 2), DOMAIN).unwrap_err()
    };
    assert_eq!(start(true, "n,,n=alice,r=x"), ExchangeError::BindingType);
    assert_eq!(start(true, "y,,n=alice,r=x"), ExchangeError::BindingType);
    assert_eq!(start(true, "p=tls-unique,,n=alice,r=x"), ExchangeError::BindingType);
    assert_eq!(start(false, "p=tls-exporter,,n=alice,r=x"), ExchangeError::BindingType);
    assert_eq!(start(false, "y,,n=alice,r=x"), ExchangeError::BindingStripped);
    assert_eq!(start(false, "n,a=bob,n=alice,r=x"), ExchangeError::ForeignAuthzid);
}

/// RFC 6120 §6.3.8: the authorization identity is a bare address, here the own one, however it is written.
#[test]
fn an_authzid_that_names_oneself_is_allowed() {
    let offer = Offer::for_connection(&Hash::ALL, &ChannelBindings::default());
    let mechanism = Mechanism { hash: Hash::Sha256, plus: false };
    let start = |authzid: &str, name: &str| {
        let first = format!("y,a={authzid},n={name},r=x");
        ServerExchange::start(mechanism, first.as_bytes(), &offer, &ChannelBindings::default(), DOMAIN)
    };
    for (authzid, name) in
        [("alice@example.org", "alice"), ("ALICE@Example.Org", "alice"), ("alice@example.org", "ALICE")]
    {
        assert!(start(authzid, name).is_ok(), "{authzid}");
    }
    for authzid in ["alice", "bob@example.org", "alice@example.net", "example.org", "alice@example.org/x", "a b@c"] {
        assert_eq!(start(authzid, "alice").unwrap_err(), ExchangeError::ForeignAuthzid, "{authzid}");
    }
}

/// Whichever way a client prepares the password, it signs in, and the server proves itself by the same form.
#[test]
fn each_form_of_a_password_signs_in_and_is_answered_with_its_own_key() {
    const PASSWORD: &str = "\u{fb01}sh and \u{2168} chips";
    let offer = Offer::for_connection(&Hash::ALL, &ChannelBindings::default());
    for hash in Hash::ALL {
        let mechanism = Mechanism { hash, plus: false };
        let verifier = ScramVerifier::derive(hash, PASSWORD, SALT, ITERATIONS).unwrap();
        assert!(verifier.other.is_some());
        let old = ScramVerifier { keys: verifier.other.clone().unwrap(), other: None, ..verifier.clone() };
        let login = |verifier: &ScramVerifier, password: &str, form: PasswordForm| {
            let selection = Selection {
                mechanism,
                binding: Binding::NotOffered,
                types_announced: false,
                offer_must_be_proven: false,
            };
            let none = ChannelBindings::default();
            let (client, first) = ClientExchange::start(&selection, "alice", "nonce", &offer, &none, None);
            let server = ServerExchange::start(mechanism, first.as_bytes(), &offer, &none, DOMAIN).unwrap();
            let (server, challenge) = server.challenge(Lookup::Known(verifier.clone()), "more", &offer, None);
            let credential = Credential::password_in(form, password);
            let (client, proof) = client.handle_server_first(challenge.as_bytes(), &credential).unwrap();
            let done = server.handle_client_final(proof.as_bytes())?;
            client.handle_server_final(done.server_final.as_bytes())
        };
        let forms = [PasswordForm::SaslPrep, PasswordForm::Opaque];
        for form in forms {
            assert!(login(&verifier, PASSWORD, form).is_ok(), "{form:?}");
            assert_eq!(login(&verifier, "another", form).unwrap_err(), ExchangeError::Proof);
        }
        // an account that was made before there were two
        assert_eq!(login(&old, PASSWORD, forms[0]).unwrap_err(), ExchangeError::Proof);
        assert!(login(&old, PASSWORD, forms[1]).is_ok());
    }
}

#[test]
fn x11_unknown_accounts_fail_like_wrong_passwords() {
    let mut login = Login::honest();
    login.password = "wrong";
    let wrong = login.run().unwrap_err();
    login.password = "correct horse";
    login.exists = false;
    let unknown = login.run().unwrap_err();
    assert_eq!((wrong, unknown), (ExchangeError::Proof, ExchangeError::Proof));
    assert_eq!(SaslCondition::from(&unknown), SaslCondition::NotAuthorized);
    assert_eq!(SaslCondition::from(&ExchangeError::BindingMismatch), SaslCondition::NotAuthorized);
}

fn challenge_error(challenge: &str) -> ExchangeError {
    let login = Login::honest();
    let selection = login.select().unwrap();
    let (client, _) = ClientExchange::start(
        &selection,
        "alice",
        "nonce",
        &login.client_sees,
        &login.client_bindings,
        Some(TlsVersion::Tls13),
    );
    client.handle_server_first(challenge.as_bytes(), &Credential::password("correct horse")).unwrap_err()
}

#[test]
fn x11_iteration_bombs_and_cheap_iterations_are_refused() {
    for asked in [1, 4095, 1_000_001, u32::MAX] {
        let challenge = format!("r=nonceserver,s=QQ==,i={asked}");
        assert_eq!(challenge_error(&challenge), ExchangeError::Iterations { asked });
    }
}

#[test]
fn x11_a_foreign_or_repeated_nonce_is_refused() {
    for nonce in ["other", "nonc", "Nonceserver", "nonce"] {
        assert_eq!(challenge_error(&format!("r={nonce},s=QQ==,i=4096")), ExchangeError::Nonce);
    }
}

#[test]
fn x11_a_replayed_proof_is_refused() {
    let login = Login::honest();
    let selection = login.select().unwrap();
    let exchange = |server_nonce: &str, replay: Option<&str>| {
        let (client, first) = ClientExchange::start(
            &selection,
            "alice",
            "clientnonce",
            &login.client_sees,
            &login.client_bindings,
            Some(TlsVersion::Tls13),
        );
        let server = ServerExchange::start(
            selection.mechanism,
            first.as_bytes(),
            &login.server_made,
            &login.server_bindings,
            DOMAIN,
        );
        let verifier = ScramVerifier::derive(Hash::Sha256, "correct horse", SALT, ITERATIONS).unwrap();
        let (server, challenge) = server.unwrap().challenge(
            Lookup::Known(verifier),
            server_nonce,
            &login.server_made,
            Some(TlsVersion::Tls13),
        );
        let credential = Credential::password("correct horse");
        let (_, proof) = client.handle_server_first(challenge.as_bytes(), &credential).unwrap();
        let sent = replay.unwrap_or(&proof);
        (server.handle_client_final(sent.as_bytes()).map(|done| done.username), proof)
    };
    let (first, proof) = exchange("first", None);
    assert_eq!(first.unwrap(), "alice");
    assert_eq!(exchange("second", Some(&proof)).0.unwrap_err(), ExchangeError::Nonce);
}

#[test]
fn x11_a_server_that_does_not_know_the_account_is_not_logged_in_to() {
    let login = Login::honest();
    let selection = login.select().unwrap();
    let impostor = |server_final: &str| {
        let (client, _) = ClientExchange::start(
            &selection,
            "alice",
            "nonce",
            &login.client_sees,
            &login.client_bindings,
            Some(TlsVersion::Tls13),
        );
        let challenge = format!("r=nonceserver,s=QQ==,i=4096,h={}", login.client_sees.hash(Hash::Sha256));
        let credential = Credential::password("correct horse");
        let (client, _) = client.handle_server_first(challenge.as_bytes(), &credential).unwrap();
        client.handle_server_final(server_final.as_bytes()).unwrap_err()
    };
    assert_eq!(impostor("v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="), ExchangeError::ServerUnproven);
    assert_eq!(impostor("v=AAAA"), ExchangeError::ServerUnproven);
    assert_eq!(impostor("e=invalid-proof"), ExchangeError::ServerRefused);
}

#[test]
fn conditions_have_their_rfc_names_and_back() {
    for name in [
        "aborted",
        "account-disabled",
        "credentials-expired",
        "encryption-required",
        "incorrect-encoding",
        "invalid-authzid",
        "invalid-mechanism",
        "malformed-request",
        "mechanism-too-weak",
        "not-authorized",
        "temporary-auth-failure",
    ] {
        assert_eq!(SaslCondition::parse(name).unwrap().name(), name);
    }
    assert_eq!(SaslCondition::parse("other"), None);
}
