//! What a password becomes: the keys of the client and what the server stores.

use super::{Digest, Hash, PasswordError, PasswordForm, PasswordForms};
use zeroize::Zeroize;

/// The iteration count of new verifiers, unless the setting says otherwise.
pub const DEFAULT_ITERATIONS: u32 = 100_000;

/// What a server stores instead of a password, for one hash.
///
/// It lets the server check a login and prove itself; it does not let anybody log in. It is secret all the same:
/// passwords can be guessed against it, and `server_key` lets a thief play the server.
///
/// Under one salt and iteration count it checks each form of the password ([`PasswordForms`]): whichever a client
/// prepares, it signs in.
///
/// Source: RFC 5802 §3, §9.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramVerifier {
    /// How often the password was hashed.
    pub iterations: u32,
    /// The salt, 16 random bytes for verifiers made here.
    pub salt: Vec<u8>,
    /// What checks the first form.
    pub keys: VerifierKeys,
    /// What checks the other form, where the password has one.
    pub other: Option<VerifierKeys>,
}

/// What checks one form of a password.
#[derive(Clone)]
pub struct VerifierKeys {
    /// `H(ClientKey)`.
    pub stored_key: Vec<u8>,
    /// `HMAC(SaltedPassword, "Server Key")`.
    pub server_key: Vec<u8>,
}

impl ScramVerifier {
    /// Computes the verifier of a password. Takes long on purpose: some ten milliseconds.
    ///
    /// # Errors
    ///
    /// [`PasswordError`] when the password cannot be one.
    pub fn derive(hash: Hash, password: &str, salt: &[u8], iterations: u32) -> Result<ScramVerifier, PasswordError> {
        let forms = PasswordForms::of(password)?;
        let keys = |form: &str| ScramKeys::of_prepared(hash, form, salt, iterations).verifier_keys();
        let other = forms.other.as_ref().map(|other| keys(other));
        Ok(ScramVerifier { iterations, salt: salt.to_vec(), keys: keys(&forms.first), other })
    }
}

impl PartialEq for VerifierKeys {
    fn eq(&self, other: &VerifierKeys) -> bool {
        use subtle::ConstantTimeEq;
        (self.stored_key.ct_eq(&other.stored_key) & self.server_key.ct_eq(&other.server_key)).into()
    }
}

impl Eq for VerifierKeys {}

impl std::fmt::Debug for VerifierKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VerifierKeys(<redacted>)")
    }
}

impl Drop for VerifierKeys {
    fn drop(&mut self) {
        self.stored_key.zeroize();
        self.server_key.zeroize();
    }
}

impl std::fmt::Debug for ScramVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScramVerifier").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

/// The keys that a client derives from its password, for one hash, salt and iteration count.
///
/// Kept instead of the password they save the slow derivation at the next login, and they open only the one server
/// that uses this salt.
#[derive(Clone)]
pub struct ScramKeys {
    hash: Hash,
    salt: Vec<u8>,
    iterations: u32,
    client_key: Digest,
    server_key: Digest,
}

impl ScramKeys {
    /// Derives the keys from one form of a password. Takes long on purpose.
    ///
    /// # Errors
    ///
    /// [`PasswordError`] when the password cannot be one.
    ///
    /// Source: RFC 5802 §3.
    pub fn derive(
        hash: Hash,
        password: &str,
        form: PasswordForm,
        salt: &[u8],
        iterations: u32,
    ) -> Result<ScramKeys, PasswordError> {
        let forms = PasswordForms::of(password)?;
        Ok(ScramKeys::of_prepared(hash, forms.get(form), salt, iterations))
    }

    fn of_prepared(hash: Hash, password: &str, salt: &[u8], iterations: u32) -> ScramKeys {
        let salted = hash.salted(password.as_bytes(), salt, iterations);
        ScramKeys {
            hash,
            salt: salt.to_vec(),
            iterations,
            client_key: hash.hmac(salted.as_bytes(), b"Client Key"),
            server_key: hash.hmac(salted.as_bytes(), b"Server Key"),
        }
    }

    /// Rebuilds keys that were stored; `None` when a key has the wrong length.
    pub fn from_parts(
        hash: Hash,
        salt: &[u8],
        iterations: u32,
        client_key: &[u8],
        server_key: &[u8],
    ) -> Option<ScramKeys> {
        let len = hash.len_bytes();
        (client_key.len() == len && server_key.len() == len).then(|| ScramKeys {
            hash,
            salt: salt.to_vec(),
            iterations,
            client_key: Digest::from_output(client_key),
            server_key: Digest::from_output(server_key),
        })
    }

    /// The hash they belong to.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// The salt they were derived with.
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// The iteration count they were derived with.
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    /// The client key: secret, it logs in.
    pub fn client_key(&self) -> &[u8] {
        self.client_key.as_bytes()
    }

    /// The server key: secret, it plays the server.
    pub fn server_key(&self) -> &[u8] {
        self.server_key.as_bytes()
    }

    /// What a server stores for these keys, where the password has no other form.
    pub fn verifier(&self) -> ScramVerifier {
        let salt = self.salt.clone();
        ScramVerifier { iterations: self.iterations, salt, keys: self.verifier_keys(), other: None }
    }

    fn verifier_keys(&self) -> VerifierKeys {
        VerifierKeys {
            stored_key: self.hash.digest(self.client_key.as_bytes()).as_bytes().to_vec(),
            server_key: self.server_key.as_bytes().to_vec(),
        }
    }

    pub(super) fn fits(&self, hash: Hash, salt: &[u8], iterations: u32) -> bool {
        self.hash == hash && self.iterations == iterations && self.salt == salt
    }

    /// `ClientKey XOR ClientSignature`.
    pub(super) fn proof(&self, auth_message: &str) -> Digest {
        let stored = self.hash.digest(self.client_key.as_bytes());
        let signature = self.hash.hmac(stored.as_bytes(), auth_message.as_bytes());
        self.client_key.xor(signature.as_bytes())
    }

    pub(super) fn server_signature(&self, auth_message: &str) -> Digest {
        self.hash.hmac(self.server_key.as_bytes(), auth_message.as_bytes())
    }
}

impl std::fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScramKeys").field("hash", &self.hash).finish_non_exhaustive()
    }
}

/// What a client logs in with.
#[derive(Clone)]
pub enum Credential {
    /// The password itself, and the form in which it is tried first; the other one is tried once more where it differs.
    Password(zeroize::Zeroizing<String>, PasswordForm),
    /// Keys kept from an earlier login, and the password for when the server has changed its salt.
    Keys {
        /// The kept keys.
        keys: ScramKeys,
        /// The password, where it is known.
        password: Option<zeroize::Zeroizing<String>>,
    },
}

impl Credential {
    /// A password.
    pub fn password(password: &str) -> Credential {
        Credential::password_in(PasswordForm::default(), password)
    }

    /// A password, in the form that the server took before.
    pub fn password_in(form: PasswordForm, password: &str) -> Credential {
        Credential::Password(zeroize::Zeroizing::new(password.to_owned()), form)
    }

    /// Returns what to try once more after a refusal: the other form of the password, if it has one, and the one that
    /// counts as tried.
    pub(crate) fn other_form(&self) -> Option<Credential> {
        let (password, form) = match self {
            Credential::Password(password, form) => (password, *form),
            Credential::Keys { password, .. } => (password.as_ref()?, PasswordForm::default()),
        };
        let other = match form {
            PasswordForm::SaslPrep => PasswordForm::Opaque,
            PasswordForm::Opaque => PasswordForm::SaslPrep,
        };
        let has_other = PasswordForms::of(password).is_ok_and(|forms| forms.other.is_some());
        has_other.then(|| Credential::Password(password.clone(), other))
    }

    /// The form of the password that is tried.
    pub(crate) fn form(&self) -> PasswordForm {
        match self {
            Credential::Password(_, form) => *form,
            Credential::Keys { .. } => PasswordForm::default(),
        }
    }

    pub(super) fn keys(&self, hash: Hash, salt: &[u8], iterations: u32) -> Result<ScramKeys, PasswordError> {
        let password = match self {
            Credential::Keys { keys, .. } if keys.fits(hash, salt, iterations) => return Ok(keys.clone()),
            Credential::Keys { password, .. } => password.as_ref().ok_or(PasswordError)?,
            Credential::Password(password, _) => password,
        };
        ScramKeys::derive(hash, password, self.form(), salt, iterations)
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credential(<redacted>)")
    }
}

/// The client key as the server learns it at a successful login: the seed of keys that only this account's owner
/// can open. Wiped when dropped; never printed.
#[derive(Clone)]
pub struct ClientKey {
    hash: Hash,
    key: Digest,
}

impl ClientKey {
    pub(super) fn new(hash: Hash, key: Digest) -> ClientKey {
        ClientKey { hash, key }
    }

    /// The hash of the mechanism it came from: each hash has another key.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// The key itself; 20 or 32 bytes, by the hash.
    pub fn as_bytes(&self) -> &[u8] {
        self.key.as_bytes()
    }
}

impl PartialEq for ClientKey {
    fn eq(&self, other: &ClientKey) -> bool {
        self.hash == other.hash && self.key.ct_eq(other.key.as_bytes())
    }
}

impl Eq for ClientKey {}

impl std::fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientKey(<redacted>)")
    }
}
