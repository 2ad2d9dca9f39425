//! How many reports the inbox holds, without asking the file: while there are none, nobody needs to look.
//!
//! Commits count it up and down. One of which nobody can say whether it happened leaves the number in doubt: it is not
//! believed until the file was counted again. Pure bookkeeping; the statements are in `inbox`, who calls them is `store`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::failure::Failure;
use super::place::Place;

pub(super) struct Tally {
    held: Mutex<Held>,
    /// Reports that are not committed yet: they count towards the limit, and may be in the file already.
    coming: Arc<AtomicU64>,
}

/// Reports in the file. Only the writer changes it, in the order of its commits.
#[derive(Clone, Copy)]
enum Held {
    Known(u64),
    /// As it would be if none of those commits had happened.
    InDoubt(u64),
}

impl Tally {
    pub(super) fn new(held: u64) -> Self {
        Self { held: Mutex::new(Held::Known(held)), coming: Arc::default() }
    }

    /// Whether the file surely holds none, and none is on its way into it.
    pub(super) fn is_empty(&self) -> bool {
        let held = self.lock();
        matches!(*held, Held::Known(0)) && self.coming.load(Ordering::SeqCst) == 0
    }

    pub(super) fn is_in_doubt(&self) -> bool {
        matches!(*self.lock(), Held::InDoubt(_))
    }

    /// A place below `max`, to be kept until `put` has told how its write ended: so a report is counted before it can be
    /// found, and never missed in between.
    pub(super) fn place(&self, max: u64) -> Option<Place> {
        let (Held::Known(held) | Held::InDoubt(held)) = *self.lock();
        Place::take_below(&self.coming, max.saturating_sub(held))
    }

    /// A report was put: `true` where it is new.
    pub(super) fn put(&self, new: Result<bool, &Failure>) {
        self.change(new, |held, new| held + u64::from(new));
    }

    /// So many were deleted.
    pub(super) fn deleted(&self, gone: Result<usize, &Failure>) {
        self.change(gone, |held, gone| held.saturating_sub(gone as u64));
    }

    /// The file was counted.
    pub(super) fn counted(&self, held: u64) {
        *self.lock() = Held::Known(held);
    }

    fn change<T>(&self, written: Result<T, &Failure>, change: impl FnOnce(u64, T) -> u64) {
        let mut held = self.lock();
        *held = match (*held, written) {
            (Held::Known(before), Ok(written)) => Held::Known(change(before, written)),
            (Held::InDoubt(before), Ok(written)) => Held::InDoubt(change(before, written)),
            (Held::Known(before) | Held::InDoubt(before), Err(Failure::Unknown { .. })) => Held::InDoubt(before),
            (before, Err(Failure::Unavailable { .. } | Failure::Refused { .. })) => before,
        };
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().expect("no code panics while it holds the number")
    }
}
