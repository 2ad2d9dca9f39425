//! What happens around a message: requests, calls to providers, the broker, the store. One method, one event.

use prometheus::{CounterVec, GaugeVec, HistogramVec, IntCounterVec, Registry};
use tracing::{debug, info, warn};

use super::seldom::Seldom;
use super::tenants::Tenants;
use super::words::{self, Circuit, ReceiptMatch, RequestResult};
use super::{Metrics, catalogue, family, seconds};
use crate::broker::{BrokerError, Queue};
use crate::leg::{ProviderId, RouteId};
use crate::message::{Lane, Message, Purpose, TenantId};
use crate::outcome::{Answer, Report};
use crate::phone::Country;
use crate::policy::PRICES_PER_UNIT;
use crate::provider::AskError;
use crate::store::{Counts, StoreError};
use crate::time::Timestamp;
use crate::transaction::Currency;

/// What a limit does to a request, a check or a leg.
pub(super) const REFUSED: &str = "refused";

pub(super) struct Edges {
    pub(super) requests: IntCounterVec,
    tenant_requests: IntCounterVec,
    tenants: Tenants,
    http: HistogramVec,
    publish_confirm: HistogramVec,
    pub(super) broker_errors: IntCounterVec,
    pub(super) amqp_reconnects: IntCounterVec,
    pub(super) publish_nacks: IntCounterVec,
    pub(super) store_errors: IntCounterVec,
    consumer_active: GaugeVec,
    last_delivery: GaugeVec,
    expected_wait: GaugeVec,
    rate_allowed: GaugeVec,
    rate_used: GaugeVec,
    route_score: GaugeVec,
    config_version: GaugeVec,
    pub(super) dead_letters: IntCounterVec,
    pub(super) dead_letters_dropped: IntCounterVec,
    pub(super) seldom: Seldom,
    rate_limited: IntCounterVec,
    spillover: IntCounterVec,
    attempt_duration: HistogramVec,
    segments: IntCounterVec,
    cost: CounterVec,
    pub(super) guard: IntCounterVec,
    circuit: GaugeVec,
    asks: IntCounterVec,
    receipt_matches: IntCounterVec,
    receipt_orphans: GaugeVec,
    inbox_oldest: GaugeVec,
    live: GaugeVec,
    due: GaugeVec,
    sweep_lag: GaugeVec,
    clock_offset: GaugeVec,
}

impl Edges {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |family| family::counter(registry, family);
        let gauge = |family| family::gauge(registry, family);
        let histogram = |family| family::histogram(registry, family);
        gauge(catalogue::BUILD_INFO)?.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.0);
        Ok(Self {
            requests: counter(catalogue::REQUESTS)?,
            tenant_requests: counter(catalogue::TENANT_REQUESTS)?,
            tenants: Tenants::default(),
            http: histogram(catalogue::HTTP)?,
            publish_confirm: histogram(catalogue::PUBLISH_CONFIRM)?,
            broker_errors: counter(catalogue::BROKER_ERRORS)?,
            amqp_reconnects: counter(catalogue::AMQP_RECONNECTS)?,
            publish_nacks: counter(catalogue::PUBLISH_NACKS)?,
            store_errors: counter(catalogue::STORE_ERRORS)?,
            consumer_active: gauge(catalogue::CONSUMER_ACTIVE)?,
            last_delivery: gauge(catalogue::LAST_DELIVERY)?,
            expected_wait: gauge(catalogue::EXPECTED_WAIT)?,
            rate_allowed: gauge(catalogue::RATE_ALLOWED)?,
            rate_used: gauge(catalogue::RATE_USED)?,
            route_score: gauge(catalogue::ROUTE_SCORE)?,
            config_version: gauge(catalogue::CONFIG_VERSION)?,
            dead_letters: counter(catalogue::DEAD_LETTERS)?,
            dead_letters_dropped: counter(catalogue::DEAD_LETTERS_DROPPED)?,
            seldom: Seldom::default(),
            rate_limited: counter(catalogue::RATE_LIMITED)?,
            spillover: counter(catalogue::SPILLOVER)?,
            attempt_duration: histogram(catalogue::ATTEMPT_DURATION)?,
            segments: counter(catalogue::SEGMENTS)?,
            cost: family::amount(registry, catalogue::COST)?,
            guard: counter(catalogue::GUARD)?,
            circuit: gauge(catalogue::CIRCUIT)?,
            asks: counter(catalogue::ASKS)?,
            receipt_matches: counter(catalogue::RECEIPT_MATCHES)?,
            receipt_orphans: gauge(catalogue::RECEIPT_ORPHANS)?,
            inbox_oldest: gauge(catalogue::INBOX_OLDEST)?,
            live: gauge(catalogue::LIVE)?,
            due: gauge(catalogue::DUE)?,
            sweep_lag: gauge(catalogue::SWEEP_LAG)?,
            clock_offset: gauge(catalogue::CLOCK_OFFSET)?,
        })
    }
}

impl Metrics {
    /// A request to send was answered. `country` is `None` where its number could not be read.
    pub fn request(&self, tenant: &TenantId, purpose: Purpose, country: Option<Country>, result: RequestResult) {
        let (purpose, country, word) = (purpose.word(), self.country(country), result.word());
        debug!(%tenant, purpose, country, result = word, "a request to send was answered");
        self.edges.requests.with_label_values(&[purpose, country, word]).inc();
        self.edges.tenants.with(tenant, |label, is_new| {
            for result in RequestResult::ALL.into_iter().filter(|_| is_new) {
                self.edges.tenant_requests.with_label_values(&[label, result.word()]);
            }
            self.edges.tenant_requests.with_label_values(&[label, word]).inc();
        });
        match result {
            RequestResult::Limited | RequestResult::Busy | RequestResult::Unavailable => {
                if self.edges.seldom.is_due(&format!("request {tenant} {word}")) {
                    warn!(%tenant, purpose, country, result = word, "requests of a tenant are turned away; told once a minute");
                }
            }
            RequestResult::Accepted | RequestResult::Joined | RequestResult::Repeated | RequestResult::Refused => {}
        }
    }

    /// A request without an API key, or with one that opens nothing. Anybody may send any number of them.
    pub fn key_refused(&self) {
        match self.edges.seldom.is_due("key refused") {
            true => warn!("a request came with no API key, or with one that opens nothing; told once a minute"),
            false => debug!("a request came with no API key, or with one that opens nothing"),
        }
    }

    /// An HTTP request was answered. `path` is the template, such as `/v1/verifications/{id}`, never what was asked for, and
    /// `status` its three digits.
    pub fn http(&self, path: &'static str, status: &str, took_s: f64) {
        debug!(path, %status, took_s, "an HTTP request was answered");
        self.edges.http.with_label_values(&[path, status]).observe(took_s);
    }

    /// The broker confirmed a message as durable.
    pub fn publish_confirm(&self, queue: Queue, took_s: f64) {
        debug!(queue = queue.word(), took_s, "the broker confirmed a message");
        self.edges.publish_confirm.with_label_values(&[queue.word()]).observe(took_s);
    }

    pub fn broker_error(&self, error: &BrokerError) {
        let kind = words::broker_error(error);
        self.edges.broker_errors.with_label_values(&[kind]).inc();
        match self.edges.seldom.is_due(&format!("broker {kind}")) {
            true => warn!(%error, "a call to the broker failed; more such calls in the next minute are only counted"),
            false => debug!(%error, "a call to the broker failed"),
        }
    }

    /// RabbitMQ is connected to again, after an earlier connection had ended.
    pub fn amqp_reconnected(&self, broker: &str) {
        info!(broker, "connected to the broker again");
        self.edges.amqp_reconnects.with_label_values::<&str>(&[]).inc();
    }

    /// RabbitMQ refused to confirm one message, which may be a batch.
    pub fn publish_nacked(&self, queue: Queue) {
        debug!(queue = queue.word(), "the broker refused to confirm a message");
        self.edges.publish_nacks.with_label_values(&[queue.word()]).inc();
    }

    pub fn store_error(&self, error: &StoreError) {
        let kind = words::store_error(error);
        self.edges.store_errors.with_label_values(&[kind]).inc();
        // What is refused is a row's own matter: each is another one.
        let is_its_own = matches!(error, StoreError::Refused { .. });
        match is_its_own || self.edges.seldom.is_due(&format!("store {kind}")) {
            true => warn!(%error, "a call to the store failed; more such calls in the next minute are only counted"),
            false => debug!(%error, "a call to the store failed"),
        }
    }

    /// A consumer took something from its queue.
    pub fn delivery(&self, queue: Queue, at: Timestamp) {
        debug!(queue = queue.word(), "a consumer took a delivery");
        let unix_s = seconds(at.since_ms(Timestamp::from_unix_ms(0)));
        self.edges.last_delivery.with_label_values(&[queue.word()]).set(unix_s);
    }

    /// Whether a consumer gets what is in its queue. Gauge only: why not is told by whoever found out.
    pub fn consumer(&self, queue: Queue, active: bool) {
        self.edges.consumer_active.with_label_values(&[queue.word()]).set(f64::from(u8::from(active)));
    }

    /// What admission reckons with, taken when somebody looks: a gauge only, no log line.
    pub fn expected_wait(&self, lane: Lane, wait_ms: u64) {
        self.edges.expected_wait.with_label_values(&[lane.word()]).set(seconds(wait_ms));
    }

    /// What a provider bears and what was begun at it, taken now and then: gauges only, no log line.
    pub fn rate(&self, provider: &ProviderId, allowed_per_s: u32, used_per_s: f64) {
        self.edges.rate_allowed.with_label_values(&[provider.as_str()]).set(f64::from(allowed_per_s));
        self.edges.rate_used.with_label_values(&[provider.as_str()]).set(used_per_s);
    }

    /// What the worker thinks of a route, taken now and then: a gauge only, no log line.
    pub fn route_score(&self, route: &RouteId, country: Country, score: u8) {
        let labels = [route.as_str(), self.country(Some(country))];
        self.edges.route_score.with_label_values(&labels).set(f64::from(score));
    }

    /// Which settings are in force.
    pub fn config_version(&self, hash: &str) {
        info!(hash, "the settings are in force");
        self.edges.config_version.with_label_values(&[hash]).set(1.0);
    }

    /// A body could not be handled and waits for people.
    pub fn parked(&self, queue: Queue, reason: &str) {
        match self.edges.seldom.is_due(&format!("parked {}", queue.word())) {
            true => warn!(
                queue = queue.word(),
                reason, "a body was parked; `otodoke parked list` shows it and what follows"
            ),
            false => debug!(queue = queue.word(), reason, "a body was parked"),
        }
        self.edges.dead_letters.with_label_values(&[queue.word()]).inc();
    }

    /// No message can come of a body of another program, and there was no room to park it. Whoever publishes one such body may
    /// publish any number: told in words once a minute.
    pub fn parked_dropped(&self, queue: Queue) {
        self.edges.dead_letters_dropped.with_label_values(&[queue.word()]).inc();
        if self.edges.seldom.is_due(&format!("dropped {}", queue.word())) {
            warn!(
                queue = queue.word(),
                "bodies that no message can come of are dropped: no more may be parked; empty `otodoke parked list`, and see who publishes them"
            );
        }
    }

    /// A leg found no permit.
    pub fn rate_limited(&self, provider: &ProviderId, lane: Lane) {
        debug!(%provider, lane = lane.word(), "no permit is free at the provider");
        self.edges.rate_limited.with_label_values(&[provider.as_str(), lane.word()]).inc();
    }

    /// A leg goes by an international route because every domestic one is full.
    pub fn spillover(&self, route: &RouteId, lane: Lane) {
        info!(%route, lane = lane.word(), "every domestic route is full: a leg spills over");
        self.edges.spillover.with_label_values(&[route.as_str(), lane.word()]).inc();
    }

    /// The provider's API answered, or did not in time.
    pub fn provider_call(&self, route: &RouteId, answer: &Answer, took_s: f64) {
        let outcome = words::answer(answer);
        debug!(%route, outcome, took_s, "a call to a provider ended");
        self.edges.attempt_duration.with_label_values(&[route.as_str(), outcome]).observe(took_s);
    }

    /// A text of so many segments goes to the provider.
    pub fn segments(&self, route: &RouteId, country: Country, count: u32) {
        debug!(%route, count, "a text goes to the provider");
        let labels = [route.as_str(), self.country(Some(country))];
        self.edges.segments.with_label_values(&labels).inc_by(u64::from(count));
    }

    /// A leg goes to the provider, at `price` in 1/10000 of the currency.
    #[expect(clippy::cast_precision_loss, reason = "the price of one leg is exact up to 2^53")]
    pub fn cost(&self, route: &RouteId, country: Country, currency: Currency, price: u64) {
        let minor_units = price as f64 * 10_f64.powi(currency.minor_digits().cast_signed()) / PRICES_PER_UNIT as f64;
        debug!(%route, minor_units, "a leg costs");
        let labels = [route.as_str(), self.country(Some(country)), currency.as_str()];
        self.edges.cost.with_label_values(&labels).inc_by(minor_units);
    }

    /// A limit of the tenant, or of a number, stopped a request, a check or a leg.
    pub fn guarded(&self, rule: &'static str, message: &Message) {
        let country = self.country(Some(message.country));
        if self.edges.seldom.is_due(&format!("{rule} {}", message.tenant)) {
            warn!(tenant = %message.tenant, rule, country, "a limit is reached");
        }
        self.edges.guard.with_label_values(&[rule, REFUSED, country]).inc();
    }

    /// A provider rests, may be probed, or is in use. Told in words only when it changes.
    pub fn circuit(&self, provider: &ProviderId, state: Circuit) {
        let is_known = self.edges.circuit.with_label_values(&[provider.as_str(), state.word()]).get() > 0.0;
        match state {
            _ if is_known => {}
            Circuit::Open => warn!(%provider, "the provider fails and rests"),
            Circuit::HalfOpen => info!(%provider, "the provider has rested, and a leg may probe it"),
            Circuit::Closed => info!(%provider, "the provider is in use"),
        }
        self.set_circuit(provider, state);
    }

    fn set_circuit(&self, provider: &ProviderId, state: Circuit) {
        for each in Circuit::ALL {
            let value = if each == state { 1.0 } else { 0.0 };
            self.edges.circuit.with_label_values(&[provider.as_str(), each.word()]).set(value);
        }
    }

    /// A provider failed too often and rests: why, by its last answer.
    pub fn rests(&self, provider: &ProviderId, answer: &Answer, until: Timestamp) {
        let (class, why) = words::answer_why(answer);
        warn!(%provider, class, why, until = until.rfc3339(), "the provider fails and rests");
        self.set_circuit(provider, Circuit::Open);
    }

    /// A provider was asked about a leg.
    pub fn asked(&self, provider: &ProviderId, result: &Result<Vec<Report>, AskError>) {
        let word = match result {
            Ok(reports) if reports.is_empty() => "no_news",
            Ok(_) => "news",
            Err(error) => {
                warn!(%provider, %error, "a provider could not be asked");
                "failed"
            }
        };
        debug!(%provider, result = word, "a provider was asked about a leg");
        self.edges.asks.with_label_values(&[provider.as_str(), word]).inc();
    }

    /// A question to a provider waited for its turn for too long.
    pub fn not_asked(&self, provider: &ProviderId) {
        debug!(%provider, "a provider was not asked about a leg: its turn came too late");
        self.edges.asks.with_label_values(&[provider.as_str(), "skipped"]).inc();
    }

    /// A report was matched to a leg, or to none.
    pub fn receipt_match(&self, provider: &ProviderId, found: ReceiptMatch) {
        match found {
            ReceiptMatch::Forged => warn!(%provider, "a receipt without proof of origin was refused"),
            ReceiptMatch::Flooded => warn!(%provider, "an unproven report was not kept: too many wait"),
            ReceiptMatch::Matched | ReceiptMatch::Orphan | ReceiptMatch::Unkept | ReceiptMatch::Duplicate => {
                debug!(%provider, found = found.word(), "a report came in");
            }
        }
        self.edges.receipt_matches.with_label_values(&[provider.as_str(), found.word()]).inc();
    }

    /// What is added to the machine's clock to agree with the store's. Told in words only when it changes.
    #[expect(clippy::cast_precision_loss, reason = "a gauge of milliseconds is exact up to 2^53 of them")]
    pub fn clock_offset(&self, offset_ms: i64) {
        let gauge = self.edges.clock_offset.with_label_values::<&str>(&[]);
        let offset_s = offset_ms as f64 / 1_000.0;
        if gauge.get() != offset_s {
            info!(offset_ms, "the clock was corrected by the store's");
        }
        gauge.set(offset_s);
    }

    /// What the store holds, taken now and then: gauges only, no log line.
    pub fn counts(&self, counts: &Counts) {
        let edges = &self.edges;
        #[expect(clippy::cast_precision_loss, reason = "a gauge of rows is exact up to 2^53 of them")]
        for (gauge, value) in
            [(&edges.live, counts.live), (&edges.due, counts.due), (&edges.receipt_orphans, counts.inbox)]
        {
            gauge.with_label_values::<&str>(&[]).set(value as f64);
        }
        edges.sweep_lag.with_label_values::<&str>(&[]).set(seconds(counts.oldest_due_ms));
        edges.inbox_oldest.with_label_values::<&str>(&[]).set(seconds(counts.oldest_inbox_ms));
    }

    /// Nobody could count what the store holds: the gauges show nothing until somebody can, not what was true before.
    pub fn uncounted(&self) {
        let edges = &self.edges;
        for gauge in [&edges.live, &edges.due, &edges.receipt_orphans, &edges.sweep_lag, &edges.inbox_oldest] {
            gauge.reset();
        }
    }
}
