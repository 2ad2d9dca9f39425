//! Which trace a piece of work belongs to, as W3C Trace Context (level 1) writes it: `traceparent` and `tracestate`.
//!
//! We record no spans of our own, so what came in goes on as it is. The trace goes along with the task that works for it:
//! `within` sets it, log lines name it (`lines`), and whatever a backend of the broker publishes meanwhile carries it.

use std::borrow::Cow;
use std::ops::Range;

use data_encoding::HEXLOWER;

use crate::dice::Dice;

/// `00-` 32 digits `-` 16 digits `-` 2 digits.
const PARENT_CHARS: usize = 55;
/// Where they stand in it.
const TRACE: Range<usize> = 3..35;
const SPAN: Range<usize> = 36..52;
const FLAGS: Range<usize> = 53..PARENT_CHARS;
/// Longer than this a `tracestate` is dropped, as the recommendation allows.
const STATE_CHARS_MAX: usize = 512;

tokio::task_local! {
    static CURRENT: Option<TraceContext>;
}

/// A `traceparent` that is valid, with the `tracestate` that came with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// ASCII, always of version 00.
    parent: [u8; PARENT_CHARS],
    state: Option<Box<str>>,
}

impl TraceContext {
    /// `None` where the `traceparent` is not valid: then its `tracestate` says nothing either.
    pub fn parse(parent: &str, state: Option<&str>) -> Option<Self> {
        // Of a later version, whatever follows the known part is not ours to read.
        let (known, rest) = parent.as_bytes().split_first_chunk::<PARENT_CHARS>()?;
        let version = &known[..2];
        let hex = |part: Range<usize>| known[part].iter().all(is_lower_hex);
        let between = [2, TRACE.end, SPAN.end].iter().all(|at| known[*at] == b'-');
        let named = |part: Range<usize>| known[part].iter().any(|digit| *digit != b'0');
        let whole = between && hex(0..2) && hex(TRACE) && hex(SPAN) && hex(FLAGS);
        let ends = rest.is_empty() || (version != b"00" && rest.starts_with(b"-"));
        if !whole || !ends || version == b"ff" || !named(TRACE) || !named(SPAN) {
            return None;
        }
        let mut parent = *known;
        parent[..2].copy_from_slice(b"00");
        let printable = |state: &&str| {
            (1..=STATE_CHARS_MAX).contains(&state.len()) && state.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
        };
        Some(Self { parent, state: state.filter(printable).map(Box::from) })
    }

    /// A trace that begins here; nobody records it, and its flags say so.
    pub fn new(dice: &Dice) -> Self {
        // The last bit of a word makes sure that neither is all zeros.
        let long = || (u64::from(dice.roll()) << 32 | u64::from(dice.roll() | 1)).to_be_bytes();
        let mut parent = [b'-'; PARENT_CHARS];
        HEXLOWER.encode_mut(&[0], &mut parent[..2]);
        HEXLOWER.encode_mut([long(), long()].as_flattened(), &mut parent[TRACE]);
        HEXLOWER.encode_mut(&long(), &mut parent[SPAN]);
        HEXLOWER.encode_mut(&[0], &mut parent[FLAGS]);
        Self { parent, state: None }
    }

    pub fn parent(&self) -> &str {
        std::str::from_utf8(&self.parent).expect("a trace context is ASCII by construction")
    }

    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// 32 digits, as log lines show it.
    pub fn trace_id(&self) -> &str {
        &self.parent()[TRACE]
    }

    /// Both on one line, for a backend that keeps them.
    pub fn to_line(&self) -> Cow<'_, str> {
        match &self.state {
            Some(state) => Cow::Owned(format!("{} {state}", self.parent())),
            None => Cow::Borrowed(self.parent()),
        }
    }

    pub fn of_line(line: &str) -> Option<Self> {
        match line.split_once(' ') {
            Some((parent, state)) => Self::parse(parent, Some(state)),
            None => Self::parse(line, None),
        }
    }
}

const fn is_lower_hex(byte: &u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// Does `work` for this trace: its log lines carry `trace_id`, and so does what it publishes. A task that it spawns is not
/// within. No async function, which would hold `work` two times over, and most tasks begin with this; and no span of the
/// log's, which would be written down for each of them, whether or not a line comes.
pub fn within<W: Future>(trace: Option<TraceContext>, work: W) -> impl Future<Output = W::Output> {
    CURRENT.scope(trace, work)
}

/// Looks at the trace that the running task works for.
pub fn with_current<T>(look: impl FnOnce(&TraceContext) -> T) -> Option<T> {
    CURRENT.try_with(|trace| trace.as_ref().map(look)).ok().flatten()
}

/// The trace that the running task works for.
pub fn current() -> Option<TraceContext> {
    CURRENT.try_with(Clone::clone).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_examples_of_the_recommendation_are_read() {
        for parent in [PARENT, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"] {
            let trace = TraceContext::parse(parent, Some("congo=t61rcWkgMzE,rojo=00f067aa0ba902b7")).expect("valid");
            assert_eq!((trace.parent(), trace.trace_id()), (parent, &parent[3..35]));
            assert_eq!(trace.state(), Some("congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"));
            assert_eq!(TraceContext::of_line(&trace.to_line()), Some(trace));
        }
    }

    #[test]
    fn work_for_a_trace_is_hardly_larger_than_work() {
        let work = || async {
            let held = [0_u8; 4_096];
            tokio::task::yield_now().await;
            held.len()
        };
        let (alone, within) = (size_of_val(&work()), size_of_val(&within(None, work())));
        assert!(within < alone + 256, "{within} bytes for {alone}");
    }

    #[test]
    fn what_the_recommendation_forbids_is_no_trace() {
        for parent in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x",
            "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0\u{e9}",
        ] {
            assert_eq!(TraceContext::parse(parent, Some("a=1")), None, "{parent}");
        }
    }

    #[test]
    fn of_a_later_version_the_known_part_is_read_and_goes_on_as_ours() {
        for parent in
            [PARENT.replacen("00", "cc", 1), format!("{}-what-the-future-brings", PARENT.replacen("00", "01", 1))]
        {
            assert_eq!(TraceContext::parse(&parent, None).expect("valid").parent(), PARENT);
        }
    }

    #[test]
    fn a_state_that_cannot_be_one_is_dropped_and_the_trace_kept() {
        for state in ["", "a=\u{1}", "a=\u{e9}", &"x".repeat(STATE_CHARS_MAX + 1)] {
            assert_eq!(TraceContext::parse(PARENT, Some(state)).expect("valid").state(), None, "{state:?}");
        }
    }

    #[test]
    fn a_trace_that_begins_here_is_valid_and_no_other() {
        let dice = Dice::seeded(1);
        let [one, other] = [TraceContext::new(&dice), TraceContext::new(&dice)];
        assert_eq!(TraceContext::parse(one.parent(), None).as_ref(), Some(&one));
        assert_ne!(one.trace_id(), other.trace_id());
    }

    #[tokio::test]
    async fn work_knows_its_trace_and_other_work_does_not() {
        let trace = TraceContext::parse(PARENT, None);
        assert_eq!(within(trace.clone(), async { current() }).await, trace);
        assert_eq!(within(None, async { current() }).await, None);
        assert_eq!(current(), None);
    }
}
