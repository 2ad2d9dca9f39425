//! What a tenant may spend, whom it may reach, and under which name: settings of its own, and what keeps to them.

use std::collections::{BTreeMap, BTreeSet};

use otodoke_common::config::TenantSettings;
use otodoke_common::leg::RouteId;
use otodoke_common::outcome::{Class, Scope};
use otodoke_common::phone::Country;
use otodoke_common::policy::Policy;
use otodoke_common::route::{International, Plan};
use otodoke_tests::carrier::{Reply, Script};
use otodoke_tests::world::{Options, World};
use serde_json::{Value, json};

use crate::phone;

/// 3 in the currency of the settings.
const THREE: u32 = 30_000;

fn login(to: &str) -> Value {
    json!({"to": to, "purpose": "login", "ttl_seconds": 1_800})
}

fn prices(price: u32) -> BTreeMap<&'static str, u32> {
    ["sakura", "fuji", "atlas", "kodama"].into_iter().map(|name| (name, price)).collect()
}

/// A tenant that may spend this much on a country in an hour.
fn may_spend(per_hour: u32, prices: BTreeMap<&'static str, u32>) -> Options {
    let tenant = TenantSettings { spend_per_hour: Some(per_hour), ..TenantSettings::default() };
    Options { tenant, prices, ..Options::default() }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_leaked_spends_no_more_than_the_hour_allows() {
    let world = World::with(may_spend(30, prices(THREE))).await;
    let mut accepted = 0;
    let mut refused = None;
    for person in 0..40 {
        let reply = world.post("/v1/verifications", login(&phone(person))).await;
        world.wait_ms(100).await;
        match reply.status {
            202 => accepted += 1,
            _ => refused = Some(reply),
        }
    }
    assert_eq!((accepted, world.carrier("sakura").seen().len()), (10, 10), "ten texts at 3 are 30");
    let refused = refused.expect("the others are refused");
    assert_eq!((refused.status, refused.body["code"].as_str()), (429, Some("spend_cap_reached")), "{refused:?}");
    assert!(refused.retry_after_s.is_some_and(|wait_s| wait_s > 3_000), "{refused:?}");
    assert_eq!(world.metric("otp_guard_decisions_total", &["spend_per_hour"]), 30.0);
    assert_eq!(world.metric("otp_cost_minor_units_total", &["JPY"]), 30.0);
    world.wait_ms(3_600_000).await;
    let id = world.ask(login(&phone(100))).await;
    world.until_status(&id, "delivered").await;
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_before_the_money_was_gone_is_told_at_once_and_not_sent() {
    let mut world = World::idle(may_spend(30, prices(THREE))).await;
    let mut ids = Vec::new();
    for person in 0..15 {
        ids.push(world.ask(login(&phone(person))).await);
    }
    world.start_worker();
    world.wait_ms(10_000).await;
    let mut failed = 0;
    for id in &ids {
        let message = world.message(id).await;
        if message["status"] == "failed" {
            assert_eq!(message["failure"]["reason"], "over_limit");
            failed += 1;
        }
    }
    assert_eq!((world.carrier("sakura").seen().len(), failed), (10, 5));
    let elsewhere = ["fuji", "atlas", "kodama"].map(|name| world.carrier(name).seen().len());
    assert_eq!(elsewhere, [0, 0, 0], "no other route is any cheaper");
}

/// A leg that could not be paid for, in the words of the trace.
async fn says_which_limit(world: &World, id: &str, setting: &str) -> bool {
    world.get(&format!("/v1/trace/{id}")).await.body.to_string().contains(&format!("`{setting}` is used up"))
}

#[tokio::test(start_paused = true)]
async fn money_that_is_gone_makes_no_call_of_a_text_and_the_trace_says_so() {
    let calls_are_free = BTreeMap::from([("kodama", 0)]);
    let mut world = World::idle(may_spend(3, prices(THREE).into_iter().chain(calls_are_free).collect())).await;
    let ids = [world.ask(login(&phone(1))).await, world.ask(login(&phone(2))).await];
    world.start_worker();
    world.wait_ms(10_000).await;
    assert_eq!((world.carrier("sakura").seen().len(), world.carrier("kodama").seen().len()), (1, 0));
    let mut told = Vec::new();
    for id in &ids {
        told.push(says_which_limit(&world, id, "spend_per_hour").await);
    }
    told.sort_unstable();
    assert_eq!(told, [false, true]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_the_hours_number_of_calls_leaves_out_is_told_of() {
    let tenant = TenantSettings { calls_per_hour: Some(1), ..TenantSettings::default() };
    let world = World::with(Options { tenant, ..Options::default() }).await;
    world.carrier("sakura").always(Script::refuses(Class::RecipientBlocked));
    let called = world.ask(login(&phone(1))).await;
    world.until_status(&called, "delivered").await;
    let id = world.ask(login(&phone(2))).await;
    let message = world.until_status(&id, "failed").await;
    assert_eq!(message["failure"]["reason"], "recipient_blocked", "which is what the person can change");
    assert!(says_which_limit(&world, &id, "calls_per_hour").await);
    assert!(!says_which_limit(&world, &called, "calls_per_hour").await);
}

#[tokio::test(start_paused = true)]
async fn a_cheaper_domestic_route_goes_on_and_money_that_is_gone_opens_no_way_abroad() {
    let cheap_fuji = BTreeMap::from([("sakura", THREE), ("fuji", THREE / 3), ("atlas", THREE / 30)]);
    let world = World::with(may_spend(4, cheap_fuji)).await;
    for person in 0..3 {
        world.post("/v1/verifications", login(&phone(person))).await;
        world.wait_ms(100).await;
    }
    let seen = ["sakura", "fuji", "atlas"].map(|name| world.carrier(name).seen().len());
    assert_eq!(seen, [1, 1, 0], "3 and 1 are 4; abroad would have been 0.1");
}

#[tokio::test(start_paused = true)]
async fn legs_that_nobody_took_cost_nothing() {
    let world = World::with(may_spend(9, prices(THREE))).await;
    let busy = || Script::answers(Reply::Refused(Class::Throttled, Scope::Provider));
    world.carrier("sakura").script(move |_, times| if times < 4 { busy() } else { Script::works() });
    for provider in ["fuji", "atlas"] {
        world.carrier(provider).always(Script::answers(Reply::NotSent));
    }
    for person in 0..3 {
        let id = world.ask(login(&phone(person))).await;
        world.until_status(&id, "delivered").await;
    }
    assert_eq!(world.metric("otp_cost_minor_units_total", &["JPY"]), 9.0);
    let refused = world.post("/v1/verifications", login(&phone(4))).await;
    assert_eq!((refused.status, refused.body["code"].as_str()), (429, Some("spend_cap_reached")), "three texts were 9");
}

#[tokio::test(start_paused = true)]
async fn every_segment_of_a_text_costs() {
    let world = World::with(may_spend(9, prices(THREE))).await;
    let long = json!({"to": phone(1), "purpose": "notice", "text": "あ".repeat(71)});
    let id = world.ask(long).await;
    world.until_status(&id, "delivered").await;
    assert_eq!(world.metric("otp_cost_minor_units_total", &["jp-sakura"]), 6.0);
    let short = world.ask(login(&phone(2))).await;
    world.until_status(&short, "delivered").await;
    assert_eq!(world.post("/v1/verifications", login(&phone(3))).await.status, 429);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_sends_where_it_may_and_calls_where_it_may() {
    let none = || Some(BTreeSet::new());
    let nowhere = TenantSettings { countries: none(), ..TenantSettings::default() };
    let world = World::with(Options { tenant: nowhere, ..Options::default() }).await;
    let refused = world.post("/v1/verifications", login(&phone(1))).await;
    assert_eq!((refused.status, refused.body["code"].as_str()), (422, Some("unsupported_country")));

    let silent = TenantSettings {
        countries: Some(BTreeSet::from([Country::JP])),
        voice_countries: none(),
        ..TenantSettings::default()
    };
    let world = World::with(Options { tenant: silent, ..Options::default() }).await;
    world.carrier("sakura").always(Script::refuses(Class::RecipientBlocked));
    let id = world.ask(login(&phone(1))).await;
    world.until_status(&id, "failed").await;
    assert_eq!(world.carrier("kodama").seen().len(), 0, "it may not call");
    world.wait_ms(60_000).await;
    let asked = world.post(&format!("/v1/verifications/{id}/resend"), json!({"channel": "voice"})).await;
    assert_eq!((asked.status, asked.body["code"].as_str()), (422, Some("voice_not_allowed")));
}

#[tokio::test(start_paused = true)]
async fn people_see_the_tenants_own_sender() {
    let route = RouteId::parse("jp-sakura").expect("valid");
    let tenant = TenantSettings { senders: BTreeMap::from([(route, "ACME".to_owned())]), ..TenantSettings::default() };
    let world = World::with(Options { tenant, ..Options::default() }).await;
    world
        .carrier("sakura")
        .script(|_, times| if times == 1 { Script::refuses(Class::OptedOut) } else { Script::works() });
    let id = world.ask(login(&phone(1))).await;
    world.until_status(&id, "delivered").await;
    let senders = |name: &str| world.carrier(name).seen().into_iter().map(|seen| seen.sender).collect::<Vec<_>>();
    assert_eq!(senders("sakura"), ["ACME"]);
    assert_eq!(senders("fuji"), ["from-fuji"], "another sender after the person opted out of the first");
}

#[tokio::test(start_paused = true)]
async fn a_tenant_has_as_many_resends_as_its_settings_say() {
    let policy = Policy { resends_max: 3, ..Options::default().policy };
    let tenant = TenantSettings {
        resends_max: Some(1),
        resend_cooldown_ms: Some([1_000, 1_000, 1_000]),
        ..TenantSettings::default()
    };
    let plan = Plan { international: International::Never, voice: false };
    let world = World::with(Options { policy, tenant, plan, ..Options::default() }).await;
    let id = world.ask(login(&phone(1))).await;
    world.until_status(&id, "delivered").await;
    world.wait_ms(1_500).await;
    let path = format!("/v1/verifications/{id}/resend");
    assert_eq!(world.post(&path, json!({})).await.status, 202);
    world.wait_ms(60_000).await;
    let second = world.post(&path, json!({})).await;
    assert_eq!((second.status, second.body["code"].as_str()), (429, Some("too_many_resends")));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_cannot_be_paid_for_is_not_promised() {
    let tenant = TenantSettings { calls_per_hour: Some(1), ..TenantSettings::default() };
    let world = World::with(Options { tenant, ..Options::default() }).await;
    let mut replies = Vec::new();
    for person in 1..=2 {
        let id = world.ask(login(&phone(person))).await;
        world.until_status(&id, "delivered").await;
        world.wait_ms(60_000).await;
        replies.push((world.post(&format!("/v1/verifications/{id}/resend"), json!({"channel": "voice"})).await, id));
        world.wait_ms(10_000).await;
    }
    let [(first, _), (second, id)] = replies.try_into().expect("two of them");
    assert_eq!((first.status, &first.body["leg"]), (202, &json!(true)));
    assert_eq!((second.status, second.body["code"].as_str()), (429, Some("too_many_calls")), "{second:?}");
    assert!(second.retry_after_s.is_some_and(|wait_s| wait_s > 3_000), "{second:?}");
    assert_eq!(world.carrier("kodama").seen().len(), 1);
    let text = world.post(&format!("/v1/verifications/{id}/resend"), json!({})).await;
    assert_eq!((text.status, &text.body["leg"]), (202, &json!(true)), "no resend was used up");
}

#[tokio::test(start_paused = true)]
async fn nor_is_one_that_follows_a_text_the_line_does_not_take() {
    let tenant = TenantSettings { calls_per_hour: Some(1), ..TenantSettings::default() };
    let world = World::with(Options { tenant, ..Options::default() }).await;
    world.carrier("sakura").always(Script::fails_later(Class::Unreceivable));
    let called = world.ask(login(&phone(1))).await;
    world.until(&called, |message| message["legs"].as_array().is_some_and(|legs| legs.len() == 2)).await;
    let id = world.ask(login(&phone(2))).await;
    world.until_status(&id, "failed").await;
    world.wait_ms(60_000).await;
    let reply = world.post(&format!("/v1/verifications/{id}/resend"), json!({})).await;
    assert_eq!((reply.status, reply.body["code"].as_str()), (429, Some("too_many_calls")), "{reply:?}");
}
