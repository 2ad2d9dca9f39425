//! `otodoke up` with a million messages in its queue, as a long outage of every carrier would leave them: what it holds in
//! memory while it works them off.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream};
use otodoke_common::broker::{Broker, Queue};
use otodoke_common::clock::Clock;
use otodoke_common::config::{Root, TenantSettings};
use otodoke_common::dice::Dice;
use otodoke_common::embedded::{Embedded, EmbeddedLimits};
use otodoke_common::message::{Kid, MessageId, TenantId};
use otodoke_common::policy::Policy;
use otodoke_common::request::Request;
use otodoke_common::request::opening::{Birth, Opener};
use otodoke_common::seal::Vault;
use otodoke_common::store::{Opened, Store};
use otodoke_common::wire::LaneMessage;
use serde::Serialize;
use tokio::time::{Duration, Instant, sleep};

use crate::embedded::{directory, start};
use crate::figures::{float, ratio};
use crate::load;
use crate::metrics::Metrics;
use crate::usage::most_resident_mib;

/// All that one queue of the file may hold.
const QUEUED: u64 = 1_000_000;
/// Written at a time, so that the file commits large groups.
const WRITTEN_AT_ONCE: usize = 2_048;
/// Longest that a code may live: none expires before it was measured.
const TTL_S: u32 = 1_800;
const WATCHED_MS: u64 = 20_000;
/// As `up` names them in its directory.
const SEAL_ROOT_FILE: &str = "seal-root";
const KID: &str = "k1";
const TENANT: &str = "sandbox";

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Queued {
    pub(crate) queued: u64,
    /// From the start of the process until it listened, seconds.
    pub(crate) listens_s: f64,
    /// The most that it ever held.
    pub(crate) resident_mib: f64,
    pub(crate) worked_off_per_s: f64,
}

pub(crate) async fn measure() -> anyhow::Result<Queued> {
    let directory = directory()?;
    // Makes the roots and the key.
    drop(start(&directory).await?);
    fill(&directory.path().join("data")).await.context("a queue of a million")?;
    let begun = Instant::now();
    let up = start(&directory).await?;
    let listens_s = begun.elapsed().as_secs_f64();
    let (begun, before) = (Instant::now(), Metrics::of(up.address()?).await?.recorded());
    sleep(Duration::from_millis(WATCHED_MS)).await;
    let recorded = Metrics::of(up.address()?).await?.recorded() - before;
    anyhow::ensure!(recorded > 0, "nothing of the queue was worked off");
    Ok(Queued {
        queued: QUEUED,
        listens_s,
        resident_mib: most_resident_mib(up.pid()),
        worked_off_per_s: ratio(float(recorded), begun.elapsed().as_secs_f64()),
    })
}

async fn fill(data: &Path) -> anyhow::Result<()> {
    let embedded = Embedded::open(data, EmbeddedLimits::default())?;
    let hand = Arc::new(Hand::new(data, embedded.store(), embedded.broker())?);
    let written = stream::iter(0..QUEUED).map(|person| {
        let hand = Arc::clone(&hand);
        // Its own task: one alone could not keep the file's writer busy.
        async move { tokio::spawn(async move { hand.accept(person).await }).await? }
    });
    written.buffer_unordered(WRITTEN_AT_ONCE).try_for_each(|()| async { Ok(()) }).await?;
    embedded.close();
    Ok(())
}

/// Accepts as the door does, without one.
struct Hand {
    store: Arc<dyn Store>,
    broker: Arc<dyn Broker>,
    vault: Vault,
    clock: Clock,
    dice: Dice,
    policy: Policy,
    kid: Kid,
    tenant: TenantId,
}

impl Hand {
    fn new(data: &Path, store: Arc<dyn Store>, broker: Arc<dyn Broker>) -> anyhow::Result<Self> {
        let root = Root::read_or_create(&data.join(SEAL_ROOT_FILE)).map_err(anyhow::Error::msg)?;
        Ok(Self {
            store,
            broker,
            vault: Vault::new(root.bytes())?,
            clock: Clock::system(),
            dice: Dice::system(),
            policy: Policy::default(),
            kid: Kid::parse(KID).map_err(anyhow::Error::msg)?,
            tenant: TenantId::parse(TENANT).map_err(anyhow::Error::msg)?,
        })
    }

    async fn accept(&self, person: u64) -> anyhow::Result<()> {
        let request = Request::of_code(serde_json::from_str(&load::body(person, TTL_S))?)?;
        let terms = TenantSettings::default().terms(request.purpose, &self.policy);
        let (vault, policy, kid, tenant) = (&self.vault, &self.policy, &self.kid, &self.tenant);
        let opener = Opener { vault, policy, kid, tenant, terms };
        let now = self.clock.now();
        let birth = Birth { id: MessageId::new(now, self.dice.id_bits()), accepted_at: now, now };
        let opening = opener.opening(birth, None, &request, 0);
        let (id, lane) = (opening.message.id, opening.message.lane);
        let opened = self.store.open(opening).await?;
        anyhow::ensure!(opened == Opened::New, "a message did not open: {opened:?}");
        Ok(self.broker.publish(Queue::Lane(lane), LaneMessage::Wake { id }.encode()).await?)
    }
}
