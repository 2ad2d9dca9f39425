//! How many bodies are in so many AMQP messages of a queue: the broker counts a batch as one.
//!
//! Guessed from the messages that this process put in last, or, where it put in none, from those that came to it last.
//! Whoever alone puts into a queue that is taken from in order is exact; of several doors each thinks that the others'
//! batches are like its own. Where there are no batches it is exact.

use std::collections::VecDeque;

/// Messages that are remembered of each direction.
const REMEMBERED_MAX: usize = 4_096;

#[derive(Debug, Default)]
pub(super) struct Sizes {
    put_in: VecDeque<u64>,
    came: VecDeque<u64>,
}

impl Sizes {
    /// A message with so many bodies was put in by this process.
    pub(super) fn put_in(&mut self, bodies: u64) {
        remember(&mut self.put_in, bodies);
    }

    /// A message with so many bodies came to this process.
    pub(super) fn came(&mut self, bodies: u64) {
        remember(&mut self.came, bodies);
    }

    /// In so many messages that wait, or are with consumers: they are those put in last.
    pub(super) fn bodies(&self, messages: u64) -> u64 {
        let known = if self.put_in.is_empty() { &self.came } else { &self.put_in };
        let last = known.iter().rev().take(usize::try_from(messages).unwrap_or(usize::MAX));
        let (count, bodies) = last.fold((0, 0), |(count, bodies), more| (count + 1, bodies + more));
        messages.saturating_mul(bodies).checked_div(count).unwrap_or(messages)
    }
}

fn remember(known: &mut VecDeque<u64>, bodies: u64) {
    if known.len() == REMEMBERED_MAX {
        known.pop_front();
    }
    known.push_back(bodies);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_batches_a_message_is_a_body() {
        let mut sizes = Sizes::default();
        assert_eq!([0, 1, 70_000].map(|messages| sizes.bodies(messages)), [0, 1, 70_000]);
        (0..5_000).for_each(|_| sizes.put_in(1));
        (0..5_000).for_each(|_| sizes.came(1));
        assert_eq!([0, 1, 70_000].map(|messages| sizes.bodies(messages)), [0, 1, 70_000]);
    }

    #[test]
    fn what_was_put_in_last_is_what_waits() {
        let mut sizes = Sizes::default();
        for bodies in [1, 9, 5, 1] {
            sizes.put_in(bodies);
        }
        assert_eq!([0, 1, 2, 3, 4].map(|messages| sizes.bodies(messages)), [0, 1, 6, 15, 16]);
        assert_eq!(sizes.bodies(40), 160, "others are thought to do alike");
        sizes.came(64);
        assert_eq!(sizes.bodies(4), 16, "what came is no longer there");
    }

    #[test]
    fn who_puts_nothing_in_goes_by_what_comes() {
        let mut sizes = Sizes::default();
        (0..5_000).for_each(|_| sizes.came(8));
        assert_eq!([0, 1, 2_000].map(|messages| sizes.bodies(messages)), [0, 8, 16_000]);
    }
}
