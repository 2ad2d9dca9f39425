//! `sandbox`: the carriers and the page alone, for door and workers in processes of their own.
//!
//! It reads the settings that those read, and stands in for the providers: where their `base_url` points to, with their
//! secrets. So one file fits all, and nothing of it is written twice.

use std::net::SocketAddr;

use anyhow::Context;
use axum::Json;
use axum::routing::get;
use otodoke_common::config::{CarriersSettings, ProviderKind, ProviderSettings, Source};
use otodoke_common::startup;
use otodoke_sandbox::{CarrierPlaces, Sandbox as Carriers, SandboxSettings, Secrets, TwilioAccount, Waits};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::cli::Sandbox;
use crate::output::{Outcome, Output};

/// The carriers there are: what the settings must call them, and what they speak.
const CARRIERS: [(&str, ProviderKind); 4] = [
    ("sakura", ProviderKind::Smslink),
    ("fuji", ProviderKind::Infobip),
    ("atlas", ProviderKind::Twilio),
    ("kodama", ProviderKind::TwilioVoice),
];

#[derive(Serialize)]
struct Welcome {
    /// The page with the handsets.
    sandbox: String,
}

pub(crate) async fn run(command: &Sandbox, output: &Output) -> anyhow::Result<Outcome> {
    let settings = Source::of_process(command.config.config.as_deref()).read_carriers()?;
    let (places, secrets) = stand_in(&settings)?;
    let stop = startup::stop_on_signal()?;
    let listener = TcpListener::bind(command.listen)
        .await
        .with_context(|| format!("{} cannot be listened on; --listen 127.0.0.1:0 takes a free port", command.listen))?;
    let door = command.public_url.clone().unwrap_or(settings.public_url);
    let settings = SandboxSettings {
        data_dir: command.data.data.clone(),
        public_url: door.clone(),
        api_url: door,
        api_key: command.api_key.clone(),
        waits: Waits::default(),
        secrets,
        places,
    };
    let carriers = Carriers::start(settings, CancellationToken::new()).await.context("the sandbox cannot start")?;
    let page = carriers.page().route("/healthz", get(async || Json(serde_json::json!({ "alive": true }))));
    let welcome = Welcome { sandbox: format!("http://{}/sandbox", listener.local_addr()?) };
    output.answer(&welcome, || format!("The phones are at {}; their carriers wait for a worker.", welcome.sandbox))?;
    let served = otodoke_producer::server::serve(listener, page, stop).await;
    carriers.stop().await;
    served.context("the page could not go on")?;
    Ok(Outcome::Done)
}

fn stand_in(settings: &CarriersSettings) -> anyhow::Result<(CarrierPlaces, Secrets)> {
    for provider in &settings.providers {
        let known = CARRIERS.iter().any(|(name, kind)| provider.id.as_str() == *name && provider.kind == *kind);
        anyhow::ensure!(
            known && provider.is_loopback(),
            "the settings name the provider {} at {}; the sandbox stands in for its own carriers on this machine only, and \
             never beside a real one",
            provider.id,
            provider.base_url
        );
    }
    let of = |name: &str| settings.providers.iter().find(|provider| provider.id.as_str() == name);
    let needed = |name: &str| {
        of(name).with_context(|| format!("the settings have no provider {name}, which is a carrier of the sandbox"))
    };
    let [sakura, fuji, atlas, kodama] = CARRIERS.map(|(name, _)| needed(name));
    let (sakura, fuji, atlas, kodama) = (sakura?, fuji?, atlas?, kodama?);
    let places =
        CarrierPlaces { sakura: place(sakura)?, fuji: place(fuji)?, atlas: place(atlas)?, kodama: place(kodama)? };
    let secrets = Secrets {
        sakura_token: sakura.secret.expose().to_owned(),
        fuji_key: fuji.secret.expose().to_owned(),
        atlas: account(atlas)?,
        kodama: account(kodama)?,
    };
    Ok((places, secrets))
}

fn place(provider: &ProviderSettings) -> anyhow::Result<SocketAddr> {
    let address = provider.base_url.strip_prefix("http://").and_then(|address| address.parse().ok());
    address.with_context(|| {
        let (id, url) = (&provider.id, &provider.base_url);
        format!("provider {id}: base_url = {url}: must be such as http://127.0.0.1:9101, where the sandbox can listen")
    })
}

fn account(provider: &ProviderSettings) -> anyhow::Result<TwilioAccount> {
    let account_sid = provider.account.clone();
    Ok(TwilioAccount {
        account_sid: account_sid.with_context(|| format!("provider {}: account is missing", provider.id))?,
        auth_token: provider.secret.expose().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use otodoke_common::config::Secret;
    use otodoke_common::leg::ProviderId;

    use super::*;

    fn settings(change: impl Fn(&mut ProviderSettings)) -> CarriersSettings {
        let provider = |(index, (name, kind)): (u16, (&str, ProviderKind))| {
            let mut provider = ProviderSettings {
                id: ProviderId::parse(name).expect("a provider id"),
                kind,
                base_url: format!("http://127.0.0.1:{}", 9_101 + index),
                account: Some("AC1".to_owned()),
                secret: Secret::new(name),
                rate_per_s: 1,
                concurrency: 1,
                timeout_ms: 1_000,
            };
            change(&mut provider);
            provider
        };
        let providers = (0..).zip(CARRIERS).map(provider).collect();
        CarriersSettings { public_url: "http://127.0.0.1:8080".to_owned(), providers }
    }

    #[test]
    fn the_carriers_are_where_and_who_the_settings_say() {
        let (places, secrets) = stand_in(&settings(|_| {})).expect("good settings");
        assert_eq!(places.kodama.to_string(), "127.0.0.1:9104");
        assert_eq!((secrets.fuji_key.as_str(), secrets.atlas.auth_token.as_str()), ("fuji", "atlas"));
    }

    #[test]
    fn it_never_stands_beside_a_real_provider() {
        let real = |provider: &mut ProviderSettings| {
            if provider.kind == ProviderKind::Infobip {
                provider.base_url = "https://api.infobip.com".to_owned();
            }
        };
        let said = stand_in(&settings(real)).err().expect("a real provider").to_string();
        assert!(said.contains("the provider fuji at https://api.infobip.com"), "{said}");
        let foreign = |provider: &mut ProviderSettings| {
            if provider.kind == ProviderKind::Twilio {
                provider.id = ProviderId::parse("twilio").expect("a provider id");
            }
        };
        assert!(stand_in(&settings(foreign)).is_err());
    }

    #[test]
    fn a_carrier_without_a_port_is_named() {
        let said = stand_in(&settings(|provider| provider.base_url = "http://localhost".to_owned())).err();
        let said = said.expect("no port").to_string();
        assert!(said.starts_with("provider sakura: base_url = http://localhost: must be such as"), "{said}");
    }
}
