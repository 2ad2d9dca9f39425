//! Copies of rows that wait for a report: where it comes soon, and to the process that sent the text, as it does where there is
//! one, the row need not be read for it.
//!
//! A copy may be old, so it is good for one try, and decides nothing that its save does not prove.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use otodoke_common::message::{Awaited, Message, MessageId, State};

/// Rows kept, each of a kilobyte or two. What comes after so many others is read again.
const RECENT_MAX: usize = 4_096;

#[derive(Default)]
pub(crate) struct Recent(Mutex<Copies>);

#[derive(Default)]
struct Copies {
    by_id: HashMap<MessageId, Box<Message>>,
    /// In the order in which they came; some are taken by now.
    order: VecDeque<MessageId>,
}

impl Recent {
    /// Keeps what waits for a report.
    pub(crate) fn put(&self, message: Message) {
        if !matches!(message.state, State::Awaiting { what: Awaited::Receipt, .. }) {
            return;
        }
        let (id, message) = (message.id, Box::new(message));
        let mut copies = self.lock();
        copies.order.push_back(id);
        copies.by_id.insert(id, message);
        if copies.order.len() > RECENT_MAX
            && let Some(oldest) = copies.order.pop_front()
        {
            copies.by_id.remove(&oldest);
        }
    }

    /// Each copy is given out once.
    pub(crate) fn take(&self, id: MessageId) -> Option<Box<Message>> {
        self.lock().by_id.remove(&id)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Copies> {
        self.0.lock().expect("no code panics while it holds copies")
    }
}

#[cfg(test)]
mod tests {
    use otodoke_common::message::{Kind, Lane, Locale, Purpose, Tag, TenantId, Voice};
    use otodoke_common::phone::{Country, LineType};
    use otodoke_common::time::Timestamp;

    use super::*;

    fn message(number: u64) -> Message {
        let at = Timestamp::from_unix_ms(1_700_000_000_000);
        let mut bits = [0; 10];
        bits[..8].copy_from_slice(&number.to_be_bytes());
        Message {
            id: MessageId::new(at, bits),
            tenant: TenantId::parse("acme").expect("a tenant"),
            purpose: Purpose::Notice,
            lane: Lane::Bulk,
            kind: Kind::Text,
            locale: Locale::Ja,
            country: Country::JP,
            line: LineType::Mobile,
            voice: Voice::Never,
            accepted_at: at,
            useful_until: at,
            sealed: None,
            number_tag: Tag([0; 32]),
            state: State::Awaiting { leg: 1, what: Awaited::Receipt },
            legs: Vec::new(),
            guesses_left: 0,
            guesses_open: 0,
            guess_paid_at: None,
            lines_beside: 0,
            resends: 0,
            last_resend_at: None,
            verified: None,
            due: None,
            version: number,
            stamp: 0,
        }
    }

    fn version(recent: &Recent, number: u64) -> Option<u64> {
        recent.take(message(number).id).map(|message| message.version)
    }

    #[test]
    fn the_last_ones_are_kept_and_each_is_given_out_once() {
        let (recent, max) = (Recent::default(), RECENT_MAX as u64);
        for number in 0..3 * max {
            recent.put(message(number));
            assert!(recent.lock().by_id.len() <= RECENT_MAX && recent.lock().order.len() <= RECENT_MAX);
        }
        assert_eq!(version(&recent, 2 * max - 1), None);
        assert_eq!(version(&recent, 2 * max), Some(2 * max));
        assert_eq!(version(&recent, 2 * max), None);
    }

    #[test]
    fn a_newer_copy_replaces_an_older_one_and_only_what_waits_for_a_report_is_kept() {
        let recent = Recent::default();
        recent.put(message(1));
        recent.put(Message { version: 7, ..message(1) });
        recent.put(Message { state: State::Delivered, ..message(2) });
        assert_eq!((version(&recent, 1), version(&recent, 2)), (Some(7), None));
    }
}
