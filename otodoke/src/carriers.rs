//! Providers as the settings name them, and the routes over them: what `up` runs with and what `explain` explains.

use std::collections::BTreeMap;
use std::sync::Arc;

use otodoke_common::config::{Problem, Problems, ProviderSettings, Settings};
use otodoke_common::provider::Registry;
use otodoke_common::route::RouteTable;
use otodoke_common::seal::Vault;

/// Every provider, ready to be called; or all that is wrong with any of them.
pub(crate) fn registry(settings: &Settings, vault: &Arc<Vault>) -> Result<Registry, Problems> {
    let mut providers = BTreeMap::new();
    let mut problems = Vec::new();
    for (index, provider) in settings.providers.iter().enumerate() {
        match otodoke_providers::build(&for_vendor(provider, &settings.public_url), vault.clone()) {
            Ok(built) => drop(providers.insert(provider.id.clone(), built)),
            Err(error) => {
                let key = format!("provider[{index}].{}", error.key);
                problems.push(Problem::new(key, &error.value, error.remedy));
            }
        }
    }
    if problems.is_empty() { Ok(providers) } else { Err(Problems(problems)) }
}

/// The routes of the settings over these providers.
pub(crate) fn route_table(settings: &Settings, providers: &Registry) -> RouteTable {
    settings.route_table(|id| providers.get(id).map(|provider| provider.abilities()))
}

fn for_vendor(provider: &ProviderSettings, public_url: &str) -> otodoke_providers::ProviderSettings {
    otodoke_providers::ProviderSettings {
        id: provider.id.clone(),
        kind: provider.kind.word().to_owned(),
        base_url: provider.base_url.clone(),
        public_url: public_url.to_owned(),
        account: provider.account.clone(),
        secret: provider.secret.expose().to_owned(),
        timeout_ms: provider.timeout_ms,
    }
}
