//! What only one message may hold at a time.

use std::sync::Arc;

use otodoke_common::store::{ClaimKind, Holder, Opened, Opening};
use tokio::task::JoinSet;

use crate::backend::{Factory, LIMITS};
use crate::contract;
use crate::sample::{MINUTE_MS, START, claim, claiming, ended, id, loaded, message, opening, save, saved, spend, tag};

const BOTH: [ClaimKind; 2] = [ClaimKind::Key, ClaimKind::Living];

contract![
    a_claim_is_held_against_the_same_request,
    a_claim_with_another_fingerprint_is_a_conflict,
    a_claim_whose_time_is_over_is_free,
    a_living_claim_is_free_once_its_message_ended,
    a_key_is_held_beyond_the_end_of_its_message,
    an_opening_that_joins_claims_its_key_for_the_message_it_joins,
    a_freed_claim_belongs_to_whoever_takes_it_next,
    a_repeat_whose_claim_another_took_is_a_repeat_and_takes_nothing,
    a_held_claim_is_told_before_a_spend_over_its_limit,
    a_refused_opening_leaves_no_claim,
    the_holder_of_a_claim_is_told_without_claiming,
    of_many_openings_with_one_claim_one_is_new,
];

async fn a_claim_is_held_against_the_same_request(factory: &impl Factory) {
    for kind in BOTH {
        let backend = factory.fresh(LIMITS);
        assert_eq!(backend.store.open(claiming(1, claim(kind, 1), START)).await, Ok(Opened::New));
        let by = Box::new(loaded(&*backend.store, 1).await);
        assert_eq!(backend.store.open(claiming(2, claim(kind, 1), START)).await, Ok(Opened::Held { kind, by }));
        assert_eq!(backend.store.load(id(2)).await, Ok(None));
    }
}

async fn a_claim_with_another_fingerprint_is_a_conflict(factory: &impl Factory) {
    for kind in BOTH {
        let backend = factory.fresh(LIMITS);
        assert_eq!(backend.store.open(claiming(1, claim(kind, 1), START)).await, Ok(Opened::New));
        let conflict = Opened::Conflict { kind, by: id(1) };
        assert_eq!(backend.store.open(claiming(2, claim(kind, 2), START)).await, Ok(conflict));
        assert_eq!(backend.store.load(id(2)).await, Ok(None));
    }
}

async fn a_claim_whose_time_is_over_is_free(factory: &impl Factory) {
    for kind in BOTH {
        let backend = factory.fresh(LIMITS);
        assert_eq!(backend.store.open(claiming(1, claim(kind, 1), START)).await, Ok(Opened::New));
        let until = claim(kind, 1).until;
        let early = backend.store.open(claiming(2, claim(kind, 1), until.minus_ms(1))).await;
        assert!(matches!(early, Ok(Opened::Held { .. })), "{kind:?} is held to its last millisecond");
        assert_eq!(backend.store.open(claiming(2, claim(kind, 1), until)).await, Ok(Opened::New));
    }
}

async fn the_holder_of_a_claim_is_told_without_claiming(factory: &impl Factory) {
    for kind in BOTH {
        let backend = factory.fresh(LIMITS);
        let wanted = claim(kind, 1);
        let holder = async |at| backend.store.holder(kind, wanted.tag, at).await;
        assert_eq!(holder(START).await, Ok(None));
        assert_eq!(backend.store.open(claiming(1, claim(kind, 1), START)).await, Ok(Opened::New));
        let held = Ok(Some(Holder { by: id(1), fingerprint: wanted.fingerprint }));
        assert_eq!([holder(START).await, holder(wanted.until.minus_ms(1)).await], [held.clone(), held]);
        assert_eq!(holder(wanted.until).await, Ok(None), "its time is over");
        let other = BOTH.into_iter().find(|other| *other != kind).expect("there are two kinds");
        assert_eq!(backend.store.holder(other, wanted.tag, START).await, Ok(None), "kinds are apart");
    }
}

async fn a_living_claim_is_free_once_its_message_ended(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let living = || claim(ClaimKind::Living, 1);
    assert_eq!(backend.store.open(claiming(1, living(), START)).await, Ok(Opened::New));
    let over = ended(loaded(&*backend.store, 1).await);
    saved(&*backend.store, save(over)).await;
    assert_eq!(backend.store.open(claiming(2, living(), START)).await, Ok(Opened::New));
    let by = Box::new(loaded(&*backend.store, 2).await);
    let held = Opened::Held { kind: ClaimKind::Living, by };
    assert_eq!(backend.store.open(claiming(3, living(), START)).await, Ok(held));
}

async fn a_key_is_held_beyond_the_end_of_its_message(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let key = || claim(ClaimKind::Key, 1);
    assert_eq!(backend.store.open(claiming(1, key(), START)).await, Ok(Opened::New));
    let over = ended(loaded(&*backend.store, 1).await);
    let by = Box::new(saved(&*backend.store, save(over)).await);
    let again = backend.store.open(claiming(2, key(), START)).await;
    assert_eq!(again, Ok(Opened::Held { kind: ClaimKind::Key, by }));
}

async fn an_opening_that_joins_claims_its_key_for_the_message_it_joins(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let (living, key) = (claim(ClaimKind::Living, 1), claim(ClaimKind::Key, 1));
    assert_eq!(backend.store.open(claiming(1, living.clone(), START)).await, Ok(Opened::New));
    let joining =
        |number| Opening { claims: vec![key.clone(), living.clone()], ..claiming(number, key.clone(), START) };
    let by = Box::new(loaded(&*backend.store, 1).await);
    assert_eq!(backend.store.open(joining(2)).await, Ok(Opened::Held { kind: ClaimKind::Living, by: by.clone() }));
    assert_eq!(backend.store.open(joining(3)).await, Ok(Opened::Held { kind: ClaimKind::Key, by }));
    let other = backend.store.open(claiming(4, claim(ClaimKind::Key, 2), START)).await;
    assert_eq!(other, Ok(Opened::Conflict { kind: ClaimKind::Key, by: id(1) }));
    let over = ended(loaded(&*backend.store, 1).await);
    let by = Box::new(saved(&*backend.store, save(over)).await);
    assert_eq!(backend.store.open(joining(5)).await, Ok(Opened::Held { kind: ClaimKind::Key, by }));
}

/// A late save of a message that has ended must not free what another message holds by now.
async fn a_freed_claim_belongs_to_whoever_takes_it_next(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let living = || claim(ClaimKind::Living, 1);
    let until = living().until;
    assert_eq!(backend.store.open(claiming(1, living(), START)).await, Ok(Opened::New));
    let longer = otodoke_common::store::Claim { until: until.plus_ms(MINUTE_MS), ..living() };
    assert_eq!(backend.store.open(claiming(2, longer, until)).await, Ok(Opened::New));
    let over = ended(loaded(&*backend.store, 1).await);
    saved(&*backend.store, save(over)).await;
    let third = backend.store.open(claiming(3, living(), until)).await;
    assert!(matches!(third, Ok(Opened::Held { by, .. }) if by.id == id(2)), "the second message holds it");
}

async fn a_repeat_whose_claim_another_took_is_a_repeat_and_takes_nothing(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let living = || claim(ClaimKind::Living, 1);
    assert_eq!(backend.store.open(claiming(1, living(), START)).await, Ok(Opened::New));
    let stored = saved(&*backend.store, save(ended(loaded(&*backend.store, 1).await))).await;
    assert_eq!(backend.store.open(claiming(2, living(), START)).await, Ok(Opened::New));
    let again = Opening { claims: vec![claim(ClaimKind::Key, 2), living()], ..claiming(1, living(), START) };
    assert_eq!(backend.store.open(again).await, Ok(Opened::Repeat(Box::new(stored))));
    // It did not join the message that holds its claim now: the key is free.
    assert_eq!(backend.store.open(claiming(3, claim(ClaimKind::Key, 2), START)).await, Ok(Opened::New));
}

async fn a_held_claim_is_told_before_a_spend_over_its_limit(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    assert_eq!(backend.store.open(claiming(1, claim(ClaimKind::Key, 1), START)).await, Ok(Opened::New));
    let costly = Opening { spends: vec![spend(1, 0)], ..claiming(2, claim(ClaimKind::Key, 1), START) };
    assert!(matches!(backend.store.open(costly).await, Ok(Opened::Held { .. })), "a repeat is never over a limit");
}

async fn a_refused_opening_leaves_no_claim(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let key = || claim(ClaimKind::Key, 1);
    let costly = Opening { spends: vec![spend(1, 0)], ..claiming(1, key(), START) };
    assert!(matches!(backend.store.open(costly).await, Ok(Opened::OverLimit { .. })), "over its limit");
    assert_eq!(backend.store.open(claiming(2, key(), START)).await, Ok(Opened::New));
}

async fn of_many_openings_with_one_claim_one_is_new(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let mut callers = JoinSet::new();
    for number in 1..=200 {
        let store = Arc::clone(&backend.store);
        let asked = claiming(number, claim(ClaimKind::Living, 1), START);
        callers.spawn(async move { store.open(asked).await });
    }
    let (mut new, mut held, mut other) = (0, Vec::new(), Vec::new());
    for answer in callers.join_all().await {
        match answer.expect("the store answers") {
            Opened::New => new += 1,
            Opened::Held { by, .. } => held.push(by.id),
            odd @ (Opened::Repeat(_) | Opened::Conflict { .. } | Opened::OverLimit { .. }) => other.push(odd),
        }
    }
    assert_eq!(other, []);
    assert_eq!((new, held.len()), (1, 199));
    assert!(held.windows(2).all(|pair| pair[0] == pair[1]), "all are held by the same message");
    assert_eq!(backend.store.counts(START).await.expect("the store answers").live, 1);
    // Others are free to hold what is theirs.
    let other = otodoke_common::store::Claim { tag: tag(901), ..claim(ClaimKind::Living, 1) };
    let free = Opening { claims: vec![other], ..opening(message(500)) };
    assert_eq!(backend.store.open(free).await, Ok(Opened::New));
}
