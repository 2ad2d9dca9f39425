//! How providers and routes are doing, as this process sees it: rest with half-open probes, a coarse score, punctuality.
//!
//! Plain state with time as an argument. The worker keeps one behind a lock; `route` and `lifecycle` see answers only.

use std::collections::{BTreeMap, VecDeque};

use crate::leg::{Leg, LegNumber, ProviderId, RouteId};
use crate::message::MessageId;
use crate::outcome::{Answer, Class, Scope};
use crate::time::Timestamp;

/// Failures of its own in a row before a provider rests.
pub const FAILURES_BEFORE_REST: u32 = 3;
const REST_FIRST_MS: u64 = 5_000;
const REST_DOUBLINGS_MAX: u32 = 4;
/// A throttled provider without a wish of its own is left alone this long.
const THROTTLE_REST_MS: u64 = 250;
const THROTTLE_REST_MS_MAX: u64 = 30_000;
/// A probe that was never answered frees its place after this.
const PROBE_MS_MAX: u64 = 30_000;
/// Answers and legs remembered per route.
const OUTCOMES_MAX: usize = 20;
const LEGS_REMEMBERED_MAX: usize = 256;
/// Answers needed before a score says anything.
const OUTCOMES_MIN: usize = 5;

pub struct Health {
    /// Since when this process has been hearing receipts.
    watching_since: Timestamp,
    circuits: BTreeMap<ProviderId, Circuit>,
    routes: BTreeMap<RouteId, RouteHealth>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Circuit {
    Closed {
        failures: u32,
        throttled_until: Option<Timestamp>,
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
    /// `true` where the provider failed.
    answers: VecDeque<bool>,
    legs: VecDeque<Watched>,
}

struct Watched {
    leg: (MessageId, LegNumber),
    submitted_at: Timestamp,
    heard: bool,
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
        Self { watching_since, circuits: BTreeMap::new(), routes: BTreeMap::new() }
    }

    pub fn circuit(&self, provider: &ProviderId, now: Timestamp) -> Circuitry {
        match self.circuits.get(provider) {
            None => Circuitry::Closed,
            Some(Circuit::Closed { throttled_until, .. }) => match throttled_until {
                Some(until) if *until > now => Circuitry::Open { until: *until },
                Some(_) | None => Circuitry::Closed,
            },
            Some(Circuit::Open { until, .. }) if *until > now => Circuitry::Open { until: *until },
            Some(Circuit::Open { .. }) => Circuitry::HalfOpen,
            Some(Circuit::Probing { since, .. }) if now.since_ms(*since) < PROBE_MS_MAX => {
                Circuitry::Open { until: since.plus_ms(PROBE_MS_MAX) }
            }
            Some(Circuit::Probing { .. }) => Circuitry::HalfOpen,
        }
    }

    /// A leg goes out: where the circuit is half open, it is the probe.
    pub fn began(&mut self, provider: &ProviderId, now: Timestamp) {
        if self.circuit(provider, now) == Circuitry::HalfOpen
            && let Some(Circuit::Open { rests, .. } | Circuit::Probing { rests, .. }) =
                self.circuits.get(provider).copied()
        {
            self.circuits.insert(provider.clone(), Circuit::Probing { since: now, rests });
        }
    }

    pub fn answered(&mut self, route: &RouteId, provider: &ProviderId, answer: &Answer, now: Timestamp) {
        let verdict = judge(answer);
        if verdict != Verdict::Nothing {
            remember(
                &mut self.routes.entry(route.clone()).or_default().answers,
                verdict == Verdict::Failed,
                OUTCOMES_MAX,
            );
        }
        let circuit = self.circuits.get(provider).copied().unwrap_or(CLOSED);
        self.circuits.insert(provider.clone(), turned(circuit, verdict, now));
    }

    pub fn submitted(&mut self, route: &RouteId, leg: (MessageId, LegNumber), at: Timestamp) {
        let legs = &mut self.routes.entry(route.clone()).or_default().legs;
        remember(legs, Watched { leg, submitted_at: at, heard: false }, LEGS_REMEMBERED_MAX);
    }

    /// Something with a status was heard about a leg.
    pub fn heard(&mut self, route: &RouteId, leg: (MessageId, LegNumber)) {
        let legs = self.routes.get_mut(route).map(|health| &mut health.legs);
        if let Some(watched) = legs.and_then(|legs| legs.iter_mut().find(|watched| watched.leg == leg)) {
            watched.heard = true;
        }
    }

    /// 0 while a route works, 1 when most of its last answers were failures of its provider.
    pub fn score(&self, route: &RouteId) -> u8 {
        let Some(health) = self.routes.get(route) else { return 0 };
        let failed = health.answers.iter().filter(|failed| **failed).count();
        u8::from(health.answers.len() >= OUTCOMES_MIN && failed * 2 > health.answers.len())
    }

    /// Whether receipts of this leg's route come in time otherwise, so that this one missing means something.
    ///
    /// The others that were out while this one was: most of them were heard of. A leg that nobody else can be compared
    /// with counts as punctual, but only once this process has listened long enough itself.
    pub fn punctual(&mut self, id: MessageId, leg: &Leg, now: Timestamp) -> bool {
        let patience_ms = leg.overdue_after_ms.unwrap_or_default();
        let listened_ms = now.since_ms(self.watching_since.max(leg.started_at));
        let from_before = leg.started_at < self.watching_since;
        let key = (id, leg.number);
        let legs = &mut self.routes.entry(leg.route.clone()).or_default().legs;
        if !legs.iter().any(|watched| watched.leg == key) {
            remember(legs, Watched { leg: key, submitted_at: leg.started_at, heard: false }, LEGS_REMEMBERED_MAX);
        }
        let needed_ms = if from_before { patience_ms.saturating_mul(2) } else { patience_ms };
        if listened_ms < needed_ms {
            return false;
        }
        let earliest = leg.started_at.minus_ms(patience_ms);
        let latest = now.minus_ms(patience_ms / 2);
        let peers = legs
            .iter()
            .filter(|watched| watched.leg != key && watched.submitted_at >= earliest && watched.submitted_at <= latest);
        let (heard, silent) =
            peers.fold(
                (0_usize, 0_usize),
                |(heard, silent), watched| {
                    if watched.heard { (heard + 1, silent) } else { (heard, silent + 1) }
                },
            );
        heard >= silent
    }
}

const CLOSED: Circuit = Circuit::Closed { failures: 0, throttled_until: None };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Worked,
    Failed,
    Throttled {
        for_ms: u64,
    },
    /// Says nothing about the provider: refused for the number's or the text's sake.
    Nothing,
}

fn judge(answer: &Answer) -> Verdict {
    match answer {
        Answer::Submitted { .. } => Verdict::Worked,
        Answer::NotSent { .. } | Answer::Unknown { .. } => Verdict::Failed,
        Answer::Refused(refusal) if refusal.scope != Scope::Provider => Verdict::Nothing,
        Answer::Refused(refusal) if refusal.class == Class::Throttled => {
            let for_ms = refusal.retry_after_ms.unwrap_or(THROTTLE_REST_MS).min(THROTTLE_REST_MS_MAX);
            Verdict::Throttled { for_ms }
        }
        Answer::Refused(_) => Verdict::Failed,
    }
}

fn turned(circuit: Circuit, verdict: Verdict, now: Timestamp) -> Circuit {
    match (verdict, circuit) {
        (Verdict::Worked, _) => CLOSED,
        (Verdict::Nothing, Circuit::Probing { .. }) => CLOSED,
        (Verdict::Nothing, Circuit::Closed { .. } | Circuit::Open { .. }) => circuit,
        (Verdict::Throttled { for_ms }, _) => {
            Circuit::Closed { failures: 0, throttled_until: Some(now.plus_ms(for_ms)) }
        }
        (Verdict::Failed, Circuit::Closed { failures, .. }) if failures + 1 < FAILURES_BEFORE_REST => {
            Circuit::Closed { failures: failures + 1, throttled_until: None }
        }
        (Verdict::Failed, Circuit::Closed { .. }) => Circuit::Open { until: now.plus_ms(REST_FIRST_MS), rests: 0 },
        // Answers of calls that were out when it opened do not prolong the rest.
        (Verdict::Failed, Circuit::Open { .. }) => circuit,
        (Verdict::Failed, Circuit::Probing { rests, .. }) => {
            let rests = (rests + 1).min(REST_DOUBLINGS_MAX);
            Circuit::Open { until: now.plus_ms(REST_FIRST_MS << rests), rests }
        }
    }
}

fn remember<T>(memory: &mut VecDeque<T>, value: T, most: usize) {
    if memory.len() >= most {
        memory.pop_front();
    }
    memory.push_back(value);
}
