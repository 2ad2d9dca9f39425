//! One-time codes: derived from a root, the message and what it confirms. Never stored, never printed.
//!
//! `key = HKDF-SHA256(root[kid], salt empty, info "otodoke code v1" ‖ tenant)`, 32 bytes;
//! `code = first 16 bytes, big-endian, of HMAC-SHA256(key, fields) mod 10^length`, padded with zeros.
//! `vectors.json` publishes examples; `scripts/code_vectors.py` computes them with another implementation.

mod standing;

use std::collections::BTreeMap;

use ring::{hkdf, hmac};
use subtle::ConstantTimeEq;

use crate::message::{Kid, MessageId, TenantId};
use crate::phone::PhoneNumber;
pub use crate::seal::ROOT_BYTES_MIN;
use crate::seal::length_prefixed;
use crate::time::Timestamp;
use crate::transaction::Transaction;
pub use standing::{revoke, revoked};

pub const CODE_DIGITS_MIN: u8 = 6;
pub const CODE_DIGITS_MAX: u8 = 10;

const KEY_INFO: &[u8] = b"otodoke code v1";
const FIELDS_VERSION: u8 = 1;

/// The roots of code derivation by kid. New messages take the active one; the others still check what they made.
pub struct CodeKeys {
    active: Kid,
    roots: BTreeMap<Kid, hkdf::Prk>,
    standing: standing::Standing,
}

/// What a code is derived from. A check puts in what its caller gives, so that a changed transaction gives another code.
pub struct CodeFields<'a> {
    pub tenant: &'a TenantId,
    pub id: MessageId,
    /// As the row stores it.
    pub accepted_at: Timestamp,
    pub number: &'a PhoneNumber,
    pub transaction: Option<&'a Transaction>,
}

/// The digits to type back. Neither `Debug` nor `Display` shows them.
#[derive(Clone)]
pub struct Code(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeKeysError {
    #[error("the active kid {active:?} has no root among the known kids: add its root, or name a known kid")]
    ActiveUnknown { active: String },
    #[error("the root of kid {kid:?} holds {len} bytes: give at least {ROOT_BYTES_MIN} random bytes")]
    RootTooShort { kid: String, len: usize },
    #[error("kid {kid:?} is given twice: a kid names one root for ever")]
    KidTwice { kid: String },
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    #[error("kid {kid:?} has no root here: add it until the messages it made have ended")]
    UnknownKid { kid: String },
    #[error("whether kid {kid:?} was revoked is not known yet: the store was not there since this process began")]
    NotLooked { kid: String },
    #[error("kid {kid:?} is revoked: the codes it made are worth nothing")]
    Revoked { kid: String },
    #[error("a code of {length} digits was asked for: {CODE_DIGITS_MIN} to {CODE_DIGITS_MAX} are possible")]
    Length { length: u8 },
}

impl CodeKeys {
    pub fn new(active: Kid, roots: Vec<(Kid, Vec<u8>)>) -> Result<Self, CodeKeysError> {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]);
        let mut known = BTreeMap::new();
        for (kid, root) in roots {
            if root.len() < ROOT_BYTES_MIN {
                return Err(CodeKeysError::RootTooShort { kid: kid.as_str().to_owned(), len: root.len() });
            }
            if known.insert(kid.clone(), salt.extract(&root)).is_some() {
                return Err(CodeKeysError::KidTwice { kid: kid.as_str().to_owned() });
            }
        }
        if !known.contains_key(&active) {
            return Err(CodeKeysError::ActiveUnknown { active: active.as_str().to_owned() });
        }
        Ok(Self { active, roots: known, standing: standing::Standing::default() })
    }

    /// The kid of messages that open now.
    pub const fn active(&self) -> &Kid {
        &self.active
    }

    /// Whether messages of this kid can be checked here.
    pub fn knows(&self, kid: &Kid) -> bool {
        self.roots.contains_key(kid)
    }

    /// Every kid whose messages can be checked here.
    pub fn known(&self) -> impl Iterator<Item = &Kid> {
        self.roots.keys()
    }

    /// The code of `length` digits; the same fields always give the same one.
    pub fn derive(&self, kid: &Kid, fields: &CodeFields<'_>, length: u8) -> Result<Code, CodeError> {
        if !(CODE_DIGITS_MIN..=CODE_DIGITS_MAX).contains(&length) {
            return Err(CodeError::Length { length });
        }
        if !self.has_looked() {
            return Err(CodeError::NotLooked { kid: kid.as_str().to_owned() });
        }
        if self.is_revoked(kid) {
            return Err(CodeError::Revoked { kid: kid.as_str().to_owned() });
        }
        let root = self.roots.get(kid).ok_or_else(|| CodeError::UnknownKid { kid: kid.as_str().to_owned() })?;
        let info = [KEY_INFO, fields.tenant.as_str().as_bytes()];
        let key: hmac::Key = root.expand(&info, hmac::HMAC_SHA256).expect("32 bytes are within what HKDF gives").into();
        let mac = hmac::sign(&key, &fields.bytes());
        let (number, _) = mac.as_ref().split_first_chunk().expect("HMAC-SHA256 gives 32 bytes");
        let code = u128::from_be_bytes(*number) % 10_u128.pow(u32::from(length));
        Ok(Code(format!("{code:0width$}", width = usize::from(length))))
    }
}

impl CodeFields<'_> {
    fn bytes(&self) -> Vec<u8> {
        let accepted_at = self.accepted_at.unix_ms().to_be_bytes();
        let mut fields: Vec<&[u8]> =
            vec![&[FIELDS_VERSION], self.id.bytes(), &accepted_at, self.number.as_e164().as_bytes()];
        let amount = self.transaction.map_or([0; 8], |transaction| transaction.amount.to_be_bytes());
        if let Some(transaction) = self.transaction {
            fields.push(&amount);
            fields.push(transaction.currency.as_str().as_bytes());
            fields.push(transaction.payee.name.as_bytes());
            fields.push(transaction.payee.account.as_bytes());
        }
        length_prefixed(&fields)
    }
}

impl Code {
    pub fn digits(&self) -> &str {
        &self.0
    }

    /// Whether the person typed this code; takes as long for a near miss as for a far one.
    pub fn matches(&self, guess: &str) -> bool {
        self.0.as_bytes().ct_eq(guess.as_bytes()).into()
    }
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Code({} digits)", self.0.len())
    }
}

impl std::fmt::Debug for CodeKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let known: Vec<&Kid> = self.known().collect();
        f.debug_struct("CodeKeys").field("active", &self.active).field("known", &known).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
