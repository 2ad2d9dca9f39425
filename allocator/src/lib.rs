//! The allocator of the programs, and how long it keeps what they freed.
//!
//! mimalloc gives memory back to the system ten milliseconds after it was freed. Under load it is wanted again soon, and then
//! every page of it costs a fault: up to a seventh of the programs' CPU time (`BENCHMARKS.md`). So it waits for a second
//! here. This is the one crate of ours with `unsafe` in it.

use libmimalloc_sys::{mi_option_eager_commit_delay, mi_option_set_default, mi_option_t};

pub use mimalloc::MiMalloc;

/// From freeing to giving back, at least: while more of the same segment (32 MiB) is being used and freed it waits on, and
/// where all of a segment is free, ten times as long. What is kept is used again before more is asked for.
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
    use std::ffi::c_long;
    use std::process::Command;

    use libmimalloc_sys::mi_option_get;

    use super::*;

    const BY_THE_ENVIRONMENT: &str = "MIMALLOC_PURGE_DELAY";
    const EXPECTED_MS: &str = "EXPECTED_MS";

    #[expect(unsafe_code, reason = "a call of the C library")]
    fn purge_delay_ms() -> c_long {
        // SAFETY: it reads one number out of a static table, at an index that it checks.
        unsafe { mi_option_get(PURGE_DELAY) }
    }

    /// In processes of their own, for the environment is read before `main`. That it is heeded also proves the option's number.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "it tells itself what to expect")]
    fn the_delay_is_ours_unless_the_environment_says_another() {
        if let Ok(expected) = std::env::var(EXPECTED_MS) {
            keep_freed_memory();
            assert_eq!(purge_delay_ms().to_string(), expected);
            return;
        }
        for (said, expected) in [(None, KEEP_MS.to_string()), (Some("77"), "77".to_owned())] {
            let this = std::env::current_exe().expect("a path");
            let mut again = Command::new(this);
            again.args(["--exact", "tests::the_delay_is_ours_unless_the_environment_says_another"]);
            again.env_remove(BY_THE_ENVIRONMENT).env(EXPECTED_MS, &expected);
            again.envs(said.map(|ms| (BY_THE_ENVIRONMENT, ms)));
            let output = again.output().expect("it starts");
            let told = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && told.contains("1 passed"), "{said:?}: {told}");
        }
    }
}
