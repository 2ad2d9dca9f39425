//! What a spike came to, from what the door answered and what the carrier got. Pure.

use std::collections::HashMap;

use super::{CALM_S, CAPACITY_PER_S, FIRST_S, PAYERS_FROM, PRESSES_MAX, SECOND_US, SPIKE_S, Second, Spike, TTL_S};
use crate::arrivals::Arrivals;
use crate::figures::{Latencies, float, ratio};
use crate::load::number;
use crate::load::open::Answer;

const _: () = assert!(PRESSES_MAX > 1, "people press again");

pub(super) fn conclude(begun_us: u64, answers: &[Answer], arrivals: &Arrivals) -> Spike {
    let mut spike = Spike { capacity_per_s: CAPACITY_PER_S, ..Spike::default() };
    let second_of = |at_us: u64| usize::try_from(at_us.saturating_sub(begun_us) / SECOND_US).unwrap_or(0);
    let mut seconds: Vec<Second> = Vec::new();
    let mut at = |at_us: u64, change: &dyn Fn(&mut Second)| {
        let second = second_of(at_us);
        if seconds.len() <= second {
            seconds.resize(second + 1, Second::default());
        }
        change(&mut seconds[second]);
    };
    let mut accepted_us: HashMap<u64, Vec<u64>> = HashMap::new();
    let logins = answers.iter().filter(|answer| answer.number < number(PAYERS_FROM));
    for answer in logins {
        spike.presses += 1;
        at(answer.scheduled_us, &|second| second.pressed += 1);
        if !answer.accepted() {
            spike.refused += 1;
            at(answer.answered_us, &|second| second.refused += 1);
        } else if !answer.joined {
            accepted_us.entry(answer.number).or_default().push(answer.answered_us);
            at(answer.answered_us, &|second| second.accepted += 1);
        }
    }
    let people: std::collections::HashSet<u64> =
        answers.iter().map(|answer| answer.number).filter(|to| *to < number(PAYERS_FROM)).collect();
    spike.people = people.len() as u64;
    let mut last_us = begun_us;
    for arrival in arrivals.all.iter().filter(|arrival| arrival.to < number(PAYERS_FROM)) {
        spike.permits += 1;
        if !arrival.taken {
            spike.throttled += 1;
            continue;
        }
        at(arrival.at_us, &|second| second.submitted += 1);
        last_us = last_us.max(arrival.at_us);
        let first = arrivals.first_us.get(&arrival.to) == Some(&arrival.at_us);
        if first && in_time(accepted_us.get(&arrival.to), arrival.at_us) {
            spike.good += 1;
        }
    }
    spike.goodput = ratio(float(spike.good), float(spike.permits));
    spike.accepted_in_vain = accepted_us.keys().filter(|to| !arrivals.first_us.contains_key(to)).count() as u64;
    let spike_ends_us = begun_us + (CALM_S + SPIKE_S) * SECOND_US;
    spike.backlog_gone_s = float(last_us.saturating_sub(spike_ends_us)) / float(SECOND_US);
    spike.seconds = with_waiting(seconds);
    critical(&mut spike, begun_us, answers, arrivals);
    spike
}

/// Before the last message that was accepted for it was useless.
fn in_time(accepted_us: Option<&Vec<u64>>, at_us: u64) -> bool {
    let before = accepted_us.into_iter().flatten().filter(|accepted_us| **accepted_us <= at_us + SECOND_US).max();
    before.is_some_and(|accepted_us| at_us <= accepted_us + u64::from(TTL_S) * SECOND_US)
}

/// What was accepted and is not with the carrier yet; whoever's time is over waits no more.
fn with_waiting(mut seconds: Vec<Second>) -> Vec<Second> {
    let lifetime = usize::try_from(TTL_S).unwrap_or(usize::MAX);
    let (mut accepted, mut submitted) = (0_u64, 0_u64);
    for index in 0..seconds.len() {
        accepted += seconds[index].accepted;
        submitted += seconds[index].submitted;
        // Those accepted a lifetime ago or earlier are submitted or expired.
        let over: u64 = seconds[..(index + 1).saturating_sub(lifetime)].iter().map(|second| second.accepted).sum();
        seconds[index].waiting = accepted.saturating_sub(submitted.max(over));
    }
    seconds
}

fn critical(spike: &mut Spike, begun_us: u64, answers: &[Answer], arrivals: &Arrivals) {
    let [mut calm, mut rush, mut busy] = [(); 3].map(|()| Latencies::default());
    let [calm_us, spike_us, after_us] = [FIRST_S, CALM_S, CALM_S + SPIKE_S].map(|second| begun_us + second * SECOND_US);
    for answer in answers.iter().filter(|answer| answer.number >= number(PAYERS_FROM)) {
        if !answer.accepted() {
            spike.critical_refused += 1;
            continue;
        }
        let Some(at_us) = arrivals.first_us.get(&answer.number) else {
            spike.critical_in_vain += 1;
            continue;
        };
        let took_us = at_us.saturating_sub(answer.scheduled_us);
        if (calm_us..spike_us).contains(&answer.scheduled_us) {
            calm.add(took_us);
        } else if answer.scheduled_us >= spike_us {
            busy.add(took_us);
        }
        if (spike_us..after_us).contains(&answer.scheduled_us) {
            rush.add(took_us);
        }
        let asked_s = float(answer.scheduled_us.saturating_sub(begun_us)) / float(SECOND_US);
        spike.critical.push((asked_s, float(took_us) / 1_000.0));
    }
    let throttled = arrivals.all.iter().filter(|arrival| arrival.to >= number(PAYERS_FROM) && !arrival.taken);
    spike.critical_throttled = throttled.count() as u64;
    spike.critical_calm = calm.percentiles();
    spike.critical_spike = busy.percentiles();
    spike.critical_rush = rush.percentiles();
    let worse_ms = spike.critical_spike.p99_ms.max(spike.critical_rush.p99_ms);
    // Whoever is left out of a percentile waited for ever.
    let lost = spike.critical_refused + spike.critical_in_vain;
    spike.critical_p99_ms = if lost > 0 { f64::INFINITY } else { worse_ms };
    spike.critical_ratio = ratio(spike.critical_p99_ms, spike.critical_calm.p99_ms);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::carrier::Arrival;

    const BEGUN_US: u64 = 1_000_000_000;

    fn at(second: u64) -> u64 {
        BEGUN_US + second * SECOND_US
    }

    fn press(person: u64, second: u64, status: u16, joined: bool) -> Answer {
        Answer { number: number(person), scheduled_us: at(second), answered_us: at(second), status, joined }
    }

    fn concluded(answers: &[Answer], calls: &[(u64, u64, bool)]) -> Spike {
        let mut arrivals = Arrivals::default();
        for (person, second, taken) in calls.iter().copied() {
            let arrival = Arrival { to: number(person), at_us: at(second), taken };
            if taken {
                arrivals.first_us.entry(arrival.to).or_insert(arrival.at_us);
            }
            arrivals.all.push(arrival);
        }
        conclude(BEGUN_US, answers, &arrivals)
    }

    #[test]
    fn a_permit_is_well_spent_on_the_first_code_that_comes_in_time() {
        let answers = [press(1, 15, 202, false), press(2, 15, 202, false), press(3, 15, 503, false)];
        let calls = [(1, 16, true), (1, 40, true), (2, 80, true), (2, 20, false)];
        let spike = concluded(&answers, &calls);
        assert_eq!((spike.permits, spike.throttled, spike.good, spike.refused), (4, 1, 1, 1));
        assert!((spike.goodput - 0.25).abs() < f64::EPSILON);
    }

    #[test]
    fn who_joins_is_accepted_once_and_who_gets_nothing_was_accepted_in_vain() {
        let spike = concluded(&[press(1, 15, 202, false), press(1, 35, 202, true)], &[]);
        assert_eq!((spike.people, spike.presses, spike.accepted_in_vain), (1, 2, 1));
        assert_eq!(spike.seconds[15].waiting, 1);
        assert_eq!(spike.seconds[35].waiting, 1);
    }

    #[test]
    fn payments_are_compared_with_their_own_calm_and_are_no_people_of_the_spike() {
        let answers = [1, 6, 20, 40].map(|second| press(PAYERS_FROM + second, second, 202, false));
        let calls = [(1, 8, true), (6, 7, true), (20, 24, true), (40, 41, true)];
        let spike = concluded(&answers, &calls.map(|(person, second, taken)| (PAYERS_FROM + person, second, taken)));
        assert_eq!((spike.people, spike.permits), (0, 0));
        assert_eq!((spike.critical_calm.count, spike.critical_rush.count, spike.critical_spike.count), (1, 1, 2));
        assert!((spike.critical_ratio - 4.0).abs() < 0.02, "{}", spike.critical_ratio);
        let refused = concluded(&[press(PAYERS_FROM, 6, 202, false), press(PAYERS_FROM + 1, 20, 503, false)], &[]);
        assert!(refused.critical_p99_ms.is_infinite(), "somebody could not pay");
    }
}
