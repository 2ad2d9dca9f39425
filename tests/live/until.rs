//! The one way to wait: look, look again, give up in time and tell what is known.

use std::time::Duration;

/// Far longer than anything here takes.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// Looks until there is something to see. `story` is told when nothing came within `WAIT_MAX`.
pub(crate) async fn until<T>(
    claim: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
    story: impl AsyncFnOnce() -> String,
) -> T {
    let looking = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let seen = tokio::time::timeout(WAIT_MAX, looking).await;
    if seen.is_err() {
        let story = story().await;
        assert!(seen.is_ok(), "{claim}: not within {WAIT_MAX:?}\n{story}");
    }
    seen.expect("just looked at")
}
