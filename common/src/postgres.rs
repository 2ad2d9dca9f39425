//! Rows in PostgreSQL: the store of many processes and machines. Callers see single rows; groups and commits are inside.
//!
//! `rules` are the meaning of the verbs. `group` collects what concurrent callers ask, `write` does a group of openings and
//! saves in one transaction, `read` and `inbox` do theirs in one statement each; `due` is the list of what a sweep looks at;
//! `people` answers what only people ask; `prune` and `days` keep the tables small; `exchange` bounds how long an answer to any
//! of them is waited for. Nothing outside this module names the client library.

mod days;
mod draft;
mod due;
mod error;
mod exchange;
mod floor;
mod group;
mod inbox;
mod people;
mod prune;
mod read;
mod rules;
mod save;
mod schema;
mod session;
mod statements;
mod trouble;
mod write;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use crate::config::Secret;
use crate::leg::{LegNumber, ProviderId};
use crate::message::{Message, MessageId, Tag};
use crate::outcome::Report;
use crate::store::{ClaimKind, Counts, Holder, JournalEntry, Opened, Opening, Save, Saved, Store, StoreError};
use crate::time::Timestamp;
use crate::wire::{decode_reports, decode_row};
use days::Days;
use due::Look;
pub use error::PostgresError;
use exchange::Exchanges;
use floor::Floors;
use group::Grouped;
use inbox::{InboxDrop, InboxPut, InboxRead};
use prune::Pruning;
use read::{Find, FindHolder, Load};
use save::{Row, SaveAll, pays_nothing};
use session::Kind;
use write::{Answer, Ask, Write};

/// Of each kind of grouped work: tasks, and so groups under way at once. A second one would only halve the groups.
const HANDS: usize = 1;
const POOL_SIZE: usize = 8;
/// Of these connections so many are for people and for upkeep, and never see a hot statement.
const PEOPLE_POOL_SIZE: usize = 2;
const POOL_SIZE_MIN: usize = PEOPLE_POOL_SIZE + 1;
const STATEMENT_TIMEOUT_MS: u64 = 5_000;
const WAIT_TIMEOUT_MS: u64 = 5_000;
const CREATE_TIMEOUT_MS: u64 = 5_000;
const RECYCLE_TIMEOUT_MS: u64 = 2_000;
const INBOX_MAX: u64 = 100_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresSettings {
    /// `postgres://user:password@host:port/database`. Several hosts may be named; the one that takes writes is used.
    pub url: Secret,
    /// Whose certificates are believed, instead of those this machine trusts; and that TLS is spoken. Without it the url
    /// decides: `sslmode=require` and `verify-full` both mean a certificate that is held against its authority and the
    /// host's name, everything else means no TLS.
    pub ca_file: Option<PathBuf>,
    /// Connections of this process, at least 3.
    pub pool_size: usize,
    pub statement_timeout_ms: u64,
    /// How long work waits for a free connection, for a new one, and for the check of a used one.
    pub wait_timeout_ms: u64,
    pub create_timeout_ms: u64,
    pub recycle_timeout_ms: u64,
    /// Reports that may wait for their leg.
    pub inbox_max: u64,
}

impl PostgresSettings {
    pub fn new(url: Secret) -> Self {
        Self {
            url,
            ca_file: None,
            pool_size: POOL_SIZE,
            statement_timeout_ms: STATEMENT_TIMEOUT_MS,
            wait_timeout_ms: WAIT_TIMEOUT_MS,
            create_timeout_ms: CREATE_TIMEOUT_MS,
            recycle_timeout_ms: RECYCLE_TIMEOUT_MS,
            inbox_max: INBOX_MAX,
        }
    }

    /// Whether the url and what it needs can be read, before anything is connected.
    pub(crate) fn check(&self) -> Result<(), PostgresError> {
        session::tls(self).map(drop)
    }
}

/// How the server means to run one statement of the hot path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub statement: &'static str,
    pub text: String,
}

/// The server's settings that decide what a commit survives. `synchronous_commit` is none of them: our sessions have it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lasting {
    pub fsync: bool,
    pub full_page_writes: bool,
    /// `synchronous_standby_names` names somebody: then each commit waits until it is on that one's disk as well.
    pub synchronous_standby: bool,
}

pub struct Postgres {
    settings: PostgresSettings,
    hot: Exchanges,
    people: Exchanges,
    days: Arc<Days>,
    floors: Floors,
    writes: Grouped<Write>,
    saves: Grouped<SaveAll>,
    loads: Grouped<Load>,
    finds: Grouped<Find>,
    puts: Grouped<InboxPut>,
    waiting: Grouped<InboxRead>,
    drops: Grouped<InboxDrop>,
    holders: Grouped<FindHolder>,
}

impl Postgres {
    /// Connects to a database whose schema this program may run on. Call within a tokio runtime.
    pub async fn connect(settings: &PostgresSettings) -> Result<Arc<Self>, PostgresError> {
        schema::check(&session::probe(settings).await?).await?;
        let people_size = PEOPLE_POOL_SIZE;
        let hot = session::pool(settings, Kind::Hot, settings.pool_size.max(POOL_SIZE_MIN) - people_size)?;
        let people = session::pool(settings, Kind::People, people_size)?;
        let (mut hot, mut people) = (Exchanges::new(hot, settings), Exchanges::new(people, settings));
        if session::names_several(settings) {
            Exchanges::moving_together([&mut hot, &mut people]);
        }
        let days = Arc::new(Days::default());
        Ok(Arc::new(Self {
            settings: settings.clone(),
            writes: Grouped::start(Write { days: Arc::clone(&days) }, hot.clone(), HANDS),
            saves: Grouped::start(SaveAll, hot.clone(), HANDS),
            loads: Grouped::start(Load, hot.clone(), HANDS),
            finds: Grouped::start(Find, hot.clone(), HANDS),
            // One task, so that what it counts before it writes is right for its process.
            puts: Grouped::start(InboxPut { inbox_max: settings.inbox_max }, hot.clone(), 1),
            waiting: Grouped::start(InboxRead, hot.clone(), HANDS),
            drops: Grouped::start(InboxDrop, hot.clone(), 1),
            holders: Grouped::start(FindHolder, hot.clone(), HANDS),
            hot,
            people,
            days,
            floors: Floors::default(),
        }))
    }

    /// Brings the schema up to what this program needs. Any number of processes may do so at once.
    pub async fn migrate(settings: &PostgresSettings) -> Result<(), PostgresError> {
        schema::migrate(&mut session::probe(settings).await?).await
    }

    /// Makes the schema in a database that has none, and changes none that is there: for commands that people type before
    /// anything runs. To bring a schema up to date is for the programs that serve.
    pub async fn begin(settings: &PostgresSettings) -> Result<(), PostgresError> {
        schema::begin(&mut session::probe(settings).await?).await
    }

    /// The server's time of day, for measuring how far this machine's clock is off.
    pub async fn server_time(&self) -> Result<Timestamp, StoreError> {
        people::server_time(&self.people).await
    }

    /// What commits of this process survive.
    pub async fn lasting(&self) -> Result<Lasting, StoreError> {
        people::lasting(&self.people).await
    }

    /// How the server means to run each statement of the hot path, whatever the tables hold now.
    pub async fn plans(&self) -> Result<Vec<Plan>, StoreError> {
        people::plans(&self.hot).await
    }
}

#[async_trait]
impl Store for Postgres {
    async fn open(&self, opening: Opening) -> Result<Opened, StoreError> {
        match self.writes.ask(Ask::open(opening)).await? {
            Answer::Opened(opened) => Ok(opened),
            Answer::Saved(_) => unreachable!("an opening is answered as one"),
        }
    }

    async fn load(&self, id: MessageId) -> Result<Option<Message>, StoreError> {
        let body = self.loads.ask(id).await?;
        let message = body.map(|body| decode_row(&body)).transpose();
        message.map_err(|error| StoreError::Refused { why: error.to_string() })
    }

    async fn holder(&self, kind: ClaimKind, tag: Tag, now: Timestamp) -> Result<Option<Holder>, StoreError> {
        let found = self.holders.ask((kind, tag)).await?;
        Ok(found.filter(|(_, until)| *until > now).map(|(holder, _)| holder))
    }

    async fn save(&self, save: &Save) -> Result<Saved, StoreError> {
        if pays_nothing(save) {
            return self.saves.ask(Row::new(save)).await;
        }
        // Large, and only for saves that pay or refund.
        match Box::pin(self.writes.ask(Ask::save(save.clone()))).await? {
            Answer::Saved(saved) => Ok(saved),
            Answer::Opened(_) => unreachable!("a save is answered as one"),
        }
    }

    async fn by_reference(
        &self,
        provider: &ProviderId,
        reference: &str,
    ) -> Result<Option<(MessageId, LegNumber)>, StoreError> {
        self.finds.ask((provider.clone(), reference.to_owned())).await
    }

    async fn of_number(&self, number: Tag, made: Range<Timestamp>, limit: usize) -> Result<Vec<Message>, StoreError> {
        people::of_number(&self.people, number, made, limit).await
    }

    async fn due(&self, now: Timestamp, limit: usize, lease_ms: u64) -> Result<Vec<Message>, StoreError> {
        due::due(&self.hot, &self.floors, &Look { now, limit, leased_until: now.plus_ms(lease_ms) }).await
    }

    async fn inbox_put(&self, report: &Report) -> Result<(), StoreError> {
        self.puts.ask(inbox::Put::new(report)).await
    }

    async fn inbox_read(&self, provider: &ProviderId, reference: &str) -> Result<Vec<Report>, StoreError> {
        let bodies = self.waiting.ask((provider.clone(), reference.to_owned())).await?;
        let mut reports = Vec::with_capacity(bodies.len());
        for body in bodies {
            reports.extend(decode_reports(&body).map_err(|error| StoreError::Refused { why: error.to_string() })?);
        }
        Ok(reports)
    }

    async fn inbox_drop(&self, report: &Report) -> Result<(), StoreError> {
        self.drops.ask(inbox::Put::new(report)).await
    }

    async fn prune(
        &self,
        now: Timestamp,
        ended_before: Timestamp,
        inbox_before: Timestamp,
        limit: usize,
    ) -> Result<usize, StoreError> {
        let pruning = Pruning { now, ended_before, inbox_before, limit };
        prune::prune(&self.people, &self.settings, &self.days, &pruning).await
    }

    async fn journal(&self, id: MessageId) -> Result<Vec<JournalEntry>, StoreError> {
        people::journal(&self.people, id).await
    }

    async fn counts(&self, now: Timestamp) -> Result<Counts, StoreError> {
        people::counts(&self.people, now, &self.floors).await
    }

    async fn setting_put(&self, name: &str, value: Option<&str>) -> Result<(), StoreError> {
        people::setting_put(&self.people, name, value).await
    }

    async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        people::setting(&self.people, name).await
    }

    async fn settings(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError> {
        people::settings(&self.people, prefix).await
    }
}
