//! What can be read of a message: masked, in the words of the API.

use otodoke_common::desk::Routing;
use otodoke_common::leg::Channel;
use otodoke_common::lifecycle::Event;
use otodoke_common::outcome::{Class, Proof, Refusal, ReportStatus, Scope};
use serde_json::json;

use super::bed::{Bed, NUMBER, advance_ms};

#[tokio::test(start_paused = true)]
async fn a_verification_reads_as_the_api_says() {
    let bed = Bed::new().await;
    let id = bed.sent_login().await;
    let message = bed.load(id).await;
    let reply = bed.get(&format!("/v1/verifications/{id}")).await;
    assert_eq!(reply.status.as_u16(), 200, "{}", reply.text);
    let leg = &message.legs[0];
    assert_eq!(
        reply.json(),
        json!({
            "id": id.to_string(), "status": "submitted", "to": "+81*******678", "purpose": "login",
            "useful_until": message.useful_until.rfc3339(), "guesses_left": 5,
            "next_resend_at": message.accepted_at.plus_ms(20_000).rfc3339(),
            "legs": [{
                "leg": 1, "channel": "sms", "provider": "sakura", "route": "domestic", "route_id": "jp-sakura",
                "outcome": "submitted", "started_at": leg.started_at.rfc3339(), "ended_at": null,
            }],
        })
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_says_what_the_person_can_change_in_their_language() {
    let bed = Bed::new().await;
    let id = bed.sent_login().await;
    let refusal =
        Refusal { class: Class::FraudBlocked, scope: Scope::Number, code: "30450".to_owned(), retry_after_ms: None };
    let receipt =
        Event::Receipt { leg: 1, status: ReportStatus::Failed(refusal), proof: Proof::Signature, happened_at: None };
    bed.apply(id, &receipt, &Routing::ELSEWHERE).await;
    let reply = bed.get(&format!("/v1/verifications/{id}")).await.json();
    assert_eq!((&reply["status"], &reply["failure"]["reason"]), (&json!("failed"), &json!("fraud_blocked")));
    assert!(reply["failure"]["guidance"].as_str().expect("guidance").contains("サポート"));
    assert_eq!(reply["legs"][0]["reason"], json!("fraud_blocked"));
}

#[tokio::test(start_paused = true)]
async fn an_erased_number_reads_as_erased() {
    let bed = Bed::new().await;
    let id = bed.sent_login().await;
    bed.post(&format!("/v1/verifications/{id}/cancel"), &json!({})).await;
    advance_ms(24 * 3_600_000).await;
    bed.apply(id, &Event::Due, &Routing::ELSEWHERE).await;
    let reply = bed.get(&format!("/v1/verifications/{id}")).await;
    assert_eq!(reply.word("to"), "erased");
}

#[tokio::test(start_paused = true)]
async fn a_text_reads_without_anything_of_a_code_and_under_its_own_address() {
    let bed = Bed::new().await;
    let body = json!({"to": NUMBER, "text": "Your parcel is here."});
    let id = bed.post("/v1/messages", &body).await.accepted();
    let reply = bed.get(&format!("/v1/messages/{id}")).await.json();
    assert_eq!(reply["purpose"], json!("notice"));
    assert!(reply.get("guesses_left").is_none() && reply.get("next_resend_at").is_none());
    assert_eq!(bed.get(&format!("/v1/verifications/{id}")).await.problem().0, 404);
    let code = bed.login().await;
    assert_eq!(bed.get(&format!("/v1/messages/{code}")).await.problem().0, 404);
    let cancelled = bed.post(&format!("/v1/messages/{id}/cancel"), &json!({})).await;
    assert_eq!(cancelled.word("status"), "cancelled");
}

#[tokio::test(start_paused = true)]
async fn a_trace_tells_the_story_in_order_without_the_number_or_the_code() {
    let bed = Bed::new().await;
    let id = bed.sent_login().await;
    bed.check(id, &bed.wrong_code(id).await).await;
    let reply = bed.get(&format!("/v1/trace/{id}")).await;
    let trace = reply.json();
    let events: Vec<_> = trace["journal"]
        .as_array()
        .expect("lines")
        .iter()
        .map(|line| line["fields"]["event"].as_str().expect("an event").to_owned())
        .collect();
    assert_eq!(events, ["accepted", "leg_began", "answered", "guess_paid", "guessed"]);
    assert_eq!(trace["journal"][4]["sentence"], json!("The code was wrong."));
    assert_eq!(trace["message"]["id"], json!(id.to_string()));
    assert!(!reply.text.contains("9012345678") && !reply.text.contains(&bed.code(id).await));
}

#[tokio::test(start_paused = true)]
async fn a_call_in_a_trace_is_told_as_one() {
    let bed = Bed::new().await;
    let id = bed.login().await;
    bed.begin(id, Channel::Voice).await;
    let trace = bed.get(&format!("/v1/trace/{id}")).await.json();
    assert_eq!(trace["journal"][1]["sentence"], json!("Leg 1 began: voice by route jp-kodama (cause: first)."));
}
