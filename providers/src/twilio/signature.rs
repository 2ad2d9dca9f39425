//! `X-Twilio-Signature`: whether a request was signed with the account's auth token.
//!
//! Source: Twilio "Security: validating requests", checked against its SDK (`scripts/oracles`). A form is signed
//! with its parameters; any other body through the `bodySHA256` of the URL's query. What is not covered by the
//! signature is not accepted.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use otodoke_common::provider::WebhookRequest;
use ring::{digest, hmac};

type Parameters = BTreeMap<String, BTreeSet<String>>;

pub(super) fn holds(token: &hmac::Key, request: &WebhookRequest<'_>) -> bool {
    let signature = request.header("x-twilio-signature").and_then(|raw| BASE64.decode(raw.as_bytes()).ok());
    let (Some(signature), Some(parameters)) = (signature, covered(request)) else {
        return false;
    };
    spellings(request.url).any(|url| hmac::verify(token, signed_text(&url, &parameters).as_bytes(), &signature).is_ok())
}

/// The parameters that are signed with the URL; `None` where the body is not covered.
fn covered(request: &WebhookRequest<'_>) -> Option<Parameters> {
    let query = request.url.split_once('?').map_or("", |(_, query)| query);
    let hash = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "bodySHA256");
    if let Some((_, hash)) = hash {
        let want = HEXLOWER_PERMISSIVE.decode(hash.as_bytes()).ok()?;
        let is = digest::digest(&digest::SHA256, request.body);
        return (is.as_ref() == want).then(Parameters::new);
    }
    let form = request.header("content-type").unwrap_or_default().starts_with("application/x-www-form-urlencoded");
    if !form && !request.body.is_empty() {
        return None;
    }
    Some(parameters(request.body))
}

fn parameters(form: &[u8]) -> Parameters {
    let mut parameters = Parameters::new();
    for (name, value) in form_urlencoded::parse(form).into_owned() {
        parameters.entry(name).or_default().insert(value);
    }
    parameters
}

/// The URL and then every name with every value, names and values in order, repeated values once.
fn signed_text(url: &str, parameters: &Parameters) -> String {
    let mut text = url.to_owned();
    for (name, values) in parameters {
        for value in values {
            text.push_str(name);
            text.push_str(value);
        }
    }
    text
}

/// The URL as it was given, and without its port, or with the scheme's own: the vendor signs any of them.
fn spellings(url: &str) -> impl Iterator<Item = String> {
    [Some(url.to_owned()), other_spelling(url)].into_iter().flatten()
}

fn other_spelling(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    // A colon within the brackets of an IPv6 address begins no port.
    if let Some(colon) = host.rfind(':').filter(|colon| !host[*colon..].contains(']')) {
        return Some(format!("{scheme}://{}{path}", &host[..colon]));
    }
    let port = match scheme {
        "https" => 443,
        "http" => 80,
        _ => return None,
    };
    Some(format!("{scheme}://{host}:{port}{path}"))
}

#[cfg(test)]
pub(super) fn sign(token: &hmac::Key, url: &str, body: &[u8]) -> String {
    BASE64.encode(hmac::sign(token, signed_text(url, &parameters(body)).as_bytes()).as_ref())
}
