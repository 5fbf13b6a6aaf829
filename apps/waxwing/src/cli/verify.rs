//! `waxwing verify`: making sure that somebody is who they say, by a number or by a link.

use super::session::Session;
use super::{Context, Exit, devices};
use crate::api::{Answer, Refusal, Request};
use crate::terminal::plain;
use crate::words::results;

pub(super) async fn run(
    context: &mut Context<'_>,
    who: String,
    proof: Option<String>,
    number_matches: bool,
    accept_change: bool,
) -> Result<Exit, Refusal> {
    let mut session = Session::open(&context.home).await?;
    let done = act(context, &mut session, who, proof, number_matches, accept_change).await;
    context.close(session).await;
    done
}

async fn act(
    context: &mut Context<'_>,
    session: &mut Session,
    who: String,
    proof: Option<String>,
    number_matches: bool,
    accept_change: bool,
) -> Result<Exit, Refusal> {
    // A number that does not cover the own apps fits nobody's: they come first.
    devices::ask_about_all(context.console, session, None).await?;
    if accept_change {
        let answer = session.ask(&Request::AcceptChange { who: who.clone() }).await?;
        context.console.line(&results::change_accepted(&who));
        context.console.object(&answer);
        return Ok(Exit::Ok);
    }
    let proof = match proof {
        Some(proof) => Some(proof),
        // The number that was shown: one that has changed since was not compared.
        None if number_matches => Some(Request::NUMBER_SHOWN.to_owned()),
        None => None,
    };
    let answer = match proof {
        Some(proof) => session.ask(&Request::Verify { who: who.clone(), proof }).await?,
        None => session.ask(&Request::Number { who: who.clone() }).await?,
    };
    let name = plain::name(&who);
    match &answer {
        Answer::Number { number } => {
            context.console.line(&results::number_with(&name));
            for line in lines(&number.digits) {
                context.console.line(&format!("    {line}"));
            }
            context.console.line(&results::compare_it(&name));
            context.console.line(&format!("    waxwing verify {name} --number-matches"));
            context.console.line(&results::or_by_link());
            context.console.line(&format!("    {}", number.own_link));
            context.console.code(&number.own_link);
        }
        _ => context.console.line(&results::verified(&name)),
    }
    context.console.object(&answer);
    Ok(Exit::Ok)
}

/// Twelve groups, four to a line.
fn lines(digits: &str) -> Vec<String> {
    let groups: Vec<&str> = digits.split_whitespace().collect();
    groups.chunks(4).map(|line| line.join(" ")).collect()
}
