//! How many threads a program's tasks run on: `OTODOKE_THREADS`. No part of the file, which one of them reads.

use super::Problem;

const VARIABLE: &str = "OTODOKE_THREADS";
/// More would be a slip of the finger: each has its own queue of tasks, and keeps memory of the allocator's.
const THREADS_MAX: usize = 256;

/// Unless the variable says otherwise one for each of the `processors` but one, which is left to the broker's connections, that
/// have threads of their own, and to the kernel: on two processors a second thread is woken for every other step of a message
/// and finds little to do (BENCHMARKS).
pub fn threads(variables: &[(String, String)], processors: usize) -> Result<usize, Problem> {
    let Some((_, told)) = variables.iter().find(|(name, _)| name == VARIABLE) else {
        return Ok(processors.saturating_sub(1).max(1));
    };
    let count = told.parse().ok().filter(|count| (1..=THREADS_MAX).contains(count));
    count.ok_or_else(|| Problem::new(VARIABLE, told, format!("must be a whole number from 1 to {THREADS_MAX}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(value: &str) -> Result<usize, String> {
        threads(&[(VARIABLE.to_owned(), value.to_owned())], 8).map_err(|problem| problem.to_string())
    }

    #[test]
    fn a_processor_is_left_where_there_are_several() {
        for (processors, expected) in [(1, 1), (2, 1), (3, 2), (8, 7)] {
            assert_eq!(threads(&[], processors), Ok(expected), "{processors}");
        }
    }

    #[test]
    fn what_the_variable_says_counts_whatever_the_machine() {
        assert_eq!((told("1"), told("16")), (Ok(1), Ok(16)));
    }

    #[test]
    fn a_wrong_number_is_refused_by_name() {
        for value in ["0", "257", "-1", "two", ""] {
            let said = format!("OTODOKE_THREADS = {value}: must be a whole number from 1 to 256");
            assert_eq!(told(value), Err(said));
        }
    }
}
