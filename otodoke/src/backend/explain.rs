//! `explain`: which routes a number would be reached by, in which order, and why. Nothing is sent or stored.
//!
//! It runs the same `route::choose` as the worker, as if every provider were in order.

use anyhow::Context;
use otodoke_common::clock::Clock;
use otodoke_common::config::{Settings, Source};
use otodoke_common::leg::{Channel, RouteId};
use otodoke_common::lifecycle::Choice;
use otodoke_common::message::{Kid, Kind, Locale, Message, MessageId, Purpose, State, TenantId, Trigger, Voice, Want};
use otodoke_common::phone::{Country, LineType, Parsed, PhoneNumber};
use otodoke_common::route::{Considered, Fit, Route, RouteTable, Scene, Standing, choose};
use otodoke_common::seal::Vault;
use otodoke_common::time::Timestamp;
use otodoke_providers::Assembled;
use serde::Serialize;

use crate::cli::Explain;
use crate::output::{Outcome, Output};
use crate::up;

/// Of the message that is imagined: the default of a verification.
const USEFUL_MS: u64 = 300_000;
/// Whose it is where nobody is named: a tenant that the settings narrow in nothing.
const ANYBODY: &str = "explain";

#[derive(Serialize)]
struct Explanation {
    to: String,
    country: String,
    line: LineType,
    /// Whether the country has a plan at all; then that plan as it is for the tenant, if it may send there.
    is_planned: bool,
    international: Option<otodoke_common::route::International>,
    voice: Option<bool>,
    texts: Vec<Considered>,
    calls: Vec<Considered>,
    /// What comes first.
    first: String,
}

impl Explanation {
    /// Whether any route could take a message for this number.
    fn has_route(&self) -> bool {
        let texts: &[Considered] = if self.line.takes_texts() { &self.texts } else { &[] };
        texts.iter().chain(&self.calls).any(|each| each.fit == Fit::Ready)
    }
}

pub(crate) fn explain(command: &Explain, output: &Output) -> anyhow::Result<Outcome> {
    let settings = match &command.config.config {
        Some(file) => Source::of_process(Some(file)).read()?,
        None => up::imagined_settings()?,
    };
    let region = command.region.as_deref().map(str::parse::<Country>);
    let region = region.transpose().map_err(anyhow::Error::msg).context("--region")?;
    let parsed = PhoneNumber::parse(&command.number, region)?;
    let tenant = TenantId::parse(command.tenant.as_deref().unwrap_or(ANYBODY));
    let tenant = tenant.map_err(anyhow::Error::msg).context("--tenant")?;
    let explanation = of(&settings, &parsed, tenant)?;
    output.show(&explanation, || sentences(&explanation))?;
    Ok(Outcome::of(explanation.has_route()))
}

fn of(settings: &Settings, parsed: &Parsed, tenant: TenantId) -> anyhow::Result<Explanation> {
    let Assembled { vault, routes: table, .. } = otodoke_providers::assemble(settings)?;
    let message = imagined(&vault, parsed, tenant, Clock::system().now());
    let texts = chosen(&message, Channel::Sms, &table);
    let calls = chosen(&message, Channel::Voice, &table);
    let plan = table.plan(&message.tenant, parsed.country);
    Ok(Explanation {
        to: parsed.number.masked(),
        country: parsed.country.as_str().to_owned(),
        line: parsed.line,
        is_planned: table.plans.contains_key(&parsed.country),
        international: plan.map(|plan| plan.international),
        voice: plan.map(|plan| plan.voice),
        first: first(parsed.line, &texts.0, &calls.0),
        texts: texts.1,
        calls: calls.1,
    })
}

fn chosen(message: &Message, channel: Channel, table: &RouteTable) -> (Choice, Vec<Considered>) {
    let want = Want { channel, only: None, new_sender: false, again: false, trigger: Trigger::First };
    let scene = Scene {
        now: message.accepted_at,
        table,
        standing: &|_: &Route| Standing::Ready,
        score: &|_: &RouteId| 0,
        cooling_ms: &|_, _| 0,
    };
    let chosen = choose(message, &want, &scene);
    (chosen.choice, chosen.considered)
}

fn first(line: LineType, text: &Choice, call: &Choice) -> String {
    let by = |choice: &Choice, what: &str| match choice {
        Choice::Go(pick) => format!("{what} by {}", pick.route.id),
        Choice::Wait { .. } | Choice::Elsewhere | Choice::OverLimit(_) | Choice::Nothing => {
            format!("no route can carry {what}")
        }
    };
    match line {
        LineType::Mobile | LineType::Unknown => by(text, "a text"),
        LineType::Landline | LineType::Voip => format!("the line takes no texts: {}", by(call, "a call")),
        LineType::DataOnly => format!("the line is for data, so little will reach it: {}", by(call, "a call")),
    }
}

/// A login code for this number, accepted now, with nothing tried yet.
fn imagined(vault: &Vault, parsed: &Parsed, tenant: TenantId, now: Timestamp) -> Message {
    Message {
        id: MessageId::new(now, [0; 10]),
        number_tag: vault.number_tag(&tenant, &parsed.number),
        tenant,
        purpose: Purpose::Login,
        lane: Purpose::Login.lane(),
        kind: Kind::Code {
            length: 6,
            kid: Kid::parse("none").expect("a good kid"),
            template: "default".to_owned(),
            domain: None,
        },
        locale: Locale::En,
        country: parsed.country,
        line: parsed.line,
        voice: Voice::OnFailure,
        accepted_at: now,
        useful_until: now.plus_ms(USEFUL_MS),
        sealed: None,
        state: State::Queued,
        legs: Vec::new(),
        guesses_left: 0,
        guesses_open: 0,
        guess_paid_at: None,
        lines_beside: 0,
        resends: 0,
        last_resend_at: None,
        verified: None,
        due: None,
        version: 0,
        stamp: 0,
    }
}

fn sentences(explanation: &Explanation) -> String {
    let Explanation { to, country, line, first, .. } = explanation;
    let line = match line {
        LineType::Mobile => "a mobile",
        LineType::Landline => "a landline",
        LineType::Voip => "a 050 or other IP line",
        LineType::DataOnly => "a data-only line",
        LineType::Unknown => "of a kind its digits do not tell",
    };
    let plan = match (explanation.international, explanation.voice) {
        (Some(international), Some(voice)) => {
            let calls = if voice { "calls allowed" } else { "no calls" };
            format!("Plan of {country}: international {}, {calls}.", word(international))
        }
        (None, _) | (_, None) if explanation.is_planned => {
            format!("{country} is not among the countries of its tenant, so it is denied.")
        }
        (None, _) | (_, None) => format!("{country} has no plan, so it is denied: add [plan.{country}]."),
    };
    let texts = if explanation.line.takes_texts() { routes("Texts", &explanation.texts) } else { String::new() };
    let calls = routes("Calls", &explanation.calls);
    format!("{to} is {line} in {country}.\n{plan}\n\nFirst: {first}.\n{texts}{calls}")
}

const fn word(international: otodoke_common::route::International) -> &'static str {
    use otodoke_common::route::International;
    match international {
        International::Never => "never",
        International::Last => "last, after every domestic route",
        International::Spill => "spill, also when every domestic route is full",
    }
}

fn routes(title: &str, considered: &[Considered]) -> String {
    let line = |(index, each): (usize, &Considered)| {
        let (route, provider, class) = (each.route.as_str(), each.provider.as_str(), each.class.word());
        let (place, rank, fit) = (index + 1, each.rank, each.fit.sentence());
        format!("\n  {place}. {route:<16} {provider:<10} {class:<14} rank {rank}: {fit}")
    };
    if considered.is_empty() {
        return format!("\n{title}: no route.\n");
    }
    format!("\n{title}, in this order:{}\n", considered.iter().enumerate().map(line).collect::<String>())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use otodoke_common::config::TenantSettings;
    use otodoke_common::route::{International, Plan};

    use super::*;

    fn explained(raw: &str) -> Explanation {
        explained_with(raw, |_| {})
    }

    fn explained_with(raw: &str, change: impl FnOnce(&mut Settings)) -> Explanation {
        explained_to(ANYBODY, raw, change)
    }

    fn explained_to(tenant: &str, raw: &str, change: impl FnOnce(&mut Settings)) -> Explanation {
        let parsed = PhoneNumber::parse(raw, None).expect("a valid number");
        let mut settings = up::imagined_settings().expect("good settings");
        change(&mut settings);
        of(&settings, &parsed, TenantId::parse(tenant).expect("a good name")).expect("explained")
    }

    fn fits(considered: &[Considered]) -> Vec<(&str, Fit)> {
        considered.iter().map(|each| (each.route.as_str(), each.fit)).collect()
    }

    #[test]
    fn domestic_routes_come_first_and_the_number_is_masked() {
        let explanation = explained("+819012345678");
        let order: Vec<&str> = explanation.texts.iter().map(|each| each.route.as_str()).collect();
        assert_eq!(order, ["jp-sakura", "jp-fuji", "jp-atlas"]);
        assert_eq!(explanation.first, "a text by jp-sakura");
        assert!(!sentences(&explanation).contains("9012345678"));
    }

    #[test]
    fn a_landline_is_called() {
        assert_eq!(explained("+81312340011").first, "the line takes no texts: a call by jp-kodama");
    }

    #[test]
    fn a_country_without_a_plan_is_denied() {
        let explanation = explained("+33612345678");
        assert!(explanation.texts.is_empty() && explanation.calls.is_empty());
        assert!(sentences(&explanation).contains("FR has no plan, so it is denied"));
    }

    #[test]
    fn a_route_that_the_plan_leaves_out_is_not_called_ready() {
        let explanation = explained_with("+819012345678", |settings| {
            settings.plans.insert(Country::JP, Plan { international: International::Never, voice: false });
        });
        let texts = [("jp-sakura", Fit::Ready), ("jp-fuji", Fit::Ready), ("jp-atlas", Fit::NotPlanned)];
        assert_eq!(fits(&explanation.texts), texts);
        assert_eq!(fits(&explanation.calls), [("jp-kodama", Fit::NotPlanned)]);
        assert!(explanation.has_route());
        assert_eq!(sentences(&explanation).matches("not planned").count(), 2);
        let json = serde_json::to_value(&explanation).expect("JSON");
        assert_eq!(
            (&json["texts"][2]["fit"], &json["calls"][0]["fit"]),
            (&"not_planned".into(), &"not_planned".into())
        );
    }

    #[test]
    fn a_line_that_takes_no_texts_has_no_route_where_nobody_may_call_it() {
        let explanation = explained_with("+81312340011", |settings| {
            settings.plans.insert(Country::JP, Plan { international: International::Never, voice: false });
        });
        assert_eq!(explanation.first, "the line takes no texts: no route can carry a call");
        assert!(!explanation.has_route() && explained("+81312340011").has_route());
        assert!(!sentences(&explanation).contains("Texts"), "{}", sentences(&explanation));
    }

    #[test]
    fn what_a_tenant_may_not_have_is_not_called_ready_for_it() {
        let narrow = |settings: &mut Settings| {
            let silent = TenantSettings { voice_countries: Some(BTreeSet::new()), ..TenantSettings::default() };
            let nowhere = TenantSettings { countries: Some(BTreeSet::new()), ..TenantSettings::default() };
            let tenants = [("silent", silent), ("nowhere", nowhere)];
            let named = |(name, of)| (TenantId::parse(name).expect("a good name"), of);
            settings.tenants.extend(tenants.map(named));
        };
        let silent = explained_to("silent", "+819012345678", narrow);
        assert_eq!(fits(&silent.calls), [("jp-kodama", Fit::NotPlanned)]);
        assert!(silent.has_route());
        let nowhere = explained_to("nowhere", "+819012345678", narrow);
        assert!(!nowhere.has_route());
        assert!(sentences(&nowhere).contains("JP is not among the countries of its tenant"), "{}", sentences(&nowhere));
        assert_eq!(fits(&explained_to("acme", "+819012345678", narrow).calls), [("jp-kodama", Fit::Ready)]);
    }

    #[test]
    fn a_number_that_only_unplanned_routes_lead_to_has_no_route() {
        let explanation = explained_with("+819012345678", |settings| {
            settings.plans.insert(Country::JP, Plan { international: International::Never, voice: false });
            settings.routes.retain(|route| matches!(route.id.as_str(), "jp-atlas" | "jp-kodama"));
        });
        assert_eq!(explanation.first, "no route can carry a text");
        assert!(!explanation.has_route());
        assert!(!explained("+33612345678").has_route() && explained("+819012345678").has_route());
    }
}
