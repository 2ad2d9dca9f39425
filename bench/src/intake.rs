//! The door alone, without a worker, against publishing bare with as many requests under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::options::QueuePurgeOptions;
use lapin::types::ShortString;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{Duration, sleep, timeout};

use crate::bed::Bed;
use crate::chain;
use crate::figures::{Percentiles, ratio};
use crate::house::House;
use crate::house::settings::Layout;
use crate::line::Line;
use crate::load::Crowd;
use crate::load::closed::Closed;
use crate::plan::Plan;
use crate::sample::Sample;
use crate::usage::most_resident_mib;
use crate::window::{Measured, Window};

/// As many as the door has, although a lane of it uses one.
const CHANNELS: usize = 4;
/// Nobody takes what is published, so it is thrown away at the broker, in both: a lane without a worker fills up, and its
/// door refuses what could not arrive in time.
const PURGE_EVERY_MS: u64 = 250;
/// Connections that are open at once while the door's memory is looked at, or as many as it takes.
pub(crate) const IDLE_CONNECTIONS: usize = 10_000;
const IDLE_MS: u64 = 1_000;

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Intake {
    pub(crate) points: Vec<Point>,
    /// Connections that were open and had been answered once, and the most that the door held.
    pub(crate) idle_connections: usize,
    pub(crate) door_mib: f64,
}

/// One concurrency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Point {
    pub(crate) connections: usize,
    /// Of a row as it lies on its lane, and so of what is published bare.
    pub(crate) body_bytes: usize,
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
    let (idle_connections, door_mib) = if plan.quick { (0, 0.0) } else { idle(bed).await? };
    Ok(Intake { points, idle_connections, door_mib })
}

/// Each connection asks once; the first that is not answered in time ends it.
async fn idle(bed: &Bed) -> anyhow::Result<(usize, f64)> {
    let house = House::open(bed, Layout { workers: 0, ..Layout::default() }).await?;
    let address = house.door.address()?;
    let mut lines = Vec::new();
    for _ in 0..IDLE_CONNECTIONS {
        let opened = timeout(Duration::from_millis(IDLE_MS), async {
            let mut line = Line::open(address, None).await?;
            line.get("/healthz").await?;
            anyhow::Ok(line)
        });
        match opened.await {
            Ok(Ok(line)) => lines.push(line),
            Ok(Err(_)) | Err(_) => break,
        }
    }
    Ok((lines.len(), most_resident_mib(house.door.pid())))
}

async fn point(bed: &Bed, plan: &Plan, connections: usize) -> anyhow::Result<Point> {
    let house = House::open(bed, Layout { workers: 0, ..Layout::default() }).await?;
    let window = Window {
        warm_up_ms: plan.warm_up_ms,
        measured_ms: plan.measured_ms,
        watched: house.watched(),
        client: Some(Arc::clone(&house.bed.client)),
    };
    let purging = Purging::start(bed, chain::lane(bed)).await?;
    let crowd = Arc::new(Crowd::new(house.door.address()?, &house.api_key, house.layout.ttl_s));
    let load = Closed::start(&crowd, connections, 0, vec![]).await?;
    window.warm_up().await;
    crowd.take_latencies();
    let door = window.measure(async || Ok(crowd.accepted.load(Ordering::Relaxed))).await?;
    let accept = crowd.take_latencies().percentiles();
    load.end().await?;
    drop(purging);
    let refused = crowd.refused.load(Ordering::Relaxed);
    let body_bytes = Sample::opened_bytes(&bed.client).await?;
    let raw = raw(bed, connections, body_bytes, &window).await.context("publishing bare")?;
    Ok(Point { connections, body_bytes, raw, door, ratio: ratio(door.per_s, raw.per_s), accept, refused })
}

/// Each channel keeps its share under way.
async fn raw(bed: &Bed, under_way: usize, body_bytes: usize, window: &Window) -> anyhow::Result<Measured> {
    let connection = chain::connect(bed.amqp_url()).await?;
    let queue = chain::publish_queue(&connection, &bed.namespace()).await?;
    let purging = Purging::start(bed, queue.clone()).await?;
    let confirmed = Arc::new(AtomicU64::new(0));
    let mut tasks: JoinSet<anyhow::Result<()>> = JoinSet::new();
    for _ in 0..CHANNELS {
        let (channel, queue, confirmed) =
            (chain::confirming(&connection).await?, queue.clone(), Arc::clone(&confirmed));
        tasks.spawn(async move {
            let body = vec![b'x'; body_bytes];
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
    drop(purging);
    chain::close(&connection).await;
    measured
}

/// Throws away what waits in a queue, as long as it lives.
struct Purging(JoinSet<anyhow::Result<()>>);

impl Purging {
    async fn start(bed: &Bed, queue: ShortString) -> anyhow::Result<Self> {
        let connection = chain::connect(bed.amqp_url()).await?;
        let channel = connection.create_channel().await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let _connection = connection;
            loop {
                sleep(Duration::from_millis(PURGE_EVERY_MS)).await;
                channel.queue_purge(queue.clone(), QueuePurgeOptions::default()).await?;
            }
        });
        Ok(Self(tasks))
    }
}

impl Drop for Purging {
    fn drop(&mut self) {
        self.0.abort_all();
    }
}
