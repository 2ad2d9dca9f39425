//! How a command ended. What it says on the way is `Output`'s.

pub(crate) use otodoke_common::output::Output;

/// How a command ended when nothing was in its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// It did its work, and the answer is no: a wrong code, a setting that is wrong.
    Failed,
}

impl Outcome {
    pub(crate) const fn of(good: bool) -> Self {
        if good { Self::Done } else { Self::Failed }
    }
}
