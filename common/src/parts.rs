//! What the door and the worker both work with, put together once where a process starts. It decides nothing.

use std::sync::Arc;

use crate::broker::Broker;
use crate::code::CodeKeys;
use crate::desk::Desk;
use crate::provider::Registry;
use crate::route::RouteTable;
use crate::text::Templates;

#[derive(Clone)]
pub struct Parts {
    /// Loads, steps and saves; holds store, vault, policy, metrics, clock and dice.
    pub desk: Desk,
    pub broker: Arc<dyn Broker>,
    pub routes: Arc<RouteTable>,
    pub providers: Arc<Registry>,
    pub codes: Arc<CodeKeys>,
    pub templates: Arc<Templates>,
}
