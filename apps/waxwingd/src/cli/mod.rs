//! The command line.

mod account;
mod announce;
mod doctor;
mod layout;
mod print;
mod qr;
mod service;
mod up;

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::admin::client::ask;
use crate::admin::protocol::{Command as Ask, Done, Failure};
use crate::paths::{CONFIG_FILE, Places};
use crate::settings::Settings;

/// A broker for private messages: one command, no configuration.
#[derive(Debug, Parser)]
#[command(name = "waxwingd", version, about, disable_help_subcommand = true)]
struct Cli {
    /// Directory for the data [default: ~/.local/share/waxwingd]; what opens the data lies beside it in DIR.keys
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Settings file [default: waxwingd.toml in ~/.config/waxwingd or DIR.keys, if it exists]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How much to say on standard error: error, warn, info, debug or trace; never names or addresses
    #[arg(long, global = true, value_name = "LEVEL", default_value = "warn")]
    log: tracing::level_filters::LevelFilter,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Start the broker; the first start makes everything that it needs
    Up(UpArgs),
    /// Make an invitation: it opens one account
    #[command(args_conflicts_with_subcommands = true)]
    Invite(InviteArgs),
    /// Other brokers, reached without DNS
    #[command(subcommand)]
    Peer(PeerVerb),
    /// The accounts on this broker
    #[command(subcommand)]
    Account(AccountVerb),
    /// The broker's own certificate authority
    #[command(subcommand)]
    Ca(CaVerb),
    /// Look for what is wrong, and say what to do
    Doctor {
        /// Another server to reach
        domain: Option<String>,
        /// The clock of this machine is right, although it is far from where it was: let things expire again
        #[arg(long, conflicts_with = "domain")]
        accept_clock: bool,
        #[command(flatten)]
        json: JsonArgs,
    },
    /// Say how the broker is
    Status(JsonArgs),
}

#[derive(Debug, Args)]
struct UpArgs {
    /// Domain of the accounts; without it the broker names itself
    #[arg(long)]
    domain: Option<String>,
    /// Address to listen on [default: all of this machine]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<IpAddr>,
    /// Use five ports from N on instead of 5222, 5223, 5269, 5270 and 5443
    #[arg(long, value_name = "N")]
    port_base: Option<u16>,
    /// Keep everything in memory and leave nothing behind
    #[arg(long, conflicts_with = "data_dir")]
    memory: bool,
    /// Make a new invitation and print it; without this, one is printed on a terminal until somebody has joined
    #[arg(long)]
    invite: bool,
    #[command(flatten)]
    json: JsonArgs,
}

#[derive(Debug, Args)]
struct InviteArgs {
    #[command(subcommand)]
    verb: Option<InviteVerb>,
    /// How many days it is good [default: the setting invite_days]
    #[arg(long, value_name = "N")]
    days: Option<u32>,
    /// Keep this name for whoever comes
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    json: JsonArgs,
}

#[derive(Debug, Subcommand)]
enum InviteVerb {
    /// List the invitations that are open, and who has come by yours
    List(JsonArgs),
    /// Take an invitation back: its link opens no account any more
    Revoke {
        /// How it begins, as the list shows it, or its link
        id: String,
        #[command(flatten)]
        json: JsonArgs,
    },
}

#[derive(Debug, Args)]
struct JsonArgs {
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum PeerVerb {
    /// Remember another broker by the peer link that `waxwingd status` shows there
    Add {
        /// The link
        link: String,
    },
    /// List the brokers that are remembered
    List(JsonArgs),
    /// Forget another broker
    Remove {
        /// Its domain
        domain: String,
    },
}

#[derive(Debug, Subcommand)]
enum AccountVerb {
    /// Make an account without an invitation; the broker makes the password and shows it once
    Add {
        /// The name in front of the @
        name: String,
        /// A name that looks official (admin, support, ...) is meant for whoever runs this broker
        #[arg(long)]
        admin: bool,
        #[command(flatten)]
        json: JsonArgs,
    },
    /// List the accounts
    List(JsonArgs),
    /// Close an account for ever: its messages, contacts and files go, its name is not given out again
    #[command(visible_alias = "remove")]
    Delete {
        /// Its name or address
        name: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Set a new password, made by the broker and shown once
    Reset {
        /// Its name or address
        name: String,
        #[command(flatten)]
        json: JsonArgs,
    },
}

#[derive(Debug, Subcommand)]
enum CaVerb {
    /// Print the certificate to install for other apps
    Export,
}

/// Runs the program with arguments as the shell gives them, the program's name first.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    // looked for in what was typed, so that also a mistake in it is answered as was asked
    let json = arguments.iter().any(|argument| argument == "--json");
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() && json => {
            let text = error.render().to_string();
            print::failure(&Failure::new(text.trim_start_matches("error: ").trim_end()).named("usage"), true);
            return ExitCode::from(2);
        }
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    match execute(cli) {
        Ok(code) => code,
        Err(failure) => {
            print::failure(&failure, json);
            ExitCode::FAILURE
        }
    }
}

fn execute(cli: Cli) -> Result<ExitCode, Failure> {
    crate::process::harden();
    crate::process::log_to_stderr(cli.log);
    let places = match &cli.data_dir {
        Some(data) => Some(Places::beside(data)),
        None => Places::usual(),
    };
    let places = places.ok_or_else(|| {
        Failure::with_todo("this user has no home directory", "Say with --data-dir where the data is to be kept.")
    })?;
    match cli.verb {
        Verb::Up(arguments) => {
            let settings = settings(&places, cli.config.as_deref())?;
            up::run(up::adjust(settings, &arguments)?, &places, &arguments)
        }
        Verb::Doctor { accept_clock: true, json, .. } => {
            print::done(&ask(&places.data, Ask::ClockAccept)?, json.json);
            Ok(ExitCode::SUCCESS)
        }
        Verb::Doctor { domain, json, .. } => {
            doctor::run(&places, || settings(&places, cli.config.as_deref()), domain, json.json)
        }
        Verb::Account(AccountVerb::Delete { name, yes }) => account::delete(&places, name, yes),
        verb => {
            let (command, json) = request(verb)?;
            print::done(&ask(&places.data, command)?, json);
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The verbs that are one question to the running broker.
fn request(verb: Verb) -> Result<(Ask, bool), Failure> {
    Ok(match verb {
        Verb::Invite(InviteArgs { verb: None, days, name, json }) => (Ask::Invite { days, name }, json.json),
        Verb::Invite(InviteArgs { verb: Some(InviteVerb::List(json)), .. }) => (Ask::InviteList, json.json),
        Verb::Invite(InviteArgs { verb: Some(InviteVerb::Revoke { id, json }), .. }) => {
            (Ask::InviteRevoke { id }, json.json)
        }
        Verb::Status(json) => (Ask::Status, json.json),
        Verb::Peer(PeerVerb::Add { link }) => (Ask::PeerAdd { link }, false),
        Verb::Peer(PeerVerb::List(json)) => (Ask::PeerList, json.json),
        Verb::Peer(PeerVerb::Remove { domain }) => (Ask::PeerRemove { domain }, false),
        Verb::Account(AccountVerb::Add { name, admin, json }) => (Ask::AccountAdd { name, admin }, json.json),
        Verb::Account(AccountVerb::List(json)) => (Ask::AccountList, json.json),
        Verb::Account(AccountVerb::Reset { name, json }) => (Ask::AccountReset { name }, json.json),
        Verb::Ca(CaVerb::Export) => (Ask::CaExport, false),
        Verb::Up(_) | Verb::Doctor { .. } | Verb::Account(AccountVerb::Delete { .. }) => {
            return Err(Failure::new("this is not a question to the running broker"));
        }
    })
}

/// Reads the settings: from the file that was named, else from the usual one if it is there.
fn settings(places: &Places, config: Option<&std::path::Path>) -> Result<Settings, Failure> {
    let mut settings = Settings::new(places.storage());
    let usual = places.config.join(CONFIG_FILE);
    let file = config.map(std::path::Path::to_path_buf).or_else(|| usual.exists().then_some(usual));
    if let Some(file) = file {
        crate::config::read(&file, &mut settings).map_err(|error| {
            Failure::with_todo(error.to_string(), "docs/waxwingd.toml shows all settings.").named("settings")
        })?;
    }
    Ok(settings)
}

/// Asks the running broker, for the modules of verbs.
fn ask_running(places: &Places, command: Ask) -> Result<Done, Failure> {
    ask(&places.data, command)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_may_stand_before_and_after_the_verb() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' '));
        assert!(parse("waxwingd --data-dir x invite --json").is_ok());
        assert!(parse("waxwingd invite --data-dir x").is_ok());
        assert!(parse("waxwingd up --memory --data-dir x").is_err());
        assert!(parse("waxwingd up --listen everywhere").is_err());
        assert!(parse("waxwingd invite --days 3 --name bob").is_ok());
        assert!(parse("waxwingd invite list --json").is_ok() && parse("waxwingd invite revoke abc").is_ok());
        assert!(parse("waxwingd invite --days 3 list").is_err() && parse("waxwingd invite revoke").is_err());
        assert!(parse("waxwingd").is_err());
    }
}
