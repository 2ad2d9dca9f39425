//! Sealing of what names a person, keyed tags for look-ups, and the per-leg tag that webhooks carry back to us.

/// Names one leg and proves that we made it: base64url of id (16), leg (1) and a 16-byte MAC, 44 characters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct LegTag(String);
