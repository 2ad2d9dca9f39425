//! The door alone, without a worker, against publishing bare with as many requests under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::bed::Bed;
use crate::chain;
use crate::figures::{Percentiles, ratio};
use crate::house::House;
use crate::house::settings::Layout;
use crate::load::Crowd;
use crate::load::closed::Closed;
use crate::plan::Plan;
use crate::window::{Measured, Window};

/// As many as the door has.
const CHANNELS: usize = 4;
/// A lane without a worker fills up; nothing longer than this would be admitted to it.
const MEASURED_MS_MAX: u64 = 6_000;
const BODY_BYTES: usize = 66;

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Intake {
    pub(crate) points: Vec<Point>,
}

/// One concurrency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Point {
    pub(crate) connections: usize,
    pub(crate) raw: Measured,
    pub(crate) door: Measured,
    pub(crate) ratio: f64,
    pub(crate) accept: Percentiles,
    pub(crate) refused: u64,
}

pub(crate) async fn measure(bed: &Bed, plan: &Plan) -> anyhow::Result<Intake> {
    let mut points = Vec::new();
    let connections: &[usize] = if plan.quick { &[64] } else { &[64, 512] };
    for connections in connections.iter().copied() {
        points.push(point(bed, plan, connections).await.with_context(|| format!("{connections} connections"))?);
    }
    Ok(Intake { points })
}

async fn point(bed: &Bed, plan: &Plan, connections: usize) -> anyhow::Result<Point> {
    let house = House::open(bed, Layout { workers: 0, ..Layout::default() }).await?;
    let measured_ms = plan.measured_ms.min(MEASURED_MS_MAX);
    let window = Window { warm_up_ms: plan.warm_up_ms, measured_ms, watched: house.watched() };
    let raw = raw(bed, connections, &window).await.context("publishing bare")?;
    purge(bed).await?;
    let crowd = Arc::new(Crowd::new(house.door.address()?, &house.api_key, house.layout.ttl_s));
    let load = Closed::start(Arc::clone(&crowd), connections, 0, vec![]).await?;
    window.warm_up().await;
    crowd.take_latencies();
    let door = window.measure(async || Ok(crowd.accepted.load(Ordering::Relaxed))).await?;
    let accept = crowd.take_latencies().percentiles();
    load.end().await?;
    let refused = crowd.refused.load(Ordering::Relaxed);
    Ok(Point { connections, raw, door, ratio: ratio(door.per_s, raw.per_s), accept, refused })
}

/// Each channel keeps its share under way.
async fn raw(bed: &Bed, under_way: usize, window: &Window) -> anyhow::Result<Measured> {
    let connection = chain::connect(bed.amqp_url()).await?;
    let queue = chain::publish_queue(&connection, &bed.namespace()).await?;
    let confirmed = Arc::new(AtomicU64::new(0));
    let mut tasks: JoinSet<anyhow::Result<()>> = JoinSet::new();
    for _ in 0..CHANNELS {
        let (channel, queue, confirmed) = (chain::confirming(&connection).await?, queue.clone(), Arc::clone(&confirmed));
        tasks.spawn(async move {
            let body = [b'x'; BODY_BYTES];
            let publish = || chain::publish(&channel, &queue, &body);
            let mut flights: FuturesUnordered<_> = (0..under_way / CHANNELS).map(|_| publish()).collect();
            while let Some(landed) = flights.next().await {
                landed?;
                confirmed.fetch_add(1, Ordering::Relaxed);
                flights.push(publish());
            }
            Ok(())
        });
    }
    window.warm_up().await;
    let measured = window.measure(async || Ok(confirmed.load(Ordering::Relaxed))).await;
    tasks.shutdown().await;
    chain::close(&connection).await;
    measured
}

/// What nobody will take.
async fn purge(bed: &Bed) -> anyhow::Result<()> {
    chain::erase(bed.amqp_url(), &bed.namespace()).await
}
