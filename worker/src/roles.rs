//! What a worker process does of a worker's work. Any number of processes may have each role.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Takes messages from the lanes and calls providers.
    Deliver,
    /// Hears receipts.
    Status,
    /// Carries what is due, ends what was given up, and tidies up.
    Sweep,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Deliver, Self::Status, Self::Sweep];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Deliver => "deliver",
            Self::Status => "status",
            Self::Sweep => "sweep",
        }
    }
}

/// At least one role, and none without what it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roles(BTreeSet<Role>);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RolesError {
    #[error("{0:?} is no role: use deliver, status and sweep, with commas between them")]
    Unknown(String),
    #[error("no role is named: use deliver, status and sweep, with commas between them")]
    None,
    #[error(
        "role sweep needs role deliver in the same process, because it tells by the legs that this process sent whether \
         a route's receipts are late: use deliver,sweep"
    )]
    SweepAlone,
}

impl Roles {
    pub fn all() -> Self {
        Self(Role::ALL.into())
    }

    pub fn new(roles: impl IntoIterator<Item = Role>) -> Result<Self, RolesError> {
        let roles: BTreeSet<Role> = roles.into_iter().collect();
        if roles.is_empty() {
            return Err(RolesError::None);
        }
        if roles.contains(&Role::Sweep) && !roles.contains(&Role::Deliver) {
            return Err(RolesError::SweepAlone);
        }
        Ok(Self(roles))
    }

    pub fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }
}

/// As one types them: `deliver,status`.
impl FromStr for Roles {
    type Err = RolesError;
    fn from_str(typed: &str) -> Result<Self, RolesError> {
        let of_word = |word: &str| {
            let named = Role::ALL.into_iter().find(|role| role.word() == word);
            named.ok_or_else(|| RolesError::Unknown(word.to_owned()))
        };
        let words = typed.split(',').map(str::trim).filter(|word| !word.is_empty());
        Self::new(words.map(of_word).collect::<Result<Vec<_>, _>>()?)
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.0.iter().map(|role| role.word()).collect();
        f.write_str(&words.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_as_they_are_typed() {
        for (typed, read) in [
            ("deliver,status,sweep", "deliver,status,sweep"),
            ("sweep, deliver", "deliver,sweep"),
            ("status", "status"),
            ("deliver,deliver", "deliver"),
        ] {
            assert_eq!(typed.parse::<Roles>().expect("good roles").to_string(), read, "{typed}");
        }
    }

    #[test]
    fn roles_that_cannot_work_are_refused_with_what_would_be_right() {
        for (typed, error) in [
            ("", RolesError::None),
            ("deliver,serve", RolesError::Unknown("serve".to_owned())),
            ("sweep", RolesError::SweepAlone),
            ("status,sweep", RolesError::SweepAlone),
        ] {
            assert_eq!(typed.parse::<Roles>(), Err(error), "{typed}");
        }
    }
}
