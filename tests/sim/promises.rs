//! What must hold after any day.

use std::collections::BTreeMap;

use otodoke_common::leg::{Channel, RouteClass};
use otodoke_common::lifecycle::Note;
use otodoke_common::message::{Message, State};
use otodoke_common::policy::{CALLS_MAX, TEXTS_MAX};
use otodoke_common::store::JournalEntry;
use otodoke_common::wire::encode_row;
use otodoke_tests::carrier::Seen;
use otodoke_tests::world::id as parsed;

use crate::day::{CARRIERS, Day, STEP_MS_MAX, phone};

/// The usual time of the routes of a world: no leg begins later than this before the deadline.
const USUAL_MS: i64 = 1_000;
/// A provider rests after so many failures.
const FAILURES_BEFORE_REST: usize = 3;

/// A message after its day.
struct After<'a> {
    message: Message,
    journal: Vec<JournalEntry>,
    /// Requests of its legs, and at which carrier.
    seen: Vec<(&'static str, Seen)>,
    day: &'a Day,
    number: String,
}

pub(crate) async fn hold(day: &Day) {
    let requests = requests(day);
    for (id, person) in &day.accepted {
        let message = day.world.store.load(parsed(id)).await.expect("memory loads");
        let message = message.unwrap_or_else(|| panic!("{id} was accepted and is gone"));
        let journal = day.world.store.journal(parsed(id)).await.expect("memory tells");
        let seen = requests.get(id).cloned().unwrap_or_default();
        let after = After { message, journal, seen, day, number: phone(*person) };
        after.it_has_one_end();
        after.nothing_begins_too_late();
        after.nothing_begins_after_the_end();
        after.duplicates_are_bounded_and_counted();
        after.domestic_comes_first();
        after.nothing_at_rest_tells();
    }
    let counts = day.world.store.counts(day.world.clock.now()).await.expect("memory counts");
    assert_eq!(counts.live, 0, "something never ended");
    assert!(counts.ended >= day.accepted.len() as u64);
    metrics_tell_nothing(day);
}

/// By message id: the part of our reference before its leg.
fn requests(day: &Day) -> BTreeMap<String, Vec<(&'static str, Seen)>> {
    let mut requests: BTreeMap<String, Vec<(&'static str, Seen)>> = BTreeMap::new();
    for carrier in CARRIERS {
        for seen in day.world.carrier(carrier).seen() {
            let (id, _leg) = seen.our_reference.split_once('.').expect("id and leg");
            requests.entry(id.to_owned()).or_default().push((carrier, seen.clone()));
        }
    }
    requests
}

impl After<'_> {
    fn id(&self) -> String {
        self.message.id.to_string()
    }

    fn count(&self, what: impl Fn(&Note) -> bool) -> usize {
        self.journal.iter().filter(|entry| what(&entry.note)).count()
    }

    /// Promises 2 and 7.
    fn it_has_one_end(&self) {
        let State::Ended { end } = &self.message.state else {
            panic!("{} never ended: {:?}\n{:#?}", self.id(), self.message.state, self.journal);
        };
        assert_eq!(self.count(|note| matches!(note, Note::Ended { .. })), 1, "{} ended not once", self.id());
        if let Some(first) = self.day.ends.get(&self.id()) {
            assert_eq!(first, end, "the end of {} changed", self.id());
        }
        assert!(self.day.verified.get(&self.id()).is_none_or(|times| *times == 1), "{} verified twice", self.id());
    }

    /// Promise 3.
    fn nothing_begins_too_late(&self) {
        let until_ms = self.message.useful_until.unix_ms();
        for (carrier, seen) in &self.seen {
            let left_ms = until_ms - seen.at_ms;
            assert!(
                left_ms >= USUAL_MS - i64::from(STEP_MS_MAX),
                "{} at {carrier}, {left_ms} ms before its end",
                self.id()
            );
            let rest_ms = left_ms + i64::from(STEP_MS_MAX);
            assert!(i64::from(seen.validity_s) * 1_000 <= rest_ms, "{} is valid past its end", self.id());
        }
    }

    /// Promise 6.
    fn nothing_begins_after_the_end(&self) {
        let ended = self.journal.iter().position(|entry| matches!(entry.note, Note::Ended { .. }));
        let began =
            self.journal.iter().rposition(|entry| matches!(entry.note, Note::LegBegan { .. } | Note::Spoken { .. }));
        assert!(began < ended, "{} went on after its end: {:#?}", self.id(), self.journal);
    }

    /// Promise 4.
    fn duplicates_are_bounded_and_counted(&self) {
        let arrived = |voice| self.seen.iter().filter(|(at, seen)| (*at == "kodama") == voice && seen.arrived).count();
        let (texts, calls) = (arrived(false), arrived(true));
        assert!(texts <= TEXTS_MAX && calls <= CALLS_MAX, "{}: {texts} texts, {calls} calls", self.id());
        let allowed = 1
            + self.count(|note| matches!(note, Note::DuplicatePossible { .. }))
            + self.count(|note| matches!(note, Note::ResendAsked { leg: true }));
        assert!(texts <= allowed, "{}: {texts} texts, {allowed} explained\n{:#?}", self.id(), self.journal);
    }

    /// Promise 5: every domestic route was tried before, or its carrier had failed often enough to rest.
    fn domestic_comes_first(&self) {
        let legs = &self.message.legs;
        for abroad in legs.iter().filter(|leg| leg.channel == Channel::Sms && leg.class == RouteClass::International) {
            for domestic in ["sakura", "fuji"] {
                let tried = legs.iter().any(|leg| leg.number < abroad.number && leg.provider.as_str() == domestic);
                let began_ms = abroad.started_at.unix_ms();
                let seen = self.day.world.carrier(domestic).seen();
                let failures = seen.iter().filter(|seen| seen.failed && seen.at_ms <= began_ms).count();
                assert!(
                    tried || failures >= FAILURES_BEFORE_REST,
                    "{} went abroad past {domestic}: {legs:#?}",
                    self.id()
                );
            }
        }
    }

    /// Promise 8.
    fn nothing_at_rest_tells(&self) {
        let code = self.day.world.phone(&self.number).code();
        let row = encode_row(&self.message);
        let journal = serde_json::to_vec(&self.journal).expect("a journal is JSON");
        for (what, bytes) in [("row", row), ("journal", journal)] {
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains(&self.number[3..]), "the {what} of {} holds its number", self.id());
            assert!(
                code.as_ref().is_none_or(|code| !text.contains(code)),
                "the {what} of {} holds its code",
                self.id()
            );
        }
    }
}

fn metrics_tell_nothing(day: &Day) {
    let text = day.world.metrics.text();
    for person in day.accepted.values() {
        let number = phone(*person);
        assert!(!text.contains(&number[3..]), "the metrics hold a number");
        let code = day.world.phone(&number).code();
        assert!(code.is_none_or(|code| !text.contains(&code)), "the metrics hold a code");
    }
}
