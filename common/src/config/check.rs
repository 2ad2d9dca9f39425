//! What no single section can see: whether the settings fit together. Every problem is found, not only the first; but none
//! that may only follow from a key that could not be read.

use std::collections::BTreeSet;

use super::problem::Problem;
use super::unread::Unread;
use super::{ProviderSettings, RouteSettings, Settings, TenantSettings, servers};
use crate::leg::{Channel, RouteClass};
use crate::loopback::is_loopback_text;
use crate::message::Lane;
use crate::phone::Country;
use crate::policy::REPEAT_PATIENCE_MS_MAX;
use crate::rabbit::RabbitSettings;
use crate::route::International;
use crate::text::TEMPLATE_DEFAULT;

pub(super) fn problems(settings: &Settings, unread: &Unread) -> Vec<Problem> {
    let mut found = Vec::new();
    public_url(settings, &mut found);
    codes(settings, unread, &mut found);
    found.extend(tenants(settings, unread));
    providers(settings, unread, &mut found);
    routes(settings, unread, &mut found);
    plans(settings, unread, &mut found);
    policy(settings, unread, &mut found);
    lanes(settings, &mut found);
    found.extend(servers::problems(settings, unread));
    found.retain(|problem| !unread.covers(&problem.key));
    found
}

fn public_url(settings: &Settings, found: &mut Vec<Problem>) {
    found.extend(url("public_url", &settings.public_url));
}

fn url(key: &str, value: &str) -> Option<Problem> {
    let host = value.strip_prefix("https://").or_else(|| value.strip_prefix("http://"));
    let plain = value.starts_with("http://") && !is_loopback_text(value);
    if plain {
        return Some(Problem::new(key, value, "use https://; plain http:// is for loopback addresses only"));
    }
    let empty = host.is_none_or(|host| host.is_empty() || host.starts_with('/'));
    empty.then(|| Problem::new(key, value, "must be a URL that begins with https://"))
}

fn codes(settings: &Settings, unread: &Unread, found: &mut Vec<Problem>) {
    let codes = &settings.codes;
    if !codes.roots.contains_key(&codes.active) && !unread.touches("codes.roots") {
        let known: Vec<&str> = codes.roots.keys().map(crate::message::Kid::as_str).collect();
        let remedy = format!("must be a kid of codes.roots: {}", known.join(", "));
        found.push(Problem::new("codes.active", codes.active.as_str(), remedy));
    }
}

pub(super) fn tenants(settings: &Settings, unread: &Unread) -> Vec<Problem> {
    let mut found = Vec::new();
    for (name, tenant) in &settings.tenants {
        let key = |field: &str| format!("tenant.{name}.{field}");
        if tenant.login_lane == Lane::Bulk {
            found.push(Problem::new(key("login_lane"), "bulk", "must be normal or critical"));
        }
        let caps = [
            ("messages_per_10_minutes", tenant.messages_per_10_minutes),
            ("messages_per_day", tenant.messages_per_day),
            ("calls_per_hour", tenant.calls_per_hour),
            ("spend_per_hour", tenant.spend_per_hour),
        ];
        for (field, cap) in caps {
            positive(&mut found, &key(field), cap.map_or(1, u64::from));
        }
        let own = settings.amqp.as_ref().map(RabbitSettings::own_users).unwrap_or_default();
        for user in &tenant.amqp_users {
            if own.contains(user) {
                let remedy = "is a user of our own programs; give the tenant a broker user of its own";
                found.push(Problem::new(key("amqp_users"), user, remedy));
            }
            let other = settings.tenants.iter().find(|(other, of)| *other != name && of.amqp_users.contains(user));
            if let Some((other, _)) = other {
                let remedy = format!("is tenant {other}'s as well; a broker user is one tenant's");
                found.push(Problem::new(key("amqp_users"), user, remedy));
            }
        }
        found.extend(tenant_routes(settings, unread, tenant, key));
    }
    found
}

/// What a tenant names must be there for it to be narrowed or renamed.
fn tenant_routes(
    settings: &Settings,
    unread: &Unread,
    tenant: &TenantSettings,
    key: impl Fn(&str) -> String,
) -> Vec<Problem> {
    let mut found = Vec::new();
    let unplanned = |country: &&Country| !settings.plans.contains_key(*country) && !unread.lacks("plan", &[]);
    for (field, countries) in [("countries", &tenant.countries), ("voice_countries", &tenant.voice_countries)] {
        for country in countries.iter().flatten().filter(unplanned) {
            let country = country.as_str();
            let remedy = format!("has no plan, so it is denied; add [plan.{country}] or leave it out");
            found.push(Problem::new(key(field), country, remedy));
        }
    }
    let is_known = |name: &String| name == TEMPLATE_DEFAULT || settings.templates.contains_key(name);
    let unknown = |name: &&String| !is_known(name) && !unread.lacks("template", &[]);
    for template in tenant.templates.iter().flatten().filter(unknown) {
        let known: Vec<&str> = settings.templates.keys().map(String::as_str).collect();
        let remedy = format!("is not a [template.NAME]; known are: {}", known.join(", "));
        found.push(Problem::new(key("templates"), template, remedy));
    }
    for (route, sender) in &tenant.senders {
        if !settings.routes.iter().any(|each| each.id == *route) && !unread.lacks("route", &["id"]) {
            let known: Vec<&str> = settings.routes.iter().map(|route| route.id.as_str()).collect();
            let remedy = format!("is not the id of a [[route]]; known are: {}", known.join(", "));
            found.push(Problem::new(key("senders"), route, remedy));
        }
        if sender.trim().is_empty() {
            found.push(Problem::new(key(&format!("senders.{route}")), "\"\"", "name the sender that the person sees"));
        }
    }
    found
}

fn providers(settings: &Settings, unread: &Unread, found: &mut Vec<Problem>) {
    if settings.providers.is_empty() && !unread.lacks("provider", &[]) {
        found.push(Problem::missing("provider", "is missing; without a [[provider]] nothing can be sent"));
    }
    let mut seen = BTreeSet::new();
    for (index, provider) in settings.providers.iter().enumerate() {
        let key = |field: &str| format!("provider[{index}].{field}");
        if !seen.insert(&provider.id) {
            found.push(Problem::new(key("id"), &provider.id, "is the id of another provider; give each its own"));
        }
        found.extend(url(&key("base_url"), &provider.base_url));
        positive(found, &key("rate_per_s"), provider.rate_per_s.into());
        positive(found, &key("concurrency"), provider.concurrency.into());
        positive(found, &key("timeout_ms"), provider.timeout_ms);
    }
}

fn routes(settings: &Settings, unread: &Unread, found: &mut Vec<Problem>) {
    let mut seen = BTreeSet::new();
    for (index, route) in settings.routes.iter().enumerate() {
        let key = |field: &str| format!("route[{index}].{field}");
        if !seen.insert(&route.id) {
            found.push(Problem::new(key("id"), &route.id, "is the id of another route; give each its own"));
        }
        let has_unread =
            |index: usize| unread.covers(&format!("provider[{index}].kind")) || unread.covers(&key("provider"));
        match settings.providers.iter().enumerate().find(|(_, provider)| provider.id == route.provider) {
            None if unread.lacks("provider", &["id"]) => {}
            None => found.push(Problem::new(key("provider"), &route.provider, provider_ids(&settings.providers))),
            Some((index, provider)) if provider.kind.channel() != route.channel && !has_unread(index) => {
                let (kind, channel) = (provider.kind.word(), provider.kind.channel().word());
                let remedy = format!("provider {} is a {kind}, which carries {channel}", provider.id);
                found.push(Problem::new(key("channel"), route.channel.word(), remedy));
            }
            Some(_) => {}
        }
        if !settings.plans.contains_key(&route.country) && !unread.lacks("plan", &[]) {
            let country = route.country.as_str();
            let remedy = format!("has no plan, so the route is never used; add [plan.{country}] or remove the route");
            found.push(Problem::new(key("country"), country, remedy));
        }
        if route.sender.trim().is_empty() {
            found.push(Problem::new(key("sender"), "\"\"", "name the sender that the person sees"));
        }
        route_numbers(route, unread, key, found);
    }
}

fn provider_ids(providers: &[ProviderSettings]) -> String {
    let known: Vec<&str> = providers.iter().map(|provider| provider.id.as_str()).collect();
    format!("is no [[provider]]; known are: {}", known.join(", "))
}

fn route_numbers(route: &RouteSettings, unread: &Unread, key: impl Fn(&str) -> String, found: &mut Vec<Problem>) {
    positive(found, &key("rank"), route.rank.into());
    positive(found, &key("segments_max"), route.segments_max.into());
    positive(found, &key("usual_s"), route.usual_s.into());
    if route.overdue_after_s < route.usual_s && !unread.covers(&key("usual_s")) {
        let remedy = format!("must be at least usual_s = {}, or receipts on time are overdue", route.usual_s);
        found.push(Problem::new(key("overdue_after_s"), &route.overdue_after_s, remedy));
    }
}

fn plans(settings: &Settings, unread: &Unread, found: &mut Vec<Problem>) {
    if settings.plans.is_empty() && !unread.lacks("plan", &[]) {
        found.push(Problem::missing("plan", "is missing; a country without a plan, such as [plan.JP], is denied"));
    }
    if unread.lacks("route", &["country", "class", "channel", "retiring"]) {
        return;
    }
    let is_read = |country: &Country| !unread.covers(&format!("plan.{}.international", country.as_str()));
    for (country, plan) in settings.plans.iter().filter(|(country, _)| is_read(country)) {
        let country_routes = || settings.routes.iter().filter(|route| route.country == *country && !route.retiring);
        let usable =
            |route: &&RouteSettings| route.class == RouteClass::Domestic || plan.international != International::Never;
        let carries = |channel: Channel| country_routes().filter(usable).any(|route| route.channel == channel);
        let name = country.as_str();
        // Those that are not usable go abroad.
        let there_are = |channel: Channel| country_routes().any(|route| route.channel == channel);
        let forbidden = "`international = \"never\"` forbids those that there are: set \"last\" or \"spill\", or add a domestic one";
        if !carries(Channel::Sms) {
            let remedy = if there_are(Channel::Sms) {
                format!("has no usable route for texts; {forbidden}")
            } else {
                format!("has no usable route for texts; add a [[route]] with country = \"{name}\" that is not retiring")
            };
            found.push(Problem::missing(format!("plan.{name}"), remedy));
        }
        if plan.voice && !carries(Channel::Voice) {
            let remedy = if there_are(Channel::Voice) {
                format!("has no usable route for calls; {forbidden}, or set it to false")
            } else {
                "has no usable route for calls; add a [[route]] with channel = \"voice\" that is not retiring, or set it to false".to_owned()
            };
            found.push(Problem::new(format!("plan.{name}.voice"), "true", remedy));
        }
    }
}

fn policy(settings: &Settings, unread: &Unread, found: &mut Vec<Problem>) {
    let policy = &settings.policy;
    let numbers: [(&str, u64); 15] = [
        ("unknown_grace_ms", policy.unknown_grace_ms),
        ("unknown_ask_after_ms", policy.unknown_ask_after_ms),
        ("ask_unasked_after_ms", policy.ask_unasked_after_ms),
        ("late_voice_after_ms", policy.late_voice_after_ms),
        ("call_overdue_after_ms", policy.call_overdue_after_ms),
        ("retry_first_ms", policy.retry_first_ms),
        ("guesses", policy.guesses.into()),
        ("guesses_per_number", policy.guesses_per_number.into()),
        ("guesses_per_number_payment", policy.guesses_per_number_payment.into()),
        ("messages_per_10_minutes", policy.messages_per_10_minutes.into()),
        ("messages_per_day", policy.messages_per_day.into()),
        ("calls_per_hour", policy.calls_per_hour.into()),
        ("spend_per_hour", policy.spend_per_hour.into()),
        ("number_keep_hours", policy.number_keep_hours.into()),
        ("row_keep_days", policy.row_keep_days.into()),
    ];
    for (field, value) in numbers {
        positive(found, &format!("policy.{field}"), value);
    }
    if policy.retry_last_ms < policy.retry_first_ms && !unread.covers("policy.retry_first_ms") {
        let remedy = format!("must be at least policy.retry_first_ms = {}", policy.retry_first_ms);
        found.push(Problem::new("policy.retry_last_ms", &policy.retry_last_ms, remedy));
    }
    if !unread.lacks("provider", &["id", "timeout_ms"]) && !unread.covers("policy.clock_skew_ms_max") {
        crash_gap(settings, found);
    }
}

/// A leg whose call may still be running must not look like a crash, whatever two clocks disagree about.
fn crash_gap(settings: &Settings, found: &mut Vec<Problem>) {
    let policy = &settings.policy;
    let Some(slowest) = settings.providers.iter().max_by_key(|provider| provider.timeout_ms) else { return };
    let skew_ms = policy.clock_skew_ms_max.saturating_mul(2);
    let least_ms = slowest.timeout_ms.saturating_add(REPEAT_PATIENCE_MS_MAX).saturating_add(skew_ms);
    if policy.crash_gap_ms <= least_ms {
        let remedy = format!(
            "must be more than {least_ms}: timeout_ms = {} of provider {}, plus {REPEAT_PATIENCE_MS_MAX} that a repeat \
             may wait for a permit, plus twice clock_skew_ms_max = {}",
            slowest.timeout_ms, slowest.id, policy.clock_skew_ms_max
        );
        found.push(Problem::new("policy.crash_gap_ms", &policy.crash_gap_ms, remedy));
    }
}

fn lanes(settings: &Settings, found: &mut Vec<Problem>) {
    for lane in Lane::ALL {
        let of_lane = settings.lanes.of(lane);
        positive(found, &format!("lanes.{}.concurrency", lane.word()), of_lane.concurrency.into());
        positive(found, &format!("lanes.{}.window", lane.word()), of_lane.window.into());
    }
}

pub(super) fn positive(found: &mut Vec<Problem>, key: &str, value: u64) {
    if value == 0 {
        found.push(Problem::new(key, &value, "must be at least 1"));
    }
}
