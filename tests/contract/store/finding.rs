//! What went to a number is found by its tag, within a stretch of time, newest first.

use otodoke_common::message::{Message, MessageId};
use otodoke_common::store::{Opened, Opening, Store};
use otodoke_common::time::Timestamp;

use crate::backend::{Factory, LIMITS};
use crate::contract;
use crate::sample::{MINUTE_MS, START, ended, loaded, message, opened, opening, save, saved, tag};

contract![
    messages_of_a_number_are_found_newest_first,
    a_stretch_has_its_beginning_and_not_its_end,
    an_id_that_tells_no_time_is_not_looked_at,
    an_id_of_another_time_is_found_by_that,
    what_ended_is_found_as_it_is_now,
];

const NUMBER: u16 = 1;

fn at(minutes: u64) -> Timestamp {
    START.plus_ms(minutes * MINUTE_MS)
}

/// To the number of `NUMBER`, made so many minutes after the start.
async fn sent(store: &dyn Store, minutes: u64) -> MessageId {
    let id = MessageId::new(at(minutes), [9; 10]);
    let message = Message { id, number_tag: tag(NUMBER), ..message(2) };
    assert_eq!(store.open(Opening { at: at(minutes), ..opening(message) }).await, Ok(Opened::New));
    id
}

async fn found(store: &dyn Store, minutes: std::ops::Range<u64>, limit: usize) -> Vec<MessageId> {
    let found = store.of_number(tag(NUMBER), at(minutes.start)..at(minutes.end), limit).await;
    found.expect("the store answers").into_iter().map(|message| message.id).collect()
}

async fn messages_of_a_number_are_found_newest_first(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let store = &*backend.store;
    opened(store, 7).await;
    let [first, second, third] = [sent(store, 1).await, sent(store, 2).await, sent(store, 3).await];
    assert_eq!(found(store, 0..9, 9).await, [third, second, first]);
    assert_eq!(found(store, 0..9, 2).await, [third, second]);
    assert_eq!(store.of_number(tag(8), at(0)..at(9), 9).await, Ok(Vec::new()), "nobody wrote to it");
}

async fn a_stretch_has_its_beginning_and_not_its_end(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let store = &*backend.store;
    let [first, second] = [sent(store, 1).await, sent(store, 2).await];
    assert_eq!(found(store, 1..2, 9).await, [first]);
    assert_eq!(found(store, 2..3, 9).await, [second]);
    assert_eq!(found(store, 3..9, 9).await, []);
    // The days beside it have rows of their own.
    let tomorrow = sent(store, 24 * 60).await;
    assert_eq!(found(store, 1..(48 * 60), 9).await, [tomorrow, second, first]);
}

async fn an_id_that_tells_no_time_is_not_looked_at(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let store = &*backend.store;
    let dated = sent(store, 1).await;
    let undated = MessageId::parse("936da01f-9abd-4d9d-80c7-02af85c822a8").expect("a UUIDv4");
    let message = Message { id: undated, number_tag: tag(NUMBER), ..message(2) };
    assert_eq!(store.open(opening(message)).await, Ok(Opened::New));
    // Its first bits would be a time in the year 7108.
    let ages = Timestamp::from_unix_ms(0)..Timestamp::from_unix_ms(200_000_000_000_000);
    let all = store.of_number(tag(NUMBER), ages, 9).await.expect("the store answers");
    assert_eq!(all.iter().map(|message| message.id).collect::<Vec<_>>(), [dated]);
}

/// As of a publication whose id was made a week before.
async fn an_id_of_another_time_is_found_by_that(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let store = &*backend.store;
    let made = START.minus_ms(7 * 24 * 60 * MINUTE_MS);
    let id = MessageId::new(made, [9; 10]);
    let old = Message { id, number_tag: tag(NUMBER), ..message(2) };
    assert_eq!(store.open(opening(old)).await, Ok(Opened::New));
    let then = store.of_number(tag(NUMBER), made..made.plus_ms(1), 9).await.expect("the store answers");
    assert_eq!(then.iter().map(|message| message.id).collect::<Vec<_>>(), [id]);
    assert_eq!(found(store, 0..9, 9).await, []);
}

async fn what_ended_is_found_as_it_is_now(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let store = &*backend.store;
    let stored = opened(store, NUMBER).await;
    let stored = saved(store, save(ended(stored))).await;
    assert_eq!(store.of_number(tag(NUMBER), at(0)..at(1), 9).await, Ok(vec![stored.clone()]));
    assert_eq!(loaded(store, NUMBER).await, stored);
}
