//! The check: a guess is paid in one commit, then compared in constant time, then judged in another.
//!
//! What cannot be paid is not compared; when a commit fails the answer is 503 and says nothing about the code.

use std::sync::Arc;

use otodoke_common::bucket::Spend;
use otodoke_common::code::{CODE_DIGITS_MAX, CODE_DIGITS_MIN, Code, CodeError, CodeFields};
use otodoke_common::desk::{Applied, Committed, Routing, SAVE_TRIES_MAX};
use otodoke_common::lifecycle::{Effect, Event, Note, Step, Verdict};
use otodoke_common::message::{End, Kind, Message, Person, Purpose, State, Tag};
use otodoke_common::metrics::GUESSES_PER_NUMBER;
use otodoke_common::outcome::Reason;
use otodoke_common::phone::PhoneNumber;
use otodoke_common::request;
use otodoke_common::seal::TagUse;
use otodoke_common::time::{DAY_MS, Timestamp};
use otodoke_common::trace;
use otodoke_common::transaction::Transaction;

use crate::answer::{CheckStatus, Checked};
use crate::body::CheckBody;
use crate::door::Door;
use crate::effects;
use crate::hands::BUSY_RETRY_S;
use crate::problem::Problem;

/// Longest code as it was typed, with its spaces.
const TYPED_CHARS_MAX: usize = 32;

/// What the caller brings: the digits, and what the code is computed from.
pub(crate) struct Guess {
    digits: String,
    to: Option<PhoneNumber>,
    transaction: Option<Transaction>,
    /// Tells this request from every other: of its `Idempotency-Key`, or by chance where it has none.
    key: Tag,
}

impl Guess {
    pub(crate) fn of(door: &Door, message: &Message, key: Option<&str>, body: &CheckBody) -> Result<Self, Problem> {
        let tag = |usage: TagUse, key: &[u8]| door.desk.vault.tag(usage, &[message.id.bytes(), key]);
        Ok(Self {
            digits: digits(&body.code)?,
            to: number(door, message, body.to.as_deref())?,
            transaction: request::transaction(message.purpose, body.transaction.as_ref())?,
            key: key.map_or_else(
                || tag(TagUse::OneCheck, &door.desk.dice.id_bits()),
                |key| tag(TagUse::CheckKey, key.as_bytes()),
            ),
        })
    }
}

/// As people type it: a Japanese keyboard gives wide digits, and a code that was copied may have spaces in it.
fn digits(code: &str) -> Result<String, Problem> {
    let typed = code.chars().take(TYPED_CHARS_MAX + 1).filter(|c| !c.is_whitespace());
    let digits: String = typed.map(narrow).collect();
    let fits = (CODE_DIGITS_MIN.into()..=CODE_DIGITS_MAX.into()).contains(&digits.len())
        && code.chars().count() <= TYPED_CHARS_MAX
        && digits.bytes().all(|b| b.is_ascii_digit());
    if fits {
        return Ok(digits);
    }
    let detail = format!("`code` must be {CODE_DIGITS_MIN} to {CODE_DIGITS_MAX} digits, as text; no guess was used");
    Err(Problem::input("invalid_field", "code", detail))
}

/// A digit of full width (U+FF10 to U+FF19) as one of ASCII.
fn narrow(c: char) -> char {
    const WIDE_TO_ASCII: u32 = '０' as u32 - '0' as u32;
    if ('０'..='９').contains(&c) { char::from_u32(u32::from(c) - WIDE_TO_ASCII).unwrap_or(c) } else { c }
}

/// A number in national format is read as one of the message's country.
fn number(door: &Door, message: &Message, raw: Option<&str>) -> Result<Option<PhoneNumber>, Problem> {
    let needed = message.purpose == Purpose::Payment || door.settings(&message.tenant).require_to;
    match raw {
        Some(raw) => Ok(Some(PhoneNumber::parse(raw, Some(message.country))?.number)),
        None if needed => {
            let detail = "`to` is needed here: the code is computed from the number that you say it was sent to";
            Err(Problem::input("missing_field", "to", detail))
        }
        None => Ok(None),
    }
}

pub(crate) async fn check(door: &Arc<Door>, message: Message, guess: Guess) -> Result<Checked, Problem> {
    let repeats = repeats(door, &message, &guess);
    if !repeats && let Some(status) = standing(door, &message) {
        return Ok(answer(status, &message));
    }
    let comparison = match Comparison::prepare(door, &message, &guess) {
        Ok(comparison) => comparison,
        Err(_) if repeats => return Ok(answer(CheckStatus::AlreadyVerified, &message)),
        Err(NoCode::Revoked) => return revoked(door, message).await,
        Err(NoCode::Now(problem)) => return Err(problem),
    };
    let Ok(place) = Arc::clone(&door.hands.checks).try_acquire_owned() else {
        return Err(Problem::busy("too many codes are being checked at this moment: try again", BUSY_RETRY_S));
    };
    let door = Arc::clone(door);
    let compared = async move {
        let _place = place;
        compare(&door, message, &guess, &comparison).await
    };
    tokio::spawn(trace::within(trace::current(), compared)).await.unwrap_or_else(|error| {
        tracing::error!(%error, "checking a code broke off");
        Err(Problem::unavailable())
    })
}

/// Runs to its end even when the caller hangs up, and has its place until then: a guess that was paid is judged.
async fn compare(door: &Door, message: Message, guess: &Guess, comparison: &Comparison) -> Result<Checked, Problem> {
    if repeats(door, &message, guess) {
        return repeat(door, message, guess, comparison).await;
    }
    match pay(door, message).await? {
        Payment::Paid(message) => judge(door, message, guess, comparison).await,
        Payment::NoneLeft(message) => unjudged(door, message, guess, comparison, CheckStatus::TooManyGuesses).await,
        Payment::NoneLeftForNumber { message, free_at } => {
            let checked = unjudged(door, message, guess, comparison, CheckStatus::TooManyGuesses).await?;
            let is_it = checked.status == CheckStatus::TooManyGuesses;
            Ok(Checked { next_guess_at: is_it.then(|| free_at.rfc3339()), ..checked })
        }
    }
}

/// Somebody else may have ended it meanwhile, the same request sent twice among them; else it is `otherwise`.
async fn unjudged(
    door: &Door,
    message: Message,
    guess: &Guess,
    comparison: &Comparison,
    otherwise: CheckStatus,
) -> Result<Checked, Problem> {
    if repeats(door, &message, guess) {
        return repeat(door, message, guess, comparison).await;
    }
    Ok(answer(standing(door, &message).unwrap_or(otherwise), &message))
}

/// What is said without a comparison; `None` where a guess is to be made.
fn standing(door: &Door, message: &Message) -> Option<CheckStatus> {
    match &message.state {
        State::Ended { end } => Some(match end {
            End::Verified => CheckStatus::AlreadyVerified,
            End::Failed { reason: Reason::GuessedOut } => CheckStatus::TooManyGuesses,
            End::Failed { reason: Reason::TransactionChanged } => CheckStatus::TransactionChanged,
            End::Cancelled { .. } => CheckStatus::Cancelled,
            End::Failed { .. } | End::Expired { .. } | End::Delivered => CheckStatus::Expired,
        }),
        State::Queued
        | State::Sending { .. }
        | State::Awaiting { .. }
        | State::Retrying { .. }
        | State::Delivered
        | State::GaveUp { .. } => {
            if door.now() >= message.useful_until {
                Some(CheckStatus::Expired)
            } else if message.legs.is_empty() {
                Some(CheckStatus::NotSentYet)
            } else {
                None
            }
        }
    }
}

/// Whether this has the key of the request that verified, a moment ago.
fn repeats(door: &Door, message: &Message, guess: &Guess) -> bool {
    let within = |at: Timestamp| door.now().since_ms(at) < door.desk.policy.verified_repeat_ms;
    let verified = matches!(message.state, State::Ended { end: End::Verified });
    verified && message.verified.as_ref().is_some_and(|it| it.key == Some(guess.key) && within(it.at))
}

/// A caller's key may come back with another body, so the code must be right this time too. That is a guess like any other,
/// paid by the number before it is compared and given back where it is right: else whoever has the key could try every code.
async fn repeat(door: &Door, message: Message, guess: &Guess, comparison: &Comparison) -> Result<Checked, Problem> {
    let spend = guess_of_number(door, &message);
    let before = message.clone();
    let Some(message) = save_ended(door, message, &[], &[spend]).await? else {
        return Ok(answer(CheckStatus::AlreadyVerified, &before));
    };
    if comparison.verdict(guess) != Verdict::Right {
        return Ok(answer(CheckStatus::AlreadyVerified, &message));
    }
    let message = save_ended(door, message, &[Effect::RefundGuesses], &[]).await?.unwrap_or(before);
    Ok(answer(CheckStatus::Verified, &message))
}

/// Saves a message that stays as it is, for what is paid and given back with it. `None`: there is nothing left to pay with.
async fn save_ended(
    door: &Door,
    mut message: Message,
    effects: &[Effect],
    spends: &[Spend],
) -> Result<Option<Message>, Problem> {
    for _ in 0..SAVE_TRIES_MAX {
        let (same, effects) = (message.clone(), effects.to_vec());
        let step = Step { waits_until: None, message: same, save: true, effects, notes: Vec::new() };
        match door.desk.save(&message, step, spends).await? {
            Committed::Done(step) => return Ok(Some(step.message)),
            Committed::OverLimit { .. } => return Ok(None),
            Committed::Lost => {}
        }
        message = door.desk.store.load(message.id).await?.ok_or_else(Problem::not_found)?;
    }
    Err(Problem::unavailable())
}

/// The root of its code is gone, so no guess can be right any more.
async fn revoked(door: &Door, message: Message) -> Result<Checked, Problem> {
    let Applied::Done(step) = effects::end_void(door, message).await? else { return Err(Problem::not_found()) };
    Ok(answer(standing(door, &step.message).unwrap_or(CheckStatus::Expired), &step.message))
}

/// Why a code cannot be computed.
pub(crate) enum NoCode {
    Revoked,
    /// Not now, or not here.
    Now(Problem),
}

/// The right code, computed from what the caller gave, and whether that is what was sent.
struct Comparison {
    code: Code,
    same_number: bool,
    same_transaction: bool,
}

impl Comparison {
    /// Before anything is paid: a root or a row that cannot be read costs nobody a guess.
    fn prepare(door: &Door, message: &Message, guess: &Guess) -> Result<Self, NoCode> {
        let person = door.desk.vault.open(message).map_err(|error| {
            tracing::error!(id = %message.id, %error, "a code cannot be checked");
            NoCode::Now(Problem::unavailable())
        })?;
        let number = guess.to.as_ref().unwrap_or(&person.to);
        let transaction = guess.transaction.as_ref().or(person.transaction.as_ref());
        Ok(Self {
            code: code(door, message, number, transaction)?,
            same_number: *number == person.to,
            same_transaction: transaction == person.transaction.as_ref(),
        })
    }

    fn verdict(&self, guess: &Guess) -> Verdict {
        let same_digits = self.code.matches(&guess.digits);
        if !self.same_transaction {
            Verdict::TransactionChanged
        } else if same_digits & self.same_number {
            Verdict::Right
        } else {
            Verdict::Wrong
        }
    }
}

/// The code of a message, for this number and transaction.
fn code(
    door: &Door,
    message: &Message,
    number: &PhoneNumber,
    transaction: Option<&Transaction>,
) -> Result<Code, NoCode> {
    let Kind::Code { kid, length, .. } = &message.kind else { return Err(NoCode::Now(Problem::not_found())) };
    let fields =
        CodeFields { tenant: &message.tenant, id: message.id, accepted_at: message.accepted_at, number, transaction };
    door.codes.derive(kid, &fields, *length).map_err(|error| match error {
        CodeError::Revoked { .. } => NoCode::Revoked,
        CodeError::NotLooked { .. } => {
            tracing::warn!(id = %message.id, %error, "a code is neither compared nor said");
            NoCode::Now(Problem::unavailable())
        }
        CodeError::UnknownKid { .. } | CodeError::Length { .. } => {
            tracing::error!(id = %message.id, %error, "a code cannot be derived: give every door the roots of living messages");
            NoCode::Now(Problem::unavailable())
        }
    })
}

/// The code as it was sent.
pub(crate) fn sent_code(door: &Door, message: &Message, person: &Person) -> Result<Code, NoCode> {
    code(door, message, &person.to, person.transaction.as_ref())
}

enum Payment {
    Paid(Message),
    NoneLeft(Message),
    /// The message has some left, and its number none before then.
    NoneLeftForNumber {
        message: Message,
        free_at: Timestamp,
    },
}

/// One guess from the message and one from the number, in one commit.
async fn pay(door: &Door, message: Message) -> Result<Payment, Problem> {
    // Where the message has none left, there is nothing that the number could pay for.
    let spends = if message.guesses_left == 0 { vec![] } else { vec![guess_of_number(door, &message)] };
    let before = message.clone();
    match door.desk.apply_to(message, &Event::GuessPaid, &Routing::ELSEWHERE, &spends).await? {
        Applied::Missing => Err(Problem::not_found()),
        Applied::OverLimit { free_at, .. } => {
            door.desk.metrics.guarded(GUESSES_PER_NUMBER, &before);
            Ok(Payment::NoneLeftForNumber { message: before, free_at })
        }
        Applied::Done(step) => {
            effects::perform(door, &step).await;
            let paid = step.notes.iter().any(|note| matches!(note, Note::GuessPaid { .. }));
            Ok(if paid { Payment::Paid(step.message) } else { Payment::NoneLeft(step.message) })
        }
    }
}

fn guess_of_number(door: &Door, message: &Message) -> Spend {
    let policy = &door.desk.policy;
    let limit = match message.purpose {
        Purpose::Payment => policy.guesses_per_number_payment,
        Purpose::Login | Purpose::Signup | Purpose::Notice => policy.guesses_per_number,
    };
    let bucket = door.desk.vault.guesses_bucket(message);
    Spend { bucket, cost: 1, limit: limit.into(), window_ms: DAY_MS }
}

async fn judge(door: &Door, message: Message, guess: &Guess, comparison: &Comparison) -> Result<Checked, Problem> {
    let verdict = comparison.verdict(guess);
    let event = Event::Guessed { verdict, key: Some(guess.key) };
    let Applied::Done(step) = door.desk.apply_to(message, &event, &Routing::ELSEWHERE, &[]).await? else {
        return Err(Problem::unavailable());
    };
    effects::perform(door, &step).await;
    let judged = step.notes.iter().any(|note| matches!(note, Note::Guessed { .. }));
    if !judged {
        return unjudged(door, step.message, guess, comparison, CheckStatus::Expired).await;
    }
    let status = match verdict {
        Verdict::Right => CheckStatus::Verified,
        Verdict::Wrong => CheckStatus::WrongCode,
        Verdict::TransactionChanged => CheckStatus::TransactionChanged,
    };
    Ok(answer(status, &step.message))
}

fn answer(status: CheckStatus, message: &Message) -> Checked {
    // Where it is the number that has none left, the message's own are of no use.
    let guesses_left = if status == CheckStatus::TooManyGuesses { 0 } else { message.guesses_left };
    Checked { status, verified: status == CheckStatus::Verified, guesses_left, next_guess_at: None }
}
