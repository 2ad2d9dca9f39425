//! People who ask for codes. `closed`: so many connections, each asking again when it was answered, and no more messages
//! in the system than a cap. `open`: at a fixed rate whatever the answers are, measured from when each was to be asked.

pub(crate) mod closed;
pub(crate) mod open;

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::figures::Latencies;

/// Below it are the numbers whose last digits choose what a handset of the sandbox does.
const FIRST_PERSON: u64 = 20_000_000;
const PEOPLE_MAX: u64 = 79_999_999;

/// Who asks, where, and what came of it.
pub(crate) struct Crowd {
    pub(crate) door: SocketAddr,
    pub(crate) api_key: String,
    ttl_s: u32,
    next: AtomicU64,
    pub(crate) accepted: AtomicU64,
    pub(crate) refused: AtomicU64,
    accept: Mutex<Latencies>,
}

impl Crowd {
    pub(crate) fn new(door: SocketAddr, api_key: &str, ttl_s: u32) -> Self {
        Self {
            door,
            api_key: api_key.to_owned(),
            ttl_s,
            next: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            accept: Mutex::default(),
        }
    }

    /// Somebody who did not ask before.
    pub(crate) fn next_person(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed) % PEOPLE_MAX
    }

    pub(crate) fn body(&self, person: u64) -> String {
        body(person, self.ttl_s)
    }

    /// `asked_us` ago it was to be asked. Anything but an acceptance or a refusal for being busy is an error.
    pub(crate) fn answered(&self, status: u16, body: &[u8], took_us: u64) -> anyhow::Result<Answered> {
        match status {
            202 => {
                self.accepted.fetch_add(1, Ordering::Relaxed);
                self.lock().add(took_us);
                Ok(Answered::Accepted)
            }
            429 | 503 => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                Ok(Answered::Refused)
            }
            _ => anyhow::bail!("the door answered {status}: {}", String::from_utf8_lossy(body)),
        }
    }

    /// What was measured until now, and begins anew.
    pub(crate) fn take_latencies(&self) -> Latencies {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Latencies> {
        self.accept.lock().expect("no code panics while it holds the latencies")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    Accepted,
    Refused,
}

/// What this person asks for, as the door takes it.
pub(crate) fn body(person: u64, ttl_s: u32) -> String {
    let to = number(person);
    format!("{{\"to\":\"+{to}\",\"purpose\":\"login\",\"ttl_seconds\":{ttl_s}}}")
}

/// A Japanese mobile number, as digits.
pub(crate) const fn number(person: u64) -> u64 {
    819_000_000_000 + FIRST_PERSON + person
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd() -> Crowd {
        Crowd::new(([127, 0, 0, 1], 1).into(), "key", 300)
    }

    #[test]
    fn nobody_asks_twice_and_every_number_is_a_mobile() {
        let crowd = crowd();
        let (first, second) = (crowd.next_person(), crowd.next_person());
        assert_ne!(first, second);
        assert_eq!(number(first), 819_020_000_000);
        assert!(number(PEOPLE_MAX - 1) < 819_100_000_000);
        let body: serde_json::Value = serde_json::from_str(&crowd.body(second)).expect("JSON");
        assert_eq!(body["to"], "+819020000001");
    }

    #[test]
    fn a_refusal_is_counted_and_no_latency() {
        let crowd = crowd();
        assert_eq!(crowd.answered(202, b"", 1_000).expect("accepted"), Answered::Accepted);
        assert_eq!(crowd.answered(503, b"", 9_000).expect("refused"), Answered::Refused);
        assert_eq!(crowd.take_latencies().percentiles().count, 1);
        assert_eq!(crowd.refused.load(Ordering::Relaxed), 1);
        assert!(crowd.answered(401, b"no", 1).is_err());
    }
}
