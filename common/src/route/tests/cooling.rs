//! For how long a route is left alone that throttled a message.

use super::{Row, row};
use crate::fallback::legs_left;
use crate::leg::{Channel, LegOutcome};
use crate::lifecycle::Choice;
use crate::lifecycle::tests::given::{TEXT_USUAL_MS, TTL_MS};
use crate::outcome::Class;
use crate::phone::Country;
use crate::policy::{LEGS_SCARCE, TEXT_LEGS_MAX};
use crate::route::{Scene, Standing, choose};

fn throttled(failures: usize, id_end: u8) -> Row {
    let mut row = row().but("fuji", |route| route.country = Country::parse("FR").expect("a country"));
    row.message.id.0 = uuid::Uuid::from_bytes([id_end; 16]);
    for _ in 0..failures {
        row = row.tried("sakura", LegOutcome::Refused, Some(Class::Throttled));
    }
    row
}

/// What `retry::Delays` of production gives.
fn waits_after(failures: usize, id_end: u8) -> u64 {
    let delays = crate::retry::Delays::new(500, 8_000);
    let row = throttled(failures, id_end);
    let scene = Scene {
        now: row.now,
        table: &row.table,
        standing: &|_| Standing::Ready,
        score: &|_| 0,
        cooling_ms: &|failures, roll| delays.delay_ms(failures, roll),
    };
    match choose(&row.message, &row.want, &scene).choice {
        Choice::Wait { until, .. } => until.since_ms(row.now),
        other @ (Choice::Go(_) | Choice::Elsewhere | Choice::OverLimit(_) | Choice::Nothing) => panic!("{other:?}"),
    }
}

#[test]
fn a_route_that_throttles_is_left_alone_for_the_delays_of_the_policy_each_message_by_its_own_chance() {
    for (failures, middle_ms) in [(1, 500), (2, 1_000), (3, 2_000), (4, 4_000), (5, 8_000), (9, 8_000)] {
        let waited = waits_after(failures, 7);
        assert!((middle_ms * 3 / 4..=middle_ms * 5 / 4).contains(&waited), "{failures} failures: {waited} ms");
    }
    assert_ne!(waits_after(3, 7), waits_after(3, 200), "two messages");
    assert_eq!(waits_after(3, 7), waits_after(3, 7), "looked at twice");
}

/// Half of what each leg that is left has to itself, of the time in which a text still arrives.
#[test]
fn legs_that_become_scarce_are_spread_over_the_time_that_is_left() {
    let first_scarce = TEXT_LEGS_MAX - LEGS_SCARCE;
    assert!(waits_after(first_scarce - 1, 7) <= 10_000, "five are left");
    for failures in first_scarce..TEXT_LEGS_MAX {
        let left = u64::try_from(legs_left(&throttled(failures, 7).message, Channel::Sms)).expect("few");
        assert_eq!(waits_after(failures, 7), (TTL_MS - TEXT_USUAL_MS) / (2 * left), "{left} are left");
    }
    assert_eq!(legs_left(&throttled(TEXT_LEGS_MAX, 7).message, Channel::Sms), 0);
    assert!(legs_left(&throttled(TEXT_LEGS_MAX, 7).message, Channel::Voice) > 0, "for calls");
}
