//! Days: partitions appear when they are needed, and go as a whole when nothing in them is to be kept.

use otodoke_common::message::{Message, MessageId};
use otodoke_common::store::{Opened, Opening, Save, Store};
use otodoke_common::time::Timestamp;
use otodoke_tests::servers::postgres::{postgres, psql};

use crate::backend::{LIMITS, migrated, small};
use crate::sample::{START, ended, message, opening, save};

const DAY_MS: u64 = 24 * 3_600_000;
const DAYS: &str = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'message'::regclass";
const TABLES: &str = "SELECT count(*) FROM pg_class WHERE relname ~ '^message_20' AND relkind = 'r'";

fn opened_at(number: u8, at: Timestamp) -> Opening {
    let id = MessageId::new(at, [number; 10]);
    Opening { at, ..opening(Message { id, accepted_at: at, ..message(u16::from(number)) }) }
}

/// Opens a message at that time and ends it a moment later.
async fn ended_at(store: &dyn Store, number: u8, at: Timestamp) -> MessageId {
    let opening = opened_at(number, at);
    let id = opening.message.id;
    assert_eq!(store.open(opening).await, Ok(Opened::New));
    let stored = store.load(id).await.expect("the store answers").expect("the row is there");
    store.save(&Save { at: at.plus_ms(1), ..save(ended(stored)) }).await.expect("the save wins");
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_goes_as_a_whole_once_nothing_in_it_is_kept() {
    let server = postgres().await;
    let url = server.database();
    let store = migrated(&small(&url, LIMITS.inbox_max)).await;
    let old = ended_at(&*store, 1, START).await;
    let young = ended_at(&*store, 2, START.plus_ms(4 * DAY_MS)).await;
    let never = Timestamp::from_unix_ms(0);
    let now = START.plus_ms(4 * DAY_MS);
    assert_eq!(store.prune(now, START.plus_ms(3 * DAY_MS), never, 0).await, Ok(1), "no row was deleted by itself");
    assert_eq!(store.load(old).await, Ok(None));
    assert!(store.load(young).await.expect("the store answers").is_some());
    let counts = store.counts(now).await.expect("the store answers");
    assert_eq!((counts.live, counts.ended), (0, 1), "what went is not counted");
    // That of other ids, of today, and of two days ahead.
    assert_eq!((psql(&url, DAYS).as_str(), psql(&url, TABLES).as_str()), ("4", "3"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_with_a_living_message_stays() {
    let server = postgres().await;
    let store = migrated(&small(&server.database(), LIMITS.inbox_max)).await;
    let opening = opened_at(1, START);
    let living = opening.message.id;
    assert_eq!(store.open(opening).await, Ok(Opened::New));
    let now = START.plus_ms(30 * DAY_MS);
    assert_eq!(store.prune(now, now, Timestamp::from_unix_ms(0), 100).await, Ok(0));
    assert!(store.load(living).await.expect("the store answers").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_may_be_of_any_kind_and_age_and_nobody_invents_a_table_by_it() {
    let server = postgres().await;
    let url = server.database();
    let store = migrated(&small(&url, LIMITS.inbox_max)).await;
    let random = MessageId::parse("936da01f-9abd-4d9d-80c7-02af85c822a8").expect("a UUIDv4");
    let (old, ahead) = (START.minus_ms(7 * DAY_MS), START.plus_ms(7 * DAY_MS));
    for id in [random, MessageId::new(old, [2; 10]), MessageId::new(ahead, [3; 10])] {
        let opening = opening(Message { id, ..message(1) });
        let noted = opening.notes.len();
        assert_eq!(store.open(opening.clone()).await, Ok(Opened::New));
        assert!(matches!(store.open(opening).await, Ok(Opened::Repeat(row)) if row.id == id));
        let stored = store.load(id).await.expect("the store answers").expect("the row is there");
        assert_eq!(store.journal(id).await.expect("the store answers").len(), noted);
        store.save(&save(ended(stored))).await.expect("the save wins");
        assert!(store.load(id).await.expect("the store answers").is_some_and(|row| !row.is_live()));
    }
    assert_eq!(psql(&url, TABLES), "0");
}
