//! The commands that talk to a door over HTTP: what was typed becomes a request, the answer a sentence.

mod bodies;
mod file;
mod found;
mod lines;
mod timeline;

use otodoke_common::clock::Clock;
use otodoke_producer::answer::{Accepted, CheckStatus, Checked};
use otodoke_producer::body::{ChannelWord, CheckBody, SearchBody};
use otodoke_producer::client::{Client, ClientError};
use tokio::time::Duration;

use crate::cli::{Access, Cancel, Channel, Check, Find, Resend, Send, Trace};
use crate::output::{Outcome, Output};

pub(crate) async fn send(command: Box<Send>, output: &Output) -> anyhow::Result<Outcome> {
    let payment = command.transaction.amount.is_none() || command.purpose.is_some();
    anyhow::ensure!(payment, "--amount and --payee-... go with --purpose payment, not with --text or --file");
    let client = client(&command.access)?;
    let key = command.idempotency_key.as_deref();
    if let Some(path) = &command.file {
        let file = file::File {
            path,
            key,
            in_flight: command.concurrency.into(),
            patience: Duration::from_secs(command.patience.into()),
        };
        return file::send(&client, &file, output).await;
    }
    let accepted = bodies::of(&command)?.send(&client, key).await?;
    output.answer(&accepted, || sent(&accepted))?;
    Ok(Outcome::Done)
}

fn sent(accepted: &Accepted) -> String {
    let Accepted { id, to, useful_until, .. } = accepted;
    let verb = if accepted.joined { "joined the one that is under way" } else { "accepted" };
    let resend = accepted.next_resend_at.as_ref().map_or_else(String::new, |at| format!("\n  resend from   {at}"));
    format!("{id}\n  {verb}, to {to}\n  useful until  {useful_until}{resend}\n\nSee `otodoke trace {id}`.")
}

pub(crate) async fn check(command: Check, output: &Output) -> anyhow::Result<Outcome> {
    let transaction = bodies::transaction(&command.transaction);
    let body = CheckBody { code: command.code, to: command.to, transaction };
    let checked = client(&command.access)?.check(&command.id, &body, None).await?;
    output.answer(&checked, || judged(&checked))?;
    Ok(Outcome::of(checked.verified))
}

fn judged(checked: &Checked) -> String {
    match checked.status {
        CheckStatus::Verified => "Verified.".to_owned(),
        CheckStatus::WrongCode => match checked.guesses_left {
            0 => "Wrong code; no guess is left, so the code is void: ask for a new one.".to_owned(),
            1 => "Wrong code; 1 guess is left.".to_owned(),
            left => format!("Wrong code; {left} guesses are left."),
        },
        CheckStatus::TransactionChanged => "The transaction is not the one that was sent: the code is void.".to_owned(),
        CheckStatus::TooManyGuesses => match &checked.next_guess_at {
            Some(at) => {
                format!("This number had too many wrong codes in the last 24 hours: none is looked at before {at}.")
            }
            None => "Too many wrong codes: ask for a new one.".to_owned(),
        },
        CheckStatus::Expired => "It is over: ask for a new code.".to_owned(),
        CheckStatus::Cancelled => "It was cancelled.".to_owned(),
        CheckStatus::NotSentYet => "Nothing was sent yet, so no code can be right.".to_owned(),
        CheckStatus::AlreadyVerified => "It was verified before, by another request.".to_owned(),
    }
}

pub(crate) async fn resend(command: Resend, output: &Output) -> anyhow::Result<Outcome> {
    let channel = command.channel.map(|channel| match channel {
        Channel::Sms => ChannelWord::Sms,
        Channel::Voice => ChannelWord::Voice,
    });
    let resent = client(&command.access)?.resend(&command.id, channel).await?;
    output.answer(&resent, || {
        let what = match resent.leg {
            true => "The same code goes out again.",
            false => "Nothing goes out now: the last one may still be on its way, or no way to the phone is left.",
        };
        let next = resent.next_resend_at.as_ref().map_or_else(String::new, |at| format!(" Again from {at}."));
        format!("{what}{next}")
    })?;
    Ok(Outcome::Done)
}

pub(crate) async fn cancel(command: Cancel, output: &Output) -> anyhow::Result<Outcome> {
    let (client, id) = (client(&command.access)?, command.id);
    let cancelled = match client.cancel(&id).await {
        // An id does not tell codes from texts.
        Err(ClientError::Refused { body, .. }) if body.code == "not_found" => client.cancel_text(&id).await?,
        answered => answered?,
    };
    let is_cancelled = cancelled.status == "cancelled";
    let too_late = if is_cancelled { "" } else { ": nothing was cancelled" };
    output.answer(&cancelled, || format!("{} is {}{too_late}.", cancelled.id, cancelled.status))?;
    Ok(Outcome::of(is_cancelled))
}

pub(crate) async fn trace(command: Trace, output: &Output) -> anyhow::Result<Outcome> {
    let trace = client(&command.access)?.trace(&command.id).await?;
    output.show(&trace, || timeline::of(&trace, Clock::system().now()))?;
    Ok(Outcome::Done)
}

pub(crate) async fn find(command: Find, output: &Output) -> anyhow::Result<Outcome> {
    let Find { number, region, hours, before, access } = command;
    let body = SearchBody { to: number, region, hours: Some(hours), before: before.clone() };
    let found = client(&access)?.search(&body).await?;
    output.show(&found, || found::of(&found, before.as_deref()))?;
    Ok(Outcome::of(!found.messages.is_empty()))
}

fn client(access: &Access) -> anyhow::Result<Client> {
    Ok(Client::new(&access.url, &access.api_key)?)
}
