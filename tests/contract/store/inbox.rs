//! Reports that came before their leg was known wait, bounded, until somebody asks for their reference.

use otodoke_common::leg::ProviderId;
use otodoke_common::outcome::ReportStatus;
use otodoke_common::store::StoreError;

use crate::backend::{Factory, LIMITS, Limits};
use crate::contract;
use crate::sample::{START, provider, report, taken};

contract![
    a_report_waits_until_its_reference_is_asked_for,
    a_report_stays_until_it_is_dropped,
    reports_of_one_reference_come_in_the_order_they_were_put,
    the_same_report_put_twice_waits_once,
    a_full_inbox_says_so_and_takes_again_once_there_is_room,
    a_report_that_waits_already_fits_into_a_full_inbox,
];

async fn a_report_waits_until_its_reference_is_asked_for(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let store = &backend.store;
    let waiting = report("ref-1", ReportStatus::Delivered);
    store.inbox_put(&waiting).await.expect("there is room");
    assert_eq!(store.counts(START).await.expect("the store answers").inbox, 1);
    let other = ProviderId::parse("fuji").expect("a provider");
    assert_eq!(taken(&**store, &other, "ref-1").await, Ok(Vec::new()));
    assert_eq!(taken(&**store, &provider(), "ref-2").await, Ok(Vec::new()));
    assert_eq!(taken(&**store, &provider(), "ref-1").await, Ok(vec![waiting]));
    assert_eq!(taken(&**store, &provider(), "ref-1").await, Ok(Vec::new()), "it was taken out");
    assert_eq!(store.counts(START).await.expect("the store answers").inbox, 0);
}

async fn a_report_stays_until_it_is_dropped(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let store = &backend.store;
    let [first, second] = [ReportStatus::Underway { reference: None, at_operator: false }, ReportStatus::Delivered]
        .map(|status| report("ref-1", status));
    for one in [&first, &second] {
        store.inbox_put(one).await.expect("there is room");
    }
    let both = vec![first.clone(), second.clone()];
    assert_eq!(store.inbox_read(&provider(), "ref-1").await, Ok(both.clone()));
    assert_eq!(store.inbox_read(&provider(), "ref-1").await, Ok(both), "whoever read them may have died");
    for _ in 0..2 {
        assert_eq!(store.inbox_drop(&first).await, Ok(()));
    }
    assert_eq!(store.inbox_read(&provider(), "ref-1").await, Ok(vec![second]), "nobody has seen this one");
    assert_eq!(store.counts(START).await.expect("the store answers").inbox, 1);
}

async fn reports_of_one_reference_come_in_the_order_they_were_put(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let reports = [
        report("ref-1", ReportStatus::Delivered),
        report("ref-1", ReportStatus::Underway { reference: None, at_operator: false }),
        report("ref-1", ReportStatus::Hint),
    ];
    for one in &reports {
        backend.store.inbox_put(one).await.expect("there is room");
    }
    assert_eq!(taken(&*backend.store, &provider(), "ref-1").await, Ok(reports.to_vec()));
}

async fn the_same_report_put_twice_waits_once(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let one = report("ref-1", ReportStatus::Delivered);
    backend.store.inbox_put(&one).await.expect("there is room");
    backend.store.inbox_put(&one).await.expect("there is room");
    assert_eq!(taken(&*backend.store, &provider(), "ref-1").await, Ok(vec![one]));
}

async fn a_full_inbox_says_so_and_takes_again_once_there_is_room(factory: &impl Factory) {
    let backend = factory.fresh(Limits { inbox_max: 2, ..LIMITS });
    let put = async |reference| backend.store.inbox_put(&report(reference, ReportStatus::Delivered)).await;
    assert_eq!(put("ref-1").await, Ok(()));
    assert_eq!(put("ref-2").await, Ok(()));
    for _ in 0..5 {
        assert!(matches!(put("ref-3").await, Err(StoreError::Full { limit: 2, .. })), "the inbox is full");
    }
    taken(&*backend.store, &provider(), "ref-1").await.expect("the store answers");
    assert_eq!(put("ref-3").await, Ok(()));
    assert!(matches!(put("ref-4").await, Err(StoreError::Full { limit: 2, .. })), "it is full again");
}

async fn a_report_that_waits_already_fits_into_a_full_inbox(factory: &impl Factory) {
    let backend = factory.fresh(Limits { inbox_max: 1, ..LIMITS });
    let one = report("ref-1", ReportStatus::Delivered);
    for _ in 0..3 {
        assert_eq!(backend.store.inbox_put(&one).await, Ok(()), "a provider that repeats itself is not refused");
    }
    assert_eq!(backend.store.counts(START).await.expect("the store answers").inbox, 1);
}
