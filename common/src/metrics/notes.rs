//! What happened to a message, as counters and log lines. The notes come from `lifecycle::step`, once they are saved.

use tracing::{debug, info, warn};

use super::{Metrics, seconds, words};
use crate::leg::{CallStage, Channel, Leg, LegNumber, LegOutcome, RouteId};
use crate::lifecycle::{Hold, Note, Verdict};
use crate::message::{End, Message, Trigger};
use crate::outcome::{Class, Reason, ReportKind};
use crate::route::ReceiptProfile;
use crate::time::Timestamp;

/// Where a label would name a leg that the message does not have.
const NO_ROUTE: &str = "none";
const UNKNOWN: &str = "unknown";

impl Metrics {
    /// One line of a message's journal was saved at `at`; `message` is what is stored now.
    pub fn note(&self, message: &Message, note: &Note, at: Timestamp) {
        let id = message.id;
        match note {
            Note::Accepted { expected_wait_ms } => {
                let (tenant, purpose, lane) = (&message.tenant, message.purpose.word(), message.lane.word());
                info!(%id, %tenant, purpose, lane, expected_wait_ms, "a message was accepted");
            }
            Note::Joined { .. } => info!(%id, "a request joined the message that is under way"),
            Note::LegBegan { leg, channel: _, route, trigger, passed_over: _ } => {
                self.leg_began(message, *leg, route, *trigger);
            }
            Note::Answered { leg, outcome, class, code } => {
                info!(%id, leg, outcome = outcome.word(), class = class.map(Class::word), code, "the provider answered");
                self.answered(message, *leg, *outcome, at);
                self.leg_failed(message, *leg, *class, code.as_deref());
                if matches!(outcome, LegOutcome::Refused | LegOutcome::NotSent) {
                    self.call_ended(message, *leg, *class);
                }
            }
            Note::Receipt { .. } => self.receipt(message, note, at),
            Note::Asked { leg } => debug!(%id, leg, "the provider is asked about a leg"),
            Note::Repeated { leg } => {
                info!(%id, leg, "the same request goes out again: the provider dedupes");
                self.journey.repeats.with_label_values(&[route(message, *leg)]).inc();
            }
            Note::Overdue { leg } => {
                warn!(%id, leg, route = route(message, *leg), "a receipt is overdue");
                self.journey.receipts_overdue.with_label_values(&[route(message, *leg)]).inc();
                self.call_ended(message, *leg, Some(Class::Overdue));
            }
            Note::HeldBack { leg } => self.held_back(message, *leg),
            Note::DuplicatePossible { leg, cause } => self.duplicate_possible(message, *leg, *cause),
            Note::Waiting { until, why } => self.waits(message, *until, *why),
            Note::OverLimit { cap } => debug!(%id, cap = cap.word(), "its tenant is at its limit: no leg begins"),
            Note::Late { what } => {
                debug!(%id, what, "an event came too late to change anything");
                self.journey.late.with_label_values::<&str>(&[]).inc();
            }
            Note::ArrivedLate { leg, happened_at } => self.arrived_late(message, *leg, *happened_at),
            Note::Refused { code, field } => self.published_in_vain(message, code, field.as_deref()),
            Note::Duplicate { of } => info!(%id, %of, "published while an equal message was alive: that one goes on"),
            Note::Erased => debug!(%id, "the personal part was erased"),
            Note::CallAnswered { leg } => self.call_went_on(message, *leg, "answered"),
            Note::Pressed { leg, right: true } => self.call_went_on(message, *leg, "right_digit"),
            Note::Pressed { leg, right: false } => self.call_went_on(message, *leg, "wrong_digit"),
            Note::Spoken { leg } => self.spoken(message, *leg),
            Note::GuessPaid { left } => debug!(%id, left, "a guess was paid"),
            Note::Guessed { verdict } => self.guessed(message, *verdict),
            Note::ResendAsked { leg } => self.resend_asked(message, *leg),
            Note::GaveUp { reason } => self.failed(message, *reason),
            Note::Ended { end } => self.ended(message, end, at),
        }
    }

    fn receipt(&self, message: &Message, receipt: &Note, at: Timestamp) {
        let Note::Receipt { leg, status, class, code, proof, happened_at } = receipt else { return };
        let word = status.word();
        info!(id = %message.id, leg, status = word, class = class.map(Class::word), code, "a receipt came");
        self.journey.receipts.with_label_values(&[route(message, *leg), word, words::proof(*proof)]).inc();
        self.leg_failed(message, *leg, *class, code.as_deref());
        if *status == ReportKind::Delivered {
            self.arrived(message, *leg, *happened_at, at);
        }
        if *status == ReportKind::Delivered || class.is_some() {
            self.call_ended(message, *leg, *class);
        }
    }

    fn leg_began(&self, message: &Message, leg: LegNumber, to: &RouteId, trigger: Trigger) {
        let Some(leg) = message.leg(leg) else { return };
        let word = trigger.word();
        info!(id = %message.id, leg = leg.number, route = %to, trigger = word, "a leg begins");
        let country = self.country(Some(message.country));
        self.journey.legs.with_label_values(&[to.as_str(), country, leg.channel.word(), word]).inc();
        if leg.channel == Channel::Voice {
            self.journey.ivr_calls.with_label_values(&[to.as_str(), country, word]).inc();
        }
        match previous(message, leg) {
            Some(before) => {
                let reason = before.reason.map_or(word, Class::word);
                self.journey.failovers.with_label_values(&[before.route.as_str(), to.as_str(), reason]).inc();
            }
            None => {
                let waited_ms = leg.started_at.since_ms(message.accepted_at);
                self.journey.queue_wait.with_label_values(&[message.lane.word()]).observe(seconds(waited_ms));
            }
        }
    }

    fn answered(&self, message: &Message, leg: LegNumber, outcome: LegOutcome, at: Timestamp) {
        let Some(leg) = message.leg(leg) else { return };
        let (route, country, channel) = (leg.route.as_str(), self.country(Some(message.country)), leg.channel.word());
        let labels = [route, country, leg.class.word(), channel, outcome.word()];
        self.journey.attempts.with_label_values(&labels).inc();
        if outcome != LegOutcome::Submitted {
            return;
        }
        self.journey.submitted.with_label_values(&[route, country, channel]).inc();
        if !message.legs.iter().any(|other| other.number < leg.number && was_taken(other)) {
            let labels = [message.purpose.word(), message.lane.word()];
            let took_ms = at.since_ms(message.accepted_at);
            self.journey.accept_to_submit.with_label_values(&labels).observe(seconds(took_ms));
        }
    }

    fn leg_failed(&self, message: &Message, leg: LegNumber, class: Option<Class>, code: Option<&str>) {
        let Some(class) = class else { return };
        // What no other route mends for good: our account, or our words.
        if matches!(class, Class::Config | Class::Content) {
            let (route, class) = (route(message, leg), class.word());
            if self.edges.seldom.is_due(&format!("leg {route} {class}")) {
                warn!(id = %message.id, route, class, code, "a provider refuses what a person has to mend; told once a minute");
            }
        }
        self.journey.attempt_failures.with_label_values(&[route(message, leg), class.word()]).inc();
    }

    /// The receipt came `at` a time of ours; what it tells of happened when its provider says, where that can be.
    fn arrived(&self, message: &Message, leg: LegNumber, happened_at: Option<Timestamp>, at: Timestamp) {
        let Some(leg) = message.leg(leg) else { return };
        let route = leg.route.as_str();
        let since_leg_s = seconds(at.since_ms(leg.started_at));
        self.journey.receipt_arrival.with_label_values(&[route]).observe(since_leg_s);
        // What was asked for again came when the first of it did.
        if message.legs.iter().any(|other| other.number != leg.number && other.outcome == Some(LegOutcome::Delivered)) {
            return;
        }
        let happened_at = happened_at.filter(|told| (leg.started_at..=at).contains(told)).unwrap_or(at);
        let since_accepted_s = seconds(happened_at.since_ms(message.accepted_at));
        let level = self.levels.get(&leg.route).copied().unwrap_or(ReceiptProfile::Handset).word();
        let labels = [route, self.country(Some(message.country)), level];
        self.journey.time_to_handset.with_label_values(&labels).observe(since_accepted_s);
    }

    /// What it is laid to is the leg that may still arrive.
    fn duplicate_possible(&self, message: &Message, leg: LegNumber, cause: Class) {
        let in_doubt = |other: &&Leg| other.number < leg && other.reason == Some(cause);
        let route = message.legs.iter().rev().find(in_doubt).map_or(NO_ROUTE, |other| other.route.as_str());
        warn!(id = %message.id, leg, cause = cause.word(), route, "a second text may reach the person");
        self.journey.duplicates_possible.with_label_values(&[route, cause.word()]).inc();
    }

    fn waits(&self, message: &Message, until: Timestamp, why: Option<Hold>) {
        let (id, reason) = (message.id, why.map(Hold::sentence));
        debug!(%id, until = until.rfc3339(), why = reason, "the message waits for a route");
        let word = why.map_or(UNKNOWN, Hold::word);
        self.journey.waits.with_label_values(&[message.lane.word(), word]).inc();
    }

    /// Whoever publishes one such message may publish any number.
    fn published_in_vain(&self, message: &Message, code: &str, field: Option<&str>) {
        let (id, tenant) = (message.id, &message.tenant);
        match self.edges.seldom.is_due(&format!("published {tenant} {code}")) {
            true => warn!(%id, %tenant, code, field, "a published message cannot be taken"),
            false => debug!(%id, %tenant, code, field, "a published message cannot be taken"),
        }
    }

    fn held_back(&self, message: &Message, leg: LegNumber) {
        let route = route(message, leg);
        warn!(id = %message.id, leg, route, "an overdue receipt starts no leg: the whole route is late");
        self.journey.held_back.with_label_values(&[route]).inc();
    }

    fn arrived_late(&self, message: &Message, leg: LegNumber, happened_at: Option<Timestamp>) {
        let clock = if happened_at.is_some() { words::PROVIDERS_CLOCK } else { words::OUR_CLOCK };
        warn!(id = %message.id, leg, clock, "a leg was on the handset after its deadline");
        self.journey.arrived_late.with_label_values(&[route(message, leg), clock]).inc();
    }

    /// Once for each call: when it spoke, by what its provider says of one that did not, or by the end of its message while it
    /// was open.
    fn call_ended(&self, message: &Message, leg: LegNumber, class: Option<Class>) {
        let is_open = |leg: &&Leg| leg.channel == Channel::Voice && !is_spoken(leg);
        let Some(leg) = message.leg(leg).filter(is_open) else { return };
        let outcome = if class == Some(Class::Overdue) {
            "overdue"
        } else if class.is_none_or(|class| class == Class::Unanswered || class == Class::Absent) {
            "unanswered"
        } else {
            "failed"
        };
        self.call_over(message, leg.route.as_str(), outcome);
    }

    fn call_over(&self, message: &Message, route: &str, outcome: &'static str) {
        info!(id = %message.id, route, outcome, "a call is over");
        let labels = [route, self.country(Some(message.country)), outcome];
        self.journey.ivr_ends.with_label_values(&labels).inc();
    }

    fn call_went_on(&self, message: &Message, leg: LegNumber, stage: &'static str) {
        info!(id = %message.id, leg, stage, "a call went on");
        self.journey.ivr_stages.with_label_values(&[route(message, leg), stage]).inc();
    }

    /// What its provider says of it later is no news.
    fn spoken(&self, message: &Message, leg: LegNumber) {
        self.call_went_on(message, leg, "spoken");
        self.call_over(message, route(message, leg), "spoken");
    }

    fn guessed(&self, message: &Message, verdict: Verdict) {
        let (purpose, word) = (message.purpose.word(), words::verdict(verdict));
        info!(id = %message.id, purpose, verdict = word, "a code was compared");
        self.journey.guesses.with_label_values(&[purpose, word]).inc();
    }

    fn resend_asked(&self, message: &Message, began_leg: bool) {
        let (purpose, leg) = (message.purpose.word(), if began_leg { "yes" } else { "no" });
        info!(id = %message.id, purpose, leg, "a resend was asked for");
        self.journey.resends.with_label_values(&[purpose, leg]).inc();
    }

    fn failed(&self, message: &Message, reason: Reason) {
        let (purpose, word) = (message.purpose.word(), reason.word());
        info!(id = %message.id, purpose, reason = word, "no leg is left for a message");
        self.journey.failures.with_label_values(&[purpose, self.country(Some(message.country)), word]).inc();
        if is_security(reason) {
            warn!(id = %message.id, tenant = %message.tenant, reason = word, "security event: a message was stopped");
            self.journey.security.with_label_values(&[word]).inc();
        }
    }

    fn ended(&self, message: &Message, end: &End, at: Timestamp) {
        let (purpose, country, outcome) =
            (message.purpose.word(), self.country(Some(message.country)), words::end(end));
        info!(id = %message.id, purpose, country, outcome, "a message ended");
        self.journey.ended.with_label_values(&[purpose, country, outcome]).inc();
        for leg in message.legs.iter().filter(|leg| leg.channel == Channel::Voice && !is_spoken(leg)) {
            let outcome = match leg.outcome {
                Some(LegOutcome::Cancelled | LegOutcome::Submitted) => "cancelled",
                Some(LegOutcome::Unknown) => "unknown",
                // Told when it was.
                None
                | Some(LegOutcome::Delivered | LegOutcome::Refused | LegOutcome::NotSent | LegOutcome::Overdue) => {
                    continue;
                }
            };
            self.call_over(message, leg.route.as_str(), outcome);
        }
        match end {
            End::Failed { reason } => self.failed(message, *reason),
            End::Expired { furthest } => {
                self.journey.expired.with_label_values(&[words::furthest(furthest)]).inc();
            }
            End::Verified => {
                let last = message.legs.iter().rev().find(|leg| leg.may_be_out());
                let route = last.map_or(NO_ROUTE, |leg| leg.route.as_str());
                let labels = [route, country, last.map_or(NO_ROUTE, |leg| leg.channel.word())];
                let took_ms = at.since_ms(message.accepted_at);
                self.journey.verified.with_label_values(&labels).inc();
                self.journey.time_to_verify.with_label_values(&labels).observe(seconds(took_ms));
            }
            End::Delivered | End::Cancelled { .. } => {}
        }
    }
}

fn is_spoken(leg: &Leg) -> bool {
    leg.call.is_some_and(|call| call.stage == CallStage::Spoken)
}

/// Whether a provider said that it took it; what may be out is no such word.
fn was_taken(leg: &Leg) -> bool {
    leg.taken && leg.outcome != Some(LegOutcome::Unknown)
}

/// The leg before this one.
fn previous<'a>(message: &'a Message, leg: &Leg) -> Option<&'a Leg> {
    message.leg(leg.number.checked_sub(1)?)
}

fn route(message: &Message, leg: LegNumber) -> &str {
    message.leg(leg).map_or(NO_ROUTE, |leg| leg.route.as_str())
}

pub(super) const fn is_security(reason: Reason) -> bool {
    match reason {
        Reason::GuessedOut | Reason::TransactionChanged | Reason::Leg(Class::OwnerChanged | Class::FraudBlocked) => {
            true
        }
        Reason::Leg(
            Class::NotSent
            | Class::Throttled
            | Class::Unknown
            | Class::InvalidNumber
            | Class::NotSmsCapable
            | Class::Unreceivable
            | Class::RecipientBlocked
            | Class::FilteredRoute
            | Class::OptedOut
            | Class::Absent
            | Class::Content
            | Class::Config
            | Class::ExpiredAtProvider
            | Class::Overdue
            | Class::Unanswered,
        )
        | Reason::NoRoute
        | Reason::Revoked
        | Reason::Duplicate
        | Reason::OverLimit
        | Reason::UnsupportedCountry
        | Reason::Unacceptable
        | Reason::TooLate
        | Reason::Parked => false,
    }
}
