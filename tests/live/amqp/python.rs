//! A Python that has pika: the one that is there, one of our own beside the built tests, or Debian's.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PIKA: &str = "pika==1.4.4";
const REMEDY: &str =
    "no Python with pika: install python3 with its module venv, and let pip reach its index; or install python3-pika";

/// Call it one at a time: what it makes is shared.
pub(crate) fn with_pika() -> PathBuf {
    let own = beside_the_tests().join("bin/python");
    let there =
        || [PathBuf::from("python3"), own.clone(), "/usr/bin/python3".into()].into_iter().find(|it| has_pika(it));
    if let Some(python) = there() {
        return python;
    }
    for ways in [
        &[
            &["python3", "-m", "venv", &*beside_the_tests().to_string_lossy()][..],
            &[&*own.to_string_lossy(), "-m", "pip", "install", "--quiet", PIKA],
        ],
        // As root on Debian.
        &[&["apt-get", "install", "--yes", "--no-install-recommends", "python3-pika"][..], &["true"]],
    ] {
        if ways.iter().all(|words| done(words))
            && let Some(python) = there()
        {
            return python;
        }
    }
    panic!("{REMEDY}");
}

/// In the target directory, so that it is made once.
fn beside_the_tests() -> PathBuf {
    let test = std::env::current_exe().expect("the test knows where it is");
    test.parent().and_then(Path::parent).expect("tests are built in a folder below the programs").join("pika-venv")
}

fn has_pika(python: &Path) -> bool {
    quiet(Command::new(python).args(["-c", "import pika"]))
}

fn done(words: &[&str]) -> bool {
    let (program, arguments) = words.split_first().expect("a command has a first word");
    quiet(Command::new(program).args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
}

fn quiet(command: &mut Command) -> bool {
    let ended = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    ended.is_ok_and(|status| status.success())
}
