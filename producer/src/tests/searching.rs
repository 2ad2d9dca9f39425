//! Which messages went to a number: found by whoever may see them, bounded, and nothing missing unsaid.

use std::future::ready;
use std::ops::Range;

use otodoke_common::config::TenantSettings;
use otodoke_common::desk::Routing;
use otodoke_common::lifecycle::Event;
use otodoke_common::message::{MessageId, TenantId};
use otodoke_common::store::StoreError;
use otodoke_common::time::Timestamp;
use serde_json::{Value, json};

use super::bed::{Bed, NUMBER, OTHER_NUMBER, Reply, advance_ms};
use crate::search::{FOUND_MAX, HOURS_MAX, look};

const HOUR_MS: u64 = 3_600_000;

async fn search(bed: &Bed, body: &Value) -> Reply {
    let reply = bed.post("/v1/trace", body).await;
    assert_eq!(reply.status.as_u16(), 200, "{}", reply.text);
    reply
}

fn ids(reply: &Reply) -> Vec<String> {
    let found = reply.json();
    let messages = found["messages"].as_array().expect("a list");
    messages.iter().map(|found| found["message"]["id"].as_str().expect("an id").to_owned()).collect()
}

/// A login that nothing is left of but its row.
async fn gone(bed: &Bed, number: &str) -> String {
    let id = bed.post("/v1/verifications", &json!({"to": number, "purpose": "login"})).await.accepted();
    let cancelled = bed.post(&format!("/v1/verifications/{id}/cancel"), &json!({})).await;
    assert_eq!(cancelled.word("status"), "cancelled");
    id.to_string()
}

#[tokio::test(start_paused = true)]
async fn the_messages_of_a_number_are_told_newest_first_in_any_form_of_it() {
    let bed = Bed::new().await;
    let first = gone(&bed, NUMBER).await;
    advance_ms(HOUR_MS + 1).await;
    gone(&bed, OTHER_NUMBER).await;
    let second = bed.sent_login().await.to_string();
    for form in [json!({"to": NUMBER}), json!({"to": "090-1234-5678", "region": "JP"})] {
        assert_eq!(ids(&search(&bed, &form).await), [second.as_str(), first.as_str()]);
    }
    let reply = search(&bed, &json!({"to": NUMBER, "hours": 1})).await;
    let told = reply.json();
    assert_eq!(ids(&reply), [second.as_str()]);
    let message = bed.get(&format!("/v1/verifications/{second}")).await.json();
    assert_eq!(told["messages"][0]["message"], message, "as its own address tells it");
    assert!(!reply.text.contains("9012345678"), "{}", reply.text);
}

#[tokio::test(start_paused = true)]
async fn nobody_finds_what_another_tenant_sent() {
    let bed = Bed::new().await;
    bed.sent_login().await;
    let stranger = [("authorization", bed.stranger_key.as_str())];
    let reply = bed.post_with("/v1/trace", &json!({"to": NUMBER}), &stranger).await;
    assert_eq!((reply.status.as_u16(), ids(&reply)), (200, Vec::new()));
    let unknown = bed.post_with("/v1/trace", &json!({"to": NUMBER}), &[("authorization", "Bearer otk_x")]).await;
    assert_eq!(unknown.problem().1, "unauthorized");
}

#[tokio::test(start_paused = true)]
async fn messages_of_one_moment_are_told_together() {
    let many =
        TenantSettings { messages_per_10_minutes: Some(1_000), messages_per_day: Some(1_000), ..Default::default() };
    let acme = TenantId::parse("acme").expect("a tenant");
    let bed = Bed::with(|door| drop(door.tenants.insert(acme, many))).await;
    let text = json!({"to": NUMBER, "text": "Your parcel is here."});
    let first = [bed.post("/v1/messages", &text).await.accepted(), bed.post("/v1/messages", &text).await.accepted()];
    for _ in 1..FOUND_MAX {
        advance_ms(1_000).await;
        bed.post("/v1/messages", &text).await.accepted();
    }
    let newest = search(&bed, &json!({"to": NUMBER})).await;
    assert_eq!(ids(&newest).len(), FOUND_MAX - 1, "two would be one too many");
    let rest = search(&bed, &json!({"to": NUMBER, "before": newest.word("looked_back_to")})).await;
    let mut rest = ids(&rest);
    rest.sort();
    let mut first = first.map(|id| id.to_string());
    first.sort();
    assert_eq!(rest, first);
}

#[tokio::test(start_paused = true)]
async fn more_than_one_answer_holds_goes_on_from_where_it_ended() {
    let many = TenantSettings { messages_per_day: Some(1_000), ..TenantSettings::default() };
    let acme = TenantId::parse("acme").expect("a tenant");
    let bed = Bed::with(|door| drop(door.tenants.insert(acme, many))).await;
    let mut sent = Vec::new();
    for _ in 0..=FOUND_MAX {
        let body = json!({"to": NUMBER, "text": "Your parcel is here."});
        sent.push(bed.post("/v1/messages", &body).await.accepted().to_string());
        advance_ms(10 * 60_000).await;
    }
    sent.reverse();
    let first = search(&bed, &json!({"to": NUMBER})).await;
    assert_eq!((ids(&first), &first.json()["complete"]), (sent[..FOUND_MAX].to_vec(), &json!(false)));
    let rest = search(&bed, &json!({"to": NUMBER, "before": first.word("looked_back_to")})).await;
    assert_eq!((ids(&rest), &rest.json()["complete"]), (sent[FOUND_MAX..].to_vec(), &json!(true)));
    let none = search(&bed, &json!({"to": NUMBER, "before": rest.word("looked_back_to")})).await;
    assert_eq!(ids(&none), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_erased_message_is_found_and_says_so() {
    let bed = Bed::new().await;
    let id = gone(&bed, NUMBER).await;
    advance_ms(25 * HOUR_MS).await;
    bed.apply(MessageId::parse(&id).expect("an id"), &Event::Due, &Routing::ELSEWHERE).await;
    assert_eq!(ids(&search(&bed, &json!({"to": NUMBER})).await), Vec::<String>::new(), "a day back by default");
    let reply = search(&bed, &json!({"to": NUMBER, "hours": 48})).await;
    assert_eq!(ids(&reply), [id]);
    assert_eq!(reply.json()["messages"][0]["message"]["to"], "erased");
}

#[tokio::test(start_paused = true)]
async fn a_search_that_takes_too_long_says_how_far_it_came() {
    let day = Timestamp::from_unix_ms(0)..Timestamp::from_unix_ms(24 * 3_600_000);
    let slow = |_: Range<Timestamp>| async {
        advance_ms(1_500).await;
        Ok(Vec::new())
    };
    let looked = look(slow, day.clone()).await.expect("an answer");
    // Four stretches of ten seconds: the fourth is begun after 4.5 seconds, and none after it.
    assert_eq!((looked.complete, day.end.since_ms(looked.back)), (false, 40_000));
}

#[tokio::test(start_paused = true)]
async fn what_was_found_before_the_store_failed_is_told() {
    let bed = Bed::new().await;
    let message = bed.load(bed.sent_login().await).await;
    let now = message.accepted_at.plus_ms(1_000);
    let failing = |made: Range<Timestamp>| {
        let why = "canceling statement due to statement timeout".to_owned();
        ready(if made.end < now { Err(StoreError::Unavailable { why }) } else { Ok(vec![message.clone()]) })
    };
    let looked = look(failing, now.minus_ms(HOUR_MS)..now).await.expect("an answer");
    assert_eq!((looked.complete, now.since_ms(looked.back)), (false, 10_000));
    assert_eq!(looked.messages, std::slice::from_ref(&message));
    let refused = look(failing, now.minus_ms(HOUR_MS)..now.minus_ms(1)).await.map(|looked| looked.messages);
    assert_eq!(refused.expect_err("nothing was looked at").code, "unavailable");
}

#[tokio::test(start_paused = true)]
async fn one_search_at_a_time_and_others_are_told_to_come_again() {
    let bed = Bed::new().await;
    let under_way = bed.door.hands.searches.clone().try_acquire_owned().expect("nobody searches");
    let refused = bed.post("/v1/trace", &json!({"to": NUMBER})).await;
    assert_eq!((refused.problem().0, refused.problem().1.as_str()), (503, "busy"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    drop(under_way);
    search(&bed, &json!({"to": NUMBER})).await;
}

/// Else one who always hangs up would have any number of them under way.
#[tokio::test(start_paused = true)]
async fn a_search_keeps_its_place_until_it_is_over_also_when_its_caller_hangs_up() {
    let bed = Bed::new().await;
    let body = json!({"to": NUMBER});
    let mut request = Box::pin(bed.post("/v1/trace", &body));
    let is_answered = tokio::select! { biased; _ = &mut request => true, () = ready(()) => false };
    assert!(!is_answered, "the search runs on its own");
    drop(request);
    assert_eq!(bed.door.hands.searches.available_permits(), 0);
    tokio::task::yield_now().await;
    assert_eq!(bed.door.hands.searches.available_permits(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_wrongly_names_its_field() {
    let bed = Bed::new().await;
    let wrong = [
        (json!({}), "missing_field", Some("to")),
        (json!({"to": "12"}), "region_needed", Some("to")),
        (json!({"to": NUMBER, "hours": 0}), "invalid_field", Some("hours")),
        (json!({"to": NUMBER, "hours": HOURS_MAX + 1}), "invalid_field", Some("hours")),
        (json!({"to": NUMBER, "before": "yesterday"}), "invalid_field", Some("before")),
        (json!({"to": NUMBER, "before": "1969-07-20T20:17:40Z"}), "invalid_field", Some("before")),
        (json!({"to": NUMBER, "since": "yesterday"}), "unknown_field", Some("since")),
    ];
    for (body, code, field) in wrong {
        let problem = bed.post("/v1/trace", &body).await.problem();
        assert_eq!(problem, (422, code.to_owned(), field.map(str::to_owned)), "{body}");
    }
}
