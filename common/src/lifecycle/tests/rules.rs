//! Rules that a story tells best: one claim each.

use super::given::{OVERDUE_MS, TEXT_USUAL_MS, TTL_MS, at, code, refusal, told_of_first};
use super::story::Now::{
    CallAnswered, Delivered, DeliveredOf, Due, Failed, FailedOf, Lost, Named, NotSent, PressedNothing, PressedRight,
    Refused, Resend, RightCode, Submitted, Taken, Waited,
};
use super::story::{Now, Story, story};
use crate::leg::Channel;
use crate::lifecycle::{Choice, Effect, Event, Hold, Note, Utterance, View, step};
use crate::message::{CancelledBy, End, Message, Trigger, Voice};
use crate::outcome::{Answer, Class, Proof, Reason, ReportStatus};
use crate::phone::LineType;
use crate::policy::{LINES_BESIDE_MAX, Policy};

const FIRST: (Now, &str) = (Taken, "sending by sakura");
const ACCEPTED: (Now, &str) = (Submitted, "awaiting sakura");

fn unverified(after_ms: u64) -> Message {
    Message { voice: Voice::OnUnverified { after_ms }, ..code() }
}

fn underway(reference: &str, proof: Proof) -> Event {
    told_of_first(ReportStatus::Underway { reference: Some(reference.to_owned()), at_operator: false }, proof)
}

#[test]
fn a_sweep_that_comes_before_its_time_changes_nothing() {
    for lines in [&[FIRST][..], &[FIRST, (Lost, "unsure of sakura")], &[FIRST, ACCEPTED]] {
        let mut told = story().goes(lines);
        let before = told.message.clone();
        told.now = before.due.expect("something is due").minus_ms(1);
        let step = told.apply(&Event::Due);
        assert_eq!((step.save, step.message, step.effects), (false, before, Vec::new()), "{}", told.stands());
    }
}

#[test]
fn an_unverified_code_is_called_for_once_in_its_time() {
    let waiting = Story::of(unverified(60_000)).goes(&[FIRST, ACCEPTED, (Delivered, "delivered")]);
    assert_eq!(waiting.message.due, Some(at(60_000)));
    let told =
        waiting.goes(&[(Due, "sending by kodama"), (Submitted, "delivered"), (Failed(Class::Unanswered), "delivered")]);
    told.goes(&[(Due, "ended: expired, delivered")]);
}

#[test]
fn the_time_of_the_call_for_an_unverified_code_does_not_hurry_a_lost_answer() {
    let mut told = Story::of(unverified(30_000));
    told.now = at(29_000);
    let told = told.goes(&[FIRST, (Lost, "unsure of sakura"), (Due, "sending by fuji")]);
    assert_eq!(told.since_start_ms(), 29_200 + told.policy.unknown_grace_ms);
}

#[test]
fn the_time_of_the_call_for_an_unverified_code_does_not_make_a_waiting_message_spin() {
    let rested = at(90_000);
    let mut told = Story::of(unverified(30_000)).plan(crate::route::International::Never);
    told.resting = vec![("sakura", rested), ("fuji", rested)];
    told.now = at(31_000);
    let told = told.goes(&[(Taken, "waiting for sms")]);
    assert_eq!(told.message.due, Some(rested));
    told.goes(&[(Due, "sending by sakura"), (Submitted, "awaiting sakura"), (Due, "sending by kodama")]);
}

#[test]
fn a_delivered_text_does_not_cancel_the_call_that_waits_for_a_free_route() {
    let told = Story::of(unverified(30_000)).resting("kodama", at(40_000)).goes(&[
        FIRST,
        (Named("s1"), "awaiting sakura"),
        (Due, "awaiting sakura"),
        (Due, "waiting for voice"),
        (Delivered, "waiting for voice"),
        (Due, "sending by kodama"),
    ]);
    assert_eq!(told.since_start_ms(), 40_000);
}

#[test]
fn a_reference_is_kept_whenever_it_is_proven_and_never_when_it_is_not() {
    for lines in [
        &[FIRST][..],
        &[FIRST, (Lost, "unsure of sakura")],
        &[FIRST, (Refused(Class::Content), "sending by fuji")],
        &[FIRST, ACCEPTED, (RightCode, "ended: verified")],
    ] {
        let mut told = story().goes(lines);
        told.apply(&underway("forged", Proof::Nothing));
        assert_eq!(told.message.legs[0].reference, None, "{}", told.stands());
        told.apply(&underway("s1", Proof::Tag));
        assert_eq!(told.message.legs[0].reference.as_deref(), Some("s1"), "{}", told.stands());
        assert!(!told.apply(&underway("s1", Proof::Tag)).save, "told twice, it is no news");
    }
}

#[test]
fn a_repeat_that_goes_nowhere_leaves_the_first_request_unknown() {
    for nowhere in [NotSent, Refused(Class::Throttled), Refused(Class::Config), Refused(Class::Unknown)] {
        let told = story().resting("sakura", at(60_000)).goes(&[
            (Taken, "sending by fuji"),
            (Lost, "unsure of fuji"),
            (Due, "sending by fuji"),
            (nowhere, "unsure of fuji"),
        ]);
        assert!(told.message.legs[0].may_be_out());
    }
}

#[test]
fn a_lost_call_is_not_followed_by_another_call() {
    let told = story().goes(&[FIRST, (Lost, "unsure of sakura"), (Due, "sending by fuji")]);
    let told = told.goes(&[(Refused(Class::Unreceivable), "sending by kodama"), (Lost, "unsure of kodama")]);
    let told = told.goes(&[(Due, "gave up: unreceivable")]);
    assert_eq!(told.legs(), "sakura fuji kodama");
}

#[test]
fn a_leg_is_asked_about_before_it_counts_as_overdue() {
    let mut told = story();
    told.policy.ask_unasked_after_ms = 2 * OVERDUE_MS;
    let told = told.goes(&[FIRST, (Named("s1"), "awaiting sakura"), (Due, "awaiting sakura")]);
    assert_eq!((told.asked(), told.since_start_ms()), (1, 200 + OVERDUE_MS));
    told.goes(&[(Due, "sending by fuji")]);
}

#[test]
fn a_phone_that_is_off_is_called_late_also_when_no_other_domestic_route_is_left() {
    let told = story().without("fuji").goes(&[FIRST, ACCEPTED, (Failed(Class::Absent), "waiting for voice")]);
    assert_eq!(told.message.due, Some(told.now.plus_ms(told.policy.late_voice_after_ms)));
    told.goes(&[(Due, "sending by kodama")]);
}

#[test]
fn a_late_call_that_could_not_be_in_time_is_given_up_at_once() {
    let short = Message { useful_until: at(40_000), due: Some(at(40_000)), ..code() };
    Story::of(short).without("fuji").goes(&[FIRST, ACCEPTED, (Failed(Class::Absent), "gave up: absent")]);
}

#[test]
fn delivered_wins_over_whatever_was_said_before() {
    let told =
        story().goes(&[FIRST, ACCEPTED, (Failed(Class::Content), "sending by fuji"), (Submitted, "awaiting fuji")]);
    told.goes(&[(DeliveredOf(1), "delivered"), (FailedOf(1, Class::Content), "delivered")]);
    let lost = story().goes(&[FIRST, (Lost, "unsure of sakura"), (Waited(5_000), "unsure of sakura")]);
    let lost = lost.goes(&[(Now::NotKnown, "sending by fuji")]);
    let lost = lost.goes(&[(DeliveredOf(1), "sending by fuji"), (Refused(Class::Content), "delivered")]);
    assert_eq!(lost.legs(), "sakura fuji", "nothing follows what was delivered");
}

#[test]
fn a_refusal_that_comes_later_still_counts_as_a_text() {
    let early = story().goes(&[FIRST, (Failed(Class::Content), "sending by fuji")]);
    assert!(early.message.legs[0].may_be_out());
    let at_once = story().goes(&[FIRST, (Refused(Class::Content), "sending by fuji")]);
    assert!(!at_once.message.legs[0].may_be_out());
}

#[test]
fn nobody_gets_more_than_four_texts_and_two_calls_however_often_they_ask() {
    let mut told = story();
    told.policy.resends_max = 20;
    told.policy.resend_cooldown_ms = [1_000; 3];
    told.happens(&Taken);
    for channel in [Channel::Sms, Channel::Voice].repeat(10) {
        told.happens(&Submitted);
        told.happens(&Failed(if channel == Channel::Sms { Class::ExpiredAtProvider } else { Class::Unanswered }));
        told.happens(&Lost);
        told.happens(&Waited(12_000));
        told.happens(&Resend(Some(channel)));
    }
    let out = |channel| told.message.legs.iter().filter(|leg| leg.channel == channel && leg.may_be_out()).count();
    assert_eq!((out(Channel::Sms), out(Channel::Voice)), (4, 2), "{}", told.legs());
}

#[test]
fn a_call_without_a_first_text_is_for_lines_that_take_none() {
    let far = story().without("sakura").without("fuji").without("atlas");
    let far = far.goes(&[(Taken, "sending by kodama")]);
    let begun = |told: &Story| {
        let trigger = |note: &Note| if let Note::LegBegan { trigger, .. } = note { Some(*trigger) } else { None };
        told.notes.iter().find_map(trigger)
    };
    assert_eq!(begun(&far), Some(Trigger::Failed), "no text could be sent");
    let landline = Story::of(Message { line: LineType::Landline, ..code() }).goes(&[(Taken, "sending by kodama")]);
    assert_eq!(begun(&landline), Some(Trigger::First));
}

#[test]
fn a_wait_that_is_over_already_still_ends_later_than_now() {
    let message = code();
    let policy = Policy::default();
    let view = View {
        now: at(0),
        policy: &policy,
        choose: &|_, _| Choice::Wait { until: at(0), why: Hold::Full },
        punctual: &|_| true,
        asks_in_ms: &|_| 0,
        roll: 0,
    };
    let waits = step(&message, &Event::Taken, &view).message;
    assert!(waits.due > Some(at(0)));
}

#[test]
fn a_resend_that_finds_no_route_leaves_a_lost_answer_awaited() {
    let mut told = story().without("fuji").without("atlas").without("kodama");
    told.policy.unknown_grace_ms = 60_000;
    told.goes(&[FIRST, (Lost, "unsure of sakura"), (Waited(20_000), "unsure of sakura")])
        .without("sakura")
        .goes(&[(Resend(None), "unsure of sakura"), (Delivered, "delivered")]);
}

#[test]
fn a_new_owner_or_a_fraud_said_of_an_earlier_leg_ends_the_message_even_when_a_later_one_was_delivered() {
    for class in [Class::OwnerChanged, Class::FraudBlocked] {
        let end = format!("ended: failed, {}", class.word());
        let both = || story().goes(&[FIRST, (Lost, "unsure of sakura"), (Due, "sending by fuji")]);
        both().goes(&[(FailedOf(1, class), &end), (Submitted, &end)]);
        both().goes(&[(Submitted, "awaiting fuji"), (FailedOf(1, class), &end)]);
        let delivered = || both().goes(&[(Submitted, "awaiting fuji"), (Delivered, "delivered")]);
        let told = delivered().goes(&[(FailedOf(1, class), &end), (RightCode, &end)]);
        let stopped = Note::Ended { end: End::Failed { reason: Reason::Leg(class) } };
        assert_eq!(told.notes.iter().filter(|note| **note == stopped).count(), 1, "it is a security event");
        delivered().goes(&[(Failed(class), &end)]);
        let mut late = both();
        late.apply(&Event::Answered { leg: 1, answer: Answer::Refused(refusal(class)) });
        assert_eq!(late.stands(), end, "said by an answer that came too late");
        let resent = delivered().goes(&[(Waited(20_000), "delivered"), (Resend(None), "sending by sakura")]);
        resent.goes(&[(Refused(class), &end)]);
        let mut forged = both();
        let status = ReportStatus::Failed(refusal(class));
        forged.apply(&told_of_first(status, Proof::Nothing));
        assert_eq!(forged.stands(), "sending by fuji", "not by anybody who says so");
    }
}

#[test]
fn a_resend_has_its_cool_down_and_its_limit_and_never_hurries_a_young_leg() {
    let told = story().goes(&[FIRST, ACCEPTED, (Waited(19_000), "awaiting sakura"), (Resend(None), "awaiting sakura")]);
    assert_eq!(told.message.resends, 0);
    let told = told.goes(&[(Waited(1_000), "awaiting sakura"), (Resend(None), "sending by fuji")]);
    let told =
        told.goes(&[(Submitted, "awaiting fuji"), (Waited(39_000), "awaiting fuji"), (Resend(None), "awaiting fuji")]);
    assert_eq!(told.message.resends, 1);
    let told = told.goes(&[(Waited(1_000), "awaiting fuji"), (Resend(None), "sending by sakura")]);
    let told = told.goes(&[
        (Submitted, "awaiting sakura"),
        (Waited(80_000), "awaiting sakura"),
        (Resend(None), "sending by fuji"),
    ]);
    let told =
        told.goes(&[(Submitted, "awaiting fuji"), (Waited(100_000), "awaiting fuji"), (Resend(None), "awaiting fuji")]);
    assert_eq!((told.message.resends, told.legs().as_str()), (3, "sakura fuji sakura fuji"));
}

#[test]
fn a_resend_that_no_route_is_left_for_says_so_and_fails_nothing_once_more() {
    let silent = Message { voice: Voice::Never, ..code() };
    let told = Story::of(silent).without("fuji").without("atlas").goes(&[
        FIRST,
        ACCEPTED,
        (Failed(Class::Content), "gave up: content"),
        (Waited(20_000), "gave up: content"),
        (Resend(None), "gave up: content"),
        (Waited(40_000), "gave up: content"),
        (Resend(None), "gave up: content"),
    ]);
    let count = |wanted: &Note| told.notes.iter().filter(|note| *note == wanted).count();
    assert_eq!(count(&Note::ResendAsked { leg: false }), 2);
    assert_eq!(count(&Note::GaveUp { reason: Reason::Leg(Class::Content) }), 1);
}

#[test]
fn a_verified_code_cancels_everything_that_was_still_to_come() {
    let told =
        story().goes(&[FIRST, (Refused(Class::Unreceivable), "sending by kodama"), (Submitted, "awaiting kodama")]);
    let told = told.goes(&[(CallAnswered, "awaiting kodama"), (RightCode, "ended: verified")]);
    assert!(told.effects.contains(&Effect::HangUp { leg: 2 }));
    let told = told.goes(&[(PressedRight, "ended: verified"), (CallAnswered, "ended: verified")]);
    assert!(!told.spoke(), "a call that goes on says goodbye");
    assert_eq!(told.effects.last(), Some(&Effect::Say(Utterance::Goodbye)));
}

#[test]
fn a_code_is_spoken_once_and_only_after_the_announced_digit() {
    let called = || {
        let told =
            story().goes(&[FIRST, (Refused(Class::Unreceivable), "sending by kodama"), (Submitted, "awaiting kodama")]);
        told.goes(&[(CallAnswered, "awaiting kodama")])
    };
    let mut wrong = called().goes(&[(PressedNothing, "awaiting kodama")]);
    wrong.apply(&Event::Pressed { leg: 2, digit: Some(9) });
    wrong.happens(&PressedRight);
    assert!(!wrong.spoke(), "it said goodbye: whoever asks on is not in that call");
    let mut tones = called();
    tones.apply(&Event::Pressed { leg: 2, digit: Some(9) });
    assert_eq!(tones.effects.last(), Some(&Effect::Say(Utterance::WrongDigit)));
    tones.happens(&CallAnswered);
    tones.happens(&PressedRight);
    assert!(!tones.spoke(), "a greeting holds as many tones as it gets tries: the first one counts");
    let right = called().goes(&[(PressedRight, "delivered"), (PressedRight, "delivered")]);
    assert_eq!(right.effects.iter().filter(|effect| **effect == Effect::Say(Utterance::Content)).count(), 1);
    let mut late = called();
    late.now = at(TTL_MS);
    late.happens(&PressedRight);
    assert!(!late.spoke());
}

#[test]
fn nothing_starts_when_it_could_not_be_in_time() {
    let mut told = story();
    told.now = at(TTL_MS - TEXT_USUAL_MS + 1);
    told.goes(&[(Taken, "gave up: no_route"), (Due, "ended: expired, gave up: no_route")]);
    let mut over = story();
    over.now = at(TTL_MS);
    over.goes(&[(Taken, "ended: expired, never sent")]);
}

#[test]
fn a_leg_in_hand_at_the_deadline_keeps_no_message_alive() {
    let mut told = story();
    told.now = at(TTL_MS - TEXT_USUAL_MS - 1_000);
    let told = told.goes(&[(Taken, "sending by fuji"), (Due, "ended: expired, submitted")]);
    assert_eq!(told.now, at(TTL_MS));
    let mut told = told.goes(&[(Submitted, "ended: expired, submitted")]);
    told.apply(&underway("s1", Proof::Tag));
    assert_eq!(told.message.legs[0].reference.as_deref(), Some("s1"));
}

#[test]
fn late_events_of_one_message_are_told_a_bounded_number_of_times() {
    let mut told = story().goes(&[FIRST, ACCEPTED, (Delivered, "delivered")]);
    for _ in 0..1_000 {
        told.happens(&Delivered);
    }
    let lines = told.notes.iter().filter(|note| matches!(note, Note::Late { .. })).count();
    assert_eq!(lines, usize::from(LINES_BESIDE_MAX));
    let before = told.message.clone();
    let step = told.apply(&told_of_first(ReportStatus::Delivered, Proof::Tag));
    assert_eq!((step.save, step.message), (false, before));
    told.apply(&underway("s1", Proof::Tag));
    assert_eq!(told.message.legs[0].reference.as_deref(), Some("s1"), "what is news is kept");
}

#[test]
fn an_answer_after_the_end_leaves_the_end_as_it_is() {
    let mut told = story().goes(&[FIRST]);
    told.apply(&Event::CancelAsked { by: CancelledBy::Caller });
    let end = told.message.state.clone();
    told.apply(&Event::Answered { leg: 1, answer: Answer::Submitted { reference: Some("s1".to_owned()) } });
    told.apply(&told_of_first(ReportStatus::Failed(refusal(Class::Absent)), Proof::Tag));
    assert_eq!((told.message.state.clone(), told.message.legs[0].reference.as_deref()), (end, Some("s1")));
    let told = told.goes(&[(Due, "ended: cancelled")]);
    assert_eq!((told.message.sealed, told.message.due), (None, None), "the personal part is erased in the end");
}
