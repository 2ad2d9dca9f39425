//! Guessing: few tries, each paid before it is compared, and one right answer.

use otodoke_common::outcome::Class;
use otodoke_tests::carrier::Script;
use otodoke_tests::world::{Options, Reply, World, id as parsed};
use serde_json::json;
use tokio::time::{Duration, timeout};

use crate::{PHONE, phone};

async fn delivered(world: &World, to: &str) -> (String, String) {
    let id = world.ask(json!({"to": to, "purpose": "login", "separate": true})).await;
    world.until_status(&id, "delivered").await;
    (id, world.phone(to).code().expect("the text holds a code"))
}

/// Another code of as many digits.
fn wrong(code: &str) -> String {
    let last = code.chars().last().and_then(|digit| digit.to_digit(10)).expect("a code is digits");
    format!("{}{}", &code[..code.len() - 1], (last + 1) % 10)
}

async fn check_with(world: &World, id: &str, code: &str, key: &str) -> Reply {
    let path = format!("/v1/verifications/{id}/check");
    world.post_with(&path, json!({"code": code}), &[("idempotency-key", key)]).await
}

#[tokio::test(start_paused = true)]
async fn five_wrong_guesses_end_it_and_the_right_code_comes_too_late() {
    let world = World::new().await;
    let (id, code) = delivered(&world, PHONE).await;
    for left in (0..5).rev() {
        let reply = world.check(&id, &wrong(&code)).await;
        assert_eq!(reply.body, json!({"status": "wrong_code", "verified": false, "guesses_left": left}));
    }
    assert_eq!(world.check(&id, &code).await.body["status"], "too_many_guesses");
    assert_eq!(world.message(&id).await["failure"]["reason"], "guessed_out");
    assert!(world.metric("otp_security_events_total", &["guessed_out"]) >= 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_parallel_guesses_compare_at_most_five() {
    let world = World::with(Options { step_ms_max: 5, ..Options::default() }).await;
    let (id, code) = delivered(&world, PHONE).await;
    let wrong = wrong(&code);
    let guesses = (0..1_000).map(|_| {
        let (world, id, wrong) = (&world, &id, &wrong);
        async move { world.check(id, wrong).await.body["status"].as_str().unwrap_or("refused").to_owned() }
    });
    let answers = futures_util::future::join_all(guesses).await;
    let compared = answers.iter().filter(|status| *status == "wrong_code").count();
    assert!((1..=5).contains(&compared), "{compared} were compared");
    assert!((world.metric("otp_guesses_total", &["verdict=\"wrong\""])) <= 5.0);
    assert_ne!(world.check(&id, &code).await.body["verified"], json!(true));
}

#[tokio::test(start_paused = true)]
async fn of_many_right_answers_at_once_one_verifies() {
    let world = World::new().await;
    let (id, code) = delivered(&world, PHONE).await;
    let checks = (0..100).map(|_| world.check(&id, &code));
    let answers = futures_util::future::join_all(checks).await;
    let verified = answers.iter().filter(|reply| reply.body["verified"] == json!(true)).count();
    assert_eq!(verified, 1);
}

#[tokio::test(start_paused = true)]
async fn wrong_guesses_are_counted_for_the_number_across_messages_and_a_right_one_gives_them_back() {
    let world = World::new().await;
    for _ in 0..2 {
        let (id, code) = delivered(&world, PHONE).await;
        for _ in 0..4 {
            assert_eq!(world.check(&id, &wrong(&code)).await.body["status"], "wrong_code");
        }
    }
    let (id, code) = delivered(&world, PHONE).await;
    assert_eq!(world.check(&id, &wrong(&code)).await.body["status"], "wrong_code", "the ninth");
    assert_eq!(world.check(&id, &code).await.body["status"], "verified", "the tenth, and right");
    let (id, code) = delivered(&world, PHONE).await;
    for _ in 0..4 {
        assert_eq!(world.check(&id, &wrong(&code)).await.body["status"], "wrong_code", "all ten are back");
    }
}

#[tokio::test(start_paused = true)]
async fn a_number_that_was_guessed_at_ten_times_is_not_compared_any_more_until_a_day_later() {
    let mut world = World::new().await;
    for _ in 0..3 {
        let (id, code) = delivered(&world, PHONE).await;
        for _ in 0..4 {
            world.check(&id, &wrong(&code)).await;
        }
    }
    assert!((world.metric("otp_guesses_total", &["verdict=\"wrong\""]) - 10.0).abs() < f64::EPSILON);
    let (id, code) = delivered(&world, PHONE).await;
    let reply = world.check(&id, &code).await;
    assert_eq!(reply.body["status"], "too_many_guesses");
    assert_eq!(reply.body["verified"], json!(false));
    let (other, code) = delivered(&world, "+819087654321").await;
    assert_eq!(world.check(&other, &code).await.body["status"], "verified", "another number is not concerned");
    world.stop_worker().await;
    world.wait_ms(24 * 3_600_000).await;
    world.start_worker();
    let (id, code) = delivered(&world, PHONE).await;
    assert_eq!(world.check(&id, &code).await.body["status"], "verified");
}

#[tokio::test(start_paused = true)]
async fn the_same_check_repeats_its_answer_for_a_minute_and_no_other_does() {
    let world = World::new().await;
    let (id, code) = delivered(&world, PHONE).await;
    assert_eq!(check_with(&world, &id, &code, "check-1").await.body["verified"], json!(true));
    assert_eq!(check_with(&world, &id, &code, "check-1").await.body["verified"], json!(true));
    for reply in [check_with(&world, &id, &code, "check-2").await, world.check(&id, &code).await] {
        assert_eq!(reply.body["status"], "already_verified");
        assert_eq!(reply.body["verified"], json!(false));
    }
    world.wait_ms(60_000).await;
    assert_eq!(check_with(&world, &id, &code, "check-1").await.body["verified"], json!(false));
}

#[tokio::test(start_paused = true)]
async fn a_guess_before_anything_was_sent_costs_nothing() {
    let mut world = World::idle(Options::default()).await;
    let id = world.ask_for_code(PHONE).await;
    for _ in 0..20 {
        let reply = world.check(&id, "000000").await;
        assert_eq!(reply.body, json!({"status": "not_sent_yet", "verified": false, "guesses_left": 5}));
    }
    world.start_worker();
    world.until_status(&id, "delivered").await;
    let code = world.phone(PHONE).code().expect("the text holds a code");
    assert_eq!(world.check(&id, &code).await.body["status"], "verified");
}

#[tokio::test(start_paused = true)]
async fn with_the_store_away_nothing_is_said_about_a_code_and_no_guess_is_lost() {
    let world = World::new().await;
    let (id, code) = delivered(&world, PHONE).await;
    world.memory.faults().set_store_away(true);
    let (right, not) = (world.check(&id, &code).await, world.check(&id, &wrong(&code)).await);
    assert_eq!((right.status, not.status), (503, 503));
    assert_eq!(right.body, not.body, "not even by its words");
    assert!(right.retry_after_s.is_some());
    world.memory.faults().set_store_away(false);
    let reply = world.check(&id, &code).await;
    assert_eq!((reply.body["status"].as_str(), reply.body["guesses_left"].as_u64()), (Some("verified"), Some(4)));
}

#[tokio::test(start_paused = true)]
async fn commits_of_unknown_outcome_neither_verify_twice_nor_give_free_guesses() {
    for lost in [false, true] {
        let world = World::new().await;
        let (id, code) = delivered(&world, PHONE).await;
        let unknown = |count| {
            let faults = world.memory.faults();
            if lost { faults.lose_and_report_unknown(count) } else { faults.apply_but_report_unknown(count) }
        };
        for left in [4, 3] {
            unknown(1);
            let reply = world.check(&id, &wrong(&code)).await;
            assert_eq!(reply.body["guesses_left"], json!(left), "lost {lost}");
        }
        unknown(2);
        let verified = world.check(&id, &code).await;
        assert_eq!(verified.body["verified"], json!(true), "lost {lost}");
        assert_eq!(world.check(&id, &code).await.body["status"], "already_verified");
    }
}

#[tokio::test(start_paused = true)]
async fn a_code_that_could_not_be_delivered_still_verifies_when_it_arrived_after_all() {
    let world = World::new().await;
    let refused = Script { arrives: true, ..Script::fails_later(Class::OwnerChanged) };
    world.carrier("sakura").always(refused);
    let id = world.ask_for_code(PHONE).await;
    world.until_status(&id, "failed").await;
    let code = world.phone(PHONE).code().expect("the text arrived after all");
    assert_eq!(world.check(&id, &code).await.body["verified"], json!(false), "an owner who changed ends it");
    let quiet = World::new().await;
    quiet.carrier("sakura").always(Script { arrives: true, ..Script::fails_later(Class::Unreceivable) });
    quiet.carrier("kodama").always(Script::refuses(Class::Unanswered));
    let id = quiet.ask_for_code(PHONE).await;
    quiet.until_status(&id, "failed").await;
    let code = quiet.phone(PHONE).code().expect("the text arrived after all");
    assert_eq!(quiet.check(&id, &code).await.body["status"], "verified");
}

#[tokio::test(start_paused = true)]
async fn a_guess_that_was_paid_is_judged_even_when_its_caller_hangs_up() {
    let world = World::with(Options { door_step_ms_max: 5, ..Options::default() }).await;
    let mut hung_up = 0;
    for after_ms in 0..30 {
        let (id, code) = delivered(&world, &phone(after_ms)).await;
        let patience = Duration::from_millis(after_ms.into());
        let wrong = wrong(&code);
        hung_up += u32::from(timeout(patience, world.check(&id, &wrong)).await.is_err());
        world.wait_ms(100).await;
        let message = world.store.load(parsed(&id)).await.expect("memory answers").expect("it is there");
        assert_eq!(message.guesses_open, 0, "hung up after {after_ms} ms, with {} left", message.guesses_left);
    }
    assert!((5..30).contains(&hung_up), "{hung_up} of 30 hung up");
}
