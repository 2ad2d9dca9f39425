//! One process of `otodoke up` and its directory. It is killed when the test lets go of it, however the test ends.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::caller::Caller;
use crate::line::first_line;
use crate::stand::Stand;
use crate::until::until;

const FREE_PORT: &str = "127.0.0.1:0";
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_otodoke");
/// Everything our crates say; the libraries under them stay at what `startup` allows.
const LOG_FILTER: &str = "trace";

/// A directory that vanishes with the last process that used it.
#[derive(Clone)]
pub(crate) struct Place(Arc<TempDir>);

impl Place {
    pub(crate) fn new() -> Self {
        Self(Arc::new(tempfile::tempdir().expect("a temporary directory")))
    }

    /// What `--data` is given.
    pub(crate) fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Every log line of every process that ran here.
    pub(crate) fn log(&self) -> PathBuf {
        self.file("log")
    }
}

pub(crate) struct Up {
    process: Child,
    welcome: Value,
    place: Place,
    /// From the start of the process to its first line.
    pub(crate) ready_after: Duration,
}

impl Up {
    pub(crate) fn start() -> Self {
        Self::start_in(&Place::new())
    }

    pub(crate) fn start_in(place: &Place) -> Self {
        Self::start_at(place, FREE_PORT)
    }

    /// At an address of its own, which the carriers of a former run may still call.
    pub(crate) fn start_at(place: &Place, address: &str) -> Self {
        let log = File::options().create(true).append(true).open(place.log()).expect("a log file");
        let begun = Instant::now();
        let mut process =
            up_command_at(place, address).stdout(Stdio::piped()).stderr(log).spawn().expect("the program starts");
        let line = first_line(process.stdout.take().expect("a pipe"));
        let ready_after = begun.elapsed();
        let mut up = Self { process, welcome: Value::Null, place: place.clone(), ready_after };
        up.welcome = serde_json::from_str(&line).unwrap_or_default();
        assert!(up.welcome["url"].is_string(), "the first line was {line:?}; the log says:\n{}", up.log());
        up
    }

    pub(crate) fn caller(&self) -> Caller {
        Caller::new(self.url(), self.key())
    }

    pub(crate) fn stand(&self) -> Stand {
        let mut stand = Stand {
            caller: self.caller(),
            url: self.url().to_owned(),
            seal_root: self.place.data().join("seal-root"),
            kodama: String::new(),
        };
        stand.kodama =
            stand.vault().tag(otodoke_common::seal::TagUse::SandboxSecret, &[b"kodama"]).hex()[..32].to_owned();
        stand
    }

    pub(crate) fn url(&self) -> &str {
        self.welcome["url"].as_str().expect("a URL")
    }

    /// `127.0.0.1:PORT`, for those who speak without an HTTP client.
    pub(crate) fn address(&self) -> &str {
        self.url().trim_start_matches("http://")
    }

    pub(crate) fn key(&self) -> &str {
        self.welcome["api_key"].as_str().expect("a key")
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.place.log()).expect("the log is there")
    }

    /// Another `otodoke`, typed by the same person.
    pub(crate) fn type_in(&self, words: &[&str]) -> Output {
        let mut command = Command::new(BINARY);
        command.args(words).env("OTODOKE_URL", self.url()).env("OTODOKE_API_KEY", self.key());
        command.env("OTODOKE_DATA", self.place.data()).env_remove("OTODOKE_CONFIG").env_remove("OTODOKE_LOG");
        command.output().expect("the program runs")
    }

    /// `kill -9`: nothing is finished, nothing is told.
    pub(crate) fn kill(mut self) -> Place {
        self.process.kill().expect("it is our child");
        self.process.wait().expect("it is our child");
        self.place.clone()
    }

    /// SIGTERM, as a supervisor sends it.
    pub(crate) fn tell_to_stop(&self) {
        let told = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().expect("kill runs");
        assert!(told.success());
    }

    /// How it ended, once it has.
    pub(crate) async fn ended(mut self) -> (ExitStatus, Place) {
        let place = self.place.clone();
        let look = async || self.process.try_wait().expect("it is our child");
        let log = async || std::fs::read_to_string(place.log()).unwrap_or_default();
        (until("the process ends", look, log).await, place.clone())
    }

    pub(crate) async fn stop(self) -> Place {
        self.tell_to_stop();
        let (status, place) = self.ended().await;
        assert!(status.success(), "{status}");
        place
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// `otodoke up` in this place on a free port, not started yet.
pub(crate) fn up_command(place: &Place) -> Command {
    up_command_at(place, FREE_PORT)
}

fn up_command_at(place: &Place, address: &str) -> Command {
    let mut command = Command::new(BINARY);
    command.args(["up", "--json", "--listen", address, "--data"]).arg(place.data());
    command.env_remove("OTODOKE_CONFIG").env("OTODOKE_LOG", LOG_FILTER).stdin(Stdio::null());
    command
}
