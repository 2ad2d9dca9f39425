//! Which log lines a process writes, and how: `OTODOKE_LOG` and `OTODOKE_LOG_FORMAT`. No part of the file, because lines
//! are written before it is read.

/// Quiet enough for a terminal, and every event of a message.
const FILTER_DEFAULT: &str = "info";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// As `RUST_LOG` is written: `info`, or `otodoke_worker=debug,info`.
    pub filter: String,
    pub format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people, with colours on a terminal.
    Text,
    /// One object a line.
    Json,
}

impl LogSettings {
    /// `filter` is what counts where `OTODOKE_LOG` is not set.
    pub fn of(variables: &[(String, String)], filter: Option<&str>) -> Result<Self, super::Problem> {
        let find = |name: &str| variables.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let format = match find("OTODOKE_LOG_FORMAT") {
            None | Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            Some(other) => return Err(super::Problem::new("OTODOKE_LOG_FORMAT", other, "must be text or json")),
        };
        Ok(Self { filter: find("OTODOKE_LOG").or(filter).unwrap_or(FILTER_DEFAULT).to_owned(), format })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_format_is_refused_by_name() {
        let of = |name: &str, value: &str| LogSettings::of(&[(name.to_owned(), value.to_owned())], Some("warn"));
        let json = LogSettings { filter: "warn".to_owned(), format: LogFormat::Json };
        assert_eq!(of("OTODOKE_LOG_FORMAT", "json"), Ok(json));
        assert_eq!(of("OTODOKE_LOG", "debug").expect("good").filter, "debug");
        let said = of("OTODOKE_LOG_FORMAT", "xml").expect_err("no such format").to_string();
        assert_eq!(said, "OTODOKE_LOG_FORMAT = xml: must be text or json");
    }
}
