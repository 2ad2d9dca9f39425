//! The exchange, the queues and their arguments: made where they are missing, compared where they are there.
//!
//! What exists is never declared over: somebody may have changed it on purpose, and an unequal declaration only closes
//! channels. `check` names every difference; the process runs on what it found.

use std::collections::BTreeMap;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Connection, ExchangeKind};

use super::drift::{self, Drift};
use super::names::Names;
use super::{error, line};
use crate::broker::Queue;

/// Of queues that people's messages wait in. Brokers from 4.0 have this limit unasked, older ones none; a body that
/// kills its worker every time must not come for ever.
const DELIVERIES_MAX: i32 = 20;
/// Of the parked queue: looking at it counts as a delivery, and nothing may fall out by being looked at.
const PARKED_DELIVERIES_MAX: i32 = 1_000_000;

/// A queue as it should be.
struct Wanted {
    name: ShortString,
    arguments: BTreeMap<ShortString, AMQPValue>,
}

/// Makes what is missing, then says what differs.
pub(super) async fn ensure(connection: &Connection, names: &Names) -> lapin::Result<Vec<Drift>> {
    let mut drifts = Vec::new();
    // First the exchange, then the queues: what names another thing comes after it.
    if !exchange_exists(connection, names).await? {
        connection
            .create_channel()
            .await?
            .exchange_declare(names.exchange(), ExchangeKind::Direct, durable_exchange(), FieldTable::default())
            .await?;
    }
    for wanted in wanted(names) {
        if exists(connection, &wanted.name).await? {
            drifts.extend(compare(connection, &wanted).await?);
        } else {
            declare(&connection.create_channel().await?, &wanted.name, wanted.arguments).await?;
        }
    }
    bind(connection, names).await?;
    drifts.extend(compare_exchange(connection, names).await?);
    Ok(drifts)
}

/// What differs from what we want; makes nothing.
pub(super) async fn check(connection: &Connection, names: &Names) -> lapin::Result<Vec<Drift>> {
    let mut drifts = Vec::new();
    if exchange_exists(connection, names).await? {
        drifts.extend(compare_exchange(connection, names).await?);
    } else {
        drifts.push(Drift::missing(names.exchange().as_str()));
    }
    for wanted in wanted(names) {
        if exists(connection, &wanted.name).await? {
            drifts.extend(compare(connection, &wanted).await?);
        } else {
            drifts.push(Drift::missing(wanted.name.as_str()));
        }
    }
    Ok(drifts)
}

/// Takes every queue away with what is in it, and the exchange.
pub(super) async fn erase(connection: &Connection, names: &Names) -> lapin::Result<()> {
    let channel = connection.create_channel().await?;
    for wanted in wanted(names) {
        channel.queue_delete(wanted.name, lapin::options::QueueDeleteOptions::default()).await?;
    }
    channel.exchange_delete(names.exchange(), lapin::options::ExchangeDeleteOptions::default()).await?;
    line::close_channel(&channel).await;
    Ok(())
}

/// The queues that messages of people wait in, and the parked one.
pub(super) fn queues(names: &Names) -> Vec<String> {
    wanted(names).into_iter().map(|wanted| wanted.name.as_str().to_owned()).collect()
}

/// Each before those that name it: what is given up on the way to people is still theirs.
fn wanted(names: &Names) -> Vec<Wanted> {
    let parked = Wanted { name: names.parked(), arguments: quorum(names.parked_length(), PARKED_DELIVERIES_MAX) };
    let mut places = names.places().to_vec();
    places.sort_by_key(|place| place.queue != Queue::GivenUp);
    let others = places.into_iter().map(|place| {
        let next = if place.queue == Queue::GivenUp { names.parked() } else { names.given_up() };
        let mut arguments = quorum(place.length, DELIVERIES_MAX);
        // At-least-once dead lettering takes all four: exchange, strategy and reject-publish together, or else the
        // broker falls back to at-most-once and says so only in its log. The default exchange routes by queue name,
        // so there is no binding that somebody could take away.
        arguments.insert("x-dead-letter-exchange".into(), AMQPValue::LongString("".into()));
        arguments.insert("x-dead-letter-routing-key".into(), AMQPValue::LongString(next.as_str().into()));
        arguments.insert("x-dead-letter-strategy".into(), AMQPValue::LongString("at-least-once".into()));
        Wanted { name: place.name.clone(), arguments }
    });
    std::iter::once(parked).chain(others).collect()
}

fn quorum(length: u32, deliveries: i32) -> BTreeMap<ShortString, AMQPValue> {
    BTreeMap::from([
        // On a majority of nodes before it is confirmed; classic queues lose what their one node loses.
        ("x-queue-type".into(), AMQPValue::LongString("quorum".into())),
        // Everything has a limit; over it a publish is refused (below) rather than the oldest message dropped.
        ("x-max-length".into(), AMQPValue::LongLongInt(length.into())),
        ("x-overflow".into(), AMQPValue::LongString("reject-publish".into())),
        ("x-delivery-limit".into(), AMQPValue::LongInt(deliveries)),
    ])
}

async fn exists(connection: &Connection, name: &ShortString) -> lapin::Result<bool> {
    found(occupancy(&connection.create_channel().await?, name).await.map(drop))
}

/// What the broker tells of a queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Occupancy {
    /// Messages that are with no consumer.
    pub(super) ready: u64,
    pub(super) consumers: u64,
}

pub(super) async fn occupancy(channel: &Channel, name: &ShortString) -> lapin::Result<Occupancy> {
    let options = QueueDeclareOptions { passive: true, ..durable_queue() };
    let queue = channel.queue_declare(name.clone(), options, FieldTable::default()).await?;
    Ok(Occupancy { ready: queue.message_count().into(), consumers: queue.consumer_count().into() })
}

async fn exchange_exists(connection: &Connection, names: &Names) -> lapin::Result<bool> {
    let channel = connection.create_channel().await?;
    let options = ExchangeDeclareOptions { passive: true, ..durable_exchange() };
    found(channel.exchange_declare(names.exchange(), ExchangeKind::Direct, options, FieldTable::default()).await)
}

fn found(answer: lapin::Result<()>) -> lapin::Result<bool> {
    match answer {
        Ok(()) => Ok(true),
        Err(error) if error::said(&error).is_some_and(|(number, _)| number == error::NOT_FOUND) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn declare(
    channel: &Channel,
    name: &ShortString,
    arguments: BTreeMap<ShortString, AMQPValue>,
) -> lapin::Result<()> {
    channel.queue_declare(name.clone(), durable_queue(), arguments.into()).await.map(drop)
}

/// Binding twice is binding once. A user who may not is one for whom somebody else did.
async fn bind(connection: &Connection, names: &Names) -> lapin::Result<()> {
    let channel = connection.create_channel().await?;
    // nowait: the answer is what we wait for.
    let options = QueueBindOptions { nowait: false };
    for place in names.places().iter().filter(|place| !place.exchange.as_str().is_empty()) {
        let bound = channel.queue_bind(
            place.name.clone(),
            place.exchange.clone(),
            place.key.clone(),
            options,
            FieldTable::default(),
        );
        match bound.await {
            Err(refused) if may_not(&refused) => return Ok(()),
            bound => bound?,
        }
    }
    Ok(())
}

fn may_not(refused: &lapin::Error) -> bool {
    error::said(refused).is_some_and(|(number, _)| number == error::ACCESS_REFUSED)
}

/// The broker names one difference at a time; each is taken as it is and the rest compared, until all are known.
/// Declaring what exists changes nothing, so asking is safe.
async fn compare(connection: &Connection, wanted: &Wanted) -> lapin::Result<Vec<Drift>> {
    let mut drifts: Vec<Drift> = Vec::new();
    let mut arguments = wanted.arguments.clone();
    for _ in 0..=wanted.arguments.len() {
        let channel = connection.create_channel().await?;
        let Err(refused) = declare(&channel, &wanted.name, arguments.clone()).await else { break };
        // Whoever may not declare cannot be told what differs; that is no reason not to work.
        if may_not(&refused) {
            break;
        }
        let Some(drift) = drift::read(wanted.name.as_str(), &refused)? else { return Err(refused) };
        let adopted = drift::adopt(&mut arguments, &drift);
        drifts.push(drift);
        if !adopted {
            break;
        }
    }
    Ok(drifts)
}

async fn compare_exchange(connection: &Connection, names: &Names) -> lapin::Result<Option<Drift>> {
    let channel = connection.create_channel().await?;
    let declared =
        channel.exchange_declare(names.exchange(), ExchangeKind::Direct, durable_exchange(), FieldTable::default());
    match declared.await {
        Ok(()) => Ok(None),
        Err(refused) if may_not(&refused) => Ok(None),
        Err(refused) => match drift::read(names.exchange().as_str(), &refused)? {
            Some(drift) => Ok(Some(drift)),
            None => Err(refused),
        },
    }
}

fn durable_queue() -> QueueDeclareOptions {
    QueueDeclareOptions {
        passive: false,
        // Survives a restart of the broker, as quorum queues must.
        durable: true,
        // Shared by all processes.
        exclusive: false,
        // Outlives its last consumer.
        auto_delete: false,
        // The answer is what we wait for.
        nowait: false,
    }
}

fn durable_exchange() -> ExchangeDeclareOptions {
    ExchangeDeclareOptions {
        passive: false,
        // Survives a restart of the broker, as the queues bound to it do.
        durable: true,
        // Outlives its last binding.
        auto_delete: false,
        // Clients publish to it.
        internal: false,
        // The answer is what we wait for.
        nowait: false,
    }
}
