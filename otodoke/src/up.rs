//! `up`: door, worker and the carriers of the sandbox in one process, on the embedded backends. Nothing to install,
//! nothing to configure, nothing that leaves this machine.
//!
//! The listener comes first, because carriers must be told where the door is; the first line is printed last, because
//! whoever reads it may send at once.

mod directory;
mod house;
mod welcome;

use anyhow::Context;
use otodoke_common::config::{
    CodesSettings, Problems, Root, SandboxCarrier, SandboxCarriers, SandboxPlace, SealSettings, Secret, Settings,
    Source, UpSettings,
};
use otodoke_common::message::Kid;
use otodoke_common::startup;
use tokio::net::TcpListener;

use crate::cli::Up;
use crate::output::{Outcome, Output};
use directory::Directory;
use house::House;

pub(crate) async fn run(command: &Up, output: &Output) -> anyhow::Result<Outcome> {
    let own = own_settings(command)?;
    let stop = startup::stop_on_signal()?;
    let listener = TcpListener::bind(command.listen)
        .await
        .with_context(|| format!("{} cannot be listened on; --listen 127.0.0.1:0 takes a free port", command.listen))?;
    let directory = Directory::open(&command.data.data)?;
    let house = House::build(&directory, listener.local_addr()?, own, &stop).await?;
    house.run(listener, stop, |welcome| Ok(output.answer(welcome, || welcome.sentences())?)).await?;
    Ok(Outcome::Done)
}

/// Codes for real people must not be mixed with carriers that tell everybody what they carried.
fn own_settings(command: &Up) -> anyhow::Result<UpSettings> {
    let file = command.config.config.as_deref();
    let own = Source::of_process(file).read_for_up().context("`up` reads its settings before it starts")?;
    if let Some(real) = own.providers.iter().find(|provider| !provider.is_loopback()) {
        anyhow::bail!(
            "the settings name the real provider {} at {}; `up` is for playing: start it without --config and OTODOKE_CONFIG",
            real.id,
            real.base_url
        );
    }
    let problems = imagined_settings()?.with_own(own.clone()).tenant_problems();
    anyhow::ensure!(problems.is_empty(), Problems(problems));
    if !own.unused.is_empty() {
        let unused = own.unused.join(", ");
        tracing::warn!(%unused, "`up` uses only tenants and templates of its settings, and brings all else itself");
    }
    Ok(own)
}

/// The settings `up` would run with, as far as they can be told without starting: for explaining, not for sending.
pub(crate) fn imagined_settings() -> anyhow::Result<Settings> {
    let root = || Root::new(vec![0; otodoke_common::config::ROOT_BYTES_MIN]).map_err(anyhow::Error::msg);
    let kid = Kid::parse(directory::KID).expect("a good kid");
    let place = SandboxPlace {
        listen: ([127, 0, 0, 1], 8080).into(),
        codes: CodesSettings { active: kid.clone(), roots: [(kid, root()?)].into() },
        seal: SealSettings { root: root()? },
    };
    let carrier = |account: Option<&str>| SandboxCarrier {
        base_url: "http://127.0.0.1:9".to_owned(),
        account: account.map(str::to_owned),
        secret: Secret::new("imagined"),
    };
    let account = Some(directory::IMAGINED_ACCOUNT);
    let carriers = SandboxCarriers {
        sakura: carrier(None),
        fuji: carrier(None),
        atlas: carrier(account),
        kodama: carrier(account),
    };
    Ok(Settings::sandbox(place, carriers))
}
