//! Everything `up` runs, put together: sandbox, embedded backends, providers, door, worker. Then run, then stopped in
//! the order that loses nothing.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use otodoke_common::clock::Clock;
use otodoke_common::config::{SandboxCarrier, SandboxCarriers, SandboxPlace, Secret, Settings, UpSettings, reached_at};
use otodoke_common::dice::Dice;
use otodoke_common::embedded::{Embedded, EmbeddedLimits};
use otodoke_common::seal::{TagUse, Vault};
use otodoke_producer::Door;
use otodoke_providers::{Backends, assemble};
use otodoke_sandbox::{CarrierPlaces, CarrierUrls, Sandbox, SandboxSettings, Secrets, TwilioAccount, Waits};
use otodoke_worker::{Worker, WorkerSettings};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::directory::Directory;
use super::welcome::Welcome;

pub(super) struct House {
    sandbox: Sandbox,
    embedded: Embedded,
    door: Arc<Door>,
    worker: Worker,
    welcome: Welcome,
}

impl House {
    pub(super) async fn build(
        directory: &Directory,
        listen: SocketAddr,
        own: UpSettings,
        stop: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let embedded = Embedded::open(&directory.path, EmbeddedLimits::default())
            .with_context(|| format!("the data directory {} cannot be used", directory.path.display()))?;
        let url = format!("http://{}", reached_at(listen));
        let secrets = secrets(&Vault::new(directory.seal.root.bytes())?);
        let sandbox = start_sandbox(directory, &url, &secrets).await?;
        let settings = settings(directory, listen, sandbox.urls(), secrets).with_own(own);
        let parts = assemble(&settings)?.on(Backends {
            store: embedded.store(),
            broker: embedded.broker(),
            clock: Clock::system(),
            dice: Arc::new(Dice::system()),
        });
        directory.register_key(&*parts.desk.store, &parts.desk.clock).await?;
        parts.codes.look(&*parts.desk.store).await?;
        let door = Arc::new(Door::assemble(&settings, parts.clone(), stop.clone()));
        let welcome =
            Welcome { sandbox: format!("{url}/sandbox"), url, api_key: directory.api_key.expose().to_owned() };
        Ok(Self { sandbox, embedded, door, worker: Worker::new(parts, WorkerSettings::from(&settings)), welcome })
    }

    /// Serves until `stop`. The door closes first, so that nothing new comes; then the worker finishes what is in hand,
    /// for which carriers must still answer; then the carriers; then the file.
    pub(super) async fn run(
        self,
        listener: TcpListener,
        stop: CancellationToken,
        tell: impl FnOnce(&Welcome) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let worker_stop = CancellationToken::new();
        let mut working = tokio::spawn(self.worker.run(worker_stop.clone()));
        let router = otodoke_producer::router(self.door).merge(self.sandbox.page());
        let mut serving = tokio::spawn(otodoke_producer::server::serve(listener, router, stop.clone()));
        tell(&self.welcome)?;
        let served = tokio::select! {
            served = &mut serving => served,
            worked = &mut working => {
                stop.cancel();
                worked.context("the worker ended by a panic")?;
                anyhow::bail!("the worker ended by itself, so nothing would be delivered any more");
            }
        };
        worker_stop.cancel();
        working.await.context("the worker ended by a panic")?;
        self.sandbox.stop().await;
        self.embedded.close();
        served.context("the door ended by a panic")?.context("the door could not go on")
    }
}

/// The same in every run of one directory, so that receipts still owed from the last one are believed.
fn secrets(vault: &Vault) -> Secrets {
    let of = |name: &str| vault.tag(TagUse::SandboxSecret, &[name.as_bytes()]).hex();
    let account = |name: &str| TwilioAccount {
        account_sid: format!("AC{}", &of(&format!("{name} account"))[..32]),
        auth_token: of(name)[..32].to_owned(),
    };
    Secrets { sakura_token: of("sakura"), fuji_key: of("fuji"), atlas: account("atlas"), kodama: account("kodama") }
}

async fn start_sandbox(directory: &Directory, url: &str, secrets: &Secrets) -> anyhow::Result<Sandbox> {
    let settings = SandboxSettings {
        data_dir: directory.path.clone(),
        public_url: url.to_owned(),
        api_url: url.to_owned(),
        api_key: directory.api_key.expose().to_owned(),
        waits: Waits::default(),
        secrets: secrets.clone(),
        places: CarrierPlaces::default(),
    };
    // A token of its own: carriers must answer until the worker has finished what it has in hand.
    Sandbox::start(settings, CancellationToken::new()).await.context("the sandbox cannot start")
}

fn settings(directory: &Directory, listen: SocketAddr, urls: &CarrierUrls, secrets: Secrets) -> Settings {
    let carrier = |base_url: &str, account: Option<String>, secret: String| SandboxCarrier {
        base_url: base_url.to_owned(),
        account,
        secret: Secret::new(secret),
    };
    let twilio =
        |base_url: &str, account: TwilioAccount| carrier(base_url, Some(account.account_sid), account.auth_token);
    let carriers = SandboxCarriers {
        sakura: carrier(&urls.sakura, None, secrets.sakura_token),
        fuji: carrier(&urls.fuji, None, secrets.fuji_key),
        atlas: twilio(&urls.atlas, secrets.atlas),
        kodama: twilio(&urls.kodama, secrets.kodama),
    };
    let place = SandboxPlace { listen, codes: directory.codes.clone(), seal: directory.seal.clone() };
    Settings::sandbox(place, carriers)
}
