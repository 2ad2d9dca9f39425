//! What is wrong with the settings, for the person who wrote them: the key, its value, and what would be right.

use std::fmt::Display;

use figment::error::Kind;
use figment::value::{Num, Value};

/// One wrong setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// As one would write it: `route[2].rank`, `policy.crash_gap_ms`.
    pub key: String,
    /// Left out where there is none, or where it is a secret.
    pub value: Option<String>,
    /// What would be right.
    pub remedy: String,
}

impl Problem {
    pub fn new(key: impl Into<String>, value: &(impl Display + ?Sized), remedy: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            value: Some(value.to_string()).filter(|text| !may_hold_password(text)),
            remedy: remedy.into(),
        }
    }

    pub fn missing(key: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { key: key.into(), value: None, remedy: remedy.into() }
    }

    /// What the reader of one section said of the value at `path`. `section` is its key.
    pub(super) fn of_kind(section: &str, path: &[String], value: Option<&Value>, kind: &Kind) -> Self {
        let key = Self::key_of(section, path);
        let is_unknown = matches!(kind, Kind::UnknownField(..));
        let is_hidden = |value: &Value| is_secret(section, path) || is_unknown && may_be_misspelt(section, value);
        let value = value.filter(|value| !is_hidden(value));
        let remedy = match kind {
            Kind::MissingField(_) => "is missing; set it".to_owned(),
            Kind::UnknownField(_, known) => format!("is not a setting; known here: {}", known.join(", ")),
            Kind::UnknownVariant(_, known) => format!("must be one of {}", known.join(", ")),
            Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) | Kind::InvalidLength(_, expected) => {
                format!("must be {}", wanted(expected))
            }
            Kind::Message(said) => said.clone(),
            Kind::DuplicateField(_)
            | Kind::ISizeOutOfRange(_)
            | Kind::USizeOutOfRange(_)
            | Kind::Unsupported(_)
            | Kind::UnsupportedKey(..) => kind.to_string(),
        };
        let is_of_wrong_type = matches!(kind, Kind::InvalidType(..));
        let value = value.and_then(|value| if is_of_wrong_type { words_of_kind(value) } else { words(value) });
        Self { key, value, remedy }
    }

    pub(super) fn key_of(section: &str, path: &[String]) -> String {
        path.iter().fold(section.to_owned(), |key, part| {
            if part.parse::<usize>().is_ok() { format!("{key}[{part}]") } else { format!("{key}.{part}") }
        })
    }
}

/// `route[2]` is an entry of the section `route`, `plan.JP` one of `plan`.
pub(super) fn section_of(key: &str) -> &str {
    key.split(['.', '[']).next().unwrap_or(key)
}

/// By its name; and the URLs of the servers hold passwords.
fn is_secret(section: &str, path: &[String]) -> bool {
    const WORDS: [&str; 8] = ["secret", "pass", "pwd", "token", "key", "credential", "auth", "root"];
    let named = |name: &str| WORDS.iter().any(|word| name.to_ascii_lowercase().contains(word));
    let is_named = if path.is_empty() { named(section) } else { path.iter().any(|part| named(part)) };
    let of = |sections: &[&str]| sections.contains(&section_of(section));
    let is_server = of(&["amqp", "postgres"]) && path.first().is_some_and(|name| name.starts_with("url"));
    // A text in place of a table: what should be below its key may be all of it.
    let is_whole = path.is_empty() && of(&["amqp", "postgres", "seal", "codes", "provider"]);
    is_named || is_server || is_whole
}

/// A text whose key nobody knows may be a secret under a misspelt name, except where there are no secrets.
fn may_be_misspelt(section: &str, value: &Value) -> bool {
    const WITHOUT_SECRETS: [&str; 6] = ["tenant", "template", "route", "plan", "policy", "lanes"];
    let is_number = matches!(value, Value::Num(..) | Value::Bool(..));
    !is_number && !WITHOUT_SECRETS.contains(&section_of(section))
}

/// A URL with somebody's name in it.
fn may_hold_password(text: &str) -> bool {
    text.contains("://") && text.contains('@')
}

/// The value as it was written. Not that of a table, which may hold anything.
fn words(value: &Value) -> Option<String> {
    match value {
        Value::String(_, text) if may_hold_password(text) => None,
        Value::String(_, text) => Some(format!("{text:?}")),
        Value::Char(_, value) => Some(format!("{value:?}")),
        Value::Bool(_, value) => Some(value.to_string()),
        Value::Num(_, value) => Some(number(value)),
        Value::Array(_, entries) => {
            let entries = entries.iter().map(words).collect::<Option<Vec<_>>>()?;
            Some(format!("[{}]", entries.join(", ")))
        }
        Value::Dict(..) | Value::Empty(..) => None,
    }
}

/// Where the kind of the value is what is wrong, that of a table says enough.
fn words_of_kind(value: &Value) -> Option<String> {
    if value.as_dict().is_some() { Some("a table".to_owned()) } else { words(value) }
}

fn number(value: &Num) -> String {
    let whole =
        value.to_u128().map(|value| value.to_string()).or_else(|| value.to_i128().map(|value| value.to_string()));
    whole.or_else(|| value.to_f64().map(|value| value.to_string())).unwrap_or_default()
}

/// Rust's names of types say little to an operator.
fn wanted(expected: &str) -> &str {
    match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "a string" => "a text in quotes",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        table if table.starts_with("struct ") => "a table",
        other => other,
    }
}

impl Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{} = {value}: {}", self.key, self.remedy),
            None => write!(f, "{}: {}", self.key, self.remedy),
        }
    }
}

impl std::error::Error for Problem {}

/// Every problem that was found, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Display for Problems {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = self.0.len();
        write!(f, "{count} {} wrong:", if count == 1 { "setting is" } else { "settings are" })?;
        for problem in &self.0 {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
