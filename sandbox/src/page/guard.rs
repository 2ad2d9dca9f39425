//! Refuses what another site makes a browser send: the page spends the owner's key on whoever may post to it.
//!
//! A site may also let its own name lead here, and then looks like the page itself; so the page has no public name.

use std::net::{IpAddr, SocketAddr};

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use super::problem::problem;

pub(super) async fn same_site_only(request: Request, next: Next) -> Response {
    if is_own(request.headers()) {
        return next.run(request).await;
    }
    let detail = "only the sandbox's own page may post here, as application/json, opened by an address or as localhost";
    problem(StatusCode::FORBIDDEN, "cross_site", detail)
}

/// A browser names where a request comes from; JSON alone makes it ask first, which nobody here answers.
fn is_own(headers: &HeaderMap) -> bool {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let is_json = header("content-type").is_some_and(|content_type| content_type.starts_with("application/json"));
    let is_same_site = matches!(header("sec-fetch-site"), None | Some("same-origin"));
    let is_same_origin = match (header("origin"), header("host")) {
        (None, _) => true,
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, from)| from == host),
        (Some(_), None) => false,
    };
    is_json && is_same_site && is_same_origin && header("host").is_none_or(is_local_name)
}

/// An address, `localhost`, or another name without a dot: none that somebody on the internet could own.
fn is_local_name(host: &str) -> bool {
    let is_address = host.parse::<SocketAddr>().is_ok() || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    let name = host.split(':').next().unwrap_or_default();
    is_address || name.ends_with(".localhost") || !name.contains('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(pairs: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        is_own(&headers)
    }

    #[test]
    fn only_the_page_itself_may_post() {
        let json = ("content-type", "application/json");
        let host = ("host", "127.0.0.1:8080");
        assert!(own(&[json, host]));
        assert!(own(&[json, host, ("origin", "http://127.0.0.1:8080"), ("sec-fetch-site", "same-origin")]));
        assert!(!own(&[json, host, ("origin", "http://evil.example")]));
        assert!(!own(&[json, host, ("origin", "null")]));
        assert!(!own(&[json, host, ("sec-fetch-site", "cross-site")]));
        assert!(!own(&[json, host, ("sec-fetch-site", "same-site")]));
        assert!(!own(&[("content-type", "text/plain"), host]));
        assert!(!own(&[host]));
        for near in ["127.0.0.1", "[::1]", "[::1]:8080", "localhost:8080", "otodoke:8080", "a.localhost"] {
            assert!(own(&[json, ("host", near)]), "{near}");
        }
        let rebound = [json, ("host", "evil.example:8080"), ("origin", "http://evil.example:8080")];
        assert!(!own(&rebound), "a name of theirs that leads here");
    }
}
