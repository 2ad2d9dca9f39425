//! Rolling limits: how much was spent within a window. The arithmetic every store backend shares.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::message::Tag;
use crate::time::Timestamp;

/// Entries one bucket keeps apart; past that the two closest become one, which errs towards refusing, by little.
pub const ENTRIES_MAX: usize = 64;

/// One payment into one bucket, refused when the window would hold more than `limit`. One that costs nothing only looks, so
/// that what is paid once can be held against several windows; whoever pays into a bucket names them all each time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spend {
    pub bucket: Tag,
    pub cost: u64,
    pub limit: u64,
    pub window_ms: u64,
}

/// What was spent when, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket(pub Vec<(Timestamp, u64)>);

/// Buckets by their tags, each with the time until which it must be kept.
pub(crate) type Buckets = BTreeMap<Tag, (Bucket, Timestamp)>;

/// The buckets that something was paid into, after all of the spends; or the first spend that is over its limit and when it
/// would fit. One that is only looked into stays as it is: a tenant's own is looked into by each of its openings.
pub(crate) fn pay(spends: &[Spend], mut buckets: Buckets, now: Timestamp) -> Result<Buckets, (usize, Timestamp)> {
    for (index, spend) in spends.iter().enumerate() {
        let (bucket, until) = buckets.entry(spend.bucket).or_insert_with(|| (Bucket::default(), now));
        bucket.spend(spend, now).map_err(|free_at| (index, free_at))?;
        *until = (*until).max(now.plus_ms(spend.window_ms));
    }
    let is_paid = |tag: &Tag| spends.iter().any(|spend| spend.bucket == *tag && spend.cost > 0);
    buckets.retain(|tag, _| is_paid(tag));
    for (tag, (bucket, _)) in &mut buckets {
        let windows = spends.iter().filter(|spend| spend.bucket == *tag).map(|spend| spend.window_ms);
        bucket.forget(windows.max().unwrap_or(u64::MAX), now);
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
            self.make_room();
            self.0.push((now, spend.cost));
        }
        Ok(())
    }

    /// What no window reaches any more.
    fn forget(&mut self, window_ms: u64, now: Timestamp) {
        self.0.retain(|(at, _)| now.since_ms(*at) < window_ms);
    }

    fn within(&self, window_ms: u64, now: Timestamp) -> impl Iterator<Item = (Timestamp, u64)> {
        self.0.iter().copied().filter(move |(at, _)| now.since_ms(*at) < window_ms)
    }

    /// Of the two entries that are closest in time, the earlier one joins the later one.
    fn make_room(&mut self) {
        if self.0.len() < ENTRIES_MAX {
            return;
        }
        let gaps = self.0.windows(2).map(|pair| pair[1].0.since_ms(pair[0].0));
        let Some((closest, _)) = gaps.enumerate().min_by_key(|(_, gap_ms)| *gap_ms) else { return };
        let (_, cost) = self.0.remove(closest);
        self.0[closest].1 = self.0[closest].1.saturating_add(cost);
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

    #[test]
    fn a_bucket_stays_small_and_never_lets_more_through() {
        let mut bucket = Bucket::default();
        let paid = (0..500).filter(|ms| bucket.spend(&spend(100), Timestamp::from_unix_ms(*ms)).is_ok()).count();
        assert_eq!(paid, 100);
        assert!(bucket.0.len() <= ENTRIES_MAX);
    }

    #[test]
    fn what_a_busy_bucket_holds_leaves_its_window_in_time() {
        let mut bucket = Bucket::default();
        let paid = (0..4_000).filter(|ms| bucket.spend(&spend(100), Timestamp::from_unix_ms(*ms)).is_ok()).count();
        assert!((380..=400).contains(&paid), "{paid} in four windows of 100");
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
            pay(&spends, buckets.clone(), start.plus_ms(ms))
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
        let after = pay(&spends, before, start).expect("there is room in both");
        assert_eq!(after.keys().collect::<Vec<_>>(), [&paid_into]);
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
