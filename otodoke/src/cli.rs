//! The command line as it is typed. What each command does is in the module of its name.

mod ask;
mod operate;

use clap::{Parser, Subcommand};

pub(crate) use ask::{Access, Cancel, Channel, Check, Find, Purpose, Resend, Send, Trace, Transaction, Voice};
pub(crate) use operate::{
    Bench, BenchCarrier, Codes, CodesVerb, Config, ConfigVerb, Explain, Keys, KeysVerb, Parked, ParkedVerb, Place,
    Sandbox, Topology, TopologyVerb, Up,
};

/// One-time codes that arrive, in time, once.
///
/// Try it: `otodoke up` starts everything on this machine with carriers that do not exist, and says what to do next.
#[derive(Debug, Parser)]
#[command(name = "otodoke", version, arg_required_else_help = true, max_term_width = 100)]
#[command(after_help = "Exit status: 0 done, 1 failed, 2 not understood.")]
pub(crate) struct Cli {
    /// Answer in JSON, one value a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start everything in one process: door, worker, and carriers that do not exist
    Up(Up),
    /// Start only the carriers that do not exist, beside a door and workers of their own
    Sandbox(Sandbox),
    /// Send a code or a text, or a whole file of them
    Send(Box<Send>),
    /// Check the code a person typed
    Check(Check),
    /// Send the same code once more, by another route or, where no text can come, by a call
    Resend(Resend),
    /// Stop a message: nothing more is sent, its code is void
    Cancel(Cancel),
    /// Tell what happened to a message, and why
    Trace(Trace),
    /// Find the messages that went to a number lately
    Find(Find),
    /// Tell which routes a number would be reached by, in which order, and why; without settings, in `otodoke up`
    Explain(Explain),
    /// Make, list and revoke API keys
    Keys(Keys),
    /// Revoke the root of codes, when it may have leaked
    Codes(Codes),
    /// Look after bodies that could not be handled
    Parked(Parked),
    /// Look after the queues
    Topology(Topology),
    /// Look after the settings
    Config(Config),
    /// Measure the pipeline on this machine, beside what its servers can do at best
    Bench(Bench),
    #[command(hide = true)]
    BenchCarrier(BenchCarrier),
}

#[cfg(test)]
mod tests {
    use otodoke_common::config::Source;

    use super::*;

    fn parses(line: &str) -> bool {
        let typed = line.split(' ').filter(|word| !word.is_empty());
        Cli::try_parse_from(std::iter::once("otodoke").chain(typed)).is_ok()
    }

    #[test]
    fn the_command_line_fits_together() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn a_send_is_one_code_one_text_or_one_file() {
        for good in
            ["+819012345678 --purpose login", "+819012345678 --text hello", "--file requests.jsonl --concurrency 4"]
        {
            assert!(parses(&format!("send {good} --api-key k")), "{good}");
        }
        let wrong = [
            "",
            "+819012345678",
            "+819012345678 --file x",
            "--file x --concurrency 0",
            "--file x --region JP",
            "+819012345678 --text a --separate",
            "+819012345678 --text a --purpose login",
        ];
        for wrong in wrong {
            assert!(!parses(&format!("send {wrong} --api-key k")), "{wrong}");
        }
    }

    #[test]
    fn a_transaction_is_whole_or_absent() {
        let whole = "--amount 12000 --currency JPY --payee-name A --payee-account 1";
        assert!(parses(&format!("send +819012345678 --purpose payment {whole} --api-key k")));
        for left_out in ["--amount 12000", "--currency JPY", "--payee-name A", "--payee-account 1"] {
            let part = whole.replace(left_out, "");
            assert!(!parses(&format!("check id 123456 {part} --api-key k")), "without {left_out}");
        }
    }

    #[test]
    fn json_may_stand_anywhere() {
        assert!(parses("--json up") && parses("up --json") && parses("keys list --json"));
    }

    /// Else whoever sets one for a command breaks every command that reads settings.
    #[test]
    fn variables_of_the_command_line_are_no_settings() {
        let mut variables = Vec::new();
        variables_of(&<Cli as clap::CommandFactory>::command(), &mut variables);
        assert!(variables.iter().any(|(name, _)| name == "OTODOKE_BENCH_AMQP_URL"), "{variables:?}");
        let said = Source { file: None, variables }.read().expect_err("there is no file").to_string();
        assert!(!said.contains("is not a setting"), "{said}");
    }

    fn variables_of(command: &clap::Command, found: &mut Vec<(String, String)>) {
        let named = command.get_arguments().filter_map(clap::Arg::get_env).filter_map(std::ffi::OsStr::to_str);
        found.extend(named.map(|name| (name.to_owned(), "anything".to_owned())));
        command.get_subcommands().for_each(|each| variables_of(each, found));
    }
}
