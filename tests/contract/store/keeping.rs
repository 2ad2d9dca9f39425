//! What is kept, what goes, and how it is counted: accepted = ended + live.

use otodoke_common::message::Message;
use otodoke_common::outcome::{Report, ReportStatus};
use otodoke_common::store::{ClaimKind, Counts, Opened, Opening, Save, Store};
use otodoke_common::time::Timestamp;

use crate::backend::{Factory, LIMITS};
use crate::contract;
use crate::sample::{
    MINUTE_MS, START, claim, claiming, ended, id, leg, loaded, message, opened, opening, provider, report, save, saved,
    spend, taken,
};

const NEVER: Timestamp = Timestamp::from_unix_ms(0);

contract![
    accepted_is_ended_and_live_together,
    counts_tell_what_is_due_and_for_how_long,
    a_pruned_message_leaves_nothing_behind,
    pruning_spares_what_lives_and_what_ended_lately,
    a_late_save_does_not_make_an_end_younger,
    pruning_goes_in_bounded_batches,
    claims_buckets_and_reports_that_are_over_go,
    a_setting_is_kept_replaced_and_deleted,
    settings_are_found_by_the_beginning_of_their_name,
];

async fn prune_ended(store: &dyn Store, ended_before: Timestamp, limit: usize) -> usize {
    store.prune(START, ended_before, NEVER, limit).await.expect("the store answers")
}

async fn accepted_is_ended_and_live_together(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    for number in 1..=5 {
        opened(&*backend.store, number).await;
    }
    for number in 1..=2 {
        let over = ended(loaded(&*backend.store, number).await);
        saved(&*backend.store, save(over)).await;
    }
    // One that was over before it began, as a parked one is.
    assert_eq!(backend.store.open(opening(ended(message(6)))).await, Ok(Opened::New));
    let counts = backend.store.counts(START).await.expect("the store answers");
    assert_eq!((counts.live, counts.ended), (3, 3));
}

async fn counts_tell_what_is_due_and_for_how_long(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    assert_eq!(backend.store.counts(START).await, Ok(Counts::default()));
    for (number, due_ms) in [(1, 100), (2, 400), (3, 900)] {
        let due = Some(START.plus_ms(due_ms));
        backend.store.open(opening(Message { due, ..message(number) })).await.expect("the store answers");
    }
    let counted = backend.store.counts(START.plus_ms(500)).await;
    assert_eq!(counted, Ok(Counts { live: 3, ended: 0, due: 2, inbox: 0, oldest_due_ms: 400, oldest_inbox_ms: 0 }));
    let early = backend.store.counts(START).await;
    assert_eq!(early, Ok(Counts { live: 3, ended: 0, due: 0, inbox: 0, oldest_due_ms: 0, oldest_inbox_ms: 0 }));
}

async fn a_pruned_message_leaves_nothing_behind(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let key = || claim(ClaimKind::Key, 1);
    assert_eq!(backend.store.open(claiming(1, key(), START)).await, Ok(Opened::New));
    let mut over = ended(loaded(&*backend.store, 1).await);
    over.legs.push(leg(1, Some("ref-1")));
    over.due = Some(START.plus_ms(MINUTE_MS));
    saved(&*backend.store, save(over)).await;
    assert!(prune_ended(&*backend.store, START.plus_ms(MINUTE_MS), 10).await > 0, "something went");
    assert_eq!(backend.store.load(id(1)).await, Ok(None));
    assert_eq!(backend.store.journal(id(1)).await, Ok(Vec::new()));
    assert_eq!(backend.store.by_reference(&provider(), "ref-1").await, Ok(None));
    assert_eq!(backend.store.due(START.plus_ms(2 * MINUTE_MS), 9, 1).await, Ok(Vec::new()));
    assert_eq!(backend.store.counts(START).await, Ok(Counts::default()));
    assert_eq!(backend.store.open(claiming(2, key(), START)).await, Ok(Opened::New), "nobody holds the key");
}

async fn pruning_spares_what_lives_and_what_ended_lately(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    opened(&*backend.store, 1).await;
    let over = ended(opened(&*backend.store, 2).await);
    let ended_at = START.plus_ms(1_000);
    saved(&*backend.store, Save { at: ended_at, ..save(over) }).await;
    assert_eq!(prune_ended(&*backend.store, ended_at, 10).await, 0);
    assert_eq!(prune_ended(&*backend.store, ended_at.plus_ms(1), 10).await, 1);
    assert_eq!(prune_ended(&*backend.store, START.plus_ms(u64::MAX), 10).await, 0);
    assert_eq!(loaded(&*backend.store, 1).await.id, id(1));
}

async fn a_late_save_does_not_make_an_end_younger(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let over = ended(opened(&*backend.store, 1).await);
    let over = saved(&*backend.store, Save { at: START, ..save(over) }).await;
    saved(&*backend.store, Save { at: START.plus_ms(60 * MINUTE_MS), ..save(over) }).await;
    assert_eq!(prune_ended(&*backend.store, START.plus_ms(1), 10).await, 1);
}

async fn pruning_goes_in_bounded_batches(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    for number in 1..=5 {
        assert_eq!(backend.store.open(opening(ended(message(number)))).await, Ok(Opened::New));
    }
    let mut gone = Vec::new();
    for _ in 0..4 {
        gone.push(prune_ended(&*backend.store, START.plus_ms(1), 2).await);
    }
    assert_eq!(gone, [2, 2, 1, 0]);
}

async fn claims_buckets_and_reports_that_are_over_go(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let opening = Opening { spends: vec![spend(1, 1)], ..claiming(1, claim(ClaimKind::Key, 1), START) };
    assert_eq!(backend.store.open(opening).await, Ok(Opened::New));
    let kept = Report { at: START.plus_ms(5), ..report("ref-2", ReportStatus::Delivered) };
    for one in [&report("ref-1", ReportStatus::Delivered), &kept] {
        backend.store.inbox_put(one).await.expect("there is room");
    }
    let prune = async |now: Timestamp, inbox_before| backend.store.prune(now, NEVER, inbox_before, 10).await;
    assert_eq!(prune(START, START).await, Ok(0), "all of it still counts");
    assert_eq!(prune(START.plus_ms(MINUTE_MS), START).await, Ok(1), "the bucket is over");
    assert_eq!(prune(claim(ClaimKind::Key, 1).until, START).await, Ok(1), "the claim is over");
    assert_eq!(prune(START, START.plus_ms(5)).await, Ok(1), "the older report is over");
    assert_eq!(taken(&*backend.store, &provider(), "ref-2").await, Ok(vec![kept]));
}

async fn a_setting_is_kept_replaced_and_deleted(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let store = &backend.store;
    assert_eq!(store.setting("key/1").await, Ok(None));
    for value in ["one", "two\0'\u{5c4a}"] {
        assert_eq!(store.setting_put("key/1", Some(value)).await, Ok(()));
        assert_eq!(store.setting("key/1").await, Ok(Some(value.to_owned())));
    }
    assert_eq!(store.setting_put("key/1", None).await, Ok(()));
    assert_eq!(store.setting("key/1").await, Ok(None));
}

async fn settings_are_found_by_the_beginning_of_their_name(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    for name in ["key/b", "key/a", "kez", "key", "key/%", "revoked/k1"] {
        backend.store.setting_put(name, Some(name)).await.expect("the store answers");
    }
    let found = async |prefix| {
        let settings = backend.store.settings(prefix).await.expect("the store answers");
        settings.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(found("key/").await, ["key/%", "key/a", "key/b"]);
    assert_eq!(found("key/%").await, ["key/%"]);
    assert_eq!(found("_").await, Vec::<String>::new());
    assert_eq!(found("").await.len(), 6);
}
