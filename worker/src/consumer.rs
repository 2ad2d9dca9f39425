//! One queue's consumer: takes while there is room in hand, and gives each delivery a task. It also tells from outside
//! whether it still takes: a consumer can die without a word, and then nothing but the queue's length shows it; and how fast
//! it goes while something waits.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use otodoke_common::broker::drain::Drain;
use otodoke_common::broker::{BrokerError, Delivery, Queue};
use otodoke_common::message::Lane;
use otodoke_common::trace;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::courier::{Courier, pause};

/// A delivery seen this often is taken alone until it is settled, so that what kills its worker gives back only itself. A broker
/// that is lost counts as well: it gives back whatever was on its way.
const TAKEN_ALONE_AFTER: u32 = 3;
/// Whoever waits this long for a delivery from a queue that is not empty has lost its consumer.
const SILENCE_MS_MAX: u64 = 30_000;
const LOOK_EVERY_MS: u64 = 1_000;

pub(crate) struct Consumer {
    pub(crate) queue: Queue,
    room: usize,
    /// A permit for each delivery in hand, and one for who waits for the next.
    in_hand: Arc<Semaphore>,
    waits: AtomicBool,
    taken: AtomicU64,
    watched: Mutex<Watched>,
}

/// What the last looks saw.
#[derive(Default)]
struct Watched {
    taken: u64,
    silent_since: Option<Instant>,
    /// Deliveries, up to the last look.
    finished: u64,
    /// When that look was, if something waited then.
    waited_at: Option<Instant>,
    drain: Drain,
}

impl Consumer {
    pub(crate) fn new(queue: Queue, room: usize) -> Self {
        Self {
            queue,
            room,
            in_hand: Arc::new(Semaphore::new(room)),
            waits: AtomicBool::new(false),
            taken: AtomicU64::new(0),
            watched: Mutex::default(),
        }
    }

    pub(crate) const fn lane(&self) -> Option<Lane> {
        match self.queue {
            Queue::Lane(lane) => Some(lane),
            Queue::Receipts | Queue::GivenUp => None,
        }
    }

    /// Until `stop`.
    pub(crate) async fn run<W: Future<Output = ()> + Send + 'static>(
        &self,
        courier: &Arc<Courier>,
        work: impl Fn(Arc<Courier>, Delivery) -> W,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) {
        let mut failures = 0;
        while let Some(taken) = stop.run_until_cancelled(self.take(courier)).await {
            let (delivery, permit) = match taken {
                Ok(taken) => taken,
                Err(error) => {
                    courier.desk.metrics.broker_error(&error);
                    failures += 1;
                    pause(courier, failures, &stop).await;
                    continue;
                }
            };
            failures = 0;
            let (settling, settled) = (delivery.taken_before >= TAKEN_ALONE_AFTER).then(oneshot::channel::<()>).unzip();
            let trace = delivery.trace.clone();
            // What is settled is carried by its row, and its calls by the permits of their providers: a slow provider holds up
            // nobody's deliveries.
            let delivery = delivery.occupying(Box::new((permit, settling)));
            // A task of its own even when alone: if it panics, or outlasts a stop, the consumer does not. On the heap from
            // the start: to spawn moves what is spawned a dozen times, and this is thousands of bytes.
            tasks.spawn(trace::within(trace, Box::pin(work(Arc::clone(courier), delivery))));
            if let Some(settled) = settled {
                // What it occupies is dropped then; nothing is ever sent.
                stop.run_until_cancelled(settled).await;
            }
        }
    }

    async fn take(&self, courier: &Courier) -> Result<(Delivery, OwnedSemaphorePermit), BrokerError> {
        let permit = Arc::clone(&self.in_hand).acquire_owned().await;
        let permit = permit.expect("the semaphore of a consumer is never closed");
        if let Queue::Lane(lane) = self.queue {
            let in_hand = || self.room.saturating_sub(self.in_hand.available_permits() + 1);
            courier.room(lane, in_hand).await;
        }
        self.waits.store(true, Ordering::Relaxed);
        let taken = courier.broker.take(self.queue).await;
        self.waits.store(false, Ordering::Relaxed);
        let delivery = taken?;
        self.taken.fetch_add(1, Ordering::Relaxed);
        courier.desk.metrics.delivery(self.queue, courier.desk.clock.now());
        Ok((delivery, permit))
    }

    /// Looks every now and then whether deliveries still come.
    pub(crate) async fn watch(&self, courier: &Courier, stop: CancellationToken) {
        let every = Duration::from_millis(LOOK_EVERY_MS);
        self.look(courier);
        while stop.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
            self.look(courier);
        }
        courier.desk.metrics.consumer(self.queue, false);
    }

    /// Silent is who waits with empty hands, at a broker that is there, for a queue that is not empty.
    fn look(&self, courier: &Courier) {
        let free = self.in_hand.available_permits();
        let waits = self.waits.load(Ordering::Relaxed);
        let well = courier.broker.trouble().is_none();
        let ready = waits && free + 1 >= self.room && well;
        let waiting = courier.broker.backlog(self.queue).waiting > 0;
        let taken = self.taken.load(Ordering::Relaxed);
        let mut watched = self.lock();
        // Whoever has both hands full is as fast as it goes, and what comes while the broker is asked may not be seen to wait.
        let full_hands = free == 0 && !waits;
        let flows = self.lane().is_some_and(|lane| courier.crowds.of(lane).flows());
        watched.measure(self.finished(), (waiting || full_hands) && well && flows, Instant::now());
        if ready && waiting && taken == watched.taken {
            watched.silent_since.get_or_insert_with(Instant::now);
        } else {
            (watched.taken, watched.silent_since) = (taken, None);
        }
        let active = well && watched.silent_since.is_none();
        courier.desk.metrics.consumer(self.queue, active);
    }

    /// Why this consumer counts as dead.
    pub(crate) fn silence(&self) -> Option<String> {
        let silent = self.lock().silent_since?.elapsed();
        (silent >= Duration::from_millis(SILENCE_MS_MAX)).then(|| {
            let (queue, silent_s) = (self.queue.word(), silent.as_secs());
            format!("queue {queue} is not empty, and its consumer got nothing for {silent_s} s")
        })
    }

    /// Deliveries that are in hand no more, for whatever reason: one that was given back counts each time it comes. One less
    /// while the next one is waited for.
    fn finished(&self) -> u64 {
        let in_hand = self.room.saturating_sub(self.in_hand.available_permits());
        self.taken.load(Ordering::Relaxed).saturating_sub(in_hand as u64)
    }

    /// Deliveries finished per second, of the last seconds in which something waited and got through; `None` while too little
    /// did. A lane that only messages for full providers keep is looked through, which is not its pace, and where nothing
    /// moves something keeps this worker, nobody knows for how long.
    pub(crate) fn drained_per_s(&self) -> Option<f64> {
        self.lock().drain.per_s(Instant::now()).filter(|per_s| *per_s > 0.0)
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().expect("no code panics while it holds what was seen")
    }
}

impl Watched {
    /// Unless something waits at both ends, what was finished says how fast deliveries came.
    fn measure(&mut self, finished: u64, waiting: bool, now: Instant) {
        let left = finished.saturating_sub(self.finished);
        let waited_at = std::mem::replace(&mut self.waited_at, waiting.then_some(now));
        if let Some(since) = waited_at.filter(|_| waiting) {
            self.drain.add(now, now.duration_since(since), left);
        }
        self.finished = finished;
    }
}
