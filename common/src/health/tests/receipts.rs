//! Promise 11: what a missing receipt means.

use super::super::receipts::{LEGS_REMEMBERED_MAX, RECOVERY_MS};
use super::*;

/// Of message `n`; each goes to another.
fn phone(n: u32) -> Tag {
    let mut tag = [0; 32];
    tag[..4].copy_from_slice(&n.to_be_bytes());
    Tag(tag)
}

fn is_punctual(health: &mut Health, n: u32, leg: &Leg, now: Timestamp) -> bool {
    health.punctual((id(n), phone(n)), leg, now)
}

/// Legs of one route submitted at given times; `heard` says of which something was heard.
fn watched(submitted_ms: impl Iterator<Item = u64>, heard: impl Fn(u32) -> bool) -> Health {
    let mut health = Health::new(at(0));
    for (n, ms) in (0..).zip(submitted_ms) {
        health.submitted(&route(), (id(n), 1), phone(n), at(ms));
        if heard(n) {
            health.heard(&route(), (id(n), 1));
        }
    }
    health
}

#[test]
fn a_single_leg_alone_is_punctual() {
    let mut health = watched([1_000].into_iter(), |_| false);
    assert!(is_punctual(&mut health, 0, &leg(at(1_000)), at(1_000).plus_ms(PATIENCE_MS)));
}

#[test]
fn one_silent_leg_among_many_heard_ones_is_punctual() {
    let mut health = watched((0..100).map(|n| 1_000 + n * 10), |n| n != 3);
    assert!(is_punctual(&mut health, 3, &leg(at(1_030)), at(1_030).plus_ms(PATIENCE_MS)));
}

#[test]
fn legs_heard_of_before_receipts_stopped_say_nothing_about_those_after() {
    let stopped = 20;
    let mut health = watched((0..40).map(|n| 1_000 + n * 200), |n| n < stopped);
    for n in stopped..stopped + 5 {
        let started = at(1_000 + u64::from(n) * 200);
        assert!(!is_punctual(&mut health, n, &leg(started), started.plus_ms(PATIENCE_MS)), "leg {n}");
    }
}

#[test]
fn receipts_that_were_held_up_are_waited_for_a_while_once_they_come_again() {
    let mut health = watched((0..20).map(|n| 1_000 + n * 100), |_| false);
    let first = leg(at(1_000));
    let late = at(1_000).plus_ms(PATIENCE_MS);
    assert!(!is_punctual(&mut health, 0, &first, late));
    for n in 1..20 {
        health.heard(&route(), (id(n), 1));
    }
    assert!(!is_punctual(&mut health, 0, &first, late.plus_ms(RECOVERY_MS - 1)), "its own may still come");
    assert!(is_punctual(&mut health, 0, &first, late.plus_ms(RECOVERY_MS)));
    let started = late.plus_ms(1);
    health.submitted(&route(), (id(50), 1), phone(50), started);
    assert!(
        is_punctual(&mut health, 50, &leg(started), started.plus_ms(PATIENCE_MS)),
        "a leg after it is judged as ever"
    );
}

#[test]
fn of_a_burst_without_receipts_no_leg_is_punctual() {
    for spacing_ms in [0, 1, 100, 1_000] {
        let started = |n: u64| 1_000 + n * spacing_ms;
        let mut health = watched((0..100).map(started), |_| false);
        let now = at(started(99)).plus_ms(PATIENCE_MS);
        let punctual = (0..100).filter(|n| is_punctual(&mut health, *n, &leg(at(started(u64::from(*n)))), now)).count();
        assert_eq!(punctual, 0, "one leg each {spacing_ms} ms");
    }
}

#[test]
fn on_a_quiet_route_a_few_silent_legs_in_a_row_hold_each_other_back() {
    // Receipts are held up for two minutes from leg 10 on. With one leg every 8 s nobody is judged too early; where they
    // are so few that none can be compared with another in time, the first two of them are.
    for (apart_ms, judged_wrongly) in [(4_000, 0), (8_000, 0), (10_000, 0), (15_000, 1), (40_000, 2)] {
        let started = |n: u32| at(1_000 + u64::from(n) * apart_ms);
        let mut health = Health::new(at(0));
        let mut punctual = 0;
        for n in 0..20 {
            health.submitted(&route(), (id(n), 1), phone(n), started(n));
            if n < 10 {
                health.heard(&route(), (id(n), 1));
            }
            for silent in 10..=n {
                let overdue_at = started(silent).plus_ms(PATIENCE_MS);
                if overdue_at >= started(n) && overdue_at < started(n + 1) {
                    punctual += usize::from(is_punctual(&mut health, silent, &leg(started(silent)), overdue_at));
                }
            }
        }
        assert_eq!(punctual, judged_wrongly, "one leg each {apart_ms} ms");
    }
}

#[test]
fn a_phone_that_is_off_on_a_quiet_route_is_a_matter_of_its_own() {
    let mut health = watched((0..20).map(|n| 1_000 + n * 8_000), |n| n != 10 && n != 11);
    for n in [10, 11] {
        let started = at(1_000 + u64::from(n) * 8_000);
        assert!(is_punctual(&mut health, n, &leg(started), started.plus_ms(PATIENCE_MS)), "leg {n}");
    }
}

#[test]
fn a_busy_route_knows_as_well_as_a_quiet_one_whether_its_receipts_come() {
    // 500 legs a second for 40 s: when one is overdue, thousands were submitted after it.
    for (heard_percent, punctual) in [(99, true), (0, false)] {
        let mut health = watched((0..20_000).map(|n| n * 2), |n| n % 100 < heard_percent);
        for n in [101, 199, 299, 399, 499] {
            let started = at(u64::from(n) * 2);
            let now = started.plus_ms(PATIENCE_MS);
            assert_eq!(is_punctual(&mut health, n, &leg(started), now), punctual, "{heard_percent} % heard, leg {n}");
        }
    }
}

#[test]
fn legs_of_a_life_before_this_one_get_twice_the_patience() {
    let before = leg(at(0));
    let restarted = at(10_000);
    let mut health = Health::new(restarted);
    assert!(!is_punctual(&mut health, 0, &before, restarted.plus_ms(PATIENCE_MS)));
    assert!(!is_punctual(&mut health, 0, &before, restarted.plus_ms(2 * PATIENCE_MS - 1)));
    assert!(is_punctual(&mut health, 0, &before, restarted.plus_ms(2 * PATIENCE_MS)));
}

#[test]
fn many_silent_legs_of_a_life_before_this_one_hold_each_other_back() {
    let restarted = at(10_000);
    let mut health = Health::new(restarted);
    let grace = restarted.plus_ms(2 * PATIENCE_MS);
    for now in [restarted.plus_ms(PATIENCE_MS), grace] {
        let punctual = (0..50).filter(|n| is_punctual(&mut health, *n, &leg(at(u64::from(*n))), now)).count();
        assert_eq!(punctual, 0, "{}", now.rfc3339());
    }
}

#[test]
fn no_more_legs_than_so_many_are_remembered() {
    let health = watched((0..5_000).map(|n| n * 200), |_| false);
    assert!(health.routes[&route()].receipts.remembered() <= LEGS_REMEMBERED_MAX);
}

#[test]
fn what_another_process_heard_counts_once_it_is_told() {
    let mut health = Health::new(at(0));
    for n in 0..4 {
        health.submitted(&route(), (id(n), 1), phone(n), at(1_000 + u64::from(n) * 1_000));
    }
    let late = leg(at(1_000));
    let now = at(1_000 + PATIENCE_MS);
    let unheard = health.unheard(&late, now);
    assert_eq!(unheard, [(id(3), 1), (id(2), 1), (id(1), 1), (id(0), 1)], "the newest first");
    assert_eq!(health.unheard(&late, now.plus_ms(999)), [], "not looked up twice in a second");
    for leg in &unheard[..2] {
        health.heard(&route(), *leg);
    }
    assert!(is_punctual(&mut health, 0, &late, now), "two of the three others were heard of");
    assert_eq!(health.unheard(&late, now.plus_ms(1_000)), unheard[2..]);
}

#[test]
fn many_legs_to_a_few_phones_do_not_outvote_those_whose_receipts_are_held_back() {
    // Six phones with two silent legs each, and eight legs of which something was heard, to two phones.
    let mut health = Health::new(at(0));
    for n in 0..20 {
        let whose = if n < 12 { phone(n / 2) } else { phone(100 + n % 2) };
        health.submitted(&route(), (id(n), 1), whose, at(1_000 + u64::from(n % 5) * 1_000));
        if n >= 12 {
            health.heard(&route(), (id(n), 1));
        }
    }
    for n in 0..12 {
        let started = at(1_000 + u64::from(n % 5) * 1_000);
        let is_punctual = health.punctual((id(n), phone(n / 2)), &leg(started), started.plus_ms(PATIENCE_MS));
        assert!(!is_punctual, "leg {n}");
    }
}

#[test]
fn a_phone_whose_receipts_never_come_is_a_matter_of_its_own_however_often_it_is_asked_for() {
    let mut health = Health::new(at(0));
    let started = |n: u32| at(1_000 + u64::from(n) * 500);
    for n in 0..5 {
        health.submitted(&route(), (id(n), 1), phone(0), started(n));
    }
    let overdue_at = |n: u32| started(n).plus_ms(PATIENCE_MS);
    for n in 0..5 {
        assert!(health.punctual((id(n), phone(0)), &leg(started(n)), overdue_at(n)), "leg {n}");
    }
    for n in 5..7 {
        health.submitted(&route(), (id(n), 1), phone(n), started(n));
    }
    assert!(!health.punctual((id(4), phone(0)), &leg(started(4)), overdue_at(6)), "three phones are silent");
}
