//! How deliveries of one channel end. Callers note the end here and go on; the channel's one task sends what is due. Of a
//! batch each part is a delivery of its own, and the broker hears of it once all of them have ended.
//!
//! When the channel is gone nothing is sent any more, and the broker hands the message out again: an end that was noted
//! and not sent costs a repetition, which every step survives.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use async_trait::async_trait;
use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicNackOptions};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::apart::{self, Apart};
use super::generation::Generation;
use super::intake::Intake;
use super::letter::Letter;
use super::watermark::{Order, Watermark};
use crate::broker::{BrokerError, Delivery, Origin, Queue, Settle, Settlement, WhereFull};

pub(super) struct Ledger {
    myself: Weak<Self>,
    intake: Arc<Intake>,
    /// Parked bodies are published through it.
    generation: Weak<Generation>,
    state: Mutex<State>,
    /// Something ended.
    ended: Notify,
}

#[derive(Default)]
struct State {
    watermark: Watermark,
    /// Of deliveries in hand, by ticket, in case one is parked or given back.
    copies: HashMap<u64, Copy>,
    tickets: u64,
}

#[derive(Clone)]
pub(super) struct Copy {
    /// Of the message that it came in.
    pub(super) tag: u64,
    /// As it came, in case it is published again.
    pub(super) letter: Letter,
    /// Where it waits for people: the queue it was published to.
    pub(super) home: Queue,
    pub(super) origin: Origin,
    /// At the broker.
    pub(super) taken_before: u32,
    /// Here, since the broker handed it out.
    pub(super) given_back: u32,
}

/// A delivery that is given back is handed out here again, in its place, so many times. After that the broker gets it,
/// which counts, and hands it to whoever is next.
const GIVEN_BACK_HERE_MAX: u32 = 3;

impl Ledger {
    pub(super) fn new(intake: Arc<Intake>, generation: &Arc<Generation>) -> Arc<Self> {
        Arc::new_cyclic(|myself| Self {
            myself: Weak::clone(myself),
            intake,
            generation: Arc::downgrade(generation),
            state: Mutex::default(),
            ended: Notify::new(),
        })
    }

    /// The deliveries of `tag`, for whoever takes them.
    pub(super) fn hand_out(&self, tag: u64, copies: Vec<Copy>) -> Vec<Delivery> {
        let mut state = self.lock();
        state.watermark.hand_out(tag, copies.len());
        let hand_out = |copy| {
            state.tickets += 1;
            let ticket = state.tickets;
            let delivery = self.delivery(ticket, &copy);
            state.copies.insert(ticket, copy);
            delivery
        };
        copies.into_iter().map(hand_out).collect()
    }

    /// Acknowledges `tag` once each of its parts was published by itself. Where that fails the broker hands it out again.
    pub(super) fn take_apart(&self, tag: u64, apart: Apart) {
        self.lock().watermark.hand_out(tag, 1);
        self.part_with(tag, apart);
    }

    fn part_with(&self, tag: u64, apart: Apart) {
        let ledger = self.myself();
        // A delivery may be dropped anywhere, also where no runtime is.
        let (Some(generation), Ok(runtime)) = (self.generation.upgrade(), Handle::try_current()) else {
            return self.left(tag);
        };
        runtime.spawn(async move {
            if apart::go_on(&generation, apart).await { ledger.ended(tag) } else { ledger.left(tag) }
        });
    }

    fn delivery(&self, ticket: u64, copy: &Copy) -> Delivery {
        let taken_before = copy.taken_before.saturating_add(copy.given_back);
        let delivery = Delivery::new(copy.letter.body().to_vec(), taken_before, self.myself(), ticket);
        delivery.from(copy.origin.clone(), copy.letter.trace())
    }

    fn myself(&self) -> Arc<Self> {
        self.myself.upgrade().expect("whoever calls holds it")
    }

    pub(super) async fn something_ended(&self) {
        self.ended.notified().await;
    }

    /// What is given back from here on is requeued by the channel's end.
    pub(super) fn leave(&self) {
        self.lock().watermark.leave();
    }

    pub(super) fn is_settled(&self) -> bool {
        self.lock().watermark.is_settled()
    }

    /// Sends what is due, each frame after the one before it: acknowledgements of many must not overtake each other.
    /// Returns when something else will be due.
    pub(super) async fn send(&self, channel: &Channel) -> lapin::Result<Option<Instant>> {
        let (orders, next_at) = {
            let mut state = self.lock();
            (state.watermark.orders(Instant::now()), state.watermark.next_at())
        };
        for order in orders {
            match order {
                Order::GiveBack(tag) => {
                    // requeue: it was not handled; without it the message would be dead-lettered.
                    channel.basic_nack(tag, BasicNackOptions { multiple: false, requeue: true }).await?;
                }
                Order::AckThrough(tag) => channel.basic_ack(tag, BasicAckOptions { multiple: true }).await?,
                Order::Ack(tag) => channel.basic_ack(tag, BasicAckOptions { multiple: false }).await?,
            }
        }
        Ok(next_at)
    }

    fn done(&self, ticket: u64) {
        self.intake.depth.settled();
        let copy = self.lock().copies.remove(&ticket);
        if let Some(copy) = copy {
            self.ended(copy.tag);
        }
    }

    /// A part of a batch goes on by itself, so that the others end without it; anything else the broker gets back.
    fn back(&self, ticket: u64) {
        let copy = self.lock().copies.remove(&ticket);
        let Some(Copy { tag, letter, home, taken_before, .. }) = copy else { return };
        match letter {
            Letter::Part(part) if self.is_consuming() => {
                let taken_before = taken_before.saturating_add(1);
                self.part_with(tag, Apart { home, parts: vec![part], taken_before });
            }
            Letter::Part(_) | Letter::Whole { .. } => self.left(tag),
        }
    }

    fn ended(&self, tag: u64) {
        self.lock().watermark.done(tag, Instant::now());
        self.ended.notify_one();
    }

    fn left(&self, tag: u64) {
        self.lock().watermark.give_back(tag);
        self.ended.notify_one();
    }

    fn is_consuming(&self) -> bool {
        self.generation.upgrade().is_some_and(|generation| generation.is_consuming())
    }

    fn again_here(&self, ticket: u64) -> Option<Delivery> {
        let consuming = self.is_consuming();
        let mut state = self.lock();
        let copy = state.copies.get_mut(&ticket).filter(|copy| consuming && copy.given_back < GIVEN_BACK_HERE_MAX)?;
        copy.given_back += 1;
        Some(self.delivery(ticket, copy))
    }

    /// First parked, then acknowledged: between the two the body is in both queues, never in none.
    async fn park(&self, ticket: u64, reason: &str, where_full: WhereFull) -> Result<(), BrokerError> {
        let copy = self.lock().copies.get(&ticket).cloned();
        let parked = match (copy, self.generation.upgrade()) {
            (Some(copy), Some(generation)) => generation.park(copy, reason).await,
            (_, _) => Err(BrokerError::Unavailable { why: "its connection is gone; the body comes again".to_owned() }),
        };
        match (&parked, where_full) {
            (Ok(()), _) | (Err(BrokerError::ParkedFull { .. }), WhereFull::Drop) => self.done(ticket),
            (Err(_), WhereFull::Again | WhereFull::Drop) => self.back(ticket),
        }
        parked
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds the ledger")
    }
}

#[async_trait]
impl Settle for Ledger {
    async fn settle(&self, ticket: u64, how: Settlement) -> Result<(), BrokerError> {
        match how {
            Settlement::Done => {
                self.done(ticket);
                Ok(())
            }
            Settlement::Park { reason, where_full } => {
                // A task of its own: who stops waiting must not leave the delivery without an end.
                let ledger = self.myself();
                let parking = tokio::spawn(async move { ledger.park(ticket, &reason, where_full).await });
                let stopped = |_| BrokerError::Unconfirmed { why: "the process is stopping".to_owned() };
                parking.await.map_err(stopped)?
            }
        }
    }

    fn give_back(&self, ticket: u64) {
        match self.again_here(ticket) {
            Some(delivery) => {
                self.intake.put_back(delivery);
                // The end of consuming may have come in between, and nobody would look into the intake again.
                if !self.is_consuming() {
                    self.intake.clear();
                }
            }
            None => self.back(ticket),
        }
    }
}
