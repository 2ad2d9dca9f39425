//! `kill -9` in the middle of a thousand messages: after a restart all of them reach their end, and nobody gets more
//! than one extra text, for a message that was in a provider's hands.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use otodoke_common::clock::Clock;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::caller::{Caller, legs};
use crate::until::{WAIT_MAX, until};
use crate::up::{Place, Up};

const MESSAGES: usize = 1_000;
/// Phones that work: +81 90 1234 2000 to 2999.
const FIRST_PHONE: usize = 2_000;
/// Long enough for every wait after a crash, short enough to see the end.
const TTL_S: u64 = 30;
const IN_FLIGHT: usize = 32;
const ASK_AGAIN: Duration = Duration::from_millis(250);

fn phone(index: usize) -> String {
    format!("+81901234{}", FIRST_PHONE + index)
}

/// The ids of what was accepted, by phone.
type Accepted = BTreeMap<usize, String>;

/// Asks for a code for everybody who has no id yet, until `enough` have one or the door is gone. Each request has a
/// key, so that asking again after the restart is one message with what was asked before.
async fn ask(caller: &Caller, accepted: Accepted, enough: usize) -> Accepted {
    let count = Arc::new(AtomicUsize::new(accepted.len()));
    let room = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut asking = JoinSet::new();
    for index in (0..MESSAGES).filter(|index| !accepted.contains_key(index)) {
        let permit = room.clone().acquire_owned().await.expect("nobody closes the semaphore");
        if count.load(Ordering::Relaxed) >= enough {
            break;
        }
        let (caller, count) = (caller.clone(), count.clone());
        asking.spawn(async move {
            let _permit = permit;
            let body = json!({ "to": phone(index), "purpose": "login", "ttl_seconds": TTL_S }).to_string();
            let headers = [("idempotency-key", &*format!("kill-{index}"))];
            let id = ask_until_accepted(&caller, &body, &headers).await?;
            count.fetch_add(1, Ordering::Relaxed);
            Some((index, id))
        });
    }
    // Those in flight are left to the kill: whether they were accepted is not known here.
    if enough < MESSAGES {
        return accepted.into_iter().chain(taken(&mut asking)).collect();
    }
    let answered = asking.join_all().await;
    accepted.into_iter().chain(answered.into_iter().flatten()).collect()
}

/// A lane that was measured to drain slowly refuses early, and says when to come again: a machine that is busy enough
/// gets there. `None` where nobody answers.
async fn ask_until_accepted(caller: &Caller, body: &str, headers: &[(&str, &str)]) -> Option<String> {
    let begun = Instant::now();
    loop {
        let answer = caller.try_ask(Method::POST, "/v1/verifications", body, headers).await?;
        if answer.status == 202 {
            return Some(answer.json()["id"].as_str().expect("an id").to_owned());
        }
        assert_eq!((answer.status, answer.json()["code"].as_str()), (503, Some("busy")), "{}", answer.text);
        assert!(begun.elapsed() < WAIT_MAX, "not accepted within {WAIT_MAX:?}: {}", answer.text);
        sleep(ASK_AGAIN).await;
    }
}

fn taken(asking: &mut JoinSet<Option<(usize, String)>>) -> Vec<(usize, String)> {
    let mut taken = Vec::new();
    while let Some(joined) = asking.try_join_next() {
        taken.extend(joined.expect("no task panics"));
    }
    asking.abort_all();
    taken
}

/// What one run came to.
struct Figures {
    kills_at: Vec<usize>,
    ended: BTreeMap<String, usize>,
    /// When each process was killed, Unix milliseconds.
    killed: Vec<i64>,
    /// Messages that a provider had at a kill: their leg had begun, and no receipt said how it ended.
    in_hand: usize,
    /// Those whose trace says that an answer, or the process, was lost.
    lost: usize,
    legs: usize,
    texts: usize,
    extra_texts: usize,
    settled_after_ms: u128,
    ended_after_ms: u128,
}

async fn killed_at(kills_at: &[usize]) -> Figures {
    let place = Place::new();
    let (mut accepted, mut killed) = (Accepted::new(), Vec::new());
    for enough in kills_at {
        let up = Up::start_in(&place);
        accepted = ask(&up.caller(), accepted, *enough).await;
        up.kill();
        killed.push(Clock::system().now().unix_ms());
    }
    let up = Up::start_in(&place);
    let caller = up.caller();
    let begun = Instant::now();
    let accepted = ask(&caller, accepted, MESSAGES).await;
    assert_eq!(accepted.len(), MESSAGES, "everybody was accepted in the end");

    let mut messages = Vec::new();
    for id in accepted.values() {
        let settled = |message: &Value| {
            !["accepted", "sending", "submitted"].contains(&message["status"].as_str().unwrap_or_default())
        };
        messages.push(caller.until(id, "the message reaches its end", settled).await);
    }
    let settled_after_ms = begun.elapsed().as_millis();
    let live = async || {
        let metrics = caller.get("/metrics").await.text;
        metrics.lines().any(|line| line == "otp_messages_live 0").then_some(())
    };
    until("nothing is live any more", live, async || caller.get("/metrics").await.text).await;

    let mut figures = Figures {
        kills_at: kills_at.to_vec(),
        ended: BTreeMap::new(),
        killed,
        in_hand: 0,
        lost: 0,
        legs: 0,
        texts: 0,
        extra_texts: 0,
        settled_after_ms,
        ended_after_ms: begun.elapsed().as_millis(),
    };
    for ((index, id), message) in accepted.iter().zip(&messages) {
        figures.add(&caller, (&phone(*index), id), message).await;
    }
    up.stop().await;
    figures
}

impl Figures {
    async fn add(&mut self, caller: &Caller, (number, id): (&str, &str), message: &Value) {
        let phone = caller.handset(number).await;
        let trace = caller.get(&format!("/v1/trace/{id}")).await.json();
        let journal = trace["journal"].as_array().expect("a trace has a journal");
        let holds = |name: &str, word: &str| journal.iter().any(|line| line["fields"][name] == word);
        let extra = phone.texts.len().saturating_sub(1);

        assert!(!phone.texts.is_empty(), "{number} has no text:\n{}", caller.story(id).await);
        assert!(extra <= 1 && phone.calls.is_empty(), "{phone:?}\n{}", caller.story(id).await);
        let in_hand = self.killed.iter().any(|killed| is_in_hand(journal, *killed - born_at_ms(id)));
        // A kill is not the only cause: on a machine that is busy enough, a receipt is overdue as well.
        let overdue = holds("event", "overdue");
        let counted = extra == 0 || (holds("event", "duplicate_possible") && (in_hand || overdue));
        assert!(counted, "an extra text for nothing that was lost: {phone:?}\n{}", caller.story(id).await);
        assert!(phone.texts.iter().all(|text| text.code() == phone.texts[0].code()), "one code: {phone:?}");

        *self.ended.entry(message["status"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        self.in_hand += usize::from(in_hand);
        self.lost += usize::from(holds("outcome", "unknown"));
        self.legs += legs(message).len();
        self.texts += phone.texts.len();
        self.extra_texts += extra;
    }
}

/// When a message was accepted, Unix milliseconds: its id begins with it.
fn born_at_ms(id: &str) -> i64 {
    let digits: String = id.chars().filter(|letter| *letter != '-').take(12).collect();
    i64::from_str_radix(&digits, 16).expect("a UUID of version 7")
}

/// Whether a leg had begun so long after the message was accepted, and nothing was heard of its end.
fn is_in_hand(journal: &[Value], after_ms: i64) -> bool {
    let before = |line: &&Value| line["after_ms"].as_i64().is_some_and(|ms| ms <= after_ms);
    let known: Vec<&Value> = journal.iter().take_while(before).map(|line| &line["fields"]).collect();
    let over = |fields: &&Value| fields["event"] == "receipt" && fields["status"] == "delivered";
    known.iter().any(|fields| fields["event"] == "leg_began") && !known.iter().any(over)
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kills_at, ended, in_hand, lost, legs, texts, extra_texts, .. } = self;
        write!(
            f,
            "killed after {kills_at:?} of {MESSAGES} accepted: {ended:?}; {in_hand} in a carrier's hands, {lost} lost an answer; {legs} legs, {texts} texts, \
             {extra_texts} extra; all settled {} ms after the last start, all ended after {} ms",
            self.settled_after_ms, self.ended_after_ms
        )
    }
}

#[tokio::test]
async fn killed_early_nothing_is_lost_and_nobody_gets_more_than_one_extra_text() {
    let figures = killed_at(&[60]).await;
    println!("{figures}");
    assert_eq!(figures.ended, BTreeMap::from([("delivered".to_owned(), MESSAGES)]));
    assert!(figures.in_hand > 0, "every kill came while carriers had something");
}

#[tokio::test]
async fn killed_in_the_middle_and_again_nothing_is_lost_and_nobody_gets_more_than_one_extra_text() {
    let figures = killed_at(&[500, 800]).await;
    println!("{figures}");
    assert_eq!(figures.ended, BTreeMap::from([("delivered".to_owned(), MESSAGES)]));
    assert!(figures.in_hand > 0, "every kill came while carriers had something");
}
