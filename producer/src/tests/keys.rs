//! API keys: believed for a short while, longer while nobody can be asked, and looked up one after the other.

use serde_json::json;

use super::bed::{NUMBER, advance_ms, bed_that_knows_its_key, unavailable};
use crate::auth::{KEY_FRESH_MS, KEY_STALE_MS_MAX, STRANGERS_ASKED_MAX, STRANGERS_WAITING_MAX, key_setting};

#[tokio::test(start_paused = true)]
async fn a_revoked_key_stops_working_within_its_freshness() {
    let bed = bed_that_knows_its_key().await;
    let setting = key_setting(bed.key.strip_prefix("Bearer ").expect("a bearer key"));
    bed.door.desk.store.setting_put(&setting, None).await.expect("the store");
    advance_ms(KEY_FRESH_MS).await;
    let reply = bed.post("/v1/verifications", &json!({"to": NUMBER, "purpose": "login"})).await;
    assert_eq!(reply.problem().0, 401);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_only_has_much_to_do_lets_no_revoked_key_work_on() {
    let bed = bed_that_knows_its_key().await;
    let body = json!({"to": NUMBER, "purpose": "login"});
    advance_ms(KEY_FRESH_MS).await;
    bed.memory.faults().crowd_settings(1);
    assert_eq!(bed.post("/v1/verifications", &body).await.problem(), unavailable());
    bed.post("/v1/verifications", &body).await.accepted();
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_keys_that_nobody_knows_holds_up_no_key_that_was_seen() {
    let bed = bed_that_knows_its_key().await;
    let keys = &bed.door.hands.keys;
    let all = u32::try_from(STRANGERS_ASKED_MAX).expect("a small limit");
    let flood = keys.strangers.acquire_many(all).await.expect("nobody closes it");
    let (body, stranger) = (json!({"to": NUMBER, "purpose": "login"}), [("authorization", "Bearer otk_unheard_of")]);
    let refused = bed.post_with("/v1/verifications", &body, &stranger).await;
    assert_eq!((refused.problem(), refused.header("retry-after")), ((503, "busy".to_owned(), None), Some("1")));
    advance_ms(KEY_FRESH_MS).await;
    bed.post("/v1/verifications", &body).await.accepted();
    let waiting = keys.waiting.acquire_many(u32::try_from(STRANGERS_WAITING_MAX).expect("not that many"));
    let waiting = waiting.await.expect("nobody closes it");
    let began = tokio::time::Instant::now();
    let refused = bed.post_with("/v1/verifications", &body, &stranger).await;
    assert_eq!((refused.problem().0, began.elapsed().as_millis()), (503, 0), "it takes no place while so many wait");
    drop((waiting, flood));
    assert_eq!(bed.post_with("/v1/verifications", &body, &stranger).await.problem().0, 401);
}

#[tokio::test(start_paused = true)]
async fn with_the_store_away_only_keys_seen_lately_work() {
    let bed = bed_that_knows_its_key().await;
    bed.memory.faults().set_store_away(true);
    let stranger = [("authorization", bed.stranger_key.as_str())];
    let body = json!({"to": NUMBER, "purpose": "login"});
    assert_eq!(bed.post_with("/v1/verifications", &body, &stranger).await.problem(), unavailable());
    advance_ms(KEY_STALE_MS_MAX - 1).await;
    bed.post("/v1/verifications", &body).await.accepted();
    advance_ms(1).await;
    assert_eq!(bed.post("/v1/verifications", &body).await.problem(), unavailable());
}
