//! Which keys could not be read, told or missing. What stands there in the settings is made up, so no check may blame it, nor
//! blame another key for not fitting to it.

/// As people write them: `route[2].rank`; a whole table, such as `plan.JP`, where nothing of it could be read.
#[derive(Clone, Debug, Default)]
pub(super) struct Unread(Vec<String>);

impl Unread {
    pub(super) fn add(&mut self, key: impl Into<String>) {
        self.0.push(key.into());
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the key, or a table around it, could not be read.
    pub(super) fn covers(&self, key: &str) -> bool {
        self.0.iter().any(|unread| is_within(key, unread))
    }

    /// As `covers`, or something below it.
    pub(super) fn touches(&self, key: &str) -> bool {
        self.covers(key) || self.0.iter().any(|unread| is_within(unread, key))
    }

    /// Whether the list lacks an entry, or one of these fields of any of its entries.
    pub(super) fn lacks(&self, list: &str, fields: &[&str]) -> bool {
        self.0.iter().any(|unread| {
            let mut parts = unread.split(['.', '[', ']']).filter(|part| !part.is_empty());
            parts.next() == Some(list) && parts.nth(1).is_none_or(|field| fields.contains(&field))
        })
    }
}

fn is_within(key: &str, table: &str) -> bool {
    key.strip_prefix(table).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
