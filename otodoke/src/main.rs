//! The one binary of Otodoke. Here the command line is read and each command finds its module; nothing is decided.
//!
//! `http` holds the commands that talk to a door, `backend` those that open the backends or read settings, `up` starts
//! everything in one process, `sandbox` only the carriers, `bench` measures. Exit status: 0 done, 1 failed, 2 not understood.

mod backend;
mod bench;
mod cli;
mod http;
mod output;
mod sandbox;
mod up;

use std::process::ExitCode;

use clap::Parser;
use otodoke_common::config::{LogSettings, Source};
use otodoke_common::startup;

use crate::cli::{Cli, Command};
use crate::output::{Outcome, Output};

#[global_allocator]
static ALLOCATOR: otodoke_allocator::MiMalloc = otodoke_allocator::MiMalloc;

fn main() -> ExitCode {
    otodoke_allocator::keep_freed_memory();
    program()
}

#[tokio::main]
async fn program() -> ExitCode {
    let cli = Cli::parse();
    let output = Output::new(cli.json);
    // What these say means that they can be used.
    let serves = matches!(cli.command, Command::Up(_) | Command::Sandbox(_));
    match run(cli.command, &output).await {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::FAILURE,
        Err(error) => {
            Output::complain("otodoke", &error);
            if matches!(output, Output::Programs) && !serves {
                output::tell_programs(&output, &error);
            }
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command, output: &Output) -> anyhow::Result<Outcome> {
    let quiet = if matches!(command, Command::Up(_) | Command::Sandbox(_)) { None } else { Some("warn") };
    startup::write_logs(&LogSettings::of(&Source::of_process(None).variables, quiet)?)?;
    // One TLS provider for every client of this process; a second call would only say that it is there.
    drop(rustls::crypto::ring::default_provider().install_default());
    match command {
        Command::Up(command) => up::run(&command, output).await,
        Command::Sandbox(command) => sandbox::run(&command, output).await,
        Command::Send(command) => http::send(command, output).await,
        Command::Check(command) => http::check(command, output).await,
        Command::Resend(command) => http::resend(command, output).await,
        Command::Cancel(command) => http::cancel(command, output).await,
        Command::Trace(command) => http::trace(command, output).await,
        Command::Find(command) => http::find(command, output).await,
        Command::Explain(command) => backend::explain(&command, output),
        Command::Codes(command) => backend::codes(&command, output).await,
        Command::Keys(command) => backend::keys(&command, output).await,
        Command::Parked(command) => backend::parked(&command, output).await,
        Command::Topology(command) => backend::topology(&command, output).await,
        Command::Config(command) => backend::config(&command, output).await,
        Command::Bench(command) => bench::run(command, output).await,
        Command::BenchCarrier(command) => bench::carry(command, output).await,
    }
}
