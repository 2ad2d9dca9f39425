//! Grouping: what concurrent callers ask for is done in one round, by a few tasks that take all that waits.
//!
//! A task that is free takes whatever is there, so under load the groups grow by themselves; small groups that write keep a
//! pace (`pace`), for each has a flush of its own. What a group means is its `Verb`'s business.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use deadpool_postgres::Client;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::{Duration, Instant, sleep_until};

use super::exchange::{Effect, Exchanges};
use super::trouble::Trouble;
use crate::message::MessageId;
use crate::pace::{PACE_MS, Pace};
use crate::store::StoreError;

/// Rows of one group. More gains little and makes everybody wait for the last.
const GROUP_MAX: usize = 256;
/// Callers that wait in front of one verb; the next ones wait to wait.
const WAITING_MAX: usize = 4_096;
/// Looks for company in front of a group, while each finds some; and no longer than half a pace.
const LOOKS_MAX: u32 = 32;
/// Tries after a lost connection or a race, before the group is parted or given up.
const TRIES_MAX: u32 = 3;

pub(super) trait Verb: Send + Sync + 'static {
    type Ask: Send + Sync + 'static;
    type Answer: Send + 'static;

    /// Whether it changes rows: then a group ends with a flush, and silence leaves it open what was written.
    const WRITES: bool;

    /// Asks with ids come sorted by them, and an id comes once in a group.
    fn id(ask: &Self::Ask) -> Option<MessageId>;

    /// One answer per ask, in their order; or trouble for the whole group.
    fn run(
        &self,
        client: &mut Client,
        asks: &[Self::Ask],
    ) -> impl Future<Output = Result<Vec<Result<Self::Answer, StoreError>>, Trouble>> + Send;
}

/// The callers' side. The tasks end when it is dropped.
pub(super) struct Grouped<V: Verb> {
    asks: mpsc::Sender<Waiting<V>>,
}

struct Waiting<V: Verb> {
    ask: V::Ask,
    reply: oneshot::Sender<Result<V::Answer, StoreError>>,
}

struct Hands<V: Verb> {
    verb: V,
    exchanges: Exchanges,
    asks: Asks<V>,
}

type Asks<V> = Mutex<mpsc::Receiver<Waiting<V>>>;

impl<V: Verb> Grouped<V> {
    pub(super) fn start(verb: V, exchanges: Exchanges, hands: usize) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let shared = Arc::new(Hands { verb, exchanges, asks: Mutex::new(receiver) });
        for _ in 0..hands {
            tokio::spawn(work(Arc::clone(&shared)));
        }
        Self { asks: sender }
    }

    /// A caller that gives up waiting takes nothing back: its row is written all the same.
    pub(super) async fn ask(&self, ask: V::Ask) -> Result<V::Answer, StoreError> {
        let gone = || StoreError::Unavailable { why: "the tasks that write to PostgreSQL have ended".to_owned() };
        let (reply, answer) = oneshot::channel();
        self.asks.send(Waiting { ask, reply }).await.map_err(|_| gone())?;
        let ended = || StoreError::UnknownOutcome { why: "the task that wrote this row ended".to_owned() };
        answer.await.unwrap_or_else(|_| Err(ended()))
    }
}

async fn work<V: Verb>(hands: Arc<Hands<V>>) {
    let (mut left, mut pace) = (Vec::new(), Pace::new(GROUP_MAX));
    while let Some(taken) = take(&hands.asks, left, &mut pace).await {
        let (group, repeats) = part(taken);
        left = repeats;
        let (asks, replies): (Vec<_>, Vec<_>) = group.into_iter().map(|one| (one.ask, one.reply)).unzip();
        for (reply, answer) in replies.into_iter().zip(hands.answers(&asks).await) {
            // A caller that left does not want to know.
            drop(reply.send(answer));
        }
    }
}

/// Splits off asks whose id is in the group already, and sorts the group.
fn part<V: Verb>(taken: Vec<Waiting<V>>) -> (Vec<Waiting<V>>, Vec<Waiting<V>>) {
    let mut ids = BTreeSet::new();
    let (mut group, repeats): (Vec<_>, Vec<_>) =
        taken.into_iter().partition(|one| V::id(&one.ask).is_none_or(|id| ids.insert(id)));
    group.sort_by_key(|one| V::id(&one.ask));
    (group, repeats)
}

impl<V: Verb> Hands<V> {
    async fn answers(&self, asks: &[V::Ask]) -> Vec<Result<V::Answer, StoreError>> {
        match self.tried(asks).await {
            Ok(answers) => answers,
            Err(Trouble::Row { .. } | Trouble::Raced { .. }) if asks.len() > 1 => {
                let mut answers = Vec::with_capacity(asks.len());
                for ask in asks {
                    answers.push(self.alone(ask).await);
                }
                answers
            }
            Err(trouble) => asks.iter().map(|_| Err(trouble.clone().into())).collect(),
        }
    }

    async fn alone(&self, ask: &V::Ask) -> Result<V::Answer, StoreError> {
        let mut answers = self.tried(std::slice::from_ref(ask)).await?;
        answers.pop().expect("a verb answers every ask")
    }

    async fn tried(&self, asks: &[V::Ask]) -> Result<Vec<Result<V::Answer, StoreError>>, Trouble> {
        let mut tries = 1;
        loop {
            match self.once(asks).await {
                Err(Trouble::Lost { .. } | Trouble::Raced { .. }) if tries < TRIES_MAX => tries += 1,
                done => return done,
            }
        }
    }

    async fn once(&self, asks: &[V::Ask]) -> Result<Vec<Result<V::Answer, StoreError>>, Trouble> {
        let effect = if V::WRITES { Effect::Writes } else { Effect::Reads };
        self.exchanges.once(effect, async |client| self.verb.run(client, asks).await).await
    }
}

/// What waits now, after what is left from before; waits only while there is nothing, or for the pace. `None` when no caller
/// can come.
async fn take<V: Verb>(asks: &Asks<V>, mut taken: Vec<Waiting<V>>, pace: &mut Pace) -> Option<Vec<Waiting<V>>> {
    if taken.is_empty() {
        let mut asks = asks.lock().await;
        taken.push(asks.recv().await?);
        gather(&mut taken, &mut asks).await;
        if V::WRITES
            && !pace.allows(taken.len(), Instant::now())
            && let Some(at) = pace.next_at()
        {
            // To the end, however many come meanwhile: to be woken by each of them is what the pace spares.
            sleep_until(at).await;
            fill(&mut taken, &mut asks);
        }
    } else if let Ok(mut asks) = asks.try_lock() {
        // While another task holds the receiver it waits itself, for the first ask or for the pace.
        fill(&mut taken, &mut asks);
    }
    pace.went(Instant::now());
    Some(taken)
}

/// Whoever was woken together with the first one asks now as well, and so does whoever a whole group's answers brought back:
/// for as long as each look finds more, there is company worth a few microseconds.
async fn gather<V: Verb>(taken: &mut Vec<Waiting<V>>, asks: &mut mpsc::Receiver<Waiting<V>>) {
    let until = Instant::now() + Duration::from_millis(PACE_MS / 2);
    for _ in 0..LOOKS_MAX {
        let before = taken.len();
        tokio::task::yield_now().await;
        fill(taken, asks);
        if taken.len() == before || taken.len() == GROUP_MAX || Instant::now() >= until {
            return;
        }
    }
}

fn fill<V: Verb>(taken: &mut Vec<Waiting<V>>, asks: &mut mpsc::Receiver<Waiting<V>>) {
    while taken.len() < GROUP_MAX
        && let Ok(ask) = asks.try_recv()
    {
        taken.push(ask);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pace::LARGE;

    struct Asking<const WRITES: bool>;

    impl<const WRITES: bool> Verb for Asking<WRITES> {
        type Ask = ();
        type Answer = ();
        const WRITES: bool = WRITES;

        fn id((): &()) -> Option<MessageId> {
            None
        }

        async fn run(&self, _: &mut Client, asks: &[()]) -> Result<Vec<Result<(), StoreError>>, Trouble> {
            Ok(asks.iter().map(|()| Ok(())).collect())
        }
    }

    /// One task's side, and its callers'.
    struct Bed<const WRITES: bool> {
        callers: mpsc::Sender<Waiting<Asking<WRITES>>>,
        asks: Asks<Asking<WRITES>>,
        pace: Pace,
        start: Instant,
    }

    impl<const WRITES: bool> Bed<WRITES> {
        fn new() -> Self {
            let (callers, receiver) = mpsc::channel(WAITING_MAX);
            Self { callers, asks: Mutex::new(receiver), pace: Pace::new(GROUP_MAX), start: Instant::now() }
        }

        /// With so many that ask, as many left from before, and as many more that come meanwhile: how large the next group is,
        /// and when it was taken.
        async fn takes(&mut self, asking: usize, left: usize, later: usize) -> (usize, u128) {
            let waiting = || Waiting { ask: (), reply: oneshot::channel().0 };
            let ask = |count| (0..count).for_each(|_| assert!(self.callers.try_send(waiting()).is_ok()));
            ask(asking);
            let meanwhile = async {
                if later > 0 {
                    tokio::time::sleep(Duration::from_millis(PACE_MS / 2)).await;
                    ask(later);
                }
            };
            let left = (0..left).map(|_| waiting()).collect();
            let (group, ()) = tokio::join!(take(&self.asks, left, &mut self.pace), meanwhile);
            (group.expect("somebody may ask still").len(), self.start.elapsed().as_millis())
        }
    }

    const ONE_PACE: u128 = PACE_MS as u128;

    #[tokio::test(start_paused = true)]
    async fn a_small_group_keeps_the_pace_and_takes_who_comes_meanwhile() {
        let mut bed = Bed::<true>::new();
        assert_eq!(bed.takes(1, 0, 0).await, (1, 0), "the first one waits for nobody");
        assert_eq!(bed.takes(1, 0, 2).await, (3, ONE_PACE));
        assert_eq!(bed.takes(LARGE, 0, 0).await, (LARGE, ONE_PACE), "a large one goes at once");
        assert_eq!(
            bed.takes(1, 0, LARGE).await,
            (1 + LARGE, 2 * ONE_PACE),
            "one that becomes large meanwhile does not"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_from_before_goes_at_once_and_counts() {
        let mut bed = Bed::<true>::new();
        assert_eq!(bed.takes(1, 0, 0).await, (1, 0));
        tokio::time::advance(Duration::from_millis(PACE_MS - 1)).await;
        assert_eq!(bed.takes(1, 1, 0).await, (2, ONE_PACE - 1));
        assert_eq!(bed.takes(1, 0, 0).await, (1, 2 * ONE_PACE - 1));
    }

    /// One thread, which runs whoever was woken last at once: so it is where a commit answers its callers.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn who_was_woken_together_with_the_first_one_comes_along() {
        let Bed { callers, asks, mut pace, .. } = Bed::<false>::new();
        let group = tokio::spawn(async move { take(&asks, Vec::new(), &mut pace).await });
        tokio::spawn(async move {
            for _ in 0..9 {
                let callers = callers.clone();
                tokio::spawn(
                    async move { callers.send(Waiting { ask: (), reply: oneshot::channel().0 }).await.is_ok() },
                );
            }
        });
        assert_eq!(group.await.expect("it takes them").expect("somebody asks").len(), 9);
    }

    /// As requests do whose answers went out together: each is read, and asks, a moment after the one before it.
    #[tokio::test]
    async fn who_comes_bit_by_bit_behind_the_first_one_comes_along() {
        let Bed { callers, asks, mut pace, .. } = Bed::<false>::new();
        let group = tokio::spawn(async move { take(&asks, Vec::new(), &mut pace).await });
        for _ in 0..9 {
            assert!(callers.send(Waiting { ask: (), reply: oneshot::channel().0 }).await.is_ok());
            tokio::task::yield_now().await;
        }
        assert_eq!(group.await.expect("it takes them").expect("somebody asks").len(), 9);
    }

    #[tokio::test(start_paused = true)]
    async fn what_only_reads_waits_for_nobody() {
        let mut bed = Bed::<false>::new();
        assert_eq!(bed.takes(1, 0, 0).await, (1, 0));
        assert_eq!(bed.takes(1, 0, 0).await, (1, 0));
    }
}
