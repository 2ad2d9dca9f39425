//! An hour of saves while somebody holds a transaction open, so that nothing dead can be cleared away.
//!
//! The hour is that of the messages, not of the clock on the wall: time is an argument of the store. Each message is opened
//! and saved four times in a row, most end at once, and every tenth is left for the sweep to find at its deadline.
//! `OTODOKE_TEST_CHURN_SAVES` and `OTODOKE_TEST_CHURN_SECONDS` make it longer; the figures are printed either way.

use std::io::Write;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use otodoke_common::message::{Message, MessageId};
use otodoke_common::store::{Opened, Opening, Save, Saved, Store};
use otodoke_common::time::Timestamp;
use otodoke_tests::servers::postgres::{postgres, psql, session};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::backend::{LIMITS, migrated, small};
use crate::sample::{START, ended, message, opening, save};

const SAVES: u64 = 12_000;
const SECONDS: u64 = 600;
const SAVES_PER_MESSAGE: u64 = 5;
/// One in so many is left to the sweep.
const LEFT_PART: u64 = 10;
const LOOK_EVERY_MS: u64 = 500;
const LEASE_MS: u64 = 15_000;
const LOOK_MAX: usize = 256;
/// After the opening: due when it crashed in the middle, when its receipt is overdue, when it is no longer useful.
const DUE_AFTER_MS: [u64; 3] = [30_000, 60_000, 300_000];
/// Of what lies dead in front of the live ones a look passes over one in so many, at most.
const PASSED_PART: u64 = 10;
/// Of the due list and its indexes, for each save that nothing could be cleared after.
const BYTES_PER_SAVE_MAX: u64 = 300;
const ROWS_REPORTED: u64 = 10;
const FLUSH_MS_MAX: u64 = 30_000;

#[expect(clippy::disallowed_methods, reason = "how long a suite may take is no setting of the product")]
fn wanted(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).map_or(usual, |wanted| wanted.parse().expect("a number"))
}

/// A transaction that began before the work and sees the tables as they were, until it is let go.
struct Holder(Child);

impl Holder {
    fn begin(url: &str) -> Self {
        let mut holding = session(url).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("psql runs");
        let said = holding.stdin.as_mut().expect("its input is ours");
        said.write_all(b"BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM due;\n").expect("it listens");
        let held =
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND backend_xmin IS NOT NULL
                    AND datname = current_database()";
        while psql(url, held) == "0" {}
        Self(holding)
    }

    fn end(mut self) {
        drop(self.0.stdin.take());
        self.0.wait().expect("psql ends with its input");
    }
}

/// What the due list's index was asked, as the server counts it: looks, and entries they passed over or took.
#[derive(Clone, Copy, Debug, Default)]
struct Walked {
    looks: u64,
    entries: u64,
}

impl Walked {
    fn read(url: &str) -> Self {
        let sql = "SELECT idx_scan, idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'due_live'";
        let said = psql(url, sql);
        let (looks, entries) = said.split_once('|').expect("two columns");
        Self { looks: looks.parse().expect("a count"), entries: entries.parse().expect("a count") }
    }

    fn per_look_since(self, before: Self) -> u64 {
        (self.entries - before.entries) / (self.looks - before.looks).max(1)
    }
}

fn bytes(url: &str, of: &str) -> u64 {
    psql(url, &format!("SELECT pg_{of}('due')")).parse().expect("a size")
}

/// The store, and how far its day has come.
struct Day {
    store: Arc<dyn Store>,
    url: String,
    now: Timestamp,
    opened: u64,
    /// Messages the sweep must still find.
    left: u64,
    looks: u64,
    /// How long each took since the last row.
    lasted: Vec<Duration>,
}

impl Day {
    /// Opens and saves `messages` now; most of them end.
    async fn work(&mut self, messages: u64) {
        let mut crowd = JoinSet::new();
        for _ in 0..messages {
            self.opened += 1;
            let is_left = self.opened.is_multiple_of(LEFT_PART);
            self.left += u64::from(is_left);
            let (store, now, number) = (Arc::clone(&self.store), self.now, self.opened);
            crowd.spawn(async move { live(&*store, number, now, is_left).await });
        }
        crowd.join_all().await;
    }

    /// One look; ends what it finds, and holds it against the look before.
    async fn look(&mut self) {
        let begun = Instant::now();
        let found = self.store.due(self.now, LOOK_MAX, LEASE_MS).await.expect("the store answers");
        self.lasted.push(begun.elapsed());
        self.looks += 1;
        for message in found {
            let due = message.due.expect("it was due");
            assert!(self.now.since_ms(due) < LOOK_EVERY_MS, "due at {due:?}, found at {:?}", self.now);
            won(&*self.store, Save { at: self.now, ..save(ended(message)) }).await;
            self.left -= 1;
        }
    }

    /// Works and looks for so long, and prints a row now and then.
    async fn pass(&mut self, seconds: u64, messages: u64) {
        let steps = seconds * 1_000 / LOOK_EVERY_MS;
        let mut before = Walked::read(&self.url);
        for step in 0..steps {
            self.work(messages * (step + 1) / steps - messages * step / steps).await;
            self.now = self.now.plus_ms(LOOK_EVERY_MS);
            self.look().await;
            if (step + 1) % (steps / ROWS_REPORTED) == 0 {
                let walked = Walked::read(&self.url);
                self.lasted.sort_unstable();
                let [median, longest] = [self.lasted.len() / 2, self.lasted.len() - 1].map(|at| self.lasted[at]);
                println!(
                    "| {:>4} s | {:>8} saves | due list {:>6} KiB | {:>6} entries a look | {:>5.1} ms, at most {:>5.1} |",
                    self.now.since_ms(START) / 1_000,
                    self.opened * SAVES_PER_MESSAGE,
                    bytes(&self.url, "total_relation_size") / 1_024,
                    walked.per_look_since(before),
                    median.as_secs_f64() * 1e3,
                    longest.as_secs_f64() * 1e3,
                );
                before = walked;
                self.lasted.clear();
            }
        }
    }

    /// What the index was asked by as many looks as there were so far: a session tells at most once a second, at the end of a
    /// statement, so others are made until it does. One of these may always be untold.
    async fn walked(&mut self) -> Walked {
        let wanted = self.looks;
        let told = async {
            loop {
                self.look().await;
                let walked = Walked::read(&self.url);
                if walked.looks >= wanted {
                    return walked;
                }
                sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(Duration::from_millis(FLUSH_MS_MAX), told).await.expect("the server tells in time")
    }
}

/// Returns the version that is stored now.
async fn won(store: &dyn Store, save: Save) -> u64 {
    assert_eq!(store.save(&save).await, Ok(Saved::Won));
    save.message.version
}

/// A message's whole life, but for its deadline.
async fn live(store: &dyn Store, number: u64, now: Timestamp, is_left: bool) {
    let bytes: [u8; 10] = std::array::from_fn(|index| if index < 2 { 0 } else { number.to_be_bytes()[index - 2] });
    let useful_until = now.plus_ms(DUE_AFTER_MS[2]);
    let opened = Message { id: MessageId::new(now, bytes), due: Some(useful_until), ..message(1) };
    let opening = Opening { at: now, ..opening(opened.clone()) };
    assert_eq!(store.open(opening).await, Ok(Opened::New));
    let mut current = Message { version: 1, ..opened };
    for after_ms in DUE_AFTER_MS {
        current.due = Some(now.plus_ms(after_ms));
        current.version = won(store, Save { at: now, ..save(current.clone()) }).await;
    }
    if !is_left {
        won(store, Save { at: now, ..save(ended(current)) }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looks_stay_short_and_the_due_list_bounded_while_somebody_holds_a_transaction_open() {
    let server = postgres().await;
    let url = server.database();
    let store = migrated(&small(&url, LIMITS.inbox_max)).await;
    let (saves, seconds) = (wanted("OTODOKE_TEST_CHURN_SAVES", SAVES), wanted("OTODOKE_TEST_CHURN_SECONDS", SECONDS));
    let messages = saves / SAVES_PER_MESSAGE;
    let holder = Holder::begin(&url);
    let mut day = Day { store, url: url.clone(), now: START, opened: 0, left: 0, looks: 0, lasted: Vec::new() };
    day.pass(seconds, messages).await;

    // Each message has left three entries behind in front of now, but for the youngest.
    let dead: u64 = psql(&url, &format!("SELECT {messages} * 3 / 2")).parse().expect("a count");
    let walked = day.walked().await;
    let per_look = walked.per_look_since(Walked::default());
    assert!(per_look < dead / PASSED_PART, "{per_look} entries a look, and about {dead} dead in front");
    let held_bytes = bytes(&url, "total_relation_size");
    assert!(held_bytes < saves * BYTES_PER_SAVE_MAX, "{held_bytes} bytes of a due list after {saves} saves");

    holder.end();
    psql(&url, "VACUUM due");
    let before = day.walked().await;
    day.pass(seconds.min(SECONDS), messages.min(SAVES / SAVES_PER_MESSAGE)).await;
    let after = day.walked().await;
    println!("| after the transaction and a VACUUM | {} entries a look |", after.per_look_since(before));
    let grown = bytes(&url, "total_relation_size");
    assert!(grown < held_bytes * 5 / 4, "the room is used again: {held_bytes} bytes, then {grown}");
    day.now = day.now.plus_ms(DUE_AFTER_MS[2]);
    assert!(day.left > 0 && day.left <= messages, "{} are left", day.left);
}
