//! The command line, as `clap` reads it and `--help` shows it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Private messages, encrypted from the first word.
#[derive(Debug, Parser)]
#[command(name = "waxwing", version, about, max_term_width = 100, disable_help_subcommand = true)]
pub struct Arguments {
    /// Where this person's profile lies (also WAXWING_HOME)
    #[arg(long, global = true, value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// Write JSON for programs
    #[arg(long, global = true)]
    pub json: bool,
    /// How long to wait for the server to confirm
    #[arg(long, global = true, value_name = "SECONDS")]
    pub wait: Option<u64>,
    /// What to do; without one, waxwing tells the next sensible step
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Open an account with an invite link
    Join(Join),
    /// Sign in to an account that you have
    Login(Login),
    /// Write to somebody
    Say {
        /// A short name (bob), an address or a link
        who: String,
        /// The words; `-` reads them from standard input
        text: String,
    },
    /// Send a file
    Send {
        /// A short name (bob), an address or a link
        who: String,
        /// The file
        file: PathBuf,
    },
    /// See what has not been sent yet, and why
    Outbox,
    /// Try again what waits or could not be sent
    Retry {
        /// The message, as `waxwing outbox` names it, or `all`
        message: String,
    },
    /// Take back a message that has not been sent yet
    Cancel {
        /// The message, as `waxwing outbox` names it
        message: String,
    },
    /// Read what has arrived
    Inbox(Inbox),
    /// Read a conversation again
    History {
        /// With whom
        who: String,
        /// How many messages at most
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// See and change your contacts
    Contacts {
        /// What to change
        #[command(subcommand)]
        change: Option<ContactChange>,
    },
    /// Make sure that somebody is who they say
    Verify {
        /// Who
        who: String,
        /// The number that they read out to you, or the link that they gave you
        proof: Option<String>,
        /// You have compared the numbers, and they are the same
        #[arg(long, conflicts_with = "proof")]
        number_matches: bool,
        /// Go on without comparing, although something about them has changed
        #[arg(long, conflicts_with_all = ["proof", "number_matches"])]
        accept_change: bool,
    },
    /// See which other apps your account has, and say whether they are yours
    Devices {
        /// The apps of a contact, instead of your own
        #[arg(long, value_name = "WHO")]
        of: Option<String>,
        /// What you decide
        #[command(subcommand)]
        decision: Option<DeviceDecision>,
    },
    /// See again what you must know and have not seen on a terminal yet
    Notices {
        /// For scripts: they have been taken care of and need not be shown again
        #[arg(long)]
        seen: bool,
    },
    /// See how things are
    Status {
        /// The clock of this machine is right, although it is far from where it was
        #[arg(long)]
        accept_clock: bool,
    },
    /// Make an invite link to give to somebody
    Invite,
    /// Add the person of a link
    Add {
        /// The link that they gave you
        link: String,
        /// What to call them
        #[arg(long)]
        name: Option<String>,
    },
    /// Change the password, or delete the account
    Account {
        /// What to do
        #[command(subcommand)]
        change: AccountChange,
    },
    /// See and change settings
    Config {
        /// What to do; without it, all settings are shown
        #[command(subcommand)]
        change: Option<ConfigChange>,
    },
    /// Write completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// See it work: two servers and two people on this machine, and the proof that nobody could read along
    Demo,
}

/// `join`
#[derive(Debug, Args)]
pub struct Join {
    /// The invite link (xmpp:...)
    pub link: String,
    /// The user name that you wish
    #[arg(long)]
    pub name: Option<String>,
}

/// `login`
#[derive(Debug, Args)]
pub struct Login {
    /// Your address (you@example.org), or a link that names it
    pub address: String,
    /// A file whose first line is the password; otherwise you are asked
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Where the server is, if its name does not tell (host or host:port)
    #[arg(long)]
    pub host: Vec<String>,
    /// The server's pin, as its links carry it (wx-pin)
    #[arg(long)]
    pub pin: Option<String>,
    /// An authority that vouches for the server, besides the public ones (PEM)
    #[arg(long, value_name = "FILE", conflicts_with = "pin")]
    pub ca_file: Option<PathBuf>,
    /// Go on although the server refuses to tie the sign-in to the encrypted connection
    #[arg(long)]
    pub danger_no_binding: bool,
}

/// `inbox`
#[derive(Debug, Args)]
pub struct Inbox {
    /// Stay, and show what arrives
    #[arg(long, short)]
    pub follow: bool,
    /// Show what people wrote who are no contacts
    #[arg(long)]
    pub requests: bool,
    /// Show what has been read before, too
    #[arg(long)]
    pub all: bool,
    /// Do not fetch files
    #[arg(long)]
    pub no_files: bool,
}

/// `contacts`
#[derive(Debug, Subcommand)]
pub enum ContactChange {
    /// Make somebody a contact who wrote to you
    Accept {
        /// Who
        who: String,
    },
    /// Let somebody see when you are online, as their app has asked
    Grant {
        /// Who
        who: String,
    },
    /// Let somebody see it no more, or say no to whoever asks
    Revoke {
        /// Who
        who: String,
    },
    /// Let somebody see that their messages arrived, or not
    #[command(allow_missing_positional = true)]
    Receipts {
        /// Who; without it, all contacts of whom you have not said otherwise
        who: Option<String>,
        /// Whether they may
        #[arg(value_name = "on|off", value_parser = ["on", "off"])]
        answer: String,
    },
    /// Hear nothing more of somebody
    Block {
        /// Who
        who: String,
    },
    /// Forget somebody, with the conversation
    Remove {
        /// Who
        who: String,
    },
    /// Call somebody something else
    Rename {
        /// Who
        who: String,
        /// The new name
        name: String,
    },
}

/// `devices`
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum DeviceDecision {
    /// It is yours (or theirs): it may read along
    Agree {
        /// The number that stands before it in the list
        number: u32,
    },
    /// It is not: it gets nothing, and nothing of it is shown
    Refuse {
        /// The number that stands before it in the list
        number: u32,
    },
}

/// `account`
#[derive(Debug, Subcommand)]
pub enum AccountChange {
    /// Change the password
    Password {
        /// A file whose first line is the new password; otherwise you are asked
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// Let waxwing make up a strong one and keep it
        #[arg(long, conflicts_with = "password_file")]
        generate: bool,
    },
    /// Delete the account, at its server and here
    Delete {
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// `config`
#[derive(Debug, Subcommand)]
pub enum ConfigChange {
    /// Show one setting
    Get {
        /// Which
        name: String,
    },
    /// Change a setting
    Set {
        /// Which
        name: String,
        /// To what
        value: String,
    },
    /// Bring back the default of a setting
    Unset {
        /// Which
        name: String,
    },
}
