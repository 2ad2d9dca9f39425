//! `keys`: made, listed and revoked in the store. A key is shown when it is made and never again.

use std::collections::BTreeMap;

use anyhow::Context;
use otodoke_common::clock::Clock;
use otodoke_common::config::TenantSettings;
use otodoke_common::message::TenantId;
use otodoke_common::store::{KeyRecord, Store};
use otodoke_producer::auth::{KEY_FRESH_MS, KEY_STALE_MS_MAX, mint};
use serde::Serialize;

use super::{begin, settings_of, with_store};
use crate::cli::{Keys, KeysVerb};
use crate::output::{Outcome, Output};

const PREFIX: &str = "key/";

#[derive(Serialize)]
struct Created<'a> {
    tenant: &'a str,
    key_id: &'a str,
    api_key: &'a str,
}

pub(crate) async fn keys(command: &Keys, output: &Output) -> anyhow::Result<Outcome> {
    match &command.verb {
        KeysVerb::Create { tenant, place } => {
            let tenant = tenant_of(tenant)?;
            begin(place).await?;
            let settings = settings_of(place)?;
            let created = with_store(place, async |store| create(store, &tenant, output).await).await?;
            if let Some(settings) = settings
                && let Some(warning) = without_section(&tenant, &settings.tenants)
            {
                Output::complain("warning", &warning);
            }
            Ok(created)
        }
        KeysVerb::List { tenant, place } => {
            let tenant = tenant.as_deref().map(tenant_of).transpose()?;
            with_store(place, async |store| list(store, tenant.as_ref(), output).await).await
        }
        KeysVerb::Revoke { tenant, key_id, place } => {
            let tenant = tenant_of(tenant)?;
            with_store(place, async |store| revoke(store, &tenant, key_id, output).await).await
        }
    }
}

fn tenant_of(raw: &str) -> anyhow::Result<TenantId> {
    TenantId::parse(raw).map_err(anyhow::Error::msg).context("--tenant")
}

async fn create(store: &dyn Store, tenant: &TenantId, output: &Output) -> anyhow::Result<Outcome> {
    let minted = mint(tenant, Clock::system().now())
        .context("the operating system gives no random bytes; no key can be made")?;
    store.setting_put(&minted.setting, Some(&serde_json::to_string(&minted.record)?)).await?;
    let created = Created { tenant: tenant.as_str(), key_id: &minted.record.key_id, api_key: &minted.key };
    let key_id = &minted.record.key_id;
    let shown = output
        .answer(&created, || format!("{}\n\nKey {key_id} of tenant {tenant}. It is not shown again.", minted.key));
    shown.with_context(|| {
        format!(
            "key {key_id} was made and nobody saw it; revoke it with `otodoke keys revoke --tenant {tenant} {key_id}`"
        )
    })?;
    Ok(Outcome::Done)
}

/// A name that was mistyped looks like a tenant that needs no settings of its own.
fn without_section(tenant: &TenantId, known: &BTreeMap<TenantId, TenantSettings>) -> Option<String> {
    let names: Vec<&str> = known.keys().map(TenantId::as_str).collect();
    let those =
        if names.is_empty() { "no tenant has one".to_owned() } else { format!("known are {}", names.join(", ")) };
    (!known.contains_key(tenant)).then(|| {
        format!(
            "tenant {tenant} has no section [tenant.{tenant}] in these settings, so none of their limits narrows what this \
             key may do ({those}); if the name is mistyped, revoke the key"
        )
    })
}

async fn list(store: &dyn Store, tenant: Option<&TenantId>, output: &Output) -> anyhow::Result<Outcome> {
    let mut records: Vec<KeyRecord> = Vec::new();
    for (name, value) in store.settings(PREFIX).await? {
        let record: KeyRecord = serde_json::from_str(&value).with_context(|| format!("setting {name}"))?;
        if tenant.is_none_or(|tenant| *tenant == record.tenant) {
            records.push(record);
        }
    }
    records.sort_by_key(|record| (record.tenant.clone(), record.created_at));
    let shown: Vec<Shown> = records.iter().map(Shown::from).collect();
    output.show(&shown, || table(&records, tenant))?;
    Ok(Outcome::Done)
}

/// A key as programs read of it; stored it has its time as a number.
#[derive(Serialize)]
struct Shown<'a> {
    tenant: &'a TenantId,
    key_id: &'a str,
    created_at: String,
}

impl<'a> From<&'a KeyRecord> for Shown<'a> {
    fn from(record: &'a KeyRecord) -> Self {
        Self { tenant: &record.tenant, key_id: &record.key_id, created_at: record.created_at.rfc3339() }
    }
}

fn table(records: &[KeyRecord], tenant: Option<&TenantId>) -> String {
    if records.is_empty() {
        return match tenant {
            Some(tenant) => format!("Tenant {tenant} has no key. `otodoke keys create --tenant {tenant}` makes one."),
            None => "There is no key. `otodoke keys create --tenant NAME` makes one.".to_owned(),
        };
    }
    let line = |record: &KeyRecord| {
        format!("{:<14} {:<32} {}\n", record.key_id, record.tenant.as_str(), record.created_at.rfc3339())
    };
    format!("{:<14} {:<32} CREATED\n", "KEY", "TENANT") + &records.iter().map(line).collect::<String>()
}

async fn revoke(store: &dyn Store, tenant: &TenantId, key_id: &str, output: &Output) -> anyhow::Result<Outcome> {
    for (name, value) in store.settings(PREFIX).await? {
        let record: KeyRecord = serde_json::from_str(&value).with_context(|| format!("setting {name}"))?;
        if record.key_id == key_id && record.tenant == *tenant {
            store.setting_put(&name, None).await?;
            output.answer(&Shown::from(&record), || {
                format!(
                    "Key {key_id} of tenant {tenant} is revoked. A door that saw it lately takes it for up to {} more \
                     seconds, and for up to {} minutes while the store is away.",
                    KEY_FRESH_MS / 1_000,
                    KEY_STALE_MS_MAX / 60_000
                )
            })?;
            return Ok(Outcome::Done);
        }
    }
    anyhow::bail!("tenant {tenant} has no key {key_id}; `otodoke keys list --tenant {tenant}` shows them")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_a_tenant_without_a_section_is_warned_of_with_those_that_have_one() {
        let tenant = |name| TenantId::parse(name).expect("a tenant");
        let known: BTreeMap<_, _> =
            [tenant("acme"), tenant("beta")].into_iter().map(|tenant| (tenant, TenantSettings::default())).collect();
        assert_eq!(without_section(&tenant("acme"), &known), None);
        let warning = without_section(&tenant("amce"), &known).expect("it has none");
        assert!(warning.contains("[tenant.amce]") && warning.contains("acme, beta"), "{warning}");
        assert!(without_section(&tenant("acme"), &BTreeMap::new()).is_some_and(|said| said.contains("no tenant")));
    }
}
