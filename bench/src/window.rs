//! One measured stretch of time: a warm-up, then counts and CPU time at its begin and at its end.

use serde::Serialize;
use tokio::time::{Duration, Instant, sleep};

use crate::figures::{float, ratio};
use crate::usage::{CpuPerMessage, Watched};

#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) warm_up_ms: u64,
    pub(crate) measured_ms: u64,
    pub(crate) watched: Watched,
}

/// What happened in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Measured {
    pub(crate) count: u64,
    pub(crate) seconds: f64,
    pub(crate) per_s: f64,
    pub(crate) cpu: CpuPerMessage,
    /// Of the processors' time: in use, and taken by the host for others.
    pub(crate) busy_percent: f64,
    pub(crate) stolen_percent: f64,
}

impl Window {
    pub(crate) async fn warm_up(&self) {
        sleep(Duration::from_millis(self.warm_up_ms)).await;
    }

    /// `count` tells how many were finished since the beginning of time.
    pub(crate) async fn measure(&self, count: impl AsyncFn() -> anyhow::Result<u64>) -> anyhow::Result<Measured> {
        let (count_before, cpu_before, begun) = (count().await?, self.watched.look(), Instant::now());
        sleep(Duration::from_millis(self.measured_ms)).await;
        let (count_after, cpu_after, seconds) = (count().await?, self.watched.look(), begun.elapsed().as_secs_f64());
        let (count, cpu) = (count_after.saturating_sub(count_before), cpu_after.since(cpu_before));
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let percent = |us: u64| ratio(float(us), seconds * 1e4 * float(processors as u64));
        Ok(Measured {
            count,
            seconds,
            per_s: ratio(float(count), seconds),
            cpu: cpu.per(count),
            busy_percent: percent(cpu.busy),
            stolen_percent: percent(cpu.stolen),
        })
    }
}
