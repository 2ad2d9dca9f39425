//! One program of ours as a process. It is killed when the test lets go of it, however the test ends.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::line::first_line;

/// Longer than a drain may last.
const STOP_MS_MAX: u64 = 60_000;
const LOOK_MS: u64 = 50;

pub(crate) struct Process {
    name: &'static str,
    child: Child,
    /// What it said when it was ready to be asked.
    pub(crate) welcome: Value,
}

/// A program of ours that is not started yet, told by nothing but its arguments.
pub(crate) fn program(name: &str) -> Command {
    let mut command = Command::new(path(name));
    for (variable, _) in std::env::vars().filter(|(variable, _)| variable.starts_with("OTODOKE_")) {
        command.env_remove(variable);
    }
    command
}

/// Of a program of this workspace, built beside the running test.
fn path(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test knows where it is");
    let built =
        test.parent().and_then(Path::parent).expect("tests are built in a folder below the programs").join(name);
    assert!(built.exists(), "{} is missing: cargo build --workspace --bins", built.display());
    built
}

impl Process {
    /// Returns with its first line. What it logs is added to the file.
    pub(crate) fn start(name: &'static str, arguments: &[&str], (log_file, filter): (&Path, &str)) -> Self {
        let log = File::options().create(true).append(true).open(log_file).expect("a log file");
        let mut command = program(name);
        command.args(arguments).arg("--json").env("OTODOKE_LOG", filter);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().expect("the program starts");
        let line = first_line(child.stdout.take().expect("a pipe"));
        let process = Self { name, child, welcome: serde_json::from_str(&line).unwrap_or_default() };
        let logged = || std::fs::read_to_string(log_file).unwrap_or_default();
        assert!(process.welcome.is_object(), "{name} said {line:?} at first; it logged: {}", logged());
        process
    }

    /// `kill -9`: nothing is finished, nothing is told.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    /// SIGTERM, as a supervisor sends it; it must drain within a bound and say that all is well.
    pub(crate) async fn stop(mut self) {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(told.is_ok_and(|told| told.success()), "it is our child");
        let ended = async {
            loop {
                if let Some(status) = self.child.try_wait().expect("it is our child") {
                    return status;
                }
                sleep(Duration::from_millis(LOOK_MS)).await;
            }
        };
        let ended = timeout(Duration::from_millis(STOP_MS_MAX), ended).await;
        let ended = ended.unwrap_or_else(|_| panic!("{} did not stop within {STOP_MS_MAX} ms", self.name));
        assert!(ended.success(), "{}: {ended}", self.name);
    }

    fn end(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}
