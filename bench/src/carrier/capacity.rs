//! So many a second and no more: a bucket that fills evenly and holds one second, as vendors count by the second. Pure.

const SECOND_US: f64 = 1e6;
const BURST_S: f64 = 1.0;

pub(super) struct Capacity {
    rate_per_s: f64,
    room: f64,
    filled_at_us: u64,
}

impl Capacity {
    pub(super) fn new(rate_per_s: u32, now_us: u64) -> Self {
        let rate_per_s = f64::from(rate_per_s);
        Self { rate_per_s, room: burst(rate_per_s), filled_at_us: now_us }
    }

    /// Whether there was room for all of them.
    pub(super) fn take(&mut self, count: usize, now_us: u64) -> bool {
        let passed = crate::figures::float(now_us.saturating_sub(self.filled_at_us)) / SECOND_US;
        self.room = (self.room + passed * self.rate_per_s).min(burst(self.rate_per_s));
        self.filled_at_us = now_us;
        let needed = crate::figures::float(count as u64);
        let fits = self.room >= needed;
        if fits {
            self.room -= needed;
        }
        fits
    }
}

fn burst(rate_per_s: f64) -> f64 {
    (rate_per_s * BURST_S).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_a_second_no_more_than_the_rate_is_taken() {
        let mut capacity = Capacity::new(100, 0);
        while capacity.take(1, 0) {}
        let taken = (0..10_000).filter(|step| capacity.take(1, step * 100)).count();
        assert!((98..=101).contains(&taken), "{taken}");
    }

    #[test]
    fn a_quiet_time_saves_up_no_more_than_a_second() {
        let mut capacity = Capacity::new(100, 0);
        let taken = (0..1_000).filter(|_| capacity.take(1, 60_000_000)).count();
        assert_eq!(taken, 100);
    }
}
