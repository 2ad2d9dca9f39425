//! What is measured, and how long.

use serde::Serialize;

/// One figure, or a few that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The floor, the floor with rows, and the whole pipeline, in turn; but for the quick form also with gathered receipts.
    Pairs,
    /// The door alone against raw publishing.
    Intake,
    /// At a fixed part of the pipeline's rate.
    Latency,
    /// More people than the provider bears.
    Spike,
    /// Stored messages, workers, queues.
    Growth,
    /// A slow provider beside a fast one.
    Slow,
    /// `otodoke up`.
    Embedded,
    /// The same with a million messages waiting.
    Queued,
}

impl Part {
    pub const ALL: [Self; 8] =
        [Self::Pairs, Self::Intake, Self::Latency, Self::Spike, Self::Growth, Self::Slow, Self::Embedded, Self::Queued];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Pairs => "pairs",
            Self::Intake => "intake",
            Self::Latency => "latency",
            Self::Spike => "spike",
            Self::Growth => "growth",
            Self::Slow => "slow",
            Self::Embedded => "embedded",
            Self::Queued => "queued",
        }
    }
}

impl std::str::FromStr for Part {
    type Err = String;
    fn from_str(typed: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|part| part.word() == typed);
        let words = Self::ALL.map(Self::word).join(", ");
        named.ok_or_else(|| format!("{typed:?} is no part of the benchmark: use {words}, with commas between them"))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    pub parts: Vec<Part>,
    pub quick: bool,
    pub pairs: usize,
    pub warm_up_ms: u64,
    pub measured_ms: u64,
    /// Messages that are stored before each point of growth; more each time.
    pub stored: Vec<u64>,
}

const STORED: [u64; 3] = [0, 1_000_000, 5_000_000];

impl Plan {
    /// As the figures are meant: about half an hour.
    pub fn full() -> Self {
        Self {
            parts: Part::ALL.to_vec(),
            quick: false,
            pairs: 5,
            warm_up_ms: 2_000,
            measured_ms: 15_000,
            stored: STORED.to_vec(),
        }
    }

    /// Under a minute: says whether something is very wrong, not how fast it is.
    pub fn quick() -> Self {
        let parts = vec![Part::Pairs, Part::Intake, Part::Latency, Part::Embedded];
        Self { parts, quick: true, pairs: 2, warm_up_ms: 500, measured_ms: 4_000, ..Self::full() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_read_as_it_is_written() {
        for part in Part::ALL {
            assert_eq!(part.word().parse(), Ok(part));
        }
        assert!("pair".parse::<Part>().expect_err("no part").contains("pairs, intake"));
    }

    #[test]
    fn the_quick_form_is_under_a_minute() {
        let quick = Plan::quick();
        let window_ms = quick.warm_up_ms + quick.measured_ms;
        let windows = quick.pairs as u64 * 3 + 2 + 1 + 1;
        assert!(windows * window_ms <= 45_000, "the windows alone take {} ms", windows * window_ms);
        assert_eq!(quick.parts, [Part::Pairs, Part::Intake, Part::Latency, Part::Embedded], "counted above");
    }
}
