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
    /// Highest place whose commit was told. What is read may be ahead of that.
    committed: u64,
    /// Bodies behind `read_to`, as far as their commits were told.
    on_disk: u64,
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
            on_disk: waiting,
            drain: Watched::default(),
        }
    }

    /// A body was committed, in the order of places: the one writer gives them and tells of them. A read that saw the
    /// commit before it was told has brought the body already: it waits here, or has gone by now.
    pub(super) fn committed(&mut self, seq: u64, (body, trace): (Vec<u8>, Option<TraceContext>), now: Instant) {
        let nothing_on_disk = self.read_to >= self.committed;
        self.committed = seq;
        if seq <= self.read_to {
            return;
        }
        if nothing_on_disk && self.ready.len() < READY_MAX {
            self.ready.push_back(Entry { seq, body, taken_before: 0, trace });
            self.read_to = seq;
        } else {
            self.on_disk += 1;
        }
        self.drain.step(now, 0, self.waiting());
    }

    pub(super) fn take(&mut self, now: Instant) -> Option<Entry> {
        let entry = self.ready.pop_front()?;
        self.drain.step(now, 0, self.waiting());
        self.handed_to = self.handed_to.max(entry.seq);
        self.in_hand.insert(entry.seq, entry.clone());
        Some(entry)
    }

    /// From which place on to read, when it is time to.
    pub(super) fn wants_more(&self) -> Option<u64> {
        (self.ready.len() < READY_LOW && self.read_to < self.committed).then_some(self.read_to)
    }

    /// Bodies read from the file, from `after` on. One whose commit nobody could tell of is among them uncounted, so what
    /// is left on the disk may look less than it is; where nothing is left, that is known again.
    pub(super) fn read(&mut self, after: u64, found: Vec<Entry>) {
        if after != self.read_to {
            return;
        }
        self.read_to = found.last().map_or(after, |entry| entry.seq);
        let left = self.on_disk.saturating_sub(found.len() as u64);
        self.on_disk = if self.read_to < self.committed { left } else { 0 };
        self.ready.extend(found);
    }

    pub(super) fn settled(&mut self, seq: u64, now: Instant) -> Option<Entry> {
        let entry = self.in_hand.remove(&seq)?;
        self.drain.step(now, 1, self.waiting());
        Some(entry)
    }

    /// Back to its old place in the order.
    pub(super) fn give_back(&mut self, seq: u64) -> bool {
        let Some(entry) = self.in_hand.remove(&seq) else { return false };
        let place = self.ready.partition_point(|ready| ready.seq < seq);
        self.ready.insert(place, Entry { taken_before: entry.taken_before + 1, ..entry });
        true
    }

    pub(super) fn in_hand(&self, seq: u64) -> Option<&Entry> {
        self.in_hand.get(&seq)
    }

    pub(super) const fn handed_to(&self) -> u64 {
        self.handed_to
    }

    pub(super) fn waiting(&self) -> u64 {
        self.ready.len() as u64 + self.on_disk
    }

    pub(super) fn drained_per_s(&mut self, now: Instant) -> Option<f64> {
        self.drain.per_s(now, self.waiting())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seq: u64) -> Entry {
        Entry { seq, body: Vec::new(), taken_before: 0, trace: None }
    }

    fn tell(window: &mut Window, seq: u64) {
        window.committed(seq, (Vec::new(), None), Instant::now());
    }

    fn take(window: &mut Window) -> Option<u64> {
        window.take(Instant::now()).map(|entry| entry.seq)
    }

    /// Takes and settles all that is in memory.
    fn empty(window: &mut Window) -> Vec<u64> {
        std::iter::from_fn(|| {
            let seq = take(window)?;
            window.settled(seq, Instant::now()).map(|entry| entry.seq)
        })
        .collect()
    }

    /// What a queue hands out in all whose commits are told up to 9 when a read brings those up to `read_to`, and up to 21
    /// in the end.
    fn handed_out(read_to: u64) -> Vec<u64> {
        let mut window = Window::new(4, 9);
        window.read(0, (6..=read_to).map(entry).collect());
        assert_eq!(window.waiting(), read_to - 5, "what was read waits, told or not");
        let gone = [take(&mut window), take(&mut window), take(&mut window)].map(|seq| seq.expect("it was read"));
        assert!(window.give_back(gone[1]));
        assert!(window.settled(gone[2], Instant::now()).is_some());
        for seq in 10..=20 {
            let waiting = window.waiting();
            tell(&mut window, seq);
            assert_eq!(window.waiting() - waiting, u64::from(seq > read_to), "{seq} is counted once");
        }
        assert!(window.give_back(gone[0]));
        tell(&mut window, 21);
        assert_eq!((window.waiting(), window.wants_more()), (15, None));
        let handed_out = empty(&mut window);
        assert_eq!(window.waiting(), 0);
        handed_out
    }

    #[tokio::test]
    async fn what_a_read_brought_before_its_commit_was_told_is_handed_out_once() {
        let all_but_the_settled: Vec<u64> = (6..=21).filter(|seq| *seq != 8).collect();
        for read_to in [20, 15, 10, 9] {
            assert_eq!(handed_out(read_to), all_but_the_settled, "read to {read_to}");
        }
    }

    #[tokio::test]
    async fn a_commit_told_while_the_file_is_read_stays_there_for_the_next_read() {
        let mut window = Window::new(2, 2);
        tell(&mut window, 3);
        window.read(0, [1, 2].map(entry).into());
        assert_eq!((window.waiting(), window.wants_more()), (3, Some(2)));
        tell(&mut window, 4);
        window.read(2, [3, 4, 5].map(entry).into());
        assert_eq!((window.waiting(), window.wants_more()), (5, None));
        tell(&mut window, 5);
        assert_eq!((empty(&mut window), window.waiting()), (vec![1, 2, 3, 4, 5], 0));
    }

    #[tokio::test]
    async fn a_commit_of_which_nobody_could_tell_is_counted_when_it_is_read() {
        let mut window = Window::new(2, 2);
        tell(&mut window, 4);
        window.read(0, (1..=4).map(entry).collect());
        assert_eq!((empty(&mut window), window.waiting()), (vec![1, 2, 3, 4], 0), "3 is one of them");
        // The last of the file, without any that was told behind it.
        let mut window = Window::new(2, 2);
        window.read(0, (1..=3).map(entry).collect());
        assert_eq!((window.waiting(), window.wants_more()), (3, None));
        tell(&mut window, 4);
        assert_eq!((empty(&mut window), window.waiting()), (vec![1, 2, 3, 4], 0));
    }

    #[tokio::test]
    async fn what_does_not_fit_into_memory_is_counted_on_the_disk() {
        let mut window = Window::new(0, 0);
        let last = READY_MAX as u64 + 10;
        (1..=last).for_each(|seq| tell(&mut window, seq));
        assert_eq!((window.waiting(), window.wants_more()), (last, None));
        let mut handed_out = empty(&mut window);
        let after = window.wants_more().expect("the rest is on the disk");
        assert_eq!((window.waiting(), after), (10, READY_MAX as u64));
        window.read(after, (after + 1..=last).map(entry).collect());
        handed_out.extend(empty(&mut window));
        assert_eq!((handed_out, window.waiting()), ((1..=last).collect(), 0));
    }
}
