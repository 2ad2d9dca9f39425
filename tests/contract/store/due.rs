//! What the sweep must look at: most overdue first, each by one sweep at a time.

use std::sync::Arc;

use otodoke_common::message::{Awaited, Message, MessageId, State};
use otodoke_common::store::{Save, Saved, Store};
use otodoke_common::time::Timestamp;
use tokio::task::JoinSet;

use crate::backend::{Factory, LIMITS};
use crate::contract;
use crate::sample::{MINUTE_MS, START, ended, id, loaded, message, opened, opening, save, saved};

const LEASE_MS: u64 = 10_000;

contract![
    the_most_overdue_comes_first_and_no_more_than_asked,
    a_message_is_due_from_its_very_millisecond,
    a_leased_message_comes_again_when_the_lease_is_over,
    a_lease_leaves_the_version_alone,
    a_save_sets_the_due_time_anew,
    a_message_without_a_due_time_is_never_due,
    an_ended_message_may_be_due_for_its_erasure,
    what_is_opened_for_later_is_found_then_and_not_before,
    a_message_in_hand_is_found_when_it_is_due_and_not_before,
    a_save_that_was_held_up_makes_its_message_due_all_the_same,
    a_crowd_for_later_hides_nothing,
    what_lives_comes_before_what_has_ended,
    two_sweeps_never_lease_the_same_message,
];

async fn due(store: &dyn Store, now: Timestamp, limit: usize) -> Vec<MessageId> {
    let messages = store.due(now, limit, LEASE_MS).await.expect("the store answers");
    messages.into_iter().map(|message| message.id).collect()
}

async fn open_due(store: &dyn Store, number: u16, due: Option<Timestamp>) {
    store.open(opening(Message { due, ..message(number) })).await.expect("the store answers");
}

async fn the_most_overdue_comes_first_and_no_more_than_asked(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    for (number, due_ms) in [(1, 300), (2, 100), (3, 200), (4, 900)] {
        open_due(&*backend.store, number, Some(START.plus_ms(due_ms))).await;
    }
    let now = START.plus_ms(500);
    assert_eq!(due(&*backend.store, now, 2).await, [id(2), id(3)]);
    assert_eq!(due(&*backend.store, now, 9).await, [id(1)]);
}

async fn a_message_is_due_from_its_very_millisecond(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    open_due(&*backend.store, 1, Some(START.plus_ms(100))).await;
    assert_eq!(due(&*backend.store, START.plus_ms(99), 9).await, []);
    assert_eq!(due(&*backend.store, START.plus_ms(100), 9).await, [id(1)]);
}

async fn a_leased_message_comes_again_when_the_lease_is_over(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    open_due(&*backend.store, 1, Some(START)).await;
    assert_eq!(due(&*backend.store, START, 9).await, [id(1)]);
    assert_eq!(due(&*backend.store, START.plus_ms(LEASE_MS - 1), 9).await, []);
    assert_eq!(due(&*backend.store, START.plus_ms(LEASE_MS), 9).await, [id(1)]);
    assert_eq!(due(&*backend.store, START.plus_ms(LEASE_MS), 9).await, [], "it is leased anew");
}

async fn a_lease_leaves_the_version_alone(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    open_due(&*backend.store, 1, Some(START)).await;
    let before = loaded(&*backend.store, 1).await;
    let leased = backend.store.due(START, 1, LEASE_MS).await.expect("the store answers");
    assert_eq!(leased, std::slice::from_ref(&before));
    assert_eq!(loaded(&*backend.store, 1).await, before);
    assert_eq!(backend.store.save(&save(before)).await, Ok(Saved::Won), "who saw it before may save");
}

async fn a_save_sets_the_due_time_anew(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    open_due(&*backend.store, 1, Some(START)).await;
    assert_eq!(due(&*backend.store, START, 9).await, [id(1)]);
    let later = START.plus_ms(MINUTE_MS);
    let current = loaded(&*backend.store, 1).await;
    saved(&*backend.store, save(Message { due: Some(later), ..current })).await;
    assert_eq!(due(&*backend.store, START.plus_ms(LEASE_MS), 9).await, [], "the end of the lease counts no more");
    assert_eq!(due(&*backend.store, later, 9).await, [id(1)]);
    let current = loaded(&*backend.store, 1).await;
    // The same due time as before the lease: it must still count.
    saved(&*backend.store, save(current)).await;
    assert_eq!(due(&*backend.store, later, 9).await, [id(1)]);
}

async fn a_message_without_a_due_time_is_never_due(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    open_due(&*backend.store, 1, None).await;
    let second = opened(&*backend.store, 2).await;
    saved(&*backend.store, save(ended(second))).await;
    assert_eq!(due(&*backend.store, START.plus_ms(u64::MAX), 9).await, []);
}

async fn an_ended_message_may_be_due_for_its_erasure(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let over = ended(opened(&*backend.store, 1).await);
    let erase_at = START.plus_ms(60 * MINUTE_MS);
    saved(&*backend.store, save(Message { due: Some(erase_at), ..over })).await;
    assert_eq!(due(&*backend.store, erase_at, 9).await, [id(1)]);
}

async fn what_lives_comes_before_what_has_ended(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let at = |ms: u16| START.plus_ms(60 * MINUTE_MS + u64::from(ms));
    for number in [1, 2] {
        let over = ended(opened(&*backend.store, number).await);
        saved(&*backend.store, save(Message { due: Some(at(number)), ..over })).await;
    }
    for number in [3, 4, 5] {
        open_due(&*backend.store, number, Some(at(number))).await;
    }
    let now = at(9);
    assert_eq!(due(&*backend.store, now, 2).await, [id(3), id(4)]);
    assert_eq!(due(&*backend.store, now, 2).await, [id(5), id(1)], "what has ended has what room is left");
    assert_eq!(due(&*backend.store, now, 2).await, [id(2)]);
}

async fn two_sweeps_never_lease_the_same_message(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    for number in 1..=100 {
        open_due(&*backend.store, number, Some(START)).await;
    }
    let mut sweeps = JoinSet::new();
    for _ in 0..16 {
        let store = Arc::clone(&backend.store);
        sweeps.spawn(async move { due(&*store, START, 10).await });
    }
    let mut leased: Vec<MessageId> = sweeps.join_all().await.concat();
    leased.sort_unstable();
    assert_eq!(leased, (1..=100).map(id).collect::<Vec<_>>());
}

/// When looks that come every second find the message, milliseconds after the start.
async fn found_at(store: &dyn Store, after_ms: u64) -> u64 {
    let mut ms = after_ms;
    while due(store, START.plus_ms(ms), 9).await.is_empty() {
        ms += 1_000;
        assert!(ms <= 10 * MINUTE_MS, "nobody finds it");
    }
    ms
}

async fn what_is_opened_for_later_is_found_then_and_not_before(factory: &impl Factory) {
    for due_ms in [3_000, 8_000, 9_000, 25_000, 5 * MINUTE_MS] {
        let backend = factory.fresh(LIMITS);
        open_due(&*backend.store, 1, Some(START.plus_ms(due_ms))).await;
        assert_eq!(found_at(&*backend.store, 0).await, due_ms);
    }
}

async fn a_message_in_hand_is_found_when_it_is_due_and_not_before(factory: &impl Factory) {
    let sending = || State::Sending { leg: 1 };
    let awaiting = || State::Awaiting { leg: 1, what: Awaited::Receipt };
    // When each of two saves is made, and when it makes the message due.
    let soon = [(sending(), 500, 20_500), (awaiting(), 900, 9_000)];
    let sooner = [(sending(), 500, 3_000), (awaiting(), 900, 2_000)];
    let late = [(sending(), 7_000, 27_000), (awaiting(), 9_000, 17_000)];
    let far = [(sending(), 500, 20_500), (awaiting(), 900, 3 * MINUTE_MS)];
    let rests = [(awaiting(), 500, 9_000), (State::Delivered, 900, 4 * MINUTE_MS)];
    for saves in [soon, sooner, late, far, rests] {
        let backend = factory.fresh(LIMITS);
        let mut current = opened(&*backend.store, 1).await;
        for (state, at_ms, due_ms) in saves.clone() {
            // Who looks meanwhile finds nothing.
            assert_eq!(due(&*backend.store, START.plus_ms(at_ms - 1), 9).await, []);
            let changed = Message { state, due: Some(START.plus_ms(due_ms)), ..current };
            current = saved(&*backend.store, Save { at: START.plus_ms(at_ms), ..save(changed) }).await;
        }
        let [_, (_, at_ms, due_ms)] = &saves;
        assert_eq!(found_at(&*backend.store, at_ms.next_multiple_of(1_000)).await, *due_ms, "{saves:?}");
    }
}

async fn a_save_that_was_held_up_makes_its_message_due_all_the_same(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let current = opened(&*backend.store, 1).await;
    assert_eq!(due(&*backend.store, START.plus_ms(9_000), 9).await, []);
    let changed = Message { state: State::Sending { leg: 1 }, due: Some(START.plus_ms(12_000)), ..current };
    saved(&*backend.store, Save { at: START.plus_ms(500), ..save(changed) }).await;
    assert_eq!(found_at(&*backend.store, 10_000).await, 12_000);
}

async fn a_crowd_for_later_hides_nothing(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    for number in 1..=300 {
        opened(&*backend.store, number).await;
    }
    for number in 301..=310 {
        open_due(&*backend.store, number, Some(START.plus_ms(8_500))).await;
    }
    let mut found = due(&*backend.store, START.plus_ms(9_000), 16).await;
    found.sort_unstable();
    assert_eq!(found, (301..=310).map(id).collect::<Vec<_>>());
}
