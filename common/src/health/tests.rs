//! Rest and probes, throttling, and the score.

use super::*;
use crate::leg::{Abilities, Channel, LegOutcome, RouteClass};
use crate::outcome::{Class, Refusal, Scope};

mod receipts;

const PATIENCE_MS: u64 = 30_000;

fn at(ms: u64) -> Timestamp {
    Timestamp::from_unix_ms(1_700_000_000_000).plus_ms(ms)
}

fn provider() -> ProviderId {
    ProviderId::parse("sakura").expect("a provider id")
}

fn route() -> RouteId {
    RouteId::parse("jp-sakura").expect("a route id")
}

fn id(n: u32) -> MessageId {
    let mut random = [0; 10];
    random[..4].copy_from_slice(&n.to_be_bytes());
    MessageId::new(at(0), random)
}

fn leg(started_at: Timestamp) -> Leg {
    Leg {
        number: 1,
        channel: Channel::Sms,
        provider: provider(),
        route: route(),
        class: RouteClass::Domestic,
        sender: "Otodoke".to_owned(),
        started_at,
        ended_at: None,
        outcome: Some(LegOutcome::Submitted),
        reason: None,
        taken: true,
        reference: None,
        usual_by: started_at.plus_ms(5_000),
        overdue_after_ms: Some(PATIENCE_MS),
        overdue_at: Some(started_at.plus_ms(PATIENCE_MS)),
        ask_at: None,
        asks: 0,
        sends: 1,
        abilities: Abilities::default(),
        call: None,
        operator: None,
    }
}

fn submitted() -> Answer {
    Answer::Submitted { reference: None }
}

fn lost() -> Answer {
    Answer::Unknown { why: "timeout".to_owned() }
}

fn refused(class: Class, scope: Scope, retry_after_ms: Option<u64>) -> Answer {
    Answer::Refused(Refusal { class, scope, code: "x".to_owned(), retry_after_ms })
}

/// A health that was told `answers`, one each millisecond from 0 on.
fn told(answers: &[Answer]) -> Health {
    let mut health = Health::new(at(0));
    for (ms, answer) in (0..).zip(answers) {
        health.answered(&route(), &provider(), answer, at(ms));
    }
    health
}

fn resting_until(health: &Health, now: Timestamp) -> Option<Timestamp> {
    match health.circuit(&provider(), now) {
        Circuitry::Open { until } => Some(until),
        Circuitry::Closed | Circuitry::HalfOpen => None,
    }
}

#[test]
fn a_provider_rests_after_three_failures_in_a_row_and_not_before() {
    assert_eq!(told(&[lost(), lost()]).standing(&provider(), at(2)), Standing::Ready);
    assert_eq!(told(&[lost(), lost(), submitted(), lost(), lost()]).standing(&provider(), at(5)), Standing::Ready);
    let until = at(2).plus_ms(REST_FIRST_MS);
    let resting = told(&[lost(), Answer::NotSent { why: "dns".to_owned() }, lost()]);
    assert_eq!(resting.standing(&provider(), at(3)), Standing::Resting { until });
    assert_eq!(resting.circuit(&provider(), until), Circuitry::HalfOpen);
}

#[test]
fn what_is_refused_for_the_numbers_or_the_texts_sake_rests_nobody() {
    for scope in [Scope::Message, Scope::Number, Scope::Sender, Scope::Tenant] {
        for class in Class::ALL {
            let health = told(&vec![refused(class, scope, None); 10]);
            assert_eq!(health.standing(&provider(), at(10)), Standing::Ready, "{class:?} {scope:?}");
            assert_eq!(health.score(&route(), at(10)), 0, "{class:?} {scope:?}");
        }
    }
    let config = vec![refused(Class::Config, Scope::Provider, None); 3];
    assert!(resting_until(&told(&config), at(3)).is_some());
}

#[test]
fn a_half_open_provider_gets_one_probe_and_rests_twice_as_long_when_it_fails() {
    let mut health = told(&[lost(), lost(), lost()]);
    let mut now = at(2);
    for rest_ms in [5_000, 10_000, 20_000, 40_000, 80_000, 80_000] {
        let until = now.plus_ms(rest_ms);
        assert_eq!(resting_until(&health, now), Some(until));
        assert_eq!(health.circuit(&provider(), until), Circuitry::HalfOpen);
        assert_eq!(health.admit(&provider(), until), Admission::Probes);
        let second = health.admit(&provider(), until);
        assert!(matches!(second, Admission::Rests { .. }), "a second leg must not go while the probe is out");
        now = until.plus_ms(10);
        health.answered(&route(), &provider(), &lost(), now);
    }
}

#[test]
fn a_probe_that_works_closes_and_one_that_is_never_answered_frees_its_place() {
    let rested = at(2).plus_ms(REST_FIRST_MS);
    for answer in [submitted(), refused(Class::InvalidNumber, Scope::Number, None)] {
        let mut health = told(&[lost(), lost(), lost()]);
        assert_eq!(health.admit(&provider(), rested), Admission::Probes);
        health.answered(&route(), &provider(), &answer, rested.plus_ms(100));
        assert_eq!(health.circuit(&provider(), rested.plus_ms(100)), Circuitry::Closed, "{answer:?}");
        assert_eq!(health.admit(&provider(), rested.plus_ms(100)), Admission::Goes);
    }
    let mut health = told(&[lost(), lost(), lost()]);
    assert_eq!(health.admit(&provider(), rested), Admission::Probes);
    assert_eq!(health.circuit(&provider(), rested.plus_ms(PROBE_MS_MAX)), Circuitry::HalfOpen);
}

#[test]
fn a_probe_that_does_not_go_out_leaves_its_place_to_the_next() {
    let rested = at(2).plus_ms(REST_FIRST_MS);
    let mut health = told(&[lost(), lost(), lost()]);
    assert_eq!(health.admit(&provider(), rested), Admission::Probes);
    health.forgo(&provider());
    assert_eq!(health.admit(&provider(), rested), Admission::Probes);
}

#[test]
fn who_waits_for_a_probe_looks_again_long_before_the_probe_is_given_up() {
    let rested = at(2).plus_ms(REST_FIRST_MS);
    let mut health = told(&[lost(), lost(), lost()]);
    assert_eq!(health.admit(&provider(), rested), Admission::Probes);
    assert_eq!(resting_until(&health, rested), Some(rested.plus_ms(PROBE_LOOK_MS)));
    let late = rested.plus_ms(PROBE_MS_MAX - 1);
    assert_eq!(resting_until(&health, late), Some(rested.plus_ms(PROBE_MS_MAX)));
}

#[test]
fn answers_of_calls_that_were_out_do_not_prolong_a_rest() {
    let mut health = told(&[lost(), lost(), lost()]);
    let until = resting_until(&health, at(3));
    for ms in 3..20 {
        health.answered(&route(), &provider(), &lost(), at(ms));
    }
    assert_eq!(resting_until(&health, at(20)), until);
}

#[test]
fn a_throttled_provider_is_full_for_as_long_as_it_asked_and_not_out_of_service() {
    let throttled = |retry_after_ms| told(&[refused(Class::Throttled, Scope::Provider, retry_after_ms)]);
    for (asked, honoured_ms) in [(Some(7_000), 7_000), (None, THROTTLE_REST_MS), (Some(999_999), THROTTLE_REST_MS_MAX)]
    {
        let (health, until) = (throttled(asked), at(honoured_ms));
        assert_eq!(health.standing(&provider(), until.minus_ms(1)), Standing::Full { until }, "{asked:?}");
        assert_eq!(health.standing(&provider(), until), Standing::Ready, "{asked:?}");
        assert_eq!(health.circuit(&provider(), at(1)), Circuitry::Closed, "{asked:?}");
    }
}

#[test]
fn answers_of_calls_that_were_out_do_not_shorten_what_a_throttled_provider_asked_for() {
    let long = refused(Class::Throttled, Scope::Provider, Some(7_000));
    let short = refused(Class::Throttled, Scope::Provider, None);
    for other in [submitted(), lost(), short] {
        let health = told(&[long.clone(), other.clone()]);
        assert_eq!(health.standing(&provider(), at(6_999)), Standing::Full { until: at(7_000) }, "{other:?}");
    }
}

#[test]
fn what_a_clock_said_that_was_ahead_keeps_nobody_away() {
    const AHEAD_MS: u64 = 3_600_000;
    let mut health = Health::new(at(0));
    for _ in 0..FAILURES_BEFORE_REST {
        health.answered(&route(), &provider(), &lost(), at(AHEAD_MS));
    }
    assert!(resting_until(&health, at(AHEAD_MS)).is_some());
    assert_eq!(health.circuit(&provider(), at(0)), Circuitry::HalfOpen);
    assert_eq!(health.admit(&provider(), at(0)), Admission::Probes);
    let throttled = refused(Class::Throttled, Scope::Provider, Some(20_000));
    let mut health = Health::new(at(0));
    health.answered(&route(), &provider(), &throttled, at(AHEAD_MS));
    assert_eq!(health.standing(&provider(), at(0)), Standing::Ready);
    health.answered(&route(), &provider(), &throttled, at(0));
    assert_eq!(health.standing(&provider(), at(1)), Standing::Full { until: at(20_000) });
}

#[test]
fn who_looked_at_the_clock_a_moment_earlier_sees_the_same_probe() {
    let mut health = told(&[lost(), lost(), lost()]);
    let rests_until = resting_until(&health, at(0)).expect("it rests");
    assert_eq!(health.admit(&provider(), rests_until), Admission::Probes);
    assert!(matches!(health.admit(&provider(), rests_until.minus_ms(1)), Admission::Rests { .. }), "no second probe");
}

#[test]
fn a_route_scores_badly_when_most_of_its_recent_answers_were_failures() {
    let score = |answers: &[Answer]| told(answers).score(&route(), at(100));
    assert_eq!(score(&vec![lost(); 4]), 0, "too few answers say nothing");
    assert_eq!(score(&vec![lost(); 5]), 1);
    assert_eq!(score(&[vec![lost(); 3], vec![submitted(); 3]].concat()), 0, "half is not most");
    assert_eq!(score(&[vec![lost(); 20], vec![submitted(); 10]].concat()), 0, "the last twenty count");
    assert_eq!(Health::new(at(0)).score(&route(), at(0)), 0);
}

#[test]
fn a_bad_score_is_forgotten_so_that_the_route_is_tried_again() {
    // Every third of its answers comes, so that it never rests.
    let health = told(&vec![[lost(), lost(), submitted()]; 6].concat());
    assert_eq!(health.score(&route(), at(OUTCOMES_KEPT_MS - 1)), 1);
    assert_eq!(health.score(&route(), at(OUTCOMES_KEPT_MS + 18)), 0);
}

#[test]
fn a_route_whose_provider_has_rested_is_tried_in_its_turn_and_starts_anew_when_it_works() {
    let mut health = told(&vec![lost(); 10]);
    let rested = at(2).plus_ms(REST_FIRST_MS);
    assert_eq!(health.score(&route(), rested.minus_ms(1)), 1);
    assert_eq!(health.score(&route(), rested), 0, "one leg shall see whether it works");
    assert_eq!(health.admit(&provider(), rested), Admission::Probes);
    assert_eq!(health.score(&route(), rested), 1, "and only one");
    let mut failed = told(&vec![lost(); 10]);
    failed.admit(&provider(), rested);
    failed.answered(&route(), &provider(), &lost(), rested.plus_ms(100));
    assert_eq!(failed.score(&route(), rested.plus_ms(100)), 1);
    health.answered(&route(), &provider(), &submitted(), rested.plus_ms(100));
    assert_eq!(health.score(&route(), rested.plus_ms(100)), 0);
}

#[test]
fn no_more_answers_than_so_many_are_remembered() {
    assert!(told(&vec![submitted(); 100]).routes[&route()].answers.len() <= OUTCOMES_MAX);
}
