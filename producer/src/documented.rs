//! The refusals that operations have in common, as the OpenAPI document lists them. What is answered is `problem`.

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

/// One group of refusals: the type's name, and status with codes for each of its members.
macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident { $($status:literal: $codes:literal),+ $(,)? })+) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                BTreeMap::from([$(($status.to_owned(), problem($codes))),+])
            }
        }
    )+};
}

refusals! {
    /// No key, or one that opens nothing.
    KeyRefused { "401": "`unauthorized`" }
    NotFound { "404": "`not_found`: unknown, or of another tenant" }
    /// The body cannot be read, or says something that cannot be.
    BodyRefused {
        "400": "`body_broken`",
        "408": "`body_too_slow`",
        "413": "`body_too_large`",
        "415": "`unsupported_media_type`",
        "422": "`invalid_json`, `unknown_field`, `duplicate_field`, `missing_field`, `invalid_field`, `field_not_allowed`, `invalid_number`, `region_needed`, `refused_number_type`, `unsupported_country`, `unreachable_line`, `unknown_template`, `template_too_long`, `payment_text_incomplete`, `invalid_text`, `invalid_domain`, `voice_not_allowed`",
    }
    KeyReused { "409": "`key_reused`: the same `Idempotency-Key`, another body" }
    TooLate { "409": "`too_late`: it has ended" }
    TooMany { "429": "`too_many_messages`, `spend_cap_reached`, `too_soon`, `too_many_resends`, `too_many_calls`; with `Retry-After`" }
    Busy { "503": "`busy`: could not arrive in time, or too much in hand; `unavailable`: it was not done, or nobody can tell, and the same `Idempotency-Key` makes sure that it is done once; with `Retry-After`" }
    WebhookRefused {
        "400": "`webhook_refused`: unreadable; `body_broken`",
        "401": "`webhook_refused`: not authentic",
        "403": "`webhook_refused`: not authentic",
        "408": "`body_too_slow`",
        "413": "`body_too_large`",
    }
}

fn problem(codes: &str) -> RefOr<Response> {
    let schema = Ref::from_schema_name("Problem");
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new().description(codes).content("application/problem+json", content).build().into()
}
