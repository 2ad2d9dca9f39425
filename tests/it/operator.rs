//! Routes whose receipts end at the operator: its word is the last that is told, so nobody gets a second text or a call because no
//! other came; and where it comes for others, its silence means something.

use std::collections::BTreeMap;
use std::sync::Arc;

use otodoke_common::desk::{Desk, Routing};
use otodoke_common::dice::Dice;
use otodoke_common::lifecycle::Event;
use otodoke_common::outcome::{Proof, ReportStatus};
use otodoke_common::policy::Policy;
use otodoke_common::route::ReceiptProfile;
use otodoke_tests::carrier::{Reply, Script};
use otodoke_tests::world::{Options, World, id as parsed, legs};

use crate::{PHONE, leg, phone};

/// Longer than a code is useful.
const LONG_MS: u64 = 700_000;

fn at_operator() -> ReportStatus {
    ReportStatus::Underway { reference: None, at_operator: true }
}

/// Arrives, and the last that is told is that the operator has it.
fn reaches_operator() -> Script {
    Script::reports(&[(300, at_operator())])
}

async fn proving(receipt: ReceiptProfile) -> World {
    let receipts = BTreeMap::from([("sakura", receipt)]);
    World::with(Options { receipts, ..Options::default() }).await
}

/// What came to a phone: texts and calls.
fn came(world: &World, number: &str) -> (usize, usize) {
    let phone = world.phone(number);
    (phone.texts.len(), phone.calls.len())
}

/// How many of these people got more than one text, or a call.
fn bothered(world: &World, people: u32) -> usize {
    (0..people).filter(|person| came(world, &phone(*person)) != (1, 0)).count()
}

#[tokio::test(start_paused = true)]
async fn what_the_operator_has_is_followed_by_no_other_text_and_no_call_where_receipts_end_there() {
    let world = proving(ReceiptProfile::Operator).await;
    world.carrier("sakura").always(reaches_operator());
    let id = world.ask_for_code(PHONE).await;
    world.wait_ms(60_000).await;
    let message = world.message(&id).await;
    assert_eq!((&message["status"], legs(&message)), (&"submitted".into(), vec![leg("sms", "sakura", "submitted")]));
    assert_eq!((came(&world, PHONE), world.carrier("sakura").questions()), ((1, 0), 0));
    let told = world.trace(&id).await;
    assert_eq!(told.iter().filter(|fields| fields.to_string().contains("at_operator")).count(), 1, "{told:#?}");
    world.wait_ms(LONG_MS).await;
    assert_eq!((&world.message(&id).await["status"], came(&world, PHONE)), (&"expired".into(), (1, 0)));
    assert!(world.metric("otp_receipts_total", &["status=\"at_operator\""]) > 0.0);
}

#[tokio::test(start_paused = true)]
async fn the_same_word_leaves_a_text_overdue_where_receipts_tell_of_the_handset() {
    let world = proving(ReceiptProfile::Handset).await;
    world.carrier("sakura").always(reaches_operator());
    let id = world.ask_for_code(PHONE).await;
    let message = world.until_status(&id, "delivered").await;
    assert_eq!(legs(&message), [leg("sms", "sakura", "overdue"), leg("sms", "fuji", "delivered")]);
    assert_eq!(came(&world, PHONE), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn the_operators_word_stands_for_an_answer_that_comes_after_it_or_is_lost() {
    for answer in [Reply::Taken, Reply::TakenNameless, Reply::Lost] {
        let world = proving(ReceiptProfile::Operator).await;
        let script = Script { answer: answer.clone(), answer_after_ms: 2_000, ..reaches_operator() };
        world.carrier("sakura").always(script);
        let id = world.ask_for_code(PHONE).await;
        world.wait_ms(60_000).await;
        let message = world.message(&id).await;
        assert_eq!(legs(&message), [leg("sms", "sakura", "submitted")], "{answer:?}");
        assert_eq!((came(&world, PHONE), world.carrier("sakura").questions()), ((1, 0), 0), "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_that_finds_it_at_the_operator_is_the_last() {
    let world = proving(ReceiptProfile::Operator).await;
    world.carrier("sakura").always(Script { asked: Some(at_operator()), ..Script::silent() });
    let id = world.ask_for_code(PHONE).await;
    world.wait_ms(60_000).await;
    assert_eq!(legs(&world.message(&id).await), [leg("sms", "sakura", "submitted")]);
    assert_eq!((came(&world, PHONE), world.carrier("sakura").questions()), ((1, 0), 1));
}

#[tokio::test(start_paused = true)]
async fn one_text_that_no_operator_tells_of_while_it_does_of_many_gets_its_second() {
    let world = proving(ReceiptProfile::Operator).await;
    let silent = phone(50);
    let script = move |to: &str, _| if to == silent { Script::silent() } else { reaches_operator() };
    world.carrier("sakura").script(script);
    for person in 0..100 {
        world.ask_for_code(&phone(person)).await;
        world.wait_ms(20).await;
    }
    world.wait_ms(20_000).await;
    assert_eq!((came(&world, &phone(50)), bothered(&world, 100)), ((2, 0), 1));
}

/// Their rows have ended by then and do not say it: the process that hears it knows.
#[tokio::test(start_paused = true)]
async fn the_operators_word_of_codes_that_are_verified_already_tells_that_receipts_come() {
    let world = proving(ReceiptProfile::Operator).await;
    let silent = phone(25);
    let late = Script::reports(&[(1_000, at_operator())]);
    let script = move |to: &str, _| if to == silent { Script::silent() } else { late.clone() };
    world.carrier("sakura").script(script);
    for person in 0..50 {
        let id = world.ask_for_code(&phone(person)).await;
        world.until_status(&id, "submitted").await;
        if person != 25 {
            let code = world.phone(&phone(person)).code().expect("it has arrived");
            assert_eq!(world.check(&id, &code).await.body["status"], "verified");
        }
    }
    world.wait_ms(20_000).await;
    assert_eq!((came(&world, &phone(25)), bothered(&world, 50)), ((2, 0), 1));
}

#[tokio::test(start_paused = true)]
async fn an_operator_that_tells_nothing_of_anybody_sends_nobody_a_second_text() {
    let world = proving(ReceiptProfile::Operator).await;
    world.carrier("sakura").always(Script::silent());
    for person in 0..50 {
        world.ask_for_code(&phone(person)).await;
        world.wait_ms(20).await;
    }
    world.wait_ms(120_000).await;
    assert_eq!(bothered(&world, 50), 0);
    assert!(world.metric("otp_overdue_held_back_total", &[]) > 0.0);
}

/// The handset's receipts are held back for everybody: the operator's word does not say that they come.
#[tokio::test(start_paused = true)]
async fn the_operators_word_says_nothing_of_receipts_that_tell_of_the_handset() {
    let world = proving(ReceiptProfile::Handset).await;
    world.carrier("sakura").always(reaches_operator());
    for person in 0..50 {
        world.ask_for_code(&phone(person)).await;
        world.wait_ms(20).await;
    }
    world.wait_ms(120_000).await;
    assert_eq!(bothered(&world, 50), 0);
}

#[tokio::test(start_paused = true)]
async fn the_operators_word_counts_also_where_another_process_heard_it() {
    for (receipt, bothers) in [(ReceiptProfile::Operator, 1), (ReceiptProfile::Handset, 0)] {
        let world = proving(receipt).await;
        world.carrier("sakura").always(Script::silent());
        let another = Desk {
            store: Arc::clone(&world.store),
            vault: Arc::clone(&world.vault),
            policy: Arc::new(Policy::default()),
            metrics: Arc::clone(&world.metrics),
            clock: world.clock.clone(),
            dice: Arc::new(Dice::seeded(2)),
            writes: Arc::default(),
        };
        let heard = Event::Receipt { leg: 1, status: at_operator(), proof: Proof::Tag, happened_at: None };
        for person in 0..50 {
            let id = world.ask_for_code(&phone(person)).await;
            world.until_status(&id, "submitted").await;
            if person != 25 {
                another.apply(parsed(&id), &heard, &Routing::ELSEWHERE, &[]).await.expect("memory saves");
            }
        }
        world.wait_ms(20_000).await;
        assert_eq!(bothered(&world, 50), bothers, "{receipt:?}");
    }
}
