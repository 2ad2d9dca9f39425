//! Whether anybody could carry this request: the plan of its country, its line, and a text that fits a route.

use super::{Content, Request, RequestError};
use crate::leg::Channel;
use crate::message::{TenantId, Voice};
use crate::route::{Route, RouteTable};
use crate::text::{self, RenderInput, Templates, TextError};

/// The usual time of the fastest route that could carry it, milliseconds.
pub fn usual_ms(
    table: &RouteTable,
    templates: &Templates,
    tenant: &TenantId,
    request: &Request,
) -> Result<u64, RequestError> {
    let country = request.country;
    if table.plan(tenant, country).is_none() {
        return Err(unsupported(request));
    }
    let routes = |channel: Channel| -> Vec<&Route> { table.open_to(tenant, country, channel).collect() };
    let voice = if request.voice != Voice::Never { routes(Channel::Voice) } else { Vec::new() };
    let texts = if request.line.takes_texts() { routes(Channel::Sms) } else { Vec::new() };
    if let Content::Code { template, .. } = &request.content
        && !table.speaks(tenant, template)
    {
        return Err(text::unknown_template(template, request.locale).into());
    }
    check_words(templates, request, &texts)?;
    let fastest = if texts.is_empty() { &voice } else { &texts };
    match fastest.iter().map(|route| route.usual_ms).min() {
        Some(usual_ms) => Ok(usual_ms),
        None if request.line.takes_texts() => Err(unsupported(request)),
        None => Err(RequestError::UnreachableLine),
    }
}

fn unsupported(request: &Request) -> RequestError {
    RequestError::UnsupportedCountry { country: request.country }
}

/// The text must exist, and fit at least one route. A number without routes for texts still needs a known template.
fn check_words(templates: &Templates, request: &Request, routes: &[&Route]) -> Result<(), RequestError> {
    let mut refusal = None;
    for route in routes {
        match words(templates, request, route.origin_line).and_then(|words| lint(request, &words, route)) {
            Ok(()) => return Ok(()),
            Err(error) => refusal = Some(error),
        }
    }
    match refusal {
        Some(error) => Err(error.into()),
        None => spoken(templates, request).map_err(RequestError::from),
    }
}

fn spoken(templates: &Templates, request: &Request) -> Result<(), TextError> {
    let words = words(templates, request, false)?;
    match &request.content {
        Content::Text => text::lint_spoken(&words),
        // A call has words of its own for a code.
        Content::Code { .. } => Ok(()),
    }
}

fn lint(request: &Request, words: &str, route: &Route) -> Result<(), TextError> {
    let transaction = request.person.transaction.as_ref();
    text::lint(words, request.purpose, transaction, route.counting, route.segments_max)
}

/// The text as it will be, with zeros for the code.
fn words(templates: &Templates, request: &Request, origin_line: bool) -> Result<String, TextError> {
    match &request.content {
        Content::Text => Ok(request.person.text.clone().unwrap_or_default()),
        Content::Code { length, template, domain } => templates.render(&RenderInput {
            template,
            locale: request.locale,
            purpose: request.purpose,
            code: &"0".repeat(usize::from(*length)),
            useful_ms: request.useful_ms,
            transaction: request.person.transaction.as_ref(),
            origin: domain.as_deref().filter(|_| origin_line),
        }),
    }
}
