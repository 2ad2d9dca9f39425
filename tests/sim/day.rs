//! One seeded day: what people and fate do when, and the world after it.

use std::collections::BTreeMap;

use otodoke_common::message::{End, State};
use otodoke_tests::carrier::Script;
use otodoke_tests::world::{Options, World, id as parsed};
use serde_json::{Value, json};

use crate::chance::{Chance, script};

pub(crate) const CARRIERS: [&str; 4] = ["sakura", "fuji", "atlas", "kodama"];
/// Longest step of the worker: a leg decided in time is out this much later.
pub(crate) const STEP_MS_MAX: u32 = 12;
const PEOPLE: u64 = 40;
const DAY_MS: u64 = 40_000;
const LIFE_S: (u64, u64) = (30, 120);
const BLOWS_MAX: u64 = 8;
/// Past the last deadline everything has ended within this.
const SETTLE_MS: u64 = 30_000;

pub(crate) struct Day {
    pub(crate) world: World,
    /// Accepted ids, and whose they are.
    pub(crate) accepted: BTreeMap<String, u64>,
    /// Answers `verified: true`, by id.
    pub(crate) verified: BTreeMap<String, usize>,
    /// Ends as they were first seen.
    pub(crate) ends: BTreeMap<String, End>,
}

#[derive(Clone, Debug)]
enum Act {
    Ask,
    CheckRight,
    CheckWrong,
    Resend(Option<&'static str>),
    Cancel,
    Blow(Blow),
}

/// What fate does.
#[derive(Clone, Copy, Debug)]
enum Blow {
    StoreAway(bool),
    BrokerAway(bool),
    ReceiptsCutOff(bool),
    CommitsUnknown { applied: bool },
    Kill,
    Stop,
    Start,
}

pub(crate) async fn live(seed: u64) -> Day {
    let world =
        World::with(Options { seed, step_ms_max: STEP_MS_MAX, sweep_every_ms: 200, ..Options::default() }).await;
    for name in CARRIERS {
        world.carrier(name).script(move |to, times| decide(seed, name, to, times));
        if Chance::new(seed, name).percent(50) {
            world.carrier(name).tag_all();
        }
    }
    let mut day = Day { world, accepted: BTreeMap::new(), verified: BTreeMap::new(), ends: BTreeMap::new() };
    let mut acts = people(seed);
    acts.extend(fate(seed));
    acts.sort_by_key(|(at_ms, _, _)| *at_ms);
    let mut now_ms = 0;
    for (at_ms, person, act) in acts {
        if at_ms > now_ms {
            day.world.wait_ms(at_ms - now_ms).await;
            now_ms = at_ms;
        }
        day.perform(seed, person, &act).await;
    }
    day.world.memory.faults().set_store_away(false);
    day.world.memory.faults().set_broker_away(false);
    day.world.cut_receipts_off(false);
    day.blow(Blow::Start).await;
    day.world.wait_ms(LIFE_S.1 * 1_000 + SETTLE_MS).await;
    day
}

fn decide(seed: u64, carrier: &str, to: &str, times: usize) -> Script {
    script(&Chance::new(seed, &format!("{carrier} {to} {times}")))
}

/// Numbers without runs of zeros, which sums of seconds hold too.
pub(crate) fn phone(person: u64) -> String {
    format!("+8190{:08}", 47_351_900 + person)
}

fn people(seed: u64) -> Vec<(u64, u64, Act)> {
    let mut acts = Vec::new();
    for person in 0..PEOPLE {
        let chance = Chance::new(seed, &format!("person {person}"));
        let asks_at_ms = chance.below(DAY_MS);
        acts.push((asks_at_ms, person, Act::Ask));
        let mut after = |percent, act: Act| {
            if chance.percent(percent) {
                acts.push((asks_at_ms + chance.below(90_000), person, act));
            }
        };
        after(50, Act::CheckRight);
        after(20, Act::CheckRight);
        for _ in 0..chance.below(7) {
            after(40, Act::CheckWrong);
        }
        after(25, Act::Ask);
        after(30, Act::Resend(None));
        after(15, Act::Resend(Some("sms")));
        after(15, Act::Resend(Some("voice")));
        after(10, Act::Cancel);
    }
    acts
}

fn fate(seed: u64) -> Vec<(u64, u64, Act)> {
    let chance = Chance::new(seed, "fate");
    let mut acts = Vec::new();
    for _ in 0..chance.below(BLOWS_MAX) {
        let at_ms = chance.below(DAY_MS + 30_000);
        let over_ms = at_ms + chance.between(100, 9_000);
        let (first, then) = match chance.below(6) {
            0 => (Blow::StoreAway(true), Some(Blow::StoreAway(false))),
            1 => (Blow::BrokerAway(true), Some(Blow::BrokerAway(false))),
            2 => (Blow::ReceiptsCutOff(true), Some(Blow::ReceiptsCutOff(false))),
            3 => (Blow::CommitsUnknown { applied: chance.percent(50) }, None),
            4 => (Blow::Kill, Some(Blow::Start)),
            _ => (Blow::Stop, Some(Blow::Start)),
        };
        acts.push((at_ms, 0, Act::Blow(first)));
        acts.extend(then.map(|blow| (over_ms, 0, Act::Blow(blow))));
    }
    acts
}

impl Day {
    async fn perform(&mut self, seed: u64, person: u64, act: &Act) {
        let id = self.accepted.iter().find(|(_, of)| **of == person).map(|(id, _)| id.clone());
        match (act, id) {
            (Act::Ask, _) => self.ask(seed, person).await,
            (Act::Blow(blow), _) => self.blow(*blow).await,
            (Act::CheckRight, Some(id)) => {
                if let Some(code) = self.world.phone(&phone(person)).code() {
                    self.check(id, &code).await;
                }
            }
            (Act::CheckWrong, Some(id)) => self.check(id, "0000000000").await,
            (Act::Resend(channel), Some(id)) => {
                let body = channel.map_or_else(|| json!({}), |channel| json!({"channel": channel}));
                self.world.post(&format!("/v1/verifications/{id}/resend"), body).await;
                self.look(id).await;
            }
            (Act::Cancel, Some(id)) => {
                self.world.post(&format!("/v1/verifications/{id}/cancel"), json!({})).await;
                self.look(id).await;
            }
            (Act::CheckRight | Act::CheckWrong | Act::Resend(_) | Act::Cancel, None) => {}
        }
    }

    async fn ask(&mut self, seed: u64, person: u64) {
        let chance = Chance::new(seed, &format!("request {person}"));
        let ttl = chance.between(LIFE_S.0, LIFE_S.1);
        let voice = chance.of(&["on_failure", "on_unverified", "never"]);
        let body =
            json!({"to": phone(person), "purpose": "login", "code_length": 10, "ttl_seconds": ttl, "voice": voice});
        let reply = self.world.post("/v1/verifications", body).await;
        match (reply.status, reply.body["id"].as_str()) {
            (202, Some(id)) => {
                self.accepted.insert(id.to_owned(), person);
            }
            (503, None) => {}
            other => panic!("{other:?}: {:?}", reply.body),
        }
    }

    async fn check(&mut self, id: String, code: &str) {
        let reply = self.world.check(&id, code).await;
        if reply.body["verified"] == Value::Bool(true) {
            *self.verified.entry(id.clone()).or_default() += 1;
        }
        self.look(id).await;
    }

    /// Keeps an end as it was first seen.
    async fn look(&mut self, id: String) {
        if let Ok(Some(message)) = self.world.store.load(parsed(&id)).await
            && let State::Ended { end } = message.state
        {
            self.ends.entry(id).or_insert(end);
        }
    }

    async fn blow(&mut self, blow: Blow) {
        let faults = self.world.memory.faults();
        match blow {
            Blow::StoreAway(away) => faults.set_store_away(away),
            Blow::BrokerAway(away) => faults.set_broker_away(away),
            Blow::ReceiptsCutOff(off) => self.world.cut_receipts_off(off),
            Blow::CommitsUnknown { applied: true } => faults.apply_but_report_unknown(3),
            Blow::CommitsUnknown { applied: false } => faults.lose_and_report_unknown(3),
            Blow::Kill => self.world.kill_worker(),
            Blow::Stop => self.world.stop_worker().await,
            Blow::Start => {
                if !self.world.is_working() {
                    self.world.start_worker();
                }
            }
        }
    }
}
