//! What a carrier of the benchmark was sent, and when: asked of the carrier, which is a process of its own with the same
//! clock.

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::carrier::Arrival;
use crate::line::Line;

/// All that is known so far, in the order in which it came.
#[derive(Default)]
pub(crate) struct Arrivals {
    pub(crate) all: Vec<Arrival>,
    /// The first that was taken, by number.
    pub(crate) first_us: HashMap<u64, u64>,
}

impl Arrivals {
    /// Adds what came since the last time.
    pub(crate) async fn ask(&mut self, carrier: SocketAddr) -> anyhow::Result<()> {
        let mut line = Line::open(carrier, None).await?;
        let answer = line.get(&format!("/arrivals?{}", self.all.len())).await?;
        self.add(serde_json::from_slice(&answer.body)?);
        Ok(())
    }

    fn add(&mut self, newer: Vec<Arrival>) {
        for arrival in newer.iter().filter(|arrival| arrival.taken) {
            self.first_us.entry(arrival.to).or_insert(arrival.at_us);
        }
        self.all.extend(newer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_was_taken_counts() {
        let mut arrivals = Arrivals::default();
        let arrival = |at_us, taken| Arrival { to: 7, at_us, taken };
        arrivals.add(vec![arrival(1, false), arrival(2, true)]);
        arrivals.add(vec![arrival(3, true)]);
        assert_eq!((arrivals.first_us[&7], arrivals.all.len()), (2, 3));
    }
}
