//! Rolling limits: how much was spent within a window. The arithmetic every store backend shares.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::message::Tag;
use crate::time::Timestamp;

/// Entries one bucket keeps apart; past that those of one slot of a window become one (`thin`).
pub const ENTRIES_MAX: usize = 64;
/// Slots of all windows together: what was thinned leaves half of the room to what comes.
const SLOTS: u64 = 32;

/// One payment into one bucket, refused when the window would hold more than `limit`. One that costs nothing only looks, so
/// that what is paid once can be held against several windows; whoever pays into a bucket names them all each time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spend {
    pub bucket: Tag,
    pub cost: u64,
    pub limit: u64,
    pub window_ms: u64,
}

/// What is given back to a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    pub bucket: Tag,
    pub cost: u64,
}

impl Refund {
    /// Whatever was paid.
    pub const fn of_all(bucket: Tag) -> Self {
        Self { bucket, cost: u64::MAX }
    }
}

impl From<Spend> for Refund {
    fn from(spend: Spend) -> Self {
        Self { bucket: spend.bucket, cost: spend.cost }
    }
}

/// What was spent when, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket(pub Vec<(Timestamp, u64)>);

/// Buckets by their tags, each with the time until which it must be kept.
pub(crate) type Buckets = BTreeMap<Tag, (Bucket, Timestamp)>;

/// The buckets that something was paid into or given back to, after all refunds and spends; or the first spend that is over its
/// limit and when it would fit. One that is only looked into stays as it is: a tenant's own is looked into by each of its
/// openings.
pub(crate) fn pay(
    spends: &[Spend],
    refunds: &[Refund],
    mut buckets: Buckets,
    now: Timestamp,
) -> Result<Buckets, (usize, Timestamp)> {
    let mut changed: BTreeSet<Tag> = spends.iter().filter(|spend| spend.cost > 0).map(|spend| spend.bucket).collect();
    for refund in refunds {
        if let Some((bucket, _)) = buckets.get_mut(&refund.bucket) {
            bucket.give_back(refund.cost);
            changed.insert(refund.bucket);
        }
    }
    for (index, spend) in spends.iter().enumerate() {
        let (bucket, until) = buckets.entry(spend.bucket).or_insert_with(|| (Bucket::default(), now));
        bucket.spend(spend, now).map_err(|free_at| (index, free_at))?;
        *until = (*until).max(now.plus_ms(spend.window_ms));
    }
    buckets.retain(|tag, _| changed.contains(tag));
    for (tag, (bucket, _)) in &mut buckets {
        let windows = spends.iter().filter(|spend| spend.bucket == *tag).map(|spend| spend.window_ms);
        bucket.tidy(&windows.collect(), now);
    }
    Ok(buckets)
}

impl Bucket {
    /// Pays, or says when enough will have left the window.
    pub fn spend(&mut self, spend: &Spend, now: Timestamp) -> Result<(), Timestamp> {
        let spent = self.within(spend.window_ms, now).fold(0_u64, |sum, (_, cost)| sum.saturating_add(cost));
        let over = spent.saturating_add(spend.cost).saturating_sub(spend.limit);
        if over > 0 {
            return Err(self.free_at(over, spend.window_ms, now));
        }
        if spend.cost > 0 {
            self.0.push((now, spend.cost));
        }
        Ok(())
    }

    /// The newest first: nothing stays that is older than what was given back.
    fn give_back(&mut self, cost: u64) {
        let mut left = cost;
        while let Some((_, spent)) = self.0.last_mut() {
            let back = left.min(*spent);
            (left, *spent) = (left - back, *spent - back);
            if *spent > 0 {
                return;
            }
            self.0.pop();
        }
    }

    /// Forgets what no window reaches any more, and keeps the bucket small.
    fn tidy(&mut self, windows_ms: &BTreeSet<u64>, now: Timestamp) {
        let longest_ms = windows_ms.last().copied().unwrap_or(u64::MAX);
        self.0.retain(|(at, _)| now.since_ms(*at) < longest_ms);
        if self.0.len() > ENTRIES_MAX {
            self.thin(windows_ms, now);
        }
    }

    /// What was spent in one slot becomes one entry at the slot's end. A slot is a part of the shortest window that reaches its
    /// entry, and its end never comes nearer than the next shorter window: so an entry counts longer than it should by a slot
    /// of its window at most, however often this is done, and never for a window that it has left.
    fn thin(&mut self, windows_ms: &BTreeSet<u64>, now: Timestamp) {
        let slots = (SLOTS / u64::try_from(windows_ms.len()).unwrap_or(SLOTS).max(1)).max(1);
        let mut thinned: Vec<(Timestamp, u64)> = Vec::with_capacity(ENTRIES_MAX);
        for (at, cost) in self.0.drain(..) {
            let age_ms = now.since_ms(at);
            let window_ms = windows_ms.range(age_ms + 1..).next().copied().unwrap_or(u64::MAX);
            let left_ms = windows_ms.range(..=age_ms).next_back().copied().unwrap_or(0);
            let end = slot_end(at, (window_ms / slots).max(1)).min(now.minus_ms(left_ms));
            match thinned.last_mut() {
                Some((last, spent)) if *last == end => *spent = spent.saturating_add(cost),
                Some(_) | None => thinned.push((end, cost)),
            }
        }
        self.0 = thinned;
    }

    fn within(&self, window_ms: u64, now: Timestamp) -> impl Iterator<Item = (Timestamp, u64)> {
        self.0.iter().copied().filter(move |(at, _)| now.since_ms(*at) < window_ms)
    }

    fn free_at(&self, over: u64, window_ms: u64, now: Timestamp) -> Timestamp {
        let mut left = over;
        for (at, cost) in self.within(window_ms, now) {
            left = left.saturating_sub(cost);
            if left == 0 {
                return at.plus_ms(window_ms);
            }
        }
        now.plus_ms(window_ms)
    }
}

/// The end of the slot that a time lies in, itself where it is one. Slots begin at the epoch.
fn slot_end(at: Timestamp, slot_ms: u64) -> Timestamp {
    let slot_ms = i64::try_from(slot_ms).unwrap_or(i64::MAX);
    let into_ms = at.unix_ms().rem_euclid(slot_ms);
    if into_ms == 0 { at } else { at.plus_ms((slot_ms - into_ms).unsigned_abs()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spend(limit: u64) -> Spend {
        Spend { bucket: Tag([0; 32]), cost: 1, limit, window_ms: 1_000 }
    }

    #[test]
    fn a_window_holds_its_limit_and_frees_with_its_oldest() {
        let mut bucket = Bucket::default();
        let start = Timestamp::from_unix_ms(0);
        assert_eq!(bucket.spend(&spend(2), start), Ok(()));
        assert_eq!(bucket.spend(&spend(2), start.plus_ms(400)), Ok(()));
        assert_eq!(bucket.spend(&spend(2), start.plus_ms(999)), Err(start.plus_ms(1_000)));
        assert_eq!(bucket.spend(&spend(2), start.plus_ms(1_000)), Ok(()));
    }

    /// Pays where it may, one of these spends at each of these times; how many were paid within the last window of the first
    /// spend, as the bucket counts and in truth, where the two were furthest apart. No bucket grows.
    fn counted_and_real(spends: &[Spend], times: impl Iterator<Item = u64>) -> (u64, u64) {
        let (mut buckets, mut paid, mut worst) = (Buckets::new(), Vec::new(), (0_u64, 0_u64));
        for ms in times {
            let now = Timestamp::from_unix_ms(0).plus_ms(ms);
            let Ok(after) = pay(spends, &[], buckets.clone(), now) else { continue };
            buckets = after;
            paid.push(ms);
            let window_ms = spends[0].window_ms;
            let counted = buckets[&spends[0].bucket].0.within(window_ms, now).map(|(_, cost)| cost).sum();
            let real = paid.iter().rev().take_while(|at| ms - **at < window_ms).count().try_into().expect("few");
            if counted - real > worst.0 - worst.1 {
                worst = (counted, real);
            }
            assert!(buckets[&spends[0].bucket].0.0.len() <= ENTRIES_MAX);
        }
        worst
    }

    #[test]
    fn a_busy_bucket_counts_no_more_than_a_slot_beyond_its_window_and_lets_no_more_through() {
        const HOUR_MS: u64 = 3_600_000;
        let hourly = |limit| [Spend { window_ms: HOUR_MS, ..spend(limit) }];
        for (limit, every_ms) in [(10_000, 50_000), (10_000, 1_800), (10_000, 700), (200, 100), (100, 7)] {
            let until_ms = 4 * HOUR_MS.min(every_ms * 4_000);
            let (counted, real) = counted_and_real(&hourly(limit), (0..until_ms / every_ms).map(|n| n * every_ms));
            assert!(counted <= limit && counted * 100 <= real * 105 + 200, "{counted} of {real}, every {every_ms} ms");
        }
    }

    #[test]
    fn what_a_busy_bucket_holds_leaves_its_window_in_time() {
        let (mut buckets, spends) = (Buckets::new(), [spend(100)]);
        let mut may_pay = |ms| match pay(&spends, &[], buckets.clone(), Timestamp::from_unix_ms(ms)) {
            Ok(after) => {
                buckets = after;
                true
            }
            Err(_) => false,
        };
        let paid = (0..4_000).filter(|ms| may_pay(*ms)).count();
        assert!((380..=400).contains(&paid), "{paid} in four windows of 100");
    }

    #[test]
    fn a_long_window_beside_a_short_one_leaves_the_short_one_alone() {
        const MINUTE_MS: u64 = 60_000;
        let spends = [
            Spend { cost: 0, limit: 1_000, window_ms: 10 * MINUTE_MS, ..spend(0) },
            Spend { limit: 1_000, window_ms: 24 * 60 * MINUTE_MS, ..spend(0) },
        ];
        let (counted, real) = counted_and_real(&spends, (0..900).map(|n| n * 2 * MINUTE_MS));
        assert!(counted <= real + 1, "{counted} of {real} in ten minutes");
    }

    #[test]
    fn one_bucket_is_held_against_several_windows() {
        let (start, bucket) = (Timestamp::from_unix_ms(0), Tag([0; 32]));
        let spends = [
            Spend { bucket, cost: 0, limit: 1, window_ms: 1_000 },
            Spend { bucket, cost: 1, limit: 3, window_ms: 10_000 },
        ];
        let mut buckets = Buckets::new();
        let mut paid_at = |ms| {
            pay(&spends, &[], buckets.clone(), start.plus_ms(ms))
                .map(|after| buckets = after)
                .map_err(|(index, free_at)| (index, free_at.since_ms(start)))
        };
        assert_eq!((paid_at(0), paid_at(100)), (Ok(()), Ok(())));
        assert_eq!(paid_at(200), Err((0, 1_000)), "two in the short window");
        assert_eq!(paid_at(1_000), Ok(()), "the first has left it");
        assert_eq!(paid_at(5_000), Err((1, 10_000)), "three in the long one");
        assert_eq!(paid_at(10_000), Ok(()));
        assert_eq!(buckets[&bucket].0.0.len(), 3, "what no window reaches is forgotten");
    }

    #[test]
    fn only_what_was_paid_into_is_to_be_written() {
        let (start, looked_into, paid_into) = (Timestamp::from_unix_ms(0), Tag([1; 32]), Tag([2; 32]));
        let spends = [Spend { bucket: looked_into, cost: 0, ..spend(1) }, Spend { bucket: paid_into, ..spend(1) }];
        let before = Buckets::from([(looked_into, (Bucket(vec![(start, 1)]), start))]);
        let after = pay(&spends, &[], before, start).expect("there is room in both");
        assert_eq!(after.keys().collect::<Vec<_>>(), [&paid_into]);
    }

    #[test]
    fn what_is_given_back_may_be_spent_again_and_no_more_than_was_paid_comes_back() {
        let start = Timestamp::from_unix_ms(0);
        let paid = Bucket(vec![(start, 2), (start.plus_ms(10), 3)]);
        for (cost, left) in [(0, vec![(0, 2), (10, 3)]), (1, vec![(0, 2), (10, 2)]), (4, vec![(0, 1)]), (9, vec![])] {
            let before = Buckets::from([(Tag([0; 32]), (paid.clone(), start))]);
            let refund = Refund { bucket: Tag([0; 32]), cost };
            let after = pay(&[], &[refund], before, start.plus_ms(20)).expect("nothing is paid");
            let left: Vec<_> = left.into_iter().map(|(ms, cost)| (start.plus_ms(ms), cost)).collect();
            assert_eq!(after[&refund.bucket].0.0, left, "{cost}");
        }
        let (refund, spend) = (Refund::of_all(Tag([0; 32])), spend(5));
        let full = Buckets::from([(refund.bucket, (paid, start))]);
        assert!(pay(std::slice::from_ref(&spend), &[], full.clone(), start.plus_ms(20)).is_err());
        assert!(pay(&[spend], &[refund], full, start.plus_ms(20)).is_ok(), "what comes back pays");
        assert_eq!(pay(&[], &[refund], Buckets::new(), start), Ok(Buckets::new()), "there is nothing to give back to");
    }

    #[test]
    fn a_look_costs_nothing_and_says_whether_there_is_room() {
        let mut bucket = Bucket::default();
        let start = Timestamp::from_unix_ms(0);
        let look = |limit| Spend { cost: 0, ..spend(limit) };
        assert_eq!(bucket.spend(&spend(2), start), Ok(()));
        assert_eq!(bucket.spend(&look(1), start.plus_ms(1)), Ok(()));
        assert_eq!(bucket.spend(&look(0), start.plus_ms(1)), Err(start.plus_ms(1_000)));
        assert_eq!(bucket.0.len(), 1);
    }
}
