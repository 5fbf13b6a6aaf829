//! Apps that a person without one can take: one that encrypts by OMEMO for each platform.

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
}

/// One for each platform.
pub(super) const APPS: &[App] = &[
    App {
        platform: "Android",
        name: "Conversations",
        url: "https://f-droid.org/packages/eu.siacs.conversations/",
        is_mobile: true,
    },
    App { platform: "iPhone, iPad", name: "Monal", url: "https://monal-im.org/install/", is_mobile: true },
    App { platform: "Linux", name: "Dino", url: "https://dino.im/#download", is_mobile: false },
    App { platform: "Windows", name: "Gajim", url: "https://gajim.org/download/", is_mobile: false },
    App { platform: "Mac", name: "Monal", url: "https://monal-im.org/install/", is_mobile: false },
];
