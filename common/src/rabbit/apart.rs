//! Parts of a batch that go on by themselves: published again alone, as if they had never been together.
//!
//! So whatever kills who takes it, or is given back for ever, is counted and given up alone, and never ends the others.
//! Safe to repeat: where it stops half way the batch comes again, and its parts a second time.

use tokio::time::Duration;

use super::batch::Part;
use super::envelope;
use super::generation::Generation;
use super::letter::Letter;
use crate::broker::Queue;

/// Between two tries to publish one: the broker takes nothing just now.
const AGAIN_MS: u64 = 1_000;

/// A batch that is not handed out, or what is left of it.
pub(super) struct Apart {
    /// Where its parts go on.
    pub(super) home: Queue,
    pub(super) parts: Vec<Part>,
    pub(super) taken_before: u32,
}

/// One after the other, so that they never crowd out what is new. Returns `false` where deliveries end before that.
pub(super) async fn go_on(generation: &Generation, apart: Apart) -> bool {
    for part in apart.parts {
        let place = generation.names().place_of(apart.home, part.id);
        let properties = envelope::of_single(generation.identity(), &part, apart.taken_before);
        let letter = Letter::whole(properties, part.body);
        while let Err(why) = generation.publish(place, letter.clone()).await {
            tracing::warn!(%why, queue = apart.home.word(), "a body of a batch could not be published by itself; trying again");
            tokio::select! {
                () = generation.consuming_ends() => return false,
                () = tokio::time::sleep(Duration::from_millis(AGAIN_MS)) => {}
            }
        }
    }
    true
}
