//! One-time codes: derived from a root, the message and what it confirms; never stored.

use crate::message::{Kid, MessageId, TenantId};
use crate::phone::PhoneNumber;
use crate::time::Timestamp;
use crate::transaction::Transaction;

pub const ROOT_BYTES_MIN: usize = 32;

pub struct CodeKeys {
    active: Kid,
    roots: std::collections::BTreeMap<Kid, Vec<u8>>,
}

pub struct CodeFields<'a> {
    pub tenant: &'a TenantId,
    pub id: MessageId,
    pub accepted_at: Timestamp,
    pub number: &'a PhoneNumber,
    pub transaction: Option<&'a Transaction>,
}

#[derive(Clone)]
pub struct Code(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeKeysError {
    #[error("`codes.active` is {active:?}, which is not among the known kids: add its root")]
    ActiveUnknown { active: String },
    #[error("the root of kid {kid:?} holds {len} bytes: at least {ROOT_BYTES_MIN} random bytes are needed")]
    RootTooShort { kid: String, len: usize },
    #[error("kid {kid:?} is given twice: every kid names one root")]
    KidTwice { kid: String },
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    #[error("no root is known for kid {kid:?}")]
    UnknownKid { kid: String },
    #[error("a code of {length} digits was asked for: 6 to 10 are possible")]
    Length { length: u8 },
}

impl CodeKeys {
    pub fn new(active: Kid, roots: Vec<(Kid, Vec<u8>)>) -> Result<Self, CodeKeysError> {
        Ok(Self { active, roots: roots.into_iter().collect() })
    }
    pub fn active(&self) -> &Kid {
        &self.active
    }
    pub fn derive(&self, kid: &Kid, _fields: &CodeFields<'_>, _length: u8) -> Result<Code, CodeError> {
        let _ = self.roots.get(kid);
        todo!()
    }
}

impl Code {
    pub fn digits(&self) -> &str {
        &self.0
    }
    pub fn matches(&self, _guess: &str) -> bool {
        todo!()
    }
}
