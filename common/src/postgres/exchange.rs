//! One exchange with the server: a statement or a transaction on a connection of the pool, waited for with bounded patience.
//!
//! The server's own statement timeout ends what takes too long. Patience is for a server, or a machine on the way, that took
//! the question and says nothing: its connection is left, and the caller gets an answer.

use deadpool_postgres::{Client, Object, Pool};
use tokio::time::{Duration, timeout};
use tokio_postgres::Error;

use super::session::unpooled;
use super::trouble::Trouble;
use crate::store::StoreError;

/// A server that says nothing for as long as its own statement timeouts should have ended is not there.
const SILENCE_FACTOR: u32 = 2;

/// How long one exchange is waited for, under this statement timeout in milliseconds.
pub(super) fn patience(statement_timeout_ms: u64) -> Duration {
    Duration::from_millis(statement_timeout_ms) * SILENCE_FACTOR
}

pub(super) fn silence(patience: Duration) -> String {
    format!("PostgreSQL said nothing for {} ms", patience.as_millis())
}

/// Where silence leaves what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing changed.
    Reads,
    /// Nobody knows whether it was written.
    Writes,
}

/// Connections for one kind of work. Clones share them.
#[derive(Clone)]
pub(super) struct Exchanges {
    pool: Pool,
    patience: Duration,
}

impl Exchanges {
    pub(super) fn new(pool: Pool, statement_timeout_ms: u64) -> Self {
        Self { pool, patience: patience(statement_timeout_ms) }
    }

    /// Of work that knows its own trouble. The time until the pool gives a connection is bounded by the pool.
    pub(super) async fn once<T>(
        &self,
        effect: Effect,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let pooled = self.pool.get().await;
        let mut client = pooled.map_err(|error| Trouble::Unavailable { why: unpooled(&error) })?;
        let Ok(done) = timeout(self.patience, work(&mut client)).await else {
            drop(Object::take(client));
            let why = silence(self.patience);
            return Err(match effect {
                Effect::Reads => Trouble::Unavailable { why },
                Effect::Writes => Trouble::Unknown { why },
            });
        };
        if let Err(Trouble::Lost { .. } | Trouble::Unknown { .. }) = &done {
            // Whatever state its session is in, nobody shall meet it.
            drop(Object::take(client));
        }
        done
    }

    /// Of a statement that commits by itself, or of a whole transaction.
    pub(super) async fn ask<T>(
        &self,
        effect: Effect,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        let work = async |client: &mut Client| work(client).await.map_err(|error| Trouble::at_commit(&error));
        Ok(self.once(effect, work).await?)
    }
}
