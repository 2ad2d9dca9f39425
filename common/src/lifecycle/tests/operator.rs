//! Routes whose receipts end at the operator: its word is the last that is told, and after it nothing of the leg is overdue.

use super::given::{OVERDUE_MS, TTL_MS, at, code, refusal, told_of_first};
use super::story::Now::{
    Delivered, Due, Failed, FailedOf, Lost, Named, Poked, Refused, Resend, RightCode, Submitted, Taken, Waited,
};
use super::story::{Now, Story, story};
use crate::leg::OperatorReceipt;
use crate::lifecycle::{Event, Note};
use crate::message::{Message, Voice};
use crate::outcome::{Class, Proof, ReportKind, ReportStatus};
use crate::route::ReceiptProfile;

const FIRST: (Now, &str) = (Taken, "sending by sakura");
const ACCEPTED: (Now, &str) = (Named("s1"), "awaiting sakura");
const EXPIRED: (Now, &str) = (Due, "ended: expired, submitted");
const PROVEN: [Proof; 3] = [Proof::Signature, Proof::Tag, Proof::Asked];

/// The first route can be asked, and its receipts prove so much.
fn proving(receipt: ReceiptProfile) -> Story {
    let mut told = story();
    told.table.routes[0].receipt = receipt;
    told
}

fn ends_at_operator() -> Story {
    proving(ReceiptProfile::Operator)
}

fn at_operator(proof: Proof) -> Event {
    told_of_first(ReportStatus::Underway { reference: None, at_operator: true }, proof)
}

fn underway(proof: Proof) -> Event {
    told_of_first(ReportStatus::Underway { reference: None, at_operator: false }, proof)
}

/// How often the journal says that the operator has it.
fn told_at_operator(told: &Story) -> usize {
    let says = |note: &&Note| matches!(note, Note::Receipt { leg: 1, status, .. } if *status == ReportKind::AtOperator);
    told.notes.iter().filter(says).count()
}

/// Where it stands after the word, and that it is told once: a second time it is no news, and nothing is saved.
fn hears(told: &mut Story, proof: Proof, stands: &str) {
    assert!(told.apply(&at_operator(proof)).save);
    assert_eq!((told.stands().as_str(), told_at_operator(told)), (stands, 1));
    let before = told.message.clone();
    for again in [at_operator(proof), underway(proof), at_operator(Proof::Asked)] {
        let step = told.apply(&again);
        assert_eq!((step.save, step.message, step.notes), (false, before.clone(), Vec::new()));
    }
}

#[test]
fn what_the_operator_has_waits_for_its_deadline_and_nobody_is_asked_about_it() {
    for proof in PROVEN {
        let mut told = ends_at_operator().goes(&[FIRST, ACCEPTED]);
        hears(&mut told, proof, "awaiting sakura");
        assert_eq!((told.message.due, told.message.status()), (Some(at(TTL_MS)), "submitted"));
        let told = told.goes(&[EXPIRED]);
        assert_eq!((told.legs().as_str(), told.asked()), ("sakura", 0));
    }
}

#[test]
fn a_leg_that_is_held_back_or_being_asked_about_is_overdue_no_more_either() {
    let asked = ends_at_operator().goes(&[FIRST, ACCEPTED, (Due, "awaiting sakura")]);
    let late = Story { punctual: false, ..ends_at_operator() }.goes(&[FIRST, ACCEPTED]);
    let late = late.goes(&[(Due, "awaiting sakura"), (Due, "awaiting sakura"), (Due, "awaiting sakura")]);
    assert!(late.notes.contains(&Note::HeldBack { leg: 1 }));
    for mut told in [asked, late] {
        told.punctual = true;
        let questions = told.asked();
        hears(&mut told, Proof::Asked, "awaiting sakura");
        let told = told.goes(&[EXPIRED]);
        assert_eq!((told.legs().as_str(), told.asked()), ("sakura", questions));
    }
}

#[test]
fn without_the_operators_word_a_leg_is_overdue_as_on_any_route() {
    let silence = |receipt| {
        let told = proving(receipt).goes(&[FIRST, ACCEPTED, (Due, "awaiting sakura"), (Due, "awaiting sakura")]);
        let told = told.goes(&[(Due, "sending by fuji")]);
        (told.since_start_ms(), told.asked(), told.notes)
    };
    assert_eq!(silence(ReceiptProfile::Operator), silence(ReceiptProfile::Handset));
    let mut forged = ends_at_operator().goes(&[FIRST]);
    forged.apply(&at_operator(Proof::Nothing));
    let mut forged = forged.goes(&[ACCEPTED]);
    forged.apply(&at_operator(Proof::Nothing));
    forged.apply(&underway(Proof::Signature));
    assert_eq!(told_at_operator(&forged), 0);
    forged.goes(&[(Due, "awaiting sakura"), (Due, "awaiting sakura"), (Due, "sending by fuji")]);
}

#[test]
fn where_receipts_tell_of_the_handset_the_operators_word_is_no_more_than_underway() {
    for receipt in [ReceiptProfile::Handset, ReceiptProfile::None] {
        for lines in [
            &[FIRST][..],
            &[FIRST, ACCEPTED],
            &[FIRST, (Lost, "unsure of sakura")],
            &[
                FIRST,
                (Lost, "unsure of sakura"),
                (Waited(20_000), "unsure of sakura"),
                (Resend(None), "sending by fuji"),
            ],
        ] {
            for proof in [Proof::Nothing, Proof::Tag] {
                let mut plain = proving(receipt).goes(lines);
                let mut further = proving(receipt).goes(lines);
                let (plain, further) = (plain.apply(&underway(proof)), further.apply(&at_operator(proof)));
                assert_eq!(
                    (plain.save, plain.message, plain.effects, plain.notes.len()),
                    (further.save, further.message, further.effects, further.notes.len())
                );
            }
        }
    }
    let mut told = proving(ReceiptProfile::Handset).goes(&[FIRST, ACCEPTED]);
    assert!(!told.apply(&at_operator(Proof::Tag)).save);
    let told = told.goes(&[(Due, "awaiting sakura"), (Due, "awaiting sakura"), (Due, "sending by fuji")]);
    assert_eq!(told.since_start_ms(), 200 + OVERDUE_MS + 1_000);
}

#[test]
fn the_operators_word_may_come_before_the_answer_or_in_place_of_it() {
    for answer in [Submitted, Named("s1"), Lost, Due, Refused(Class::Throttled)] {
        let mut told = ends_at_operator().goes(&[FIRST]);
        hears(&mut told, Proof::Signature, "sending by sakura");
        let told = told.goes(&[(answer, "awaiting sakura")]);
        assert_eq!(told.message.due, Some(at(TTL_MS)));
        let told = told.goes(&[EXPIRED]);
        assert_eq!((told.legs().as_str(), told.asked(), told.duplicates()), ("sakura", 0, 0));
    }
    let mut lost = ends_at_operator().goes(&[FIRST, (Lost, "unsure of sakura")]);
    hears(&mut lost, Proof::Tag, "awaiting sakura");
    lost.goes(&[EXPIRED]);
}

#[test]
fn an_answer_that_refuses_for_good_stands_over_an_early_word_of_the_operator() {
    let mut told = ends_at_operator().goes(&[FIRST]);
    hears(&mut told, Proof::Signature, "sending by sakura");
    told.goes(&[(Refused(Class::Content), "sending by fuji")]);
}

#[test]
fn what_is_told_after_the_operators_word_counts_as_ever() {
    let reached = || {
        let mut told = ends_at_operator().goes(&[FIRST, ACCEPTED]);
        hears(&mut told, Proof::Signature, "awaiting sakura");
        told
    };
    reached().goes(&[(Failed(Class::Content), "sending by fuji")]);
    reached().goes(&[(Failed(Class::OwnerChanged), "ended: failed, owner_changed")]);
    reached().goes(&[(RightCode, "ended: verified")]);
    reached().goes(&[(Waited(20_000), "awaiting sakura"), (Resend(None), "sending by fuji")]);
    let mut delivered = reached().goes(&[(Delivered, "delivered")]);
    assert!(!delivered.apply(&at_operator(Proof::Signature)).save);
    let mut first = ends_at_operator().goes(&[FIRST, ACCEPTED, (Delivered, "delivered")]);
    assert!(!first.apply(&at_operator(Proof::Signature)).save, "what is on the handset was at the operator");
}

#[test]
fn a_poke_may_still_cause_a_question_and_makes_nothing_overdue() {
    let mut told = ends_at_operator().goes(&[FIRST, ACCEPTED]);
    hears(&mut told, Proof::Signature, "awaiting sakura");
    told.asks_in_ms = 2_000;
    let put_off = told.goes(&[(Poked, "awaiting sakura")]);
    assert_eq!((put_off.asked(), put_off.message.due), (0, Some(put_off.now.plus_ms(2_000))));
    let told = Story { asks_in_ms: 0, ..put_off }.goes(&[(Due, "awaiting sakura"), EXPIRED]);
    assert_eq!((told.legs().as_str(), told.asked()), ("sakura", 1));
}

#[test]
fn a_code_that_the_operator_has_is_still_called_for_when_it_is_not_verified_in_time() {
    let mut told = Story { message: unverified(60_000), ..ends_at_operator() }.goes(&[FIRST, ACCEPTED]);
    hears(&mut told, Proof::Signature, "awaiting sakura");
    let told = told.goes(&[(Due, "sending by kodama")]);
    assert_eq!(told.since_start_ms(), 60_000);
}

fn unverified(after_ms: u64) -> Message {
    Message { voice: Voice::OnUnverified { after_ms }, ..code() }
}

/// No call and no further route: what comes to nothing goes back to what is open still.
#[test]
fn the_operators_word_of_an_earlier_leg_is_kept_for_when_it_is_awaited_again() {
    let two = ends_at_operator().without("atlas").without("kodama").goes(&[
        FIRST,
        ACCEPTED,
        (Waited(20_000), "awaiting sakura"),
        (Resend(None), "sending by fuji"),
    ]);
    let mut two = two.goes(&[(Submitted, "awaiting fuji")]);
    let due = two.message.due;
    hears(&mut two, Proof::Tag, "awaiting fuji");
    assert_eq!(two.message.due, due, "the other leg's receipt is awaited as before");
    let two = two.goes(&[(FailedOf(2, Class::Content), "awaiting sakura")]);
    assert_eq!(two.message.due, Some(at(TTL_MS)));
    assert_eq!(two.goes(&[EXPIRED]).asked(), 0);
}

#[test]
fn a_lost_answer_is_no_longer_awaited_where_the_operators_word_came_during_a_resend() {
    let mut told = ends_at_operator().without("atlas").without("kodama");
    told.policy.unknown_grace_ms = 60_000;
    let mut told = told.goes(&[FIRST, (Lost, "unsure of sakura"), (Waited(20_000), "unsure of sakura")]);
    told.resting = vec![("sakura", at(60_000)), ("fuji", at(60_000))];
    let mut told = told.goes(&[(Resend(None), "waiting for sms")]);
    hears(&mut told, Proof::Signature, "waiting for sms");
    let told = told.without("sakura").without("fuji").goes(&[(Due, "awaiting sakura"), EXPIRED]);
    assert_eq!(told.legs(), "sakura");
}

#[test]
fn a_leg_goes_by_what_its_route_proved_when_it_began() {
    let mut began = ends_at_operator().goes(&[FIRST, ACCEPTED]);
    began.table.routes[0].receipt = ReceiptProfile::Handset;
    hears(&mut began, Proof::Signature, "awaiting sakura");
    began.goes(&[EXPIRED]);
    let mut before = proving(ReceiptProfile::Handset).goes(&[FIRST, ACCEPTED]);
    before.table.routes[0].receipt = ReceiptProfile::Operator;
    before.apply(&at_operator(Proof::Signature));
    assert_eq!(before.message.legs[0].operator, None);
    before.goes(&[(Due, "awaiting sakura"), (Due, "awaiting sakura"), (Due, "sending by fuji")]);
}

#[test]
fn no_call_ends_at_the_operator() {
    let mut calls = ends_at_operator();
    calls.table.routes[3].receipt = ReceiptProfile::Operator;
    let mut calls = calls.goes(&[FIRST, (Refused(Class::Unreceivable), "sending by kodama")]);
    let waits = calls.message.legs.iter().map(|leg| leg.operator).collect::<Vec<_>>();
    assert_eq!(waits, [Some(OperatorReceipt::Awaited), None]);
    calls.apply(&at_operator(Proof::Signature));
    assert_eq!(told_at_operator(&calls), 0, "a leg that was refused is over");
    let mut called = calls.goes(&[(Submitted, "awaiting kodama")]);
    let status = ReportStatus::Underway { reference: None, at_operator: true };
    let due = called.message.due;
    called.apply(&Event::Receipt { leg: 2, status, proof: Proof::Signature, happened_at: None });
    assert_eq!((called.message.due, called.stands().as_str()), (due, "awaiting kodama"));
    let stopped = ReportStatus::Failed(refusal(Class::FraudBlocked));
    called.apply(&told_of_first(stopped, Proof::Signature));
    assert_eq!(called.stands(), "ended: failed, fraud_blocked");
}
