//! Ways to the publishers, and in front of them a window for each queue: it bounds the bodies that wait or are unconfirmed.
//!
//! Several queues share a channel, and one of them may confirm nothing for seconds, as while its leader is elected. What
//! comes for it meanwhile has its own window to fill and nobody else's, whether or not its callers still wait.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};

use crate::broker::Queue;
use crate::message::Lane;
use crate::rabbit::names::{Names, Place};
use crate::rabbit::publisher::{Publish, Room, To};

/// What was put here stays within its window, so no outbox needs a bound of its own.
type Outbox = mpsc::UnboundedSender<Publish>;

pub(super) struct Outboxes {
    shared: Vec<Outbox>,
    /// Codes that people wait for never queue behind bulk.
    critical: Outbox,
    /// By the number of their place.
    windows: Vec<Arc<Semaphore>>,
    parked: Arc<Semaphore>,
}

/// The publisher has ended, and so has whatever was in its hands.
pub(super) struct Gone;

impl Outboxes {
    /// One more than are shared.
    pub(super) fn new(mut all: Vec<Outbox>, names: &Names, window: usize) -> Self {
        let critical = all.pop().expect("there is one more than are shared");
        let window = || Arc::new(Semaphore::new(window));
        let windows = names.places().iter().map(|_| window()).collect();
        Self { shared: all, critical, windows, parked: window() }
    }

    /// Waits for room in the window of a queue. It comes when a body of it lands, or was given up and came up to be sent; and
    /// when the publisher ends.
    pub(super) async fn room(&self, to: &To) -> Room {
        let window = match to {
            To::Place(place) => &self.windows[place.number],
            To::Parked => &self.parked,
        };
        Arc::clone(window).acquire_owned().await.expect("nobody closes a window")
    }

    pub(super) fn put(&self, publish: Publish) -> Result<(), Gone> {
        let outbox = match &publish.to {
            To::Place(place) => self.of(place),
            To::Parked => &self.shared[0],
        };
        outbox.send(publish).map_err(|_| Gone)
    }

    /// Always the same for one place: what waits for it waits together.
    fn of(&self, place: &Place) -> &Outbox {
        match place.queue {
            Queue::Lane(Lane::Critical) => &self.critical,
            Queue::Lane(Lane::Normal | Lane::Bulk) | Queue::Receipts | Queue::GivenUp => {
                &self.shared[place.number % self.shared.len()]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::sync::oneshot;
    use tokio::time::Instant;
    use uuid::Uuid;

    use super::*;
    use crate::message::MessageId;
    use crate::rabbit::batch::{PARTS_MAX, Part};
    use crate::rabbit::gathering::{Departure, Gathering};
    use crate::rabbit::letter::Letter;
    use crate::rabbit::publisher::Landing;
    use crate::rabbit::settings::RabbitSettings;
    use crate::time::Timestamp;

    const WINDOW: usize = 256;

    /// One publisher of all queues but the critical ones, and all that is in front of it.
    struct Bed {
        names: Names,
        outboxes: Outboxes,
        inbox: mpsc::UnboundedReceiver<Publish>,
        gathering: Gathering,
    }

    impl Bed {
        fn new() -> Self {
            let names = Names::new(&RabbitSettings { shards: 2, ..RabbitSettings::new(Vec::new()) });
            let (shared, inbox) = mpsc::unbounded_channel();
            let (critical, _) = mpsc::unbounded_channel();
            let outboxes = Outboxes::new(vec![shared, critical], &names, WINDOW);
            Self { names, outboxes, inbox, gathering: Gathering::new(PARTS_MAX, WINDOW) }
        }

        fn places(&self, queue: Queue) -> Vec<Arc<Place>> {
            self.names.places_of(queue).cloned().collect()
        }

        fn has_room(&self, place: &Arc<Place>) -> bool {
            self.outboxes.room(&To::Place(Arc::clone(place))).now_or_never().is_some()
        }

        /// Whoever holds what is returned waits for the answer.
        fn put(&self, place: &Arc<Place>) -> oneshot::Receiver<Landing> {
            let (answer, landing) = oneshot::channel();
            let id = MessageId(Uuid::nil());
            let letter = Letter::Part(Part { id, at: Timestamp::from_unix_ms(0), trace: None, body: vec![0] });
            let to = To::Place(Arc::clone(place));
            let room = self.outboxes.room(&to).now_or_never().expect("there is room");
            assert!(self.outboxes.put(Publish { to, letter, answer, room }).is_ok());
            landing
        }

        fn depart(&mut self) -> Vec<Departure> {
            while let Ok(publish) = self.inbox.try_recv() {
                self.gathering.add(publish);
            }
            self.gathering.depart(self.gathering.next_at().unwrap_or_else(Instant::now))
        }
    }

    #[test]
    fn a_queue_that_confirms_nothing_takes_no_room_from_those_it_shares_a_channel_with() {
        let mut bed = Bed::new();
        let [normal, others] = [Queue::Lane(Lane::Normal), Queue::Receipts].map(|queue| bed.places(queue));
        let (silent, other_shard, receipts) = (&normal[0], &normal[1], &others[0]);
        let _first = bed.put(silent);
        let flight = bed.depart();
        assert_eq!(flight.len(), 1);
        (1..WINDOW).for_each(|_| drop(bed.put(silent)));
        assert!(bed.depart().is_empty() && !bed.has_room(silent), "its window is full of what was given up");
        let _callers = [bed.put(other_shard), bed.put(receipts)];
        assert_eq!(bed.depart().len(), 2, "the others go on");
        bed.gathering.landed(silent);
        drop(flight);
        assert!(bed.depart().is_empty(), "nothing is sent that nobody waits for");
        let _later: Vec<_> = (0..WINDOW).map(|_| bed.put(silent)).collect();
        assert!(!bed.has_room(silent) && bed.has_room(receipts));
    }

    #[tokio::test]
    async fn whoever_waits_for_room_hears_of_the_publishers_end() {
        let Bed { names, outboxes, inbox, .. } = Bed::new();
        let bulk = names.places_of(Queue::Lane(Lane::Bulk)).next().expect("a place");
        let to = || To::Place(Arc::clone(bulk));
        let publish = |room| Publish {
            to: to(),
            letter: Letter::whole(lapin::BasicProperties::default(), vec![0]),
            answer: oneshot::channel().0,
            room,
        };
        for _ in 0..WINDOW {
            assert!(outboxes.put(publish(outboxes.room(&to()).await)).is_ok());
        }
        let waits = async { outboxes.put(publish(outboxes.room(&to()).await)).is_err() };
        let (is_gone, ()) = tokio::join!(waits, async { drop(inbox) });
        assert!(is_gone);
    }
}
