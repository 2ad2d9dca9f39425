//! What things are called at the broker.
//!
//! Lanes are written to through an exchange; receipts, and bodies that were given up or parked, through the default exchange,
//! by the name of their queue. So the right to send a message at the broker is no right to forge a receipt.

use std::sync::Arc;

use lapin::types::ShortString;

use super::settings::{QueueLengths, RabbitSettings};
use crate::broker::Queue;
use crate::message::MessageId;

/// One queue at the broker, and the way into it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) queue: Queue,
    /// Among all places.
    pub(super) number: usize,
    pub(super) name: ShortString,
    pub(super) exchange: ShortString,
    pub(super) key: ShortString,
    pub(super) length: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Names {
    namespace: String,
    lengths: QueueLengths,
    places: Vec<Arc<Place>>,
}

impl Names {
    pub(super) fn new(settings: &RabbitSettings) -> Self {
        let mut names = Self { namespace: settings.namespace.clone(), lengths: settings.lengths, places: Vec::new() };
        for queue in Queue::ALL {
            let shards = match queue {
                Queue::Lane(_) => settings.shards,
                Queue::Receipts | Queue::GivenUp => 1,
            };
            for shard in 0..shards {
                names.places.push(Arc::new(names.place(queue, shard)));
            }
        }
        names
    }

    pub(super) fn exchange(&self) -> ShortString {
        self.of("send").into()
    }

    /// Where bodies go that were handed out too often.
    pub(super) fn given_up(&self) -> ShortString {
        self.of(Queue::GivenUp.word()).into()
    }

    /// Where bodies wait for people.
    pub(super) fn parked(&self) -> ShortString {
        self.of("parked").into()
    }

    pub(super) fn parked_length(&self) -> u32 {
        self.lengths.parked
    }

    /// Of all places of a queue together.
    pub(super) fn length(&self, queue: Queue) -> u64 {
        self.places_of(queue).map(|place| u64::from(place.length)).sum()
    }

    /// Every place of every queue.
    pub(super) fn places(&self) -> &[Arc<Place>] {
        &self.places
    }

    pub(super) fn places_of(&self, queue: Queue) -> impl Iterator<Item = &Arc<Place>> {
        self.places.iter().filter(move |place| place.queue == queue)
    }

    /// The place for one message. The last bits of an id are chance, so a remainder spreads evenly.
    pub(super) fn place_of(&self, queue: Queue, id: MessageId) -> &Arc<Place> {
        let shard = id.0.as_u128() % self.places_of(queue).count() as u128;
        let shard = usize::try_from(shard).expect("a remainder is below its divisor, which is a usize");
        self.places_of(queue).nth(shard).expect("a remainder is below the number of places")
    }

    /// Whose queue a name belongs to; `None` for names that are not ours.
    pub(super) fn queue_named(&self, name: &str) -> Option<Queue> {
        let word = name.strip_prefix(&self.namespace)?.strip_prefix("otodoke.")?;
        let word = word.split_once('.').map_or(word, |(queue, _shard)| queue);
        Queue::ALL.into_iter().find(|queue| queue.word() == word)
    }

    /// The next one. The first shard has the lane's bare name: foreign publishers know no shards, and a second shard moves nothing.
    fn place(&self, queue: Queue, shard: u16) -> Place {
        let key = match shard {
            0 => queue.word().to_owned(),
            shard => format!("{}.{shard}", queue.word()),
        };
        let name = ShortString::from(self.of(&key));
        let number = self.places.len();
        match queue {
            Queue::Lane(_) => {
                Place { queue, number, name, exchange: self.exchange(), key: key.into(), length: self.lengths.lane }
            }
            Queue::Receipts => {
                Place { queue, number, key: name.clone(), name, exchange: "".into(), length: self.lengths.receipts }
            }
            // As long as that which it may come to wait for.
            Queue::GivenUp => {
                Place { queue, number, key: name.clone(), name, exchange: "".into(), length: self.lengths.parked }
            }
        }
    }

    fn of(&self, word: &str) -> String {
        format!("{}otodoke.{word}", self.namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;
    use crate::message::Lane;

    fn names(shards: u16) -> Names {
        let settings = RabbitSettings::new(vec![Secret::new("amqp://localhost")]);
        Names::new(&RabbitSettings { namespace: "east.".to_owned(), shards, ..settings })
    }

    #[test]
    fn more_shards_leave_the_first_ones_name_as_it_was() {
        let one: Vec<_> = names(1).places().iter().map(|place| place.name.to_string()).collect();
        let bare = ["critical", "normal", "bulk", "receipts", "given_up"].map(|word| format!("east.otodoke.{word}"));
        assert_eq!(one, bare);
        let two: Vec<_> = names(2).places().iter().map(|place| place.name.to_string()).collect();
        assert!(one.iter().all(|name| two.contains(name)) && two.contains(&"east.otodoke.bulk.1".to_owned()));
        assert_eq!(two.len(), 8, "receipts have one queue, and so has what was given up");
        assert!(names(2).places().iter().enumerate().all(|(number, place)| place.number == number));
    }

    #[test]
    fn nothing_but_a_lane_is_reached_by_the_public_exchange() {
        for place in names(2).places() {
            let is_lane = matches!(place.queue, Queue::Lane(_));
            assert_eq!(is_lane, !place.exchange.as_str().is_empty(), "{place:?}");
        }
    }

    #[test]
    fn a_queue_is_known_by_its_name_and_no_other_is() {
        let names = names(3);
        for place in names.places() {
            assert_eq!(names.queue_named(place.name.as_str()), Some(place.queue));
        }
        for other in ["otodoke.normal", "east.otodoke.parked", "east.normal", ""] {
            assert_eq!(names.queue_named(other), None, "{other}");
        }
    }

    #[test]
    fn one_message_has_one_place() {
        let names = names(4);
        let of = |last: u8| {
            let id = MessageId(uuid::Uuid::from_bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]));
            names.place_of(Queue::Lane(Lane::Normal), id).name.to_string()
        };
        assert_eq!([of(0), of(4)], ["east.otodoke.normal", "east.otodoke.normal"]);
        assert_eq!(of(7), "east.otodoke.normal.3");
    }
}
