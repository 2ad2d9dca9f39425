//! A second request for the same living thing joins the first: one message, one code.

use otodoke_common::broker::Queue;
use otodoke_common::lifecycle::Note;
use otodoke_common::message::{Lane, MessageId};
use otodoke_common::outcome::Reason;
use otodoke_common::policy::LINES_BESIDE_MAX;
use otodoke_common::wire::LaneMessage;
use serde_json::json;

use super::bed::{Bed, NUMBER, OTHER_NUMBER, advance_ms, payment};

#[tokio::test(start_paused = true)]
async fn an_equal_living_verification_is_joined() {
    let bed = Bed::new().await;
    let first = bed.login().await;
    let again = bed.post("/v1/verifications", &json!({"to": NUMBER, "purpose": "login"})).await;
    assert_eq!(again.accepted(), first);
    assert_eq!(again.json()["joined"], json!(true));
    let lane = Queue::Lane(Lane::Normal);
    let bodies = [bed.taken(lane).await, bed.taken(lane).await].map(|body| LaneMessage::decode(&body));
    assert!(matches!(&bodies[0], Ok(LaneMessage::Row(row)) if row.id == first), "{bodies:?}");
    assert_eq!(bodies[1], Ok(LaneMessage::Wake { id: first }), "its row may have moved on: an old copy helps nobody");
}

/// A message, and so many wakes behind it that its lane takes seconds: ten a second are taken.
async fn queued_on_a_long_lane(bed: &Bed) -> MessageId {
    let (first, lane) = (bed.login().await, Queue::Lane(Lane::Normal));
    for _ in 0..500 {
        let other = LaneMessage::Wake { id: first }.encode();
        bed.door.broker.publish(lane, other).await.expect("memory takes it");
    }
    for _ in 0..10 {
        advance_ms(100).await;
        bed.taken(lane).await;
    }
    first
}

/// Whoever opened it may have died before its row was on the lane; people who press again must not fill the lane.
#[tokio::test(start_paused = true)]
async fn what_is_joined_on_a_long_lane_is_due_when_the_lane_was_worked_off() {
    let bed = Bed::new().await;
    let first = queued_on_a_long_lane(&bed).await;
    let (lane, body) = (Queue::Lane(Lane::Normal), json!({"to": NUMBER, "purpose": "login"}));
    let (waiting, opened) = (bed.waiting(lane), bed.load(first).await);
    let joined = bed.post("/v1/verifications", &body).await.json();
    assert_eq!((&joined["id"], &joined["joined"]), (&json!(first.to_string()), &json!(true)));
    let expected_ms = joined["expected_wait_ms"].as_u64().expect("a number");
    let row = bed.load(first).await;
    let due_in_ms = row.due.expect("it is due").since_ms(bed.door.now());
    assert!(due_in_ms >= expected_ms && row.due < opened.due, "{due_in_ms} of {expected_ms}");
    bed.post("/v1/verifications", &body).await.accepted();
    assert_eq!((bed.waiting(lane), bed.load(first).await.version), (waiting, row.version), "once is enough");
}

#[tokio::test(start_paused = true)]
async fn what_is_joined_on_a_lane_that_nobody_reaches_is_due_now() {
    let bed = Bed::new().await;
    let first = queued_on_a_long_lane(&bed).await;
    bed.memory.faults().set_broker_away(true);
    let body = json!({"to": NUMBER, "purpose": "login"});
    assert_eq!(bed.post("/v1/verifications", &body).await.accepted(), first);
    assert_eq!(bed.load(first).await.due, Some(bed.door.now()), "how long its lane was is no comfort");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_can_verify_any_more_is_not_joined_and_nothing_such_is_accepted() {
    let mut bed = Bed::new().await;
    let first = bed.sent_login().await;
    bed.revoke_root().await;
    let login = json!({"to": NUMBER, "purpose": "login"});
    assert_eq!(bed.post("/v1/verifications", &login).await.problem().0, 503, "the active kid is the revoked one");
    bed.forget_roots().await;
    bed.door.codes.look(&*bed.door.desk.store).await.expect("memory answers");
    let again = bed.post("/v1/verifications", &login).await;
    assert_ne!(again.accepted(), first);
    assert_eq!(bed.load(first).await.failure(), Some(Reason::Revoked));
}

#[tokio::test(start_paused = true)]
async fn a_join_is_a_resend_within_its_limits() {
    let bed = Bed::new().await;
    let id = bed.sent_login().await;
    let early = bed.post("/v1/verifications", &json!({"to": NUMBER, "purpose": "login"})).await;
    assert_eq!(early.accepted(), id);
    assert_eq!(bed.load(id).await.resends, 0, "its cool-down is not over");
    bed.taken(Queue::Lane(Lane::Normal)).await;
    advance_ms(20_000).await;
    let code = bed.code(id).await;
    let later = bed.post("/v1/verifications", &json!({"to": NUMBER, "purpose": "login"})).await;
    assert_eq!(later.json()["joined"], json!(true));
    assert_eq!(bed.load(id).await.resends, 1);
    assert_eq!(Bed::woken(&bed.taken(Queue::Lane(Lane::Normal)).await), id);
    assert_eq!(bed.code(id).await, code);
}

#[tokio::test(start_paused = true)]
async fn the_key_of_a_request_that_joined_keeps_its_answer() {
    let bed = Bed::new().await;
    let id = bed.sent_login().await;
    let (path, body, key) =
        ("/v1/verifications", json!({"to": NUMBER, "purpose": "login"}), [("idempotency-key", "k")]);
    advance_ms(20_000).await;
    let first = bed.post_with(path, &body, &key).await;
    assert_eq!((first.accepted(), &first.json()["joined"]), (id, &json!(true)));
    let other = bed.post_with(path, &json!({"to": OTHER_NUMBER, "purpose": "login"}), &key).await;
    assert_eq!(other.problem(), (409, "key_reused".to_owned(), Some("Idempotency-Key".to_owned())));
    advance_ms(60_000).await;
    assert_eq!(bed.post_with(path, &body, &key).await.text, first.text);
    assert_eq!(bed.load(id).await.resends, 1, "a repeat is no resend");
    bed.post(&format!("/v1/verifications/{id}/cancel"), &json!({})).await;
    assert_eq!(bed.post_with(path, &body, &key).await.text, first.text, "nor a message of its own");
}

#[tokio::test(start_paused = true)]
async fn requests_that_join_for_ever_do_not_fill_the_journal() {
    let bed = Bed::new().await;
    let id = bed.sent_login().await;
    let body = json!({"to": NUMBER, "purpose": "login"});
    for number in 0..150 {
        let key = number.to_string();
        let joined = bed.post_with("/v1/verifications", &body, &[("idempotency-key", key.as_str())]).await;
        assert_eq!((joined.accepted(), &joined.json()["joined"]), (id, &json!(true)));
    }
    let journal = bed.door.desk.store.journal(id).await.expect("the store");
    let lines = journal.iter().filter(|line| matches!(line.note, Note::Joined { .. })).count();
    assert_eq!(lines, usize::from(LINES_BESIDE_MAX));
}

#[tokio::test(start_paused = true)]
async fn only_equal_things_are_joined() {
    let bed = Bed::new().await;
    let first = bed.login().await;
    for body in [
        json!({"to": OTHER_NUMBER, "purpose": "login"}),
        json!({"to": NUMBER, "purpose": "signup"}),
        json!({"to": NUMBER, "purpose": "login", "separate": true}),
    ] {
        let reply = bed.post("/v1/verifications", &body).await;
        assert_ne!(reply.accepted(), first, "{body}");
        assert_eq!(reply.json()["joined"], json!(false), "{body}");
    }
    let paid = bed.post("/v1/verifications", &payment("12000")).await.accepted();
    let more = bed.post("/v1/verifications", &payment("12001")).await.accepted();
    assert_ne!(paid, more);
}

#[tokio::test(start_paused = true)]
async fn another_tenants_verification_is_never_joined() {
    let bed = Bed::new().await;
    let first = bed.login().await;
    let stranger = [("authorization", bed.stranger_key.as_str())];
    let body = json!({"to": NUMBER, "purpose": "login"});
    let theirs = bed.post_with("/v1/verifications", &body, &stranger).await;
    assert_ne!(theirs.accepted(), first);
}

#[tokio::test(start_paused = true)]
async fn what_has_ended_is_not_joined() {
    let bed = Bed::new().await;
    let first = bed.login().await;
    bed.post(&format!("/v1/verifications/{first}/cancel"), &json!({})).await;
    let second = bed.login().await;
    assert_ne!(first, second);
    advance_ms(300_000).await;
    let third = bed.login().await;
    assert_ne!(second, third, "its deadline is over, though nobody has swept it yet");
}

#[tokio::test(start_paused = true)]
async fn two_equal_texts_are_two_messages() {
    let bed = Bed::new().await;
    let body = json!({"to": NUMBER, "text": "Your parcel is here."});
    let first = bed.post("/v1/messages", &body).await.accepted();
    assert_ne!(first, bed.post("/v1/messages", &body).await.accepted());
}
