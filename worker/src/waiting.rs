//! Messages in hand that wait for a permit: never for long.
//!
//! Where one provider is full, the messages of others must not stand behind its own: those that find its crowd are put
//! aside, to be carried by their rows, and so are those whose delivery is not settled, after a moment: they come back by the
//! sweep, and it is they who make up the crowd. Where nobody gets through, the lane itself waits, so that it tells how much
//! waits in it; but now and then one is put aside all the same, to see whether those behind it are for somebody else.

use std::collections::BTreeSet;

use otodoke_common::leg::ProviderId;
use otodoke_common::lifecycle::Event;
use otodoke_common::message::Lane;
use tokio::time::Instant;

use crate::crowds::{Carrier, Crowd, Crowds, ForProvider};

/// How long a message waits for a permit in this process before its row carries the wait.
const PATIENCE_MS_MAX: u64 = 5_000;
/// The same of one whose delivery is not settled, while others get through: the broker is told of theirs one by one, and
/// later, as long as this one is open before them. Enough for a call that ends soon.
const HELD_MS_MAX: u64 = 50;

/// One message on its way to a permit.
pub(crate) struct Waiting<'a> {
    crowd: &'a Crowd,
    carrier: Carrier,
    joined: Option<Joined<'a>>,
}

/// Since when it waits, and with whom.
struct Joined<'a> {
    since: Instant,
    of_any: Vec<&'a ForProvider>,
}

/// How one that has to wait does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// In hand, and then it looks again.
    InHand { look_ms: u64 },
    /// Its row waits, until a permit is expected.
    Row,
    /// Its row waits for its turn: others are before it.
    Aside,
}

impl<'a> Waiting<'a> {
    pub(crate) fn with(event: &Event, crowds: &'a Crowds, lane: Lane) -> Self {
        let carrier = match event {
            Event::Taken => Carrier::Delivery,
            Event::Answered { .. } => Carrier::Nobody,
            Event::GivenUp
            | Event::Receipt { .. }
            | Event::Due
            | Event::GuessPaid
            | Event::Guessed { .. }
            | Event::ResendAsked { .. }
            | Event::CancelAsked { .. }
            | Event::Revoked
            | Event::CallAnswered { .. }
            | Event::Pressed { .. } => Carrier::Row,
        };
        Self { crowd: crowds.of(lane), carrier, joined: None }
    }

    /// How to wait for one of these, expected free in `expected_ms`.
    pub(crate) fn patience(&mut self, providers: &BTreeSet<ProviderId>, expected_ms: u64) -> Patience {
        if self.joined.is_none() {
            let of_any = self.crowd.of_any(providers);
            if self.carrier == Carrier::Delivery {
                self.crowd.had_to_wait();
            }
            if self.crowd.is_in_the_way(self.carrier, &of_any) {
                return Patience::Aside;
            }
            if expected_ms > self.left_ms() {
                return Patience::Row;
            }
            self.crowd.join(self.carrier, &of_any);
            self.joined = Some(Joined { since: Instant::now(), of_any });
        }
        let left_ms = self.left_ms();
        if expected_ms > left_ms || left_ms == 0 {
            return Patience::Row;
        }
        let look_ms = if self.carrier == Carrier::Delivery { HELD_MS_MAX } else { left_ms };
        Patience::InHand { look_ms: expected_ms.clamp(1, look_ms) }
    }

    fn left_ms(&self) -> u64 {
        let patience_ms = match self.carrier {
            Carrier::Delivery if self.crowd.flows() => HELD_MS_MAX,
            Carrier::Delivery | Carrier::Row => PATIENCE_MS_MAX,
            Carrier::Nobody => 0,
        };
        let waited_ms = self.joined.as_ref().map_or(0, |joined| joined.since.elapsed().as_millis());
        patience_ms.saturating_sub(waited_ms.try_into().unwrap_or(u64::MAX))
    }

    /// It has its permit.
    pub(crate) fn goes(&self, provider: &ProviderId, is_scarce: bool) {
        if self.carrier == Carrier::Delivery {
            self.crowd.went(provider, self.joined.is_none(), is_scarce);
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(joined) = &self.joined {
            self.crowd.leave(self.carrier, &joined.of_any);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use otodoke_common::outcome::Answer;
    use otodoke_common::request::publication::Publishers;
    use tokio::time::{Duration, advance};

    use super::*;
    use crate::permits::Capacity;
    use crate::worker::WorkerSettings;

    fn sakura() -> BTreeSet<ProviderId> {
        [ProviderId::parse("sakura").expect("valid")].into()
    }

    fn crowds() -> Crowds {
        let capacity = Capacity { concurrency: 1, rate_per_s: 1 };
        Crowds::new(&WorkerSettings {
            lanes: Lane::ALL.map(|lane| (lane, 64)).into(),
            capacities: sakura().into_iter().map(|provider| (provider, capacity)).collect(),
            sweep_every_ms: 100,
            release_per_s: 500,
            publishers: Publishers::new(BTreeMap::new()),
        })
    }

    fn with<'a>(crowds: &'a Crowds, event: &Event) -> Waiting<'a> {
        Waiting::with(event, crowds, Lane::Normal)
    }

    fn in_hand(look_ms: u64) -> Patience {
        Patience::InHand { look_ms }
    }

    #[tokio::test(start_paused = true)]
    async fn a_delivery_is_held_for_a_moment_while_others_get_through() {
        let crowds = crowds();
        let (mut held, mut carried) = (with(&crowds, &Event::Taken), with(&crowds, &Event::Due));
        let mut long = with(&crowds, &Event::Taken);
        assert_eq!(long.patience(&sakura(), HELD_MS_MAX + 1), Patience::Row, "it would be held for longer");
        assert_eq!(held.patience(&sakura(), 30), in_hand(30));
        assert_eq!(carried.patience(&sakura(), 1_000), in_hand(1_000));
        advance(Duration::from_millis(20)).await;
        assert_eq!(held.patience(&sakura(), 30), in_hand(30), "woken before its time, it has some left");
        advance(Duration::from_millis(30)).await;
        assert_eq!(held.patience(&sakura(), 1), Patience::Row);
        assert_eq!(carried.patience(&sakura(), 1_000), in_hand(1_000));
        advance(Duration::from_millis(PATIENCE_MS_MAX)).await;
        assert_eq!(carried.patience(&sakura(), 1), Patience::Row);
    }

    #[tokio::test(start_paused = true)]
    async fn where_nobody_gets_through_deliveries_wait_as_long_as_rows_until_somebody_does() {
        let crowds = crowds();
        let mut waiting: Vec<_> = (0..64).map(|_| with(&crowds, &Event::Taken)).collect();
        let held = waiting.iter_mut().map(|each| each.patience(&sakura(), 50)).filter(|each| *each == in_hand(50));
        assert_eq!(held.count(), 32, "half of those that may be in hand");
        advance(Duration::from_millis(PATIENCE_MS_MAX - 1)).await;
        assert_eq!(waiting[0].patience(&sakura(), 1), in_hand(1));
        with(&crowds, &Event::Taken).goes(sakura().first().expect("one"), false);
        assert_eq!(waiting[0].patience(&sakura(), 1), Patience::Row);
        waiting.clear();
        assert_eq!(with(&crowds, &Event::Taken).patience(&sakura(), 50), in_hand(50), "who is gone waits no more");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_not_saved_waits_for_nothing() {
        let crowds = crowds();
        let mut answered = with(&crowds, &Event::Answered { leg: 1, answer: Answer::NotSent { why: String::new() } });
        assert_eq!(answered.patience(&sakura(), 1), Patience::Row);
    }
}
