//! The allocator of the programs, and how long it keeps what they freed.
//!
//! mimalloc gives memory back to the system ten milliseconds after it was freed. Under load that is memory which is wanted
//! again in the next few, and then every page of it costs a fault: up to a seventh of the programs' CPU time
//! (`BENCHMARKS.md`). So it is kept for a second. This is the one crate of ours with `unsafe` in it.

use libmimalloc_sys::{mi_option_eager_commit_delay, mi_option_set_default, mi_option_t};

pub use mimalloc::MiMalloc;

/// From freeing to giving back. What all of a program's connections and messages hold at most is bounded elsewhere; this
/// bounds for how long the most of it stays.
const KEEP_MS: i32 = 1_000;

/// `mi_option_purge_delay` of mimalloc 2 (`mimalloc.h`, `mi_option_t`), which the bindings leave out: the one after this.
const PURGE_DELAY: mi_option_t = mi_option_eager_commit_delay + 1;

/// To be called first in `main`, while there is one thread. Whoever sets `MIMALLOC_PURGE_DELAY`, in milliseconds, decides
/// instead.
#[expect(unsafe_code, reason = "a call of the C library")]
pub fn keep_freed_memory() {
    // SAFETY: it writes one number into a static table, at an index that it checks; nobody reads it meanwhile, see above.
    unsafe { mi_option_set_default(PURGE_DELAY, KEEP_MS.into()) }
}

#[cfg(test)]
mod tests {
    use libmimalloc_sys::mi_option_get;

    use super::*;

    #[expect(unsafe_code, reason = "a call of the C library")]
    fn purge_delay_ms() -> i64 {
        // SAFETY: it reads one number, at an index that it checks; one test, one thread.
        unsafe { mi_option_get(PURGE_DELAY).into() }
    }

    /// Another version may number its options anew: then this is not the one that is ten by default.
    #[test]
    fn it_is_the_delay_of_giving_back_that_is_set() {
        assert_eq!(purge_delay_ms(), 10);
        keep_freed_memory();
        assert_eq!(purge_delay_ms(), KEEP_MS.into());
    }
}
