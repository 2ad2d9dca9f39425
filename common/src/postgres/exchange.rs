//! One exchange with the server: a statement or a transaction on a connection of the pool, waited for with bounded patience.
//!
//! The server's own statement timeout ends what takes too long. Patience is for a server, or a machine on the way, that took
//! the question and says nothing: its connection is left, and the caller gets an answer. Whoever comes while such a server is
//! tried once more is told at once: thousands that wait in turn would each wait for all before them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use deadpool_postgres::{Client, Object, Pool, PoolError, TimeoutType};
use tokio::time::{Duration, Instant, timeout};
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

/// A failure that took this long is silence; what is refused sooner holds nobody up.
const SILENT_MS_MIN: u64 = 1_000;

/// Connections for one kind of work. Clones share them.
#[derive(Clone)]
pub(super) struct Exchanges {
    pool: Pool,
    patience: Duration,
    silence: Arc<Silence>,
}

/// Whether the server was silent the last time, and whether somebody tries it again.
#[derive(Debug, Default)]
struct Silence {
    lasts: AtomicBool,
    is_tried: AtomicBool,
}

/// An exchange that may go on.
struct Turn<'a> {
    silence: &'a Silence,
    begun: Instant,
    /// Nobody else goes on until this one is over.
    tries: bool,
    concluded: AtomicBool,
}

impl Silence {
    /// `None` while the server is silent and somebody else tries it.
    fn turn(&self) -> Option<Turn<'_>> {
        let tries = self.lasts.load(Ordering::Relaxed);
        if tries && self.is_tried.swap(true, Ordering::Relaxed) {
            return None;
        }
        Some(Turn { silence: self, begun: Instant::now(), tries, concluded: AtomicBool::new(false) })
    }
}

impl Turn<'_> {
    /// Whatever the server said.
    fn answered(&self) {
        self.concludes(false);
    }

    fn unanswered(&self) {
        self.concludes(self.begun.elapsed() >= Duration::from_millis(SILENT_MS_MIN));
    }

    /// It did not come to asking: nothing is known that was not known before.
    fn unasked(&self) {
        self.concluded.store(true, Ordering::Relaxed);
    }

    fn concludes(&self, is_silent: bool) {
        self.concluded.store(true, Ordering::Relaxed);
        self.silence.lasts.store(is_silent, Ordering::Relaxed);
    }
}

/// Also of an exchange that nobody waits for any more: whoever left after a while saw silence.
impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !*self.concluded.get_mut() && self.begun.elapsed() >= Duration::from_millis(SILENT_MS_MIN) {
            self.silence.lasts.store(true, Ordering::Relaxed);
        }
        if self.tries {
            self.silence.is_tried.store(false, Ordering::Relaxed);
        }
    }
}

impl Exchanges {
    pub(super) fn new(pool: Pool, statement_timeout_ms: u64) -> Self {
        Self { pool, patience: patience(statement_timeout_ms), silence: Arc::default() }
    }

    /// Of work that knows its own trouble. The time until the pool gives a connection is bounded by the pool.
    pub(super) async fn once<T>(
        &self,
        effect: Effect,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let Some(turn) = self.silence.turn() else {
            return Err(Trouble::Unavailable { why: "PostgreSQL was silent, and is being tried again".to_owned() });
        };
        let pooled = self.pool.get().await.inspect_err(|error| match error {
            // All connections are in use: those who have them tell whether the server answers.
            PoolError::Timeout(TimeoutType::Wait) => turn.unasked(),
            PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle)
            | PoolError::Backend(_)
            | PoolError::Closed
            | PoolError::NoRuntimeSpecified
            | PoolError::PostCreateHook(_) => turn.unanswered(),
        });
        let mut client = pooled.map_err(|error| Trouble::Unavailable { why: unpooled(&error) })?;
        let Ok(done) = timeout(self.patience, work(&mut client)).await else {
            turn.unanswered();
            drop(Object::take(client));
            // The others lead to the same server: whoever tries it again connects anew.
            self.pool.retain(|_, _| false);
            let why = silence(self.patience);
            return Err(match effect {
                Effect::Reads => Trouble::Unavailable { why },
                Effect::Writes => Trouble::Unknown { why },
            });
        };
        match &done {
            Err(Trouble::Lost { .. } | Trouble::Unknown { .. }) => turn.unanswered(),
            Ok(_) | Err(Trouble::Raced { .. } | Trouble::Row { .. } | Trouble::Unavailable { .. }) => turn.answered(),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// One that gets no answer for so long.
    async fn unanswered(silence: &Silence, ms: u64) {
        let turn = silence.turn().expect("nobody else tries");
        tokio::time::sleep(Duration::from_millis(ms)).await;
        turn.unanswered();
    }

    fn two_may_go_on(silence: &Silence) -> bool {
        let both = (silence.turn(), silence.turn());
        both.0.is_some() && both.1.is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn while_a_silent_server_is_tried_again_nobody_waits_behind() {
        let silence = Silence::default();
        unanswered(&silence, 5_000).await;
        let trying = silence.turn().expect("one tries it again");
        assert!(silence.turn().is_none() && silence.turn().is_none());
        drop(trying);
        let trying = silence.turn().expect("the one before gave up, so that another may try");
        trying.answered();
        drop(trying);
        assert!(two_may_go_on(&silence), "it is back");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_leaves_after_a_while_saw_silence_and_whoever_got_no_connection_saw_nothing() {
        let silence = Silence::default();
        for (ms, is_asked, may_go_on) in [(2_000, false, true), (SILENT_MS_MIN - 1, true, true), (2_000, true, false)] {
            let turn = silence.turn().expect("nobody else tries");
            tokio::time::sleep(Duration::from_millis(ms)).await;
            if !is_asked {
                turn.unasked();
            }
            drop(turn);
            assert_eq!(two_may_go_on(&silence), may_go_on, "{ms} {is_asked}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_at_once_is_no_silence() {
        let silence = Silence::default();
        unanswered(&silence, SILENT_MS_MIN - 1).await;
        assert!(two_may_go_on(&silence));
    }
}
