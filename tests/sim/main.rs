//! Seeded days: carriers that answer anything, backends that fail, workers that die, people who guess and ask again.
//! After each of them the promises hold, which are the invariants of ARCHITECTURE.md.
//!
//! `OTODOKE_SIM_SEED=n` replays one seed; `OTODOKE_SIM_SEEDS=n` runs so many.

#![expect(clippy::panic, reason = "a panic is how a simulation fails, with its story")]

mod chance;
mod day;
mod promises;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

const SEEDS: u64 = 150;
const THREADS: usize = 4;

/// Panics anywhere, also in tasks that nobody waits for.
static PANICS: AtomicUsize = AtomicUsize::new(0);

#[test]
fn the_promises_hold_on_every_seeded_day() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        report(info);
    }));
    let (first, seeds) =
        setting("OTODOKE_SIM_SEED").map_or((0, setting("OTODOKE_SIM_SEEDS").unwrap_or(SEEDS)), |seed| (seed, 1));
    let next = AtomicU64::new(first);
    let failed = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= first + seeds || failed.load(Ordering::SeqCst) > 0 {
                        return;
                    }
                    if catch_unwind(AssertUnwindSafe(|| live(seed))).is_err() {
                        eprintln!("seed {seed} failed: replay it with OTODOKE_SIM_SEED={seed}");
                        failed.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    assert_eq!(failed.into_inner(), 0, "see the seed above");
    assert_eq!(PANICS.load(Ordering::SeqCst), 0, "a task broke, see above");
}

#[expect(clippy::disallowed_methods, reason = "which seed to replay is said by who runs the tests, not by settings")]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// One seeded day, on a runtime of its own with its own paused time.
fn live(seed: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime without sockets always starts").block_on(async {
        let day = day::live(seed).await;
        promises::hold(&day).await;
    });
}
