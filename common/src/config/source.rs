//! Where settings come from: the file, and the variables over it. Read section by section, so that one wrong section
//! does not hide the next.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use figment::error::Kind;
use figment::providers::{Format, Serialized, Toml};
use figment::value::{Dict, Value};
use figment::{Figment, Profile};
use serde::de::DeserializeOwned;

use super::problem::{Problem, Problems};
use super::servers::{Amqp, Postgres};
use super::unread::Unread;
use super::{
    CarriersSettings, CodesSettings, PlanSettings, ROOT_BYTES_MIN, Root, SealSettings, Settings, TemplateSettings,
    UpSettings, check, table,
};
use crate::message::Kid;

const PUBLIC_URL_REMEDY: &str = "set where providers reach us: https://otp.example.com";
const PREFIX: &str = "OTODOKE_";
/// Variables with our prefix that are no settings.
const NO_SETTINGS: [&str; 10] = [
    "config",
    "url",
    "api_key",
    "data",
    "log",
    "log_format",
    "threads",
    "management_url",
    "bench_amqp_url",
    "bench_postgres_url",
];

/// The file and the variables of one process.
#[derive(Clone, Debug, Default)]
pub struct Source {
    pub file: Option<PathBuf>,
    /// Names and values; those without our prefix are ignored.
    pub variables: Vec<(String, String)>,
}

impl Source {
    /// `file` with the variables of this process. Values that are no Unicode are left out.
    pub fn of_process(file: Option<&Path>) -> Self {
        let text = |raw: std::ffi::OsString| raw.into_string().ok();
        let variables = std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect();
        Self { file: file.map(Path::to_owned), variables }
    }

    /// Reads and checks everything.
    pub fn read(&self) -> Result<Settings, Problems> {
        let mut sections = self.sections()?;
        let settings = sections.settings();
        sections.leftovers();
        let misfits = check::problems(&settings, &sections.unread);
        sections.problems.extend(misfits);
        if sections.are_good() { Ok(settings) } else { Err(self.told(sections.problems)) }
    }

    /// Only the carriers and where they reach us: for whoever stands in for carriers, and may hold no other secret.
    pub fn read_carriers(&self) -> Result<CarriersSettings, Problems> {
        let mut sections = self.sections()?;
        let public_url = sections.needed::<String>("public_url", PUBLIC_URL_REMEDY);
        let providers = sections.list("provider");
        match public_url {
            Some(public_url) if sections.are_good() => {
                Ok(CarriersSettings { public_url: public_url.trim_end_matches('/').to_owned(), providers })
            }
            Some(_) | None => Err(self.told(sections.problems)),
        }
    }

    /// What `otodoke up` takes from its settings: everything else it brings itself.
    pub fn read_for_up(&self) -> Result<UpSettings, Problems> {
        let mut sections = self.sections()?;
        let (tenants, templates) = (sections.table("tenant"), sections.templates());
        let providers = sections.list("provider");
        let unused = sections.tree.keys().cloned().collect();
        if sections.are_good() {
            Ok(UpSettings { tenants, templates, providers, unused })
        } else {
            Err(self.told(sections.problems))
        }
    }

    /// Who looks for a wrong key in the file does not find what a variable said.
    fn told(&self, mut problems: Vec<Problem>) -> Problems {
        for problem in &mut problems {
            let says = |name: &&String| {
                let rest = key_of(name).and_then(|key| problem.key.strip_prefix(&key).map(str::to_owned));
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            };
            if let Some(name) = self.variables.iter().map(|(name, _)| name).find(says) {
                problem.remedy = format!("{}; the variable {name} says it", problem.remedy);
            }
        }
        Problems(problems)
    }

    fn sections(&self) -> Result<Sections, Problems> {
        let tree =
            self.tree().map_err(|error| Problems(error.into_iter().map(|each| self.unreadable(&each)).collect()))?;
        Ok(Sections { tree, problems: Vec::new(), unread: Unread::default() })
    }

    fn tree(&self) -> Result<Dict, Box<figment::Error>> {
        let mut file = match &self.file {
            Some(file) => Figment::from(Toml::file_exact(file)).extract::<Dict>()?,
            None => Dict::new(),
        };
        let variables = || self.variables.iter().filter_map(|(name, value)| Some((key_of(name)?, value)));
        for (key, _) in variables() {
            other_forms(&key).iter().for_each(|other| remove(&mut file, other));
        }
        let mut figment = Figment::from(Serialized::from(file, Profile::Default));
        for (key, value) in variables() {
            let value: Value = value.parse().unwrap_or_else(|never| match never {});
            figment = figment.merge(Serialized::from(figment::util::nest(&key, value), Profile::Default));
        }
        Ok(figment.extract()?)
    }

    fn unreadable(&self, error: &figment::Error) -> Problem {
        let file = self.file.as_ref().map_or_else(String::new, |file| file.display().to_string());
        Problem::new("--config", &file, error.kind.to_string())
    }
}

/// `OTODOKE_PLAN__JP__VOICE` -> `plan.JP.voice`: countries are capitals, every other key is small.
fn key_of(variable: &str) -> Option<String> {
    let name = variable.strip_prefix(PREFIX)?.to_ascii_lowercase();
    if NO_SETTINGS.contains(&name.as_str()) {
        return None;
    }
    let mut parts: Vec<String> = name.split("__").map(str::to_owned).collect();
    if let [section, country, ..] = parts.as_mut_slice()
        && section == "plan"
    {
        country.make_ascii_uppercase();
    }
    Some(parts.join("."))
}

/// The other keys that say the same: of `amqp.url` those are `amqp.url_file` and `amqp.urls`.
fn other_forms(key: &str) -> Vec<String> {
    const FORMS: [&[&str]; 3] = [&["url", "urls", "url_file"], &["ja", "ja_file"], &["en", "en_file"]];
    let Some((section, form)) = key.rsplit_once('.') else { return Vec::new() };
    let alike = FORMS.iter().filter(|forms| forms.contains(&form)).copied().flatten();
    alike.filter(|other| **other != form).map(|other| format!("{section}.{other}")).collect()
}

fn remove(dict: &mut Dict, key: &str) {
    match key.split_once('.') {
        None => drop(dict.remove(key)),
        Some((section, rest)) => {
            if let Some(Value::Dict(_, inner)) = dict.get_mut(section) {
                remove(inner, rest);
            }
        }
    }
}

/// Whether it is a good name is for `text::templates` to say.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct TemplateName(String);

impl FromStr for TemplateName {
    type Err = String;
    fn from_str(raw: &str) -> Result<Self, String> {
        Ok(Self(raw.to_owned()))
    }
}

/// What is left to read, and what was wrong so far.
struct Sections {
    tree: Dict,
    problems: Vec<Problem>,
    unread: Unread,
}

impl Sections {
    /// What was made up is never believed.
    const fn are_good(&self) -> bool {
        self.problems.is_empty() && self.unread.is_empty()
    }

    /// To be checked in any case, but believed only where nothing is unread: what is missing or unreadable is made up.
    fn settings(&mut self) -> Settings {
        let public_url = self.needed::<String>("public_url", PUBLIC_URL_REMEDY);
        let codes = self.needed::<CodesSettings>("codes", "name the active kid and the files of the roots");
        let seal = self.needed::<SealSettings>("seal", "set seal.root_file");
        let listen = self.optional("listen").unwrap_or_else(|| ([127, 0, 0, 1], 8080).into());
        let plans: BTreeMap<_, PlanSettings> = self.table("plan");
        let (tenants, providers, routes) = (self.table("tenant"), self.list("provider"), self.list("route"));
        let templates = self.templates();
        let (policy, lanes) = (self.optional("policy").unwrap_or_default(), self.optional("lanes").unwrap_or_default());
        let (amqp, postgres) = (self.optional::<Amqp>("amqp"), self.optional::<Postgres>("postgres"));
        Settings {
            public_url: public_url.unwrap_or_default().trim_end_matches('/').to_owned(),
            listen,
            codes: codes.unwrap_or_else(made_up_codes),
            seal: seal.unwrap_or_else(made_up_seal),
            tenants,
            templates,
            providers,
            routes,
            plans: plans.into_iter().map(|(country, plan)| (country, plan.into())).collect(),
            policy,
            lanes,
            amqp: amqp.map(|Amqp(amqp)| amqp),
            postgres: postgres.map(|Postgres(postgres)| postgres),
        }
    }

    fn templates(&mut self) -> BTreeMap<String, TemplateSettings> {
        self.table::<TemplateName, _>("template").into_iter().map(|(name, each)| (name.0, each)).collect()
    }

    fn needed<T: DeserializeOwned>(&mut self, key: &str, remedy: &str) -> Option<T> {
        if !self.tree.contains_key(key) {
            self.problems.push(Problem::missing(key, format!("is missing; {remedy}")));
            self.unread.add(key);
        }
        self.optional(key)
    }

    fn optional<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        let value = self.tree.remove(key)?;
        self.one(key, &value)
    }

    fn list<T: DeserializeOwned>(&mut self, key: &str) -> Vec<T> {
        let entries = self.optional::<Vec<Value>>(key).unwrap_or_default();
        entries.iter().enumerate().filter_map(|(index, value)| self.one(&format!("{key}[{index}]"), value)).collect()
    }

    fn table<K: FromStr<Err = String> + Ord, T: DeserializeOwned>(&mut self, key: &str) -> BTreeMap<K, T> {
        let mut table = BTreeMap::new();
        for (name, value) in self.optional::<Dict>(key).unwrap_or_default() {
            let path = format!("{key}.{name}");
            match name.parse::<K>() {
                Ok(name) => table.extend(self.one(&path, &value).map(|value| (name, value))),
                Err(remedy) => {
                    self.unread.add(&path);
                    self.problems.push(Problem::missing(path, remedy));
                }
            }
        }
        table
    }

    fn one<T: DeserializeOwned>(&mut self, key: &str, value: &Value) -> Option<T> {
        table::read(key, value, &mut self.problems, &mut self.unread)
    }

    /// A section nobody asked for is a typo.
    fn leftovers(&mut self) {
        const KNOWN: [&str; 13] = [
            "public_url",
            "listen",
            "codes",
            "seal",
            "tenant",
            "template",
            "provider",
            "route",
            "plan",
            "policy",
            "lanes",
            "amqp",
            "postgres",
        ];
        let of = |key: &String| Kind::UnknownField(key.clone(), &KNOWN);
        let unknown = self.tree.iter().map(|(key, value)| Problem::of_kind(key, &[], Some(value), &of(key)));
        self.problems.extend(unknown);
    }
}

fn made_up_codes() -> CodesSettings {
    CodesSettings { active: Kid::parse("unread").expect("a good kid"), roots: BTreeMap::new() }
}

fn made_up_seal() -> SealSettings {
    SealSettings { root: Root::new(vec![0; ROOT_BYTES_MIN]).expect("long enough") }
}
