//! A call asks what to say: the code only after the announced digit, and goodbye whenever anything is wrong.

use axum::http::Method;
use otodoke_common::leg::{CallStage, Channel};
use otodoke_common::message::MessageId;
use otodoke_common::outcome::Reason;
use otodoke_common::speech::{self, Part};
use serde_json::json;

use super::bed::{Bed, NUMBER, Reply, advance_ms};

/// The call of leg 1, as its provider asks about it.
struct Called {
    bed: Bed,
    id: MessageId,
    path: String,
}

impl Called {
    async fn new() -> Self {
        let bed = Bed::new().await;
        let id = bed.login().await;
        Self::of(bed, id).await
    }

    async fn of(bed: Bed, id: MessageId) -> Self {
        let leg = bed.begin(id, Channel::Voice).await;
        let tag = bed.door.desk.vault.leg_tag(id, leg);
        let path = format!("/voice/kodama/{leg}/{}", tag.as_str());
        Self { bed, id, path }
    }

    async fn ask(&self, body: &str) -> Reply {
        ask(&self.bed, &self.path, body).await
    }

    async fn digit(&self) -> u8 {
        self.bed.load(self.id).await.legs[0].call.expect("a call").digit
    }

    /// How the speech of a code begins to differ: its digits one by one.
    async fn speaks_code(&self, reply: &Reply) -> bool {
        let message = self.bed.load(self.id).await;
        let speech = speech::speak_code(message.locale, &self.bed.code(self.id).await, None);
        let words: Vec<_> = speech
            .parts
            .into_iter()
            .filter_map(|part| match part {
                Part::Say(words) => Some(words),
                Part::PauseMs(_) => None,
            })
            .collect();
        reply.text.starts_with(&words.join(" "))
    }
}

async fn ask(bed: &Bed, path: &str, body: &str) -> Reply {
    let proof = format!("https://otp.example.com{path}");
    bed.raw(Method::POST, path, &[("x-proof", &proof)], body.as_bytes().to_vec()).await
}

#[track_caller]
fn hangs_up(reply: &Reply) {
    assert_eq!(reply.status.as_u16(), 200, "{}", reply.text);
    assert!(reply.text.ends_with("| hang up"), "{}", reply.text);
}

#[tokio::test(start_paused = true)]
async fn the_code_is_spoken_once_to_whoever_presses_the_announced_digit() {
    let called = Called::new().await;
    let announced = called.ask("answered").await;
    assert!(announced.text.ends_with(&format!("| https://otp.example.com{}", called.path)), "{}", announced.text);
    assert!(!called.speaks_code(&announced).await);
    let digit = called.digit().await;
    let spoken = called.ask(&digit.to_string()).await;
    assert!(called.speaks_code(&spoken).await, "{}", spoken.text);
    hangs_up(&spoken);
    let again = called.ask(&digit.to_string()).await;
    assert!(!called.speaks_code(&again).await, "{}", again.text);
    hangs_up(&again);
}

#[tokio::test(start_paused = true)]
async fn a_door_that_cannot_speak_yet_counts_nothing_as_spoken() {
    for looked in [false, true] {
        let mut called = Called::new().await;
        called.ask("answered").await;
        let digit = called.digit().await;
        if looked {
            // Another door has the root of its code.
            called.bed.forget_roots().await;
        } else {
            called.bed.start_anew_unlooked();
        }
        hangs_up(&called.ask(&digit.to_string()).await);
        let message = called.bed.load(called.id).await;
        assert_eq!(message.legs[0].call.map(|call| call.stage), Some(CallStage::Answered));
        assert_eq!(message.status(), "submitted", "the rest of its legs are still to come");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_root_was_revoked_says_goodbye_and_ends_its_message() {
    let called = Called::new().await;
    called.ask("answered").await;
    called.bed.revoke_root().await;
    hangs_up(&called.ask(&called.digit().await.to_string()).await);
    let message = called.bed.load(called.id).await;
    assert_eq!(message.failure(), Some(Reason::Revoked));
    assert_eq!(message.legs[0].call.map(|call| call.stage), Some(CallStage::Answered), "nothing counts as spoken");
    hangs_up(&called.ask("answered").await);
}

#[tokio::test(start_paused = true)]
async fn a_call_with_a_text_says_so_and_reads_it() {
    for (locale, announced, text) in [
        ("ja", "メッセージをお伝えする電話です。", "九時に開きます"),
        ("en", "This is a call with a message for you.", "We open at nine"),
    ] {
        let body = json!({"to": NUMBER, "text": text, "purpose": "notice", "locale": locale});
        let bed = Bed::new().await;
        let id = bed.post("/v1/messages", &body).await.accepted();
        let called = Called::of(bed, id).await;
        let answer = called.ask("answered").await;
        assert!(answer.text.starts_with(announced), "{}", answer.text);
        assert!(!answer.text.contains("コード") && !answer.text.contains("code"), "{}", answer.text);
        let spoken = called.ask(&called.digit().await.to_string()).await;
        assert_eq!(spoken.text.matches(text).count(), 2, "{}", spoken.text);
        hangs_up(&spoken);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_digit_or_silence_never_hears_the_code() {
    let called = Called::new().await;
    called.ask("answered").await;
    let wrong = (called.digit().await + 1) % 10;
    let second = called.ask(&wrong.to_string()).await;
    assert!(!called.speaks_code(&second).await);
    let last = called.ask("silence").await;
    assert!(!called.speaks_code(&last).await);
    hangs_up(&last);
}

#[tokio::test(start_paused = true)]
async fn a_digit_before_the_announcement_hears_goodbye() {
    let called = Called::new().await;
    hangs_up(&called.ask(&called.digit().await.to_string()).await);
}

#[tokio::test(start_paused = true)]
async fn an_ended_or_late_message_says_goodbye() {
    let cancelled = Called::new().await;
    cancelled.bed.post(&format!("/v1/verifications/{}/cancel", cancelled.id), &json!({})).await;
    hangs_up(&cancelled.ask("answered").await);
    let late = Called::new().await;
    late.ask("answered").await;
    let digit = late.digit().await;
    advance_ms(300_000).await;
    let reply = late.ask(&digit.to_string()).await;
    assert!(!late.speaks_code(&reply).await);
    hangs_up(&reply);
}

#[tokio::test(start_paused = true)]
async fn only_the_tag_of_that_very_leg_is_heard() {
    let called = Called::new().await;
    let vault = &called.bed.door.desk.vault;
    let of_another_leg = vault.leg_tag(called.id, 2);
    for path in [
        format!("/voice/kodama/1/{}", of_another_leg.as_str()),
        "/voice/kodama/1/forged".to_owned(),
        called.path.replace("/1/", "/2/"),
    ] {
        let reply = ask(&called.bed, &path, "answered").await;
        assert_eq!(reply.problem(), (403, "webhook_refused".to_owned(), None), "{path}");
    }
    let unsigned = called.bed.raw(Method::POST, &called.path, &[], b"answered".to_vec()).await;
    assert_eq!(unsigned.problem(), (403, "webhook_refused".to_owned(), None));
}

#[tokio::test(start_paused = true)]
async fn a_call_on_its_way_is_hung_up_when_its_message_ends() {
    for end in ["cancel", "check", "join"] {
        let mut called = Called::new().await;
        match end {
            // Nobody could verify it any more: whoever asks again gets a new one.
            "join" => {
                called.bed.replace_root().await;
                let again = called.bed.post("/v1/verifications", &json!({"to": NUMBER, "purpose": "login"})).await;
                assert_ne!(again.accepted(), called.id);
                again
            }
            "cancel" => called.bed.post(&format!("/v1/verifications/{}/cancel", called.id), &json!({})).await,
            _ => called.bed.check(called.id, &called.bed.code(called.id).await).await,
        };
        assert_eq!(called.bed.hung_up().await, "reference-1", "{end}");
    }
}
