//! The plan trap: a statement that is first planned on an empty table must walk an index all the same.

use otodoke_common::postgres::Plan;
use otodoke_tests::servers::postgres::postgres;

use crate::backend::{LIMITS, migrated, small};

/// One row for each commit that opened something since they were last added up, and no index.
const TALLY: &str = "Seq Scan on tally";
/// Ways of reading a whole table, of joining that need it, and of walking one list for each entry of another.
const WHOLE: [&str; 6] = ["Seq Scan", "Hash Join", "Merge Join", "Bitmap Heap Scan", "Memoize", "Join Filter"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_hot_statement_walks_an_index_on_tables_that_are_empty_and_were_never_analyzed() {
    let server = postgres().await;
    let store = migrated(&small(&server.database(), LIMITS.inbox_max)).await;
    let plans = store.plans().await.expect("the server explains");
    assert!(plans.len() > 15, "every statement is explained");
    for Plan { statement, text } in plans {
        let text = text.replace(TALLY, "");
        for whole in WHOLE {
            assert!(!text.contains(whole), "{statement}:\n{text}");
        }
    }
}
