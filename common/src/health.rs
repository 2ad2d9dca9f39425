//! How providers and routes are doing, as this process sees it: rest with half-open probes, a coarse score, punctuality.
//!
//! Plain state with time as an argument. The worker keeps one behind a lock; `route` and `lifecycle` see answers only.

mod receipts;
mod verdict;

use std::collections::{BTreeMap, VecDeque};

use crate::leg::{Leg, LegNumber, ProviderId, RouteId};
use crate::message::{MessageId, Tag};
use crate::outcome::Answer;
use crate::route::Standing;
use crate::time::Timestamp;
use receipts::Receipts;
use verdict::{CLOSED, Verdict, judge, turned};

/// Failures of its own in a row before a provider rests.
pub const FAILURES_BEFORE_REST: u32 = 3;
const REST_FIRST_MS: u64 = 5_000;
const REST_DOUBLINGS_MAX: u32 = 4;
const REST_MS_MAX: u64 = REST_FIRST_MS << REST_DOUBLINGS_MAX;
/// So much later may what was noted before by another look at the clock be: it is corrected now and then.
const CLOCK_DIFFERS_MS_MAX: u64 = 2_000;
/// A throttled provider without a wish of its own is left alone this long.
const THROTTLE_REST_MS: u64 = 250;
const THROTTLE_REST_MS_MAX: u64 = 30_000;
/// A probe that was never answered frees its place after this.
const PROBE_MS_MAX: u64 = 30_000;
/// Who waits for a provider that is being probed looks again after this.
const PROBE_LOOK_MS: u64 = 500;
/// Answers remembered per route, and for how long.
const OUTCOMES_MAX: usize = 20;
const OUTCOMES_KEPT_MS: u64 = 300_000;
/// Answers needed before a score says anything.
const OUTCOMES_MIN: usize = 5;

pub struct Health {
    /// Since when this process has been hearing receipts.
    watching_since: Timestamp,
    circuits: BTreeMap<ProviderId, Circuit>,
    /// Until when a provider asked us to wait.
    throttled: BTreeMap<ProviderId, Timestamp>,
    routes: BTreeMap<RouteId, RouteHealth>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Circuit {
    Closed {
        failures: u32,
    },
    Open {
        until: Timestamp,
        rests: u32,
    },
    /// One leg is out to see whether it works again.
    Probing {
        since: Timestamp,
        rests: u32,
    },
}

#[derive(Default)]
struct RouteHealth {
    /// Whose route it is, once it answered.
    provider: Option<ProviderId>,
    /// When it answered, and `true` where the provider failed.
    answers: VecDeque<(Timestamp, bool)>,
    receipts: Receipts,
}

/// What a circuit allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Circuitry {
    Closed,
    /// One probe may go.
    HalfOpen,
    Open {
        until: Timestamp,
    },
}

/// What a provider's circuit says to a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    Goes,
    /// It goes, and its answer tells whether others may.
    Probes,
    Rests {
        until: Timestamp,
    },
}

impl Circuitry {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open { .. } => "open",
        }
    }
}

impl Health {
    pub const fn new(watching_since: Timestamp) -> Self {
        Self { watching_since, circuits: BTreeMap::new(), throttled: BTreeMap::new(), routes: BTreeMap::new() }
    }

    /// What a provider can do as far as its own answers tell; whether a permit is free, the shell knows.
    pub fn standing(&self, provider: &ProviderId, now: Timestamp) -> Standing {
        let throttled = self.throttled.get(provider).filter(|until| lasts(**until, now, THROTTLE_REST_MS_MAX));
        match (self.circuit(provider, now), throttled) {
            (Circuitry::Open { until }, _) => Standing::Resting { until },
            // It works, and says when it takes more: waited for like a permit, never a reason to go abroad.
            (Circuitry::Closed | Circuitry::HalfOpen, Some(until)) => Standing::Full { until: *until },
            (Circuitry::Closed | Circuitry::HalfOpen, None) => Standing::Ready,
        }
    }

    pub fn circuit(&self, provider: &ProviderId, now: Timestamp) -> Circuitry {
        match self.circuits.get(provider) {
            None | Some(Circuit::Closed { .. }) => Circuitry::Closed,
            Some(Circuit::Open { until, .. }) if lasts(*until, now, REST_MS_MAX) => Circuitry::Open { until: *until },
            Some(Circuit::Open { .. }) => Circuitry::HalfOpen,
            // Its answer may come any moment: who waits looks again soon, not only when the probe has failed.
            Some(Circuit::Probing { since, .. }) if lasts(since.plus_ms(PROBE_MS_MAX), now, PROBE_MS_MAX) => {
                Circuitry::Open { until: now.plus_ms(PROBE_LOOK_MS).min(since.plus_ms(PROBE_MS_MAX)) }
            }
            Some(Circuit::Probing { .. }) => Circuitry::HalfOpen,
        }
    }

    /// As people see it: a provider that is being probed does not rest.
    pub fn shown(&self, provider: &ProviderId, now: Timestamp) -> Circuitry {
        match self.circuits.get(provider) {
            Some(Circuit::Probing { .. }) => Circuitry::HalfOpen,
            Some(Circuit::Closed { .. } | Circuit::Open { .. }) | None => self.circuit(provider, now),
        }
    }

    /// Whether a leg may go out by this provider now. Of a circuit that is half open, whoever asks first has the probe.
    pub fn admit(&mut self, provider: &ProviderId, now: Timestamp) -> Admission {
        let rests = match self.circuits.get(provider).copied() {
            Some(Circuit::Open { rests, .. } | Circuit::Probing { rests, .. }) => rests,
            Some(Circuit::Closed { .. }) | None => return Admission::Goes,
        };
        match self.circuit(provider, now) {
            Circuitry::Closed => Admission::Goes,
            Circuitry::HalfOpen => {
                self.circuits.insert(provider.clone(), Circuit::Probing { since: now, rests });
                Admission::Probes
            }
            Circuitry::Open { until } => Admission::Rests { until },
        }
    }

    /// What was to be the probe does not go out: somebody else may be it.
    pub fn forgo(&mut self, provider: &ProviderId) {
        if let Some(circuit) = self.circuits.get_mut(provider)
            && let Circuit::Probing { since, rests } = *circuit
        {
            *circuit = Circuit::Open { until: since, rests };
        }
    }

    pub fn answered(&mut self, route: &RouteId, provider: &ProviderId, answer: &Answer, now: Timestamp) {
        let verdict = judge(answer);
        if verdict == Verdict::Worked && self.rested(provider, now) {
            self.forget_answers(provider);
        }
        if verdict != Verdict::Nothing {
            let health = self.routes.entry(route.clone()).or_default();
            health.provider.get_or_insert_with(|| provider.clone());
            remember(&mut health.answers, (now, verdict == Verdict::Failed), OUTCOMES_MAX);
        }
        // Answers to requests that were out already neither shorten nor end what it asked for.
        if let Verdict::Throttled { for_ms } = verdict {
            let until = self.throttled.entry(provider.clone()).or_insert(now);
            let before = if lasts(*until, now, THROTTLE_REST_MS_MAX) { *until } else { now };
            *until = now.plus_ms(for_ms).max(before);
        }
        let circuit = self.circuits.get(provider).copied().unwrap_or(CLOSED);
        self.circuits.insert(provider.clone(), turned(circuit, verdict, now));
    }

    /// Whether this provider rested until now, and is being tried again.
    fn rested(&self, provider: &ProviderId, now: Timestamp) -> bool {
        match self.circuits.get(provider) {
            Some(Circuit::Open { until, .. }) => !lasts(*until, now, REST_MS_MAX),
            Some(Circuit::Probing { .. }) => true,
            Some(Circuit::Closed { .. }) | None => false,
        }
    }

    /// It works again: what it failed at before says nothing any more.
    fn forget_answers(&mut self, provider: &ProviderId) {
        for health in self.routes.values_mut().filter(|health| health.provider.as_ref() == Some(provider)) {
            health.answers.clear();
        }
    }

    /// It went out; from now on its receipt is looked for.
    pub fn submitted(&mut self, route: &RouteId, leg: (MessageId, LegNumber), phone: Tag, at: Timestamp) {
        self.routes.entry(route.clone()).or_default().receipts.submitted(leg, phone, at);
    }

    /// Something with a status was heard about a leg.
    pub fn heard(&mut self, route: &RouteId, leg: (MessageId, LegNumber)) {
        if let Some(health) = self.routes.get_mut(route) {
            health.receipts.heard(leg);
        }
    }

    /// Legs like this one that nothing was heard of here: other processes may have heard. Empty where it was asked lately.
    pub fn unheard(&mut self, leg: &Leg, now: Timestamp) -> Vec<(MessageId, LegNumber)> {
        self.routes.entry(leg.route.clone()).or_default().receipts.unheard(leg, now)
    }

    /// 0 while a route works, 1 when most of its last answers were failures of its provider.
    ///
    /// Old answers are forgotten: a route that came last for its failures is tried again. So it is once its provider has
    /// rested: behind another that is ready nobody would ever see that it works.
    pub fn score(&self, route: &RouteId, now: Timestamp) -> u8 {
        let Some(health) = self.routes.get(route) else { return 0 };
        let half_open = |provider| self.circuit(provider, now) == Circuitry::HalfOpen;
        if health.provider.as_ref().is_some_and(half_open) {
            return 0;
        }
        let is_kept = |at: Timestamp| lasts(at.plus_ms(OUTCOMES_KEPT_MS), now, OUTCOMES_KEPT_MS);
        let recent = || health.answers.iter().filter(|(at, _)| is_kept(*at));
        let failed = recent().filter(|(_, failed)| *failed).count();
        u8::from(recent().count() >= OUTCOMES_MIN && failed * 2 > recent().count())
    }

    /// Whether receipts of this leg's route come in time otherwise, so that this one missing means something.
    ///
    /// Most of the others that went out since were heard of; where there are none, of those just before. On a route with few
    /// legs none of several in a row may be silent. Legs to one phone count once. A leg that nobody else can be compared with
    /// counts as punctual, but only once this process has listened long enough itself.
    pub fn punctual(&mut self, message: (MessageId, Tag), leg: &Leg, now: Timestamp) -> bool {
        let watching_since = self.watching_since;
        let receipts = &mut self.routes.entry(leg.route.clone()).or_default().receipts;
        receipts.punctual(message, leg, watching_since, now)
    }
}

/// Whether something goes on that began no earlier than `for_ms` before its end. A clock that was ahead for a while leaves ends
/// behind that lie further off: those are over, but for what two looks at a clock may differ by.
fn lasts(until: Timestamp, now: Timestamp, for_ms: u64) -> bool {
    until > now && until.since_ms(now) <= for_ms + CLOCK_DIFFERS_MS_MAX
}

fn remember<T>(memory: &mut VecDeque<T>, value: T, most: usize) {
    if memory.len() >= most {
        memory.pop_front();
    }
    memory.push_back(value);
}

#[cfg(test)]
mod tests;
