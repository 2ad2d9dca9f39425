//! People who ask for codes: a bounded number at a time, each with a key and again until the door says yes.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::caller::Caller;

const IN_FLIGHT: usize = 32;
/// So long that nothing ends by itself while a test looks.
const TTL_S: u64 = 600;
const ASK_AGAIN_MS: u64 = 250;
/// Longer than any fault here lasts.
const ASK_MS_MAX: u128 = 180_000;
/// Of codes: no other number has as many digits as these, and those of numbers without `+81`.
pub(crate) const CODE_LENGTH: usize = 10;
/// Of the first thousand people: the four digits after the network's.
const FIRST_EXCHANGE: usize = 1_234;

/// The ids that the door gave, by person.
#[derive(Default)]
pub(crate) struct Accepted {
    pub(crate) ids: BTreeMap<usize, String>,
    /// Requests that were refused or not answered, and asked again.
    pub(crate) refusals: usize,
}

impl Accepted {
    pub(crate) fn add(&mut self, more: Self) {
        self.ids.extend(more.ids);
        self.refusals += more.refusals;
    }
}

/// Of this person. No two share one, and none ends in a scenario's digits.
pub(crate) fn phone(person: usize) -> String {
    // The last four digits choose what a phone does: all work from 1000 to 1999.
    format!("+8190{:04}1{:03}", FIRST_EXCHANGE + person / 1_000, person % 1_000)
}

/// Returns when everybody was accepted.
pub(crate) async fn ask(caller: Caller, people: Range<usize>) -> Accepted {
    let room = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut asking = JoinSet::new();
    for person in people {
        let permit = Arc::clone(&room).acquire_owned().await.expect("nobody closes the semaphore");
        let caller = caller.clone();
        asking.spawn(async move {
            let _permit = permit;
            ask_until_accepted(&caller, person).await
        });
    }
    let mut accepted = Accepted::default();
    for (person, id, refusals) in asking.join_all().await {
        accepted.ids.insert(person, id);
        accepted.refusals += refusals;
    }
    accepted
}

async fn ask_until_accepted(caller: &Caller, person: usize) -> (usize, String, usize) {
    let body = json!({ "to": phone(person), "purpose": "login", "ttl_seconds": TTL_S, "code_length": CODE_LENGTH });
    let body = body.to_string();
    let headers = [("idempotency-key", &*format!("fault-{person}"))];
    let (begun, mut refusals) = (Instant::now(), 0);
    loop {
        let answer = caller.try_ask(Method::POST, "/v1/verifications", &body, &headers).await;
        match answer {
            Some(answer) if answer.status == 202 => {
                return (person, answer.json()["id"].as_str().expect("an id").to_owned(), refusals);
            }
            // A door that is away, or says that it cannot now.
            Some(answer) => {
                assert!([500, 502, 503, 504].contains(&answer.status), "{}: {}", answer.status, answer.text);
            }
            None => {}
        }
        assert!(begun.elapsed().as_millis() < ASK_MS_MAX, "person {person} is not accepted within {ASK_MS_MAX} ms");
        refusals += 1;
        sleep(Duration::from_millis(ASK_AGAIN_MS)).await;
    }
}
