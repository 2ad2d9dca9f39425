//! Several bodies of ours in one AMQP message: what travels together under load. Only here is its form known.
//!
//! Four bytes say how long the heads are; then the heads, as `MessagePack` with structs as arrays; then the bodies, one behind
//! the other. A head holds what would stand on its body alone. Whatever is not exactly so is no batch.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::message::MessageId;
use crate::time::Timestamp;
use crate::trace::TraceContext;

pub(super) const CONTENT_TYPE: &str = "application/vnd.otodoke.batch";
const VERSION: u32 = 1;
/// Bodies of one batch. Processes that know a lower limit read no more: a higher one is another version.
pub(super) const PARTS_MAX: usize = 64;
/// Of all bodies of a batch together; a longer one travels alone.
pub(super) const BODIES_BYTES_MAX: usize = 64 * 1_024;
/// More than the longest traces take.
const HEADS_BYTES_MAX: usize = 64 * 1_024;

/// A body of ours that may travel with others, and what stands on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) id: MessageId,
    pub(super) at: Timestamp,
    pub(super) trace: Option<TraceContext>,
    pub(super) body: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Heads<'a> {
    v: u32,
    parts: Vec<Head<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head<'a> {
    id: MessageId,
    at: Timestamp,
    trace: Option<Cow<'a, str>>,
    bytes: usize,
}

impl<'a> Head<'a> {
    fn of(part: &'a Part) -> Self {
        let trace = part.trace.as_ref().map(TraceContext::to_line);
        Self { id: part.id, at: part.at, trace, bytes: part.body.len() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("it is cut short")]
    CutShort,
    #[error("its heads cannot be read: {why}")]
    Heads { why: String },
    #[error("it is of version {found}, and this program knows {VERSION}")]
    Version { found: u32 },
    #[error("a trace in it is none")]
    Trace,
    #[error("it is over a limit: {parts} bodies, {bytes} bytes")]
    Limit { parts: usize, bytes: usize },
    #[error("its bodies are not as long as its heads say")]
    Length,
}

/// At most `PARTS_MAX` parts, of `BODIES_BYTES_MAX` together.
pub(super) fn pack(parts: &[Part]) -> Vec<u8> {
    let heads = Heads { v: VERSION, parts: parts.iter().map(Head::of).collect() };
    let heads = rmp_serde::to_vec(&heads).expect("heads have no failing fields, and memory no failing writes");
    let length = u32::try_from(heads.len()).expect("so many heads are short");
    let bodies: usize = parts.iter().map(|part| part.body.len()).sum();
    let mut packed = Vec::with_capacity(size_of::<u32>() + heads.len() + bodies);
    packed.extend_from_slice(&length.to_be_bytes());
    packed.extend_from_slice(&heads);
    parts.iter().for_each(|part| packed.extend_from_slice(&part.body));
    packed
}

pub(super) fn unpack(packed: &[u8]) -> Result<Vec<Part>, Unreadable> {
    let (length, rest) = packed.split_first_chunk().ok_or(Unreadable::CutShort)?;
    let length = u32::from_be_bytes(*length) as usize;
    let (heads, mut bodies) = rest.split_at_checked(length).ok_or(Unreadable::CutShort)?;
    let limit = |parts| Unreadable::Limit { parts, bytes: packed.len() };
    if heads.len() > HEADS_BYTES_MAX || bodies.len() > BODIES_BYTES_MAX {
        return Err(limit(0));
    }
    let Heads { v, parts: heads } = read(heads).map_err(|why| Unreadable::Heads { why })?;
    if v != VERSION {
        return Err(Unreadable::Version { found: v });
    }
    if !(1..=PARTS_MAX).contains(&heads.len()) {
        return Err(limit(heads.len()));
    }
    let mut parts = Vec::with_capacity(heads.len());
    for Head { id, at, trace, bytes } in heads {
        let trace = trace.map(|line| TraceContext::of_line(&line).ok_or(Unreadable::Trace)).transpose()?;
        let (body, rest) = bodies.split_at_checked(bytes).ok_or(Unreadable::Length)?;
        bodies = rest;
        parts.push(Part { id, at, trace, body: body.to_vec() });
    }
    if bodies.is_empty() { Ok(parts) } else { Err(Unreadable::Length) }
}

/// Nothing may follow the heads.
fn read(heads: &[u8]) -> Result<Heads<'static>, String> {
    let mut reader = rmp_serde::Deserializer::new(heads);
    let known = Heads::deserialize(&mut reader).map_err(|error| error.to_string())?;
    if reader.get_ref().is_empty() { Ok(known) } else { Err("something follows them".to_owned()) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn part(number: u128, body: &[u8]) -> Part {
        let trace = TraceContext::parse(PARENT, Some("congo=t61rcWkgMzE,a=\"1\""));
        let at = Timestamp::from_unix_ms(1_763_805_900_123);
        Part { id: MessageId(Uuid::from_u128(number)), at, trace, body: body.to_vec() }
    }

    fn heads(value: &impl Serialize) -> Vec<u8> {
        rmp_serde::to_vec(value).expect("memory does not fail")
    }

    fn batch(heads: &[u8], bodies: &[u8]) -> Vec<u8> {
        [&u32::try_from(heads.len()).expect("short").to_be_bytes()[..], heads, bodies].concat()
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_out_as_it_was(bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..PARTS_MAX)) {
            let mut parts: Vec<Part> = (1..).zip(&bodies).map(|(number, body)| part(number, body)).collect();
            parts[0].trace = None;
            prop_assert_eq!(unpack(&pack(&parts)), Ok(parts));
        }

        #[test]
        fn garbage_is_refused_and_breaks_nothing(garbage in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(unpack(&garbage).is_err());
            prop_assert!(unpack(&batch(&garbage, b"x")).is_err());
        }

        #[test]
        fn a_batch_that_is_cut_or_longer_is_none(cut in 1_usize..100) {
            let whole = pack(&[part(1, b"one"), part(2, b"two")]);
            prop_assert!(unpack(&whole[..whole.len() - cut]).is_err());
            prop_assert_eq!(unpack(&[&whole[..], &vec![0; cut]].concat()), Err(Unreadable::Length));
        }
    }

    #[test]
    fn the_largest_batch_is_within_the_limits() {
        let state = "\"".repeat(512);
        let trace = TraceContext::parse(PARENT, Some(&state));
        let body = vec![0; BODIES_BYTES_MAX / PARTS_MAX];
        let parts: Vec<Part> = (0..PARTS_MAX as u128)
            .map(|number| Part { trace: trace.clone(), at: Timestamp::from_unix_ms(i64::MIN), ..part(number, &body) })
            .collect();
        assert_eq!(unpack(&pack(&parts)), Ok(parts));
    }

    #[test]
    fn what_is_over_a_limit_is_refused() {
        let many: Vec<Part> = (0..=PARTS_MAX as u128).map(|number| part(number, b"x")).collect();
        assert!(matches!(unpack(&pack(&many)), Err(Unreadable::Limit { parts: 65, .. })));
        let long = part(1, &vec![0; BODIES_BYTES_MAX + 1]);
        assert!(matches!(unpack(&pack(&[long])), Err(Unreadable::Limit { .. })));
        assert!(matches!(unpack(&pack(&[])), Err(Unreadable::Limit { parts: 0, .. })));
    }

    #[test]
    fn heads_that_are_not_exactly_so_are_refused() {
        let (id, at, none) = (MessageId(Uuid::from_u128(7)), Timestamp::from_unix_ms(1), None::<&str>);
        let good = heads(&(VERSION, [(id, at, none, 1)]));
        assert_eq!(unpack(&batch(&good, b"x")).map(|parts| parts.len()), Ok(1));
        let other = unpack(&batch(&heads(&(2, [(id, at, none, 1)])), b"x"));
        assert_eq!(other, Err(Unreadable::Version { found: 2 }));
        for bad in [
            heads(&(VERSION, [(id, at, none, 1)], "more")),
            heads(&(VERSION, [(id, at, none, 1, "more")])),
            heads(&(VERSION, [("order-1", at, none, 1)])),
            heads(&(VERSION, [(id, at, none)])),
            heads(&(VERSION, [(id, at, none, -1)])),
            [&good[..], &[0]].concat(),
            heads(&BTreeMap::from([("v", VERSION), ("more", 1)])),
        ] {
            assert!(matches!(unpack(&batch(&bad, b"x")), Err(Unreadable::Heads { .. })), "{bad:?}");
        }
        let traced = heads(&(VERSION, [(id, at, Some("00-none"), 1)]));
        assert_eq!(unpack(&batch(&traced, b"x")), Err(Unreadable::Trace));
        let twice = heads(&(VERSION, [(id, at, none, usize::MAX), (id, at, none, usize::MAX)]));
        assert_eq!(unpack(&batch(&twice, b"x")), Err(Unreadable::Length), "lengths are never added up");
    }
}
