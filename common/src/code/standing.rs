//! How kids stand in all processes: which are revoked, and which one was last made active. Kept in the store, looked up
//! every few seconds, so that a revocation reaches everybody and nobody opens messages that others cannot check.

use std::collections::BTreeSet;

use tokio::sync::watch;
use tokio::time::Duration;
use tokio_util::sync::CancellationToken;

use super::CodeKeys;
use crate::message::{Kid, Kind, Message};
use crate::store::{Store, StoreError};

const ACTIVE: &str = "code/active";
const REVOKED: &str = "code/revoked/";
const LOOK_EVERY_MS: u64 = 5_000;
/// Until the first look succeeds: a process that starts has its store within moments, and can do nothing before.
const FIRST_LOOK_EVERY_MS: u64 = 50;

/// What was seen at the last look; nothing before the first.
#[derive(Debug)]
pub(super) struct Standing(watch::Sender<Option<Seen>>);

#[derive(Debug)]
struct Seen {
    revoked: BTreeSet<Kid>,
    active: Option<Kid>,
}

impl Default for Standing {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl CodeKeys {
    /// Whether it was ever seen how kids stand. Before that no code is made and none is compared: a root that leaked may have been
    /// revoked while this process did not run.
    pub fn has_looked(&self) -> bool {
        self.standing.0.borrow().is_some()
    }

    /// Waits until it was.
    pub async fn looked(&self) {
        let seen = self.standing.0.subscribe().wait_for(Option::is_some).await.map(drop);
        seen.expect("the sender lives as long as this");
    }

    /// Whether messages may be opened with the active kid.
    pub fn may_open(&self) -> bool {
        self.has_looked() && !self.is_revoked(&self.active)
    }

    /// Whether the codes of this kid are worth nothing any more.
    pub fn is_revoked(&self, kid: &Kid) -> bool {
        self.standing.0.borrow().as_ref().is_some_and(|seen| seen.revoked.contains(kid))
    }

    /// Whether nobody can verify this living message any more, because the root of its code was revoked.
    pub fn is_void(&self, message: &Message) -> bool {
        match &message.kind {
            Kind::Code { kid, .. } => message.is_live() && self.is_revoked(kid),
            Kind::Text => false,
        }
    }

    /// The kid that others open messages with and that has no root here.
    pub fn missing(&self) -> Option<Kid> {
        let active = self.standing.0.borrow().as_ref().and_then(|seen| seen.active.clone());
        active.filter(|kid| !self.roots.contains_key(kid))
    }

    /// Tells everybody which kid is active here. Once, where a process that opens messages starts.
    pub async fn announce(&self, store: &dyn Store) -> Result<(), StoreError> {
        if store.setting(ACTIVE).await?.as_deref() != Some(self.active.as_str()) {
            store.setting_put(ACTIVE, Some(self.active.as_str())).await?;
        }
        Ok(())
    }

    /// Looks once.
    pub async fn look(&self, store: &dyn Store) -> Result<(), StoreError> {
        let revoked = revoked(store).await?;
        let active = store.setting(ACTIVE).await?.and_then(|kid| Kid::parse(&kid).ok());
        self.standing.0.send_replace(Some(Seen { revoked: revoked.into_iter().collect(), active }));
        Ok(())
    }

    /// For a process that opens messages: tells everybody which kid it opens them with, then follows.
    pub async fn lead(&self, store: &dyn Store, stop: &CancellationToken) {
        let begin = async || {
            self.look(store).await?;
            self.announce(store).await
        };
        while let Some(Err(error)) = stop.run_until_cancelled(begin()).await {
            tracing::debug!(%error, "the active kid could not be told to others yet");
            stop.run_until_cancelled(tokio::time::sleep(self.until_next_look())).await;
        }
        self.follow(store, stop).await;
    }

    /// Until `stop`. While the store is away, what was seen last goes on.
    pub async fn follow(&self, store: &dyn Store, stop: &CancellationToken) {
        let mut wait = Duration::ZERO;
        while stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_some() {
            if let Some(Err(error)) = stop.run_until_cancelled(self.look(store)).await {
                tracing::debug!(%error, "how kids stand could not be looked up");
            }
            wait = self.until_next_look();
        }
    }

    fn until_next_look(&self) -> Duration {
        Duration::from_millis(if self.has_looked() { LOOK_EVERY_MS } else { FIRST_LOOK_EVERY_MS })
    }

    /// As if nothing had ever been revoked, for tests that have no store.
    #[cfg(test)]
    pub(crate) fn having_looked(self) -> Self {
        self.standing.0.send_replace(Some(Seen { revoked: BTreeSet::new(), active: None }));
        self
    }
}

/// All that were ever revoked.
pub async fn revoked(store: &dyn Store) -> Result<Vec<Kid>, StoreError> {
    let names = store.settings(REVOKED).await?;
    Ok(names.iter().filter_map(|(name, _)| Kid::parse(name.strip_prefix(REVOKED)?).ok()).collect())
}

/// For ever: a root that leaked stays leaked.
pub async fn revoke(store: &dyn Store, kid: &Kid) -> Result<(), StoreError> {
    store.setting_put(&format!("{REVOKED}{}", kid.as_str()), Some("revoked")).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::code::ROOT_BYTES_MIN;
    use crate::memory::Memory;

    fn kid(kid: &str) -> Kid {
        Kid::parse(kid).expect("a kid")
    }

    fn keys(active: &str, known: &[&str]) -> CodeKeys {
        let roots = known.iter().map(|known| (kid(known), vec![7; ROOT_BYTES_MIN])).collect();
        CodeKeys::new(kid(active), roots).expect("good roots")
    }

    #[tokio::test]
    async fn a_kid_that_is_active_elsewhere_must_be_known_here() {
        let store = Memory::new(Clock::system()).store();
        let [old, new] = [keys("k1", &["k1"]), keys("k2", &["k1", "k2"])];
        old.announce(&*store).await.expect("memory takes it");
        old.look(&*store).await.expect("memory answers");
        assert_eq!(old.missing(), None);
        new.announce(&*store).await.expect("memory takes it");
        for keys in [&old, &new] {
            keys.look(&*store).await.expect("memory answers");
        }
        assert_eq!((old.missing(), new.missing()), (Some(kid("k2")), None));
    }

    #[tokio::test]
    async fn a_revocation_reaches_whoever_looks() {
        let store = Memory::new(Clock::system()).store();
        let keys = keys("k2", &["k1", "k2"]);
        let [k1, k2] = ["k1", "k2"].map(|kid| Kid::parse(kid).expect("a kid"));
        revoke(&*store, &k1).await.expect("memory takes it");
        assert!(!keys.has_looked() && !keys.may_open(), "nobody has looked");
        keys.look(&*store).await.expect("memory answers");
        assert!(keys.is_revoked(&k1) && !keys.is_revoked(&k2) && keys.may_open());
        assert_eq!(revoked(&*store).await, Ok(vec![k1]));
    }

    /// A root that leaked is worth nothing from the first moment on.
    #[tokio::test(start_paused = true)]
    async fn whoever_starts_before_its_store_looks_as_soon_as_it_is_there() {
        let memory = Memory::new(Clock::system());
        let (store, keys, stop) = (memory.store(), keys("k2", &["k1", "k2"]), CancellationToken::new());
        revoke(&*store, &kid("k1")).await.expect("memory takes it");
        memory.faults().set_store_away(true);
        let coming = async {
            tokio::time::sleep(Duration::from_millis(LOOK_EVERY_MS / 2)).await;
            assert!(!keys.has_looked());
            memory.faults().set_store_away(false);
            let there_at = tokio::time::Instant::now();
            let looked = tokio::time::timeout(Duration::from_millis(LOOK_EVERY_MS), keys.looked()).await;
            assert!(looked.is_ok() && keys.is_revoked(&kid("k1")));
            stop.cancel();
            there_at.elapsed()
        };
        let (took, ()) = tokio::join!(coming, keys.follow(&*store, &stop));
        assert!(took <= Duration::from_millis(FIRST_LOOK_EVERY_MS + 1), "{took:?}");
    }
}
