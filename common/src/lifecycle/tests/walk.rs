//! The walk: every (message, event, choice, time) within two events of a beginning and many beyond, with `promises`
//! asserted at each step. Breadth first for all that is near, long seeded paths for what is far; `domestic` with the real
//! choice of routes. That is no proof for all that can be reached: the bounds below say how far it goes.

mod alphabet;
mod domestic;
mod ghost;
mod near;
mod promises;

use std::cell::{Cell, RefCell};
use std::collections::{HashSet, VecDeque};

use super::given::{at, code, notice, route};
use crate::dice::Dice;
use crate::leg::{Abilities, Channel, RouteClass};
use crate::lifecycle::{Cap, Choice, Event, Hold, Step, View, step};
use crate::message::{Message, Voice, Want};
use crate::phone::LineType;
use crate::policy::Policy;
use crate::route::{ReceiptProfile, Route};
use crate::time::Timestamp;
use ghost::Ghost;

/// Bounds of the walk, so that it ends in seconds without optimisation.
const STATES_PER_BEGINNING_MAX: usize = 300;
const STATES_SEEN_MIN: usize = 100_000;
/// Every path of so many events from a beginning is walked, and many a longer one; states that differ by some seconds
/// alone count as one kind (`near`).
const EVENTS_ALL_MIN: usize = 2;
const PATHS_PER_BEGINNING: u32 = 150;
const PATH_STEPS_MAX: usize = 60;
/// How long a wait for a route is, and the due times after which every message must have come to its end.
const WAIT_MS: u64 = 3_000;
const DUE_TIMES_MAX: usize = 200;
/// Of every so many states it is tested that their due times lead to an end.
const LEADS_ON_EVERY: usize = 16;

/// A message, when it is looked at, and what really happened to it.
#[derive(Clone)]
struct Node {
    message: Message,
    now: Timestamp,
    ghost: Ghost,
}

/// How the questions of one decision were answered, and how they could have been.
#[derive(Default)]
struct Script {
    answers: Vec<usize>,
    asked: RefCell<Vec<usize>>,
    unpunctual: Cell<bool>,
}

impl Script {
    fn of(answers: Vec<usize>) -> Self {
        Self { answers, ..Self::default() }
    }

    /// The answer to the next question, which has so many possible ones.
    fn next(&self, options: usize) -> usize {
        let mut asked = self.asked.borrow_mut();
        asked.push(options);
        self.answers.get(asked.len() - 1).copied().unwrap_or(0) % options
    }

    fn choose(&self, want: &Want, now: Timestamp) -> Choice {
        let wait = |until| Choice::Wait { until, why: Hold::Full };
        let spent = Choice::OverLimit(Cap::SpendPerHour);
        let mut choices = vec![Choice::Nothing, wait(now.plus_ms(WAIT_MS)), spent];
        choices.extend(routes(want).into_iter().map(Choice::go));
        choices.extend([wait(now), Choice::Elsewhere]);
        choices.swap_remove(self.next(choices.len()))
    }

    fn punctual(&self) -> bool {
        let punctual = self.next(2) == 0;
        self.unpunctual.set(self.unpunctual.get() || !punctual);
        punctual
    }

    /// The scripts that differ from this one in one of the answers it had to make up.
    fn others(&self) -> Vec<Vec<usize>> {
        let asked = self.asked.borrow();
        let mut others = Vec::new();
        for (question, options) in asked.iter().enumerate().skip(self.answers.len()) {
            for answer in 1..*options {
                let mut other = self.answers.clone();
                other.resize(question, 0);
                other.push(answer);
                others.push(other);
            }
        }
        others
    }
}

/// Routes of every ability that a wish allows.
fn routes(want: &Want) -> Vec<Route> {
    let dedupes = Abilities { dedupes: true, validity: true, ..Abilities::default() };
    let asks = Abilities { asks: true, ..Abilities::default() };
    let asks_by_our_id = Abilities { asks: true, asks_by_our_id: true, ..Abilities::default() };
    let at_operator =
        Route { receipt: ReceiptProfile::Operator, ..route("hikari", RouteClass::Domestic, Channel::Sms) };
    let all = match want.channel {
        Channel::Sms => vec![
            Route { abilities: dedupes, ..route("fuji", RouteClass::Domestic, Channel::Sms) },
            Route { abilities: asks, ..route("sakura", RouteClass::Domestic, Channel::Sms) },
            Route { abilities: asks_by_our_id, ..at_operator },
            Route { abilities: asks_by_our_id, ..route("kaede", RouteClass::Domestic, Channel::Sms) },
            Route { receipt: ReceiptProfile::None, ..route("atlas", RouteClass::International, Channel::Sms) },
        ],
        Channel::Voice => vec![
            route("kodama", RouteClass::Domestic, Channel::Voice),
            Route { abilities: dedupes, ..route("yama", RouteClass::Domestic, Channel::Voice) },
        ],
    };
    all.into_iter().filter(|route| want.only.is_none_or(|class| class == route.class)).collect()
}

/// Codes and texts, mobiles and landlines, and every wish about calls.
fn beginnings() -> Vec<Message> {
    let voices = [Voice::OnFailure, Voice::OnUnverified { after_ms: 60_000 }, Voice::Never];
    let mut all = Vec::new();
    for voice in voices {
        for line in [LineType::Mobile, LineType::Landline] {
            all.push(Message { voice, line, ..code() });
        }
        all.push(Message { voice, ..notice() });
    }
    all
}

/// One step with its promises asserted, and the script it followed.
fn take(node: &Node, event: &Event, answers: Vec<usize>, policy: &Policy) -> (Node, Script) {
    let script = Script::of(answers);
    let step = decide(node, event, &script, policy);
    promises::hold(node, event, &step, &script);
    let ghost = node.ghost.after(node, event, &step);
    (Node { message: step.message, now: node.now, ghost }, script)
}

fn decide(node: &Node, event: &Event, script: &Script, policy: &Policy) -> Step {
    let view = View {
        now: node.now,
        policy,
        choose: &|_, want| script.choose(want, node.now),
        punctual: &|_| script.punctual(),
        asks_in_ms: &|_| 0,
        roll: 0,
    };
    step(&node.message, event, &view)
}

/// From here, its due times alone bring a message to its end and to its erasure, whatever is chosen for it.
fn leads_on(node: &Node, policy: &Policy) {
    // Nothing, waiting, over a limit, and two routes: as `Script::choose` lists them. Every other of these says "not punctual".
    for answer in 0..5 {
        let mut at = node.clone();
        let mut times = 0;
        while let Some(due) = at.message.due {
            at.now = at.now.max(due);
            at = take(&at, &Event::Due, vec![answer; 4], policy).0;
            times += 1;
            assert!(times < DUE_TIMES_MAX, "promise 2: {:?} comes to no end by answer {answer}", node.message);
        }
        assert!(!at.message.is_live(), "promise 2: {:?} is forgotten alive", at.message);
    }
}

fn begin(message: &Message) -> Node {
    Node { message: message.clone(), now: at(0), ghost: Ghost::default() }
}

#[test]
fn every_state_near_the_beginning_keeps_the_promises() {
    let walked: Vec<Walked> = std::thread::scope(|threads| {
        let one = |beginning| threads.spawn(move || walk_from(&beginning));
        let walks: Vec<_> = beginnings().into_iter().map(one).collect();
        walks.into_iter().map(|walk| walk.join().expect("a walk that breaks no promise")).collect()
    });
    let seen: usize = walked.iter().map(|walk| walk.seen).sum();
    assert!(seen >= STATES_SEEN_MIN, "only {seen} kinds of states were seen");
    let events = walked.iter().map(|walk| walk.all_events).min();
    assert!(events >= Some(EVENTS_ALL_MIN), "only paths of {events:?} events were all walked");
}

/// How far a walk came: kinds of states seen, and up to how many events in a row every path was walked.
struct Walked {
    seen: usize,
    all_events: usize,
}

fn walk_from(beginning: &Message) -> Walked {
    let policy = Policy::default();
    let mut seen = HashSet::new();
    let mut queue = VecDeque::from([(begin(beginning), 0)]);
    let mut left_out = usize::MAX;
    while let Some((node, events)) = queue.pop_front() {
        if seen.len() % LEADS_ON_EVERY == 0 {
            leads_on(&node, &policy);
        }
        for (now, event) in alphabet::events(&node) {
            let node = Node { now, ..node.clone() };
            let mut scripts = vec![Vec::new()];
            while let Some(answers) = scripts.pop() {
                let (next, script) = take(&node, &event, answers, &policy);
                scripts.extend(script.others());
                let new = seen.insert(near::kind_of(&next));
                if new && seen.len() < STATES_PER_BEGINNING_MAX {
                    queue.push_back((next, events + 1));
                } else if new {
                    left_out = left_out.min(events + 1);
                }
            }
        }
    }
    Walked { seen: seen.len(), all_events: left_out }
}

#[test]
fn long_paths_keep_the_promises() {
    let policy = Policy { resends_max: 6, resend_cooldown_ms: [5_000; 3], ..Policy::default() };
    let dice = Dice::seeded(20_261_123);
    let roll = |most: usize| usize::try_from(dice.roll()).expect("usize holds a u32") % most;
    let (mut longest, mut ends) = (0, 0);
    for beginning in beginnings() {
        for _ in 0..PATHS_PER_BEGINNING {
            let mut node = begin(&beginning);
            for _ in 0..PATH_STEPS_MAX {
                if !node.message.is_live() {
                    break;
                }
                let mut events = alphabet::events(&node);
                // Much of what can happen at any time ends the message: the long way is that it seldom does.
                let over = node.message.useful_until;
                events.retain(|(now, event)| roll(12) == 0 || (*now < over && !alphabet::ends_it(event)));
                let (now, event) = match node.message.due.filter(|due| *due < over && roll(4) == 0) {
                    Some(due) => (due.max(node.now), Event::Due),
                    None if events.is_empty() => continue,
                    None => events.swap_remove(roll(events.len())),
                };
                let answers = (0..4).map(|_| roll(10)).collect();
                node = take(&Node { now, ..node }, &event, answers, &policy).0;
            }
            longest = longest.max(node.message.legs.len());
            ends += usize::from(!node.message.is_live());
            leads_on(&node, &policy);
        }
    }
    assert!(longest >= 6, "no path had more than {longest} legs");
    assert!(ends >= 50, "only {ends} paths came to an end by themselves");
}
