//! What travels around a body: AMQP properties and headers, written for our messages and read from anybody's.

use std::collections::BTreeSet;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::batch::{self, Part};
use crate::broker::{Label, Origin, Publisher, Queue};
use crate::time::Timestamp;
use crate::trace::TraceContext;
use crate::wire;

/// Of what travels around the body, not of the body itself, which says its own version.
const CONTRACT_VERSION: i32 = 1;
/// Delivery mode 2: on disk. Quorum queues always are; the mark keeps it true wherever a message is dead-lettered to.
const PERSISTENT: u8 = 2;
const REASON_CHARS_MAX: usize = 1_000;

const VERSION_HEADER: &str = "otodoke-version";
/// Whom one of our users speaks for.
const TENANT_HEADER: &str = "otodoke-tenant";
/// Who published it first, where we publish again what is not ours; empty where nobody is known.
const USER_HEADER: &str = "otodoke-user";
/// As how often a part counts as handed out before it was published again by itself.
const TAKEN_HEADER: &str = "otodoke-taken-before";
const QUEUE_HEADER: &str = "otodoke-queue";
const REASON_HEADER: &str = "otodoke-reason";
const PARKED_AT_HEADER: &str = "otodoke-parked-at";
/// As W3C Trace Context for AMQP names them.
const TRACE_PARENT_HEADER: &str = "traceparent";
const TRACE_STATE_HEADER: &str = "tracestate";
const ROW_CONTENT_TYPE: &str = "application/vnd.otodoke.row+msgpack";

/// Who we are at a broker, and who else is one of us.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    /// The broker refuses a message whose `user_id` is another than the user that is logged in.
    pub(super) user: ShortString,
    pub(super) own: BTreeSet<String>,
}

/// For a body of ours on its way into a queue, alone.
pub(super) fn of(identity: &Identity, part: &Part) -> BasicProperties {
    let mut headers = version();
    if let Some(trace) = &part.trace {
        headers.insert(TRACE_PARENT_HEADER.into(), AMQPValue::LongString(trace.parent().into()));
        if let Some(state) = trace.state() {
            headers.insert(TRACE_STATE_HEADER.into(), AMQPValue::LongString(state.into()));
        }
    }
    let content_type = if wire::is_row(&part.body) { ROW_CONTENT_TYPE } else { "application/json" };
    ours(identity, part, headers).with_content_type(content_type.into())
}

/// For several bodies of ours in one message; what stands on each is within.
pub(super) fn of_batch(identity: &Identity, first: &Part) -> BasicProperties {
    ours(identity, first, version()).with_content_type(batch::CONTENT_TYPE.into())
}

/// For a part of a batch that goes on by itself: it was handed out so often already.
pub(super) fn of_single(identity: &Identity, part: &Part, taken_before: u32) -> BasicProperties {
    let of = of(identity, part);
    let mut headers = of.headers().clone().unwrap_or_default();
    headers.insert(TAKEN_HEADER.into(), AMQPValue::LongLongInt(taken_before.into()));
    of.with_headers(headers)
}

fn version() -> FieldTable {
    let mut headers = FieldTable::default();
    headers.insert(VERSION_HEADER.into(), AMQPValue::LongInt(CONTRACT_VERSION));
    headers
}

fn ours(identity: &Identity, part: &Part, headers: FieldTable) -> BasicProperties {
    BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_message_id(part.id.to_string().into())
        // AMQP timestamps are seconds.
        .with_timestamp(u64::try_from(part.at.unix_ms() / 1_000).unwrap_or(0))
        // Proves that it is ours: the broker checks it.
        .with_user_id(identity.user.clone())
        .with_headers(headers)
}

/// Whether it says to be a batch, and is one of ours: nobody else's is taken for one.
pub(super) fn is_batch(identity: &Identity, properties: &BasicProperties) -> bool {
    let says = properties.content_type().as_ref().is_some_and(|kind| kind.as_str() == batch::CONTENT_TYPE);
    says && origin(identity, properties) == Origin::Ours
}

/// For a body that was put aside, on its way back: with everything that stood on it, and whose it was.
pub(super) fn again(identity: &Identity, properties: &BasicProperties) -> BasicProperties {
    let mut headers = FieldTable::default();
    // Headers of the broker's own, such as `x-death`, are never copied: brokers before 4.0 read them and may drop the
    // message as a cycle.
    for name in [VERSION_HEADER, TENANT_HEADER, TRACE_PARENT_HEADER, TRACE_STATE_HEADER] {
        if let Some(value) = header(properties, name) {
            headers.insert(name.into(), value.clone());
        }
    }
    let first = match publisher(identity, properties) {
        Publisher::Own => None,
        Publisher::User(user) => Some(user),
        Publisher::Nobody => Some(String::new()),
    };
    if let Some(first) = first {
        headers.insert(USER_HEADER.into(), AMQPValue::LongString(first.into()));
    }
    let again = BasicProperties::default().with_delivery_mode(PERSISTENT).with_user_id(identity.user.clone());
    let again = match properties.content_type() {
        Some(kind) => again.with_content_type(kind.clone()),
        None => again,
    };
    // Even where there is none: a message that the broker returns is known by it.
    let again = again.with_message_id(message_id(properties));
    match properties.timestamp() {
        Some(seconds) => again.with_timestamp(*seconds),
        None => again,
    }
    .with_headers(headers)
}

/// For a body on its way to people: as `again`, and with its story.
pub(super) fn of_parked(
    identity: &Identity,
    properties: &BasicProperties,
    now: Timestamp,
    queue: Queue,
    reason: &str,
) -> BasicProperties {
    let again = again(identity, properties);
    let mut headers = again.headers().clone().unwrap_or_default();
    let reason: String = reason.chars().take(REASON_CHARS_MAX).collect();
    headers.insert(QUEUE_HEADER.into(), AMQPValue::LongString(queue.word().into()));
    headers.insert(REASON_HEADER.into(), AMQPValue::LongString(reason.into()));
    headers.insert(PARKED_AT_HEADER.into(), AMQPValue::LongLongInt(now.unix_ms()));
    again.with_headers(headers)
}

/// Who published it first. What a header says of that counts only on a body that we published again.
pub(super) fn publisher(identity: &Identity, properties: &BasicProperties) -> Publisher {
    match properties.user_id() {
        Some(user) if identity.own.contains(user.as_str()) => match header(properties, USER_HEADER).and_then(text) {
            None => Publisher::Own,
            Some(first) if first.is_empty() => Publisher::Nobody,
            Some(first) => Publisher::User(first),
        },
        Some(user) => Publisher::User(user.to_string()),
        None => Publisher::Nobody,
    }
}

pub(super) fn origin(identity: &Identity, properties: &BasicProperties) -> Origin {
    let tenant = header(properties, TENANT_HEADER).and_then(text);
    let publisher = publisher(identity, properties);
    if publisher == Publisher::Own && tenant.is_none() {
        return Origin::Ours;
    }
    Origin::Other(Box::new(Label {
        publisher,
        tenant,
        message_id: properties.message_id().as_ref().map(ToString::to_string),
        sent_at: properties.timestamp().map(seconds),
        version: header(properties, VERSION_HEADER).and_then(integer),
        content_type: properties.content_type().as_ref().map(ToString::to_string),
    }))
}

pub(super) fn trace(properties: &BasicProperties) -> Option<TraceContext> {
    let of = |name| header(properties, name).and_then(text);
    TraceContext::parse(&of(TRACE_PARENT_HEADER)?, of(TRACE_STATE_HEADER).as_deref())
}

/// How often this message was handed out before: by the broker, and before we published it by itself.
pub(super) fn taken_before(identity: &Identity, properties: &BasicProperties) -> u32 {
    let count = |name| {
        let count = header(properties, name).and_then(integer).and_then(|count| u32::try_from(count).ok());
        // Absent on the first time.
        count.unwrap_or(0)
    };
    let earlier = if publisher(identity, properties) == Publisher::Own { count(TAKEN_HEADER) } else { 0 };
    count("x-delivery-count").saturating_add(earlier)
}

/// Empty where the publisher gave none.
pub(super) fn message_id(properties: &BasicProperties) -> ShortString {
    properties.message_id().clone().unwrap_or_default()
}

/// What is known about a parked body.
pub(super) struct Story {
    /// The queue's word where we parked it, its name where the broker did.
    pub(super) queue: Option<String>,
    pub(super) reason: String,
    pub(super) at: Timestamp,
    /// Whether we parked it, and so know when.
    pub(super) by_us: bool,
}

/// What our headers say of that counts only where we put it there.
pub(super) fn story(identity: &Identity, properties: &BasicProperties) -> Story {
    let by_us = properties.user_id().as_ref().is_some_and(|user| identity.own.contains(user.as_str()));
    let ours = (header(properties, QUEUE_HEADER).and_then(text), header(properties, REASON_HEADER).and_then(text));
    let sent_at = seconds(properties.timestamp().unwrap_or(0));
    match ours {
        (Some(queue), Some(reason)) if by_us => {
            let at = header(properties, PARKED_AT_HEADER).and_then(integer).map(Timestamp::from_unix_ms);
            Story { queue: Some(queue), reason, at: at.unwrap_or(sent_at), by_us }
        }
        (_, _) => dead_lettered(properties, sent_at),
    }
}

fn dead_lettered(properties: &BasicProperties, sent_at: Timestamp) -> Story {
    let first =
        header(properties, "x-death").and_then(AMQPValue::as_array).and_then(|deaths| deaths.as_slice().first());
    let death = first.and_then(AMQPValue::as_field_table).map(FieldTable::inner);
    let at = death.and_then(|death| death.get("time")).and_then(AMQPValue::as_timestamp).map(seconds);
    let reason = match header(properties, "x-first-death-reason").and_then(text).as_deref() {
        Some("delivery_limit") => {
            "handed out too often without an end: whoever took it died or gave it back".to_owned()
        }
        Some(word) => format!("the broker gave it up: {word}"),
        None => "published here by another program".to_owned(),
    };
    Story { queue: given_up_in(properties), reason, at: at.unwrap_or(sent_at), by_us: false }
}

fn header<'a>(properties: &'a BasicProperties, name: &str) -> Option<&'a AMQPValue> {
    properties.headers().as_ref().and_then(|headers| headers.inner().get(name))
}

fn text(value: &AMQPValue) -> Option<String> {
    value.as_long_string().map(ToString::to_string)
}

/// The queue that the broker gave a body up in, by its name at the broker.
pub(super) fn given_up_in(properties: &BasicProperties) -> Option<String> {
    header(properties, "x-first-death-queue").and_then(text)
}

/// Brokers and clients choose the width of a number as they like.
fn integer(value: &AMQPValue) -> Option<i64> {
    let tiny = || value.as_short_short_int().map(i64::from).or_else(|| value.as_short_short_uint().map(i64::from));
    let short = || value.as_short_int().map(i64::from).or_else(|| value.as_short_uint().map(i64::from));
    let long = || value.as_long_int().map(i64::from).or_else(|| value.as_long_uint().map(i64::from));
    value.as_long_long_int().or_else(long).or_else(short).or_else(tiny)
}

fn seconds(seconds: u64) -> Timestamp {
    Timestamp::from_unix_ms(i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Lane, MessageId};

    const NOW: Timestamp = Timestamp::from_unix_ms(1_763_805_900_123);

    fn us() -> Identity {
        Identity { user: "us".into(), own: BTreeSet::from(["us".to_owned(), "also-us".to_owned()]) }
    }

    fn part(trace: Option<TraceContext>) -> Part {
        Part { id: MessageId(uuid::Uuid::nil()), at: NOW, trace, body: Vec::new() }
    }

    fn publisher_of(properties: &BasicProperties) -> Option<Publisher> {
        match origin(&us(), properties) {
            Origin::Ours => None,
            Origin::Other(label) => Some(label.publisher),
        }
    }

    #[test]
    fn what_we_publish_is_ours_and_stays_ours_when_it_comes_back() {
        let trace = TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Some("a=1"));
        let sent = of(&us(), &part(trace.clone()));
        assert_eq!((publisher_of(&sent), super::trace(&sent)), (None, trace.clone()));
        let parked = of_parked(&us(), &sent, NOW, Queue::Receipts, "odd");
        let back = again(&us(), &parked);
        assert_eq!((publisher_of(&back), super::trace(&back), header(&back, REASON_HEADER)), (None, trace, None));
    }

    #[test]
    fn what_another_user_publishes_is_its_own_and_stays_so_when_we_publish_it_again() {
        let user = |name: &str| BasicProperties::default().with_user_id(name.into()).with_timestamp(7);
        for (sent, publisher) in [
            (user("them"), Publisher::User("them".to_owned())),
            (BasicProperties::default().with_timestamp(7), Publisher::Nobody),
        ] {
            assert_eq!(publisher_of(&sent), Some(publisher.clone()));
            let back = again(&us(), &of_parked(&us(), &sent, NOW, Queue::Receipts, "odd"));
            assert_eq!((publisher_of(&back), *back.timestamp()), (Some(publisher), Some(7)));
        }
        assert_eq!(publisher_of(&user("also-us")), None);
    }

    #[test]
    fn a_header_makes_nobody_another() {
        let mut headers = FieldTable::default();
        headers.insert(USER_HEADER.into(), AMQPValue::LongString("us".into()));
        let forged = BasicProperties::default().with_user_id("them".into()).with_headers(headers);
        assert_eq!(publisher_of(&forged), Some(Publisher::User("them".to_owned())));
    }

    #[test]
    fn one_of_us_who_names_a_tenant_speaks_for_it() {
        let mut headers = FieldTable::default();
        headers.insert(TENANT_HEADER.into(), AMQPValue::LongString("acme".into()));
        let named = BasicProperties::default().with_user_id("us".into()).with_headers(headers);
        assert_eq!(publisher_of(&named), Some(Publisher::Own));
    }

    #[test]
    fn a_parked_body_tells_its_story() {
        let sent = of(&us(), &part(None));
        let properties = of_parked(&us(), &sent, NOW, Queue::Lane(Lane::Bulk), &"x".repeat(2_000));
        let Story { queue, reason, at, by_us } = story(&us(), &properties);
        assert_eq!((queue.as_deref(), reason.len(), at, by_us), (Some("bulk"), REASON_CHARS_MAX, NOW, true));
    }

    #[test]
    fn a_body_that_the_broker_parked_tells_where_it_came_from() {
        let mut headers = FieldTable::default();
        headers.insert("x-first-death-queue".into(), AMQPValue::LongString("otodoke.normal".into()));
        headers.insert("x-first-death-reason".into(), AMQPValue::LongString("delivery_limit".into()));
        // Its publisher may have written these, to have it stay or go.
        headers.insert(QUEUE_HEADER.into(), AMQPValue::LongString("bulk".into()));
        headers.insert(REASON_HEADER.into(), AMQPValue::LongString("forged".into()));
        headers.insert(PARKED_AT_HEADER.into(), AMQPValue::LongLongInt(i64::MAX));
        let theirs = BasicProperties::default().with_user_id("them".into()).with_headers(headers).with_timestamp(7);
        let story = story(&us(), &theirs);
        assert_eq!((story.queue.as_deref(), story.at.unix_ms()), (Some("otodoke.normal"), 7_000));
        assert!(story.reason.contains("too often"), "{}", story.reason);
    }

    #[test]
    fn a_message_seen_the_first_time_has_no_count() {
        assert_eq!(taken_before(&us(), &BasicProperties::default()), 0);
        let mut headers = FieldTable::default();
        headers.insert("x-delivery-count".into(), AMQPValue::LongLongInt(3));
        assert_eq!(taken_before(&us(), &BasicProperties::default().with_headers(headers)), 3);
    }

    #[test]
    fn what_goes_on_by_itself_is_counted_on_and_begins_anew_when_a_person_replays_it() {
        let single = of_single(&us(), &part(None), 2);
        assert_eq!((publisher_of(&single), taken_before(&us(), &single)), (None, 2));
        assert_eq!(taken_before(&us(), &single.clone().with_user_id("them".into())), 0, "nobody else says so");
        let parked = of_parked(&us(), &single, NOW, Queue::Receipts, "odd");
        assert_eq!(taken_before(&us(), &again(&us(), &parked)), 0);
    }

    #[test]
    fn only_a_batch_of_ours_is_one() {
        let batch = of_batch(&us(), &part(None));
        let named = |user: &str| batch.clone().with_user_id(user.into());
        assert!(is_batch(&us(), &batch) && is_batch(&us(), &named("also-us")));
        assert!(!is_batch(&us(), &named("them")) && !is_batch(&us(), &of(&us(), &part(None))));
        let theirs = again(&us(), &named("them"));
        assert!(!is_batch(&us(), &theirs), "nor when we publish it again for another");
    }
}
