//! `otodoke-worker`: delivers, hears receipts and sweeps, on RabbitMQ and PostgreSQL. Here the command line is read and
//! the parts are put together; nothing is decided.
//!
//! Exit status: 0 stopped when told to, 1 could not go on, 2 not understood.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use otodoke_common::config::{LogSettings, Source};
use otodoke_common::output::Output;
use otodoke_common::servers::{LateStore, Servers};
use otodoke_common::startup;
use otodoke_worker::{Roles, Worker, WorkerSettings};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const PROGRAM: &str = "otodoke-worker";

/// The worker of Otodoke: calls providers, hears receipts, sweeps up what is due.
#[derive(Debug, Parser)]
#[command(name = PROGRAM, version, arg_required_else_help = true, max_term_width = 100)]
#[command(after_help = "Exit status: 0 stopped when told to, 1 could not go on, 2 not understood.")]
struct Cli {
    /// Answer in JSON, one value a line
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Work until told to stop
    Run(Run),
}

#[derive(Debug, Args)]
struct Run {
    /// The file with the settings
    #[arg(long, env = "OTODOKE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// What this process does: deliver, status, sweep; sweep only together with deliver
    #[arg(long, value_name = "ROLES", default_value = "deliver,status,sweep")]
    roles: Roles,
    /// Where to answer /healthz, /readyz and /metrics; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

#[derive(Serialize)]
struct Welcome {
    roles: String,
    /// Where the probes are; none without `--listen`.
    url: Option<String>,
}

impl Welcome {
    fn sentences(&self) -> String {
        match &self.url {
            Some(url) => format!("A worker runs with the roles {}; {url}/readyz says whether it can work.", self.roles),
            None => format!("A worker runs with the roles {}; --listen ADDR would say how it is.", self.roles),
        }
    }
}

#[global_allocator]
static ALLOCATOR: otodoke_allocator::MiMalloc = otodoke_allocator::MiMalloc;

fn main() -> ExitCode {
    otodoke_allocator::keep_freed_memory();
    startup::run(PROGRAM, program())
}

async fn program() -> ExitCode {
    let cli = Cli::parse();
    let Command::Run(command) = &cli.command;
    match run(command, Output::new(cli.json)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            Output::complain(PROGRAM, &error);
            ExitCode::FAILURE
        }
    }
}

async fn run(command: &Run, output: Output) -> anyhow::Result<()> {
    let source = Source::of_process(command.config.as_deref());
    startup::write_logs(&LogSettings::of(&source.variables, None)?)?;
    let settings = source.read()?;
    let stop = startup::stop_on_signal()?;
    let listener = listen(command.listen).await?;
    let assembled = otodoke_providers::assemble(&settings)?;
    let servers = Servers::open(&settings)?;
    let parts = assembled.on(otodoke_providers::Backends::from(&servers));
    let metrics = Arc::clone(&parts.desk.metrics);
    let worker = Worker::new(parts, WorkerSettings::from(&settings)).with_roles(command.roles.clone());
    let url = listener.as_ref().map(TcpListener::local_addr).transpose()?;
    let welcome = Welcome { roles: command.roles.to_string(), url: url.map(|address| format!("http://{address}")) };
    output.answer(&welcome, || welcome.sentences())?;
    let working = work(worker, listener, Arc::clone(&servers.store), stop.clone());
    servers.run(&metrics, &stop, working).await.context("the store cannot be used")?
}

async fn listen(address: Option<SocketAddr>) -> anyhow::Result<Option<TcpListener>> {
    let Some(address) = address else { return Ok(None) };
    let bound = TcpListener::bind(address).await;
    bound.map(Some).with_context(|| format!("{address} cannot be listened on; --listen 127.0.0.1:0 takes a free port"))
}

/// The probes answer as long as the worker drains.
async fn work(
    worker: Worker,
    listener: Option<TcpListener>,
    store: Arc<LateStore>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let over = CancellationToken::new();
    let probing = listener.map(|listener| tokio::spawn(worker.probes(stop.clone()).serve(listener, over.clone())));
    stop.run_until_cancelled(store.looked_for()).await;
    worker.run(stop.clone()).await;
    over.cancel();
    if let Some(probing) = probing {
        probing.await.context("the probes ended by a panic")?.context("the probes could not go on")?;
    }
    anyhow::ensure!(stop.is_cancelled(), "the worker ended by itself; the lines before this one say why");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_fits_together() {
        <Cli as clap::CommandFactory>::command().debug_assert();
        for (good, line) in [
            (true, "otodoke-worker run --roles deliver,sweep --listen 127.0.0.1:0"),
            (true, "otodoke-worker run --config otodoke.toml --json"),
            (false, "otodoke-worker run --roles sweep"),
            (false, "otodoke-worker run --roles serve"),
        ] {
            assert_eq!(Cli::try_parse_from(line.split(' ')).is_ok(), good, "{line}");
        }
    }
}
