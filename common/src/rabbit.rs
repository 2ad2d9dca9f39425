//! The queue on RabbitMQ, 3.10 to 4.x; the only module that names `lapin`.
//!
//! From the outside in: `Rabbit` is the seam's backend; `supervisor` keeps a `generation` alive, which has two
//! connections (`line`), `publisher` tasks, `consumer` tasks with a `ledger` each, and `readings`. Names, queues and what
//! travels are in `names`, `topology` and `envelope`. Bodies that wait for the same queue travel as one message (`gathering`,
//! `batch`) and come out of it one by one (`consumer`, `apart`): nobody outside knows. There is no automatic recovery: any
//! failure ends the generation.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::{Duration, Instant};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::broker::{Backlog, Broker, BrokerError, Delivery, Parked, Queue, Unpark};
use crate::clock::Clock;
use crate::dice::Dice;
use crate::message::MessageId;
use crate::metrics::Metrics;
use crate::wire;

mod apart;
mod batch;
mod consumer;
mod depth;
mod drift;
mod envelope;
mod error;
mod gathering;
mod generation;
mod intake;
mod ledger;
mod letter;
mod line;
mod names;
mod parking;
mod publisher;
mod readings;
mod settings;
mod sizes;
mod supervisor;
mod topology;
mod watermark;

pub use drift::Drift;
pub use error::RabbitError;
pub use settings::{PUBLISH_DEADLINE_MS_MAX, QueueLengths, RabbitSettings};

use generation::Generation;
use intake::Intake;
use letter::Letter;
use line::{Address, Line};
use names::{Names, Place};

/// Publishes and takes while a broker can be reached; keeps trying while none can.
pub struct Rabbit {
    shared: Arc<Shared>,
    tasks: TaskTracker,
    /// Looks into the parked queue one at a time: they hide bodies from each other.
    looking: tokio::sync::Mutex<()>,
    _stop: DropGuard,
}

struct Shared {
    settings: RabbitSettings,
    addresses: Vec<Address>,
    names: Names,
    clock: Clock,
    dice: Arc<Dice>,
    intakes: BTreeMap<Queue, Arc<Intake>>,
    link: watch::Sender<Link>,
    stop: CancellationToken,
    telling: Telling,
}

/// Whose counters are told, once there are some: a connection is opened before they are.
type Telling = Arc<OnceLock<Arc<Metrics>>>;

#[derive(Clone)]
enum Link {
    /// The first attempt is under way.
    Connecting,
    Down {
        why: String,
    },
    Up(Arc<Generation>),
    Closed,
}

/// Whether there is a broker, for readiness and for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkState {
    Up {
        /// `host:port/vhost`.
        broker: String,
        /// What the broker says while it takes no messages, as it does without memory or disk.
        blocked: Option<String>,
    },
    Down {
        why: String,
    },
}

impl Rabbit {
    /// Returns before there is a connection: a broker that is away comes back, a wrong setting does not get right.
    /// Call within a tokio runtime.
    pub fn connect(settings: &RabbitSettings, clock: Clock, dice: Arc<Dice>) -> Result<Arc<Self>, RabbitError> {
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            addresses: settings.check()?,
            names: Names::new(settings),
            settings: settings.clone(),
            clock,
            dice,
            intakes: Queue::ALL.into_iter().map(|queue| (queue, Arc::new(Intake::new()))).collect(),
            link: watch::Sender::new(Link::Connecting),
            stop: stop.clone(),
            telling: Telling::default(),
        });
        let tasks = TaskTracker::new();
        tasks.spawn(supervisor::run(Arc::clone(&shared)));
        Ok(Arc::new(Self { shared, tasks, looking: tokio::sync::Mutex::new(()), _stop: stop.drop_guard() }))
    }

    /// From here on these metrics are told of new connections and of refused messages. Only the first call counts.
    pub fn tell(&self, metrics: &Arc<Metrics>) {
        self.shared.telling.get_or_init(|| Arc::clone(metrics));
    }

    pub fn state(&self) -> LinkState {
        state(&self.shared.link.borrow())
    }

    /// Waits until the state is such; ask with a bound of your own.
    pub async fn wait_for(&self, mut wanted: impl FnMut(&LinkState) -> bool) -> LinkState {
        let mut link = self.shared.link.subscribe();
        let reached = link.wait_for(|link| wanted(&state(link))).await;
        state(&reached.expect("the sender lives as long as this"))
    }

    /// What at the broker is not as this program would have made it, as of the last connection.
    pub fn drifts(&self) -> Vec<Drift> {
        match &*self.shared.link.borrow() {
            Link::Up(generation) => generation.drifts.clone(),
            Link::Connecting | Link::Down { .. } | Link::Closed => Vec::new(),
        }
    }

    /// Takes nothing more, waits (bounded) for what is in hand and under way, closes channels, then connections.
    pub async fn close(&self) {
        self.shared.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Waits for the first attempt, within the deadline of a publish, and for no later one.
    async fn generation(&self) -> Result<Arc<Generation>, BrokerError> {
        if let Link::Up(generation) = &*self.shared.link.borrow() {
            return Ok(Arc::clone(generation));
        }
        let mut link = self.shared.link.subscribe();
        let deadline = Duration::from_millis(self.shared.settings.publish_deadline_ms);
        let known = link.wait_for(|link| !matches!(link, Link::Connecting));
        let unknown = |why: &str| BrokerError::Unavailable { why: why.to_owned() };
        let known = tokio::time::timeout(deadline, known).await.map_err(|_| unknown("not connected yet"))?;
        match &*known.map_err(|_| closed())? {
            Link::Connecting => Err(unknown("not connected yet")),
            Link::Up(generation) => Ok(Arc::clone(generation)),
            Link::Down { why } => Err(unknown(why)),
            Link::Closed => Err(closed()),
        }
    }

    /// Where a body with this id goes. A queue that is known to be full is not asked; the broker refuses what comes in before
    /// that is known.
    fn place(&self, queue: Queue, id: MessageId) -> Result<&Arc<Place>, BrokerError> {
        let limit = self.shared.names.length(queue);
        if self.backlog(queue).waiting >= limit {
            return Err(BrokerError::Full { queue, limit });
        }
        Ok(self.shared.names.place_of(queue, id))
    }

    fn new_id(&self) -> MessageId {
        MessageId::new(self.shared.clock.now(), self.shared.dice.id_bits())
    }
}

#[async_trait]
impl Broker for Rabbit {
    async fn publish(&self, queue: Queue, body: Vec<u8>) -> Result<(), BrokerError> {
        let generation = self.generation().await?;
        let id = match queue {
            Queue::Lane(_) | Queue::GivenUp => wire::lane_message_id(&body),
            Queue::Receipts => None,
        };
        let id = id.unwrap_or_else(|| self.new_id());
        let place = self.place(queue, id)?;
        generation.publish(place, generation.letter(id, body)).await
    }

    /// Waits through times without a broker.
    async fn take(&self, queue: Queue) -> Result<Delivery, BrokerError> {
        let taken = self.shared.stop.run_until_cancelled(self.shared.intake(queue).take()).await;
        taken.ok_or_else(closed)
    }

    fn backlog(&self, queue: Queue) -> Backlog {
        self.shared.intake(queue).depth.backlog(Instant::now())
    }

    fn trouble(&self) -> Option<String> {
        match self.state() {
            LinkState::Up { broker, blocked } => blocked.map(|why| format!("{broker} takes no messages: {why}")),
            LinkState::Down { why } => Some(why),
        }
    }

    async fn parked(&self, limit: usize) -> Result<Vec<Parked>, BrokerError> {
        let generation = self.generation().await?;
        let _alone = self.looking.lock().await;
        parking::list(&generation, limit).await
    }

    async fn unpark(&self, parked_id: i64, how: Unpark) -> Result<bool, BrokerError> {
        let generation = self.generation().await?;
        let _alone = self.looking.lock().await;
        let replay = async |parked: Parked, properties| {
            let letter = Letter::whole(properties, parked.body);
            let place = self.place(parked.queue, letter.id().unwrap_or_else(|| self.new_id()))?;
            generation.publish(place, letter).await
        };
        parking::take_out(&generation, parked_id, how, replay).await
    }
}

/// What at the broker is not as it should be; makes nothing, tries once. Also names what is missing.
pub async fn topology_check(settings: &RabbitSettings) -> Result<Vec<Drift>, RabbitError> {
    let (line, names) = once(settings, "topology check").await?;
    let checked = topology::check(&line.connection, &names).await;
    line.close().await;
    checked.map_err(unreachable)
}

/// Where our queues are at the broker, for whoever asks about them by another way than AMQP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whereabouts {
    pub vhost: String,
    pub queues: Vec<String>,
}

pub fn whereabouts(settings: &RabbitSettings) -> Result<Whereabouts, RabbitError> {
    let addresses = settings.check()?;
    let vhost = addresses.into_iter().next().map_or_else(|| "/".to_owned(), |address| address.uri.vhost);
    Ok(Whereabouts { vhost, queues: topology::queues(&Names::new(settings)) })
}

/// Deletes the namespace's queues, with all that is in them, and its exchange.
pub async fn topology_erase(settings: &RabbitSettings) -> Result<(), RabbitError> {
    let (line, names) = once(settings, "topology erase").await?;
    let erased = topology::erase(&line.connection, &names).await;
    line.close().await;
    erased.map_err(unreachable)
}

async fn once(settings: &RabbitSettings, role: &str) -> Result<(Line, Names), RabbitError> {
    let mut whys = Vec::new();
    for address in settings.check()? {
        match Line::open(&address, role).await {
            Ok(line) => return Ok((line, Names::new(settings))),
            Err(why) => whys.push(why),
        }
    }
    Err(RabbitError::Unreachable { why: whys.join("; ") })
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err takes it")]
fn unreachable(error: lapin::Error) -> RabbitError {
    RabbitError::Unreachable { why: error::trouble(&error) }
}

impl Shared {
    fn intake(&self, queue: Queue) -> &Arc<Intake> {
        self.intakes.get(&queue).expect("every queue has an intake from the start")
    }
}

fn state(link: &Link) -> LinkState {
    match link {
        Link::Up(generation) => LinkState::Up { broker: generation.broker.clone(), blocked: generation.blocked() },
        Link::Connecting => LinkState::Down { why: "not connected yet".to_owned() },
        Link::Down { why } => LinkState::Down { why: why.clone() },
        Link::Closed => LinkState::Down { why: "closed".to_owned() },
    }
}

fn closed() -> BrokerError {
    BrokerError::Unavailable { why: "this process closed its connection".to_owned() }
}

impl std::fmt::Debug for Rabbit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rabbit").field("state", &self.state()).finish_non_exhaustive()
    }
}
