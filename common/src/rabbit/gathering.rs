//! Which publishes go now, and which of them together. What finds nothing of its queue on its way goes; what comes meanwhile
//! waits until that is confirmed, and then goes together. So under load the batches grow by themselves, and small ones keep
//! a pace (`pace`). Pure; `publisher` sends what departs.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::batch::{BODIES_BYTES_MAX, Part};
use super::letter::Letter;
use super::names::Place;
use super::publisher::{Landing, Publish, Room, To};
use crate::broker::Queue;
use crate::pace::Pace;

/// Messages of one queue, by this channel, that are on their way while others wait.
const UNCONFIRMED_MAX: usize = 1;

pub(super) struct Gathering {
    parts_max: usize,
    /// Bodies of a queue that may wait or be on their way at once.
    window: usize,
    /// By the number of their place.
    queues: BTreeMap<usize, Waiting>,
    /// What travels alone, and so waits for nobody.
    alone: Vec<Publish>,
}

struct Waiting {
    place: Arc<Place>,
    unconfirmed: usize,
    pace: Pace,
    parts: VecDeque<(Part, oneshot::Sender<Landing>, Room)>,
}

/// What becomes one message.
pub(super) enum Departure {
    Alone(Publish),
    /// One part or more. Others wait for its landing.
    Together {
        place: Arc<Place>,
        parts: Vec<Part>,
        answers: Vec<oneshot::Sender<Landing>>,
        room: Room,
    },
}

impl Gathering {
    /// With at most so many bodies in one message, and so many of a queue in hand.
    pub(super) fn new(parts_max: usize, window: usize) -> Self {
        Self { parts_max, window, queues: BTreeMap::new(), alone: Vec::new() }
    }

    pub(super) fn add(&mut self, publish: Publish) {
        match publish {
            Publish { to: To::Place(place), letter: Letter::Part(part), answer, room } if self.may_gather(&place) => {
                let most = self.parts_max.min(self.window);
                let waiting = self.queues.entry(place.number).or_insert_with(|| Waiting::at(place, most));
                waiting.parts.push_back((part, answer, room));
            }
            alone => self.alone.push(alone),
        }
    }

    /// A batch in the queue of what was given up is one that the broker gave up, and nothing else.
    fn may_gather(&self, place: &Place) -> bool {
        self.parts_max > 1 && place.queue != Queue::GivenUp
    }

    /// Bodies that wait.
    pub(super) fn waiting(&self) -> usize {
        self.queues.values().map(|waiting| waiting.parts.len()).sum()
    }

    /// The broker answered a message that had departed from here together.
    pub(super) fn landed(&mut self, place: &Place) {
        if let Some(waiting) = self.queues.get_mut(&place.number) {
            waiting.unconfirmed -= 1;
        }
    }

    /// When what the last departure held back for the pace may depart, be that past or not.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.queues.values().filter(|waiting| waiting.is_next()).filter_map(|waiting| waiting.pace.next_at()).min()
    }

    /// Whoever stopped waiting before anything was sent is told nothing, and nothing is sent. What waits afterwards does so for
    /// something of its queue that is on its way, or until `next_at`.
    pub(super) fn depart(&mut self, now: Instant) -> Vec<Departure> {
        let alone = self.alone.drain(..).filter(|publish| !publish.answer.is_closed());
        let mut departures: Vec<Departure> = alone.map(Departure::Alone).collect();
        for waiting in self.queues.values_mut() {
            while waiting.is_next()
                && waiting.may_go(now)
                && let Some(departure) = waiting.next(self.parts_max)
            {
                waiting.unconfirmed += 1;
                waiting.pace.went(now);
                departures.push(departure);
            }
        }
        departures
    }
}

impl Waiting {
    fn at(place: Arc<Place>, most: usize) -> Self {
        Self { place, unconfirmed: 0, pace: Pace::new(most), parts: VecDeque::new() }
    }

    /// Something waits, and only the pace may hold it back.
    fn is_next(&self) -> bool {
        self.unconfirmed < UNCONFIRMED_MAX && !self.parts.is_empty()
    }

    fn may_go(&self, now: Instant) -> bool {
        let bytes = || self.parts.iter().map(|(part, ..)| part.body.len()).sum::<usize>();
        self.pace.allows(self.parts.len(), now) || bytes() >= BODIES_BYTES_MAX
    }

    fn next(&mut self, parts_max: usize) -> Option<Departure> {
        let (mut parts, mut answers, mut all, mut bytes) = (Vec::new(), Vec::new(), None::<Room>, 0);
        while parts.len() < parts_max
            && let Some((part, answer, room)) = self.parts.pop_front()
        {
            if answer.is_closed() {
                continue;
            }
            bytes += part.body.len();
            if bytes > BODIES_BYTES_MAX && !parts.is_empty() {
                self.parts.push_front((part, answer, room));
                break;
            }
            parts.push(part);
            answers.push(answer);
            match &mut all {
                Some(all) => all.merge(room),
                None => all = Some(room),
            }
        }
        all.map(|room| Departure::Together { place: Arc::clone(&self.place), parts, answers, room })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use lapin::BasicProperties;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use tokio::sync::Semaphore;
    use tokio::time::Duration;
    use uuid::Uuid;

    use super::super::batch::PARTS_MAX;
    use super::super::names::Names;
    use super::super::settings::RabbitSettings;
    use super::*;
    use crate::message::{Lane, MessageId};
    use crate::pace::{LARGE, PACE_MS};
    use crate::time::Timestamp;

    const ID: MessageId = MessageId(Uuid::nil());

    fn place(lane: Lane) -> Arc<Place> {
        at(lane.into())
    }

    fn at(queue: Queue) -> Arc<Place> {
        Arc::clone(Names::new(&RabbitSettings::new(Vec::new())).place_of(queue, ID))
    }

    const WINDOW: usize = 256;

    fn with_batches_of(parts_max: usize) -> Gathering {
        Gathering::new(parts_max, WINDOW)
    }

    /// Of a window without an end.
    fn room() -> Room {
        static WINDOW: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)));
        Arc::clone(&WINDOW).try_acquire_owned().expect("there is always room")
    }

    /// Adds bodies of so many bytes; whoever holds what is returned waits for the answers.
    fn add(gathering: &mut Gathering, queue: impl Into<Queue>, bytes: &[usize]) -> Vec<oneshot::Receiver<Landing>> {
        let place = at(queue.into());
        let mut answers = Vec::new();
        for bytes in bytes {
            let (answer, landing) = oneshot::channel();
            let part = Part { id: ID, at: Timestamp::from_unix_ms(0), trace: None, body: vec![0; *bytes] };
            let to = To::Place(Arc::clone(&place));
            gathering.add(Publish { to, letter: Letter::Part(part), answer, room: room() });
            answers.push(landing);
        }
        answers
    }

    /// How many bodies each message has that departs at the pace.
    fn departs(gathering: &mut Gathering) -> Vec<usize> {
        let now = gathering.next_at().unwrap_or_else(Instant::now);
        departs_at(gathering, now)
    }

    fn departs_at(gathering: &mut Gathering, now: Instant) -> Vec<usize> {
        let bodies = |departure: &Departure| match departure {
            Departure::Alone(_) => 1,
            Departure::Together { parts, .. } => parts.len(),
        };
        gathering.depart(now).iter().map(bodies).collect()
    }

    #[test]
    fn the_first_one_goes_at_once_and_what_waits_goes_together() {
        let (mut gathering, normal) = (with_batches_of(PARTS_MAX), place(Lane::Normal));
        let _first = add(&mut gathering, Lane::Normal, &[1]);
        assert_eq!(departs(&mut gathering), [1], "nothing is on its way");
        let _more = add(&mut gathering, Lane::Normal, &[1, 1, 1]);
        let _elsewhere = add(&mut gathering, Lane::Bulk, &[1]);
        assert_eq!(departs(&mut gathering), [1], "another queue has nothing on its way");
        assert_eq!(gathering.waiting(), 3);
        gathering.landed(&normal);
        assert_eq!(departs(&mut gathering), [3]);
        gathering.landed(&normal);
        assert_eq!((departs(&mut gathering), gathering.waiting()), (vec![], 0));
        let _last = add(&mut gathering, Lane::Normal, &[1]);
        assert_eq!(departs(&mut gathering), [1], "nothing is on its way again");
    }

    #[test]
    fn small_batches_of_a_queue_keep_a_pace_and_large_ones_do_not() {
        let (mut gathering, normal, start) = (with_batches_of(PARTS_MAX), place(Lane::Normal), Instant::now());
        let _first = add(&mut gathering, Lane::Normal, &[1]);
        assert_eq!((gathering.next_at(), departs_at(&mut gathering, start)), (None, vec![1]));
        let _second = add(&mut gathering, Lane::Normal, &[1]);
        assert_eq!(gathering.next_at(), None, "it waits for a landing and not for the pace");
        gathering.landed(&normal);
        let next_at = start + Duration::from_millis(PACE_MS);
        assert_eq!((departs_at(&mut gathering, start), gathering.next_at()), (vec![], Some(next_at)));
        let _elsewhere = add(&mut gathering, Lane::Critical, &[1]);
        assert_eq!(departs_at(&mut gathering, start), [1], "each queue has a pace of its own");
        assert_eq!(departs_at(&mut gathering, next_at), [1]);
        gathering.landed(&normal);
        let _many = add(&mut gathering, Lane::Normal, &[1; LARGE]);
        assert_eq!(departs_at(&mut gathering, next_at), [LARGE]);
    }

    #[test]
    fn what_has_no_room_for_more_does_not_wait_for_more() {
        let start = Instant::now();
        let half = BODIES_BYTES_MAX / 2;
        for (parts_max, window, full) in
            [(4, WINDOW, vec![1; 4]), (PARTS_MAX, 8, vec![1; 8]), (PARTS_MAX, WINDOW, vec![half; 2])]
        {
            let (mut gathering, normal) = (Gathering::new(parts_max, window), place(Lane::Normal));
            let _first = add(&mut gathering, Lane::Normal, &[1]);
            assert_eq!(departs_at(&mut gathering, start), [1]);
            gathering.landed(&normal);
            let _fewer = add(&mut gathering, Lane::Normal, &full[1..]);
            assert_eq!(departs_at(&mut gathering, start), [0; 0], "{parts_max} {window}");
            let _last = add(&mut gathering, Lane::Normal, &full[..1]);
            assert_eq!(departs_at(&mut gathering, start), [full.len()], "{parts_max} {window}");
        }
    }

    proptest! {
        /// So the publisher always has something to wake it, and whatever waits is sent.
        #[test]
        fn what_waits_does_so_for_a_landing_or_for_a_time(
            steps in vec((0..4_u8, 0..Lane::ALL.len(), 0..200_u64, 1..40_usize), 1..60),
        ) {
            let (mut gathering, start, mut passed_us) = (with_batches_of(PARTS_MAX), Instant::now(), 0);
            let (mut flying, mut callers) = (Vec::<Arc<Place>>::new(), Vec::new());
            for (what, lane, us, bodies) in steps {
                passed_us += us * 20;
                let now = start + Duration::from_micros(passed_us);
                match what {
                    0 | 1 => callers.extend(add(&mut gathering, Lane::ALL[lane], &vec![1; bodies])),
                    2 if !flying.is_empty() => gathering.landed(&flying.swap_remove(lane % flying.len())),
                    _ => callers.truncate(callers.len() / 2),
                }
                depart(&mut gathering, now, &mut flying);
                let stuck = gathering.waiting() > 0 && flying.is_empty() && gathering.next_at().is_none();
                prop_assert!(!stuck);
                let timeless = |waiting: &Waiting| waiting.is_next() && waiting.pace.next_at().is_none();
                prop_assert!(!gathering.queues.values().any(timeless), "a queue waits for neither");
            }
            while gathering.waiting() > 0 {
                let before = gathering.waiting();
                let at = gathering.next_at();
                if at.is_none() {
                    let landed = flying.pop();
                    prop_assert!(landed.is_some(), "nothing would wake the publisher");
                    gathering.landed(&landed.expect("just looked at"));
                }
                depart(&mut gathering, at.unwrap_or(start), &mut flying);
                prop_assert!(at.is_none() || gathering.waiting() < before, "it went to sleep until then for nothing");
            }
        }
    }

    fn depart(gathering: &mut Gathering, now: Instant, flying: &mut Vec<Arc<Place>>) {
        for departure in gathering.depart(now) {
            match departure {
                Departure::Together { place, .. } => flying.push(place),
                Departure::Alone(_) => unreachable!("bodies of lanes may gather"),
            }
        }
    }

    #[test]
    fn a_message_has_no_more_bodies_and_bytes_than_it_may() {
        let (mut gathering, normal) = (with_batches_of(4), place(Lane::Normal));
        let half = BODIES_BYTES_MAX / 2;
        let _waiting = add(&mut gathering, Lane::Normal, &[1, 1, 1, 1, 1, half, half, 2 * BODIES_BYTES_MAX, 1]);
        let mut messages = Vec::new();
        while gathering.waiting() > 0 {
            messages.extend(departs(&mut gathering));
            gathering.landed(&normal);
        }
        assert_eq!(messages, [4, 2, 1, 1, 1], "what is too long for any goes alone");
    }

    #[test]
    fn whoever_stopped_waiting_is_left_out() {
        let mut gathering = with_batches_of(PARTS_MAX);
        drop(add(&mut gathering, Lane::Normal, &[1, 1]));
        assert!(departs(&mut gathering).is_empty());
        let _stays = add(&mut gathering, Lane::Normal, &[1]);
        drop(add(&mut gathering, Lane::Normal, &[1]));
        assert_eq!((departs(&mut gathering), gathering.waiting()), (vec![1], 0));
    }

    #[test]
    fn what_has_an_envelope_of_its_own_goes_alone_and_at_once() {
        let mut gathering = with_batches_of(PARTS_MAX);
        let _first = add(&mut gathering, Lane::Normal, &[1]);
        let mut answers = Vec::new();
        for to in [To::Place(place(Lane::Normal)), To::Parked] {
            let (answer, landing) = oneshot::channel();
            let letter = Letter::whole(BasicProperties::default(), vec![0]);
            gathering.add(Publish { to, letter, answer, room: room() });
            answers.push(landing);
        }
        assert_eq!(departs(&mut gathering), [1, 1, 1]);
    }

    #[test]
    fn where_each_travels_alone_nobody_waits() {
        let mut gathering = with_batches_of(1);
        let _answers = add(&mut gathering, Lane::Normal, &[1, 1, 1]);
        assert_eq!(departs(&mut gathering), [1, 1, 1]);
        let mut gathering = with_batches_of(PARTS_MAX);
        let _answers = add(&mut gathering, Queue::GivenUp, &[1, 1, 1]);
        assert_eq!(departs(&mut gathering), [1, 1, 1]);
    }
}
