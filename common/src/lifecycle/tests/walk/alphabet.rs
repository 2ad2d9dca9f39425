//! What can happen to a message at a node of the walk, and when.

use super::Node;
use crate::leg::{Channel, LegNumber};
use crate::lifecycle::tests::given::refusal;
use crate::lifecycle::{Event, Verdict};
use crate::message::CancelledBy;
use crate::outcome::{Answer, Class, Proof, ReportStatus};
use crate::time::Timestamp;

const A_WHILE_MS: u64 = 1_000;
const PROVEN: [Proof; 3] = [Proof::Signature, Proof::Tag, Proof::Asked];

/// Every event a moment later, and those that time makes: at the due time, before it, and after the deadline.
pub(super) fn events(node: &Node) -> Vec<(Timestamp, Event)> {
    let soon = node.now.plus_ms(A_WHILE_MS);
    let mut all: Vec<Event> = vec![
        Event::Taken,
        Event::GivenUp,
        Event::GuessPaid,
        Event::Revoked,
        Event::CancelAsked { by: CancelledBy::Caller },
        Event::ResendAsked { channel: None },
        Event::ResendAsked { channel: Some(Channel::Voice) },
    ];
    if node.message.is_code() {
        let verdicts = [Verdict::Right, Verdict::Wrong, Verdict::TransactionChanged];
        all.extend(verdicts.map(|verdict| Event::Guessed { verdict, key: None }));
    }
    let last = LegNumber::try_from(node.message.legs.len()).expect("few legs");
    of_last(last, &mut all);
    if last > 1 {
        of_earlier(last - 1, &mut all);
    }
    of_earlier(last + 1, &mut all);
    if let Some(call) = node.message.leg(last).and_then(|leg| leg.call) {
        let digits = [Some(call.digit), Some(0), None];
        all.extend(digits.map(|digit| Event::Pressed { leg: last, digit }));
        all.push(Event::CallAnswered { leg: last });
    }
    let mut timed: Vec<(Timestamp, Event)> = all.into_iter().map(|event| (soon, event)).collect();
    if let Some(due) = node.message.due {
        let due = due.max(node.now);
        timed.extend([(due, Event::Due), (due, Event::Taken), (due.plus_ms(A_WHILE_MS), Event::Due)]);
        timed.push((due.minus_ms(1).max(node.now), Event::Due));
    }
    let over = node.message.useful_until.max(node.now);
    let submitted = Answer::Submitted { reference: Some("late".to_owned()) };
    timed.extend([
        (over, Event::Taken),
        (over, Event::Answered { leg: last, answer: submitted }),
        (over, told(last, ReportStatus::Delivered, Proof::Tag)),
        (over, Event::Guessed { verdict: Verdict::Right, key: None }),
        (over, Event::CallAnswered { leg: last }),
    ]);
    timed
}

fn of_last(leg: LegNumber, all: &mut Vec<Event>) {
    for class in Class::ALL {
        all.push(Event::Answered { leg, answer: Answer::Refused(refusal(class)) });
        all.push(told(leg, ReportStatus::Failed(refusal(class)), Proof::Signature));
    }
    for reference in [None, Some("r1".to_owned())] {
        all.push(Event::Answered { leg, answer: Answer::Submitted { reference } });
    }
    all.push(Event::Answered { leg, answer: Answer::NotSent { why: "no connection".to_owned() } });
    all.push(Event::Answered { leg, answer: Answer::Unknown { why: "reset".to_owned() } });
    for status in reports() {
        all.extend(PROVEN.map(|proof| told(leg, status.clone(), proof)));
        all.push(told(leg, status, Proof::Nothing));
    }
}

/// Of a leg before, or of one that never was.
fn of_earlier(leg: LegNumber, all: &mut Vec<Event>) {
    all.extend(reports().into_iter().map(|status| told(leg, status, Proof::Tag)));
    all.push(told(leg, ReportStatus::Failed(refusal(Class::OwnerChanged)), Proof::Asked));
    all.push(told(leg, ReportStatus::Failed(refusal(Class::FraudBlocked)), Proof::Nothing));
    all.push(Event::Answered { leg, answer: Answer::Refused(refusal(Class::FraudBlocked)) });
    all.push(told(leg, ReportStatus::Delivered, Proof::Nothing));
    all.push(Event::Answered { leg, answer: Answer::Submitted { reference: Some("r2".to_owned()) } });
    all.push(Event::Answered { leg, answer: Answer::Refused(refusal(Class::Absent)) });
}

fn reports() -> Vec<ReportStatus> {
    vec![
        ReportStatus::Delivered,
        ReportStatus::Failed(refusal(Class::Absent)),
        ReportStatus::Underway { reference: None, at_operator: false },
        ReportStatus::Underway { reference: None, at_operator: true },
        ReportStatus::Underway { reference: Some("u1".to_owned()), at_operator: false },
        ReportStatus::Absent,
        ReportStatus::Hint,
    ]
}

fn told(leg: LegNumber, status: ReportStatus, proof: Proof) -> Event {
    Event::Receipt { leg, status, proof, happened_at: None }
}

/// Whether an event, whenever it comes, is likely to be the last that matters.
pub(super) fn ends_it(event: &Event) -> bool {
    match event {
        Event::Guessed { verdict, .. } => *verdict != Verdict::Wrong,
        Event::CancelAsked { .. } | Event::Revoked => true,
        Event::Answered { answer: Answer::Refused(refusal), .. }
        | Event::Receipt { status: ReportStatus::Failed(refusal), .. } => {
            matches!(refusal.class, Class::InvalidNumber | Class::OwnerChanged | Class::FraudBlocked)
        }
        Event::Receipt { status: ReportStatus::Delivered, .. } => true,
        Event::Taken
        | Event::GivenUp
        | Event::Due
        | Event::Answered { .. }
        | Event::Receipt { .. }
        | Event::GuessPaid
        | Event::ResendAsked { .. }
        | Event::CallAnswered { .. }
        | Event::Pressed { .. } => false,
    }
}
