//! Copies of the rows that this process saved last, for the report that follows: most come within moments, and to the process
//! that sent the text where it is the only one. One look at the store less for each.
//!
//! A copy may be old, so it is good for one try, and decides nothing that its save does not prove.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use otodoke_common::message::{Awaited, Message, MessageId, State};

/// Rows kept, each of a kilobyte or two. What comes after so many others is read again.
const RECENT_MAX: usize = 4_096;

#[derive(Default)]
pub(crate) struct Recent(Mutex<Copies<Box<Message>>>);

impl Recent {
    /// Keeps what waits for a report.
    pub(crate) fn put(&self, message: Message) {
        if matches!(message.state, State::Awaiting { what: Awaited::Receipt, .. }) {
            let (id, message) = (message.id, Box::new(message));
            self.lock().put(id, message);
        }
    }

    /// Each copy is given out once.
    pub(crate) fn take(&self, id: MessageId) -> Option<Message> {
        self.lock().by_id.remove(&id).map(|message| *message)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Copies<Box<Message>>> {
        self.0.lock().expect("no code panics while it holds copies")
    }
}

struct Copies<T> {
    by_id: HashMap<MessageId, T>,
    /// In the order in which they were put; some are taken by now.
    put: VecDeque<MessageId>,
}

impl<T> Default for Copies<T> {
    fn default() -> Self {
        Self { by_id: HashMap::new(), put: VecDeque::new() }
    }
}

impl<T> Copies<T> {
    fn put(&mut self, id: MessageId, copy: T) {
        self.put.push_back(id);
        self.by_id.insert(id, copy);
        if self.put.len() > RECENT_MAX
            && let Some(oldest) = self.put.pop_front()
        {
            self.by_id.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use otodoke_common::time::Timestamp;

    use super::*;

    fn id(number: usize) -> MessageId {
        let mut bits = [0; 10];
        bits[..8].copy_from_slice(&number.to_be_bytes());
        MessageId::new(Timestamp::from_unix_ms(1_700_000_000_000), bits)
    }

    #[test]
    fn the_last_ones_are_kept_and_no_more() {
        let mut copies = Copies::default();
        for number in 0..3 * RECENT_MAX {
            copies.put(id(number), number);
            assert!(copies.by_id.len() <= RECENT_MAX && copies.put.len() <= RECENT_MAX);
        }
        assert_eq!(copies.by_id.get(&id(2 * RECENT_MAX - 1)), None);
        assert_eq!(copies.by_id.get(&id(2 * RECENT_MAX)), Some(&(2 * RECENT_MAX)));
    }

    #[test]
    fn what_is_put_again_replaces_what_was_put() {
        let mut copies = Copies::default();
        for number in 0..3 * RECENT_MAX {
            copies.put(id(1), number);
        }
        assert_eq!((copies.by_id.remove(&id(1)), copies.put.len()), (Some(3 * RECENT_MAX - 1), RECENT_MAX));
        assert!(copies.by_id.is_empty());
    }
}
