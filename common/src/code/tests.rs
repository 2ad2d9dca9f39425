//! The published vectors, what a code is bound to, and what keys are refused.

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Vector {
    what: String,
    kid: String,
    root_hex: String,
    tenant: String,
    id: String,
    accepted_at_ms: i64,
    number: String,
    transaction: Option<VectorTransaction>,
    length: u8,
    code: String,
}

#[derive(Deserialize)]
struct VectorTransaction {
    amount: String,
    currency: String,
    payee_name: String,
    payee_account: String,
}

/// Alters one field.
type Change = fn(&mut Vector);

fn vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("vectors.json")).expect("the vectors are JSON")
}

fn kid(raw: &str) -> Kid {
    Kid::parse(raw).expect("a kid")
}

/// All roots of the vectors, as a process holds them while one kid follows another.
fn keys() -> CodeKeys {
    let mut roots = BTreeMap::new();
    for vector in vectors() {
        let root = data_encoding::HEXLOWER.decode(vector.root_hex.as_bytes()).expect("hex");
        roots.insert(kid(&vector.kid), root);
    }
    CodeKeys::new(kid("k2"), roots.into_iter().collect()).expect("good roots").having_looked()
}

fn derive(keys: &CodeKeys, vector: &Vector) -> Code {
    let tenant = TenantId::parse(&vector.tenant).expect("a tenant");
    let number = PhoneNumber::try_from(vector.number.clone()).expect("E.164");
    let transaction = vector
        .transaction
        .as_ref()
        .map(|t| Transaction::parse(&t.amount, &t.currency, &t.payee_name, &t.payee_account).expect("a transaction"));
    let fields = CodeFields {
        tenant: &tenant,
        id: MessageId::parse(&vector.id).expect("a UUID"),
        accepted_at: Timestamp::from_unix_ms(vector.accepted_at_ms),
        number: &number,
        transaction: transaction.as_ref(),
    };
    keys.derive(&kid(&vector.kid), &fields, vector.length).expect("a known kid")
}

#[test]
fn the_published_vectors_hold() {
    let keys = keys();
    for vector in vectors() {
        assert_eq!(derive(&keys, &vector).digits(), vector.code, "{}", vector.what);
    }
}

#[test]
fn the_vectors_cover_what_is_easily_wrong() {
    let vectors = vectors();
    let kids: std::collections::BTreeSet<&str> = vectors.iter().map(|vector| vector.kid.as_str()).collect();
    assert!(kids.len() >= 2, "two kids");
    assert!(vectors.iter().any(|vector| vector.code.starts_with('0')), "a leading zero");
    assert!(vectors.iter().any(|vector| vector.length == 10), "ten digits");
    let payees = vectors.iter().filter_map(|vector| vector.transaction.as_ref());
    assert!(payees.into_iter().any(|payee| !payee.payee_name.is_ascii()), "a Japanese payee");
}

#[test]
fn a_code_is_bound_to_every_field() {
    let keys = keys();
    let base = || vectors().into_iter().find(|v| v.transaction.is_some() && v.length == 10).expect("a payment");
    let changes: [(&str, Change); 9] = [
        ("kid", |v| v.kid = if v.kid == "k1" { "k2" } else { "k1" }.to_owned()),
        ("tenant", |v| v.tenant.push('x')),
        ("id", |v| v.id = MessageId::new(Timestamp::from_unix_ms(1), [1; 10]).to_string()),
        ("accepted_at", |v| v.accepted_at_ms += 1),
        ("number", |v| v.number = "+819012345670".to_owned()),
        ("amount", |v| v.transaction.as_mut().unwrap().amount.push('0')),
        ("currency", |v| v.transaction.as_mut().unwrap().currency = "USD".to_owned()),
        ("payee name", |v| v.transaction.as_mut().unwrap().payee_name.push('A')),
        ("payee account", |v| v.transaction.as_mut().unwrap().payee_account.push('0')),
    ];
    let unchanged = derive(&keys, &base());
    for (field, change) in changes {
        let mut changed = base();
        change(&mut changed);
        assert_ne!(derive(&keys, &changed).digits(), unchanged.digits(), "{field}");
    }
    let mut without = base();
    without.transaction = None;
    assert_ne!(derive(&keys, &without).digits(), unchanged.digits(), "no transaction");
}

#[test]
fn what_moves_from_one_field_to_the_next_changes_the_code() {
    let (keys, mut vector) = (keys(), vectors().into_iter().find(|v| v.transaction.is_some()).expect("a payment"));
    let mut with_payee = |name: &str, account: &str| {
        let transaction = vector.transaction.as_mut().expect("a payment");
        transaction.payee_name = name.to_owned();
        transaction.payee_account = account.to_owned();
        derive(&keys, &vector).digits().to_owned()
    };
    assert_ne!(with_payee("AB", "C1"), with_payee("A", "BC1"));
}

#[test]
fn only_the_exact_digits_match() {
    let code = Code("012345".to_owned());
    assert!(code.matches("012345"));
    for guess in ["", "12345", "0123456", "012346", "112345", " 012345", "０１２３４５"] {
        assert!(!code.matches(guess), "{guess}");
    }
}

#[test]
fn a_retired_kid_no_longer_derives() {
    let roots = vec![(kid("k2"), vec![7; ROOT_BYTES_MIN])];
    let keys = CodeKeys::new(kid("k2"), roots).expect("good roots").having_looked();
    let (tenant, number) =
        (TenantId::parse("acme").unwrap(), PhoneNumber::try_from("+819012345678".to_owned()).unwrap());
    let now = Timestamp::from_unix_ms(1_700_000_000_000);
    let id = MessageId::new(now, [0; 10]);
    let fields = CodeFields { tenant: &tenant, id, accepted_at: now, number: &number, transaction: None };
    let error = keys.derive(&kid("k1"), &fields, 6).expect_err("k1 is gone");
    assert_eq!(error, CodeError::UnknownKid { kid: "k1".to_owned() });
    for length in [0, 5, 11, 255] {
        assert_eq!(keys.derive(&kid("k2"), &fields, length).expect_err("length"), CodeError::Length { length });
    }
}

#[test]
fn roots_that_would_weaken_codes_are_refused() {
    let good = || vec![7; ROOT_BYTES_MIN];
    let short = CodeKeys::new(kid("k1"), vec![(kid("k1"), vec![7; ROOT_BYTES_MIN - 1])]);
    assert_eq!(short.expect_err("short"), CodeKeysError::RootTooShort { kid: "k1".to_owned(), len: 31 });
    let twice = CodeKeys::new(kid("k1"), vec![(kid("k1"), good()), (kid("k1"), good())]);
    assert_eq!(twice.expect_err("twice"), CodeKeysError::KidTwice { kid: "k1".to_owned() });
    let unknown = CodeKeys::new(kid("k2"), vec![(kid("k1"), good())]);
    assert_eq!(unknown.expect_err("unknown"), CodeKeysError::ActiveUnknown { active: "k2".to_owned() });
}

#[test]
fn neither_codes_nor_roots_are_printed() {
    let printed = format!("{:?} {:?}", Code("123456".to_owned()), keys());
    assert!(!printed.contains("123456"), "{printed}");
    assert_eq!(printed, r#"Code(6 digits) CodeKeys { active: Kid("k2"), known: [Kid("k1"), Kid("k2")], .. }"#);
}
