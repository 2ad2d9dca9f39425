//! Tells doors how fast this worker goes through the lanes in which something waits.

use std::sync::Arc;

use otodoke_common::throughput::{TELL_EVERY_MS, Telling, Throughput};
use tokio::time::{Duration, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::consumer::Consumer;
use crate::courier::Courier;
use crate::worker::LAST_WORD_MS_MAX;

/// Until `stop`; then what was told is taken back. A telling that is cut off then, and what a store keeps that is away, is soon
/// too old to count.
pub(crate) async fn run(courier: Arc<Courier>, consumers: Vec<Arc<Consumer>>, stop: CancellationToken) {
    let mut telling = Telling::new(&courier.desk.dice);
    stop.run_until_cancelled(keep_telling(&courier, &consumers, &mut telling)).await;
    drop(timeout(Duration::from_millis(LAST_WORD_MS_MAX), telling.take_back(&*courier.desk.store)).await);
}

async fn keep_telling(courier: &Courier, consumers: &[Arc<Consumer>], telling: &mut Telling) {
    loop {
        sleep(Duration::from_millis(TELL_EVERY_MS)).await;
        let told = telling.tell(&*courier.desk.store, courier.desk.clock.now(), measured(consumers)).await;
        if let Err(error) = told {
            courier.desk.metrics.store_error(&error);
        }
    }
}

fn measured(consumers: &[Arc<Consumer>]) -> Throughput {
    let lane = |consumer: &Arc<Consumer>| Some((consumer.lane()?, consumer.drained_per_s()?));
    consumers.iter().filter_map(lane).collect()
}
