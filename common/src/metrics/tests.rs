//! Every event once, and what is shown of it.

use std::collections::BTreeSet;

use super::*;
use crate::broker::{BrokerError, Queue};
use crate::leg::{Abilities, Call, CallStage, Channel, Leg, LegOutcome, ProviderId, RouteClass, RouteId};
use crate::lifecycle::{Cap, Hold, Note, Verdict};
use crate::message::{
    CancelledBy, End, Furthest, Kid, Kind as MessageKind, Lane, Locale, Message, MessageId, Purpose, State, Tag,
    TenantId, Trigger, Voice,
};
use crate::outcome::{Answer, Class, Proof, Reason, ReportKind};
use crate::phone::LineType;
use crate::provider::AskError;
use crate::store::{Counts, StoreError};
use crate::time::Timestamp;
use crate::transaction::Currency;

fn metrics() -> Arc<Metrics> {
    Metrics::for_countries([Country::JP]).expect("the catalogue registers")
}

fn provider() -> ProviderId {
    ProviderId::parse("sakura").expect("a provider id")
}

fn route(name: &str) -> RouteId {
    RouteId::parse(name).expect("a route id")
}

fn leg(number: u8, route_id: &str, channel: Channel) -> Leg {
    Leg {
        number,
        channel,
        provider: provider(),
        route: route(route_id),
        class: RouteClass::Domestic,
        sender: "Otodoke".to_owned(),
        started_at: at(2_000),
        ended_at: None,
        outcome: Some(LegOutcome::Submitted),
        reason: None,
        taken: true,
        reference: None,
        usual_by: at(0),
        overdue_after_ms: None,
        overdue_at: None,
        ask_at: None,
        asks: 0,
        sends: 1,
        abilities: Abilities::default(),
        call: None,
        operator: None,
    }
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_unix_ms(ms)
}

/// Accepted at 0, a text begun at 2 s, then a call.
fn message() -> Message {
    let mut text = leg(1, "jp-sakura", Channel::Sms);
    text.reason = Some(Class::RecipientBlocked);
    Message {
        id: MessageId::new(at(0), [0; 10]),
        tenant: TenantId::parse("acme").expect("a tenant"),
        purpose: Purpose::Login,
        lane: Lane::Normal,
        kind: MessageKind::Code {
            length: 6,
            kid: Kid::parse("k1").expect("a kid"),
            template: "default".to_owned(),
            domain: None,
        },
        locale: Locale::Ja,
        country: Country::JP,
        line: LineType::Mobile,
        voice: Voice::OnFailure,
        accepted_at: at(0),
        useful_until: at(300_000),
        sealed: None,
        number_tag: Tag([0; 32]),
        state: State::Queued,
        legs: vec![text, leg(2, "jp-kodama", Channel::Voice)],
        guesses_left: 5,
        guesses_open: 0,
        guess_paid_at: None,
        lines_beside: 0,
        resends: 0,
        last_resend_at: None,
        verified: None,
        due: None,
        version: 1,
        stamp: 0,
    }
}

fn notes() -> Vec<Note> {
    let began = |leg, channel, name: &str, trigger| Note::LegBegan {
        leg,
        channel,
        route: route(name),
        trigger,
        passed_over: Vec::new(),
    };
    let ended = |end| Note::Ended { end };
    vec![
        Note::Accepted { expected_wait_ms: 0 },
        Note::Joined { key: Tag([0; 32]), status: "sending".to_owned(), expected_wait_ms: 0, next_resend_at: None },
        began(1, Channel::Sms, "jp-sakura", Trigger::First),
        Note::Answered { leg: 1, outcome: LegOutcome::Submitted, class: None, code: None },
        Note::Receipt {
            leg: 1,
            status: ReportKind::Failed,
            class: Some(Class::RecipientBlocked),
            code: None,
            proof: Proof::Signature,
            happened_at: None,
        },
        Note::Asked { leg: 1 },
        Note::Repeated { leg: 1 },
        Note::Overdue { leg: 1 },
        Note::HeldBack { leg: 1 },
        Note::DuplicatePossible { leg: 1, cause: Class::Unknown },
        Note::Waiting { until: at(1), why: Some(Hold::Full) },
        Note::OverLimit { cap: Cap::SpendPerHour },
        began(2, Channel::Voice, "jp-kodama", Trigger::Failed),
        Note::CallAnswered { leg: 2 },
        Note::Pressed { leg: 2, right: false },
        Note::Pressed { leg: 2, right: true },
        Note::Spoken { leg: 2 },
        Note::Receipt {
            leg: 2,
            status: ReportKind::Delivered,
            class: None,
            code: None,
            proof: Proof::Tag,
            happened_at: Some(at(4_000)),
        },
        Note::GuessPaid { left: 4 },
        Note::Guessed { verdict: Verdict::Right },
        Note::ResendAsked { leg: true },
        Note::GaveUp { reason: Reason::Leg(Class::Absent) },
        ended(End::Verified),
        ended(End::Delivered),
        ended(End::Cancelled { by: CancelledBy::Caller }),
        ended(End::Failed { reason: Reason::GuessedOut }),
        ended(End::Expired { furthest: Furthest::Submitted }),
        Note::ArrivedLate { leg: 1, happened_at: None },
        Note::Late { what: "a receipt".to_owned() },
        Note::Refused { code: "invalid_field".to_owned(), field: Some("to".to_owned()) },
        Note::Duplicate { of: MessageId(uuid::Uuid::nil()) },
        Note::Erased,
    ]
}

/// Everything that can be told, once.
fn tell_all(metrics: &Metrics) {
    for note in notes() {
        metrics.note(&message(), &note, at(5_000));
    }
    let away = || "away".to_owned();
    metrics.request(&message().tenant, Purpose::Login, Some(Country::JP), RequestResult::Accepted);
    metrics.http("/v1/verifications", "202", 0.01);
    metrics.publish_confirm(Queue::Receipts, 0.01);
    metrics.broker_error(&BrokerError::Unavailable { why: away() });
    metrics.amqp_reconnected("localhost:5672/%2f");
    metrics.publish_nacked(Queue::Receipts);
    metrics.store_error(&StoreError::Unavailable { why: away() });
    metrics.delivery(Queue::Receipts, at(7_000));
    metrics.parked(Queue::Receipts, "not JSON");
    metrics.parked_dropped(Queue::Receipts);
    metrics.rate_limited(&provider(), Lane::Normal);
    metrics.spillover(&route("jp-atlas"), Lane::Normal);
    metrics.provider_call(&route("jp-sakura"), &Answer::Unknown { why: away() }, 2.0);
    metrics.segments(&route("jp-sakura"), Country::JP, 2);
    metrics.circuit(&provider(), Circuit::Open);
    metrics.asked(&provider(), &Err(AskError { provider: provider(), why: away() }));
    metrics.receipt_match(&provider(), ReceiptMatch::Orphan);
    metrics.counts(&Counts { live: 3, ended: 4, due: 2, inbox: 1, oldest_due_ms: 1_500, oldest_inbox_ms: 2_500 });
    metrics.clock_offset(-3);
    metrics.cost(&route("jp-sakura"), Country::JP, Currency::parse("USD").expect("a currency"), 150);
    metrics.guarded("spend_per_hour", &message());
    metrics.consumer(Queue::Receipts, true);
    metrics.expected_wait(Lane::Normal, 1_500);
    metrics.rate(&provider(), 20, 2.5);
    metrics.route_score(&route("jp-sakura"), Country::JP, 1);
    metrics.config_version("0123456789abcdef");
}

/// The lines of the text format that are no comments.
fn has(text: &str, line: &str) {
    assert!(text.lines().any(|each| each == line), "{line:?} is not in\n{text}");
}

#[test]
fn every_documented_family_has_an_event_and_every_family_is_documented() {
    let metrics = metrics();
    tell_all(&metrics);
    let text = metrics.text();
    let told: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .filter(|name| !name.starts_with("process_"))
        .collect();
    let listed: BTreeSet<&str> = ALL.iter().map(|family| family.name).collect();
    assert_eq!(told, listed);
    assert_eq!(listed.len(), ALL.len(), "a name is listed once");
    for family in ALL {
        assert!(documented().contains(&format!("| `{}` | {} |", family.name, family.kind.word())));
    }
}

#[test]
fn the_process_is_measured_too() {
    assert!(metrics().text().contains("process_resident_memory_bytes"));
}

#[test]
fn a_journey_counts_where_it_went_and_how_long_it_took() {
    let metrics = metrics();
    tell_all(&metrics);
    let text = metrics.text();
    for line in [
        "otp_queue_wait_seconds_sum{lane=\"normal\"} 2",
        "otp_accept_to_submit_seconds_sum{lane=\"normal\",purpose=\"login\"} 5",
        "otp_failovers_total{from_route=\"jp-sakura\",reason=\"recipient_blocked\",to_route=\"jp-kodama\"} 1",
        "otp_ivr_calls_total{country=\"JP\",route=\"jp-kodama\",trigger=\"failed\"} 1",
        "otp_receipt_arrival_seconds_sum{route=\"jp-kodama\"} 3",
        "otp_time_to_handset_seconds_sum{country=\"JP\",receipt_level=\"handset\",route=\"jp-kodama\"} 4",
        "otp_arrived_late_total{clock=\"ours\",route=\"jp-sakura\"} 1",
        "otp_ivr_ends_total{country=\"JP\",outcome=\"unanswered\",route=\"jp-kodama\"} 1",
        "otp_cost_minor_units_total{country=\"JP\",currency=\"USD\",route=\"jp-sakura\"} 1.5",
        "otp_inbox_oldest_seconds 2.5",
        "otp_amqp_reconnects_total 1",
        "otp_publish_nacks_total{queue=\"receipts\"} 1",
        "otp_rate_used_per_second{provider=\"sakura\"} 2.5",
        "otp_verified_total{channel=\"voice\",country=\"JP\",route=\"jp-kodama\"} 1",
        "otp_messages_final_total{country=\"JP\",outcome=\"verified\",purpose=\"login\"} 1",
        "otp_security_events_total{reason=\"guessed_out\"} 1",
        "otp_sweep_lag_seconds 1.5",
        "otp_circuit_state{provider=\"sakura\",state=\"open\"} 1",
        "otp_circuit_state{provider=\"sakura\",state=\"closed\"} 0",
    ] {
        has(&text, line);
    }
}

#[test]
fn a_call_that_spoke_is_over_once_whatever_is_told_of_it_later() {
    let metrics = metrics();
    let mut message = message();
    let call = message.legs.iter_mut().find(|leg| leg.channel == Channel::Voice).expect("a call");
    call.call = Some(Call { digit: 3, announced: 1, stage: CallStage::Spoken });
    let (leg, outcome) = (call.number, LegOutcome::Refused);
    call.outcome = Some(LegOutcome::Submitted);
    for note in [
        Note::Spoken { leg },
        Note::Answered { leg, outcome, class: Some(Class::Unanswered), code: None },
        Note::Overdue { leg },
        Note::Ended { end: End::Verified },
    ] {
        metrics.note(&message, &note, at(5_000));
    }
    let text = metrics.text();
    let ends: Vec<&str> = text.lines().filter(|line| line.starts_with("otp_ivr_ends_total")).collect();
    assert_eq!(ends, ["otp_ivr_ends_total{country=\"JP\",outcome=\"spoken\",route=\"jp-kodama\"} 1"]);
}

#[test]
fn what_was_counted_before_is_not_shown_while_nobody_can_count() {
    let metrics = metrics();
    let gauges = [
        "otp_messages_live",
        "otp_messages_due",
        "otp_receipt_orphans",
        "otp_sweep_lag_seconds",
        "otp_inbox_oldest_seconds",
    ];
    let shown = |metrics: &Metrics| {
        let text = metrics.text();
        gauges.iter().filter(|name| text.lines().any(|line| line.starts_with(&format!("{name} ")))).count()
    };
    let counts = Counts { live: 3, ended: 4, due: 2, inbox: 1, oldest_due_ms: 1_500, oldest_inbox_ms: 2_500 };
    metrics.counts(&counts);
    assert_eq!(shown(&metrics), gauges.len());
    metrics.uncounted();
    assert_eq!(shown(&metrics), 0);
    metrics.counts(&counts);
    has(&metrics.text(), "otp_sweep_lag_seconds 1.5");
}

#[test]
fn a_message_is_submitted_first_by_the_leg_that_was_taken_first() {
    let taken = "otp_accept_to_submit_seconds_count{lane=\"normal\",purpose=\"login\"}";
    for (outcome, is_taken, count) in [
        (LegOutcome::NotSent, false, Some(1)),
        (LegOutcome::Refused, false, Some(1)),
        (LegOutcome::Unknown, true, Some(1)),
        (LegOutcome::Refused, true, None),
        (LegOutcome::Submitted, true, None),
        (LegOutcome::Overdue, true, None),
    ] {
        let mut message = message();
        (message.legs[0].outcome, message.legs[0].taken) = (Some(outcome), is_taken);
        let metrics = metrics();
        let note = Note::Answered { leg: 2, outcome: LegOutcome::Submitted, class: None, code: None };
        metrics.note(&message, &note, at(5_000));
        let text = metrics.text();
        let counted = text.lines().find_map(|line| line.strip_prefix(taken)?.trim().parse::<u64>().ok());
        assert_eq!(counted, count, "{outcome:?} {is_taken}");
    }
}

/// The first one of its kind would not be seen as an increase.
#[test]
fn what_people_watch_for_is_there_before_it_happens() {
    let levels = [(route("jp-sakura"), ReceiptProfile::Handset)];
    let text = Metrics::for_routes([Country::JP], levels).expect("the catalogue registers").text();
    for line in [
        "otp_dead_letters_total{queue=\"given_up\"} 0",
        "otp_dead_letters_dropped_total{queue=\"receipts\"} 0",
        "otp_security_events_total{reason=\"fraud_blocked\"} 0",
        "otp_duplicates_possible_total{cause=\"overdue\",route=\"jp-sakura\"} 0",
        "otp_failures_total{country=\"JP\",purpose=\"login\",reason=\"no_route\"} 0",
        "otp_failures_total{country=\"other\",purpose=\"notice\",reason=\"unsupported_country\"} 0",
        "otp_expired_total{stage=\"gave_up\"} 0",
    ] {
        has(&text, line);
    }
}

#[test]
fn a_country_without_a_plan_and_an_unread_number_are_other() {
    let metrics = metrics();
    metrics.request(&message().tenant, Purpose::Login, Country::parse("FR"), RequestResult::Refused);
    metrics.request(&message().tenant, Purpose::Login, None, RequestResult::Refused);
    has(&metrics.text(), "otp_requests_total{country=\"other\",purpose=\"login\",result=\"refused\"} 2");
}

#[test]
fn the_time_to_the_handset_is_that_of_the_first_leg_that_came() {
    let metrics = metrics();
    let mut resent = message();
    let receipt = |leg| Note::Receipt {
        leg,
        status: ReportKind::Delivered,
        class: None,
        code: None,
        proof: Proof::Tag,
        happened_at: None,
    };
    for (leg, at_ms) in [(1, 4_000), (2, 90_000)] {
        resent.legs[usize::from(leg) - 1].outcome = Some(LegOutcome::Delivered);
        metrics.note(&resent, &receipt(leg), at(at_ms));
    }
    let text = metrics.text();
    let arrivals = |family: &str| text.lines().filter(|line| line.starts_with(&format!("{family}_count"))).count();
    assert_eq!([arrivals("otp_time_to_handset_seconds"), arrivals("otp_receipt_arrival_seconds")], [1, 2]);
}

#[test]
fn nothing_that_names_a_person_is_in_the_text() {
    let metrics = metrics();
    tell_all(&metrics);
    assert!(!metrics.text().contains(&message().id.to_string()));
}
