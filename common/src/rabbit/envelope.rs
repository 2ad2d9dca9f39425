//! What travels around a body: AMQP properties and headers, written for our messages and read from anybody's.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use crate::broker::Queue;
use crate::message::MessageId;
use crate::time::Timestamp;

/// Of what travels around the body, not of the body itself, which says its own version.
const CONTRACT_VERSION: i32 = 1;
/// Delivery mode 2: on disk. Quorum queues always are; the mark keeps it true wherever a message is dead-lettered to.
const PERSISTENT: u8 = 2;
const REASON_CHARS_MAX: usize = 1_000;

const VERSION_HEADER: &str = "otodoke-version";
const QUEUE_HEADER: &str = "otodoke-queue";
const REASON_HEADER: &str = "otodoke-reason";
const PARKED_AT_HEADER: &str = "otodoke-parked-at";

/// For a body on its way into a queue.
pub(super) fn of(id: MessageId, now: Timestamp) -> BasicProperties {
    with_headers(id.to_string().into(), now, FieldTable::default())
}

/// For a body on its way to people. Headers of the broker's own, such as `x-death`, are never copied: brokers before 4.0
/// read them and may drop the message as a cycle.
pub(super) fn of_parked(id: ShortString, now: Timestamp, queue: Queue, reason: &str) -> BasicProperties {
    let mut headers = FieldTable::default();
    let reason: String = reason.chars().take(REASON_CHARS_MAX).collect();
    headers.insert(QUEUE_HEADER.into(), AMQPValue::LongString(queue.word().into()));
    headers.insert(REASON_HEADER.into(), AMQPValue::LongString(reason.into()));
    headers.insert(PARKED_AT_HEADER.into(), AMQPValue::LongLongInt(now.unix_ms()));
    with_headers(id, now, headers)
}

fn with_headers(id: ShortString, now: Timestamp, mut headers: FieldTable) -> BasicProperties {
    headers.insert(VERSION_HEADER.into(), AMQPValue::LongInt(CONTRACT_VERSION));
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(PERSISTENT)
        .with_message_id(id)
        // AMQP timestamps are seconds.
        .with_timestamp(u64::try_from(now.unix_ms() / 1_000).unwrap_or(0))
        .with_headers(headers)
}

/// How often the broker handed this message out before. Absent on the first time.
pub(super) fn taken_before(properties: &BasicProperties) -> u32 {
    header(properties, "x-delivery-count").and_then(integer).and_then(|count| u32::try_from(count).ok()).unwrap_or(0)
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
}

pub(super) fn story(properties: &BasicProperties) -> Story {
    let ours = (header(properties, QUEUE_HEADER).and_then(text), header(properties, REASON_HEADER).and_then(text));
    let sent_at = seconds(properties.timestamp().unwrap_or(0));
    match ours {
        (Some(queue), Some(reason)) => {
            let at = header(properties, PARKED_AT_HEADER).and_then(integer).map(Timestamp::from_unix_ms);
            Story { queue: Some(queue), reason, at: at.unwrap_or(sent_at) }
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
    Story { queue: header(properties, "x-first-death-queue").and_then(text), reason, at: at.unwrap_or(sent_at) }
}

fn header<'a>(properties: &'a BasicProperties, name: &str) -> Option<&'a AMQPValue> {
    properties.headers().as_ref().and_then(|headers| headers.inner().get(name))
}

fn text(value: &AMQPValue) -> Option<String> {
    value.as_long_string().map(ToString::to_string)
}

/// Brokers and clients choose the width of a number as they like.
fn integer(value: &AMQPValue) -> Option<i64> {
    let short = || value.as_short_int().map(i64::from).or_else(|| value.as_short_uint().map(i64::from));
    let long = || value.as_long_int().map(i64::from).or_else(|| value.as_long_uint().map(i64::from));
    value.as_long_long_int().or_else(long).or_else(short)
}

fn seconds(seconds: u64) -> Timestamp {
    Timestamp::from_unix_ms(i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Lane;

    const NOW: Timestamp = Timestamp::from_unix_ms(1_763_805_900_123);

    #[test]
    fn a_parked_body_tells_its_story() {
        let properties = of_parked("id".into(), NOW, Queue::Lane(Lane::Bulk), &"x".repeat(2_000));
        let Story { queue, reason, at } = story(&properties);
        assert_eq!((queue.as_deref(), reason.len(), at), (Some("bulk"), REASON_CHARS_MAX, NOW));
    }

    #[test]
    fn a_body_that_the_broker_parked_tells_where_it_came_from() {
        let mut headers = FieldTable::default();
        headers.insert("x-first-death-queue".into(), AMQPValue::LongString("otodoke.normal".into()));
        headers.insert("x-first-death-reason".into(), AMQPValue::LongString("delivery_limit".into()));
        let story = story(&BasicProperties::default().with_headers(headers).with_timestamp(7));
        assert_eq!((story.queue.as_deref(), story.at.unix_ms()), (Some("otodoke.normal"), 7_000));
        assert!(story.reason.contains("too often"), "{}", story.reason);
    }

    #[test]
    fn a_message_seen_the_first_time_has_no_count() {
        assert_eq!(taken_before(&BasicProperties::default()), 0);
        let mut headers = FieldTable::default();
        headers.insert("x-delivery-count".into(), AMQPValue::LongLongInt(3));
        assert_eq!(taken_before(&BasicProperties::default().with_headers(headers)), 3);
    }
}
