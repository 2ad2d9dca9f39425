//! Reads one table as far as it goes. Serde stops at the first key that is wrong; here that key is noted and taken out, and
//! the table is read again, so that all of them are named at once.
//!
//! A key that must be there is then made up, which lets the rest be read and checked. Whatever is made up is among the unread
//! keys, and settings with any of those are refused.

use std::collections::BTreeSet;

use figment::error::Kind;
use figment::value::{Dict, Value};
use serde::de::DeserializeOwned;

use super::problem::{Problem, section_of};
use super::unread::Unread;

/// Rounds beyond one for each value that is there: each key that is made up can cost two.
const ROUNDS_MADE_UP_MAX: usize = 32;

/// The keys of a section that say one thing in several forms. The section as a whole judges them; the first form, with this
/// value, stands in for those that it refuses.
const FORMS: [(&str, &[&str], &str); 4] = [
    ("provider", &["secret", "secret_file"], "unread"),
    ("template", &["en", "en_file", "ja", "ja_file", "payment"], "{code}"),
    ("amqp", &["url", "urls", "url_file"], "amqp://unread@localhost"),
    ("postgres", &["url", "url_file"], "postgres://unread@localhost/unread"),
];

/// The names of keys and the numbers of entries that lead to a value.
type Path = Vec<String>;

/// `section` is the key of the table. `None` where nothing of it can be read; what is wrong is told in any case.
pub(super) fn read<T: DeserializeOwned>(
    section: &str,
    written: &Value,
    problems: &mut Vec<Problem>,
    unread: &mut Unread,
) -> Option<T> {
    let mut table = Table { section, written, left: written.clone(), taken: Vec::new(), made_up: BTreeSet::new() };
    for _ in 0..values(written) + ROUNDS_MADE_UP_MAX {
        let error = match table.left.deserialize() {
            Ok(read) => {
                table.taken.iter().for_each(|path| unread.add(Problem::key_of(section, path)));
                return Some(read);
            }
            Err(error) => error,
        };
        problems.extend(table.told(&error));
        if !table.go_on(&error) {
            break;
        }
    }
    unread.add(section);
    None
}

struct Table<'a> {
    section: &'a str,
    written: &'a Value,
    /// Without what was taken out, and with what was made up.
    left: Value,
    /// What was wrong or missing, by where it was written.
    taken: Vec<Path>,
    /// Each is made up once; the empty path is that of the forms.
    made_up: BTreeSet<Path>,
}

impl Table<'_> {
    /// Nothing where the error only follows from what was taken out.
    fn told(&self, error: &figment::Error) -> Option<Problem> {
        let path = self.as_written(&path(error));
        let follows = if path.is_empty() {
            let forms = self.forms().map_or::<&[&str], _>(&[], |(forms, _)| forms);
            self.taken.iter().any(|taken| taken.first().is_some_and(|key| forms.contains(&key.as_str())))
        } else {
            self.taken.iter().any(|taken| taken.starts_with(&path))
        };
        (!follows).then(|| Problem::of_kind(self.section, &path, at(self.written, &path), &error.kind))
    }

    /// Takes out what is wrong, or makes up what is missing. `false` where neither helps.
    fn go_on(&mut self, error: &figment::Error) -> bool {
        let path = path(error);
        let Some(name) = path.last() else { return self.make_up_forms() };
        self.taken.push(self.as_written(&path));
        if !matches!(error.kind, Kind::MissingField(_)) {
            return take_out(&mut self.left, &path);
        }
        match (made_up(name), at_mut(&mut self.left, &error.path)) {
            (Some(value), Some(Value::Dict(_, table))) if !self.made_up.contains(&path) => {
                table.insert(name.clone(), value);
                self.made_up.insert(path)
            }
            _ => false,
        }
    }

    fn forms(&self) -> Option<(&'static [&'static str], &'static str)> {
        let section = section_of(self.section);
        FORMS.iter().find(|(of, ..)| *of == section).map(|(_, forms, value)| (*forms, *value))
    }

    fn make_up_forms(&mut self) -> bool {
        let (Some((forms, value)), true) = (self.forms(), self.made_up.insert(Path::new())) else { return false };
        let Value::Dict(_, table) = &mut self.left else { return false };
        table.retain(|key, _| !forms.contains(&key.as_str()));
        table.insert(forms[0].to_owned(), value.into());
        self.taken.push(vec![forms[0].to_owned()]);
        true
    }

    /// Entries move up when one before them is taken out of their list.
    fn as_written(&self, path: &[String]) -> Path {
        path.iter().fold(Path::new(), |mut written, part| {
            let is_list = matches!(at(self.written, &written), Some(Value::Array(..)));
            let part = match part.parse() {
                Ok(index) if is_list => self.index_as_written(&written, index).to_string(),
                Ok(_) | Err(_) => part.clone(),
            };
            written.push(part);
            written
        })
    }

    fn index_as_written(&self, list: &[String], index: usize) -> usize {
        let of_list = |taken: &Path| {
            let (last, parents) = taken.split_last()?;
            if parents == list { last.parse::<usize>().ok() } else { None }
        };
        let gone: BTreeSet<usize> = self.taken.iter().filter_map(of_list).collect();
        gone.iter().fold(index, |index, gone| if *gone <= index { index + 1 } else { index })
    }
}

/// For each key that some table must have, a value that it takes.
fn made_up(key: &str) -> Option<Value> {
    Some(match key {
        "id" => "unread".into(),
        "provider" => "unread-provider".into(),
        "active" | "sender" => "unread".into(),
        "roots" => Dict::new().into(),
        "kind" => "smslink".into(),
        "base_url" => "https://unread.invalid".into(),
        "country" => "JP".into(),
        "class" => "domestic".into(),
        "channel" => "sms".into(),
        "rank" => 1_u32.into(),
        "receipt" => "handset".into(),
        _ => return None,
    })
}

/// A missing key is named beside the path of its table.
fn path(error: &figment::Error) -> Path {
    let mut path = error.path.clone();
    if let Kind::MissingField(name) = &error.kind {
        path.push(name.to_string());
    }
    path
}

fn values(value: &Value) -> usize {
    match value {
        Value::Dict(_, table) => 1 + table.values().map(values).sum::<usize>(),
        Value::Array(_, entries) => 1 + entries.iter().map(values).sum::<usize>(),
        Value::String(..) | Value::Char(..) | Value::Bool(..) | Value::Num(..) | Value::Empty(..) => 1,
    }
}

fn at<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, part| match value {
        Value::Dict(_, table) => table.get(part),
        Value::Array(_, entries) => entries.get(part.parse::<usize>().ok()?),
        Value::String(..) | Value::Char(..) | Value::Bool(..) | Value::Num(..) | Value::Empty(..) => None,
    })
}

fn at_mut<'a>(value: &'a mut Value, path: &[String]) -> Option<&'a mut Value> {
    path.iter().try_fold(value, |value, part| match value {
        Value::Dict(_, table) => table.get_mut(part),
        Value::Array(_, entries) => entries.get_mut(part.parse::<usize>().ok()?),
        Value::String(..) | Value::Char(..) | Value::Bool(..) | Value::Num(..) | Value::Empty(..) => None,
    })
}

/// Whether it was there.
fn take_out(value: &mut Value, path: &[String]) -> bool {
    let Some((last, parents)) = path.split_last() else { return false };
    match (at_mut(value, parents), last.parse::<usize>()) {
        (Some(Value::Dict(_, table)), _) => table.remove(last).is_some(),
        (Some(Value::Array(_, entries)), Ok(index)) if index < entries.len() => {
            entries.remove(index);
            true
        }
        (_, _) => false,
    }
}
