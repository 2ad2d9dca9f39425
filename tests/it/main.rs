//! Behaviour by theme: what callers, people and operators see, told as stories over the whole pipeline.

mod accept;
mod away;
mod clock;
mod fallback;
mod gauges;
mod given_up;
mod guesses;
mod journey;
mod lanes;
mod money;
mod operator;
mod published;
mod receipts;
mod resend;
mod scarce;
mod secrets;
mod silence;
mod watched;
mod worker;

/// A phone of the tests, and many more where one is not enough.
const PHONE: &str = "+819012345678";

fn phone(number: u32) -> String {
    format!("+8190{:08}", 40_000_000 + number)
}

fn leg(channel: &str, provider: &str, outcome: &str) -> (String, String, String) {
    (channel.to_owned(), provider.to_owned(), outcome.to_owned())
}
