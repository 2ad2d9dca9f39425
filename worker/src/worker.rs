//! A worker: its parts, its settings, and how it runs and stops.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use otodoke_common::broker::Broker;
use otodoke_common::code::CodeKeys;
use otodoke_common::desk::Desk;
use otodoke_common::health::Health;
use otodoke_common::leg::ProviderId;
use otodoke_common::message::Lane;
use otodoke_common::provider::Registry;
use otodoke_common::route::RouteTable;
use otodoke_common::text::Templates;
use tokio::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::courier::Courier;
use crate::permits::{Capacity, Permits};
use crate::sweep::{self, Pace};
use crate::{deliver, receipts};

/// What is in hand when the stop comes gets this long to finish; what does not is found by the sweep of the next start.
const STOP_WAIT_MS_MAX: u64 = 15_000;

pub struct WorkerParts {
    pub desk: Desk,
    pub broker: Arc<dyn Broker>,
    pub routes: Arc<RouteTable>,
    pub providers: Arc<Registry>,
    pub codes: Arc<CodeKeys>,
    pub templates: Arc<Templates>,
}

#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// Messages of each lane in hand at a time.
    pub lanes: BTreeMap<Lane, usize>,
    pub capacities: BTreeMap<ProviderId, Capacity>,
    pub sweep_every_ms: u64,
    /// Due messages released per second.
    pub release_per_s: u32,
}

pub struct Worker {
    courier: Arc<Courier>,
    settings: WorkerSettings,
}

impl Worker {
    pub fn new(parts: WorkerParts, settings: WorkerSettings) -> Self {
        let health = Mutex::new(Health::new(parts.desk.clock.now()));
        let courier = Courier {
            permits: Permits::new(settings.capacities.clone()),
            desk: parts.desk,
            broker: parts.broker,
            routes: parts.routes,
            providers: parts.providers,
            codes: parts.codes,
            templates: parts.templates,
            health,
            waiting: [const { AtomicUsize::new(0) }; 3],
        };
        Self { courier: Arc::new(courier), settings }
    }

    /// Runs until `stop`: then takes nothing more, finishes what is in hand (bounded), and returns.
    pub async fn run(self, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        let loops = TaskTracker::new();
        for lane in Lane::ALL {
            let concurrency = self.settings.lanes.get(&lane).copied().unwrap_or(1);
            loops.spawn(deliver::run(Arc::clone(&self.courier), lane, concurrency, tasks.clone(), stop.clone()));
        }
        loops.spawn(receipts::run(Arc::clone(&self.courier), tasks.clone(), stop.clone()));
        let pace = Pace { every_ms: self.settings.sweep_every_ms, release_per_s: self.settings.release_per_s };
        loops.spawn(sweep::run(Arc::clone(&self.courier), pace, tasks.clone(), stop.clone()));
        loops.spawn(sweep::tidy(Arc::clone(&self.courier), stop.clone()));
        loops.close();
        loops.wait().await;
        tasks.close();
        if tokio::time::timeout(Duration::from_millis(STOP_WAIT_MS_MAX), tasks.wait()).await.is_err() {
            tracing::warn!(in_hand = tasks.len(), "stopped with messages in hand; the next sweep finds them");
        }
    }
}
