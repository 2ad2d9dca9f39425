//! A worker: its parts, its settings, its roles, and how it runs and stops.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use otodoke_common::broker::Queue;
use otodoke_common::config::Settings;
use otodoke_common::health::Health;
use otodoke_common::in_use::InUse;
use otodoke_common::leg::ProviderId;
use otodoke_common::message::Lane;
use otodoke_common::metrics::Circuit;
use otodoke_common::parts::Parts;
use otodoke_common::policy::SWEEP_RELEASE_PER_S;
use otodoke_common::request::publication::Publishers;
use tokio::task::JoinSet;
use tokio::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::consumer::Consumer;
use crate::courier::Courier;
use crate::crowds::Crowds;
use crate::permits::{Capacity, Permits};
use crate::probes::Probes;
use crate::questions::Questions;
use crate::recent::Recent;
use crate::roles::{Role, Roles};
use crate::sweep::{self, Pace};
use crate::{deliver, gauges, given_up, receipts, throughput};

/// What is in hand when the stop comes gets this long to finish; what does not is found by the sweep of the next start.
const STOP_WAIT_MS_MAX: u64 = 15_000;
/// What is told to others at the very end gets this long.
pub(crate) const LAST_WORD_MS_MAX: u64 = 500;
/// How often the sweep looks. A retry or a crash gap is seconds, so a tenth of one is soon enough.
const SWEEP_EVERY_MS: u64 = 100;

#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// Messages of each lane in hand at a time.
    pub lanes: BTreeMap<Lane, usize>,
    pub capacities: BTreeMap<ProviderId, Capacity>,
    pub sweep_every_ms: u64,
    /// Due messages released per second.
    pub release_per_s: u32,
    /// Whose messages other programs may publish.
    pub publishers: Publishers,
}

impl From<&Settings> for WorkerSettings {
    fn from(settings: &Settings) -> Self {
        let concurrency = |lane: Lane| usize::try_from(settings.lanes.of(lane).concurrency).unwrap_or(usize::MAX);
        Self {
            lanes: Lane::ALL.into_iter().map(|lane| (lane, concurrency(lane))).collect(),
            capacities: settings.providers.iter().map(|each| (each.id.clone(), Capacity::of(each))).collect(),
            sweep_every_ms: SWEEP_EVERY_MS,
            release_per_s: SWEEP_RELEASE_PER_S,
            publishers: Publishers::new(settings.tenants.clone()),
        }
    }
}

pub struct Worker {
    courier: Arc<Courier>,
    consumers: Vec<Arc<Consumer>>,
    pace: Pace,
    roles: Roles,
}

impl Worker {
    /// With every role.
    pub fn new(parts: Parts, settings: WorkerSettings) -> Self {
        let health = Mutex::new(Health::new(parts.desk.clock.now()));
        let room = |lane| settings.lanes.get(&lane).copied().unwrap_or(1);
        let lanes = Lane::ALL.into_iter().map(|lane| Consumer::new(Queue::Lane(lane), room(lane)));
        let receipts = Consumer::new(Queue::Receipts, receipts::IN_HAND_MAX);
        let given_up = Consumer::new(Queue::GivenUp, given_up::IN_HAND_MAX);
        let crowds = Crowds::new(&settings);
        let courier = Courier {
            permits: Permits::new(settings.capacities.clone()),
            questions: Questions::new(&settings.capacities, settings.release_per_s),
            desk: parts.desk,
            broker: parts.broker,
            routes: parts.routes,
            providers: parts.providers,
            codes: parts.codes,
            templates: parts.templates,
            publishers: settings.publishers,
            health,
            catching_up: tokio::sync::Mutex::default(),
            crowds,
            recent: Recent::default(),
            in_use: InUse::default(),
        };
        // A gauge without a value looks like a provider without a state.
        for provider in courier.providers.keys() {
            courier.desk.metrics.circuit(provider, Circuit::Closed);
        }
        Self {
            courier: Arc::new(courier),
            consumers: lanes.chain([receipts, given_up]).map(Arc::new).collect(),
            pace: Pace { every_ms: settings.sweep_every_ms, release_per_s: settings.release_per_s },
            roles: Roles::all(),
        }
    }

    /// Only with these roles.
    #[must_use]
    pub fn with_roles(mut self, roles: Roles) -> Self {
        self.consumers.retain(|consumer| match consumer.queue {
            Queue::Lane(_) => roles.has(Role::Deliver),
            Queue::Receipts => roles.has(Role::Status),
            Queue::GivenUp => roles.has(Role::Sweep),
        });
        self.roles = roles;
        self
    }

    /// How the worker looks from outside. Not ready any more once `stopping` is cancelled.
    pub fn probes(&self, stopping: CancellationToken) -> Probes {
        Probes { courier: Arc::clone(&self.courier), consumers: self.consumers.clone(), stopping }
    }

    /// Runs until `stop`: then takes nothing more, finishes what is in hand (bounded), and returns. Returns also when one
    /// of its loops is gone: a worker that does half its work must be seen, and replaced.
    pub async fn run(self, stop: CancellationToken) {
        let stop = stop.child_token();
        let tasks = TaskTracker::new();
        let mut loops = self.start(&tasks, &stop);
        while let Some(ended) = loops.join_next().await {
            if !stop.is_cancelled() {
                tracing::error!(panicked = ended.is_err(), "a loop of the worker ended by itself: the worker stops");
                stop.cancel();
            }
        }
        tasks.close();
        if tokio::time::timeout(Duration::from_millis(STOP_WAIT_MS_MAX), tasks.wait()).await.is_err() {
            tracing::warn!(in_hand = tasks.len(), "stopped with messages in hand; the next sweep finds them");
        }
        let last = self.courier.in_use.tell(&*self.courier.desk.store, self.courier.desk.clock.now());
        // A store that is away is told nothing; then what was told up to now must do.
        drop(tokio::time::timeout(Duration::from_millis(LAST_WORD_MS_MAX), last).await);
    }

    fn start(&self, tasks: &TaskTracker, stop: &CancellationToken) -> JoinSet<()> {
        let mut loops = JoinSet::new();
        for consumer in &self.consumers {
            let (courier, consumer) = (Arc::clone(&self.courier), Arc::clone(consumer));
            let (tasks, stop) = (tasks.clone(), stop.clone());
            let (watching, watched) = (Arc::clone(&courier), Arc::clone(&consumer));
            let told = stop.clone();
            loops.spawn(async move { watched.watch(&watching, told).await });
            match consumer.queue {
                Queue::Lane(lane) => {
                    let handle = move |courier, delivery| deliver::handle(courier, lane, delivery);
                    loops.spawn(async move {
                        looked(&courier, &stop).await;
                        consumer.run(&courier, handle, tasks, stop).await;
                    })
                }
                Queue::GivenUp => {
                    loops.spawn(async move { consumer.run(&courier, given_up::handle, tasks, stop).await })
                }
                Queue::Receipts => {
                    loops.spawn(async move { consumer.run(&courier, receipts::handle, tasks, stop).await })
                }
            };
        }
        let (courier, told) = (Arc::clone(&self.courier), stop.clone());
        loops.spawn(async move { courier.codes.follow(&*courier.desk.store, &told).await });
        let (courier, told) = (Arc::clone(&self.courier), stop.clone());
        loops.spawn(async move { courier.in_use.keep_telling(&*courier.desk.store, &courier.desk.clock, &told).await });
        loops.spawn(gauges::run(Arc::clone(&self.courier), stop.clone()));
        // A queue beside the rows is this process's own, and its door sees all that happens to it.
        if self.roles.has(Role::Deliver) && self.courier.broker.outlives_the_store() {
            let consumers = self.consumers.clone();
            loops.spawn(throughput::run(Arc::clone(&self.courier), consumers, stop.clone()));
        }
        if self.roles.has(Role::Sweep) {
            let (courier, tasks, until, pace) = (Arc::clone(&self.courier), tasks.clone(), stop.clone(), self.pace);
            loops.spawn(async move {
                looked(&courier, &until).await;
                sweep::run(courier, pace, tasks, until).await;
            });
            loops.spawn(sweep::tidy(Arc::clone(&self.courier), stop.clone()));
        }
        loops
    }
}

/// Until it was seen which roots are revoked, or `stop`: before, no code can go out.
async fn looked(courier: &Courier, stop: &CancellationToken) {
    stop.run_until_cancelled(courier.codes.looked()).await;
}
