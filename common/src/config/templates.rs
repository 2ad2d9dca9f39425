//! Templates of the operator's own: `[template.NAME]` and `[template.NAME.payment]`, each locale as text or by file.
//!
//! Here they are only read; what makes a good template is `text::templates`, asked before anything starts.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::message::Locale;

/// Far more than a template may hold: a file that is longer is another file.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// What one name says, for logins and signups and for payments, in each locale.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "TemplateText")]
pub struct TemplateSettings {
    pub bodies: BTreeMap<(Use, Locale), String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    Plain,
    Payment,
}

impl TemplateSettings {
    /// Of the entry below `[template.NAME]` that says this.
    pub const fn key(of: Use, locale: Locale) -> &'static str {
        match (of, locale) {
            (Use::Plain, Locale::Ja) => "ja",
            (Use::Plain, Locale::En) => "en",
            (Use::Payment, Locale::Ja) => "payment.ja",
            (Use::Payment, Locale::En) => "payment.en",
        }
    }
}

/// What the file of settings says, before the templates' own files are read.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TemplateText {
    ja: Option<String>,
    ja_file: Option<PathBuf>,
    en: Option<String>,
    en_file: Option<PathBuf>,
    payment: PaymentText,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PaymentText {
    ja: Option<String>,
    ja_file: Option<PathBuf>,
    en: Option<String>,
    en_file: Option<PathBuf>,
}

impl TryFrom<TemplateText> for TemplateSettings {
    type Error = String;
    fn try_from(text: TemplateText) -> Result<Self, String> {
        let TemplateText { ja, ja_file, en, en_file, payment } = text;
        let mut bodies = BTreeMap::new();
        for (of, locale, body, file) in [
            (Use::Plain, Locale::Ja, ja, ja_file),
            (Use::Plain, Locale::En, en, en_file),
            (Use::Payment, Locale::Ja, payment.ja, payment.ja_file),
            (Use::Payment, Locale::En, payment.en, payment.en_file),
        ] {
            let key = Self::key(of, locale);
            let body = match (body, file) {
                (Some(_), Some(_)) => return Err(format!("has `{key}` and `{key}_file`; keep one")),
                (Some(body), None) => body,
                (None, Some(file)) => read(&file).map_err(|why| format!("{key}_file {}: {why}", file.display()))?,
                (None, None) => continue,
            };
            bodies.insert((of, locale), body);
        }
        if bodies.is_empty() {
            return Err("says nothing; give it `ja`, `en`, `ja_file` or `en_file`".to_owned());
        }
        Ok(Self { bodies })
    }
}

fn read(file: &PathBuf) -> Result<String, String> {
    let length = std::fs::metadata(file).map_err(|error| error.to_string())?.len();
    if length > FILE_BYTES_MAX {
        return Err(format!("is {length} bytes long; a template has at most {FILE_BYTES_MAX}"));
    }
    std::fs::read_to_string(file).map_err(|error| error.to_string())
}
