//! Whether a process can do its work now, and why not: what every `/readyz` says. Whether it lives is told elsewhere.

use tokio::time::{Duration, timeout};

use crate::broker::Broker;
use crate::code::CodeKeys;
use crate::desk::Desk;

/// Longest wait for the store before it counts as away.
const ANSWER_MS_MAX: u64 = 2_000;
/// A setting nobody has: looking for it takes one short reading.
const PROBE: &str = "vitals/probe";

/// What is in the way, one sentence each; how much of it a process can do without is its own to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vitals {
    pub store: Option<String>,
    pub broker: Option<String>,
    pub clock: Option<String>,
    pub root: Option<String>,
}

impl Vitals {
    /// All of it, in this order; empty where nothing is in the way.
    pub fn reasons(self) -> Vec<String> {
        let Self { store, broker, clock, root } = self;
        [store, broker, clock, root].into_iter().flatten().collect()
    }
}

/// Looks once; takes 2 s at the most.
pub async fn look(desk: &Desk, broker: &dyn Broker, codes: &CodeKeys) -> Vitals {
    let store = match timeout(Duration::from_millis(ANSWER_MS_MAX), desk.store.setting(PROBE)).await {
        Ok(Ok(_)) => desk.writes.trouble(desk.clock.now()),
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("the store did not answer within {ANSWER_MS_MAX} ms")),
    };
    let broker = broker.trouble().map(|why| format!("the broker cannot be used now: {why}"));
    Vitals { store, broker, clock: clock(desk), root: root(codes) }
}

/// It is corrected already; but who is that far off may be further off a minute later.
fn clock(desk: &Desk) -> Option<String> {
    let (offset_ms, most) = (desk.clock.offset_ms(), desk.policy.clock_skew_ms_max);
    let (way, ms) = (if offset_ms > 0 { "behind" } else { "ahead of" }, offset_ms.unsigned_abs());
    (ms > most).then(|| {
        format!("this machine's clock is {ms} ms {way} the store's, more than {most} ms: synchronise both with NTP")
    })
}

fn root(codes: &CodeKeys) -> Option<String> {
    if !codes.has_looked() {
        return Some(
            "which roots are revoked was not looked up yet: the store was not there since this process began"
                .to_owned(),
        );
    }
    if codes.is_revoked(codes.active()) {
        let kid = codes.active().as_str();
        return Some(format!(
            "kid {kid} is revoked, and active in these settings: make another the active one of [codes]"
        ));
    }
    codes.missing().map(|kid| {
        let kid = kid.as_str();
        format!("kid {kid} is active in another process, and its root is not in these settings: add it to [codes]")
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::Clock;
    use crate::dice::Dice;
    use crate::memory::Memory;
    use crate::message::Kid;
    use crate::metrics::Metrics;
    use crate::policy::Policy;
    use crate::seal::Vault;

    fn desk(memory: &Memory) -> Desk {
        Desk {
            store: memory.store(),
            vault: Arc::new(Vault::new(&[7; 32]).expect("a long root")),
            policy: Arc::new(Policy::default()),
            metrics: Metrics::new().expect("the catalogue registers"),
            clock: Clock::system(),
            dice: Arc::new(Dice::seeded(1)),
            writes: Arc::default(),
        }
    }

    async fn reasons(desk: &Desk, broker: &dyn Broker, codes: &CodeKeys) -> Vec<String> {
        look(desk, broker, codes).await.reasons()
    }

    fn codes() -> CodeKeys {
        let kid = Kid::parse("k1").expect("a kid");
        CodeKeys::new(kid.clone(), vec![(kid, vec![7; 32])]).expect("a long root").having_looked()
    }

    #[tokio::test]
    async fn a_root_that_others_use_and_this_process_lacks_is_told() {
        let memory = Memory::new(Clock::system());
        let (desk, codes, other) = (desk(&memory), codes(), Kid::parse("k2").expect("a kid"));
        let elsewhere = CodeKeys::new(other.clone(), vec![(other, vec![8; 32])]).expect("a long root");
        elsewhere.announce(&*desk.store).await.expect("memory takes it");
        codes.look(&*desk.store).await.expect("memory answers");
        let said = reasons(&desk, &*memory.broker(), &codes).await;
        assert!(said.len() == 1 && said[0].starts_with("kid k2 is active in another process"), "{said:?}");
    }

    #[tokio::test]
    async fn an_active_kid_that_was_revoked_is_told() {
        let memory = Memory::new(Clock::system());
        let (desk, codes) = (desk(&memory), codes());
        crate::code::revoke(&*desk.store, codes.active()).await.expect("memory takes it");
        codes.look(&*desk.store).await.expect("memory answers");
        let said = reasons(&desk, &*memory.broker(), &codes).await;
        assert!(said.len() == 1 && said[0].starts_with("kid k1 is revoked, and active"), "{said:?}");
    }

    #[tokio::test]
    async fn everything_in_the_way_is_told_with_its_reason() {
        let memory = Memory::new(Clock::system());
        let (desk, broker) = (desk(&memory), memory.broker());
        assert_eq!(reasons(&desk, &*broker, &codes()).await, [] as [String; 0]);
        memory.faults().set_store_away(true);
        desk.clock.correct(-3_600_000);
        let said = reasons(&desk, &*broker, &codes()).await;
        assert!(said[0].starts_with("the store cannot be used now"), "{said:?}");
        assert!(said[1].starts_with("this machine's clock is 3") && said[1].contains(" ms ahead of"), "{said:?}");
    }

    #[tokio::test]
    async fn a_clock_within_the_allowed_skew_is_nothing_to_tell() {
        let memory = Memory::new(Clock::system());
        let desk = desk(&memory);
        desk.clock.correct(900);
        assert_eq!(reasons(&desk, &*memory.broker(), &codes()).await, [] as [String; 0]);
    }
}
