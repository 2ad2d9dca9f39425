//! The directory of `up`: the roots of codes and seals and the API key, each in a file of its own that only its owner
//! may read. What else is in it belongs to the embedded backends and to the sandbox.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use otodoke_common::clock::Clock;
use otodoke_common::config::{CodesSettings, Root, SealSettings, Secret};
use otodoke_common::message::{Kid, TenantId};
use otodoke_common::store::{KeyRecord, Store};
use otodoke_producer::auth;

pub(super) const KID: &str = "k1";
/// Of the shape that the vendor's accounts have.
pub(super) const IMAGINED_ACCOUNT: &str = "AC00000000000000000000000000000000";
pub(super) const TENANT: &str = "sandbox";
const API_KEY_FILE: &str = "api-key";
const CODES_ROOT_FILE: &str = "codes-root";
const SEAL_ROOT_FILE: &str = "seal-root";
/// Of a new directory: its owner alone.
const PRIVATE_MODE: u32 = 0o700;

pub(super) struct Directory {
    pub(super) path: PathBuf,
    pub(super) codes: CodesSettings,
    pub(super) seal: SealSettings,
    pub(super) api_key: Secret,
}

impl Directory {
    /// Makes what is not there yet. Safe to repeat: what is there is kept.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let made = std::fs::DirBuilder::new().recursive(true).mode(PRIVATE_MODE).create(path);
        made.with_context(|| format!("the data directory {} cannot be made; --data takes another", path.display()))?;
        let root = |name: &str| Root::read_or_create(&path.join(name)).map_err(anyhow::Error::msg);
        let kid = Kid::parse(KID).expect("a good kid");
        Ok(Self {
            codes: CodesSettings { active: kid.clone(), roots: [(kid, root(CODES_ROOT_FILE)?)].into() },
            seal: SealSettings { root: root(SEAL_ROOT_FILE)? },
            api_key: api_key(&path.join(API_KEY_FILE))?,
            path: path.to_owned(),
        })
    }

    /// Makes the key valid in the store. Safe to repeat: a key that is known stays as it is.
    pub(super) async fn register_key(&self, store: &dyn Store, clock: &Clock) -> anyhow::Result<()> {
        let setting = auth::key_setting(self.api_key.expose());
        if store.setting(&setting).await?.is_some() {
            return Ok(());
        }
        let record = KeyRecord { tenant: tenant(), key_id: TENANT.to_owned(), created_at: clock.now() };
        Ok(store.setting_put(&setting, Some(&serde_json::to_string(&record)?)).await?)
    }
}

pub(super) fn tenant() -> TenantId {
    TenantId::parse(TENANT).expect("a good tenant name")
}

fn api_key(path: &Path) -> anyhow::Result<Secret> {
    if !path.exists() {
        let minted = auth::mint(&tenant(), Clock::system().now());
        let minted = minted.context("the operating system gives no random bytes; no API key can be made")?;
        Secret::new(minted.key).write(path).map_err(anyhow::Error::msg)?;
    }
    Secret::read(path).map_err(anyhow::Error::msg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_keeps_its_roots_and_its_key_to_its_owner() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().expect("a temporary directory");
        let path = place.path().join("data");
        let first = Directory::open(&path).expect("made");
        let second = Directory::open(&path).expect("read");
        assert!(first.codes == second.codes && first.seal == second.seal && first.api_key == second.api_key);
        assert!(first.codes.roots.values().all(|root| *root != first.seal.root), "each root is its own");
        let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        for name in [API_KEY_FILE, CODES_ROOT_FILE, SEAL_ROOT_FILE] {
            assert_eq!(mode(&path.join(name)), 0o600, "{name}");
        }
    }
}
