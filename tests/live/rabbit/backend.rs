//! RabbitMQ as the contract suite asks for it.

use std::sync::Arc;

use otodoke_common::broker::Broker;
use otodoke_common::rabbit::{QueueLengths, RabbitSettings};
use otodoke_tests::servers::rabbit::TestRabbit;

pub(crate) const LIMITS: Limits = Limits { queue_max: 1_000, inbox_max: 0 };
/// Some claims hold more deliveries at once than the default.
const PREFETCH: u16 = 2_000;

#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) queue_max: u64,
    /// A store's; no broker has an inbox.
    #[expect(dead_code, reason = "the suite's limits are those of both seams")]
    pub(crate) inbox_max: u64,
}

pub(crate) trait Factory {
    fn fresh(&self, limits: Limits) -> Backend;
}

pub(crate) struct Backend {
    pub(crate) broker: Arc<dyn Broker>,
}

pub(crate) struct OnRabbit(pub(crate) TestRabbit);

impl Factory for OnRabbit {
    fn fresh(&self, limits: Limits) -> Backend {
        let length = u32::try_from(limits.queue_max).expect("no queue of a test is longer");
        let defaults = self.0.settings();
        let lengths = QueueLengths { lane: length, receipts: length, ..defaults.lengths };
        let broker = self.0.connect(&RabbitSettings { lengths, prefetch: PREFETCH, ..defaults });
        Backend { broker }
    }
}
