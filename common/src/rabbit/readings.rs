//! How many messages are ready in each queue, asked about once a second, on a channel of its own. The broker counts a batch
//! as one; how many bodies that may be is for `depth` to say.
//!
//! Asking is also how a broker that went silent is noticed while nobody publishes.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use lapin::Channel;
use lapin::types::ShortString;
use tokio::time::{Duration, Instant};

use super::depth::Messages;
use super::generation::Generation;
use super::intake::Intake;
use super::names::{Names, Place};
use super::topology::Occupancy;
use super::{error, topology};
use crate::broker::Queue;

const READ_EVERY_MS: u64 = 1_000;
/// A broker that cannot count its messages in this time is as good as gone.
const ANSWER_MS_MAX: u64 = 5_000;
/// A queue that was full refuses until it is down to 80 % of its length.
const REFUSING_PERCENT: u64 = 80;

pub(super) struct Readings {
    channel: tokio::sync::Mutex<Channel>,
    /// Every consumer is taken to have the same.
    prefetch: u16,
    ready: Mutex<HashMap<ShortString, (u64, Instant)>>,
}

impl Readings {
    pub(super) fn new(channel: Channel, prefetch: u16) -> Self {
        Self { channel: tokio::sync::Mutex::new(channel), prefetch, ready: Mutex::default() }
    }

    /// Why a publish was refused: because of the queue's length, or something is wrong with the queue. Refusals come in
    /// crowds; one reading answers for all that were sent before it.
    pub(super) async fn is_full(&self, place: &Place, sent_at: Instant) -> bool {
        let last = self.lock().get(&place.name).copied();
        last.is_some_and(|(ready, _)| refuses(ready, place.length))
            || self.was_full(&place.name, place.length, sent_at).await
    }

    /// The same of the parked queue, which nobody reads between two refusals.
    pub(super) async fn is_parked_full(&self, names: &Names, sent_at: Instant) -> bool {
        self.was_full(&names.parked(), names.parked_length(), sent_at).await
    }

    async fn was_full(&self, name: &ShortString, length: u32, sent_at: Instant) -> bool {
        let channel = self.channel.lock().await;
        let last = self.lock().get(name).copied();
        match last {
            Some((ready, at)) if at >= sent_at => refuses(ready, length),
            Some(_) | None => self.ask(&channel, name).await.is_ok_and(|occupancy| refuses(occupancy.ready, length)),
        }
    }

    pub(super) async fn read_all(&self, names: &Names, intakes: &BTreeMap<Queue, Arc<Intake>>) -> Result<(), String> {
        let channel = self.channel.lock().await;
        for (queue, intake) in intakes {
            let before = intake.depth.before_reading(intake.held());
            let (mut ready, mut with_consumers) = (0, 0);
            for place in names.places_of(*queue) {
                let occupancy = self.ask(&channel, &place.name).await?;
                ready += occupancy.ready;
                // Something waits only where every consumer has as many as it may have.
                if occupancy.ready > 0 {
                    with_consumers += occupancy.consumers * u64::from(self.prefetch);
                }
            }
            intake.depth.read(Messages { ready, with_consumers }, before, Instant::now());
        }
        Ok(())
    }

    async fn ask(&self, channel: &Channel, name: &ShortString) -> Result<Occupancy, String> {
        let was_empty = self.lock().get(name).is_none_or(|(ready, _)| *ready == 0);
        let mut told = self.ask_once(channel, name).await?;
        if !was_empty && told.ready == 0 && told.consumers == 0 {
            // RabbitMQ says so of a quorum queue whose leader gives no answer within 250 ms (rabbit_quorum_queue:stat).
            told = self.ask_once(channel, name).await?;
        }
        self.lock().insert(name.clone(), (told.ready, Instant::now()));
        Ok(told)
    }

    async fn ask_once(&self, channel: &Channel, name: &ShortString) -> Result<Occupancy, String> {
        let asking = topology::occupancy(channel, name);
        let asked = tokio::time::timeout(Duration::from_millis(ANSWER_MS_MAX), asking).await;
        let silent = |_| format!("the broker gave no answer about queue {name} within {ANSWER_MS_MAX} ms");
        asked.map_err(silent)?.map_err(|error| format!("queue {name}: {}", error::trouble(&error)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ShortString, (u64, Instant)>> {
        self.ready.lock().expect("no code panics while it holds the readings")
    }
}

fn refuses(ready: u64, length: u32) -> bool {
    ready * 100 >= u64::from(length) * REFUSING_PERCENT
}

/// Until the generation closes.
pub(super) async fn run(generation: Arc<Generation>, intakes: BTreeMap<Queue, Arc<Intake>>) -> Result<(), String> {
    loop {
        tokio::select! {
            () = generation.consuming_ends() => return Ok(()),
            () = tokio::time::sleep(Duration::from_millis(READ_EVERY_MS)) => {}
        }
        generation.readings().read_all(generation.names(), &intakes).await?;
    }
}
