//! `waxwing devices`: the apps that read along; and the question about those of the own account that nobody has asked for.
//!
//! Whatever a server lists beside this app may have been put there to read along. Only its owner knows.

use serde_json::json;
use tokio::time::{Duration, Instant, timeout_at};

use super::arguments::DeviceDecision;
use super::session::Session;
use super::{Console, Context, Exit, write};
use crate::api::{Answer, Decision, DeviceView, Kind, Refusal, Request};
use crate::words::results;

/// How long the server may take to say which apps there are.
const LIST_WAIT: Duration = Duration::from_secs(10);

/// What is known of the apps of the own account.
struct Own {
    others: Vec<DeviceView>,
    is_complete: bool,
}

pub(super) async fn run(
    context: &mut Context<'_>,
    of: Option<String>,
    decision: Option<DeviceDecision>,
) -> Result<Exit, Refusal> {
    let mut session = Session::open(&context.home).await?;
    let done = act(context, &mut session, of, decision).await;
    context.close(session).await;
    done
}

async fn act(
    context: &mut Context<'_>,
    session: &mut Session,
    of: Option<String>,
    decision: Option<DeviceDecision>,
) -> Result<Exit, Refusal> {
    match session.ask(&Request::GoOnline).await {
        Ok(_) if of.is_none() => wait_until_complete(context.wait, session).await?,
        Ok(_) => {}
        Err(refusal) => return Err(refusal),
    }
    let Some(decision) = decision else { return list(context, session, of).await };
    let (device, decision, done) = match decision {
        DeviceDecision::Agree { number } => (number, Decision::Agree, results::device_agreed(number)),
        DeviceDecision::Refuse { number } => (number, Decision::Refuse, results::device_refused(number)),
    };
    let answer = session.ask(&Request::DecideDevice { who: of, device, fingerprint: None, decision }).await?;
    context.console.line(&done);
    context.console.object(&answer);
    Ok(Exit::Ok)
}

async fn list(context: &mut Context<'_>, session: &mut Session, of: Option<String>) -> Result<Exit, Refusal> {
    let whose = of.clone();
    let Answer::Devices { devices, own_id, own_fingerprint, .. } =
        session.ask(&Request::Devices { who: of, to_show: true }).await?
    else {
        return Ok(Exit::Failed);
    };
    if let (Some(id), Some(fingerprint)) = (own_id, &own_fingerprint) {
        context.console.line(&results::this_device(id));
        context.console.line(&format!("    {fingerprint}"));
        context.console.object(&json!({"kind": "this_device", "id": id, "fingerprint": fingerprint}));
    }
    for device in &devices {
        for line in write::device(device) {
            context.console.line(&line);
        }
        context.console.object(&json!({"kind": "device", "device": device}));
    }
    match (devices.iter().find(|device| waits(device)), whose) {
        (Some(device), None) => context.console.line(&results::decide_own_device(device.id)),
        (Some(device), Some(who)) => context.console.line(&results::decide_device_of(who, device.id)),
        (None, None) if devices.is_empty() => context.console.line(&results::no_other_device()),
        _ => {}
    }
    Ok(Exit::Ok)
}

/// Whether an app waits for a decision that can be made.
fn waits(device: &DeviceView) -> bool {
    device.state == "undecided" && device.listed && device.fingerprint.is_some()
}

/// Asks about those that have come since the user was last asked; where nobody can be asked, the notice stays.
pub(super) async fn ask_about_new(console: &mut Console, session: &mut Session) -> Result<(), Refusal> {
    if console.is_json() || !console.can_ask() {
        return Ok(());
    }
    let own = own(session).await?;
    ask(console, session, own.others.iter().filter(|device| waits(device) && !device.put_off)).await
}

/// Asks about all that wait, also those that were put off; the server may take a moment to say which there are.
pub(super) async fn ask_about_all(
    console: &mut Console,
    session: &mut Session,
    wait: Option<Duration>,
) -> Result<(), Refusal> {
    if let Some(wait) = wait {
        wait_until_complete(wait, session).await?;
    }
    if console.is_json() || !console.can_ask() {
        return Ok(());
    }
    let own = own(session).await?;
    ask(console, session, own.others.iter().filter(|device| waits(device))).await
}

async fn ask(
    console: &mut Console,
    session: &mut Session,
    devices: impl Iterator<Item = &DeviceView>,
) -> Result<(), Refusal> {
    for device in devices {
        console.note(&results::another_device());
        for line in write::device(device) {
            console.note(&format!("    {line}"));
        }
        console.note(&results::where_the_digits_are());
        let decision = loop {
            let answer = console.ask(&results::ask_device()).await.unwrap_or_else(|| "later".to_owned());
            match answer.to_lowercase().as_str() {
                "yes" | "y" => break Decision::Agree,
                "no" | "n" => break Decision::Refuse,
                "later" | "l" | "" => break Decision::Later,
                _ => console.note(&results::answer_yes_no_later()),
            }
        };
        let fingerprint = device.fingerprint.clone();
        session.ask(&Request::DecideDevice { who: None, device: device.id, fingerprint, decision }).await?;
        console.note(&match decision {
            Decision::Agree => results::own_device_agreed(),
            Decision::Refuse => results::own_device_refused(),
            Decision::Later => results::own_device_later(),
        });
    }
    Ok(())
}

async fn wait_until_complete(wait: Duration, session: &mut Session) -> Result<(), Refusal> {
    let until = Instant::now() + LIST_WAIT.min(wait);
    loop {
        if own(session).await?.is_complete {
            return Ok(());
        }
        match timeout_at(until, session.event()).await {
            Ok(Some(_)) => {}
            Ok(None) => session.reopen().await?,
            Err(_) => return Ok(()),
        }
    }
}

async fn own(session: &mut Session) -> Result<Own, Refusal> {
    match session.ask(&Request::Devices { who: None, to_show: false }).await {
        Ok(Answer::Devices { devices, is_complete, .. }) => Ok(Own { others: devices, is_complete }),
        Err(refusal) if refusal.kind != Kind::NoAccount => Err(refusal),
        _ => Ok(Own { others: Vec::new(), is_complete: true }),
    }
}
