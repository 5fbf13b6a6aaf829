//! `waxwing status`: how things are. Connects for a moment to find out.

use tokio::time::{Duration, Instant, timeout_at};

use super::session::Session;
use super::{Context, Exit, next_step};
use crate::api::{Answer, Event, Kind, Refusal, Request, StatusView};
use crate::words::results;

/// A look at the server need not take longer.
const LOOK_MAX: Duration = Duration::from_secs(5);

pub(super) async fn run(context: &mut Context<'_>, accept_clock: bool) -> Result<Exit, Refusal> {
    let mut session = context.session().await?;
    if accept_clock {
        session.ask(&Request::AcceptClock).await?;
    }
    let looked = look(context, &mut session).await;
    context.close(session).await;
    let (status, refusal) = looked?;
    for line in lines(&status) {
        context.console.line(&line);
    }
    if let Some(refusal) = &refusal {
        context.console.line(&refusal.text);
    }
    context.console.object(&Answer::Status { status: status.clone() });
    Ok(match status.account.as_str() {
        "none" | "refused" => Exit::NoAccount,
        "online" => Exit::Ok,
        _ => Exit::Offline,
    })
}

async fn look(context: &Context<'_>, session: &mut Session) -> Result<(StatusView, Option<Refusal>), Refusal> {
    let mut refused = None;
    match session.ask(&Request::GoOnline).await {
        Err(refusal) if refusal.kind == Kind::NoAccount => {}
        Err(refusal) => return Err(refusal),
        Ok(_) => {
            let until = Instant::now() + LOOK_MAX.min(context.wait);
            loop {
                if next_step::status(session).await?.account == "online" {
                    break;
                }
                match timeout_at(until, session.event()).await {
                    Ok(Some(Event::Account { reason: Some(reason), .. })) => {
                        refused = Some(reason);
                        break;
                    }
                    Ok(Some(_)) => {}
                    Ok(None) => session.reopen().await?,
                    Err(_) => break,
                }
            }
        }
    }
    Ok((next_step::status(session).await?, refused))
}

fn lines(status: &StatusView) -> Vec<String> {
    let Some(address) = &status.address else {
        return vec![results::account_none()];
    };
    let account = match status.account.as_str() {
        "online" => results::account_online(address),
        "refused" => results::account_refused(address),
        _ => results::account_offline(address),
    };
    let mut lines = vec![account, results::counts(status.contacts_count, status.unread_count)];
    let waiting = status.waiting_count + status.queued_count;
    if waiting > 0 {
        lines.push(results::to_be_sent(waiting));
    }
    match status.requests_count {
        0 => {}
        1 => lines.push(results::one_request()),
        count => lines.push(results::many_requests(count)),
    }
    if matches!(status.witness.as_str(), "refused" | "silent") {
        lines.push(results::no_witness());
    }
    if let Some(ahead_ms) = status.clock_ahead_ms {
        let days = ahead_ms.unsigned_abs() / 86_400_000;
        lines.push(if ahead_ms < 0 { results::clock_behind(days) } else { results::clock_ahead(days) });
    }
    lines
}
