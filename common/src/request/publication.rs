//! What another program publishes: whose it is, which message it becomes, and what it asks for. Pure; a worker runs it.
//!
//! What cannot be read here is parked with its reason. What can be read and not be done becomes a row that ends.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::body::{CodePurpose, FIELDS, NewText, NewVerification};
use super::opening::Birth;
use super::strict::{self, FieldError, ReadError};
use super::{BODY_BYTES_MAX, CODE_TTL_S_DEFAULT, Request, RequestError, TEXT_TTL_S_DEFAULT};
use crate::broker::{Label, Publisher};
use crate::config::TenantSettings;
use crate::message::{Kid, Kind, Lane, Locale, Message, MessageId, Purpose, State, TenantId, Voice};
use crate::outcome::{Class, Reason};
use crate::phone::{Country, LineType, PhoneError};
use crate::seal::{TagUse, Vault};
use crate::time::Timestamp;
use crate::wire;

/// Of the contract (headers, properties and fields) that publishers keep to.
pub const CONTRACT_VERSION: i64 = 1;
const CONTENT_TYPE: &str = "application/json";
/// What libphonenumber calls the country of a number that has none.
const NO_COUNTRY: &str = "ZZ";

/// Who may publish, by the users of the broker.
#[derive(Clone, Debug, Default)]
pub struct Publishers {
    tenants: BTreeMap<TenantId, TenantSettings>,
    of_users: BTreeMap<String, TenantId>,
}

/// A body whose publisher and id are known; what it says is not read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    pub id: MessageId,
    pub tenant: TenantId,
    pub settings: TenantSettings,
    sent_at: Timestamp,
}

/// What a publication asks for, by its field `kind`.
pub enum Wanted {
    Code(Box<NewVerification>),
    Text(Box<NewText>),
    /// A code or a text with a field that is unknown, missing or of the wrong form.
    Misfit {
        kind: KindWord,
        purpose: Purpose,
        error: FieldError,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KindWord {
    Code,
    Text,
}

/// Why a body is parked. Says what would be right; holds nothing of the body but names of fields.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("its publisher set no `user_id`, so the broker vouches for nobody: set it to the user that is logged in")]
    Nobody,
    #[error("broker user {user:?} is no tenant's: name it in `amqp_users` of a [tenant.NAME]")]
    UnknownUser { user: String },
    #[error("header `otodoke-tenant` is for our own users: {user:?} is one tenant's")]
    NotToName { user: String },
    #[error("header `otodoke-tenant` names {tenant:?}, which has no section [tenant.NAME]")]
    UnknownTenant { tenant: String },
    #[error("tenant {tenant} may not publish in the clear: set `amqp_clear` in [tenant.{tenant}]")]
    NotClear { tenant: TenantId },
    #[error("its header `otodoke-version` is {found}, this program reads {CONTRACT_VERSION}", found = shown(.found))]
    Version { found: Option<i64> },
    #[error("its content type must be {CONTENT_TYPE}")]
    ContentType,
    #[error("its `message_id` must be a UUID: it becomes the id of the message")]
    NoId,
    #[error("its `timestamp` is missing: the message is useful from then on")]
    NoTimestamp,
    #[error("it holds {bytes} bytes where {BODY_BYTES_MAX} are allowed")]
    TooLarge { bytes: usize },
    #[error("it has the form of our own programs' bodies, and was published by another user")]
    Internal,
    #[error("its `message_id` is the id of another message: publish it again with a new UUID")]
    Taken,
    #[error("{0}")]
    Body(ReadError),
}

/// Whatever its parameters say: JSON is UTF-8 (RFC 8259, section 8.1).
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case(CONTENT_TYPE)
}

fn shown(version: &Option<i64>) -> String {
    version.map_or_else(|| "missing, or no whole number".to_owned(), |version| version.to_string())
}

impl Publishers {
    pub fn new(tenants: BTreeMap<TenantId, TenantSettings>) -> Self {
        let users = |(tenant, settings): (&TenantId, &TenantSettings)| {
            settings.amqp_users.iter().map(|user| (user.clone(), tenant.clone())).collect::<Vec<_>>()
        };
        Self { of_users: tenants.iter().flat_map(users).collect(), tenants }
    }

    /// Whose it is and which message: all that is needed to find its row.
    pub fn address(&self, label: &Label) -> Result<Publication, Unreadable> {
        let tenant = self.tenant(label)?;
        let settings = TenantSettings::among(&self.tenants, &tenant).clone();
        if !settings.amqp_clear {
            return Err(Unreadable::NotClear { tenant });
        }
        if label.version != Some(CONTRACT_VERSION) {
            return Err(Unreadable::Version { found: label.version });
        }
        if !label.content_type.as_deref().is_some_and(is_json) {
            return Err(Unreadable::ContentType);
        }
        let id = label.message_id.as_deref().and_then(MessageId::parse).ok_or(Unreadable::NoId)?;
        Ok(Publication { id, tenant, settings, sent_at: label.sent_at.ok_or(Unreadable::NoTimestamp)? })
    }

    fn tenant(&self, label: &Label) -> Result<TenantId, Unreadable> {
        match (&label.publisher, &label.tenant) {
            (Publisher::Nobody, _) => Err(Unreadable::Nobody),
            (Publisher::User(user), Some(_)) => Err(Unreadable::NotToName { user: user.clone() }),
            (Publisher::User(user), None) => {
                self.of_users.get(user).cloned().ok_or_else(|| Unreadable::UnknownUser { user: user.clone() })
            }
            (Publisher::Own, named) => {
                let named = named.clone().unwrap_or_default();
                let tenant = TenantId::parse(&named).ok().filter(|tenant| self.tenants.contains_key(tenant));
                tenant.ok_or(Unreadable::UnknownTenant { tenant: named })
            }
        }
    }
}

impl Publication {
    /// Its birth, where it lives for `useful_ms`: counted from when it was sent, within what its life allows.
    pub fn birth(&self, useful_ms: u64, now: Timestamp) -> Birth {
        let accepted_at = self.sent_at.clamp(now.minus_ms(useful_ms), now);
        Birth { id: self.id, accepted_at, now }
    }

    /// The lane that this purpose has for this tenant, whichever it was published to.
    pub const fn lane(&self, purpose: Purpose) -> Lane {
        self.settings.lane(purpose)
    }

    /// What is known of a message that cannot be one. Nothing personal is kept of it.
    pub fn remains(&self, wanted: &Wanted, vault: &Vault, kid: &Kid, now: Timestamp) -> Message {
        let birth = self.birth(wanted.useful_ms(), now);
        let purpose = wanted.purpose();
        Message {
            id: self.id,
            tenant: self.tenant.clone(),
            purpose,
            lane: self.lane(purpose),
            kind: wanted.kind(kid),
            locale: wanted.locale(),
            country: Country::parse(NO_COUNTRY).expect("two capitals"),
            line: LineType::Unknown,
            voice: Voice::Never,
            accepted_at: birth.accepted_at,
            useful_until: birth.accepted_at.plus_ms(wanted.useful_ms()),
            sealed: None,
            // Of no number: nobody is found by it.
            number_tag: vault.tag(TagUse::NoNumber, &[self.id.bytes()]),
            state: State::Queued,
            legs: Vec::new(),
            guesses_left: 0,
            guesses_open: 0,
            guess_paid_at: None,
            lines_beside: 0,
            resends: 0,
            last_resend_at: None,
            verified: None,
            due: None,
            version: 0,
            stamp: 0,
        }
    }
}

impl Wanted {
    pub fn read(body: &[u8]) -> Result<Self, Unreadable> {
        if body.len() > BODY_BYTES_MAX {
            return Err(Unreadable::TooLarge { bytes: body.len() });
        }
        if wire::lane_message_id(body).is_some() || wire::decode_reports(body).is_ok() {
            return Err(Unreadable::Internal);
        }
        let (kind, rest) = strict::read_by(body, "kind").map_err(Unreadable::Body)?;
        let wanted = match kind {
            KindWord::Code => rest.read().map(|code| Self::Code(Box::new(code))),
            KindWord::Text => rest.read().map(|text| Self::Text(Box::new(text))),
        };
        match wanted {
            Err(ReadError::Field(error)) => {
                Ok(Self::Misfit { kind, purpose: purpose_said(kind, body), error: kept(error) })
            }
            read => read.map_err(Unreadable::Body),
        }
    }

    /// The same as at the door.
    pub fn request(&self) -> Result<Request, RequestError> {
        match self {
            Self::Code(code) => Request::of_code(code.as_ref().clone()),
            Self::Text(text) => Request::of_text(text.as_ref().clone()),
            Self::Misfit { error, .. } => Err(ReadError::Field(error.clone()).into()),
        }
    }

    pub fn purpose(&self) -> Purpose {
        match self {
            Self::Code(code) => code.purpose.into(),
            Self::Text(_) => Purpose::Notice,
            Self::Misfit { purpose, .. } => *purpose,
        }
    }

    const fn kind_word(&self) -> KindWord {
        match self {
            Self::Code(_) => KindWord::Code,
            Self::Text(_) => KindWord::Text,
            Self::Misfit { kind, .. } => *kind,
        }
    }

    /// As usual: what it says itself may be what is wrong with it.
    const fn useful_ms(&self) -> u64 {
        match self.kind_word() {
            KindWord::Code => CODE_TTL_S_DEFAULT * 1_000,
            KindWord::Text => TEXT_TTL_S_DEFAULT * 1_000,
        }
    }

    fn kind(&self, kid: &Kid) -> Kind {
        match self.kind_word() {
            KindWord::Code => Kind::Code { length: 6, kid: kid.clone(), template: "default".to_owned(), domain: None },
            KindWord::Text => Kind::Text,
        }
    }

    fn locale(&self) -> Locale {
        let said = match self {
            Self::Code(code) => code.locale,
            Self::Text(text) => text.locale,
            Self::Misfit { .. } => None,
        };
        said.unwrap_or(Locale::En)
    }
}

/// Of a body that does not fit; where it says none, the purpose that most have.
fn purpose_said(kind: KindWord, body: &[u8]) -> Purpose {
    match kind {
        KindWord::Code => {
            strict::read_by::<CodePurpose>(body, "purpose").map_or(Purpose::Login, |(said, _)| said.into())
        }
        KindWord::Text => Purpose::Notice,
    }
}

/// What a journal keeps of it: names of fields, and none that a publisher made up, for those may be personal.
fn kept(error: FieldError) -> FieldError {
    let mut path = Vec::new();
    for name in error.path.split('.').take_while(|name| FIELDS.contains(name)) {
        path.push(name);
        if name == "metadata" {
            break;
        }
    }
    FieldError { path: path.join("."), fault: error.fault }
}

/// The reason of a message that ends because of this.
pub const fn reason(error: &RequestError) -> Reason {
    match error {
        RequestError::Phone(PhoneError::Refused { .. }) | RequestError::UnreachableLine => {
            Reason::Leg(Class::NotSmsCapable)
        }
        RequestError::Phone(PhoneError::Invalid | PhoneError::RegionNeeded | PhoneError::RegionUnknown { .. }) => {
            Reason::Leg(Class::InvalidNumber)
        }
        RequestError::UnsupportedCountry { .. } => Reason::UnsupportedCountry,
        RequestError::Read(_) | RequestError::Text(_) | RequestError::Transaction(_) | RequestError::Field { .. } => {
            Reason::Unacceptable
        }
    }
}

#[cfg(test)]
mod tests;
