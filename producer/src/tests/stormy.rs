//! Bad days: the store away, the broker away or silent, commits of unknown outcome. Nothing accepted is lost.

use std::sync::Arc;

use async_trait::async_trait;
use axum::http::{Method, StatusCode};
use otodoke_common::broker::{Backlog, Broker, BrokerError, Delivery, Parked, Queue, Unpark};
use otodoke_common::bucket::Spend;
use otodoke_common::desk::{Committed, Routing};
use otodoke_common::leg::Channel;
use otodoke_common::lifecycle::Event;
use otodoke_common::message::{Lane, MessageId};
use otodoke_common::policy::SWEEP_RELEASE_PER_S;
use otodoke_common::wire::LaneMessage;
use serde_json::json;

use super::bed::{Bed, NUMBER, OTHER_NUMBER, advance_ms, bed_that_knows_its_key, payment, unavailable};
use crate::LaneWindows;
use crate::spill::SPILLED_MAX;

const NORMAL: Queue = Queue::Lane(Lane::Normal);

#[tokio::test(start_paused = true)]
async fn with_the_store_away_the_broker_carries_the_whole_opening() {
    let bed = bed_that_knows_its_key().await;
    bed.memory.faults().set_store_away(true);
    let id = bed.post("/v1/verifications", &json!({"to": NUMBER, "purpose": "login"})).await.accepted();
    bed.memory.faults().set_store_away(false);
    let body = bed.taken(NORMAL).await;
    let LaneMessage::Send(opening) = LaneMessage::decode(&body).expect("a lane message") else { panic!("a wake") };
    assert_eq!((opening.message.id, opening.claims.len(), opening.spends.len()), (id, 1, 3));
    assert!(!String::from_utf8(body).expect("JSON").contains("9012345678"));
}

#[tokio::test(start_paused = true)]
async fn with_the_store_away_a_payment_is_refused() {
    let bed = bed_that_knows_its_key().await;
    bed.memory.faults().set_store_away(true);
    let reply = bed.post("/v1/verifications", &payment("12000")).await;
    assert_eq!(reply.problem(), unavailable());
    assert!(reply.header("retry-after").is_some());
    assert_eq!(bed.waiting(Queue::Lane(Lane::Critical)), 0);
}

#[tokio::test(start_paused = true)]
async fn with_the_broker_away_the_row_is_due_now() {
    let bed = Bed::new().await;
    bed.memory.faults().set_broker_away(true);
    let id = bed.login().await;
    assert_eq!(bed.load(id).await.due, Some(bed.door.now()));
}

/// What was accepted waits for the sweep as well, and whoever would wait for too long is told so.
#[tokio::test(start_paused = true)]
async fn with_the_broker_away_what_the_sweep_could_not_send_in_time_is_refused() {
    let bed = Bed::new().await;
    bed.memory.faults().set_broker_away(true);
    bed.login().await;
    assert_eq!(bed.door.spill.wait_ms(bed.door.now()), 1_000 / u64::from(SWEEP_RELEASE_PER_S));
    (0..300 * SWEEP_RELEASE_PER_S).for_each(|_| bed.door.spill.add(bed.door.now()));
    let told = bed.get("/metrics").await.text;
    assert!(told.contains("otp_expected_wait_seconds{lane=\"normal\"} 300.002\n"), "{told}");
    let other = json!({"to": OTHER_NUMBER, "purpose": "login", "ttl_seconds": 300});
    assert_eq!(bed.post("/v1/verifications", &other).await.problem(), (503, "busy".to_owned(), None));
    advance_ms(60_000).await;
    bed.post("/v1/verifications", &other).await.accepted();
    (0..SPILLED_MAX).for_each(|_| bed.door.spill.add(bed.door.now()));
    bed.memory.faults().set_broker_away(false);
    let notice = json!({"to": OTHER_NUMBER, "text": "Gate 7 is closed.", "ttl_seconds": 36_000});
    assert_eq!(bed.post("/v1/messages", &notice).await.problem(), (503, "busy".to_owned(), None), "however useful");
    assert_eq!(bed.get("/readyz").await.status, StatusCode::SERVICE_UNAVAILABLE, "it takes nothing");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_answers_and_takes_nothing_is_told_by_readiness_until_it_takes_something() {
    let bed = bed_that_knows_its_key().await;
    bed.memory.faults().lose_and_report_unknown(1);
    bed.login().await;
    let said = bed.get("/readyz").await.text;
    assert!(said.contains("the store answers, but the last write failed"), "{said}");
    let other = json!({"to": OTHER_NUMBER, "purpose": "login"});
    bed.post("/v1/verifications", &other).await.accepted();
    // A look is shared by those who ask within a moment.
    advance_ms(10_000).await;
    let said = bed.get("/readyz").await.text;
    assert!(!said.contains("write"), "{said}");
    bed.memory.faults().apply_but_report_unknown(1);
    bed.post("/v1/verifications", &json!({"to": OTHER_NUMBER, "purpose": "signup"})).await.accepted();
    advance_ms(10_000).await;
    let said = bed.get("/readyz").await.text;
    assert!(!said.contains("write"), "it was looked for and found: {said}");
}

#[tokio::test(start_paused = true)]
async fn what_went_to_its_lane_waits_for_no_sweep() {
    let bed = Bed::new().await;
    bed.login().await;
    assert_eq!(bed.door.spill.wait_ms(bed.door.now()), 0);
}

#[tokio::test(start_paused = true)]
async fn a_row_made_due_by_a_commit_of_unknown_outcome_is_looked_up() {
    let bed = bed_that_knows_its_key().await;
    bed.memory.faults().set_broker_away(true);
    // Its opening, and that it is due.
    bed.memory.faults().apply_but_report_unknown(2);
    let id = bed.login().await;
    assert_eq!(bed.load(id).await.due, Some(bed.door.now()));
}

#[tokio::test(start_paused = true)]
async fn with_both_away_nothing_is_accepted() {
    let bed = bed_that_knows_its_key().await;
    bed.memory.faults().set_store_away(true);
    bed.memory.faults().set_broker_away(true);
    let reply = bed.post("/v1/verifications", &json!({"to": NUMBER, "purpose": "login"})).await;
    assert_eq!(reply.problem(), unavailable());
}

/// A queue in the same file as the rows.
struct OneFile(Arc<dyn Broker>);

#[async_trait]
impl Broker for OneFile {
    async fn publish(&self, queue: Queue, body: Vec<u8>) -> Result<(), BrokerError> {
        self.0.publish(queue, body).await
    }

    async fn take(&self, queue: Queue) -> Result<Delivery, BrokerError> {
        self.0.take(queue).await
    }

    fn backlog(&self, queue: Queue) -> Backlog {
        self.0.backlog(queue)
    }

    fn outlives_the_store(&self) -> bool {
        false
    }

    async fn parked(&self, limit: usize) -> Result<Vec<Parked>, BrokerError> {
        self.0.parked(limit).await
    }

    async fn unpark(&self, parked_id: i64, how: Unpark) -> Result<bool, BrokerError> {
        self.0.unpark(parked_id, how).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_with_its_queue_beside_it_accepts_nothing() {
    let bed = Bed::with(|door| door.broker = Arc::new(OneFile(Arc::clone(&door.broker)))).await;
    bed.login().await;
    bed.taken(Queue::Lane(Lane::Normal)).await;
    bed.memory.faults().set_store_away(true);
    let other = json!({"to": OTHER_NUMBER, "purpose": "login"});
    assert_eq!(bed.post("/v1/verifications", &other).await.problem(), unavailable());
    assert_eq!(bed.waiting(Queue::Lane(Lane::Normal)), 0, "nothing travels that no row will come of");
}

/// A broker that takes a body and never says so.
struct Silent;

#[async_trait]
impl Broker for Silent {
    async fn publish(&self, _: Queue, _: Vec<u8>) -> Result<(), BrokerError> {
        std::future::pending().await
    }

    async fn take(&self, _: Queue) -> Result<Delivery, BrokerError> {
        std::future::pending().await
    }

    fn backlog(&self, _: Queue) -> Backlog {
        Backlog { waiting: 0, ahead: 0, drained_per_s: None }
    }

    async fn parked(&self, _: usize) -> Result<Vec<Parked>, BrokerError> {
        Ok(Vec::new())
    }

    async fn unpark(&self, _: i64, _: Unpark) -> Result<bool, BrokerError> {
        Ok(false)
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_never_confirms_leaves_the_row_due() {
    let bed = Bed::with(|door| door.broker = Arc::new(Silent)).await;
    let id = bed.login().await;
    assert_eq!(bed.load(id).await.due, Some(bed.door.now()));
}

#[tokio::test(start_paused = true)]
async fn a_commit_of_unknown_outcome_that_happened_is_one_message() {
    let bed = Bed::new().await;
    bed.memory.faults().apply_but_report_unknown(1);
    let id = bed.post("/v1/verifications", &payment("12000")).await.accepted();
    assert_eq!(Bed::woken(&bed.taken(Queue::Lane(Lane::Critical)).await), id);
    assert_eq!(bed.load(id).await.id, id);
}

#[tokio::test(start_paused = true)]
async fn a_commit_of_unknown_outcome_that_did_not_happen_is_as_a_store_away() {
    let bed = Bed::new().await;
    bed.memory.faults().lose_and_report_unknown(1);
    assert_eq!(bed.post("/v1/verifications", &payment("12000")).await.problem(), unavailable());
    bed.memory.faults().lose_and_report_unknown(1);
    bed.login().await;
    assert!(matches!(LaneMessage::decode(&bed.taken(NORMAL).await), Ok(LaneMessage::Send(_))));
}

#[tokio::test(start_paused = true)]
async fn a_check_that_cannot_be_paid_says_nothing_about_the_code() {
    let bed = Bed::new().await;
    let id = bed.sent_login().await;
    let (right, wrong) = (bed.code(id).await, bed.wrong_code(id).await);
    let mut seen = std::collections::BTreeSet::new();
    bed.memory.faults().set_store_away(true);
    for code in [&right, &wrong] {
        let reply = bed.check(id, code).await;
        assert_eq!(reply.problem(), unavailable());
        seen.insert(reply.text);
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
    bed.memory.faults().set_store_away(false);
    assert_eq!(bed.check(id, &right).await.word("status"), "verified");
}

#[tokio::test(start_paused = true)]
async fn a_guess_whose_commit_has_an_unknown_outcome_is_paid_once() {
    let bed = Bed::new().await;
    let id = bed.sent_login().await;
    let wrong = bed.wrong_code(id).await;
    bed.memory.faults().lose_and_report_unknown(1);
    assert_eq!(bed.check(id, &wrong).await.json()["guesses_left"], json!(4));
    bed.memory.faults().apply_but_report_unknown(1);
    assert_eq!(bed.check(id, &wrong).await.json()["guesses_left"], json!(3));
}

#[tokio::test(start_paused = true)]
async fn of_two_guesses_paid_from_one_row_an_unknown_outcome_gives_none_away() {
    let bed = Bed::new().await;
    let desk = &bed.door.desk;
    let before = bed.load(bed.sent_login().await).await;
    let spend = [Spend { bucket: desk.vault.guesses_bucket(&before), cost: 1, limit: 10, window_ms: 1_000 }];
    let paying = || desk.decide(&before, &Event::GuessPaid, &Routing::ELSEWHERE);
    assert!(matches!(desk.save(&before, paying(), &spend).await, Ok(Committed::Done(_))));
    bed.memory.faults().lose_and_report_unknown(1);
    assert!(matches!(desk.save(&before, paying(), &spend).await, Ok(Committed::Lost)), "the row shows the other's");
}

#[tokio::test(start_paused = true)]
async fn a_resend_whose_wake_is_lost_is_due_now() {
    let bed = Bed::new().await;
    let id = bed.sent_login().await;
    advance_ms(20_000).await;
    bed.memory.faults().set_broker_away(true);
    let reply = bed.post(&format!("/v1/verifications/{id}/resend"), &json!({})).await;
    assert_eq!(reply.json()["leg"], json!(true), "{}", reply.text);
    assert_eq!(bed.load(id).await.due, Some(bed.door.now()));
}

#[tokio::test(start_paused = true)]
async fn a_receipt_that_cannot_be_kept_is_not_acknowledged() {
    let bed = Bed::new().await;
    bed.memory.faults().set_broker_away(true);
    let proof = [("x-proof", "https://otp.example.com/receipts/kodama")];
    let reply = bed.raw(Method::POST, "/receipts/kodama", &proof, b"one".to_vec()).await;
    assert_eq!(reply.problem(), unavailable());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_asks_while_the_store_is_away_says_goodbye() {
    let bed = Bed::new().await;
    let id = bed.login().await;
    let leg = bed.begin(id, Channel::Voice).await;
    let path = format!("/voice/kodama/{leg}/{}", bed.door.desk.vault.leg_tag(id, leg).as_str());
    bed.memory.faults().set_store_away(true);
    let proof = format!("https://otp.example.com{path}");
    let reply = bed.raw(Method::POST, &path, &[("x-proof", &proof)], b"answered".to_vec()).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert!(reply.text.ends_with("| hang up"), "{}", reply.text);
}

#[tokio::test(start_paused = true)]
async fn a_door_without_its_store_accepts_and_says_what_it_does_without() {
    let bed = bed_that_knows_its_key().await;
    bed.memory.faults().set_store_away(true);
    let reply = bed.get("/readyz").await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "it has never met its store: {}", reply.text);
    bed.memory.faults().set_store_away(false);
    assert_eq!(bed.get("/readyz").await.status, StatusCode::OK);
    bed.memory.faults().set_store_away(true);
    let reply = bed.get("/readyz").await;
    assert_eq!((reply.status, &reply.json()["ready"]), (StatusCode::OK, &json!(true)), "{}", reply.text);
    assert!(reply.text.contains("the store cannot be used now"), "{}", reply.text);
    bed.login().await;
    bed.memory.faults().set_broker_away(true);
    let reply = bed.get("/readyz").await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    let reasons = reply.json()["reasons"].as_array().map(Vec::len);
    assert_eq!(reasons, Some(2), "{}", reply.text);
}

#[tokio::test(start_paused = true)]
async fn a_door_without_its_broker_accepts_and_says_what_it_does_without() {
    let bed = Bed::new().await;
    bed.memory.faults().set_broker_away(true);
    let reply = bed.get("/readyz").await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "it has never met its broker: {}", reply.text);
    bed.memory.faults().set_broker_away(false);
    assert_eq!(bed.get("/readyz").await.status, StatusCode::OK);
    bed.memory.faults().set_broker_away(true);
    let reply = bed.get("/readyz").await;
    assert_eq!((reply.status, &reply.json()["ready"]), (StatusCode::OK, &json!(true)), "{}", reply.text);
    assert!(reply.text.contains(r#""reasons":["the broker cannot be used now"#), "{}", reply.text);
    bed.login().await;
}

#[tokio::test(start_paused = true)]
async fn a_full_lane_takes_the_door_from_nobody_and_when_all_are_full_it_is_not_ready() {
    let windows = LaneWindows { critical: 1, normal: 1, bulk: 1 };
    let bed = Bed::with(|door| door.windows = windows).await;
    for (lane, status) in [(Lane::Bulk, 200), (Lane::Critical, 200), (Lane::Normal, 503)] {
        let body = LaneMessage::Wake { id: MessageId::new(bed.door.now(), [1; 10]) }.encode();
        bed.door.broker.publish(Queue::Lane(lane), body).await.expect("memory takes it");
        let reply = bed.get("/readyz").await;
        assert_eq!((reply.status.as_u16(), &reply.json()["ready"]), (status, &json!(status == 200)), "{}", reply.text);
        let said = format!("lane {} is full: 1 of 1 messages wait", lane.word());
        assert!(reply.text.contains(&said), "{}", reply.text);
        if lane == Lane::Bulk {
            bed.post("/v1/verifications", &payment("12000")).await.accepted();
            bed.taken(Queue::Lane(Lane::Critical)).await;
        }
    }
}
