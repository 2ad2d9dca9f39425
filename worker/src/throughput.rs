//! Tells doors how fast this worker goes through the lanes in which something waits.

use std::sync::Arc;

use otodoke_common::throughput::{TELL_EVERY_MS, Telling, Throughput, forget_old};
use tokio::time::{Duration, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::consumer::Consumer;
use crate::courier::Courier;
use crate::worker::LAST_WORD_MS_MAX;

/// Until `stop`; then nothing that was told stays.
pub(crate) async fn run(courier: Arc<Courier>, consumers: Vec<Arc<Consumer>>, stop: CancellationToken) {
    let mut telling = Telling::new(&courier.desk.dice);
    stop.run_until_cancelled(keep_telling(&courier, &consumers, &mut telling)).await;
    // What a store that is away still keeps is soon too old to count.
    drop(timeout(Duration::from_millis(LAST_WORD_MS_MAX), telling.take_back(&*courier.desk.store)).await);
}

async fn keep_telling(courier: &Courier, consumers: &[Arc<Consumer>], telling: &mut Telling) {
    let (store, clock) = (&*courier.desk.store, &courier.desk.clock);
    let mut told = forget_old(store, clock.now()).await;
    loop {
        if let Err(error) = told {
            tracing::debug!(%error, "how fast this worker goes could not be told to doors");
        }
        sleep(Duration::from_millis(TELL_EVERY_MS)).await;
        told = telling.tell(store, clock.now(), measured(consumers)).await;
    }
}

fn measured(consumers: &[Arc<Consumer>]) -> Throughput {
    let lane = |consumer: &Arc<Consumer>| Some((consumer.lane()?, consumer.drained_per_s()?));
    consumers.iter().filter_map(lane).collect()
}
