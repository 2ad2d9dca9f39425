//! One exchange with the server: a statement or a transaction on a connection of the pool, waited for with bounded patience.
//!
//! The server's own statement timeout ends what takes too long. Patience is for a server, or a machine on the way, that took
//! the question and says nothing: its connection is left, and the caller gets an answer. Whoever comes while such a server is
//! tried once more is told at once: thousands that wait in turn would each wait for all before them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use deadpool_postgres::{Client, Object, Pool, PoolError, TimeoutType};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Duration, Instant, timeout};
use tokio_postgres::Error;

use super::PostgresSettings;
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
    /// As many as the pool has connections, and waited for here and not there: so it is known who waits for one of us, and who
    /// for the server.
    free: Arc<Semaphore>,
    patience: Duration,
    silence: Arc<Silence>,
    /// Where the url names other servers as well.
    moving: Option<Arc<Moving>>,
}

/// The pools that lead to one server, which may have to be left: it keeps its connections open and takes no writes any more.
struct Moving {
    pools: Vec<Pool>,
    moves: AtomicU64,
}

impl Moving {
    /// A new connection looks for the server that takes writes now. Those in use are not given back.
    fn moves_on(&self) {
        self.moves.fetch_add(1, Ordering::Relaxed);
        for pool in &self.pools {
            pool.retain(|_, _| false);
        }
    }
}

/// Whether the server was silent the last time, and whether somebody tries it again.
#[derive(Debug, Default)]
struct Silence {
    lasts: AtomicBool,
    is_tried: AtomicBool,
    /// What was done, so that whoever waited for a connection knows whether the others were served meanwhile.
    served: AtomicU64,
}

/// An exchange that may go on.
struct Turn<'a> {
    silence: &'a Silence,
    /// Nobody else goes on until this one is over.
    tries: bool,
    stage: Stage,
}

enum Stage {
    /// For a connection that others of us have: they tell whether the server answers.
    Waiting,
    Asking {
        since: Instant,
    },
    Concluded,
}

impl Silence {
    /// `None` while the server is silent and somebody else tries it.
    fn turn(&self) -> Option<Turn<'_>> {
        let tries = self.lasts.load(Ordering::Relaxed);
        if tries && self.is_tried.swap(true, Ordering::Relaxed) {
            return None;
        }
        Some(Turn { silence: self, tries, stage: Stage::Waiting })
    }
}

impl Turn<'_> {
    /// From here on only the server is waited for.
    fn asks(&mut self) {
        self.stage = Stage::Asking { since: Instant::now() };
    }

    /// Whatever the server said.
    fn answered(&mut self) {
        self.concludes(false);
    }

    fn unanswered(&mut self) {
        self.concludes(self.took_long());
    }

    fn took_long(&self) -> bool {
        match self.stage {
            Stage::Asking { since } => since.elapsed() >= Duration::from_millis(SILENT_MS_MIN),
            Stage::Waiting | Stage::Concluded => false,
        }
    }

    fn concludes(&mut self, is_silent: bool) {
        self.stage = Stage::Concluded;
        self.silence.lasts.store(is_silent, Ordering::Relaxed);
    }
}

/// Also of an exchange that nobody waits for any more: whoever left after asking for a while saw silence.
impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.took_long() {
            self.concludes(true);
        }
        if self.tries {
            self.silence.is_tried.store(false, Ordering::Relaxed);
        }
    }
}

impl Exchanges {
    pub(super) fn new(pool: Pool, settings: &PostgresSettings) -> Self {
        let free = Arc::new(Semaphore::new(pool.status().max_size));
        let patience = patience(settings.statement_timeout_ms);
        Self { pool, free, patience, silence: Arc::default(), moving: None }
    }

    /// Where one of them is told that its server takes no writes any more, all look for another one.
    pub(super) fn moving_together(all: [&mut Self; 2]) {
        let pools = all.iter().map(|one| one.pool.clone()).collect();
        let moving = Arc::new(Moving { pools, moves: AtomicU64::new(0) });
        for one in all {
            one.moving = Some(Arc::clone(&moving));
        }
    }

    /// Of work that knows its own trouble. The time until there is a connection is bounded by the pool's settings.
    pub(super) async fn once<T>(
        &self,
        effect: Effect,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let Some(mut turn) = self.silence.turn() else {
            return Err(Trouble::Unavailable { why: "PostgreSQL was silent, and is being tried again".to_owned() });
        };
        // Given back after the connection is.
        let _free = self.free().await?;
        turn.asks();
        let moves = self.moves();
        let pooled = self.pool.get().await.inspect_err(|_| turn.unanswered());
        let mut client = pooled.map_err(|error| no_connection(&error))?;
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
            Ok(_) | Err(Trouble::Raced { .. } | Trouble::Row { .. }) => {
                self.silence.served.fetch_add(1, Ordering::Relaxed);
                turn.answered();
            }
            // It speaks, but one that cancels whatever it is asked serves nobody.
            Err(Trouble::Unavailable { .. } | Trouble::ReadOnly { .. } | Trouble::Crowded { .. }) => turn.answered(),
        }
        if let (Some(moving), Err(Trouble::ReadOnly { .. })) = (&self.moving, &done) {
            moving.moves_on();
        }
        let is_left = self.moves() != moves;
        if is_left || matches!(&done, Err(Trouble::Lost { .. } | Trouble::Unknown { .. })) {
            // Whatever state its session is in, nobody shall meet it.
            drop(Object::take(client));
        }
        done
    }

    fn moves(&self) -> u64 {
        self.moving.as_ref().map_or(0, |moving| moving.moves.load(Ordering::Relaxed))
    }

    /// A connection that nobody has, or room for one.
    async fn free(&self) -> Result<SemaphorePermit<'_>, Trouble> {
        let wait = self.pool.timeouts().wait.unwrap_or(Duration::MAX);
        let served = || self.silence.served.load(Ordering::Relaxed);
        let before = served();
        let too_long = |_| {
            let why = unpooled(&PoolError::Timeout(TimeoutType::Wait));
            if served() == before { Trouble::Unavailable { why } } else { Trouble::Crowded { why } }
        };
        let free = timeout(wait, self.free.acquire()).await.map_err(too_long)?;
        Ok(free.expect("nobody closes it"))
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

fn no_connection(error: &PoolError) -> Trouble {
    Trouble::Unavailable { why: unpooled(error) }
}

#[cfg(test)]
mod tests {
    use super::super::PostgresSettings;
    use super::super::session::{self, Kind};
    use super::*;
    use crate::config::Secret;

    /// One that gets no answer for so long.
    async fn unanswered(silence: &Silence, ms: u64) {
        let mut turn = silence.turn().expect("nobody else tries");
        turn.asks();
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
        let mut trying = silence.turn().expect("the one before gave up, so that another may try");
        trying.answered();
        drop(trying);
        assert!(two_may_go_on(&silence), "it is back");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_leaves_after_asking_for_a_while_saw_silence_and_whoever_asked_nothing_saw_nothing() {
        let silence = Silence::default();
        for (waited_ms, asked_ms, may_go_on) in
            [(2_000, None, true), (2_000, Some(SILENT_MS_MIN - 1), true), (0, Some(2_000), false)]
        {
            let mut turn = silence.turn().expect("nobody else tries");
            tokio::time::sleep(Duration::from_millis(waited_ms)).await;
            if let Some(ms) = asked_ms {
                turn.asks();
                tokio::time::sleep(Duration::from_millis(ms)).await;
            }
            drop(turn);
            assert_eq!(two_may_go_on(&silence), may_go_on, "{waited_ms} {asked_ms:?}");
        }
    }

    /// Whether it may still be waited for after so long: nothing here ever connects.
    async fn waits(people: &Exchanges, ms: u64) -> bool {
        let asking =
            people.once(Effect::Reads, async |_| -> Result<(), Trouble> { unreachable!("nobody is connected") });
        timeout(Duration::from_millis(ms), asking).await.is_err()
    }

    #[tokio::test(start_paused = true)]
    async fn while_all_connections_are_in_use_nobody_who_leaves_saw_silence() {
        let settings = PostgresSettings::new(Secret::new("postgres://otodoke@localhost/otodoke"));
        let pool = session::pool(&settings, Kind::People, 2).expect("a good url");
        let people = Exchanges::new(pool, &settings);
        let in_use = people.free.acquire_many(2).await.expect("nobody closes it");
        assert!(waits(&people, 2 * SILENT_MS_MIN).await, "it is left before its time is over");
        assert!(!waits(&people, settings.wait_timeout_ms + 1).await, "its time is over");
        drop(in_use);
        assert!(two_may_go_on(&people.silence), "they work on");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waited_for_others_that_were_served_found_no_server_away() {
        let settings = PostgresSettings::new(Secret::new("postgres://otodoke@localhost/otodoke"));
        let pool = session::pool(&settings, Kind::People, 2).expect("a good url");
        let people = Exchanges::new(pool, &settings);
        let _in_use = people.free.acquire_many(2).await.expect("nobody closes it");
        let another = async {
            people.silence.served.fetch_add(1, Ordering::Relaxed);
        };
        let (waited, ()) = tokio::join!(people.free(), another);
        assert!(matches!(waited, Err(Trouble::Crowded { .. })), "the server did what another asked meanwhile");
        let waited = people.free().await;
        assert!(matches!(waited, Err(Trouble::Unavailable { .. })), "nobody was served");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_at_once_is_no_silence() {
        let silence = Silence::default();
        unanswered(&silence, SILENT_MS_MIN - 1).await;
        assert!(two_may_go_on(&silence));
    }
}
