//! PostgreSQL as the contract suite asks for it: a database of its own for every fresh backend.

use std::sync::Arc;

use otodoke_common::postgres::{Postgres, PostgresSettings};
use otodoke_common::store::Store;
use otodoke_tests::servers::postgres::{TestPostgres, settings};

pub(crate) const LIMITS: Limits = Limits { queue_max: 0, inbox_max: 1_000 };
/// The server is shared by as many tests as run at once.
const POOL_SIZE: usize = 5;

#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// A broker's; no store has a queue.
    #[expect(dead_code, reason = "the suite's limits are those of both seams")]
    pub(crate) queue_max: u64,
    pub(crate) inbox_max: u64,
}

pub(crate) trait Factory {
    fn fresh(&self, limits: Limits) -> Backend;
}

pub(crate) struct Backend {
    pub(crate) store: Arc<dyn Store>,
}

pub(crate) struct OnPostgres(pub(crate) TestPostgres);

impl Factory for OnPostgres {
    fn fresh(&self, limits: Limits) -> Backend {
        let settings = small(&self.0.database(), limits.inbox_max);
        let store = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(migrated(&settings)));
        Backend { store }
    }
}

pub(crate) fn small(url: &str, inbox_max: u64) -> PostgresSettings {
    PostgresSettings { inbox_max, pool_size: POOL_SIZE, ..settings(url) }
}

pub(crate) async fn migrated(settings: &PostgresSettings) -> Arc<Postgres> {
    Postgres::migrate(settings).await.expect("an empty database takes the schema");
    Postgres::connect(settings).await.expect("a migrated database is ours")
}
