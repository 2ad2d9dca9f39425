//! The floor, the floor with rows, and the whole pipeline, with a request for each receipt and with gathered ones, one after
//! the other, several times: their ratio is the figure, because a machine's good and bad minutes fall on all of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::Context;
use futures_util::TryStreamExt;
use otodoke_common::leg::ProviderId;
use otodoke_common::message::{MessageId, State};
use otodoke_common::outcome::{About, Proof, Report, ReportStatus};
use otodoke_common::time::Timestamp;
use otodoke_common::wire::{decode_row, encode_reports};
use serde::Serialize;
use tokio_postgres::Client;

use crate::bed::Bed;
use crate::carrier::Posting;
use crate::chain;
use crate::figures::{Percentiles, Spread, float, ratio};
use crate::house::House;
use crate::house::settings::Layout;
use crate::load::Crowd;
use crate::load::closed::Closed;
use crate::plan::Plan;
use crate::sample::Sample;
use crate::usage::most_resident_mib;
use crate::window::{Measured, Window};

/// Connections that ask.
const CONNECTIONS: usize = 256;

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Pairs {
    pub(crate) floor: Vec<Measured>,
    pub(crate) floor_rows: Vec<Measured>,
    pub(crate) pipeline: Vec<Measured>,
    /// The pipeline with up to a hundred receipts in one request; not in the quick form.
    pub(crate) gathered: Vec<Measured>,
    pub(crate) receipts_per_request: Spread,
    pub(crate) floor_per_s: Spread,
    pub(crate) floor_rows_per_s: Spread,
    pub(crate) pipeline_per_s: Spread,
    /// Of each pair; the median is the figure.
    pub(crate) ratio: Spread,
    pub(crate) ratio_rows: Spread,
    pub(crate) gathered_ratio: Spread,
    pub(crate) gathered_ratio_rows: Spread,
    pub(crate) database_ratio: Spread,
    pub(crate) program_ratio: Spread,
    pub(crate) accept: Percentiles,
    /// Over all windows and the time between them.
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    /// Rows of the database that say delivered, counted there at the end.
    pub(crate) delivered_rows: u64,
    pub(crate) body_bytes: usize,
    pub(crate) row_bytes: usize,
    pub(crate) door_mib: f64,
    pub(crate) worker_mib: f64,
}

pub(crate) async fn measure(bed: &Bed, plan: &Plan) -> anyhow::Result<Pairs> {
    let house = House::open(bed, Layout::default()).await?;
    let crowd = Arc::new(Crowd::new(house.door.address()?, &house.api_key, house.layout.ttl_s));
    first_message(&house, &crowd).await?;
    let sample = Sample::read(&bed.client).await?;
    let window = Window {
        warm_up_ms: plan.warm_up_ms,
        measured_ms: plan.measured_ms,
        watched: house.watched(),
        client: Some(Arc::clone(&house.bed.client)),
    };
    let mut pairs =
        Pairs { body_bytes: body_bytes(sample.body(1)), row_bytes: sample.body_bytes(), ..Pairs::default() };
    let (mut latencies, mut per_request) = (crate::figures::Latencies::default(), Vec::new());
    for _ in 0..plan.pairs {
        pairs.floor.push(chain::measure(bed, pairs.body_bytes, false, &window).await.context("the floor")?);
        let with_rows = chain::measure(bed, pairs.body_bytes, true, &window).await;
        pairs.floor_rows.push(with_rows.context("the floor with rows")?);
        pairs.pipeline.push(pipeline(&house, &crowd, &window, &mut latencies).await.context("the pipeline")?);
        if !plan.quick {
            let (measured, together) = gathered(&house, &crowd, &window).await.context("with receipts gathered")?;
            pairs.gathered.push(measured);
            per_request.push(together);
        }
    }
    pairs.receipts_per_request = Spread::of(per_request);
    pairs.accept = latencies.percentiles();
    pairs.accepted = crowd.accepted.load(Ordering::Relaxed);
    pairs.refused = crowd.refused.load(Ordering::Relaxed);
    pairs.delivered_rows = delivered(&bed.client).await?;
    anyhow::ensure!(
        pairs.delivered_rows == pairs.accepted,
        "{} messages were accepted, and {} rows say delivered",
        pairs.accepted,
        pairs.delivered_rows
    );
    pairs.door_mib = most_resident_mib(house.door.pid());
    pairs.worker_mib = house.workers.iter().map(|worker| most_resident_mib(worker.pid())).fold(0.0, f64::max);
    pairs.conclude();
    Ok(pairs)
}

/// Of the stored rows, those whose receipt was recorded.
async fn delivered(client: &Client) -> anyhow::Result<u64> {
    let nothing: [i32; 0] = [];
    let rows = client.query_raw("SELECT body FROM message", nothing).await?;
    let mut rows = std::pin::pin!(rows);
    let mut delivered = 0;
    while let Some(row) = rows.try_next().await? {
        let message = decode_row(row.try_get(0)?)?;
        delivered += u64::from(message.state == State::Delivered);
    }
    Ok(delivered)
}

/// One message through everything: connections are open, statements prepared, and there is a row to look at.
pub(crate) async fn first_message(house: &House<'_>, crowd: &Arc<Crowd>) -> anyhow::Result<()> {
    let workers = house.workers.iter().map(crate::process::Process::address).collect::<Result<Vec<_>, _>>()?;
    let load = Closed::start(crowd, 1, 1, workers).await?;
    let window = Window {
        warm_up_ms: 300,
        measured_ms: 0,
        watched: house.watched(),
        client: Some(Arc::clone(&house.bed.client)),
    };
    window.warm_up().await;
    load.end().await
}

pub(crate) async fn pipeline(
    house: &House<'_>,
    crowd: &Arc<Crowd>,
    window: &Window,
    latencies: &mut crate::figures::Latencies,
) -> anyhow::Result<Measured> {
    let workers = house.workers.iter().map(crate::process::Process::address).collect::<Result<Vec<_>, _>>()?;
    let load = Closed::start(crowd, CONNECTIONS, chain::CAP, workers).await?;
    window.warm_up().await;
    crowd.take_latencies();
    let measured = window.measure(async || load.recorded().await).await?;
    latencies.merge(&crowd.take_latencies());
    load.end().await?;
    Ok(measured)
}

/// The same while carriers put the receipts that wait into one request; with how many there were in one.
async fn gathered(house: &House<'_>, crowd: &Arc<Crowd>, window: &Window) -> anyhow::Result<(Measured, f64)> {
    let before = house.post_receipts(Posting::Together).await?;
    let measured = pipeline(house, crowd, window, &mut crate::figures::Latencies::default()).await?;
    let after = house.post_receipts(Posting::Alone).await?;
    let (receipts, requests) = (after.receipts - before.receipts, after.requests - before.requests);
    anyhow::ensure!(receipts > requests, "{receipts} receipts came in {requests} requests: none were gathered");
    Ok((measured, ratio(float(receipts), float(requests))))
}

/// What the pipeline does in one window, for parts that need a rate to go by.
pub(crate) async fn one_window(bed: &Bed, plan: &Plan) -> anyhow::Result<f64> {
    let house = House::open(bed, Layout::default()).await?;
    let crowd = Arc::new(Crowd::new(house.door.address()?, &house.api_key, house.layout.ttl_s));
    let window = Window {
        warm_up_ms: plan.warm_up_ms,
        measured_ms: plan.measured_ms,
        watched: house.watched(),
        client: Some(Arc::clone(&house.bed.client)),
    };
    Ok(pipeline(&house, &crowd, &window, &mut crate::figures::Latencies::default()).await?.per_s)
}

/// The mean of what travels for one message, its row on the lane and the receipt, as long as each is by itself: our batches
/// make the floor no cheaper.
fn body_bytes(opened_row: &[u8]) -> usize {
    let id = MessageId::new(Timestamp::from_unix_ms(0), [7; 10]);
    let report = Report {
        provider: ProviderId::parse("fast").expect("a good name"),
        about: About::Leg { id, leg: 1 },
        status: ReportStatus::Delivered,
        proof: Proof::Tag,
        at: Timestamp::from_unix_ms(1_763_805_900_123),
        happened_at: None,
    };
    usize::midpoint(opened_row.len(), encode_reports(&[report]).len())
}

impl Pairs {
    fn conclude(&mut self) {
        let rates = |all: &[Measured]| Spread::of(all.iter().map(|each| each.per_s));
        self.floor_per_s = rates(&self.floor);
        self.floor_rows_per_s = rates(&self.floor_rows);
        self.pipeline_per_s = rates(&self.pipeline);
        let of_each = |ours: &[Measured], floors: &[Measured], of: fn(&Measured) -> f64, over: fn(&Measured) -> f64| {
            Spread::of(ours.iter().zip(floors).map(|(ours, floor)| ratio(of(ours), over(floor))))
        };
        let rate = |each: &Measured| each.per_s;
        let (ours, gathered) = (&self.pipeline, &self.gathered);
        self.ratio = of_each(ours, &self.floor, rate, rate);
        self.ratio_rows = of_each(ours, &self.floor_rows, rate, rate);
        self.gathered_ratio = of_each(gathered, &self.floor, rate, rate);
        self.gathered_ratio_rows = of_each(gathered, &self.floor_rows, rate, rate);
        let database = |each: &Measured| each.cpu.database_us;
        self.database_ratio = of_each(ours, &self.floor_rows, database, database);
        self.program_ratio = of_each(ours, &self.floor, |ours| ours.cpu.program_us, |floor| floor.cpu.load_us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::CpuPerMessage;

    fn measured(per_s: f64, cpu: CpuPerMessage) -> Measured {
        Measured { per_s, cpu, ..Measured::default() }
    }

    #[test]
    fn ratios_are_taken_within_each_pair() {
        let client = |load_us| CpuPerMessage { load_us, database_us: 50.0, ..CpuPerMessage::default() };
        let ours = CpuPerMessage { program_us: 120.0, database_us: 75.0, ..CpuPerMessage::default() };
        let mut pairs = Pairs {
            floor: vec![measured(8_000.0, client(60.0)), measured(4_000.0, client(60.0))],
            floor_rows: vec![measured(5_000.0, client(60.0)), measured(2_500.0, client(60.0))],
            pipeline: vec![measured(4_000.0, ours), measured(2_000.0, ours)],
            gathered: vec![measured(6_000.0, ours), measured(3_000.0, ours)],
            ..Pairs::default()
        };
        pairs.conclude();
        assert_eq!(pairs.ratio, Spread { median: 0.5, least: 0.5, most: 0.5 }, "a slow minute falls on both");
        assert_eq!(pairs.ratio_rows.median, 0.8);
        assert_eq!((pairs.gathered_ratio.median, pairs.gathered_ratio_rows.median), (0.75, 1.2));
        assert_eq!((pairs.database_ratio.median, pairs.program_ratio.median), (1.5, 2.0));
    }

    #[test]
    fn bodies_of_the_floor_are_as_long_as_ours() {
        let receipt = body_bytes(&[]) * 2;
        assert!((100..400).contains(&receipt), "{receipt}");
        assert_eq!(body_bytes(&[0; 300]), usize::midpoint(300, receipt), "the row weighs as much as the receipt");
    }
}
