//! The head of one queue in memory: what is handed out next, what is in hand, and whether more waits on the disk.
//!
//! Bounded: a million queued bodies stay in the file. Pure bookkeeping; the file is `queue`.

use std::collections::{BTreeMap, VecDeque};

use tokio::time::Instant;

use crate::broker::drain::Watched;
use crate::trace::TraceContext;

/// Bodies kept ready in memory.
pub(super) const READY_MAX: usize = 1_024;
/// With fewer ready than this, more are read from the file.
const READY_LOW: usize = 256;

pub(super) struct Window {
    ready: VecDeque<Entry>,
    in_hand: BTreeMap<u64, Entry>,
    /// Highest place that was ever handed out.
    handed_to: u64,
    /// Highest place that is, or was, in memory.
    read_to: u64,
    /// Highest committed place.
    committed: u64,
    waiting: u64,
    drain: Watched,
}

#[derive(Clone)]
pub(super) struct Entry {
    pub(super) seq: u64,
    pub(super) body: Vec<u8>,
    pub(super) taken_before: u32,
    pub(super) trace: Option<TraceContext>,
}

impl Window {
    /// Of a queue that holds `waiting` bodies, the last at `committed`; none is in memory yet.
    pub(super) fn new(waiting: u64, committed: u64) -> Self {
        Self {
            ready: VecDeque::new(),
            in_hand: BTreeMap::new(),
            handed_to: 0,
            read_to: 0,
            committed,
            waiting,
            drain: Watched::default(),
        }
    }

    /// A body was committed, in the order of places.
    pub(super) fn committed(&mut self, seq: u64, (body, trace): (Vec<u8>, Option<TraceContext>), now: Instant) {
        let nothing_on_disk = self.read_to >= self.committed;
        if nothing_on_disk && self.ready.len() < READY_MAX {
            self.ready.push_back(Entry { seq, body, taken_before: 0, trace });
            self.read_to = seq;
        }
        self.committed = seq;
        self.waiting += 1;
        self.drain.step(now, 0, self.waiting);
    }

    pub(super) fn take(&mut self, now: Instant) -> Option<Entry> {
        let entry = self.ready.pop_front()?;
        self.waiting = self.waiting.saturating_sub(1);
        self.drain.step(now, 0, self.waiting);
        self.handed_to = self.handed_to.max(entry.seq);
        self.in_hand.insert(entry.seq, entry.clone());
        Some(entry)
    }

    /// From which place on to read, when it is time to.
    pub(super) fn wants_more(&self) -> Option<u64> {
        (self.ready.len() < READY_LOW && self.read_to < self.committed).then_some(self.read_to)
    }

    /// Bodies read from the file, from `after` on.
    pub(super) fn read(&mut self, after: u64, found: Vec<Entry>) {
        if after != self.read_to {
            return;
        }
        self.read_to = found.last().map_or(after, |entry| entry.seq);
        self.ready.extend(found);
    }

    pub(super) fn settled(&mut self, seq: u64, now: Instant) -> Option<Entry> {
        let entry = self.in_hand.remove(&seq)?;
        self.drain.step(now, 1, self.waiting);
        Some(entry)
    }

    /// Back to its old place in the order.
    pub(super) fn give_back(&mut self, seq: u64) -> bool {
        let Some(entry) = self.in_hand.remove(&seq) else { return false };
        let place = self.ready.partition_point(|ready| ready.seq < seq);
        self.ready.insert(place, Entry { taken_before: entry.taken_before + 1, ..entry });
        self.waiting += 1;
        true
    }

    pub(super) fn in_hand(&self, seq: u64) -> Option<&Entry> {
        self.in_hand.get(&seq)
    }

    pub(super) const fn handed_to(&self) -> u64 {
        self.handed_to
    }

    pub(super) const fn waiting(&self) -> u64 {
        self.waiting
    }

    pub(super) fn drained_per_s(&mut self, now: Instant) -> Option<f64> {
        self.drain.per_s(now, self.waiting)
    }
}
