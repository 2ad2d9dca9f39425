//! Whether anybody could carry this request: the plan of its country, its line, and a text that fits a route.

use otodoke_common::leg::Channel;
use otodoke_common::message::Voice;
use otodoke_common::phone::LineType;
use otodoke_common::route::Route;
use otodoke_common::text::{self, RenderInput, TextError};

use crate::door::Door;
use crate::problem::Problem;
use crate::request::{Content, Request};

/// The usual time of the fastest route that could carry it, milliseconds.
pub(crate) fn usual_ms(door: &Door, request: &Request) -> Result<u64, Problem> {
    let country = request.country;
    let Some(plan) = door.routes.plans.get(&country) else { return Err(unsupported(request)) };
    let routes = |channel: Channel| -> Vec<&Route> {
        door.routes.routes.iter().filter(|route| route.country == country && route.channel == channel).collect()
    };
    let voice = if plan.voice && request.voice != Voice::Never { routes(Channel::Voice) } else { Vec::new() };
    let texts = if takes_texts(request.line) { routes(Channel::Sms) } else { Vec::new() };
    check_words(door, request, &texts)?;
    let fastest = if texts.is_empty() { &voice } else { &texts };
    match fastest.iter().map(|route| route.usual_ms).min() {
        Some(usual_ms) => Ok(usual_ms),
        None if takes_texts(request.line) => Err(unsupported(request)),
        None => {
            let detail = "this line takes no texts, and no call may reach it: give a mobile number, or allow `voice`";
            Err(Problem::input("unreachable_line", "to", detail))
        }
    }
}

const fn takes_texts(line: LineType) -> bool {
    match line {
        LineType::Mobile | LineType::Unknown => true,
        LineType::Landline | LineType::Voip | LineType::DataOnly => false,
    }
}

fn unsupported(request: &Request) -> Problem {
    let detail = format!(
        "numbers of {} are not served: the settings must hold `[plan.{}]` with a route",
        request.country.as_str(),
        request.country.as_str()
    );
    Problem::input("unsupported_country", "to", detail)
}

/// The text must exist, and fit at least one route. A number without routes for texts still needs a known template.
fn check_words(door: &Door, request: &Request, routes: &[&Route]) -> Result<(), Problem> {
    let mut refusal = None;
    for route in routes {
        match words(door, request, route.origin_line).and_then(|words| lint(request, &words, route.segments_max)) {
            Ok(()) => return Ok(()),
            Err(error) => refusal = Some(error),
        }
    }
    match refusal {
        Some(error) => Err(error.into()),
        None => words(door, request, false).map(drop).map_err(Problem::from),
    }
}

fn lint(request: &Request, words: &str, segments_max: u32) -> Result<(), TextError> {
    text::lint(words, request.purpose, request.person.transaction.as_ref(), segments_max)
}

/// The text as it will be, with zeros for the code.
fn words(door: &Door, request: &Request, origin_line: bool) -> Result<String, TextError> {
    match &request.content {
        Content::Text => Ok(request.person.text.clone().unwrap_or_default()),
        Content::Code { length, template, domain } => door.templates.render(&RenderInput {
            template,
            locale: request.locale,
            purpose: request.purpose,
            code: &"0".repeat(usize::from(*length)),
            minutes: (request.useful_ms / 60_000).max(1),
            transaction: request.person.transaction.as_ref(),
            origin: domain.as_deref().filter(|_| origin_line),
        }),
    }
}
