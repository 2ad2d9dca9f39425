//! What changes with what is stored, with how many workers there are, and with how many queues a lane has.

use std::cell::Cell;
use std::sync::Arc;

use anyhow::Context;
use serde::Serialize;
use tokio::time::{Duration, sleep};
use tokio_postgres::Client;

use crate::bed::{Bed, Beds};
use crate::figures::{Latencies, Spread, float, ratio};
use crate::house::House;
use crate::house::settings::Layout;
use crate::load::Crowd;
use crate::pairs;
use crate::plan::Plan;
use crate::sample::Sample;
use crate::usage::most_resident_mib;
use crate::window::{Measured, Window};

const WORKERS: [usize; 3] = [1, 2, 4];
const SHARDS: [u16; 2] = [1, 4];
/// Windows of each point.
const REPEATS: usize = 3;
/// Rows that one statement makes.
const CHUNK: u64 = 100_000;
/// Stored messages are made like the sample, which was delivered, and have ended.
const FILL_MESSAGES: &str = "
    INSERT INTO message (day, id, version, ended_at, body, notes)
    SELECT $1::integer, stored.id, 5, $2::bigint, $3::bytea, $6::text
    FROM (SELECT (lpad(to_hex(($1::integer::bigint * 86400000) + n % 86400000), 12, '0') || '7' || substr(md5(n::text), 1, 3)
                  || '8' || substr(md5(n::text), 4, 15))::uuid AS id
          FROM generate_series($4::bigint, $5::bigint) AS n) stored";
const FILL_REFERENCES: &str = "
    INSERT INTO reference (provider, reference, day, id, leg)
    SELECT 'fast', convert_to(stored.id::text || ':1', 'UTF8'), $1::integer, stored.id, 1
    FROM (SELECT (lpad(to_hex(($1::integer::bigint * 86400000) + n % 86400000), 12, '0') || '7' || substr(md5(n::text), 1, 3)
                  || '8' || substr(md5(n::text), 4, 15))::uuid AS id
          FROM generate_series($2::bigint, $3::bigint) AS n) stored";

/// An ended message is due for erasure a day after its end; none of them within the hours of a measurement.
const FILL_DUE: &str = "
    INSERT INTO due (id, day, due_at, live)
    SELECT stored.id, $1::integer, $2::bigint + 82800000 + n % 3600000, false
    FROM (SELECT (lpad(to_hex(($1::integer::bigint * 86400000) + n % 86400000), 12, '0') || '7' || substr(md5(n::text), 1, 3)
                  || '8' || substr(md5(n::text), 4, 15))::uuid AS id, n
          FROM generate_series($3::bigint, $4::bigint) AS n) stored";
/// The worker takes its gauges every few seconds.
const LAG_EVERY_MS: u64 = 1_000;

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Growth {
    pub(crate) stored: Vec<Point>,
    pub(crate) workers: Vec<Point>,
    pub(crate) shards: Vec<Point>,
    /// With the most stored, over with none.
    pub(crate) stored_ratio: Spread,
}

/// One size of one thing.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Point {
    pub(crate) size: u64,
    pub(crate) per_s: Spread,
    /// Of stored messages: over what a house without them did in turn.
    pub(crate) ratio: Spread,
    pub(crate) program_us: f64,
    pub(crate) broker_us: f64,
    pub(crate) database_us: f64,
    /// The most it held.
    pub(crate) door_mib: f64,
    /// The most that any held.
    pub(crate) worker_mib: f64,
    /// The longest while it was measured.
    pub(crate) sweep_lag_s: f64,
}

pub(crate) async fn measure(beds: &Beds, plan: &Plan) -> anyhow::Result<Growth> {
    let mut growth = Growth::default();
    {
        let (bed, empty) = (beds.make().await?, beds.make().await?);
        growth.stored = stored(&bed, &empty, plan).await.context("stored messages")?;
    }
    beds.remove().await?;
    for workers in WORKERS {
        let point = alone(beds, plan, Layout { workers, ..Layout::default() }).await;
        growth.workers.push(Point { size: workers as u64, ..point.with_context(|| format!("{workers} workers"))? });
    }
    for shards in SHARDS {
        let point = alone(beds, plan, Layout { shards, ..Layout::default() }).await;
        growth.shards.push(Point { size: shards.into(), ..point.with_context(|| format!("{shards} shards"))? });
    }
    growth.stored_ratio = growth.stored.last().map(|point| point.ratio).unwrap_or_default();
    Ok(growth)
}

async fn alone(beds: &Beds, plan: &Plan, layout: Layout) -> anyhow::Result<Point> {
    let bed = beds.make().await?;
    let house = House::open(&bed, layout).await?;
    let mut lodged = Lodged::of(house)?;
    for _ in 0..REPEATS {
        lodged.measure(plan).await?;
    }
    let point = lodged.point();
    drop(lodged);
    drop(bed);
    beds.remove().await?;
    Ok(point)
}

/// A machine changes more within the minutes that loading takes than five million messages change it: so every window stands
/// beside one of a house that holds only what was sent to it.
async fn stored(bed: &Bed, empty: &Bed, plan: &Plan) -> anyhow::Result<Vec<Point>> {
    let mut full = Lodged::of(House::open(bed, Layout::default()).await?)?;
    let mut none = Lodged::of(House::open(empty, Layout::default()).await?)?;
    pairs::first_message(&full.house, &full.crowd).await?;
    let sample = Sample::read(&bed.client).await?;
    let (mut points, mut there) = (Vec::new(), 0);
    for size in plan.stored.iter().copied() {
        fill(&bed.client, &sample, there..size).await.with_context(|| format!("{size} rows"))?;
        there = size;
        let mut ratios = Vec::new();
        for _ in 0..REPEATS {
            let without = none.measure(plan).await?;
            ratios.push(ratio(full.measure(plan).await?, without));
        }
        points.push(Point { size, ratio: Spread::of(ratios), ..full.point() });
    }
    Ok(points)
}

async fn fill(client: &Client, sample: &Sample, numbers: std::ops::Range<u64>) -> anyhow::Result<()> {
    if numbers.is_empty() {
        return Ok(());
    }
    let (mut first, notes) = (numbers.start, sample.notes_all());
    while first < numbers.end {
        let last = (first + CHUNK).min(numbers.end) - 1;
        let (from, to) = (i64::try_from(first)?, i64::try_from(last)?);
        client
            .execute(FILL_MESSAGES, &[&sample.day, &sample.until, &sample.body(4), &from, &to, &notes])
            .await
            .context("message")?;
        client.execute(FILL_REFERENCES, &[&sample.day, &from, &to]).await.context("reference")?;
        client.execute(FILL_DUE, &[&sample.day, &sample.until, &from, &to]).await.context("due")?;
        first = last + 1;
    }
    // What was loaded is known to the planner and on disk before anything is measured.
    client.batch_execute("ANALYZE").await?;
    client.batch_execute("CHECKPOINT").await?;
    Ok(())
}

/// A house with its load, and what was measured of it since the last point.
struct Lodged<'a> {
    house: House<'a>,
    crowd: Arc<Crowd>,
    windows: Vec<Measured>,
    sweep_lag_s: f64,
}

impl<'a> Lodged<'a> {
    fn of(house: House<'a>) -> anyhow::Result<Self> {
        let crowd = Arc::new(Crowd::new(house.door.address()?, &house.api_key, house.layout.ttl_s));
        Ok(Self { house, crowd, windows: Vec::new(), sweep_lag_s: 0.0 })
    }

    /// One window; returns its rate.
    async fn measure(&mut self, plan: &Plan) -> anyhow::Result<f64> {
        let window = Window {
            warm_up_ms: plan.warm_up_ms,
            measured_ms: plan.measured_ms,
            watched: self.house.watched(),
            client: Some(Arc::clone(&self.house.bed.client)),
        };
        let lag_s = Cell::new(0.0_f64);
        let watching = async {
            loop {
                sleep(Duration::from_millis(LAG_EVERY_MS)).await;
                let now_s = self.house.worker_metrics().await?.sum("otp_sweep_lag_seconds", "");
                lag_s.set(lag_s.get().max(now_s));
            }
        };
        let mut latencies = Latencies::default();
        let measured = tokio::select! {
            measured = pairs::pipeline(&self.house, &self.crowd, &window, &mut latencies) => measured,
            broken = watching => broken,
        }?;
        self.sweep_lag_s = self.sweep_lag_s.max(lag_s.get());
        let per_s = measured.per_s;
        self.windows.push(measured);
        Ok(per_s)
    }

    fn point(&mut self) -> Point {
        let windows = std::mem::take(&mut self.windows);
        let mean = |of: fn(&Measured) -> f64| windows.iter().map(of).sum::<f64>() / float(windows.len() as u64);
        let worker_mib = self.house.workers.iter().map(|worker| most_resident_mib(worker.pid())).fold(0.0, f64::max);
        Point {
            size: 0,
            per_s: Spread::of(windows.iter().map(|each| each.per_s)),
            ratio: Spread::default(),
            program_us: mean(|each| each.cpu.program_us),
            broker_us: mean(|each| each.cpu.broker_us),
            database_us: mean(|each| each.cpu.database_us),
            door_mib: most_resident_mib(self.house.door.pid()),
            worker_mib,
            sweep_lag_s: std::mem::take(&mut self.sweep_lag_s),
        }
    }
}
