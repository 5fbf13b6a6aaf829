//! Apps that a person without one can take: one that encrypts by OMEMO for each platform.
//!
//! What each shows of an error, and which were watched on this broker, stands in `docs/other-apps.md`.

/// An app.
pub(super) struct App {
    /// Where it runs.
    pub(super) platform: &'static str,
    /// Its name.
    pub(super) name: &'static str,
    /// Where to get it.
    pub(super) url: &'static str,
    /// It is on a device with a camera, to be pointed at another screen.
    pub(super) is_mobile: bool,
    /// How an account is opened in it.
    pub(super) account: &'static str,
    /// How encryption is switched on.
    pub(super) encryption: &'static str,
    /// What does not work, or has not been tried.
    pub(super) note: Option<&'static str>,
    /// How it is told where a server is that DNS does not know; nothing where it cannot be.
    pub(super) by_address: Option<&'static str>,
}

/// One for each platform.
pub(super) const APPS: &[App] = &[
    App {
        platform: "Android",
        name: "Conversations",
        url: "https://f-droid.org/packages/eu.siacs.conversations/",
        is_mobile: true,
        account: "Open the invitation with it: it asks for a name and makes the account.",
        encryption: "It is on by itself. If a chat has an open lock at the top, tap it and choose OMEMO.",
        note: None,
        by_address: Some(
            "In its settings switch on “Extended connection settings”; when you add the account, type the server and \
             the port that stand below, and accept the certificate.",
        ),
    },
    App {
        platform: "iPhone, iPad, Mac",
        name: "Monal",
        url: "https://monal-im.org/install/",
        is_mobile: true,
        account: "Open the invitation with it, or get an address on this page and sign in with it.",
        encryption: "It is on by itself. If a chat has an open lock at the top, tap it.",
        note: Some("We could not try it. This server has no push yet: messages arrive while the app is open."),
        by_address: None,
    },
    App {
        platform: "Linux",
        name: "Dino",
        url: "https://dino.im/#download",
        is_mobile: false,
        account: "Get an address on this page, and sign in with it.",
        encryption: "Click the lock at the right end of the text field and choose OMEMO, once for each chat.",
        note: None,
        by_address: None,
    },
    App {
        platform: "Windows, Linux",
        name: "Gajim",
        url: "https://gajim.org/download/",
        is_mobile: false,
        account: "Get an address on this page, and sign in with it.",
        encryption: "Click the lock beside the text field and choose OMEMO, once for each chat.",
        note: None,
        by_address: Some(
            "When you sign in, open the advanced settings, set the server and the port that stand below, and accept \
             the certificate.",
        ),
    },
];
