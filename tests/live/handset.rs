//! A phone of the sandbox, as its page tells about it: texts and calls, and the codes a person reads or hears in them.

use serde_json::Value;

#[derive(Clone, Debug)]
pub(crate) struct Handset {
    pub(crate) texts: Vec<Text>,
    pub(crate) calls: Vec<Call>,
}

#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) provider: String,
    pub(crate) text: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) provider: String,
    /// Nobody, while it rings and when nobody answers.
    pub(crate) answered_by: Option<String>,
    pub(crate) status: String,
    pub(crate) transcript: String,
}

impl Handset {
    pub(crate) fn read(json: &Value) -> Self {
        let word = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let list = |name: &str| json[name].as_array().expect("a handset has messages and calls").clone();
        Self {
            texts: list("messages")
                .iter()
                .map(|text| Text { provider: word(text, "provider"), text: word(text, "text") })
                .collect(),
            calls: list("calls")
                .iter()
                .map(|call| Call {
                    provider: word(call, "provider"),
                    answered_by: call["answered_by"].as_str().map(str::to_owned),
                    status: word(call, "status"),
                    transcript: word(call, "transcript"),
                })
                .collect(),
        }
    }
}

impl Text {
    /// The longest run of digits: a text says nothing else in so many.
    pub(crate) fn code(&self) -> String {
        let runs = self.text.split(|letter: char| !letter.is_ascii_digit());
        runs.max_by_key(|run| run.len()).unwrap_or_default().to_owned()
    }
}

/// Codes have at least as many.
const CODE_DIGITS_MIN: usize = 6;

impl Call {
    /// The digits that were read out one by one, if they were.
    pub(crate) fn code(&self) -> Option<String> {
        let spoken = |line: &&str| line.chars().all(|letter| letter.is_ascii_digit() || letter == ' ');
        let digits = |line: &str| line.chars().filter(char::is_ascii_digit).collect::<String>();
        let codes = self.transcript.lines().filter(spoken).map(digits);
        codes.into_iter().find(|code| code.len() >= CODE_DIGITS_MIN)
    }
}
