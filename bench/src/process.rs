//! One program of ours as a process, found beside this one. It is killed when its part lets go of it, however that ends.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::Context;
use serde_json::Value;
use tokio::time::{Duration, timeout};

const WELCOME_MS_MAX: u64 = 30_000;
/// What the processes log: what a message did is a line each at `info`, which is measured on its own.
pub(crate) const LOG_FILTER: &str = "warn";

pub(crate) struct Process {
    child: Child,
    /// What it said when it was ready to be asked.
    pub(crate) welcome: Value,
}

/// A program and its arguments; told nothing by this process's own variables.
pub(crate) fn program(name: &str) -> anyhow::Result<Command> {
    let mut command = Command::new(path(name)?);
    for (variable, _) in std::env::vars_os() {
        if variable.to_str().is_some_and(|variable| variable.starts_with("OTODOKE_")) {
            command.env_remove(variable);
        }
    }
    command.env("OTODOKE_LOG", LOG_FILTER);
    Ok(command)
}

fn path(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("this program does not know where it is")?;
    let beside = own.parent().unwrap_or(Path::new(".")).join(name);
    anyhow::ensure!(
        beside.exists(),
        "{} is missing: the benchmark runs the programs that were built with it; `cargo build --release --workspace` \
         builds them",
        beside.display()
    );
    Ok(beside)
}

impl Process {
    /// Returns with its first line. What it logs is added to the file.
    pub(crate) async fn start(name: &str, arguments: &[String], log: &Path) -> anyhow::Result<Self> {
        let log_file = File::options().create(true).append(true).open(log).context("no log file")?;
        let mut command = program(name)?;
        command.args(arguments).arg("--json").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log_file);
        let mut child = command.spawn().with_context(|| format!("{name} does not start"))?;
        let out = child.stdout.take();
        let mut process = Self { child, welcome: Value::Null };
        let line = first_line(out.context("a process without output")?).await;
        process.welcome = line.as_deref().ok().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
        if !process.welcome.is_object() {
            let logged = std::fs::read_to_string(log).unwrap_or_default();
            anyhow::bail!("{name} did not start; it said: {logged}");
        }
        Ok(process)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> anyhow::Result<std::net::SocketAddr> {
        let url = self.welcome["url"].as_str().context("a process that listens says where")?;
        url.trim_start_matches("http://").parse().with_context(|| format!("{url} is no address"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

async fn first_line(out: ChildStdout) -> anyhow::Result<String> {
    let reading = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).map(|_| line)
    });
    let read = timeout(Duration::from_millis(WELCOME_MS_MAX), reading).await.context("it said nothing in time")?;
    Ok(read??)
}
