//! The sweep: everything that is due. Retries, questions, overdue receipts, crash gaps, deadlines, erasure, and pruning.

use std::sync::Arc;

use otodoke_common::lifecycle::Event;
use otodoke_common::message::Message;
use otodoke_common::store::StoreError;
use otodoke_common::throughput::forget_old;
use otodoke_common::time::{DAY_MS, Timestamp};
use tokio::sync::Semaphore;
use tokio::time::{Duration, Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::courier::{Courier, pause};

/// Due messages taken at a time, and in hand at once.
const BATCH_MAX: usize = 256;
const IN_HAND_MAX: usize = 512;
/// Nobody else sweeps a taken message for this long.
const LEASE_MS: u64 = 15_000;
/// A look that is under way when the stop comes gets this long: what it took would wait for its lease to run out.
const STOP_LOOK_MS: u64 = 1_000;
const PRUNE_EVERY_MS: u64 = 30_000;
/// Rows of each kind deleted at a time, and batches one after the other while there is more: some 6,600 rows per second.
const PRUNE_MAX: usize = 2_000;
const PRUNES_MAX: u32 = 100;
const COUNT_EVERY_MS: u64 = 5_000;
/// Reports that matched nothing are kept this long: a day is past every deadline but that of the longest notices.
const INBOX_KEEP_MS: u64 = 24 * 3_600_000;

/// How often the sweep looks, and how many messages it releases per second after an outage: those that may still be sent.
/// To end or to erase one calls nobody, and as many are due every day as were accepted, so only `IN_HAND_MAX` bounds that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    pub(crate) every_ms: u64,
    pub(crate) release_per_s: u32,
}

pub(crate) async fn run(courier: Arc<Courier>, pace: Pace, tasks: TaskTracker, stop: CancellationToken) {
    let in_hand = Arc::new(Semaphore::new(IN_HAND_MAX));
    let mut failures = 0;
    while !stop.is_cancelled() {
        let begun = Instant::now();
        let looked = tokio::select! {
            biased;
            looked = release_due(&courier, &in_hand, &tasks) => looked,
            () = stopped_for(STOP_LOOK_MS, &stop) => return,
        };
        match looked {
            Ok(taken) => {
                failures = 0;
                let rest = taken.rest(pace);
                stop.run_until_cancelled(tokio::time::sleep_until(begun + rest)).await;
            }
            Err(error) => {
                courier.desk.metrics.store_error(&error);
                failures += 1;
                pause(&courier, failures, &stop).await;
            }
        }
    }
}

async fn stopped_for(ms: u64, stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// What a look took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Taken {
    all: usize,
    /// Of these, messages that may still be sent.
    released: usize,
}

impl Taken {
    fn of(due: &[Message], now: Timestamp) -> Self {
        Self { all: due.len(), released: due.iter().filter(|message| message.lives_at(now)).count() }
    }

    /// A full batch means more is waiting: then only the release rate holds the sweep back.
    fn rest(self, pace: Pace) -> Duration {
        let released = u32::try_from(self.released).unwrap_or(u32::MAX);
        let by_rate = Duration::from_secs(1) * released / pace.release_per_s.max(1);
        if self.all >= BATCH_MAX { by_rate } else { by_rate.max(Duration::from_millis(pace.every_ms)) }
    }
}

async fn release_due(
    courier: &Arc<Courier>,
    in_hand: &Arc<Semaphore>,
    tasks: &TaskTracker,
) -> Result<Taken, StoreError> {
    let free = in_hand.available_permits().min(BATCH_MAX);
    if free == 0 {
        return Ok(Taken::default());
    }
    let now = courier.desk.clock.now();
    let due = courier.desk.store.due(now, free, LEASE_MS).await?;
    let taken = Taken::of(&due, now);
    for message in due {
        let permit = Arc::clone(in_hand).acquire_owned().await.expect("the semaphore of the sweep is never closed");
        let courier = Arc::clone(courier);
        tasks.spawn(async move {
            act(&courier, message).await;
            drop(permit);
        });
    }
    Ok(taken)
}

/// If it fails, the lease runs out and another sweep takes it.
async fn act(courier: &Courier, message: Message) {
    if let Err(error) = courier.carry(&message, Event::Due, None).await {
        courier.desk.metrics.store_error(&error);
    }
}

/// Deletes what has been kept long enough, and counts what there is.
pub(crate) async fn tidy(courier: Arc<Courier>, stop: CancellationToken) {
    let mut pruning = ticks(PRUNE_EVERY_MS);
    let mut counting = ticks(COUNT_EVERY_MS);
    loop {
        let work = async {
            tokio::select! {
                biased;
                _ = pruning.tick() => prune(&courier, &stop).await,
                _ = counting.tick() => count_once(&courier).await,
            }
        };
        // Safe to leave anywhere: what was not committed is done by the next prune.
        let Some(done) = stop.run_until_cancelled(work).await else { return };
        if let Err(error) = done {
            courier.desk.metrics.store_error(&error);
        }
    }
}

pub(crate) fn ticks(every_ms: u64) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(Duration::from_millis(every_ms));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// A full batch means that more is over: claims and buckets end as fast as requests came a day before.
async fn prune(courier: &Courier, stop: &CancellationToken) -> Result<(), StoreError> {
    let now = courier.desk.clock.now();
    let ended_before = now.minus_ms(u64::from(courier.desk.policy.row_keep_days) * DAY_MS);
    for _ in 0..PRUNES_MAX {
        let gone = courier.desk.store.prune(now, ended_before, now.minus_ms(INBOX_KEEP_MS), PRUNE_MAX).await?;
        if gone < PRUNE_MAX || stop.is_cancelled() {
            break;
        }
    }
    forget_old(&*courier.desk.store, now).await
}

async fn count_once(courier: &Courier) -> Result<(), StoreError> {
    let (store, metrics) = (&courier.desk.store, &courier.desk.metrics);
    let counts = store.counts(courier.desk.clock.now()).await.inspect_err(|_| metrics.uncounted())?;
    metrics.counts(&counts);
    Ok(())
}
