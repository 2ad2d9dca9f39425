//! How much of each lane may be in hand and may wait: the section `[lanes]`.

use serde::Deserialize;

use crate::message::Lane;

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LanesSettings {
    pub critical: LaneSettings,
    pub normal: LaneSettings,
    pub bulk: LaneSettings,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LaneSettings {
    /// Messages of the lane that one worker has in hand at a time.
    pub concurrency: u32,
    /// Messages that may wait in the lane; past that the door answers 503.
    pub window: u32,
}

impl Default for LaneSettings {
    fn default() -> Self {
        Self { concurrency: 64, window: 10_000 }
    }
}

impl LanesSettings {
    pub const fn of(&self, lane: Lane) -> &LaneSettings {
        match lane {
            Lane::Critical => &self.critical,
            Lane::Normal => &self.normal,
            Lane::Bulk => &self.bulk,
        }
    }
}
