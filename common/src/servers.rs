//! RabbitMQ and PostgreSQL under one process in production: opened before they are reached, watched while it runs, closed
//! when nothing is in hand any more. Above this nobody knows which backends they are.
//!
//! A process starts in any order with its servers: what waits for one says why (`late`), and readiness with it. Only what
//! waiting cannot mend ends it. The clock follows PostgreSQL's (`agreement`).

mod agreement;
mod late;

use std::sync::Arc;

use tokio::time::{Duration, sleep};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::{Problem, Problems, Settings};
use crate::dice::Dice;
use crate::metrics::Metrics;
use crate::postgres::{Postgres, PostgresError, PostgresSettings};
use crate::rabbit::Rabbit;
use crate::retry::Delays;
pub use late::LateStore;

const REACH_FIRST_MS: u64 = 250;
const REACH_LAST_MS: u64 = 5_000;

pub struct Servers {
    pub broker: Arc<Rabbit>,
    pub store: Arc<LateStore>,
    pub clock: Clock,
    pub dice: Arc<Dice>,
    postgres: PostgresSettings,
}

impl Servers {
    /// Returns before either server was reached. Call within a tokio runtime.
    pub fn open(settings: &Settings) -> Result<Self, Problems> {
        let (amqp, postgres) = settings.servers()?;
        let (clock, dice) = (Clock::system(), Arc::new(Dice::system()));
        let broker = Rabbit::connect(amqp, clock.clone(), Arc::clone(&dice))
            .map_err(|error| Problems(vec![Problem::missing("amqp", error.to_string())]))?;
        Ok(Self { broker, store: Arc::new(LateStore::new()), clock, dice, postgres: postgres.clone() })
    }

    /// Runs `work`, which ends soon after `stop`, and beside it whatever keeps the servers usable. Where waiting for the
    /// store cannot help, `stop` is cancelled and the error says what would.
    pub async fn run<T>(
        &self,
        metrics: &Arc<Metrics>,
        stop: &CancellationToken,
        work: impl Future<Output = T>,
    ) -> Result<T, PostgresError> {
        self.broker.tell(metrics);
        let work = async {
            let done = work.await;
            stop.cancel();
            done
        };
        let (watched, done) = tokio::join!(self.watch(metrics, stop), work);
        self.broker.close().await;
        watched.map(|()| done)
    }

    async fn watch(&self, metrics: &Metrics, stop: &CancellationToken) -> Result<(), PostgresError> {
        let Some(reached) = stop.run_until_cancelled(self.reach()).await else { return Ok(()) };
        let postgres = reached.inspect_err(|_| stop.cancel())?;
        // The clock first: whatever the store is asked from here on carries the corrected time.
        stop.run_until_cancelled(agreement::agree(&self.clock, &postgres, metrics)).await;
        self.store.arrive(Arc::clone(&postgres));
        agreement::follow(&self.clock, &postgres, metrics, stop).await;
        Ok(())
    }

    /// Every process brings the schema up to date; whoever comes first does it.
    async fn reach(&self) -> Result<Arc<Postgres>, PostgresError> {
        let delays = Delays::new(REACH_FIRST_MS, REACH_LAST_MS);
        let mut tries = 0;
        loop {
            let error = match reach_once(&self.postgres).await {
                Err(error) if error.waiting_helps() => error,
                reached => return reached,
            };
            tries += 1;
            let wait_ms = delays.delay_ms(tries, self.dice.roll());
            tracing::warn!(%error, wait_ms, "the store cannot be used yet; it is tried again");
            self.store.waits_for(error.to_string());
            sleep(Duration::from_millis(wait_ms)).await;
        }
    }
}

/// PostgreSQL with its schema up to date; one try.
async fn reach_once(settings: &PostgresSettings) -> Result<Arc<Postgres>, PostgresError> {
    Postgres::migrate(settings).await?;
    Postgres::connect(settings).await
}
