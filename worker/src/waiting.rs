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

use crate::aside::Aside;
use crate::crowds::{Counted, Crowd, Crowds};

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
    decided: Option<Counted<'a>>,
}

/// What becomes of a message that waits, should this process die.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Carrier {
    /// Its delivery comes again.
    Delivery,
    /// The sweep finds its row.
    Row,
    /// An answer in hand that is not saved yet would count as lost: nobody waits with one.
    Nobody,
}

/// Since when it waits, and where it counts while it does.
struct Joined<'a> {
    since: Instant,
    places: Vec<Counted<'a>>,
}

/// How one that has to wait does.
#[derive(Clone, Copy)]
pub(crate) enum Patience<'a> {
    /// In hand, and then it looks again.
    InHand { look_ms: u64 },
    /// Its row waits, until a permit is expected.
    Row,
    /// Its row waits for its turn: others are before it.
    Aside(&'a Aside),
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
        Self { crowd: crowds.of(lane), carrier, joined: None, decided: None }
    }

    /// How to wait for one of these, expected free in `expected_ms`.
    pub(crate) fn patience(&mut self, providers: &BTreeSet<ProviderId>, expected_ms: u64) -> Patience<'a> {
        let of_any = self.crowd.of_any(providers);
        let aside = Patience::Aside(&of_any[0].aside);
        let has_place_for_row = of_any.iter().any(|of| of.has_place_for_row());
        if self.joined.is_none() {
            let has_place = match self.carrier {
                Carrier::Delivery => {
                    self.crowd.has_to_wait();
                    self.crowd.has_place_for(&of_any)
                }
                Carrier::Row | Carrier::Nobody => has_place_for_row,
            };
            if !has_place {
                return aside;
            }
        }
        let left_ms = self.left_ms();
        if expected_ms > left_ms || left_ms == 0 {
            return if has_place_for_row { Patience::Row } else { aside };
        }
        let look_ms = if self.carrier == Carrier::Delivery { HELD_MS_MAX } else { left_ms };
        self.joined.get_or_insert_with(|| Joined {
            since: Instant::now(),
            places: match self.carrier {
                Carrier::Delivery => self.crowd.hold(&of_any),
                Carrier::Row | Carrier::Nobody => of_any.iter().map(|of| of.row()).collect(),
            },
        });
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

    /// It waits no more, but to be saved: its place is for others.
    pub(crate) fn ends(&mut self) {
        if let Some(joined) = &mut self.joined {
            joined.places.clear();
        }
        if self.carrier == Carrier::Delivery {
            self.decided = Some(self.crowd.decided());
        }
    }

    /// It is saved, and goes by this provider.
    pub(crate) fn goes(&self, provider: &ProviderId, is_scarce: bool) {
        if self.carrier == Carrier::Delivery {
            self.crowd.went(provider, self.joined.is_none(), is_scarce);
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

    /// For how long it waits in hand, if it does.
    fn looks_in_ms(waiting: &mut Waiting<'_>, expected_ms: u64) -> Option<u64> {
        match waiting.patience(&sakura(), expected_ms) {
            Patience::InHand { look_ms } => Some(look_ms),
            Patience::Row | Patience::Aside(_) => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_delivery_is_held_for_a_moment_while_others_get_through() {
        let crowds = crowds();
        let (mut held, mut carried) = (with(&crowds, &Event::Taken), with(&crowds, &Event::Due));
        let mut long = with(&crowds, &Event::Taken);
        assert_eq!(looks_in_ms(&mut long, HELD_MS_MAX + 1), None, "it would be held for longer");
        assert_eq!((looks_in_ms(&mut held, 30), looks_in_ms(&mut carried, 1_000)), (Some(30), Some(1_000)));
        advance(Duration::from_millis(20)).await;
        assert_eq!(looks_in_ms(&mut held, 30), Some(30), "woken before its time, it has some left");
        advance(Duration::from_millis(30)).await;
        assert_eq!((looks_in_ms(&mut held, 1), looks_in_ms(&mut carried, 1_000)), (None, Some(1_000)));
        advance(Duration::from_millis(PATIENCE_MS_MAX)).await;
        assert_eq!(looks_in_ms(&mut carried, 1), None);
    }

    #[tokio::test(start_paused = true)]
    async fn where_nobody_gets_through_deliveries_wait_as_long_as_rows_until_somebody_does() {
        let crowds = crowds();
        let mut waiting: Vec<_> = (0..16).map(|_| with(&crowds, &Event::Taken)).collect();
        assert!(waiting.iter_mut().all(|each| looks_in_ms(each, 50) == Some(50)));
        advance(Duration::from_millis(PATIENCE_MS_MAX - 1)).await;
        assert_eq!(looks_in_ms(&mut waiting[0], 1), Some(1));
        with(&crowds, &Event::Taken).goes(sakura().first().expect("one"), false);
        assert_eq!(looks_in_ms(&mut waiting[0], 1), None);
        assert!(matches!(with(&crowds, &Event::Taken).patience(&sakura(), 1), Patience::Aside(_)));
        waiting.clear();
        assert_eq!(looks_in_ms(&mut with(&crowds, &Event::Taken), 50), Some(50), "who is gone waits no more");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_has_its_permit_leaves_its_place_before_it_is_saved() {
        let crowds = crowds();
        let mut waiting: Vec<_> = (0..16).map(|_| with(&crowds, &Event::Taken)).collect();
        for each in &mut waiting {
            assert_eq!((looks_in_ms(each, 50), looks_in_ms(each, 50)), (Some(50), Some(50)), "it counts once");
        }
        assert!(matches!(with(&crowds, &Event::Taken).patience(&sakura(), 50), Patience::Aside(_)));
        waiting[0].ends();
        assert_eq!(looks_in_ms(&mut with(&crowds, &Event::Taken), 50), Some(50));
    }

    #[tokio::test(start_paused = true)]
    async fn rows_that_find_their_places_taken_are_put_aside() {
        let crowds = crowds();
        let mut rows: Vec<_> = (0..20).map(|_| with(&crowds, &Event::Due)).collect();
        assert_eq!(rows.iter_mut().filter_map(|each| looks_in_ms(each, 1_000)).count(), 16);
        assert!(matches!(rows[16].patience(&sakura(), 1), Patience::Aside(_)));
        assert!(matches!(with(&crowds, &Event::Taken).patience(&sakura(), 1), Patience::Aside(_)));
        let answer = Answer::NotSent { why: String::new() };
        let mut answered = with(&crowds, &Event::Answered { leg: 1, answer });
        assert!(matches!(answered.patience(&sakura(), 1), Patience::Aside(_)));
        rows.clear();
        assert!(matches!(answered.patience(&sakura(), 1), Patience::Row), "one that is not saved waits for nothing");
    }
}
