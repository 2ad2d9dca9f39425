//! Promise 5: the walk once more, with the real `route::choose` over the table of `given` and every standing its providers
//! can have. What is chosen is judged by the routes and the legs alone.

use std::collections::{HashSet, VecDeque};

use super::{Node, Script, alphabet, begin, ghost, near, promises};
use crate::leg::{Leg, LegOutcome, ProviderId, RouteClass};
use crate::lifecycle::tests::given::{code, notice, table};
use crate::lifecycle::{Choice, Event, View, step};
use crate::message::{Message, Want};
use crate::outcome::Class;
use crate::policy::Policy;
use crate::route::{self, International, Route, RouteTable, Scene, Standing};
use crate::time::Timestamp;

/// Bounds of this walk, so that it ends in seconds without optimisation.
const STATES_PER_BEGINNING_MAX: usize = 150;
const CHOICES_JUDGED_MIN: usize = 20_000;
const COOLING_MS: u64 = 500;
/// A provider that is full or rests does so for this long: a moment, or longer than any deadline.
const SOON_MS: u64 = 3_000;
const LONG_MS: u64 = 400_000;

#[test]
fn every_choice_near_the_beginning_puts_domestic_routes_first() {
    let policy = Policy::default();
    let (mut judged, mut abroad) = (0, 0);
    for international in [International::Never, International::Last, International::Spill] {
        let table = table(international);
        for beginning in [code(), notice()] {
            let mut seen = HashSet::new();
            let mut queue = VecDeque::from([begin(&beginning)]);
            while let Some(node) = queue.pop_front() {
                for (now, event) in alphabet::events(&node) {
                    let node = Node { now, ..node.clone() };
                    let mut scripts = vec![Vec::new()];
                    while let Some(answers) = scripts.pop() {
                        let script = Script::of(answers);
                        let (next, chosen) = take(&node, &event, &script, &policy, &table);
                        judged += chosen.len();
                        abroad += chosen.iter().filter(|class| **class == Some(RouteClass::International)).count();
                        scripts.extend(script.others());
                        if seen.insert(near::kind_of(&next)) && seen.len() < STATES_PER_BEGINNING_MAX {
                            queue.push_back(next);
                        }
                    }
                }
            }
        }
    }
    assert!(judged >= CHOICES_JUDGED_MIN, "only {judged} choices were judged");
    assert!(abroad >= CHOICES_JUDGED_MIN / 100, "only {abroad} choices went abroad");
}

/// One step, its promises asserted, and the class of each route that was chosen in it.
fn take(
    node: &Node,
    event: &Event,
    script: &Script,
    policy: &Policy,
    table: &RouteTable,
) -> (Node, Vec<Option<RouteClass>>) {
    let standings = std::cell::RefCell::new(Vec::<(ProviderId, Standing)>::new());
    let standing = |route: &Route| {
        let known = standings.borrow().iter().find(|(provider, _)| *provider == route.provider).map(|(_, it)| *it);
        known.unwrap_or_else(|| {
            let made_up = stand(script.next(5), node.now);
            standings.borrow_mut().push((route.provider.clone(), made_up));
            made_up
        })
    };
    let chosen = std::cell::RefCell::new(Vec::new());
    let choose = |message: &Message, want: &Want| {
        let scene = Scene {
            now: node.now,
            table,
            standing: &standing,
            score: &|_| 0,
            cooling_ms: &|times, _| cooling_ms(times),
        };
        let choice = route::choose(message, want, &scene).choice;
        let judge = Judge { message, want, now: node.now, table, standing: &standing };
        judge.hold(&choice);
        chosen.borrow_mut().push(if let Choice::Go(pick) = &choice { Some(pick.route.class) } else { None });
        choice
    };
    let view =
        View { now: node.now, policy, choose: &choose, punctual: &|_| script.punctual(), asks_in_ms: &|_| 0, roll: 0 };
    let step = step(&node.message, event, &view);
    promises::hold(node, event, &step, script);
    let ghost: ghost::Ghost = node.ghost.after(node, event, &step);
    (Node { message: step.message, now: node.now, ghost }, chosen.take())
}

fn cooling_ms(times: u32) -> u64 {
    COOLING_MS << (times - 1).min(6)
}

fn stand(answer: usize, now: Timestamp) -> Standing {
    match answer {
        0 => Standing::Ready,
        1 => Standing::Full { until: now.plus_ms(SOON_MS) },
        2 => Standing::Resting { until: now.plus_ms(SOON_MS) },
        3 => Standing::OverBudget,
        _ => Standing::Full { until: now.plus_ms(LONG_MS) },
    }
}

/// Why a route is not taken, as a person would say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Excuse {
    None,
    /// For this message, or for good: it will not carry it.
    Out,
    /// Out of service now.
    Resting,
    /// It works, and can still deliver in time.
    Full,
    /// It works, but its tenant's money is gone.
    Spent,
}

struct Judge<'a> {
    message: &'a Message,
    want: &'a Want,
    now: Timestamp,
    table: &'a RouteTable,
    standing: &'a dyn Fn(&Route) -> Standing,
}

impl Judge<'_> {
    fn hold(&self, choice: &Choice) {
        let plan = self.table.plans[&self.message.country].international;
        let domestic: Vec<Excuse> = self.routes(RouteClass::Domestic).map(|route| self.excuse(route)).collect();
        let ready = domestic.contains(&Excuse::None);
        let full = domestic.contains(&Excuse::Full);
        let spent = domestic.contains(&Excuse::Spent);
        let kept = match choice {
            Choice::Go(pick) if pick.route.class == RouteClass::Domestic => self.excuse(&pick.route) == Excuse::None,
            Choice::Go(pick) => {
                let allowed = match plan {
                    International::Never => false,
                    International::Last => !full,
                    International::Spill => true,
                };
                allowed && !ready && !spent && self.excuse(&pick.route) == Excuse::None
            }
            Choice::Wait { .. } => !ready,
            Choice::OverLimit(_) => {
                !ready && !full && self.table.routes.iter().any(|route| self.excuse(route) == Excuse::Spent)
            }
            Choice::Nothing => !ready && !full && !spent,
            Choice::Elsewhere => false,
        };
        let (message, want) = (self.message, self.want);
        assert!(kept, "promise 5: {choice:?}\nwith {domestic:?} and {plan:?}\nfor {want:?} of {message:#?}");
    }

    fn routes(&self, class: RouteClass) -> impl Iterator<Item = &Route> {
        let channel = self.want.channel;
        self.table.routes.iter().filter(move |route| route.class == class && route.channel == channel)
    }

    fn in_time(&self, at: Timestamp, route: &Route) -> bool {
        at.plus_ms(route.usual_ms) <= self.message.useful_until
    }

    fn excuse(&self, route: &Route) -> Excuse {
        if !self.in_time(self.now, route) || self.unwanted(route) || self.tried(route) {
            return Excuse::Out;
        }
        if let Some((until, throttled)) = self.cooling(route) {
            return self.busy(until, route, throttled);
        }
        match (self.standing)(route) {
            Standing::Ready => Excuse::None,
            Standing::Full { until } => self.busy(until, route, true),
            Standing::Resting { until } => self.busy(until, route, false),
            Standing::OverBudget => Excuse::Spent,
        }
    }

    fn busy(&self, until: Timestamp, route: &Route, works: bool) -> Excuse {
        match (works, self.in_time(until, route)) {
            (true, true) => Excuse::Full,
            (false, true) => Excuse::Resting,
            (_, false) => Excuse::Out,
        }
    }

    fn legs_by<'a>(&'a self, route: &'a Route) -> impl Iterator<Item = &'a Leg> {
        self.message.legs.iter().filter(move |leg| leg.route == route.id)
    }

    /// The reason of the leg before asks for something else.
    fn unwanted(&self, route: &Route) -> bool {
        let opted_out = |leg: &Leg| leg.sender == route.sender && leg.reason == Some(Class::OptedOut);
        let used = |leg: &Leg| leg.sender == route.sender;
        self.want.only.is_some_and(|class| class != route.class)
            || self.message.legs.iter().any(|leg| opted_out(leg) || (self.want.new_sender && used(leg)))
    }

    /// Not for a person who asks for one more, unless it would fail again.
    fn tried(&self, route: &Route) -> bool {
        let passed_by = |leg: &&Leg| leg.outcome == Some(LegOutcome::NotSent) || leg.reason == Some(Class::Throttled);
        let in_vain = |leg: &Leg| {
            matches!(
                leg.reason,
                Some(
                    Class::InvalidNumber
                        | Class::NotSmsCapable
                        | Class::Unreceivable
                        | Class::RecipientBlocked
                        | Class::FilteredRoute
                        | Class::OptedOut
                        | Class::OwnerChanged
                        | Class::FraudBlocked
                        | Class::Content
                )
            )
        };
        let again = self.want.again && !self.legs_by(route).any(in_vain);
        !again && self.legs_by(route).any(|leg| !passed_by(&leg))
    }

    /// Left alone until then after it was not reached, or throttled this message.
    fn cooling(&self, route: &Route) -> Option<(Timestamp, bool)> {
        let failed = |leg: &&Leg| leg.outcome == Some(LegOutcome::NotSent) || leg.reason == Some(Class::Throttled);
        let last = self.legs_by(route).filter(failed).last()?;
        let times = u32::try_from(self.legs_by(route).filter(failed).count()).expect("few legs");
        let until = last.ended_at.expect("it is over").plus_ms(cooling_ms(times));
        (until > self.now).then_some((until, last.reason == Some(Class::Throttled)))
    }
}
