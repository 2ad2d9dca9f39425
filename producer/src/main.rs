//! `otodoke-producer`: the door as a process of its own, on RabbitMQ and PostgreSQL. Here the command line is read and
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
use otodoke_common::servers::Servers;
use otodoke_common::startup;
use otodoke_producer::{Door, follow_workers, router, server};
use serde::Serialize;
use tokio::net::TcpListener;

const PROGRAM: &str = "otodoke-producer";

/// The door of Otodoke: takes requests in, checks codes, hears providers.
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
    /// Serve the HTTP API until told to stop
    Serve(Serve),
}

#[derive(Debug, Args)]
struct Serve {
    /// The file with the settings
    #[arg(long, env = "OTODOKE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to listen, instead of where the settings say; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

#[derive(Serialize)]
struct Welcome {
    url: String,
}

#[global_allocator]
static ALLOCATOR: otodoke_allocator::MiMalloc = otodoke_allocator::MiMalloc;

fn main() -> ExitCode {
    otodoke_allocator::keep_freed_memory();
    startup::run(PROGRAM, program())
}

async fn program() -> ExitCode {
    let cli = Cli::parse();
    let Command::Serve(command) = &cli.command;
    match serve(command, Output::new(cli.json)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            Output::complain(PROGRAM, &error);
            ExitCode::FAILURE
        }
    }
}

async fn serve(command: &Serve, output: Output) -> anyhow::Result<()> {
    let source = Source::of_process(command.config.as_deref());
    startup::write_logs(&LogSettings::of(&source.variables, None)?)?;
    let settings = source.read()?;
    let stop = startup::stop_on_signal()?;
    let listen = command.listen.unwrap_or(settings.listen);
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("{listen} cannot be listened on; --listen 127.0.0.1:0 takes a free port"))?;
    let assembled = otodoke_providers::assemble(&settings)?;
    let servers = Servers::open(&settings)?;
    let parts = assembled.on(otodoke_providers::Backends::from(&servers));
    let metrics = Arc::clone(&parts.desk.metrics);
    let (codes, store, stopping) = (Arc::clone(&parts.codes), Arc::clone(&parts.desk.store), stop.clone());
    tokio::spawn(async move { codes.lead(&*store, &stopping).await });
    let door = Arc::new(Door::assemble(&settings, parts, stop.clone()));
    let (following, stopping) = (Arc::clone(&door), stop.clone());
    tokio::spawn(async move { follow_workers(&following, &stopping).await });
    let url = format!("http://{}", listener.local_addr()?);
    output.answer(&Welcome { url: url.clone() }, || {
        format!("The door listens at {url}; {url}/readyz says whether it can accept.")
    })?;
    let serving = server::serve(listener, router(door), stop.clone());
    let served = servers.run(&metrics, &stop, serving).await.context("the store cannot be used")?;
    served.context("the door could not go on")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_fits_together() {
        <Cli as clap::CommandFactory>::command().debug_assert();
        for (good, line) in [
            (true, "otodoke-producer serve --config otodoke.toml --listen 127.0.0.1:0 --json"),
            (false, "otodoke-producer serve --listen nowhere"),
            (false, "otodoke-producer run"),
        ] {
            assert_eq!(Cli::try_parse_from(line.split(' ')).is_ok(), good, "{line}");
        }
    }
}
