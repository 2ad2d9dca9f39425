//! Which deliveries of one channel may be acknowledged, and how: the unbroken beginning at once, with one frame; what
//! stands behind a gap one by one, once it has waited long enough. Pure; `ledger` sends what is ordered here.

use std::collections::{BTreeMap, VecDeque};

use tokio::time::{Duration, Instant};

/// How long an ended delivery waits for those before it. Long enough that most acknowledgements are grouped, short enough
/// that a slow delivery at the front does not exhaust the prefetch.
const GAP_MS_MAX: u64 = 100;

#[derive(Debug, Default)]
pub(super) struct Watermark {
    /// Deliveries that the broker counts as unacknowledged, by tag; never more than the prefetch.
    outstanding: BTreeMap<u64, Entry>,
    /// Tags that are done, in the order in which they ended; some are acknowledged by now.
    done: VecDeque<(Instant, u64)>,
    given_back: Vec<u64>,
    leaving: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    /// So many parts of it have not ended.
    InHand(usize),
    Done,
    /// Given back by a channel that closes, which says enough.
    Left,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Requeue this one.
    GiveBack(u64),
    /// Acknowledge everything outstanding up to and with this one.
    AckThrough(u64),
    Ack(u64),
}

impl Watermark {
    /// The broker handed out `tag`, with so many parts.
    pub(super) fn hand_out(&mut self, tag: u64, parts: usize) {
        self.outstanding.insert(tag, Entry::InHand(parts));
    }

    /// One part of it has ended; the last one ends the whole. A tag that is not in hand is left as it is: it has ended before.
    pub(super) fn done(&mut self, tag: u64, now: Instant) {
        let Some(entry) = self.outstanding.get_mut(&tag) else { return };
        match entry {
            Entry::InHand(parts) if *parts > 1 => *parts -= 1,
            Entry::InHand(_) => {
                *entry = Entry::Done;
                self.done.push_back((now, tag));
            }
            Entry::Done | Entry::Left => {}
        }
    }

    /// The whole of it: parts of it that are done come again with the others.
    pub(super) fn give_back(&mut self, tag: u64) {
        if let Some(entry @ Entry::InHand(_)) = self.outstanding.get_mut(&tag) {
            *entry = Entry::Left;
            if !self.leaving {
                self.outstanding.remove(&tag);
                self.given_back.push(tag);
            }
        }
    }

    /// From here on nothing is requeued one by one: the channel closes soon, and that requeues all that is left.
    pub(super) fn leave(&mut self) {
        self.leaving = true;
    }

    /// Whether nothing is in hand and nothing is left to send.
    pub(super) fn is_settled(&self) -> bool {
        self.given_back.is_empty() && self.outstanding.values().all(|entry| *entry == Entry::Left)
    }

    /// What to send now, in this order. What is given back goes first: an acknowledgement of many would cover it.
    pub(super) fn orders(&mut self, now: Instant) -> Vec<Order> {
        let mut orders: Vec<Order> = self.given_back.drain(..).map(Order::GiveBack).collect();
        let mut through = None;
        while let Some(first) = self.outstanding.first_entry()
            && *first.get() == Entry::Done
        {
            through = Some(first.remove_entry().0);
        }
        orders.extend(through.map(Order::AckThrough));
        while let Some((ended_at, tag)) = self.done.front().copied() {
            let acknowledged = !self.outstanding.contains_key(&tag);
            if !acknowledged && now.duration_since(ended_at) < Duration::from_millis(GAP_MS_MAX) {
                break;
            }
            self.done.pop_front();
            if self.outstanding.remove(&tag).is_some() {
                orders.push(Order::Ack(tag));
            }
        }
        orders
    }

    /// When something behind a gap has waited long enough.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.done.front().map(|(ended_at, _)| *ended_at + Duration::from_millis(GAP_MS_MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn watermark(tags: std::ops::RangeInclusive<u64>) -> Watermark {
        let mut watermark = Watermark::default();
        tags.for_each(|tag| watermark.hand_out(tag, 1));
        watermark
    }

    #[tokio::test]
    async fn the_unbroken_beginning_is_one_acknowledgement() {
        let now = Instant::now();
        let mut watermark = watermark(1..=5);
        for tag in [2, 1, 3, 5] {
            watermark.done(tag, now);
        }
        assert_eq!(watermark.orders(now), [Order::AckThrough(3)]);
        assert_eq!(watermark.orders(now), [], "5 waits for 4");
        watermark.done(4, now);
        assert_eq!(watermark.orders(now), [Order::AckThrough(5)]);
        assert!(watermark.is_settled());
    }

    #[tokio::test]
    async fn what_waits_behind_an_old_gap_is_acknowledged_alone() {
        let now = Instant::now();
        let mut watermark = watermark(1..=3);
        watermark.done(2, now);
        watermark.done(3, now + Duration::from_millis(50));
        assert_eq!(watermark.next_at(), Some(now + Duration::from_millis(GAP_MS_MAX)));
        assert_eq!(watermark.orders(now + Duration::from_millis(GAP_MS_MAX)), [Order::Ack(2)]);
        watermark.done(1, now);
        assert_eq!(watermark.orders(now), [Order::AckThrough(3)]);
    }

    #[tokio::test]
    async fn a_batch_is_acknowledged_once_all_its_parts_are_done() {
        let now = Instant::now();
        let mut watermark = Watermark::default();
        watermark.hand_out(1, 3);
        watermark.hand_out(2, 1);
        for tag in [1, 2, 1] {
            watermark.done(tag, now);
        }
        assert_eq!((watermark.orders(now), watermark.is_settled()), (vec![], false));
        watermark.done(1, now);
        assert_eq!(watermark.orders(now), [Order::AckThrough(2)]);
        assert!(watermark.is_settled());
    }

    #[tokio::test]
    async fn a_batch_of_which_a_closing_channel_leaves_a_part_comes_again_whole() {
        let now = Instant::now();
        let mut watermark = Watermark::default();
        watermark.hand_out(1, 3);
        watermark.done(1, now);
        watermark.leave();
        watermark.give_back(1);
        watermark.done(1, now);
        watermark.done(1, now);
        assert!(watermark.orders(now).is_empty() && watermark.is_settled());
    }

    #[tokio::test]
    async fn what_is_given_back_is_never_covered_by_an_acknowledgement() {
        let now = Instant::now();
        let mut watermark = watermark(1..=3);
        watermark.done(1, now);
        watermark.give_back(2);
        watermark.done(3, now);
        watermark.done(2, now);
        assert_eq!(watermark.orders(now), [Order::GiveBack(2), Order::AckThrough(3)]);
    }

    #[tokio::test]
    async fn what_a_closing_channel_leaves_is_not_acknowledged_with_others() {
        let now = Instant::now();
        let mut watermark = watermark(1..=3);
        watermark.leave();
        watermark.done(1, now);
        watermark.give_back(2);
        watermark.done(3, now);
        assert_eq!(watermark.orders(now), [Order::AckThrough(1)]);
        assert!(!watermark.is_settled(), "3 is to be acknowledged");
        assert_eq!(watermark.orders(now + Duration::from_millis(GAP_MS_MAX)), [Order::Ack(3)]);
        assert!(watermark.is_settled());
    }

    proptest! {
        #[test]
        fn every_ended_delivery_is_settled_once_and_as_it_ended(
            parts in prop::collection::vec(1_usize..4, 39),
            ends in prop::collection::vec((1_u64..40, prop::bool::weighted(0.8), 0_u64..60), 1..160),
        ) {
            let start = Instant::now();
            let mut watermark = Watermark::default();
            // Parts that have not ended; then how the whole did.
            let mut held: BTreeMap<u64, Result<usize, bool>> = (1..).zip(&parts).map(|(tag, parts)| (tag, Ok(*parts))).collect();
            (1..).zip(&parts).for_each(|(tag, parts)| watermark.hand_out(tag, *parts));
            let mut now = start;
            for (tag, done, wait_ms) in ends {
                now += Duration::from_millis(wait_ms);
                if let Some(how @ Ok(_)) = held.get_mut(&tag) {
                    *how = match *how {
                        Ok(parts) if done && parts > 1 => Ok(parts - 1),
                        Ok(_) | Err(_) => Err(done),
                    };
                }
                if done { watermark.done(tag, now) } else { watermark.give_back(tag) }
                for order in watermark.orders(now) {
                    let settled: Vec<u64> = match order {
                        Order::AckThrough(through) => held.range(..=through).map(|(tag, _)| *tag).collect(),
                        Order::Ack(tag) | Order::GiveBack(tag) => vec![tag],
                    };
                    for tag in settled {
                        prop_assert_eq!(held.remove(&tag), Some(Err(!matches!(order, Order::GiveBack(_)))));
                    }
                }
            }
            for order in watermark.orders(now + Duration::from_secs(1)) {
                prop_assert!(matches!(order, Order::Ack(_)), "only what stands behind a gap was left: {:?}", order);
            }
        }
    }
}
