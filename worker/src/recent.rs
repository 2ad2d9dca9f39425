//! Copies of rows that wait for a report: where it comes soon, and to the process that sent the text, as it does where there is
//! one, the row need not be read for it.
//!
//! A copy may be old, so it is good for one try, and decides nothing that its save does not prove.
//!
//! Where a carrier is quick, a report is here while its call's answer is being saved. It waits a moment for that: else the row
//! is read for it, one of the two saves loses, and the row is read again.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use otodoke_common::message::{Awaited, Message, MessageId, State};
use tokio::sync::oneshot;
use tokio::time::{Duration, timeout};

/// Rows kept, each of a kilobyte or two. What comes after so many others is read again.
const RECENT_MAX: usize = 4_096;
/// Longest wait of a report for an answer to be saved: many times what a save takes, and nothing to the person.
const ANSWERED_MS_MAX: u64 = 100;

#[derive(Default)]
pub(crate) struct Recent(Mutex<Copies>);

#[derive(Default)]
struct Copies {
    by_id: HashMap<MessageId, Box<Message>>,
    /// In the order in which they came; some are taken by now.
    order: VecDeque<MessageId>,
    /// Messages whose answers are being saved, each with those who wait until it rests.
    answered: HashMap<MessageId, Vec<oneshot::Sender<()>>>,
}

/// A message got an answer, and rests once this is dropped.
pub(crate) struct Answered<'a> {
    recent: &'a Recent,
    id: MessageId,
}

impl Drop for Answered<'_> {
    fn drop(&mut self) {
        self.recent.lock().answered.remove(&self.id);
    }
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

    /// The message's call was answered here, and the answer is about to be saved. `None` where that is known already.
    pub(crate) fn answered(&self, id: MessageId) -> Option<Answered<'_>> {
        let mut copies = self.lock();
        if copies.answered.contains_key(&id) {
            return None;
        }
        copies.answered.insert(id, Vec::new());
        Some(Answered { recent: self, id })
    }

    /// Returns once no answer of the message is being saved here, or after a moment. Not for whoever saves it.
    pub(crate) async fn rests(&self, id: MessageId) {
        let rests = {
            let mut copies = self.lock();
            let Some(waiting) = copies.answered.get_mut(&id) else { return };
            // While the store is away, reports come again and again.
            waiting.retain(|saves| !saves.is_closed());
            let (saves, rests) = oneshot::channel();
            waiting.push(saves);
            rests
        };
        // However it ends, what is known then counts.
        drop(timeout(Duration::from_millis(ANSWERED_MS_MAX), rests).await);
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

    #[tokio::test(start_paused = true)]
    async fn all_reports_of_a_message_wait_until_its_answer_is_saved() {
        let (recent, start) = (Recent::default(), tokio::time::Instant::now());
        recent.rests(message(1).id).await;
        assert!(start.elapsed().is_zero(), "nobody saves it");
        let answered = recent.answered(message(1).id);
        assert!(recent.answered(message(1).id).is_none(), "it is known once");
        let saved = async {
            tokio::time::sleep(Duration::from_millis(ANSWERED_MS_MAX / 2)).await;
            drop(answered);
        };
        tokio::join!(recent.rests(message(1).id), recent.rests(message(1).id), saved);
        assert_eq!(start.elapsed(), Duration::from_millis(ANSWERED_MS_MAX / 2));
        assert!(recent.lock().answered.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_report_waits_no_longer_than_a_moment() {
        let (recent, start) = (Recent::default(), tokio::time::Instant::now());
        let _answered = recent.answered(message(1).id);
        recent.rests(message(1).id).await;
        assert_eq!(start.elapsed(), Duration::from_millis(ANSWERED_MS_MAX));
    }
}
