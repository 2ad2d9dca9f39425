//! A message opens once, with everything that belongs to it, or not at all.

use otodoke_common::lifecycle::Note;
use otodoke_common::message::State;
use otodoke_common::store::{JournalEntry, Opened, Opening};

use crate::backend::{Factory, LIMITS};
use crate::contract;
use crate::sample::{MINUTE_MS, START, accepted, id, leg, loaded, message, opened, opening, provider, save, spend};

contract![
    a_new_message_is_there_as_it_was_opened,
    a_message_never_opened_is_not_there,
    a_repeat_changes_nothing_and_shows_what_is_stored,
    spends_over_their_limit_open_nothing_and_pay_nothing,
    a_window_frees_itself,
    two_spends_of_one_opening_add_up_in_one_bucket,
    a_text_may_hold_any_character,
];

async fn a_new_message_is_there_as_it_was_opened(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let mut fresh = message(1);
    fresh.legs.push(leg(1, Some("ref-1")));
    assert_eq!(backend.store.open(opening(fresh.clone())).await, Ok(Opened::New));
    let stored = loaded(&*backend.store, 1).await;
    assert_eq!(stored, otodoke_common::message::Message { version: fresh.version + 1, ..fresh }, "it was saved once");
    assert_eq!(backend.store.journal(id(1)).await, Ok(vec![JournalEntry { at: START, note: accepted() }]));
    assert_eq!(backend.store.by_reference(&provider(), "ref-1").await, Ok(Some((id(1), 1))));
}

async fn a_message_never_opened_is_not_there(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    assert_eq!(backend.store.load(id(1)).await, Ok(None));
    assert_eq!(backend.store.journal(id(1)).await, Ok(Vec::new()));
    assert_eq!(backend.store.by_reference(&provider(), "ref-1").await, Ok(None));
}

async fn a_repeat_changes_nothing_and_shows_what_is_stored(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let first = opened(&*backend.store, 1).await;
    let delivered = otodoke_common::message::Message { state: State::Delivered, ..first };
    let stored = crate::sample::saved(&*backend.store, save(delivered)).await;
    let again = Opening { spends: vec![spend(1, 0)], ..opening(message(1)) };
    assert_eq!(backend.store.open(again).await, Ok(Opened::Repeat(Box::new(stored.clone()))));
    assert_eq!(loaded(&*backend.store, 1).await, stored);
    let journal = backend.store.journal(id(1)).await.expect("the store answers");
    assert_eq!(journal.into_iter().map(|entry| entry.note).collect::<Vec<_>>(), [accepted(), Note::Erased]);
}

async fn spends_over_their_limit_open_nothing_and_pay_nothing(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let both = |number| Opening { spends: vec![spend(1, 2), spend(2, 1)], ..opening(message(number)) };
    assert_eq!(backend.store.open(both(1)).await, Ok(Opened::New));
    let over = Opened::OverLimit { index: 1, free_at: START.plus_ms(MINUTE_MS) };
    assert_eq!(backend.store.open(both(2)).await, Ok(over));
    assert_eq!(backend.store.load(id(2)).await, Ok(None));
    // The first bucket was not paid by the refused opening: it still has room for one.
    let first_only = Opening { spends: vec![spend(1, 2)], ..opening(message(3)) };
    assert_eq!(backend.store.open(first_only).await, Ok(Opened::New));
}

async fn a_window_frees_itself(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let at = |number, ms| Opening { spends: vec![spend(1, 1)], at: START.plus_ms(ms), ..opening(message(number)) };
    assert_eq!(backend.store.open(at(1, 0)).await, Ok(Opened::New));
    let over = Opened::OverLimit { index: 0, free_at: START.plus_ms(MINUTE_MS) };
    assert_eq!(backend.store.open(at(2, MINUTE_MS - 1)).await, Ok(over));
    assert_eq!(backend.store.open(at(2, MINUTE_MS)).await, Ok(Opened::New));
}

async fn two_spends_of_one_opening_add_up_in_one_bucket(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let twice = Opening { spends: vec![spend(1, 1), spend(1, 1)], ..opening(message(1)) };
    let over = Opened::OverLimit { index: 1, free_at: START.plus_ms(MINUTE_MS) };
    assert_eq!(backend.store.open(twice).await, Ok(over));
    let once = Opening { spends: vec![spend(1, 1)], ..opening(message(1)) };
    assert_eq!(backend.store.open(once).await, Ok(Opened::New));
}

async fn a_text_may_hold_any_character(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let mut odd = message(1);
    let mut odd_leg = leg(1, Some("ref\0'\"\u{1f4ee}"));
    odd_leg.sender = "A\0B\u{2028}'; DROP TABLE message; --".to_owned();
    odd.legs.push(odd_leg);
    assert_eq!(backend.store.open(opening(odd.clone())).await, Ok(Opened::New));
    assert_eq!(loaded(&*backend.store, 1).await.legs, odd.legs);
    let found = backend.store.by_reference(&provider(), "ref\0'\"\u{1f4ee}").await;
    assert_eq!(found, Ok(Some((id(1), 1))));
    assert_eq!(backend.store.by_reference(&provider(), "ref").await, Ok(None));
}
