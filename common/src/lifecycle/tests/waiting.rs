//! Waiting for a route: what is told of it, however often it is looked for one.

use super::given::{START, code};
use crate::lifecycle::{Choice, Event, Note, View, step};
use crate::policy::Policy;

#[test]
fn a_wait_is_told_when_it_begins_and_not_at_each_look() {
    let (policy, mut message, mut now, mut told) = (Policy::default(), code(), START, 0);
    for event in [Event::Taken, Event::Due, Event::Due, Event::Due] {
        let until = now.plus_ms(1_000);
        let choose = |_: &_, _: &_| Choice::Wait { until };
        let view = View { now, policy: &policy, choose: &choose, punctual: &|_| true, roll: 0 };
        let looked = step(&message, &event, &view);
        assert!(looked.message.due >= Some(until), "it waits");
        told += looked.notes.iter().filter(|note| matches!(note, Note::Waiting { .. })).count();
        message = looked.message;
        now = message.due.expect("it is looked at again");
    }
    assert_eq!(told, 1);
}
