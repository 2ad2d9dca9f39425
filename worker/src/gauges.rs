//! What this process thinks of providers and routes, shown every few seconds whatever its roles: a rest that is over, and a
//! permit that comes back, are no events that anybody tells.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::courier::{Courier, circuit};
use crate::sweep::ticks;

const SHOW_EVERY_MS: u64 = 5_000;

pub(crate) async fn run(courier: Arc<Courier>, stop: CancellationToken) {
    let mut showing = ticks(SHOW_EVERY_MS);
    while stop.run_until_cancelled(showing.tick()).await.is_some() {
        show(&courier);
    }
}

fn show(courier: &Courier) {
    let metrics = &courier.desk.metrics;
    for usage in courier.permits.usage() {
        metrics.rate(&usage.provider, usage.allowed_per_s, usage.used_per_s);
    }
    let now = courier.desk.clock.now();
    let health = courier.lock_health();
    for provider in courier.providers.keys() {
        metrics.circuit(provider, circuit(health.shown(provider, now)));
    }
    for route in &courier.routes.routes {
        metrics.route_score(&route.id, route.country, health.score(&route.id, now));
    }
}
