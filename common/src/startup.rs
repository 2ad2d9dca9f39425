//! How a process begins and how it is told to stop: its threads, where log lines go, what a panic leaves behind, which signals
//! count.
//!
//! What is finished before the end is up to whoever holds the token.

use std::error::Error;
use std::io::IsTerminal;
use std::num::NonZero;
use std::process::ExitCode;
use std::thread::available_parallelism;

use tokio::runtime::{Builder, Runtime};
use tokio::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, LogSettings, Problem, Source, threads};
use crate::lines;
use crate::output::Output;

/// Libraries that see requests as bytes or URLs: what they would say at `debug` is not ours to keep clean. One shows whole
/// messages, at `warn`, when the broker returns them, and calls every refusal an error, which ours tell with a remedy.
/// Naming one of them in the filter still makes it speak.
const QUIET_LIBRARIES: &str = "h2=info,hyper=info,hyper_util=info,lapin=off,reqwest=info,rustls=info,tower=info";

/// How the broker's library tells that a task of its own was cancelled, as by the end of the process: nobody's mistake.
const TASK_LEFT_OVER: (&str, &str) = ("Task did not complete: task ", "was cancelled");

/// What nobody can cut off, such as asking for the address of a name that no server knows, is not waited for at the end.
const LEFT_OVER_MS_MAX: u64 = 500;

/// The status of a process that was told twice to stop: 128 and the number of SIGINT.
const TOLD_TWICE_STATUS: i32 = 130;

/// Runs a door or a worker to its end, on as many threads as `OTODOKE_THREADS` says or else this machine.
pub fn run(program: &str, main: impl Future<Output = ExitCode>) -> ExitCode {
    match runtime() {
        Ok(runtime) => {
            let status = runtime.block_on(main);
            runtime.shutdown_timeout(Duration::from_millis(LEFT_OVER_MS_MAX));
            status
        }
        Err(error) => {
            Output::complain(program, &error);
            ExitCode::FAILURE
        }
    }
}

fn runtime() -> Result<Runtime, Box<dyn Error>> {
    // Those that a container may not use are not counted.
    let processors = available_parallelism().map_or(1, NonZero::get);
    let threads = threads(&Source::of_process(None).variables, processors)?;
    Ok(Builder::new_multi_thread().worker_threads(threads).enable_all().build()?)
}

/// Log lines go to standard error, so that standard output stays for answers. Call once, first.
pub fn write_logs(settings: &LogSettings) -> Result<(), Problem> {
    let filter = EnvFilter::try_new(format!("{QUIET_LIBRARIES},{}", settings.filter)).map_err(|error| {
        Problem::new("OTODOKE_LOG", &settings.filter, format!("must be a filter such as info: {error}"))
    })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let taken = match settings.format {
        LogFormat::Text => {
            let lines = lines.with_ansi(std::io::stderr().is_terminal()).with_target(false);
            lines.map_fmt_fields(|_| lines::Text).try_init()
        }
        LogFormat::Json => lines.json().flatten_event(true).map_event_format(lines::Json).try_init(),
    };
    // A second call in one process, as tests make it, keeps the first.
    drop(taken);
    log_panics();
    Ok(())
}

/// A panic in a task would otherwise be one line on standard error that no log collector understands.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string).unwrap_or_default();
        let said = panic.payload_as_str().unwrap_or("a value that is no text");
        if said.starts_with(TASK_LEFT_OVER.0) && said.ends_with(TASK_LEFT_OVER.1) {
            tracing::debug!(at, said, "a task of the broker's library was cut off");
            return;
        }
        tracing::error!(at, said, "a task panicked: this is a mistake in the program");
    }));
}

/// Cancelled by the first SIGTERM or SIGINT; a second one ends the process at once. Call within a tokio runtime.
pub fn stop_on_signal() -> std::io::Result<CancellationToken> {
    let mut signals = Signals::listen()?;
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        let signal = signals.next().await;
        tracing::info!(signal, "stopping: what is in hand is finished first; a second signal ends at once");
        told.cancel();
        signals.next().await;
        std::process::exit(TOLD_TWICE_STATUS);
    });
    Ok(stop)
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_filter_is_refused_by_name() {
        let settings = LogSettings { filter: "otodoke=loud".to_owned(), format: LogFormat::Text };
        let said = write_logs(&settings).expect_err("no such level").to_string();
        assert!(said.starts_with("OTODOKE_LOG = otodoke=loud: must be a filter such as info"), "{said}");
    }
}
