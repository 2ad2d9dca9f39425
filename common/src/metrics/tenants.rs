//! Which tenants have a label of their own: as many as come first. Keys make tenants, so their number is not ours to bound
//! otherwise.

use std::collections::BTreeSet;
use std::sync::Mutex;

use super::OTHER;
use crate::message::TenantId;

/// Each is a handful of lines at `/metrics`.
const TENANTS_MAX: usize = 100;

#[derive(Default)]
pub(super) struct Tenants(Mutex<BTreeSet<TenantId>>);

impl Tenants {
    /// Does something with the label of a tenant, and with whether it has it just now.
    pub(super) fn with<T>(&self, tenant: &TenantId, work: impl FnOnce(&str, bool) -> T) -> T {
        let mut named = self.0.lock().expect("no code panics while it holds these names");
        let is_new = !named.contains(tenant) && named.len() < TENANTS_MAX;
        if is_new {
            named.insert(tenant.clone());
        }
        work(named.get(tenant).map_or(OTHER, TenantId::as_str), is_new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_tenants_are_named_and_the_others_are_one() {
        let tenants = Tenants::default();
        let label = |number: usize| {
            let tenant = TenantId::parse(&format!("t{number}")).expect("a tenant");
            tenants.with(&tenant, |label, _| label.to_owned())
        };
        assert_eq!((label(0), label(TENANTS_MAX - 1)), ("t0".to_owned(), format!("t{}", TENANTS_MAX - 1)));
        for number in 0..TENANTS_MAX {
            label(number);
        }
        assert_eq!((label(1), label(TENANTS_MAX + 1)), ("t1".to_owned(), OTHER.to_owned()));
    }
}
