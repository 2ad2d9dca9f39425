//! Bodies are read strictly: a field unknown, given twice, or of the wrong form is an error that names it by its path.
//!
//! JSON becomes a small tree that keeps every entry; the tree is then the deserializer of the types in `body`, with an
//! error type of its own, so that nobody has to guess a cause from the words of another library. What the values may
//! be is `request`.

use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

/// Reads one body into its type.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ReadError> {
    let tree: Json = serde_json::from_slice(bytes)
        .map_err(|error| ReadError::NotJson { line: error.line(), column: error.column() })?;
    T::deserialize(tree).map_err(ReadError::Field)
}

/// A body that says by one of its own fields which type it has: that field, read, and the rest.
pub fn read_by<K: DeserializeOwned>(bytes: &[u8], field: &str) -> Result<(K, Rest), ReadError> {
    let tree: Json = serde_json::from_slice(bytes)
        .map_err(|error| ReadError::NotJson { line: error.line(), column: error.column() })?;
    let Json::Object(entries) = tree else {
        return Err(ReadError::Field(de::Error::custom("a JSON object")));
    };
    let (mut named, rest): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(name, _)| name == field);
    let fault = match (named.pop(), named.is_empty()) {
        (Some((_, kind)), true) => {
            let kind = K::deserialize(kind).map_err(|error| ReadError::Field(error.within(field)))?;
            return Ok((kind, Rest(Json::Object(rest))));
        }
        (Some(_), false) => Fault::Twice,
        (None, _) => Fault::Missing,
    };
    Err(ReadError::Field(FieldError::new(field, fault)))
}

/// What is left of a body once its type is known.
pub struct Rest(Json);

impl Rest {
    pub fn read<T: DeserializeOwned>(self) -> Result<T, ReadError> {
        T::deserialize(self.0).map_err(ReadError::Field)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("the body is not JSON: it breaks at line {line}, column {column}")]
    NotJson { line: usize, column: usize },
    #[error(transparent)]
    Field(FieldError),
}

/// What is wrong with one field. Values are not repeated: they may be personal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Outermost name first, joined by dots; empty for the body itself.
    pub path: String,
    pub fault: Fault,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    Unknown { known: String },
    Missing,
    Twice,
    Invalid { expected: String },
}

impl FieldError {
    pub fn new(path: &str, fault: Fault) -> Self {
        Self { path: path.to_owned(), fault }
    }

    fn within(mut self, outer: &str) -> Self {
        self.path = if self.path.is_empty() { outer.to_owned() } else { format!("{outer}.{}", self.path) };
        self
    }
}

impl std::error::Error for FieldError {}

impl std::fmt::Display for FieldError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = if self.path.is_empty() { "the body".to_owned() } else { format!("`{}`", self.path) };
        match &self.fault {
            Fault::Unknown { known } if known.is_empty() => write!(f, "{name} is not a field here: no field is"),
            Fault::Unknown { known } => write!(f, "{name} is not a field here: known are {known}"),
            Fault::Missing => write!(f, "{name} is needed: add it to the body"),
            Fault::Twice => write!(f, "{name} is given twice: give it once"),
            Fault::Invalid { expected } => write!(f, "{name} must be {expected}"),
        }
    }
}

impl de::Error for FieldError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self::new("", Fault::Invalid { expected: message.to_string() })
    }

    fn invalid_type(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(plain(&expected.to_string()))
    }

    fn invalid_value(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(plain(&expected.to_string()))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format_args!("one of {}", listed(expected)))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(&shown(field), Fault::Unknown { known: listed(expected) })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(field, Fault::Missing)
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new(field, Fault::Twice)
    }
}

/// Longest field name that an error repeats, characters.
const NAME_CHARS_MAX: usize = 64;

/// A caller's field name, fit to be shown.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect()
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The words of Rust's types, said for people who write JSON.
fn plain(expected: &str) -> String {
    match expected {
        "u8" | "u16" | "u32" | "u64" => "a whole number, not negative".to_owned(),
        "a boolean" => "true or false".to_owned(),
        _ if expected.starts_with("struct") || expected == "a map" => "a JSON object".to_owned(),
        _ if expected.starts_with("enum") => "one of its words, as text".to_owned(),
        _ => expected.to_owned(),
    }
}

/// One JSON value. Objects keep their entries as they came, also those given twice.
enum Json {
    Null,
    Bool(bool),
    Whole(u64),
    /// Negative, fractional or too large: no field takes one.
    OtherNumber(f64),
    Text(String),
    List,
    Object(Vec<(String, Json)>),
}

impl<'de> de::Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Tree)
    }
}

struct Tree;

impl<'de> Visitor<'de> for Tree {
    type Value = Json;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Whole(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(u64::try_from(value).map_or(Json::OtherNumber(-1.0), Json::Whole))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::OtherNumber(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(value))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        while items.next_element::<Json>()?.is_some() {}
        Ok(Json::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut fields = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            fields.push(entry);
        }
        Ok(Json::Object(fields))
    }
}

impl<'de> Deserializer<'de> for Json {
    type Error = FieldError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        match self {
            Self::Null => visitor.visit_unit(),
            Self::Bool(value) => visitor.visit_bool(value),
            Self::Whole(value) => visitor.visit_u64(value),
            Self::OtherNumber(value) => visitor.visit_f64(value),
            Self::Text(value) => visitor.visit_string(fit(value)?),
            Self::List => Err(de::Error::invalid_type(de::Unexpected::Seq, &visitor)),
            Self::Object(fields) => visitor.visit_map(Entries::new(fields)?),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        match self {
            Self::Null => visitor.visit_none(),
            Self::Bool(_) | Self::Whole(_) | Self::OtherNumber(_) | Self::Text(_) | Self::List | Self::Object(_) => {
                visitor.visit_some(self)
            }
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        let Self::Text(word) = self else {
            return Err(de::Error::custom(format_args!("one of {}", listed(variants))));
        };
        let deserializer: de::value::StringDeserializer<FieldError> = word.into_deserializer();
        deserializer.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf
        unit unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// No text of a request holds a NUL or another control character; line breaks, of either kind, are for those that may have
/// lines.
fn fit(mut text: String) -> Result<String, FieldError> {
    if text.contains("\r\n") {
        text = text.replace("\r\n", "\n");
    }
    if text.chars().any(|c| c.is_control() && c != '\n') {
        return Err(de::Error::custom("text without control characters"));
    }
    Ok(text)
}

struct Entries {
    fields: std::vec::IntoIter<(String, Json)>,
    value: Option<(String, Json)>,
}

impl Entries {
    fn new(fields: Vec<(String, Json)>) -> Result<Self, FieldError> {
        let mut seen = std::collections::BTreeSet::new();
        if let Some((twice, _)) = fields.iter().find(|(name, _)| !seen.insert(name.as_str())) {
            return Err(FieldError::new(&shown(twice), Fault::Twice));
        }
        Ok(Self { fields: fields.into_iter(), value: None })
    }
}

impl<'de> MapAccess<'de> for Entries {
    type Error = FieldError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, FieldError> {
        let Some((name, value)) = self.fields.next() else { return Ok(None) };
        let key = seed.deserialize(Json::Text(name.clone())).map_err(|error| named(error, &name))?;
        self.value = Some((name, value));
        Ok(Some(key))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, FieldError> {
        let (name, value) = self.value.take().expect("a value is asked for after its key");
        seed.deserialize(value).map_err(|error| error.within(&shown(&name)))
    }
}

/// An error about a name itself, such as a control character in it, carries that name.
fn named(error: FieldError, name: &str) -> FieldError {
    if error.path.is_empty() { error.within(&shown(name)) } else { error }
}

#[cfg(test)]
mod tests;
