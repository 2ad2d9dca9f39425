//! Commands that talk to a door over HTTP.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use otodoke_producer::search::HOURS_MAX;

/// What a plain text, and a line of a file, has no use for.
const CODE_ONLY: [&str; 2] = ["file", "text"];

/// Which door, and as whom.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Door")]
pub(crate) struct Access {
    /// Where the door is
    #[arg(long, env = "OTODOKE_URL", default_value = "http://127.0.0.1:8080")]
    pub(crate) url: String,
    /// The API key; better set as a variable, where other users do not see it
    #[arg(long, env = "OTODOKE_API_KEY", hide_env_values = true)]
    pub(crate) api_key: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  otodoke send +819012345678 --purpose login
  otodoke send 09012345678 --region JP --purpose payment --amount 12000 --currency JPY \\
      --payee-name 'YAMADA TARO' --payee-account 1234567
  otodoke send +819012345678 --text 'Your parcel is here.'
  otodoke send --file requests.jsonl          each line is the body of a POST")]
pub(crate) struct Send {
    /// The number, as +819012345678, or national with --region
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    pub(crate) number: Option<String>,
    /// What the code is for
    #[arg(long, value_enum, required_unless_present_any = ["file", "text"], conflicts_with_all = CODE_ONLY)]
    pub(crate) purpose: Option<Purpose>,
    /// Send this text instead of a code
    #[arg(long, conflicts_with = "file")]
    pub(crate) text: Option<String>,
    /// Send every line of this file; `-` reads standard input
    #[arg(long)]
    pub(crate) file: Option<PathBuf>,
    /// With --file: requests in flight at a time
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024), requires = "file")]
    pub(crate) concurrency: u16,
    /// With --file: how long to go on trying while nobody takes connections there, before giving up the rest
    #[arg(long, value_name = "SECONDS", default_value_t = 30, requires = "file")]
    pub(crate) patience: u16,
    /// The country of a national number, such as JP
    #[arg(long, conflicts_with = "file")]
    pub(crate) region: Option<String>,
    /// The language of the text, ja or en
    #[arg(long, conflicts_with = "file")]
    pub(crate) locale: Option<String>,
    /// How long it stays useful, seconds
    #[arg(long, value_name = "SECONDS", conflicts_with = "file")]
    pub(crate) ttl: Option<u64>,
    /// Digits of the code, 6 to 10
    #[arg(long, value_name = "DIGITS", conflicts_with_all = CODE_ONLY)]
    pub(crate) code_length: Option<u64>,
    #[arg(long, help = "The template of the text", conflicts_with_all = CODE_ONLY)]
    pub(crate) template: Option<String>,
    /// The web site whose page may fill the code in
    #[arg(long, conflicts_with_all = CODE_ONLY)]
    pub(crate) domain: Option<String>,
    /// When a call may carry it
    #[arg(long, value_enum, conflicts_with = "file")]
    pub(crate) voice: Option<Voice>,
    /// With `--voice on-unverified`: how long to wait for the code
    #[arg(long, value_name = "SECONDS", conflicts_with_all = CODE_ONLY)]
    pub(crate) voice_after: Option<u64>,
    /// Do not join a verification for the same thing that is still alive
    #[arg(long, conflicts_with_all = CODE_ONLY)]
    pub(crate) separate: bool,
    /// The same key and the same request get the same answer for 24 hours; with --file each line's number is added
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    #[command(flatten)]
    pub(crate) transaction: Transaction,
    #[command(flatten)]
    pub(crate) access: Access,
}

/// What a payment code is bound to: all of it, or nothing.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Payment")]
pub(crate) struct Transaction {
    /// Whole minor units: 12000 is 12,000 yen, or 120.00 dollars
    #[arg(long, requires_all = ["currency", "payee_name", "payee_account"])]
    pub(crate) amount: Option<String>,
    /// ISO 4217, such as JPY
    #[arg(long, requires = "amount")]
    pub(crate) currency: Option<String>,
    #[arg(long, requires = "amount", help = "Who is paid")]
    pub(crate) payee_name: Option<String>,
    #[arg(long, requires = "amount", help = "The account that is paid to")]
    pub(crate) payee_account: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The id that `send` answered
    pub(crate) id: String,
    /// The digits the person typed
    pub(crate) code: String,
    /// The number again; needed for payments, and where the tenant's settings say so
    #[arg(long)]
    pub(crate) to: Option<String>,
    #[command(flatten)]
    pub(crate) transaction: Transaction,
    #[command(flatten)]
    pub(crate) access: Access,
}

#[derive(Debug, Args)]
pub(crate) struct Resend {
    /// The id that `send` answered
    pub(crate) id: String,
    /// Ask for a text or for a call [default: a text, or a call where no text can come]
    #[arg(long, value_enum)]
    pub(crate) channel: Option<Channel>,
    #[command(flatten)]
    pub(crate) access: Access,
}

#[derive(Debug, Args)]
pub(crate) struct Cancel {
    /// The id that `send` answered
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) access: Access,
}

#[derive(Debug, Args)]
pub(crate) struct Trace {
    /// The id that `send` answered
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) access: Access,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Of the key's tenant, newest first, at most 50 at a time. The time of a message is that in its id; ids of other \
                  kinds than UUIDv7, which programs on AMQP may choose, have none and are not found."
)]
pub(crate) struct Find {
    /// The number, as +819012345678, or national with --region
    pub(crate) number: String,
    /// The country of a national number, such as JP
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// How far to look back, hours
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=HOURS_MAX))]
    pub(crate) hours: u64,
    /// Look back from here instead of from now, such as 2026-11-22T10:05:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) before: Option<String>,
    #[command(flatten)]
    pub(crate) access: Access,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Purpose {
    Login,
    Signup,
    Payment,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Voice {
    OnFailure,
    OnUnverified,
    Never,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Channel {
    Sms,
    Voice,
}
