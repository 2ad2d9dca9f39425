//! A resend asked for by the person: the same code, never a longer life. What follows it is `lifecycle`'s to say.

use axum::http::StatusCode;
use otodoke_common::bucket::Spend;
use otodoke_common::desk::{Applied, Routing};
use otodoke_common::leg::Channel;
use otodoke_common::lifecycle::{Cap, Choice, Effect, Event, Note, ResendRefusal, resend_gate};
use otodoke_common::message::{Message, State, Trigger, Want};
use otodoke_common::retry::Delays;
use otodoke_common::route::{self, Scene, Standing};
use otodoke_common::time::Timestamp;

use crate::answer::Resent;
use crate::body::ChannelWord;
use crate::door::Door;
use crate::effects;
use crate::problem::Problem;
use crate::view;

pub(crate) async fn resend(door: &Door, message: Message, channel: Option<ChannelWord>) -> Result<Resent, Problem> {
    if door.codes.is_void(&message) {
        return Err(void(door, message).await?);
    }
    gate(door, &message)?;
    let channel = match channel {
        Some(ChannelWord::Voice) => Some(voice(door, &message)?),
        Some(ChannelWord::Sms) => Some(Channel::Sms),
        None => None,
    };
    let event = Event::ResendAsked { channel };
    let choose = |message: &Message, want: &Want| elsewhere(door, message, want);
    let routing = Routing { choose: &choose, ..Routing::ELSEWHERE };
    let look = look_at_calls(door, &message, &event, &routing);
    let before = message.clone();
    let step = match door.desk.apply_to(message, &event, &routing, look.as_slice()).await? {
        Applied::Done(step) => step,
        Applied::Missing => return Err(Problem::not_found()),
        Applied::OverLimit { free_at, .. } => return Err(no_calls(door, &before, free_at)),
    };
    effects::perform(door, &step).await;
    if !step.notes.iter().any(|note| matches!(note, Note::ResendAsked { .. })) {
        // Another resend, or the end, came between.
        gate(door, &step.message)?;
    }
    Ok(Resent {
        leg: step.effects.contains(&Effect::Wake),
        next_resend_at: view::next_resend(door, &step.message).map(Timestamp::rfc3339),
    })
}

/// Nothing is paid here: the call that was asked for pays when it begins. But none is promised that the hour's number of calls leaves
/// no room for.
fn look_at_calls(door: &Door, message: &Message, event: &Event, routing: &Routing<'_>) -> Option<Spend> {
    let State::Retrying { want } = door.desk.decide(message, event, routing).message.state else { return None };
    let call = door.desk.call(message);
    let look = Spend { cost: 0, limit: call.limit.saturating_sub(call.cost), ..call };
    (want.channel == Channel::Voice && want.trigger == Trigger::Asked).then_some(look)
}

fn no_calls(door: &Door, message: &Message, free_at: Timestamp) -> Problem {
    door.desk.metrics.guarded(Cap::CallsPerHour.word(), message);
    let detail = "the calls that may be made to this country in an hour were made: wait";
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_calls", detail).retry_at(free_at, door.now())
}

/// What the caller is told of a message that nobody could verify any more.
async fn void(door: &Door, message: Message) -> Result<Problem, Problem> {
    match effects::end_void(door, message).await? {
        Applied::Done(_) => Ok(too_late()),
        Applied::Missing => Err(Problem::not_found()),
        Applied::OverLimit { .. } => Err(Problem::unavailable()),
    }
}

fn too_late() -> Problem {
    Problem::new(StatusCode::CONFLICT, "too_late", "this verification is over: start a new one")
}

/// A worker chooses, by what providers can do then. Where the settings leave it no route at all, there is nothing to wait for.
pub(crate) fn elsewhere(door: &Door, message: &Message, want: &Want) -> Choice {
    let policy = &door.desk.policy;
    let delays = Delays::new(policy.retry_first_ms, policy.retry_last_ms);
    let scene = Scene {
        now: door.now(),
        table: &door.routes,
        standing: &|_| Standing::Ready,
        score: &|_| 0,
        cooling_ms: &|failures, roll| delays.delay_ms(failures, roll),
    };
    match route::choose(message, want, &scene).choice {
        Choice::Nothing => Choice::Nothing,
        Choice::Go(_) | Choice::Wait { .. } | Choice::Elsewhere | Choice::OverLimit(_) => Choice::Elsewhere,
    }
}

fn gate(door: &Door, message: &Message) -> Result<(), Problem> {
    let now = door.now();
    resend_gate(message, now, &door.desk.policy).map_err(|refusal| match refusal {
        ResendRefusal::TooLate => too_late(),
        ResendRefusal::UsedUp => {
            let detail = "every resend was used: when this verification is over, start a new one";
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_resends", detail).retry_at(message.useful_until, now)
        }
        ResendRefusal::TooEarly { until } => {
            let detail =
                format!("the next resend is possible at {}: give the last one time to arrive", until.rfc3339());
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_soon", detail).retry_at(until, now)
        }
    })
}

/// The person's wish counts even where the request said `voice: never`; the plan counts always.
fn voice(door: &Door, message: &Message) -> Result<Channel, Problem> {
    let planned = door.routes.plan(&message.tenant, message.country).is_some_and(|plan| plan.voice);
    if planned {
        return Ok(Channel::Voice);
    }
    let detail = "the plan of this country holds no calls, or none for this tenant: leave `channel` out, or say `sms`";
    Err(Problem::input("voice_not_allowed", "channel", detail))
}
