//! The due list holds a message in hand where it was listed first, so that saves that follow each other soon leave it alone.

use otodoke_common::message::{Awaited, Message, State};
use otodoke_common::store::{Opened, Save, Store};
use otodoke_tests::servers::postgres::{postgres, psql};

use crate::backend::{LIMITS, migrated, small};
use crate::sample::{MINUTE_MS, START, id, message, opened, opening, save, saved, spend};

const LEASE_MS: u64 = 15_000;

/// When the only entry comes up, milliseconds after the start; and which transaction wrote it.
fn entry(url: &str) -> (u64, String) {
    let start = START.unix_ms();
    let said = psql(url, &format!("SELECT due_at - {start}, xmin FROM due"));
    let (ms, written_by) = said.split_once('|').expect("two columns");
    (ms.parse().expect("a number"), written_by.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn saves_of_a_message_in_hand_write_nothing_to_the_due_list() {
    let server = postgres().await;
    let url = server.database();
    let store = migrated(&small(&url, LIMITS.inbox_max)).await;
    let mut current = opened(&*store, 1).await;
    let listed = entry(&url);
    assert!(listed.0 < MINUTE_MS, "it comes up long before it is due: {listed:?}");
    let sending = (State::Sending { leg: 1 }, 500, 20_500);
    let awaiting = (State::Awaiting { leg: 1, what: Awaited::Receipt }, 900, 8_900);
    for (state, at_ms, due_ms) in [sending, awaiting] {
        let changed = Message { state, due: Some(START.plus_ms(due_ms)), ..current };
        current = saved(&*store, Save { at: START.plus_ms(at_ms), ..save(changed) }).await;
        assert_eq!(entry(&url), listed, "{:?}", current.state);
    }
    let changed = Message { state: State::Delivered, due: Some(START.plus_ms(3 * MINUTE_MS)), ..current };
    saved(&*store, Save { at: START.plus_ms(1_500), ..save(changed) }).await;
    assert_eq!(entry(&url).0, 3 * MINUTE_MS, "where it rests it is listed for when it is due");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_waits_is_looked_at_less_and_less_until_it_is_due() {
    let server = postgres().await;
    let url = server.database();
    let store = migrated(&small(&url, LIMITS.inbox_max)).await;
    let due = opened(&*store, 1).await.due.expect("it is due some time");
    let mut looks = 0;
    loop {
        let (ms, _) = entry(&url);
        if START.plus_ms(ms) == due {
            break;
        }
        looks += 1;
        assert_eq!(store.due(START.plus_ms(ms), 9, LEASE_MS).await, Ok(vec![]), "after {ms} ms");
    }
    assert_eq!(looks, 6, "after 8, 16, 32, 64, 128 and 256 seconds");
    assert_eq!(store.due(due, 9, LEASE_MS).await.map(|found| found.len()), Ok(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_was_leased_lately_is_moved_by_a_save() {
    let server = postgres().await;
    let url = server.database();
    let store = migrated(&small(&url, LIMITS.inbox_max)).await;
    let current = opened(&*store, 1).await;
    // Whoever leased it found it early, and is about to put it off by what it read before this save.
    psql(&url, &format!("UPDATE due SET due_at = {}", START.plus_ms(LEASE_MS).unix_ms()));
    let changed = Message { state: State::Sending { leg: 1 }, due: Some(START.plus_ms(20_000)), ..current };
    saved(&*store, Save { at: START.plus_ms(1_000), ..save(changed) }).await;
    assert_eq!(entry(&url).0, 20_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_save_that_pays_leaves_an_early_entry_where_it_is_too() {
    let server = postgres().await;
    let url = server.database();
    let store = migrated(&small(&url, LIMITS.inbox_max)).await;
    let current = opened(&*store, 1).await;
    let listed = entry(&url);
    for (state, due_ms, is_moved) in [(State::Sending { leg: 1 }, 20_500, false), (State::Delivered, 240_000, true)] {
        let current = Message { version: current.version + u64::from(is_moved), ..current.clone() };
        let changed = Message { state, due: Some(START.plus_ms(due_ms)), ..current };
        saved(&*store, Save { at: START.plus_ms(500), spends: vec![spend(7, 9)], ..save(changed) }).await;
        assert_eq!(entry(&url) == listed, !is_moved);
    }
    assert_eq!(entry(&url).0, 240_000);
}

/// However little is wanted, those that come up early take nobody's place, and what is not wanted is found the next time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_for_one_goes_past_a_crowd_and_gives_the_others_back() {
    let server = postgres().await;
    let store = migrated(&small(&server.database(), LIMITS.inbox_max)).await;
    for number in 1..=200 {
        opened(&*store, number).await;
    }
    let wanted = 201..=205;
    for number in wanted.clone() {
        let due = Some(START.plus_ms(8_000 + u64::from(number)));
        assert_eq!(store.open(opening(Message { due, ..message(number) })).await, Ok(Opened::New));
    }
    let mut found = Vec::new();
    for _ in wanted.clone() {
        let one = store.due(START.plus_ms(9_000), 1, LEASE_MS).await.expect("the store answers");
        assert_eq!(one.len(), 1);
        found.extend(one.into_iter().map(|message| message.id));
    }
    found.sort_unstable();
    assert_eq!(found, wanted.map(id).collect::<Vec<_>>());
    assert_eq!(store.due(START.plus_ms(9_000), 1, LEASE_MS).await, Ok(vec![]));
}
