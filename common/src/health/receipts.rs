//! Whether the receipts of a route come in time, so that one missing means something (promise 11).

use std::collections::{HashSet, VecDeque};

use super::{lasts, remember};
use crate::leg::{Leg, LegNumber};
use crate::message::{MessageId, Tag};
use crate::time::Timestamp;

/// Legs remembered per route: at most so many of each second, so that a busy route still has two minutes of them.
pub(super) const LEGS_REMEMBERED_MAX: usize = 1_024;
const LEGS_PER_SECOND_MAX: usize = 8;
/// Once receipts come again, those that were held up are waited for this long.
pub(super) const RECOVERY_MS: u64 = 60_000;
/// How often it is looked up what other processes heard of a route, and of how many legs at most.
const CATCH_UP_EVERY_MS: u64 = 1_000;
const UNHEARD_MAX: usize = 512;
/// With fewer silent phones beside it, an overdue leg is a matter of its own phone.
const SILENT_BURST_MIN: usize = 3;
/// Legs to so many phones in a row, that of the overdue one among them, of which nothing was heard: that is no matter of
/// theirs.
const SILENT_RUN_MIN: usize = 3;
/// How far back a row of silent legs is followed, in patiences: far enough for a route with few legs.
const SILENT_RUN_PATIENCES: u64 = 4;

#[derive(Default)]
pub(super) struct Receipts {
    legs: VecDeque<Watched>,
    /// When the receipts of most legs were last found missing.
    late_at: Option<Timestamp>,
    /// When it was last looked up what others heard.
    caught_up_at: Option<Timestamp>,
}

struct Watched {
    leg: (MessageId, LegNumber),
    /// Several legs to one phone that stays silent say no more of the route than one.
    phone: Tag,
    submitted_at: Timestamp,
    heard: bool,
}

impl Receipts {
    /// A sample is enough to tell whether receipts come, and reaches back far enough however busy the route is.
    pub(super) fn submitted(&mut self, leg: (MessageId, LegNumber), phone: Tag, at: Timestamp) {
        let nth_last = self.legs.iter().nth_back(LEGS_PER_SECOND_MAX - 1);
        let crowded = nth_last.is_some_and(|watched| at.since_ms(watched.submitted_at) < 1_000);
        if !crowded && !self.knows(leg) {
            self.watch(Watched { leg, phone, submitted_at: at, heard: false });
        }
    }

    pub(super) fn heard(&mut self, leg: (MessageId, LegNumber)) {
        if let Some(watched) = self.legs.iter_mut().find(|watched| watched.leg == leg) {
            watched.heard = true;
        }
    }

    pub(super) fn unheard(&mut self, leg: &Leg, now: Timestamp) -> Vec<(MessageId, LegNumber)> {
        if self.caught_up_at.is_some_and(|at| lasts(at.plus_ms(CATCH_UP_EVERY_MS), now, CATCH_UP_EVERY_MS)) {
            return Vec::new();
        }
        self.caught_up_at = Some(now);
        let earliest = run_from(leg);
        let silent = |watched: &&Watched| !watched.heard && watched.submitted_at >= earliest;
        self.legs.iter().rev().filter(silent).take(UNHEARD_MAX).map(|watched| watched.leg).collect()
    }

    pub(super) fn punctual(
        &mut self,
        message: (MessageId, Tag),
        leg: &Leg,
        watching_since: Timestamp,
        now: Timestamp,
    ) -> bool {
        let patience_ms = leg.overdue_after_ms.unwrap_or_default();
        let listened_ms = now.since_ms(watching_since.max(leg.started_at));
        let from_before = leg.started_at < watching_since;
        let (id, phone) = message;
        let key = (id, leg.number);
        // Legs of a life before this one were not seen going out: those that are silent now are each other's peers.
        if from_before && !self.knows(key) {
            self.watch(Watched { leg: key, phone, submitted_at: leg.started_at, heard: false });
        }
        let needed_ms = if from_before { patience_ms.saturating_mul(2) } else { patience_ms };
        if listened_ms < needed_ms {
            return false;
        }
        // Those that went out after it tell how receipts come now; those before it only where there are no others, for
        // what they tell may be over.
        let mut before = Heard::default();
        let mut since = Heard::default();
        let (earliest, latest) = (leg.started_at.minus_ms(patience_ms), now.minus_ms(patience_ms / 2));
        for watched in self.legs.iter().filter(|watched| watched.leg != key && watched.submitted_at >= earliest) {
            if watched.submitted_at < leg.started_at {
                before.count(watched);
            } else if watched.submitted_at <= latest {
                since.count(watched);
            }
        }
        let mostly = if since.is_empty() { before.mostly(phone) } else { since.mostly(phone) };
        let punctual = mostly && self.silent_run(key, phone, leg, now) < SILENT_RUN_MIN;
        if !punctual {
            self.late_at = Some(now);
        }
        // Receipts that were held up come one by one: for a while, a leg that was out then may still hear of its own.
        let recovers = |at: Timestamp| lasts(at.plus_ms(RECOVERY_MS), now, RECOVERY_MS);
        let held_up = self.late_at.is_some_and(|at| leg.started_at <= at && recovers(at));
        punctual && !held_up
    }

    fn knows(&self, leg: (MessageId, LegNumber)) -> bool {
        self.legs.iter().any(|watched| watched.leg == leg)
    }

    fn watch(&mut self, watched: Watched) {
        remember(&mut self.legs, watched, LEGS_REMEMBERED_MAX);
    }

    /// Legs to how many phones in a row, that of this one among them, nothing was heard of; 0 where one was heard of that
    /// went out after it. Those that went out just now say nothing yet.
    fn silent_run(&self, key: (MessageId, LegNumber), phone: Tag, leg: &Leg, now: Timestamp) -> usize {
        let latest = now.minus_ms(leg.overdue_after_ms.unwrap_or_default() / 3);
        let others = || self.legs.iter().filter(|watched| watched.leg != key && watched.submitted_at >= run_from(leg));
        let last_heard = others().filter(|watched| watched.heard).map(|watched| watched.submitted_at).max();
        if last_heard.is_some_and(|at| at >= leg.started_at) {
            return 0;
        }
        let in_run = |watched: &&Watched| watched.submitted_at <= latest && Some(watched.submitted_at) > last_heard;
        let phones: HashSet<Tag> = others().filter(in_run).map(|watched| watched.phone).chain([phone]).collect();
        phones.len()
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.legs.len()
    }
}

fn run_from(leg: &Leg) -> Timestamp {
    leg.started_at.minus_ms(leg.overdue_after_ms.unwrap_or_default().saturating_mul(SILENT_RUN_PATIENCES))
}

/// To which phones legs went that something was heard of, and that nothing was heard of.
#[derive(Default)]
struct Heard {
    heard: HashSet<Tag>,
    silent: HashSet<Tag>,
}

impl Heard {
    fn count(&mut self, watched: &Watched) {
        let phones = if watched.heard { &mut self.heard } else { &mut self.silent };
        phones.insert(watched.phone);
    }

    fn is_empty(&self) -> bool {
        self.heard.is_empty() && self.silent.is_empty()
    }

    /// Most were heard of, or too few others than `own` are silent to call it a burst.
    fn mostly(&self, own: Tag) -> bool {
        let silent = self.silent.difference(&self.heard).filter(|phone| **phone != own).count();
        self.heard.len() >= silent || silent < SILENT_BURST_MIN
    }
}
