//! API keys: made once and shown once, stored as SHA-256 under a setting, remembered for a short while.
//!
//! A revoked key stops working within `KEY_FRESH_MS`. While the store is away, keys seen lately keep working, because
//! a message can still be accepted by the broker alone; a store that only has much to do is not away. Keys that were never
//! seen are looked up one after the other, because anybody can send any number of them.

use std::collections::HashMap;
use std::sync::Mutex;

use otodoke_common::message::{Tag, TenantId};
use otodoke_common::store::{KeyRecord, Store, StoreError};
use otodoke_common::time::Timestamp;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Duration, timeout};

use crate::hands::{BUSY_RETRY_S, REQUESTS_IN_HAND_MAX};
use crate::problem::Problem;

/// How long a key is believed without asking the store again.
pub const KEY_FRESH_MS: u64 = 30_000;
/// From then on whoever comes first with it asks again. Else all who come when it is believed no longer would ask at once, and
/// wait for each other.
const KEY_RENEWED_MS: u64 = 20_000;
/// How long it is believed while the store cannot be asked.
pub const KEY_STALE_MS_MAX: u64 = 3_600_000;
/// Keys that were never seen, looked up at once: the store has few connections for this, and other keys need them.
pub const STRANGERS_ASKED_MAX: usize = 1;
/// Requests with such keys that wait for their turn: each holds one of the places for requests, and strangers shall not have them
/// all. A door that starts has seen no key yet, so they may have most.
pub const STRANGERS_WAITING_MAX: usize = REQUESTS_IN_HAND_MAX / 4 * 3;
/// Longest wait of such a key for its turn.
pub const STRANGER_WAIT_MS_MAX: u64 = 1_000;
/// Keys remembered at once.
pub const KEYS_REMEMBERED_MAX: usize = 10_000;
/// Longest key looked at, bytes.
pub const KEY_BYTES_MAX: usize = 256;
const KEY_RANDOM_BYTES: usize = 32;

/// A new key with the setting that makes it valid. The key itself is kept nowhere.
pub struct MintedKey {
    pub key: String,
    pub setting: String,
    pub record: KeyRecord,
}

/// `None` when the operating system gives no randomness.
pub fn mint(tenant: &TenantId, now: Timestamp) -> Option<MintedKey> {
    let mut random = [0; KEY_RANDOM_BYTES];
    SystemRandom::new().fill(&mut random).ok()?;
    let key = format!("otk_{}", Tag(random).hex());
    let hash = hash(&key).hex();
    let record = KeyRecord { tenant: tenant.clone(), key_id: hash[..12].to_owned(), created_at: now };
    Some(MintedKey { key, setting: setting_name(&hash), record })
}

/// The setting under which a key is stored.
pub fn key_setting(key: &str) -> String {
    setting_name(&hash(key).hex())
}

fn setting_name(hash: &str) -> String {
    format!("key/{hash}")
}

fn hash(key: &str) -> Tag {
    let digest = digest(&SHA256, key.as_bytes());
    Tag(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
}

/// Whose key it is, by the value of the `Authorization` header.
pub(crate) async fn tenant_of(
    store: &dyn Store,
    cache: &KeyCache,
    authorization: Option<&[u8]>,
    now: Timestamp,
) -> Result<TenantId, Problem> {
    let hash = authorization.and_then(bearer).map(hash).ok_or_else(Problem::unauthorized)?;
    let mut seen = cache.get(&hash);
    let mut turn = None;
    if seen.is_none() {
        turn = Some(cache.turn().await?);
        // Whoever had the turn before may have asked for the same one.
        seen = cache.get(&hash);
    }
    if let Some(seen) = &seen
        && seen.age_ms(now) < KEY_FRESH_MS
        && !cache.is_to_be_renewed(&hash, seen, now)
    {
        return Ok(seen.tenant.clone());
    }
    let asked = store.setting(&setting_name(&hash.hex())).await;
    drop(turn);
    match asked {
        Ok(Some(value)) => {
            let record: KeyRecord = serde_json::from_str(&value).map_err(|error| {
                tracing::error!(%error, "the record of an API key cannot be read: create the key anew");
                Problem::unauthorized()
            })?;
            cache.put(hash, Seen { tenant: record.tenant.clone(), at: now, renewing: false });
            Ok(record.tenant)
        }
        Ok(None) => {
            cache.forget(&hash);
            Err(Problem::unauthorized())
        }
        // It is there, and could say that the key was revoked. Somebody else with this key may have been told that it was not.
        Err(error @ StoreError::Full { .. }) => match cache.get(&hash).filter(|seen| seen.age_ms(now) < KEY_FRESH_MS) {
            Some(seen) => Ok(seen.tenant),
            None => Err(error.into()),
        },
        Err(error) => match seen {
            Some(seen) if seen.age_ms(now) < KEY_STALE_MS_MAX => Ok(seen.tenant),
            Some(_) | None => Err(error.into()),
        },
    }
}

/// The key of `Bearer <key>`; the scheme's letter case does not matter (RFC 9110, section 11.1).
fn bearer(value: &[u8]) -> Option<&str> {
    let (scheme, key) = std::str::from_utf8(value).ok()?.split_once(' ')?;
    let fits = !key.is_empty() && key.len() <= KEY_BYTES_MAX && key.bytes().all(|b| b.is_ascii_graphic());
    (scheme.eq_ignore_ascii_case("bearer") && fits).then_some(key)
}

/// Keys seen lately, by hash; and whose turn it is to ask for one that was not.
pub struct KeyCache {
    seen: Mutex<HashMap<Tag, Seen>>,
    pub(crate) strangers: Semaphore,
    pub(crate) waiting: Semaphore,
}

#[derive(Clone)]
struct Seen {
    tenant: TenantId,
    at: Timestamp,
    /// Somebody asks for it again; nobody else does, for as long as it is believed.
    renewing: bool,
}

impl Seen {
    /// One that was seen later than now is from before the clock was set back: nobody knows how old it is.
    fn age_ms(&self, now: Timestamp) -> u64 {
        if now < self.at { u64::MAX } else { now.since_ms(self.at) }
    }
}

impl Default for KeyCache {
    fn default() -> Self {
        Self {
            seen: Mutex::default(),
            strangers: Semaphore::new(STRANGERS_ASKED_MAX),
            waiting: Semaphore::new(STRANGERS_WAITING_MAX),
        }
    }
}

impl KeyCache {
    async fn turn(&self) -> Result<SemaphorePermit<'_>, Problem> {
        let busy = || Problem::busy("too many keys are being looked up: try again", BUSY_RETRY_S);
        let _place = self.waiting.try_acquire().map_err(|_| busy())?;
        let wait = Duration::from_millis(STRANGER_WAIT_MS_MAX);
        let turn = timeout(wait, self.strangers.acquire()).await.map_err(|_| busy())?;
        Ok(turn.expect("nobody closes the semaphore"))
    }

    fn get(&self, hash: &Tag) -> Option<Seen> {
        self.lock().get(hash).cloned()
    }

    /// Says so once for each time that it was seen; nearly always `seen` alone tells that it is not.
    fn is_to_be_renewed(&self, hash: &Tag, seen: &Seen, now: Timestamp) -> bool {
        let is_due = |seen: &Seen| !seen.renewing && seen.age_ms(now) >= KEY_RENEWED_MS;
        if !is_due(seen) {
            return false;
        }
        let mut keys = self.lock();
        let Some(seen) = keys.get_mut(hash).filter(|seen| is_due(seen)) else { return false };
        seen.renewing = true;
        true
    }

    /// Only keys the store knows come here, so strangers cannot fill it; full, it starts anew.
    fn put(&self, hash: Tag, seen: Seen) {
        let mut keys = self.lock();
        if keys.len() >= KEYS_REMEMBERED_MAX && !keys.contains_key(&hash) {
            keys.clear();
        }
        keys.insert(hash, seen);
    }

    fn forget(&self, hash: &Tag) {
        self.lock().remove(hash);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Tag, Seen>> {
        self.seen.lock().expect("no code panics while it holds the keys")
    }
}

#[cfg(test)]
mod tests {
    use otodoke_common::clock::Clock;
    use otodoke_common::memory::Memory;

    use super::*;

    #[tokio::test]
    async fn a_key_is_asked_for_again_in_time_and_by_one_alone() {
        let (store, cache) = (Memory::new(Clock::system()).store(), KeyCache::default());
        let at = |ms: u64| Timestamp::from_unix_ms(0).plus_ms(ms);
        let belongs = async |tenant: &str| {
            let tenant = TenantId::parse(tenant).expect("a tenant");
            let record = KeyRecord { tenant, key_id: String::new(), created_at: at(0) };
            let value = serde_json::to_string(&record).expect("plain fields");
            store.setting_put(&key_setting("abc"), Some(&value)).await.expect("a store");
        };
        let whose = async |ms| {
            let tenant = tenant_of(&*store, &cache, Some(b"Bearer abc"), at(ms)).await;
            tenant.map_or_else(|problem| problem.code.to_owned(), |tenant| tenant.as_str().to_owned())
        };
        belongs("first").await;
        assert_eq!(whose(0).await, "first");
        belongs("second").await;
        assert_eq!(whose(KEY_RENEWED_MS - 1).await, "first", "nobody asks yet");
        let seen = cache.get(&hash("abc")).expect("it was seen");
        let is_asked_for = || cache.is_to_be_renewed(&hash("abc"), &seen, at(KEY_RENEWED_MS));
        assert_eq!([is_asked_for(), is_asked_for()], [true, false], "one asks, and gets no answer");
        assert_eq!(whose(KEY_FRESH_MS - 1).await, "first", "the others do not");
        assert_eq!(whose(KEY_FRESH_MS).await, "second", "it is believed no longer");
        belongs("third").await;
        assert_eq!(whose(KEY_FRESH_MS + KEY_RENEWED_MS).await, "third", "the next one asks");
        belongs("fourth").await;
        assert_eq!(whose(0).await, "fourth", "the clock was set back, and nobody knows how old the third is");
    }

    #[test]
    fn only_a_well_formed_bearer_header_holds_a_key() {
        for (value, key) in [
            ("Bearer abc", Some("abc")),
            ("bearer abc", Some("abc")),
            ("Basic abc", None),
            ("Bearer", None),
            ("Bearer ", None),
            ("Bearer a b", None),
            ("Bearer a\u{e9}", None),
            ("abc", None),
        ] {
            assert_eq!(bearer(value.as_bytes()), key, "{value}");
        }
        assert_eq!(bearer(format!("Bearer {}", "k".repeat(KEY_BYTES_MAX + 1)).as_bytes()), None);
    }

    #[test]
    fn a_minted_key_is_found_again_by_itself_alone() {
        let tenant = TenantId::parse("acme").expect("a tenant");
        let now = Timestamp::from_unix_ms(0);
        let one = mint(&tenant, now).expect("randomness");
        let two = mint(&tenant, now).expect("randomness");
        assert_eq!(one.setting, key_setting(&one.key));
        assert_ne!(one.setting, two.setting);
        assert!(!one.setting.contains(&one.key));
    }

    #[test]
    fn the_setting_of_a_key_is_its_sha_256() {
        let known = "key/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(key_setting("abc"), known);
    }
}
