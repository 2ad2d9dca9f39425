//! Compare and set: of those who saw the same version one wins, with everything that belongs to the save.

use std::sync::Arc;

use otodoke_common::bucket::{Refund, Spend};
use otodoke_common::lifecycle::Note;
use otodoke_common::message::{Message, State};
use otodoke_common::store::{JournalEntry, Save, Saved};
use tokio::task::JoinSet;

use crate::backend::{Factory, LIMITS};
use crate::contract;
use crate::sample::{
    MINUTE_MS, START, accepted, ended, id, leg, loaded, message, opened, provider, save, saved, spend, tag,
};

contract![
    a_save_wins_against_the_version_it_saw,
    a_save_of_an_older_version_is_lost_and_writes_nothing,
    a_save_of_a_version_that_is_not_the_next_is_lost,
    a_save_of_a_message_that_is_not_there_is_lost,
    of_many_saves_of_one_version_one_wins,
    a_save_over_a_limit_writes_nothing,
    what_is_given_back_may_be_spent_again,
    a_refund_empties_its_bucket,
    references_of_all_legs_become_findable,
    a_late_reference_of_an_ended_message_becomes_findable,
    the_journal_tells_in_the_order_of_saves,
];

async fn a_save_wins_against_the_version_it_saw(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let mut current = opened(&*backend.store, 1).await;
    for guesses_left in [4, 3, 2] {
        let next = Message { guesses_left, ..current.clone() };
        assert_eq!(backend.store.save(&save(next.clone())).await, Ok(Saved::Won));
        current = loaded(&*backend.store, 1).await;
        assert_eq!(current, Message { version: next.version + 1, ..next });
    }
}

async fn a_save_of_an_older_version_is_lost_and_writes_nothing(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let seen = opened(&*backend.store, 1).await;
    let stored = saved(&*backend.store, save(Message { guesses_left: 4, ..seen.clone() })).await;
    let mut late = ended(seen);
    late.legs.push(leg(1, Some("ref-late")));
    let late = Save { spends: vec![spend(1, 1)], refunds: vec![Refund::of_all(tag(2))], ..save(late) };
    assert_eq!(backend.store.save(&late).await, Ok(Saved::Lost));
    assert_eq!(loaded(&*backend.store, 1).await, stored);
    assert_eq!(backend.store.by_reference(&provider(), "ref-late").await, Ok(None));
    assert_eq!(backend.store.journal(id(1)).await.expect("the store answers").len(), 2);
    // The lost save paid nothing: its bucket still has room.
    let pays = Save { spends: vec![spend(1, 1)], ..save(stored) };
    assert_eq!(backend.store.save(&pays).await, Ok(Saved::Won), "there is room in the bucket");
}

async fn a_save_of_a_version_that_is_not_the_next_is_lost(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let read = opened(&*backend.store, 1).await;
    for version in [0, read.version, read.version + 2, u64::from(u32::MAX)] {
        let changed = Message { guesses_left: 1, version, ..read.clone() };
        let wrong = Save { message: changed, ..save(read.clone()) };
        assert_eq!(backend.store.save(&wrong).await, Ok(Saved::Lost), "version {version}");
        assert_eq!(loaded(&*backend.store, 1).await, read, "version {version}");
    }
}

async fn a_save_of_a_message_that_is_not_there_is_lost(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    assert_eq!(backend.store.save(&save(message(1))).await, Ok(Saved::Lost));
    assert_eq!(backend.store.load(id(1)).await, Ok(None));
}

async fn of_many_saves_of_one_version_one_wins(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let seen = opened(&*backend.store, 1).await;
    let mut callers = JoinSet::new();
    for resends in 1..=100 {
        let store = Arc::clone(&backend.store);
        let asked = save(Message { resends, ..seen.clone() });
        callers.spawn(async move { (resends, store.save(&asked).await.expect("the store answers")) });
    }
    let won: Vec<u8> = callers
        .join_all()
        .await
        .into_iter()
        .filter_map(|(resends, outcome)| (outcome == Saved::Won).then_some(resends))
        .collect();
    assert_eq!(won, [loaded(&*backend.store, 1).await.resends], "the one that won is what is stored");
}

async fn a_save_over_a_limit_writes_nothing(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let seen = opened(&*backend.store, 1).await;
    let paying = |message: &Message, spends| Save { spends, ..save(message.clone()) };
    let stored = {
        let pays = paying(&seen, vec![spend(1, 1)]);
        saved(&*backend.store, pays).await
    };
    let refused = paying(&ended(stored.clone()), vec![spend(2, 1), spend(1, 1)]);
    // Saves of the samples happen one second after the start.
    let free_at = START.plus_ms(1_000 + MINUTE_MS);
    assert_eq!(backend.store.save(&refused).await, Ok(Saved::OverLimit { index: 1, free_at }));
    assert_eq!(loaded(&*backend.store, 1).await, stored);
    let other = paying(&stored, vec![spend(2, 1)]);
    assert_eq!(backend.store.save(&other).await, Ok(Saved::Won), "the other bucket was not paid");
}

async fn what_is_given_back_may_be_spent_again(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let mut current = opened(&*backend.store, 1).await;
    let paying = |read: &Message, cost, back| Save {
        spends: vec![Spend { cost, ..spend(1, 5) }],
        refunds: vec![Refund { bucket: tag(1), cost: back }],
        ..save(read.clone())
    };
    // Paid and given back, and whether five are enough for it.
    for (cost, back, enough) in
        [(2, 0, true), (3, 0, true), (1, 0, false), (2, 1, false), (1, 1, true), (3, 3, true), (1, 0, false)]
    {
        let saves = paying(&current, cost, back);
        let expected = if enough { Ok(()) } else { Err(0) };
        let told = match backend.store.save(&saves).await {
            Ok(Saved::Won) => Some(Ok(())),
            Ok(Saved::OverLimit { index, .. }) => Some(Err(index)),
            Ok(Saved::Lost) | Err(_) => None,
        };
        assert_eq!(told, Some(expected), "{cost} for {back}");
        current = loaded(&*backend.store, 1).await;
    }
}

async fn a_refund_empties_its_bucket(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let mut current = opened(&*backend.store, 1).await;
    for _ in 0..3 {
        let pays = Save { spends: vec![spend(1, 1)], ..save(current) };
        current = saved(&*backend.store, pays).await;
        let refunds = Save { refunds: vec![Refund::of_all(tag(1))], ..save(current) };
        current = saved(&*backend.store, refunds).await;
    }
}

async fn references_of_all_legs_become_findable(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let mut current = opened(&*backend.store, 1).await;
    current.legs = vec![leg(1, Some("ref-1")), leg(2, None), leg(3, Some("ref-3"))];
    saved(&*backend.store, save(current)).await;
    for (reference, found) in [("ref-1", Some((id(1), 1))), ("ref-3", Some((id(1), 3))), ("ref-2", None)] {
        assert_eq!(backend.store.by_reference(&provider(), reference).await, Ok(found), "{reference}");
    }
    let other = otodoke_common::leg::ProviderId::parse("fuji").expect("a provider");
    assert_eq!(backend.store.by_reference(&other, "ref-1").await, Ok(None), "references belong to their provider");
}

async fn a_late_reference_of_an_ended_message_becomes_findable(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let mut over = ended(opened(&*backend.store, 1).await);
    over.legs.push(leg(1, None));
    let mut over = saved(&*backend.store, save(over)).await;
    over.legs[0].reference = Some("ref-late".to_owned());
    saved(&*backend.store, save(over)).await;
    assert_eq!(backend.store.by_reference(&provider(), "ref-late").await, Ok(Some((id(1), 1))));
}

async fn the_journal_tells_in_the_order_of_saves(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let mut current = opened(&*backend.store, 1).await;
    let mut told = vec![JournalEntry { at: START, note: accepted() }];
    for number in 1..=12 {
        let at = START.plus_ms(u64::from(number));
        let notes = vec![Note::Asked { leg: number }, Note::Overdue { leg: number }];
        told.extend(notes.iter().map(|note| JournalEntry { at, note: note.clone() }));
        let next = Message { state: State::Delivered, ..current };
        current = saved(&*backend.store, Save { notes, at, ..save(next) }).await;
    }
    assert_eq!(backend.store.journal(id(1)).await, Ok(told));
}
