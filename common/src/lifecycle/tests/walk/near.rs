//! When two nodes of the walk are of one kind, so that only one of them is walked on from: equal but for exact times.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::Node;
use crate::time::Timestamp;

const BUCKET_MS: i64 = 20_000;
const BUCKETS: i64 = 3;

pub(super) fn kind_of(node: &Node) -> u64 {
    let message = &node.message;
    let mut hasher = DefaultHasher::new();
    let bucket = |at: Timestamp| ((at.unix_ms() - node.now.unix_ms()) / BUCKET_MS).clamp(-BUCKETS, BUCKETS);
    format!("{:?} {:?} {:?}", message.state, message.voice, message.kind).hash(&mut hasher);
    (
        message.guesses_left,
        message.guesses_open > 0,
        message.guess_paid_at.map(bucket),
        message.resends,
        message.due.map(bucket),
        bucket(message.useful_until),
    )
        .hash(&mut hasher);
    for leg in &message.legs {
        format!("{} {:?} {:?} {:?}", leg.route, leg.outcome, leg.reason, leg.call).hash(&mut hasher);
        (leg.taken, leg.sends, leg.asks, leg.reference.is_some()).hash(&mut hasher);
        (leg.overdue_at.map(bucket), leg.ask_at.map(bucket), leg.operator).hash(&mut hasher);
    }
    node.ghost.hash(&mut hasher);
    hasher.finish()
}
