//! What a process of ours counts, read from its `/metrics`.

use std::net::SocketAddr;

use crate::line::Line;

/// One line per series: its name with labels, and its value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics(Vec<(String, f64)>);

impl Metrics {
    pub(crate) async fn of(address: SocketAddr) -> anyhow::Result<Self> {
        Self::over(&mut Line::open(address, None).await?).await
    }

    pub(crate) async fn over(line: &mut Line) -> anyhow::Result<Self> {
        let answer = line.get("/metrics").await?;
        anyhow::ensure!(answer.status == 200, "/metrics answered {}", answer.status);
        Ok(Self::read(&String::from_utf8_lossy(&answer.body)))
    }

    fn read(text: &str) -> Self {
        let series = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Self(text.lines().filter(|line| !line.starts_with('#')).filter_map(series).collect())
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
    }

    /// Of all series of a family that have this label, or of all where it is empty.
    pub(crate) fn sum(&self, family: &str, label: &str) -> f64 {
        let of_family = |name: &str| {
            name.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
                && name.contains(label)
        };
        self.0.iter().filter(|(name, _)| of_family(name)).map(|(_, value)| value).sum()
    }

    /// Receipts that said delivered, and whose save was committed.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a counter is a whole number")]
    pub(crate) fn recorded(&self) -> u64 {
        self.sum("otp_receipts_total", "status=\"delivered\"") as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_summed_over_its_series_and_no_other() {
        let metrics = Metrics::read(
            "# HELP otp_receipts_total x\n\
             otp_receipts_total{proof=\"tag\",status=\"delivered\"} 7\n\
             otp_receipts_total{proof=\"asked\",status=\"delivered\"} 2\n\
             otp_receipts_total{proof=\"tag\",status=\"failed\"} 1\n\
             otp_receipts_total_seconds{status=\"delivered\"} 100\n\
             otp_messages_live 5",
        );
        assert_eq!(metrics.recorded(), 9);
        assert!((metrics.sum("otp_messages_live", "") - 5.0).abs() < f64::EPSILON);
        assert!(metrics.sum("otp_none", "").abs() < f64::EPSILON);
    }
}
