//! The OpenAPI 3.1 document, generated from the handlers and the types they take and give.

use axum::Json;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{Modify, OpenApi};

use crate::problem::ProblemBody;

#[derive(OpenApi)]
#[openapi(
    info(title = "Otodoke", description = "One-time codes that arrive, in time, once.", license(name = "MIT OR Apache-2.0")),
    paths(
        crate::verifications::create,
        crate::verifications::read,
        crate::verifications::check,
        crate::verifications::resend,
        crate::verifications::cancel,
        crate::messages::create,
        crate::messages::read,
        crate::messages::cancel,
        crate::search::search,
        crate::trace::read,
        crate::receipts::untagged,
        crate::receipts::tagged,
        crate::voice::speak,
        crate::health::alive,
        crate::health::ready,
        crate::health::metrics,
        document,
    ),
    components(schemas(ProblemBody)),
    modifiers(&KeyScheme, &NoBodyIsNoNull),
    security(("key" = [])),
)]
struct Document;

struct KeyScheme;

impl Modify for KeyScheme {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().add_security_scheme("key", scheme);
    }
}

/// A body that may be left out is described as one that may be `null`, which is not taken.
struct NoBodyIsNoNull;

impl Modify for NoBodyIsNoNull {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let posts = document.paths.paths.values_mut().filter_map(|path| path.post.as_mut());
        for body in posts.filter_map(|post| post.request_body.as_mut()) {
            for content in body.content.values_mut() {
                let Some(RefOr::T(Schema::OneOf(one_of))) = &content.schema else { continue };
                let body = one_of.items.iter().find(|item| matches!(item, RefOr::Ref(_)));
                content.schema = body.cloned().or_else(|| content.schema.clone());
            }
        }
    }
}

/// The document as it is served.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "operation", security(()),
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json")),
)]
pub(crate) async fn document() -> Json<utoipa::openapi::OpenApi> {
    Json(openapi())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// They may be left out, and `null` is refused.
    #[test]
    fn bodies_that_may_be_left_out_are_not_described_as_null() {
        let document = serde_json::to_value(openapi()).expect("a document");
        for (path, body) in [
            ("/v1/verifications/{id}/resend", "ResendBody"),
            ("/v1/verifications/{id}/cancel", "NoFields"),
            ("/v1/messages/{id}/cancel", "NoFields"),
        ] {
            let described = &document["paths"][path]["post"]["requestBody"];
            let schema = &described["content"]["application/json"]["schema"];
            assert_eq!(schema["$ref"], format!("#/components/schemas/{body}"), "{described:#}");
            assert_ne!(described["required"], true);
        }
    }

    /// Client generators name functions by them.
    #[test]
    fn every_operation_has_an_id_of_its_own() {
        let document = serde_json::to_value(openapi()).expect("a document");
        let paths = document["paths"].as_object().expect("paths").values();
        let operations = paths.flat_map(|path| path.as_object().expect("operations").values());
        let ids: Vec<&str> = operations.map(|operation| operation["operationId"].as_str().expect("an id")).collect();
        let different: BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(different.len(), ids.len(), "{ids:?}");
    }
}
