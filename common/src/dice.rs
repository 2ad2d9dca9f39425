//! The one door to chance: jitter, digits and the random part of ids. Keys and roots come from the operating system.

use std::sync::Mutex;

/// A seeded generator shared by one process; the same seed replays the same simulation.
#[derive(Debug)]
pub struct Dice(Mutex<fastrand::Rng>);

impl Dice {
    #[expect(clippy::disallowed_methods, reason = "this is the door the rule names")]
    pub fn system() -> Self {
        Self(Mutex::new(fastrand::Rng::new()))
    }

    pub fn seeded(seed: u64) -> Self {
        Self(Mutex::new(fastrand::Rng::with_seed(seed)))
    }

    /// A number for `lifecycle::View::roll`.
    pub fn roll(&self) -> u32 {
        self.lock().u32(..)
    }

    /// The random bits of a message id. Ids are not secrets; another tenant's id is refused as unknown.
    pub fn id_bits(&self) -> [u8; 10] {
        let mut bits = [0; 10];
        self.lock().fill(&mut bits);
        bits
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, fastrand::Rng> {
        self.0.lock().expect("no code panics while it holds the dice")
    }
}
