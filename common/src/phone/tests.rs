//! What passes as a phone number, what is refused, and what is shown of one.

use proptest::prelude::*;
use rlibphonenumber::PHONE_NUMBER_UTIL;

use super::*;

fn parse(raw: &str) -> Result<Parsed, PhoneError> {
    PhoneNumber::parse(raw, Some(Country::JP))
}

#[test]
fn every_way_to_write_a_number_is_the_same_number() {
    for raw in [
        "+819012345678",
        "090-1234-5678",
        "090 1234 5678",
        "(090)1234-5678",
        "０９０－１２３４－５６７８",
        "+81 90.1234.5678",
        " +81 (0)90-1234-5678 ",
    ] {
        let parsed = parse(raw).unwrap_or_else(|error| panic!("{raw}: {error}"));
        assert_eq!(parsed.number.as_e164(), "+819012345678", "{raw}");
        assert_eq!((parsed.country, parsed.line), (Country::JP, LineType::Mobile), "{raw}");
    }
}

#[test]
fn the_line_type_follows_the_digits() {
    for (raw, country, line) in [
        ("+816012345678", "JP", LineType::Mobile),
        ("+817012345678", "JP", LineType::Mobile),
        ("+818012345678", "JP", LineType::Mobile),
        ("+819012345678", "JP", LineType::Mobile),
        ("+81312340011", "JP", LineType::Landline),
        ("+815012345678", "JP", LineType::Voip),
        ("+812012345678", "JP", LineType::DataOnly),
        ("+12015550123", "US", LineType::Unknown),
        ("+447400123456", "GB", LineType::Mobile),
        ("+390612345678", "IT", LineType::Landline),
        ("+6834002", "NU", LineType::Landline),
    ] {
        let parsed = PhoneNumber::parse(raw, None).unwrap_or_else(|error| panic!("{raw}: {error}"));
        assert_eq!((parsed.country.as_str(), parsed.line), (country, line), "{raw}");
        assert_eq!(parsed.number.as_e164(), raw);
    }
}

#[test]
fn kinds_that_cost_extra_or_belong_to_nobody_are_refused() {
    for (raw, kind) in [
        ("+81120123456", RefusedKind::TollFree),
        ("+818001234567", RefusedKind::TollFree),
        ("+81570123456", RefusedKind::UniversalAccess),
        ("+81990123456", RefusedKind::PremiumRate),
        ("+19002345678", RefusedKind::PremiumRate),
        ("+611300123456", RefusedKind::SharedCost),
        ("+447640123456", RefusedKind::Pager),
        ("+447012345678", RefusedKind::Personal),
        ("+870773111632", RefusedKind::Satellite),
        ("+881612345678", RefusedKind::Satellite),
        ("+882161234567", RefusedKind::Satellite),
        ("+883510012345", RefusedKind::Satellite),
        ("+979123456789", RefusedKind::Satellite),
        ("+80012345678", RefusedKind::Satellite),
    ] {
        let error = PhoneNumber::parse(raw, None).expect_err(raw);
        assert_eq!(error, PhoneError::Refused { kind }, "{raw}");
        assert_eq!((error.code(), error.field()), ("refused_number_type", "to"));
    }
}

#[test]
fn what_is_not_a_valid_number_is_refused_without_repeating_it() {
    for raw in [
        "",
        "+",
        "hello",
        "+81901234567",
        "+8190123456789",
        "+81 90 1234 5678 ext. 5",
        "+1-800-FLOWERS",
        "tel:+819012345678",
        "+819012345678, +819012345679",
        "+819012345678\0",
        "+81+9012345678",
        "+999123456789",
        &"1".repeat(100),
    ] {
        let error = parse(raw).expect_err(raw);
        assert_eq!((error.code(), error.field()), ("invalid_number", "to"), "{raw}");
        assert!(error.to_string().contains("`to`") && !error.to_string().contains("12345"), "{error}");
    }
}

#[test]
fn a_national_number_needs_a_region_that_exists() {
    let error = PhoneNumber::parse("090-1234-5678", None).expect_err("no region");
    assert_eq!((error.code(), error.field()), ("region_needed", "to"));
    let error = PhoneNumber::parse("", None).expect_err("nothing at all");
    assert_eq!(error.code(), "invalid_number", "a region would not help");
    let nowhere = Country::parse("ZZ");
    let error = PhoneNumber::parse("090-1234-5678", nowhere).expect_err("no such region");
    assert_eq!((error.code(), error.field()), ("region_needed", "region"));
    assert!(PhoneNumber::parse("+819012345678", nowhere).is_ok(), "E.164 needs no region");
}

#[test]
fn a_number_is_masked_wherever_it_is_printed() {
    for (raw, masked) in [
        ("+819012345678", "+81*******678"),
        ("+12015550123", "+1*******123"),
        ("+35312345678", "+353*******678"),
        ("+447400123456", "+44*******456"),
    ] {
        let number = PhoneNumber::try_from(raw.to_owned()).expect("E.164");
        assert_eq!(number.masked(), masked);
        assert_eq!(format!("{number} {number:?}"), format!("{masked} {masked}"));
    }
}

#[test]
fn a_japanese_number_is_known_by_its_national_form() {
    assert_eq!(parse("+819012345678").expect("valid").number.national_jp().as_deref(), Some("09012345678"));
    assert_eq!(parse("+12015550123").expect("valid").number.national_jp(), None);
}

#[test]
fn the_length_of_every_country_code_is_known() {
    for code in PHONE_NUMBER_UTIL.get_supported_calling_codes() {
        let digits = code.to_string();
        assert_eq!(calling_code_len(&format!("{digits}0000000")), digits.len(), "+{digits}");
    }
}

proptest! {
    #[test]
    fn whatever_passes_is_e164_and_passes_again(raw in "[+0-9 ()-]{0,20}") {
        if let Ok(parsed) = parse(&raw) {
            let again = PhoneNumber::parse(parsed.number.as_e164(), None);
            prop_assert_eq!(again, Ok(parsed));
        }
    }

    #[test]
    fn no_input_makes_the_parser_panic(raw in "\\PC{0,60}") {
        let _ = parse(&raw);
    }
}
