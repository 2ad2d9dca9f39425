//! Log lines that outsiders may cause any number of: told once a minute, while every time is counted.

use std::collections::BTreeMap;
use std::sync::Mutex;

use tokio::time::{Duration, Instant};

/// Between two lines about the same.
const TOLD_EVERY_MS: u64 = 60_000;

/// When what was told last. It holds what was told of in the last minute.
#[derive(Default)]
pub(super) struct Seldom(Mutex<BTreeMap<String, Instant>>);

impl Seldom {
    /// Whether a line about this is due; if so, the next one is due in a minute.
    pub(super) fn is_due(&self, about: &str) -> bool {
        let mut told = self.0.lock().expect("no code panics while it holds these times");
        if told.get(about).is_some_and(is_fresh) {
            return false;
        }
        told.retain(|_, at| is_fresh(at));
        told.insert(about.to_owned(), Instant::now());
        true
    }
}

fn is_fresh(at: &Instant) -> bool {
    at.elapsed() < Duration::from_millis(TOLD_EVERY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_thing_is_told_once_a_minute_and_no_longer_remembered() {
        let seldom = Seldom::default();
        assert!(seldom.is_due("acme") && seldom.is_due("other"));
        assert!(!seldom.is_due("acme"));
        tokio::time::advance(Duration::from_millis(TOLD_EVERY_MS)).await;
        assert!(seldom.is_due("acme") && !seldom.is_due("acme"));
        assert_eq!(seldom.0.lock().expect("nobody panicked").len(), 1, "what was told before is forgotten");
    }
}
