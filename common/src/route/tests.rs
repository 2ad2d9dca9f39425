//! Tables of choices: who carries the next leg, by what was tried and what providers can do now.

mod cooling;
mod passed;

use super::*;
use crate::fallback::{call, text};
use crate::lifecycle::tests::given::{START as NOW, TEXT_USUAL_MS, TTL_MS, at, code, leg, table};
use crate::message::{Message, Trigger};
use crate::phone::Country;

const COOLING_MS: u64 = 500;

/// The scene of one row; providers that are not named are ready, routes that are not named score 0.
struct Row {
    table: RouteTable,
    message: Message,
    want: Want,
    now: Timestamp,
    standings: Vec<(&'static str, Standing)>,
    bad: Vec<&'static str>,
}

fn row() -> Row {
    Row {
        table: table(International::Last),
        message: code(),
        want: text(Trigger::First),
        now: NOW,
        standings: Vec::new(),
        bad: Vec::new(),
    }
}

impl Row {
    fn plan(mut self, international: International) -> Self {
        self.table.plans.values_mut().for_each(|plan| plan.international = international);
        self
    }

    fn want(self, want: Want) -> Self {
        Self { want, ..self }
    }

    fn left_ms(self, left_ms: u64) -> Self {
        Self { now: at(TTL_MS).minus_ms(left_ms), ..self }
    }

    fn stands(mut self, provider: &'static str, standing: Standing) -> Self {
        self.standings.push((provider, standing));
        self
    }

    fn scores_badly(mut self, provider: &'static str) -> Self {
        self.bad.push(provider);
        self
    }

    fn route(&mut self, provider: &str) -> &mut Route {
        self.table.routes.iter_mut().find(|route| route.provider.as_str() == provider).expect("a route of the table")
    }

    fn but(mut self, provider: &str, change: impl FnOnce(&mut Route)) -> Self {
        change(self.route(provider));
        self
    }

    fn tried(mut self, provider: &str, outcome: LegOutcome, reason: Option<Class>) -> Self {
        let number = u8::try_from(self.message.legs.len() + 1).expect("few legs");
        let leg = leg(number, self.route(provider), outcome, reason);
        self.message.legs.push(leg);
        self
    }

    fn choose(&self) -> Chosen {
        let standing = |route: &Route| {
            let named = self.standings.iter().find(|(name, _)| *name == route.provider.as_str());
            named.map_or(Standing::Ready, |(_, standing)| *standing)
        };
        let score = |route: &RouteId| u8::from(self.bad.iter().any(|name| route.as_str().ends_with(name)));
        let scene = Scene {
            now: self.now,
            table: &self.table,
            standing: &standing,
            score: &score,
            cooling_ms: &|failures, _| COOLING_MS << (failures - 1),
        };
        choose(&self.message, &self.want, &scene)
    }

    /// `go sakura`, `wait 250` (milliseconds from now), `nothing`.
    fn word(&self) -> String {
        match self.choose().choice {
            Choice::Go(pick) => format!("go {}", pick.route.provider),
            Choice::Wait { until, .. } => format!("wait {}", until.since_ms(self.now)),
            Choice::Elsewhere => "elsewhere".to_owned(),
            Choice::OverLimit(cap) => cap.word().to_owned(),
            Choice::Nothing => "nothing".to_owned(),
        }
    }
}

fn check(rows: impl IntoIterator<Item = (&'static str, Row, &'static str)>) {
    for (claim, row, expected) in rows {
        assert_eq!(row.word(), expected, "{claim}: {:?}", row.choose().considered);
    }
}

fn full(ms: u64) -> Standing {
    Standing::Full { until: NOW.plus_ms(ms) }
}

fn resting(ms: u64) -> Standing {
    Standing::Resting { until: NOW.plus_ms(ms) }
}

#[test]
fn domestic_comes_first_then_score_then_rank_then_price() {
    let both_rank_2 = || row().but("sakura", |route| route.rank = 2);
    check([
        ("the first rank", row(), "go sakura"),
        ("the other rank", row().but("sakura", |route| route.rank = 3), "go fuji"),
        ("a good score goes before rank", row().scores_badly("sakura"), "go fuji"),
        ("domestic goes before score", row().scores_badly("sakura").scores_badly("fuji"), "go sakura"),
        ("price where rank is equal", both_rank_2().but("fuji", |route| route.price = 99), "go fuji"),
        ("the id where all is equal", both_rank_2(), "go fuji"),
        ("a call", row().want(call(Trigger::Asked)), "go kodama"),
    ]);
}

#[test]
fn what_was_tried_is_not_tried_again_and_abroad_comes_after_every_domestic_route() {
    let domestic_tried = || {
        row().tried("sakura", LegOutcome::Overdue, Some(Class::Overdue)).tried(
            "fuji",
            LegOutcome::Refused,
            Some(Class::Content),
        )
    };
    check([
        ("the other domestic route", row().tried("sakura", LegOutcome::Overdue, Some(Class::Overdue)), "go fuji"),
        ("then abroad", domestic_tried(), "go atlas"),
        ("not where the plan says never", domestic_tried().plan(International::Never), "nothing"),
        (
            "nor where the reason wants a domestic one",
            domestic_tried().want(Want { only: Some(RouteClass::Domestic), ..text(Trigger::Failed) }),
            "nothing",
        ),
        (
            "nothing when all were tried",
            domestic_tried().tried("atlas", LegOutcome::Unknown, Some(Class::Unknown)),
            "nothing",
        ),
    ]);
}

#[test]
fn full_is_not_tried_so_a_message_waits_for_a_domestic_permit_unless_the_plan_spills() {
    let crowded = || row().stands("sakura", full(900)).stands("fuji", full(400));
    check([
        ("the other domestic route is free", row().stands("sakura", full(400)), "go fuji"),
        ("last: waits for the first permit", crowded(), "wait 400"),
        ("never: waits as well", crowded().plan(International::Never), "wait 400"),
        ("spill: goes abroad", crowded().plan(International::Spill), "go atlas"),
        ("spill, full everywhere: waits", crowded().plan(International::Spill).stands("atlas", full(100)), "wait 400"),
        (
            "a permit that comes too late is none",
            row().stands("sakura", full(TTL_MS)).stands("fuji", full(TTL_MS)),
            "go atlas",
        ),
    ]);
}

#[test]
fn resting_is_out_of_service_so_a_message_goes_abroad_where_the_plan_allows_it() {
    let down = || row().stands("sakura", resting(900)).stands("fuji", resting(5_000));
    check([
        ("the other domestic route works", row().stands("sakura", resting(400)), "go fuji"),
        ("last: goes abroad", down(), "go atlas"),
        ("never: waits until one has rested", down().plan(International::Never), "wait 900"),
        (
            "one full, one resting: waits for the full one",
            row().stands("sakura", resting(100)).stands("fuji", full(700)),
            "wait 700",
        ),
        ("resting everywhere: waits for the first", down().stands("atlas", resting(300)), "wait 300"),
        (
            "a call waits for its only route",
            row().want(call(Trigger::Failed)).stands("kodama", resting(600)),
            "wait 600",
        ),
    ]);
}

#[test]
fn a_route_that_throttled_the_message_or_was_not_reached_is_left_alone_for_a_moment() {
    let throttled = |row: Row| row.tried("sakura", LegOutcome::Refused, Some(Class::Throttled));
    let unreached = |row: Row| row.tried("sakura", LegOutcome::NotSent, Some(Class::NotSent));
    let one = |row: Row| row.tried("fuji", LegOutcome::Overdue, Some(Class::Overdue));
    let later = |row: Row| Row { now: NOW.plus_ms(COOLING_MS), ..row };
    check([
        ("throttled: the next domestic", throttled(row()), "go fuji"),
        ("throttled, no other: waits, it is not tried", throttled(one(row())), "wait 500"),
        ("throttled, no other, spill: goes abroad", throttled(one(row())).plan(International::Spill), "go atlas"),
        ("throttled a while ago: free again", later(throttled(one(row()))), "go sakura"),
        ("throttled twice: left alone twice as long", throttled(throttled(one(row()))), "wait 1000"),
        ("throttled three times: four times", throttled(throttled(throttled(one(row())))), "wait 2000"),
        ("not reached: the next domestic", unreached(row()), "go fuji"),
        ("not reached, no other: goes abroad", unreached(one(row())), "go atlas"),
        ("not reached, no other, never abroad: waits", unreached(one(row())).plan(International::Never), "wait 500"),
    ]);
}

#[test]
fn nothing_starts_too_late() {
    check([
        ("just in time", row().left_ms(TEXT_USUAL_MS), "go fuji"),
        ("too late", row().left_ms(TEXT_USUAL_MS - 1), "nothing"),
        (
            "too late for a domestic route, not for a quick one from abroad",
            row().left_ms(TEXT_USUAL_MS - 1).but("atlas", |route| route.usual_ms = 1_000),
            "go atlas",
        ),
        (
            "a slow route has its own last moment",
            row().left_ms(20_000).but("sakura", |route| route.usual_ms = 20_001),
            "go fuji",
        ),
    ]);
}

#[test]
fn a_route_without_validity_comes_last_when_little_time_is_left() {
    check([
        ("time enough: by rank", row().left_ms(3 * TEXT_USUAL_MS), "go sakura"),
        ("little time: what may come late is last", row().left_ms(3 * TEXT_USUAL_MS - 1), "go fuji"),
        (
            "little time, nothing else domestic: still before abroad",
            row().left_ms(3 * TEXT_USUAL_MS - 1).tried("fuji", LegOutcome::Overdue, Some(Class::Overdue)),
            "go sakura",
        ),
    ]);
}

#[test]
fn a_new_sender_is_another_one_and_an_opted_out_one_is_never_used_again() {
    let opted_out = || row().tried("sakura", LegOutcome::Refused, Some(Class::OptedOut));
    let same_sender = |row: Row| row.but("fuji", |route| route.sender = "from-sakura".to_owned());
    let new_sender = Want { new_sender: true, ..text(Trigger::Failed) };
    check([
        ("another sender", opted_out().want(new_sender), "go fuji"),
        (
            "the same sender by another route is not another sender",
            same_sender(opted_out()).want(new_sender),
            "go atlas",
        ),
        (
            "nor is it right when a later leg failed otherwise",
            same_sender(opted_out()).want(text(Trigger::Failed)),
            "go atlas",
        ),
        (
            "a sender used for a call is not used for a text",
            row()
                .but("kodama", |route| route.sender = "from-fuji".to_owned())
                .tried("kodama", LegOutcome::Refused, Some(Class::Unanswered))
                .tried("sakura", LegOutcome::Refused, Some(Class::OptedOut))
                .want(new_sender),
            "go fuji",
        ),
    ]);
}

#[test]
fn asked_for_again_a_tried_route_comes_last_in_its_class_and_a_closed_one_never() {
    let again = Want { again: true, ..text(Trigger::Asked) };
    let tried = |row: Row, reason| row.tried("sakura", LegOutcome::Delivered, reason);
    let both = |reason| tried(row(), None).tried("fuji", LegOutcome::Refused, Some(reason)).want(again);
    check([
        ("another domestic route first", tried(row(), None).want(again), "go fuji"),
        ("then the same once more, before abroad", both(Class::Content), "go sakura"),
        (
            "one whose phone was off is open again",
            tried(row(), None)
                .tried("fuji", LegOutcome::Refused, Some(Class::Absent))
                .want(again)
                .but("sakura", |route| route.rank = 9),
            "go fuji",
        ),
        (
            "one that filters is never asked twice",
            row()
                .plan(International::Spill)
                .stands("sakura", full(500))
                .stands("fuji", full(500))
                .tried("atlas", LegOutcome::Refused, Some(Class::FilteredRoute))
                .want(again),
            "wait 500",
        ),
    ]);
}

#[test]
fn countries_and_calls_are_denied_unless_planned() {
    let elsewhere = Country::parse("US").expect("a country");
    let mut foreign = row();
    foreign.message.country = elsewhere;
    let mut unplanned = row();
    unplanned.table.plans.clear();
    let mut silent = row().want(call(Trigger::Asked));
    silent.table.plans.values_mut().for_each(|plan| plan.voice = false);
    check([
        ("a country without a plan", foreign, "nothing"),
        ("routes without a plan", unplanned, "nothing"),
        ("calls where the plan has none", silent, "nothing"),
    ]);
}

#[test]
fn a_route_that_the_settings_leave_out_is_not_called_ready() {
    let fits = |row: Row| row.choose().considered.into_iter().map(|one| one.fit).collect::<Vec<_>>();
    let retiring = row().but("sakura", |route| route.retiring = true);
    assert_eq!(fits(retiring), [Fit::Retiring, Fit::Ready, Fit::Ready]);
    assert_eq!(fits(row().plan(International::Never)), [Fit::Ready, Fit::Ready, Fit::NotPlanned]);
    let mut silent = row().want(call(Trigger::Asked));
    silent.table.plans.values_mut().for_each(|plan| plan.voice = false);
    assert_eq!(fits(silent), [Fit::NotPlanned]);
}

#[test]
fn a_route_that_retires_takes_nothing_new() {
    let retires = |row: Row, provider| row.but(provider, |route| route.retiring = true);
    check([
        ("the next one of its class", retires(row(), "sakura"), "go fuji"),
        ("every domestic one, as the plan says", retires(retires(row(), "sakura"), "fuji"), "go atlas"),
        ("nor does it where nothing else is", retires(row().want(call(Trigger::Asked)), "kodama"), "nothing"),
    ]);
}

#[test]
fn a_choice_explains_itself_in_the_order_of_preference() {
    let chosen = row()
        .stands("sakura", full(400))
        .tried("fuji", LegOutcome::Overdue, Some(Class::Overdue))
        .stands("atlas", resting(900))
        .choose();
    let told: Vec<(&str, Fit)> = chosen.considered.iter().map(|one| (one.provider.as_str(), one.fit)).collect();
    let until = |ms| NOW.plus_ms(ms);
    assert_eq!(
        told,
        [
            ("sakura", Fit::Full { until: until(400) }),
            ("fuji", Fit::Tried),
            ("atlas", Fit::Resting { until: until(900) })
        ]
    );
    let fits = [
        Fit::Ready,
        Fit::Full { until: NOW },
        Fit::Resting { until: NOW },
        Fit::Throttled { until: NOW },
        Fit::NotSent { until: NOW },
        Fit::Tried,
        Fit::OverBudget,
        Fit::TooLate,
        Fit::NotWanted,
        Fit::NotPlanned,
        Fit::Retiring,
    ];
    let sentences: std::collections::BTreeSet<String> = fits.iter().map(Fit::sentence).collect();
    assert_eq!(sentences.len(), fits.len(), "every fit has a sentence of its own");
}
