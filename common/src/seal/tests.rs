//! What opens and what does not, and which tags meet.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::message::{Kind, Locale, State, Voice};
use crate::phone::LineType;
use crate::time::Timestamp;
use crate::transaction::Transaction;

fn vault() -> Vault {
    Vault::new(&[7; ROOT_BYTES_MIN]).expect("long enough")
}

fn tenant(raw: &str) -> TenantId {
    TenantId::parse(raw).expect("a tenant")
}

fn id(last: u8) -> MessageId {
    MessageId(Uuid::from_bytes([1, 2, 3, 4, 5, 6, 0x77, 8, 0x89, 10, 11, 12, 13, 14, 15, last]))
}

fn number() -> PhoneNumber {
    PhoneNumber::try_from("+819012345678".to_owned()).expect("E.164")
}

fn person() -> Person {
    Person {
        to: number(),
        transaction: Some(Transaction::parse("12000", "JPY", "山田　太郎", "1234567").expect("valid")),
        text: Some("hello".to_owned()),
        metadata: BTreeMap::from([("order".to_owned(), "A-1".to_owned())]),
    }
}

fn message(vault: &Vault, purpose: Purpose) -> Message {
    let (acme, now) = (tenant("acme"), Timestamp::from_unix_ms(1_763_805_600_000));
    Message {
        id: id(1),
        purpose,
        lane: purpose.lane(),
        kind: Kind::Text,
        locale: Locale::Ja,
        country: Country::JP,
        line: LineType::Mobile,
        voice: Voice::Never,
        accepted_at: now,
        useful_until: now.plus_ms(300_000),
        sealed: Some(vault.seal(&acme, id(1), &person())),
        number_tag: vault.number_tag(&acme, &number()),
        tenant: acme,
        state: State::Queued,
        legs: Vec::new(),
        guesses_left: 5,
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

#[test]
fn what_was_sealed_opens_again() {
    let vault = vault();
    assert_eq!(vault.open(&message(&vault, Purpose::Login)), Ok(person()));
}

#[test]
fn what_was_erased_is_told_from_what_is_broken() {
    let vault = vault();
    let mut message = message(&vault, Purpose::Login);
    message.sealed = Some(Sealed("AQ".into()));
    assert_eq!(vault.open(&message), Err(SealError::Broken));
    message.sealed = None;
    assert_eq!(vault.open(&message), Err(SealError::Erased));
}

#[test]
fn wrong_guesses_of_a_payment_are_counted_apart() {
    let vault = vault();
    let bucket = |purpose| vault.guesses_bucket(&message(&vault, purpose));
    assert_eq!(bucket(Purpose::Login), bucket(Purpose::Signup));
    assert_ne!(bucket(Purpose::Login), bucket(Purpose::Payment));
}

#[test]
fn the_same_person_sealed_twice_looks_different() {
    let (vault, acme) = (vault(), tenant("acme"));
    assert_ne!(vault.seal(&acme, id(1), &person()), vault.seal(&acme, id(1), &person()));
}

#[test]
fn sealed_bytes_show_neither_number_nor_name() {
    let sealed = vault().seal(&tenant("acme"), id(1), &person());
    let bytes = BASE64URL_NOPAD.decode(sealed.0.as_bytes()).expect("base64url");
    assert_eq!(bytes[0], KEY_VERSION);
    for hidden in ["9012345678", "12000", "1234567", "山田", "A-1", "hello"] {
        assert!(!bytes.windows(hidden.len()).any(|window| window == hidden.as_bytes()), "{hidden}");
    }
}

#[test]
fn sealed_bytes_open_only_for_their_row_and_root() {
    let (vault, acme) = (vault(), tenant("acme"));
    let sealed = vault.seal(&acme, id(1), &person());
    let stranger = Vault::new(&[8; ROOT_BYTES_MIN]).expect("long enough");
    assert_eq!(vault.open_sealed(&acme, id(2), &sealed), None, "another message");
    assert_eq!(vault.open_sealed(&tenant("acme2"), id(1), &sealed), None, "another tenant");
    assert_eq!(stranger.open_sealed(&acme, id(1), &sealed), None, "another root");
}

#[test]
fn a_root_that_is_too_short_is_refused() {
    let error = Vault::new(&[7; ROOT_BYTES_MIN - 1]).expect_err("too short");
    assert_eq!(error, SealError::RootTooShort { len: 31 });
}

#[test]
fn tags_of_different_uses_never_meet() {
    let (vault, stranger) = (vault(), Vault::new(&[8; ROOT_BYTES_MIN]).expect("long enough"));
    let (acme, other) = (tenant("acme"), tenant("other"));
    let country = |raw| Country::parse(raw).expect("a country");
    let tags = [
        vault.tag(TagUse::Leg, &[b"bc"]),
        vault.tag(TagUse::Request, &[b"bc"]),
        vault.tag(TagUse::Leg, &[b"b", b"c"]),
        vault.tag(TagUse::Leg, &[b"bc", b""]),
        vault.tag(TagUse::Leg, &[]),
        stranger.tag(TagUse::Leg, &[b"bc"]),
        vault.number_tag(&acme, &number()),
        vault.number_tag(&other, &number()),
        vault.calls_bucket(&acme, country("JP")),
        vault.calls_bucket(&acme, country("US")),
        vault.calls_bucket(&other, country("JP")),
    ];
    assert_eq!(tags.iter().collect::<BTreeSet<_>>().len(), tags.len());
    assert_eq!(vault.tag(TagUse::Leg, &[b"bc"]), vault.tag(TagUse::Leg, &[b"bc"]), "and the same one is found again");
}

#[test]
fn each_use_has_its_place_and_a_word_of_its_own() {
    for (place, usage) in TagUse::ALL.into_iter().enumerate() {
        assert_eq!(usage as usize, place, "{usage:?}");
    }
    assert_eq!(TagUse::ALL.map(TagUse::word).iter().collect::<BTreeSet<_>>().len(), TagUse::ALL.len());
}

#[test]
fn a_leg_tag_is_44_characters_that_name_their_leg() {
    let vault = vault();
    let tag = vault.leg_tag(id(1), 3);
    assert_eq!(tag.as_str().len(), 44);
    assert_eq!(vault.read_leg_tag(tag.as_str()), Some((id(1), 3)));
    assert_eq!(format!("{tag:?} {vault:?}"), "LegTag(..) Vault(..)");
}

#[test]
fn a_leg_tag_that_we_did_not_make_names_nothing() {
    let (vault, stranger) = (vault(), Vault::new(&[8; ROOT_BYTES_MIN]).expect("long enough"));
    assert_eq!(vault.read_leg_tag(stranger.leg_tag(id(1), 3).as_str()), None);
    for raw in ["", "a", "!", &"A".repeat(44), &"A".repeat(10_000), "日本"] {
        assert_eq!(vault.read_leg_tag(raw), None, "{raw}");
    }
}

proptest! {
    #[test]
    fn any_flipped_bit_keeps_a_seal_shut(at: prop::sample::Index, bit in 0_u8..8) {
        let (vault, acme) = (vault(), tenant("acme"));
        let mut bytes = BASE64URL_NOPAD.decode(vault.seal(&acme, id(1), &person()).0.as_bytes()).expect("base64url");
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let damaged = Sealed(BASE64URL_NOPAD.encode(&bytes).into());
        prop_assert_eq!(vault.open_sealed(&acme, id(1), &damaged), None);
    }

    #[test]
    fn a_seal_cut_short_keeps_shut(left: prop::sample::Index) {
        let (vault, acme) = (vault(), tenant("acme"));
        let whole = vault.seal(&acme, id(1), &person());
        let cut = Sealed(whole.0[..left.index(whole.0.len())].into());
        prop_assert_eq!(vault.open_sealed(&acme, id(1), &cut), None);
    }

    #[test]
    fn any_flipped_bit_spoils_a_leg_tag(at in 0..LEG_TAG_BYTES, bit in 0_u8..8) {
        let vault = vault();
        let mut bytes = BASE64URL_NOPAD.decode(vault.leg_tag(id(1), 3).as_str().as_bytes()).expect("base64url");
        bytes[at] ^= 1 << bit;
        prop_assert_eq!(vault.read_leg_tag(&BASE64URL_NOPAD.encode(&bytes)), None);
    }

    #[test]
    fn the_tags_of_two_legs_differ(a: u8, b: u8, leg_a: u8, leg_b: u8) {
        let vault = vault();
        let same = (a, leg_a) == (b, leg_b);
        prop_assert_eq!(vault.leg_tag(id(a), leg_a) == vault.leg_tag(id(b), leg_b), same);
    }
}

/// Made with another implementation of HKDF and HMAC (Python's `hmac`): what was stored under a tag must be found for ever.
#[test]
fn tags_are_what_they_were() {
    let known = [
        "e662a047ea7f0b56",
        "2af594159affa24b",
        "2e7cdae10b9eba1f",
        "7458e5d3f0e203eb",
        "17917c6add94596c",
        "9faa30b4877c13ee",
        "f12bf8afb5583b5f",
        "4bc41fcf72f39c0b",
        "9c22bb490d813538",
        "3ad45828ce7d855f",
        "430dc3d9fa1083b9",
        "9e4e5f6c5daa9cf3",
        "6e375d089d2d2345",
    ];
    for (usage, begins) in TagUse::ALL.into_iter().zip(known) {
        let tag = vault().tag(usage, &[b"x"]).hex();
        assert!(tag.starts_with(begins), "{usage:?}: {tag}");
    }
}
