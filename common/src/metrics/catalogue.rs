//! Every family of metrics that a process may show: name, labels and what it tells. The one list; `metrics` fills it.
//!
//! No label ever holds a number, a code, a text or an id of a message: each has few values, all known beforehand.

use std::fmt::Write;

/// What `/metrics` says about one family.
#[derive(Debug)]
pub struct Family {
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    /// A counter of what comes in fractions.
    Amount,
    Gauge,
    /// From milliseconds to ten seconds: one call, one commit.
    Call,
    /// From a second to half an hour: what a person waits for.
    Wait,
}

impl Kind {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter | Self::Amount => "counter",
            Self::Gauge => "gauge",
            Self::Call | Self::Wait => "histogram",
        }
    }

    /// Upper bounds in seconds; none for what is no histogram.
    pub const fn buckets(self) -> &'static [f64] {
        match self {
            Self::Counter | Self::Amount | Self::Gauge => &[],
            Self::Call => &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
            Self::Wait => &[0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0],
        }
    }
}

/// The list for people, as a Markdown table.
pub fn documented() -> String {
    let mut table = String::from("| metric | type | labels | what it tells |\n|---|---|---|---|\n");
    for Family { name, kind, labels, help } in ALL {
        let labels = labels.join(", ");
        writeln!(table, "| `{name}` | {} | {labels} | {help} |", kind.word()).expect("writing to a string cannot fail");
    }
    table
}

macro_rules! catalogue {
    ($($constant:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(pub(super) const $constant: &Family =
            &Family { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };)*
        /// In the order of the journey.
        pub const ALL: &[&Family] = &[$($constant),*];
    };
}

catalogue! {
    REQUESTS: Counter "otp_requests_total" ["purpose", "country", "result"]
        "Requests at the door: accepted, joined, repeated, refused, limited, busy or unavailable.";
    TENANT_REQUESTS: Counter "otp_tenant_requests_total" ["tenant", "result"]
        "The same by tenant; after the first hundred tenants the others are one.";
    HTTP: Call "otp_http_request_duration_seconds" ["path", "status"]
        "Time to answer an HTTP request, by path template and status.";
    PUBLISH_CONFIRM: Call "otp_publish_confirm_seconds" ["queue"]
        "Time until the broker confirmed a message as durable.";
    BROKER_ERRORS: Counter "otp_broker_errors_total" ["kind"]
        "Calls to the broker that failed: unavailable, full, parked_full or unconfirmed.";
    AMQP_RECONNECTS: Counter "otp_amqp_reconnects_total" []
        "Connections to RabbitMQ that were built after an earlier one of this process had ended.";
    PUBLISH_NACKS: Counter "otp_publish_nacks_total" ["queue"]
        "Messages that RabbitMQ refused to confirm: the queue is over its length, or its leader failed.";
    STORE_ERRORS: Counter "otp_store_errors_total" ["kind"]
        "Calls to the store that failed: unavailable, unknown_outcome, refused or full.";
    CONSUMER_ACTIVE: Gauge "otp_consumer_active" ["queue"]
        "1 while the consumer of the queue gets what is in it, 0 while the broker is away or nothing comes.";
    LAST_DELIVERY: Gauge "otp_consumer_last_delivery_timestamp_seconds" ["queue"]
        "When a consumer last took something from the queue, Unix seconds.";
    DEAD_LETTERS: Counter "otp_dead_letters_total" ["queue"]
        "Bodies parked because they could not be handled.";
    DEAD_LETTERS_DROPPED: Counter "otp_dead_letters_dropped_total" ["queue"]
        "Bodies of other programs that no message can come of and that were dropped, because no more may be parked.";
    QUEUE_WAIT: Wait "otp_queue_wait_seconds" ["lane"]
        "From acceptance to the beginning of the first leg.";
    EXPECTED_WAIT: Gauge "otp_expected_wait_seconds" ["lane"]
        "How long a message that this door accepts now would wait; what could not arrive while it is useful is answered 503.";
    WAITS: Counter "otp_waits_total" ["lane", "why"]
        "Legs that could not begin, because no route that fits was free: full, resting, throttled, not_reached or no_root.";
    RATE_ALLOWED: Gauge "otp_rate_limit_permits_per_second" ["provider"]
        "Requests per second that this process may begin at the provider.";
    RATE_USED: Gauge "otp_rate_used_per_second" ["provider"]
        "Requests per second that this process began at the provider, over the last seconds.";
    RATE_LIMITED: Counter "otp_rate_limited_total" ["provider", "lane"]
        "Looks for a permit of the provider that found none; a leg that waits looks often, and counts once in otp_waits_total.";
    SPILLOVER: Counter "otp_spillover_total" ["route", "lane"]
        "Legs that went by this international route because every domestic one was full.";
    LEGS: Counter "otp_legs_total" ["route", "country", "channel", "trigger"]
        "Legs begun, and what for: first, failed, overdue, unknown, unverified or asked.";
    FAILOVERS: Counter "otp_failovers_total" ["from_route", "to_route", "reason"]
        "Legs that follow another one: the class of its failure, or else what the new leg was started for.";
    ATTEMPTS: Counter "otp_attempts_total" ["route", "country", "route_class", "channel", "outcome"]
        "Answers of providers' APIs: submitted, refused, not_sent or unknown.";
    ATTEMPT_CLASSES: Counter "otp_attempt_failures_total" ["route", "class"]
        "Answers and receipts that say a leg failed, by class.";
    ATTEMPT_DURATION: Call "otp_attempt_duration_seconds" ["route", "outcome"]
        "Time until the provider's API answered.";
    SEGMENTS: Counter "otp_segments_total" ["route", "country"]
        "Text segments that went out, or may have.";
    COST: Amount "otp_cost_minor_units_total" ["route", "country", "currency"]
        "What legs that went out, or may have, cost by the prices of the settings, in minor units of the currency.";
    GUARD: Counter "otp_guard_decisions_total" ["rule", "action", "country"]
        "Requests, checks and legs that a limit stopped: spend_per_hour, calls_per_hour or guesses_per_number.";
    SUBMITTED: Counter "otp_submitted_total" ["route", "country", "channel"]
        "Legs that the provider took.";
    ACCEPT_TO_SUBMIT: Wait "otp_accept_to_submit_seconds" ["purpose", "lane"]
        "From acceptance until a provider first took it, whichever leg that was.";
    CIRCUIT: Gauge "otp_circuit_state" ["provider", "state"]
        "1 for the state the provider is in: closed (in use), half_open (it has rested, and a leg probes it or may) or open (resting).";
    ROUTE_SCORE: Gauge "otp_route_score" ["route", "country"]
        "0 while the route works, 1 while most of its last answers were failures and others go before it.";
    REPEATS: Counter "otp_repeats_total" ["route"]
        "Requests sent again to a provider that dedupes on our id.";
    ASKS: Counter "otp_asks_total" ["provider", "result"]
        "Questions to providers about a leg: news, no_news or failed; skipped, where its turn came too late.";
    DUPLICATES_POSSIBLE: Counter "otp_duplicates_possible_total" ["route", "cause"]
        "Legs begun while an earlier text may still reach the person, by the route of that one.";
    RECEIPT_MATCHES: Counter "otp_receipt_matches_total" ["provider", "match"]
        "Receipts and hints by what they were matched to: matched, orphan (waits in the inbox), unkept (matches nothing and is dropped: unproven, its message gone, or the inbox full), duplicate, forged, or flooded (unproven, while too many wait).";
    RECEIPTS: Counter "otp_receipts_total" ["route", "status", "proof"]
        "Receipts applied to a leg, by status and by how sure we are of their origin.";
    RECEIPT_ARRIVAL: Wait "otp_receipt_arrival_seconds" ["route"]
        "From the beginning of a leg until its receipt said delivered.";
    TIME_TO_HANDSET: Wait "otp_time_to_handset_seconds" ["route", "country", "receipt_level"]
        "From acceptance until the first leg was delivered, by the provider's clock where it tells; to handset or operator.";
    ARRIVED_LATE: Counter "otp_arrived_late_total" ["route", "clock"]
        "Legs that were on the handset after their deadline, by the provider's clock or else by ours.";
    RECEIPTS_OVERDUE: Counter "otp_receipts_overdue_total" ["route"]
        "Legs whose receipt did not come within the route's profile.";
    HELD_BACK: Counter "otp_overdue_held_back_total" ["route"]
        "Overdue receipts that started no leg, because receipts of the whole route are late.";
    RECEIPT_ORPHANS: Gauge "otp_receipt_orphans" []
        "Receipts that match no leg yet and wait in the inbox.";
    INBOX_OLDEST: Gauge "otp_inbox_oldest_seconds" []
        "How long the oldest receipt has waited in the inbox.";
    IVR_CALLS: Counter "otp_ivr_calls_total" ["route", "country", "trigger"]
        "Calls begun, and what for.";
    IVR_ENDS: Counter "otp_ivr_ends_total" ["route", "country", "outcome"]
        "Calls over: spoken, unanswered (or the digit was not pressed), failed, unknown, overdue or cancelled.";
    IVR_STAGES: Counter "otp_ivr_stages_total" ["route", "stage"]
        "How far calls came: answered, wrong_digit, right_digit or spoken.";
    RESENDS: Counter "otp_resends_total" ["purpose", "leg"]
        "Resends asked for, and whether one began a leg.";
    GUESSES: Counter "otp_guesses_total" ["purpose", "verdict"]
        "Codes compared: right, wrong or transaction_changed.";
    VERIFIED: Counter "otp_verified_total" ["route", "country", "channel"]
        "Codes verified, by the leg that carried the code last.";
    TIME_TO_VERIFY: Wait "otp_time_to_verify_seconds" ["route", "country", "channel"]
        "From acceptance until the right code was typed.";
    SECURITY: Counter "otp_security_events_total" ["reason"]
        "Messages ended because something was wrong with the caller, the number or the guesses.";
    FAILURES: Counter "otp_failures_total" ["purpose", "country", "reason"]
        "Messages that no leg is left for, by reason; a code may still be verified afterwards.";
    EXPIRED: Counter "otp_expired_total" ["stage"]
        "Messages whose time was over, by how far they had come: never_sent, submitted, delivered or gave_up.";
    FINAL: Counter "otp_messages_final_total" ["purpose", "country", "outcome"]
        "Messages ended: delivered, verified, failed, expired or cancelled.";
    LATE: Counter "otp_late_events_total" []
        "Events that came too late to change anything.";
    LIVE: Gauge "otp_messages_live" []
        "Messages accepted and not ended.";
    DUE: Gauge "otp_messages_due" []
        "Messages that wait for the sweep.";
    SWEEP_LAG: Gauge "otp_sweep_lag_seconds" []
        "How long the most overdue message has waited for the sweep.";
    CLOCK_OFFSET: Gauge "otp_clock_offset_seconds" []
        "How far the machine's clock is behind the store's, less than 0 where it is ahead; the process is not ready while it is too much.";
    CONFIG_VERSION: Gauge "otp_config_version" ["hash"]
        "Always 1, for the settings that are in force; secrets do not enter the hash.";
    BUILD_INFO: Gauge "otp_build_info" ["version"]
        "Always 1, for the version that runs.";
}
