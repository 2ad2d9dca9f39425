//! What waits in a queue, and how fast it leaves, in bodies: a reading about once a second, kept true in between by counting
//! what this process put in and took out. A reading tells AMQP messages, so it is as exact as `sizes` guesses what is in them.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

use tokio::time::{Duration, Instant};

use super::sizes::Sizes;
use crate::broker::Backlog;
use crate::broker::drain::Drain;

/// Whether anything leaves is judged over so long: what is on its way during one reading must not hide it.
const LOOKED_BACK_MS: u64 = 5_000;

#[derive(Debug, Default)]
pub(super) struct Depth(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// By the last reading; `None` before the first.
    waiting: Option<u64>,
    /// With consumers by the last reading, but for what this process holds untaken, in bodies.
    ahead: u64,
    last: Messages,
    /// Since the last reading, by this process.
    put_in: u64,
    taken: u64,
    settled: u64,
    /// AMQP messages of this process: confirmed, since it began, and sent but not answered.
    confirmed: u64,
    on_their_way: u64,
    /// Readings of the last seconds in which something waited.
    looks: VecDeque<Look>,
    read_at: Option<Instant>,
    drain: Drain,
    sizes: Sizes,
}

/// A reading, in AMQP messages.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Messages {
    pub(super) ready: u64,
    /// The most that may be with the consumers, where something is ready; else 0.
    pub(super) with_consumers: u64,
}

/// A reading, as far as it tells later ones whether anything left.
#[derive(Debug)]
struct Look {
    at: Instant,
    ready: u64,
    /// Messages of this process that it may have counted.
    seen_at_most: u64,
}

/// What stood before a reading was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before {
    held: u64,
    taken: u64,
    put_in: u64,
    confirmed: u64,
}

impl Depth {
    /// One message is sent. Ends with `answered`, whatever the answer is.
    pub(super) fn sent(&self) {
        self.lock().on_their_way += 1;
    }

    pub(super) fn answered(&self) {
        self.lock().on_their_way -= 1;
    }

    /// One message with so many bodies was published.
    pub(super) fn put_in(&self, bodies: u64) {
        let mut counts = self.lock();
        counts.put_in += bodies;
        counts.confirmed += 1;
        counts.sizes.put_in(bodies);
    }

    /// One body waits again.
    pub(super) fn put_back(&self) {
        self.lock().put_in += 1;
    }

    /// One message with so many bodies was delivered to this process.
    pub(super) fn came(&self, bodies: u64) {
        self.lock().sizes.came(bodies);
    }

    pub(super) fn taken(&self) {
        self.lock().taken += 1;
    }

    pub(super) fn settled(&self) {
        self.lock().settled += 1;
    }

    /// `held` bodies were delivered to this process and not taken.
    pub(super) fn before_reading(&self, held: u64) -> Before {
        let counts = self.lock();
        Before { held, taken: counts.taken, put_in: counts.put_in, confirmed: counts.confirmed }
    }

    /// What is taken while the question is under way may have been counted as waiting, so it is taken off: the result is the
    /// least that waits, and but for the guess never more than there is.
    pub(super) fn read(&self, messages: Messages, before: Before, now: Instant) {
        let mut counts = self.lock();
        let ready = counts.sizes.bodies(messages.ready);
        let with_consumers = counts.sizes.bodies(messages.ready + messages.with_consumers) - ready;
        let ahead = with_consumers.saturating_sub(before.held);
        let waiting = (ready + before.held).saturating_sub(counts.taken - before.taken);
        // What this process put in and is gone has left, whoever took it. Others' publishes hide some of it, and what is put
        // in while the question is under way may not be seen, so this is the least that left; what was settled here is known.
        // What went to consumers has not left, as far as both readings saw the same ones with all they may have.
        let same = messages.with_consumers == counts.last.with_consumers;
        let (was_ahead, is_ahead) = if same { (counts.ahead, ahead) } else { (0, 0) };
        let gone = counts.waiting.map_or(0, |was| (was + was_ahead + before.put_in).saturating_sub(waiting + is_ahead));
        let left =
            if counts.stands_still(messages.ready, before.confirmed, now) { 0 } else { gone }.max(counts.settled);
        // When it was empty at either end, nobody knows for how long something waited.
        let was_waiting = counts.waiting.is_some_and(|was| was > 0) && waiting > 0;
        if let Some(read_at) = counts.read_at.filter(|_| was_waiting) {
            counts.drain.add(now, now.duration_since(read_at), left);
        }
        (counts.waiting, counts.ahead, counts.last) = (Some(waiting), ahead, messages);
        counts.read_at = Some(now);
        (counts.put_in, counts.taken, counts.settled) = (0, 0, 0);
    }

    pub(super) fn backlog(&self, now: Instant) -> Backlog {
        let mut counts = self.lock();
        let waiting = (counts.waiting.unwrap_or(0) + counts.put_in).saturating_sub(counts.taken);
        Backlog { waiting, ahead: counts.ahead, drained_per_s: counts.drain.per_s(now) }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().expect("no code panics while it holds the counts")
    }
}

impl Counts {
    /// Whether not one message has left for certain since the oldest look: as many are ready as were ready then and were sent
    /// and confirmed since. How many bodies are in them is a guess that wavers from reading to reading, and two bodies a
    /// second would be taken for the pace of all that wait.
    fn stands_still(&mut self, ready: u64, confirmed: u64, now: Instant) -> bool {
        let old = |look: &Look| now.duration_since(look.at) > Duration::from_millis(LOOKED_BACK_MS);
        while self.looks.front().is_some_and(old) {
            self.looks.pop_front();
        }
        let stays = |then: &Look| ready + then.seen_at_most >= then.ready + confirmed;
        let stands_still = self.looks.front().is_some_and(stays);
        if ready == 0 {
            self.looks.clear();
        } else {
            self.looks.push_back(Look { at: now, ready, seen_at_most: self.confirmed + self.on_their_way });
        }
        stands_still
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn read(depth: &Depth, ready: u64, now: Instant) {
        let before = depth.before_reading(0);
        depth.read(Messages { ready, with_consumers: 0 }, before, now);
    }

    #[tokio::test]
    async fn between_readings_our_own_steps_are_counted() {
        let (depth, now) = (Depth::default(), Instant::now());
        read(&depth, 10, now);
        depth.put_in(1);
        depth.put_in(1);
        depth.taken();
        assert_eq!(depth.backlog(now).waiting, 11);
        read(&depth, 11, now);
        assert_eq!(depth.backlog(now).waiting, 11);
    }

    #[tokio::test]
    async fn batches_are_counted_by_their_bodies() {
        let (depth, now) = (Depth::default(), Instant::now());
        read(&depth, 0, now);
        [3, 40, 7].into_iter().for_each(|bodies| depth.put_in(bodies));
        assert_eq!(depth.backlog(now).waiting, 50);
        read(&depth, 3, now);
        assert_eq!(depth.backlog(now).waiting, 50);
        read(&depth, 2, now);
        assert_eq!(depth.backlog(now).waiting, 47);
        (0..47).for_each(|_| depth.taken());
        assert_eq!(depth.backlog(now).waiting, 0);
    }

    #[tokio::test]
    async fn what_is_taken_during_a_reading_does_not_wait_after_it() {
        let (depth, now) = (Depth::default(), Instant::now());
        let before = depth.before_reading(2);
        depth.taken();
        depth.taken();
        depth.read(Messages { ready: 1, with_consumers: 0 }, before, now);
        assert_eq!(depth.backlog(now).waiting, 1);
    }

    #[tokio::test]
    async fn what_leaves_is_measured_by_settling_and_by_what_is_gone() {
        let (depth, start) = (Depth::default(), Instant::now());
        let rate = |after: Duration| depth.backlog(start + after).drained_per_s;
        read(&depth, 100, start);
        assert_eq!(rate(Duration::ZERO), None);
        (0..30).for_each(|_| depth.settled());
        read(&depth, 100, start + SECOND);
        assert_eq!(rate(SECOND), Some(30.0));
        (0..20).for_each(|_| depth.put_in(1));
        read(&depth, 50, start + 2 * SECOND);
        assert_eq!(rate(2 * SECOND), Some(50.0), "30 in the first second, 70 in the second one");
    }

    #[tokio::test]
    async fn what_went_to_consumers_is_ahead_of_what_waits() {
        let (depth, start) = (Depth::default(), Instant::now());
        [9, 30, 20, 5, 2].into_iter().for_each(|bodies| depth.put_in(bodies));
        let look = |ready: u64, second: u32, held: u64| {
            let (before, now) = (depth.before_reading(held), start + second * SECOND);
            depth.read(Messages { ready, with_consumers: 2 }, before, now);
            let backlog = depth.backlog(now);
            (backlog.waiting, backlog.ahead, backlog.drained_per_s)
        };
        assert_eq!(look(2, 0, 0), (7, 50, None));
        assert_eq!(look(2, 1, 0), (7, 50, Some(0.0)));
        assert_eq!(look(1, 2, 0), (2, 25, Some(15.0)));
        assert_eq!(look(1, 3, 10), (12, 15, Some(10.0)), "what this process holds waits in it");
    }

    #[tokio::test]
    async fn whoever_begins_to_consume_is_not_mistaken_for_slow() {
        let (depth, start) = (Depth::default(), Instant::now());
        (0..1_000).for_each(|_| depth.put_in(1));
        let look = |ready, with_consumers, second| {
            depth.read(Messages { ready, with_consumers }, depth.before_reading(0), start + second * SECOND);
            depth.backlog(start + second * SECOND)
        };
        look(1_000, 0, 0);
        let backlog = look(540, 400, 1);
        assert_eq!((backlog.waiting, backlog.ahead, backlog.drained_per_s), (540, 400, Some(460.0)));
        let backlog = look(480, 400, 2);
        assert_eq!((backlog.waiting, backlog.ahead, backlog.drained_per_s), (480, 400, Some(260.0)));
    }

    /// Small messages are sent before a question is answered, and confirmed after it: the broker may have counted them or not.
    #[tokio::test]
    async fn a_lane_that_nobody_takes_from_stands_still_whatever_is_put_in_during_a_reading() {
        for counted in [false, true] {
            let (depth, start) = (Depth::default(), Instant::now());
            let mut ready = 0;
            for second in 0..8 {
                (0..20).for_each(|_| depth.put_in(30));
                let before = depth.before_reading(0);
                let late = 20 * u64::from(second % 2);
                (0..late).for_each(|_| depth.sent());
                ready += 20 + if counted { late } else { 0 };
                depth.read(Messages { ready, with_consumers: 0 }, before, start + second * SECOND);
                assert!(!depth.backlog(start + second * SECOND).is_measured(), "second {second}, {counted}");
                (0..late).for_each(|_| depth.put_in(1));
                (0..late).for_each(|_| depth.answered());
                ready += if counted { 0 } else { late };
            }
        }
    }

    /// Large messages of a while ago leave, one by one, and many small ones come behind them.
    #[tokio::test]
    async fn what_leaves_slowly_is_measured_however_much_is_put_in_during_a_reading() {
        let (depth, start) = (Depth::default(), Instant::now());
        (0..500).for_each(|_| depth.put_in(64));
        let mut ready = 500;
        for second in 0..10 {
            let before = depth.before_reading(0);
            (0..25).for_each(|_| depth.put_in(1));
            depth.read(Messages { ready, with_consumers: 0 }, before, start + second * SECOND);
            (0..225).for_each(|_| depth.put_in(1));
            ready = ready + 250 - 10;
        }
        assert!(depth.backlog(start + 10 * SECOND).is_measured());
    }

    /// The broker hands on message for message, however many bodies are in each.
    #[tokio::test]
    async fn what_goes_to_consumers_has_not_left() {
        let (depth, start) = (Depth::default(), Instant::now());
        [1, 1, 1, 1, 30, 30, 4].into_iter().for_each(|bodies| depth.put_in(bodies));
        let look = |ready, second| {
            depth.read(Messages { ready, with_consumers: 4 }, depth.before_reading(0), start + second * SECOND);
            depth.backlog(start + second * SECOND)
        };
        look(3, 0);
        let backlog = look(1, 1);
        assert_eq!((backlog.waiting, backlog.ahead, backlog.drained_per_s), (4, 62, Some(2.0)));
    }

    #[tokio::test]
    async fn a_queue_that_was_empty_meanwhile_tells_nothing_of_its_rate() {
        let (depth, start) = (Depth::default(), Instant::now());
        for second in 0..4 {
            depth.put_in(1);
            read(&depth, 0, start + second * SECOND);
        }
        assert_eq!(depth.backlog(start + 4 * SECOND).drained_per_s, None);
    }
}
