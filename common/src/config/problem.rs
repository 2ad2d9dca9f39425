//! What is wrong with the settings, for the person who wrote them: the key, its value, and what would be right.

use std::fmt::Display;

use figment::error::{Actual, Kind};

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
        Self { key: key.into(), value: Some(value.to_string()), remedy: remedy.into() }
    }

    pub fn missing(key: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { key: key.into(), value: None, remedy: remedy.into() }
    }

    /// What the reader of one section said. `section` is its key.
    pub(super) fn of_figment(section: &str, error: &figment::Error) -> Self {
        let mut key = section.to_owned();
        for part in &error.path {
            key = if part.parse::<usize>().is_ok() { format!("{key}[{part}]") } else { format!("{key}.{part}") };
        }
        // The URLs of the servers hold passwords.
        let is_secret = key.contains("secret") || key.starts_with("amqp.url") || key.starts_with("postgres.url");
        let seen = |actual: &Actual| if is_secret { None } else { Some(words(actual)) };
        match &error.kind {
            Kind::MissingField(name) => Self::missing(format!("{key}.{name}"), "is missing; set it"),
            Kind::UnknownField(_, known) => {
                Self::missing(key, format!("is not a setting; known here: {}", known.join(", ")))
            }
            Kind::UnknownVariant(name, known) => Self::new(key, &format!("{name:?}"), one_of(known)),
            Kind::InvalidType(actual, expected) | Kind::InvalidValue(actual, expected) => {
                Self { value: seen(actual), remedy: format!("must be {}", wanted(expected)), key }
            }
            Kind::Message(said) => Self::missing(key, said.clone()),
            Kind::InvalidLength(..)
            | Kind::DuplicateField(_)
            | Kind::ISizeOutOfRange(_)
            | Kind::USizeOutOfRange(_)
            | Kind::Unsupported(_)
            | Kind::UnsupportedKey(..) => Self::missing(key, error.kind.to_string()),
        }
    }
}

/// The value as it was written, where it is short.
fn words(actual: &Actual) -> String {
    match actual {
        Actual::Bool(value) => value.to_string(),
        Actual::Unsigned(value) => value.to_string(),
        Actual::Signed(value) => value.to_string(),
        Actual::Float(value) => value.to_string(),
        Actual::Char(value) => format!("{value:?}"),
        Actual::Str(value) => format!("{value:?}"),
        Actual::Bytes(_)
        | Actual::Unit
        | Actual::Option
        | Actual::NewtypeStruct
        | Actual::Seq
        | Actual::Map
        | Actual::Enum
        | Actual::UnitVariant
        | Actual::NewtypeVariant
        | Actual::TupleVariant
        | Actual::StructVariant
        | Actual::Other(_) => actual.to_string(),
    }
}

/// Rust's names of types say little to an operator.
fn wanted(expected: &str) -> &str {
    match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "a string" => "a text in quotes",
        "a boolean" => "true or false",
        other => other,
    }
}

fn one_of(known: &[&str]) -> String {
    format!("must be one of {}", known.join(", "))
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
