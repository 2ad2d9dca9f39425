//! A store that answers no more, and callers who hang up: what goes on without them keeps its place, and places are bounded.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use otodoke_common::leg::{LegNumber, ProviderId};
use otodoke_common::message::{Lane, Message, MessageId, Tag};
use otodoke_common::outcome::Report;
use otodoke_common::store::{ClaimKind, Counts, Holder, JournalEntry, Opened, Opening, Save, Saved, Store, StoreError};
use otodoke_common::time::Timestamp;
use serde_json::json;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use super::bed::{Bed, NUMBER, Reply};
use crate::hands::{ACCEPTING_NORMAL_MAX, Hands};

/// Places in these tests.
const PLACES: u32 = 2;
/// Callers more than there are places, each of whom hangs up soon.
const CALLERS: usize = 6;
const PATIENCE: Duration = Duration::from_secs(1);

/// A store whose saves and claims hang when it is told so. Rows can be read all the while, as where a standby has gone that
/// commits wait for.
struct Hanging {
    hangs: watch::Sender<bool>,
    in_hand: AtomicUsize,
    inner: Arc<dyn Store>,
}

impl Hanging {
    async fn pass(&self) {
        self.in_hand.fetch_add(1, Ordering::Relaxed);
        drop(self.hangs.subscribe().wait_for(|hangs| !hangs).await);
        self.in_hand.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many ask and got no answer. Who asks in these tests never leaves, though its caller does.
    fn in_hand(&self) -> usize {
        self.in_hand.load(Ordering::Relaxed)
    }
}

async fn bed(few: impl FnOnce(&mut Hands)) -> (Bed, Arc<Hanging>) {
    let mut store = None;
    let change = |door: &mut crate::Door| {
        let (hangs, in_hand) = (watch::Sender::new(false), AtomicUsize::new(0));
        let hanging = Arc::new(Hanging { hangs, in_hand, inner: Arc::clone(&door.desk.store) });
        door.desk.store = hanging.clone();
        few(&mut door.hands);
        store = Some(hanging);
    };
    let bed = Bed::with(change).await;
    (bed, store.expect("the bed was changed"))
}

/// What those were told who heard anything before they hung up.
async fn told(ask: impl AsyncFn() -> Reply) -> Vec<(u16, String)> {
    let mut told = Vec::new();
    for _ in 0..CALLERS {
        if let Ok(reply) = timeout(PATIENCE, ask()).await {
            let (status, code, _) = reply.problem();
            told.push((status, code));
        }
    }
    told
}

fn all_but_those_with_a_place_are_busy() -> Vec<(u16, String)> {
    vec![(503, "busy".to_owned()); CALLERS - PLACES as usize]
}

#[tokio::test(start_paused = true)]
async fn a_check_keeps_its_place_until_it_ends_whoever_hangs_up() {
    let (bed, store) = bed(|hands| hands.checks = Arc::new(Semaphore::new(PLACES as usize))).await;
    let id = bed.sent_login().await;
    let (right, wrong) = (bed.code(id).await, bed.wrong_code(id).await);
    store.hangs.send_replace(true);
    let told = told(async || bed.check(id, &wrong).await).await;
    assert_eq!((told, store.in_hand()), (all_but_those_with_a_place_are_busy(), PLACES as usize));
    assert_eq!(bed.get(&format!("/v1/verifications/{id}")).await.status.as_u16(), 200, "the door has room for others");
    store.hangs.send_replace(false);
    drop(bed.door.hands.checks.acquire_many(PLACES).await.expect("nobody closes it"));
    let reply = bed.check(id, &right).await.json();
    assert_eq!(reply, json!({"status": "verified", "verified": true, "guesses_left": 2}), "both guesses were judged");
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_that_may_be_a_repeat_keeps_its_place_until_it_ends_whoever_hangs_up() {
    let (bed, store) = bed(|hands| hands.repeats = Semaphore::new(PLACES as usize)).await;
    let body = json!({"to": NUMBER, "purpose": "login"});
    let ask = async || bed.post_with("/v1/verifications", &body, &[("idempotency-key", "order-1")]).await;
    let first = ask().await.accepted();
    let _full: Vec<_> = (0..ACCEPTING_NORMAL_MAX).map_while(|_| bed.door.hands.accepting(Lane::Critical)).collect();
    store.hangs.send_replace(true);
    assert_eq!((told(ask).await, store.in_hand()), (all_but_those_with_a_place_are_busy(), PLACES as usize));
    store.hangs.send_replace(false);
    drop(bed.door.hands.repeats.acquire_many(PLACES).await.expect("nobody closes it"));
    assert_eq!(ask().await.accepted(), first, "what was accepted stays accepted");
}

#[async_trait]
impl Store for Hanging {
    async fn save(&self, save: &Save) -> Result<Saved, StoreError> {
        self.pass().await;
        self.inner.save(save).await
    }
    async fn holder(&self, kind: ClaimKind, tag: Tag, now: Timestamp) -> Result<Option<Holder>, StoreError> {
        self.pass().await;
        self.inner.holder(kind, tag, now).await
    }
    async fn open(&self, opening: Opening) -> Result<Opened, StoreError> {
        self.inner.open(opening).await
    }
    async fn load(&self, id: MessageId) -> Result<Option<Message>, StoreError> {
        self.inner.load(id).await
    }
    async fn by_reference(
        &self,
        provider: &ProviderId,
        reference: &str,
    ) -> Result<Option<(MessageId, LegNumber)>, StoreError> {
        self.inner.by_reference(provider, reference).await
    }
    async fn of_number(&self, number: Tag, made: Range<Timestamp>, limit: usize) -> Result<Vec<Message>, StoreError> {
        self.inner.of_number(number, made, limit).await
    }
    async fn due(&self, now: Timestamp, limit: usize, lease_ms: u64) -> Result<Vec<Message>, StoreError> {
        self.inner.due(now, limit, lease_ms).await
    }
    async fn inbox_put(&self, report: &Report) -> Result<(), StoreError> {
        self.inner.inbox_put(report).await
    }
    async fn inbox_read(&self, provider: &ProviderId, reference: &str) -> Result<Vec<Report>, StoreError> {
        self.inner.inbox_read(provider, reference).await
    }
    async fn inbox_drop(&self, report: &Report) -> Result<(), StoreError> {
        self.inner.inbox_drop(report).await
    }
    async fn prune(
        &self,
        now: Timestamp,
        ended_before: Timestamp,
        inbox_before: Timestamp,
        limit: usize,
    ) -> Result<usize, StoreError> {
        self.inner.prune(now, ended_before, inbox_before, limit).await
    }
    async fn journal(&self, id: MessageId) -> Result<Vec<JournalEntry>, StoreError> {
        self.inner.journal(id).await
    }
    async fn counts(&self, now: Timestamp) -> Result<Counts, StoreError> {
        self.inner.counts(now).await
    }
    async fn setting_put(&self, name: &str, value: Option<&str>) -> Result<(), StoreError> {
        self.inner.setting_put(name, value).await
    }
    async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.inner.setting(name).await
    }
    async fn settings(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError> {
        self.inner.settings(prefix).await
    }
}
