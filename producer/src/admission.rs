//! Whether a message that arrives now could still be delivered in time, by what waits before it in its lane and with workers.
//!
//! Refusing early is kind: the caller can show another way at once, instead of a code that comes too late.

use otodoke_common::broker::Backlog;
use otodoke_common::config::LanesSettings;
use otodoke_common::message::Lane;

use crate::door::Door;
use crate::problem::Problem;
use crate::rates;

/// A lane with so few before a message takes it, whatever was measured.
pub const WAITING_SMALL_MAX: u64 = 64;
/// How fast a lane is thought to drain before anything was measured, messages per second.
pub const DRAINED_PER_S_ASSUMED: f64 = 50.0;
/// Slower than this is taken as this, so that a wait stays a number.
const DRAINED_PER_S_MIN: f64 = 0.1;
/// Of its useful time, how much a bulk message may spend waiting, percent: bulk is shed first.
pub const BULK_WAIT_PERCENT_MAX: u64 = 50;
/// Longest `Retry-After` that a full lane answers, seconds.
pub const RETRY_AFTER_S_MAX: u64 = 60;

/// How many messages may wait in each lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneWindows {
    pub critical: u64,
    pub normal: u64,
    pub bulk: u64,
}

impl Default for LaneWindows {
    fn default() -> Self {
        Self::from(&LanesSettings::default())
    }
}

impl From<&LanesSettings> for LaneWindows {
    fn from(lanes: &LanesSettings) -> Self {
        let window = |lane| u64::from(lanes.of(lane).window);
        Self { critical: window(Lane::Critical), normal: window(Lane::Normal), bulk: window(Lane::Bulk) }
    }
}

impl LaneWindows {
    pub const fn of(&self, lane: Lane) -> u64 {
        match lane {
            Lane::Critical => self.critical,
            Lane::Normal => self.normal,
            Lane::Bulk => self.bulk,
        }
    }
}

/// What admission knows of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub(crate) lane: Lane,
    /// How long it stays useful.
    pub(crate) useful_ms: u64,
    /// The usual time of the best route, from our request to the handset.
    pub(crate) usual_ms: u64,
}

/// The expected wait, milliseconds; or why nothing more is taken.
pub(crate) fn admit(door: &Door, candidate: Candidate) -> Result<u64, Problem> {
    if door.broker.trouble().is_some() {
        return decide_spilled(door.spill.wait_ms(door.now()), door.spill.is_full(door.now()), candidate);
    }
    if door.spill.is_full(door.now()) {
        // It is there, and refuses what it is given.
        return Err(full_of_spilled());
    }
    let backlog = door.rates.known(candidate.lane, rates::measured(door, candidate.lane), door.now());
    decide(backlog, door.windows.of(candidate.lane), candidate)
}

/// How long a message that comes now is expected to wait, milliseconds, whether it would be taken or not.
pub(crate) fn expected_wait_ms(door: &Door, lane: Lane) -> u64 {
    if door.broker.trouble().is_some() || door.spill.is_full(door.now()) {
        return door.spill.wait_ms(door.now());
    }
    wait_ms(door.rates.known(lane, rates::measured(door, lane), door.now()))
}

/// With the broker away no lane counts: rows wait for the sweep.
fn decide_spilled(wait: u64, is_full: bool, candidate: Candidate) -> Result<u64, Problem> {
    if is_full { Err(full_of_spilled()) } else { in_time(wait, candidate) }
}

fn full_of_spilled() -> Problem {
    let detail = "the broker takes nothing, and as many messages wait for the sweep as may: try again later";
    Problem::busy(detail, RETRY_AFTER_S_MAX)
}

fn decide(backlog: Backlog, window: u64, candidate: Candidate) -> Result<u64, Problem> {
    let before = before(backlog);
    let wait = worked_off_ms(before, backlog);
    if backlog.waiting >= window {
        let detail = format!("lane `{}` holds as many messages as it may: try again later", candidate.lane.word());
        return Err(Problem::busy(detail, retry_after_s(worked_off_ms(backlog.waiting - window + 1, backlog))));
    }
    if before > WAITING_SMALL_MAX { in_time(wait, candidate) } else { Ok(wait) }
}

fn in_time(wait: u64, candidate: Candidate) -> Result<u64, Problem> {
    let room = candidate.useful_ms.saturating_sub(candidate.usual_ms);
    let room = match candidate.lane {
        Lane::Critical | Lane::Normal => room,
        Lane::Bulk => room * BULK_WAIT_PERCENT_MAX / 100,
    };
    if wait > room {
        let detail =
            "this message could not arrive while it is useful: try again later, or with a longer `ttl_seconds`";
        return Err(Problem::busy(detail, retry_after_s(wait - room)));
    }
    Ok(wait)
}

/// How long a body that is published now is expected to wait, milliseconds.
pub(crate) fn wait_ms(backlog: Backlog) -> u64 {
    worked_off_ms(before(backlog), backlog)
}

/// What goes first. What workers may hold counts only by a rate that is known.
fn before(backlog: Backlog) -> u64 {
    backlog.waiting + if backlog.is_measured() { backlog.ahead } else { 0 }
}

/// How long so many bodies take. A lane that stands still says that its workers are away, not how fast it drains when they
/// are back: a restart of theirs is no reason to send people away. How much then waits is bounded by the window, and by the
/// rate that was known (`Rates`) or is assumed.
fn worked_off_ms(bodies: u64, backlog: Backlog) -> u64 {
    let measured = backlog.drained_per_s.filter(|_| backlog.is_measured());
    let per_s = measured.unwrap_or(DRAINED_PER_S_ASSUMED).max(DRAINED_PER_S_MIN);
    #[expect(clippy::cast_precision_loss, reason = "an estimate; more than 2^52 messages never wait")]
    let ms = bodies as f64 * 1_000.0 / per_s;
    std::time::Duration::try_from_secs_f64(ms / 1_000.0)
        .map_or(u64::MAX, |wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
}

fn retry_after_s(ms: u64) -> u64 {
    ms.div_ceil(1_000).clamp(1, RETRY_AFTER_S_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(waiting: u64, drained_per_s: Option<f64>, lane: Lane) -> Result<u64, u64> {
        check_all(Backlog { waiting, ahead: 0, drained_per_s }, lane)
    }

    fn check_all(backlog: Backlog, lane: Lane) -> Result<u64, u64> {
        let candidate = Candidate { lane, useful_ms: 300_000, usual_ms: 10_000 };
        decide(backlog, 10_000, candidate)
            .map_err(|problem| problem.retry_after_s.expect("every refusal says when to come again"))
    }

    #[test]
    fn an_empty_lane_takes_a_message_at_once() {
        assert_eq!(check(0, None, Lane::Normal), Ok(0));
        assert_eq!(check(0, Some(0.0), Lane::Normal), Ok(0));
    }

    #[test]
    fn what_could_not_arrive_in_time_is_refused_with_a_time_to_come_again() {
        assert_eq!(check(2_900, Some(10.0), Lane::Normal), Ok(290_000));
        assert_eq!(check(2_950, Some(10.0), Lane::Normal), Err(5));
        assert_eq!(check(9_000, Some(10.0), Lane::Critical), Err(RETRY_AFTER_S_MAX));
    }

    #[test]
    fn a_small_backlog_is_always_admitted() {
        assert!(check(WAITING_SMALL_MAX, Some(0.1), Lane::Normal).is_ok());
        assert!(check(WAITING_SMALL_MAX + 1, Some(0.1), Lane::Normal).is_err());
    }

    #[test]
    fn a_lane_that_stands_still_is_taken_as_if_nothing_was_measured() {
        assert_eq!(check(2_900, Some(0.0), Lane::Normal), check(2_900, None, Lane::Normal));
    }

    #[test]
    fn bulk_is_shed_before_the_lanes_above_it() {
        assert!(check(2_000, Some(10.0), Lane::Bulk).is_err());
        assert!(check(2_000, Some(10.0), Lane::Normal).is_ok());
    }

    #[test]
    fn what_workers_hold_goes_first() {
        let backlog = |waiting, ahead| Backlog { waiting, ahead, drained_per_s: Some(10.0) };
        assert_eq!(check_all(backlog(1_900, 1_000), Lane::Normal), Ok(290_000));
        assert_eq!(check_all(backlog(1_950, 1_000), Lane::Normal), Err(5));
        let unknown = Backlog { drained_per_s: Some(0.0), ..backlog(100, 1_000_000) };
        assert_eq!(check_all(unknown, Lane::Normal), Ok(2_000), "who does nothing may soon do much");
        let fast = Backlog { waiting: 9_999, ahead: 1_000, drained_per_s: Some(1e9) };
        assert!(check_all(fast, Lane::Normal).is_ok(), "they take no place in the lane");
    }

    #[test]
    fn with_the_broker_away_what_waits_for_the_sweep_counts() {
        let check = |wait, is_full, lane| {
            let candidate = Candidate { lane, useful_ms: 300_000, usual_ms: 10_000 };
            decide_spilled(wait, is_full, candidate).map_err(|problem| problem.retry_after_s)
        };
        assert_eq!(check(0, false, Lane::Critical), Ok(0));
        assert_eq!(check(290_000, false, Lane::Normal), Ok(290_000));
        assert_eq!(check(295_000, false, Lane::Normal), Err(Some(5)));
        assert_eq!(check(200_000, false, Lane::Bulk), Err(Some(55)), "bulk is shed first");
        assert_eq!(check(0, true, Lane::Critical), Err(Some(RETRY_AFTER_S_MAX)));
    }

    #[test]
    fn a_full_lane_is_refused_however_fast_it_drains() {
        assert_eq!(check(10_000, Some(1e9), Lane::Critical), Err(1));
        assert!(check(9_999, Some(1e9), Lane::Critical).is_ok());
    }
}
