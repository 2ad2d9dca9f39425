//! Sealing of what names a person, keyed tags for look-ups, and the per-leg tag that webhooks carry back to us.
//!
//! Every message is sealed under a key of its own (HKDF over tenant and id), so a random 96-bit nonce never meets
//! another use of the same key but by the few times one message is sealed again. Which fields are sealed is
//! `message::Person`; how long they are kept is the sweep's.

use data_encoding::BASE64URL_NOPAD;
use ring::rand::{SecureRandom, SystemRandom};
use ring::{aead, hkdf, hmac};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::leg::LegNumber;
use crate::message::{Message, MessageId, Person, Purpose, Sealed, Tag, TenantId};
use crate::phone::{Country, PhoneNumber};

/// A root shorter than this could be guessed: of what is sealed, and of codes.
pub const ROOT_BYTES_MIN: usize = 32;

/// The first byte of everything sealed: which key and algorithm opens the rest.
const KEY_VERSION: u8 = 1;
const ALGORITHM: &aead::Algorithm = &aead::CHACHA20_POLY1305;
const SEAL_INFO: &[u8] = b"otodoke seal v1";
const TAG_INFO: &[u8] = b"otodoke tag v1";

const ID_BYTES: usize = 16;
const LEG_MAC_BYTES: usize = 16;
const LEG_TAG_BYTES: usize = ID_BYTES + 1 + LEG_MAC_BYTES;

/// Holds the sealing root. Everyone who may read a person's data has one; nobody else needs it.
pub struct Vault {
    root: hkdf::Prk,
    /// By use: derived once, because a message asks for half a dozen tags.
    tag_keys: [hmac::Key; TagUse::ALL.len()],
    random: SystemRandom,
}

/// What a tag is for. Each has a key of its own, so that tags of different uses never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagUse {
    Number,
    NoNumber,
    /// Of an API request, for its idempotency key to be held against.
    Request,
    IdempotencyKey,
    Living,
    Messages,
    Guesses,
    Calls,
    Spend,
    Leg,
    CheckKey,
    OneCheck,
    SandboxSecret,
}

impl TagUse {
    pub const ALL: [Self; 13] = [
        Self::Number,
        Self::NoNumber,
        Self::Request,
        Self::IdempotencyKey,
        Self::Living,
        Self::Messages,
        Self::Guesses,
        Self::Calls,
        Self::Spend,
        Self::Leg,
        Self::CheckKey,
        Self::OneCheck,
        Self::SandboxSecret,
    ];

    /// What goes into the key: stored tags are found again by it.
    const fn word(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::NoNumber => "no number",
            Self::Request => "request",
            Self::IdempotencyKey => "idempotency key",
            Self::Living => "living",
            Self::Messages => "messages",
            Self::Guesses => "guesses",
            Self::Calls => "calls",
            Self::Spend => "spend",
            Self::Leg => "leg",
            Self::CheckKey => "check key",
            Self::OneCheck => "one check",
            Self::SandboxSecret => "sandbox secret",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("the sealing root holds {len} bytes: give at least {ROOT_BYTES_MIN} random bytes")]
    RootTooShort { len: usize },
    #[error("the personal part of this message was erased")]
    Erased,
    #[error("the personal part of this message does not open: another root sealed it, or it is damaged")]
    Broken,
}

/// Names one leg and proves that we made it: base64url of id (16), leg (1) and a 16-byte MAC, 44 characters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct LegTag(String);

impl Vault {
    pub fn new(root: &[u8]) -> Result<Self, SealError> {
        if root.len() < ROOT_BYTES_MIN {
            return Err(SealError::RootTooShort { len: root.len() });
        }
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(root);
        let tag_key = |usage: TagUse| -> hmac::Key {
            let info = [TAG_INFO, usage.word().as_bytes()];
            root.expand(&info, hmac::HMAC_SHA256).expect("32 bytes are within what HKDF gives").into()
        };
        Ok(Self { tag_keys: TagUse::ALL.map(tag_key), root, random: SystemRandom::new() })
    }

    /// Bound to tenant and id: moved to another row, it does not open.
    pub fn seal(&self, tenant: &TenantId, id: MessageId, person: &Person) -> Sealed {
        let mut nonce = [0; aead::NONCE_LEN];
        self.random.fill(&mut nonce).expect("the operating system has randomness");
        let mut body = serde_json::to_vec(person).expect("a person is plain strings and numbers");
        self.message_key(tenant, id)
            .seal_in_place_append_tag(aead::Nonce::assume_unique_for_key(nonce), bound_to(tenant, id), &mut body)
            .expect("a person is far smaller than what the algorithm seals");
        let mut bytes = Vec::with_capacity(1 + nonce.len() + body.len());
        bytes.push(KEY_VERSION);
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&body);
        Sealed(BASE64URL_NOPAD.encode(&bytes).into())
    }

    pub fn open(&self, message: &Message) -> Result<Person, SealError> {
        let sealed = message.sealed.as_ref().ok_or(SealError::Erased)?;
        self.open_sealed(&message.tenant, message.id, sealed).ok_or(SealError::Broken)
    }

    fn open_sealed(&self, tenant: &TenantId, id: MessageId, sealed: &Sealed) -> Option<Person> {
        let bytes = BASE64URL_NOPAD.decode(sealed.0.as_bytes()).ok()?;
        let (&version, rest) = bytes.split_first()?;
        let (&nonce, body) = rest.split_first_chunk()?;
        if version != KEY_VERSION {
            return None;
        }
        let mut body = body.to_vec();
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        let plain = self.message_key(tenant, id).open_in_place(nonce, bound_to(tenant, id), &mut body).ok()?;
        serde_json::from_slice(plain).ok()
    }

    /// A keyed hash of `parts`, each behind its length, for this use alone.
    pub fn tag(&self, usage: TagUse, parts: &[&[u8]]) -> Tag {
        let mut mac = hmac::Context::with_key(&self.tag_keys[usage as usize]);
        for part in parts {
            mac.update(&length(part));
            mac.update(part);
        }
        Tag(mac.sign().as_ref().try_into().expect("HMAC-SHA256 gives 32 bytes"))
    }

    pub fn number_tag(&self, tenant: &TenantId, number: &PhoneNumber) -> Tag {
        self.tag(TagUse::Number, &[tenant.as_str().as_bytes(), number.as_e164().as_bytes()])
    }

    /// The bucket of wrong guesses of this message's tenant and number; payments have one of their own.
    pub fn guesses_bucket(&self, message: &Message) -> Tag {
        let of: &[u8] = match message.purpose {
            Purpose::Payment => b"payment",
            Purpose::Login | Purpose::Signup | Purpose::Notice => b"other",
        };
        self.tag(TagUse::Guesses, &[&message.number_tag.0, of])
    }

    /// The bucket of calls of this tenant to this country.
    pub fn calls_bucket(&self, tenant: &TenantId, country: Country) -> Tag {
        self.tag(TagUse::Calls, &[tenant.as_str().as_bytes(), country.as_str().as_bytes()])
    }

    /// The bucket of what the legs of this tenant to this country cost.
    pub fn spend_bucket(&self, tenant: &TenantId, country: Country) -> Tag {
        self.tag(TagUse::Spend, &[tenant.as_str().as_bytes(), country.as_str().as_bytes()])
    }

    pub fn leg_tag(&self, id: MessageId, leg: LegNumber) -> LegTag {
        let mut bytes = Vec::with_capacity(LEG_TAG_BYTES);
        bytes.extend_from_slice(id.bytes());
        bytes.push(leg);
        bytes.extend_from_slice(&self.leg_mac(id, leg));
        LegTag(BASE64URL_NOPAD.encode(&bytes))
    }

    /// Which leg a tag names, if it is one that we made; compared in constant time.
    pub fn read_leg_tag(&self, raw: &str) -> Option<(MessageId, LegNumber)> {
        let bytes = BASE64URL_NOPAD.decode(raw.as_bytes()).ok()?;
        let (id, rest) = bytes.split_first_chunk::<ID_BYTES>()?;
        let (&leg, mac) = rest.split_first()?;
        let id = MessageId(Uuid::from_bytes(*id));
        bool::from(self.leg_mac(id, leg).ct_eq(mac)).then_some((id, leg))
    }

    fn leg_mac(&self, id: MessageId, leg: LegNumber) -> [u8; LEG_MAC_BYTES] {
        let tag = self.tag(TagUse::Leg, &[id.bytes(), &[leg]]);
        *tag.0.first_chunk().expect("a tag is longer than the MAC of a leg")
    }

    fn message_key(&self, tenant: &TenantId, id: MessageId) -> aead::LessSafeKey {
        let subject = length_prefixed(&[tenant.as_str().as_bytes(), id.bytes()]);
        let key: aead::UnboundKey =
            self.root.expand(&[SEAL_INFO, &subject], ALGORITHM).expect("32 bytes are within what HKDF gives").into();
        aead::LessSafeKey::new(key)
    }
}

fn bound_to(tenant: &TenantId, id: MessageId) -> aead::Aad<Vec<u8>> {
    aead::Aad::from(length_prefixed(&[&[KEY_VERSION], tenant.as_str().as_bytes(), id.bytes()]))
}

/// Every part behind its length (u32 big-endian), so that no two lists of parts share their bytes.
pub(crate) fn length_prefixed(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| 4 + part.len()).sum());
    for part in parts {
        bytes.extend_from_slice(&length(part));
        bytes.extend_from_slice(part);
    }
    bytes
}

fn length(part: &[u8]) -> [u8; 4] {
    u32::try_from(part.len()).expect("every part has a limit far below 4 GiB").to_be_bytes()
}

impl LegTag {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for LegTag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LegTag(..)")
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(..)")
    }
}

#[cfg(test)]
mod tests;
