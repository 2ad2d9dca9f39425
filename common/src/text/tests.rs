//! What the built-in templates say, what others may say, and what the linter lets through.

use proptest::prelude::*;

use super::*;
use crate::message::Purpose;

fn transfer() -> Transaction {
    Transaction::parse("12000", "JPY", "YAMADA TARO", "1234567").expect("valid")
}

fn input<'a>(locale: Locale, purpose: Purpose, transaction: Option<&'a Transaction>) -> RenderInput<'a> {
    RenderInput { template: "default", locale, purpose, code: "123456", useful_ms: 300_000, transaction, origin: None }
}

#[test]
fn the_built_in_texts_read_like_this() {
    let (templates, transfer) = (Templates::builtin(), transfer());
    let text = |locale, purpose, transaction| templates.render(&input(locale, purpose, transaction)).expect("renders");
    assert_eq!(text(Locale::Ja, Purpose::Login, None), "認証コード:123456\n5分間有効です。誰にも教えないでください。");
    assert_eq!(
        text(Locale::En, Purpose::Signup, None),
        "Your code is 123456. Valid for 5 min. Do not share it with anyone."
    );
    assert_eq!(
        text(Locale::Ja, Purpose::Payment, Some(&transfer)),
        "お支払い先:YAMADA TARO\n金額:12,000円\n認証コード:123456\n5分間有効。覚えがなければ入力しないでください。"
    );
    assert_eq!(
        text(Locale::En, Purpose::Payment, Some(&transfer)),
        "Pay JPY 12,000 to YAMADA TARO? Code: 123456. Valid for 5 min. If this is not yours, do not enter it."
    );
}

#[test]
fn a_text_never_promises_more_time_than_there_is() {
    let mut templates = Templates::builtin();
    templates.add("own", Locale::En, "{code} {validity} {minutes}").expect("a good template");
    let text = |template, locale, useful_s: u64| {
        let input = RenderInput { template, useful_ms: useful_s * 1_000, ..input(locale, Purpose::Login, None) };
        templates.render(&input).expect("renders")
    };
    for (useful_s, ja, en) in [
        (30, "30秒間有効", "30 s 1"),
        (59, "59秒間有効", "59 s 1"),
        (60, "1分間有効", "1 min 1"),
        (119, "1分間有効", "1 min 1"),
        (1_800, "30分間有効", "30 min 30"),
    ] {
        let said = text("default", Locale::Ja, useful_s);
        assert!(said.contains(&format!("\n{ja}")), "{said}");
        assert_eq!(text("own", Locale::En, useful_s), format!("123456 {en}"));
    }
}

#[test]
fn a_login_text_with_its_origin_line_is_one_segment() {
    let templates = Templates::builtin();
    for (locale, domain) in
        [(Locale::Ja, "example.com"), (Locale::Ja, "www.example.co.jp"), (Locale::En, "example.com")]
    {
        let longest = RenderInput {
            code: "0123456789",
            useful_ms: 1_800_000,
            origin: Some(domain),
            ..input(locale, Purpose::Login, None)
        };
        let text = templates.render(&longest).expect("renders");
        assert_eq!(text.lines().last(), Some(format!("@{domain} #0123456789").as_str()));
        assert_eq!(segments(&text, Counting::Standard).count, 1, "{text}");
        assert_eq!(lint(&text, Purpose::Login, None, Counting::Standard, 1), Ok(()));
    }
}

#[test]
fn a_japanese_payment_text_with_an_usual_payee_is_one_segment() {
    let transfer = transfer();
    let text = Templates::builtin().render(&input(Locale::Ja, Purpose::Payment, Some(&transfer))).expect("renders");
    assert_eq!(segments(&text, Counting::Standard).count, 1, "{} units", segments(&text, Counting::Standard).units);
    assert_eq!(lint(&text, Purpose::Payment, Some(&transfer), Counting::Standard, 1), Ok(()));
}

#[test]
fn an_amount_names_its_currency() {
    for (amount, currency, ja, en) in
        [("12000", "JPY", "12,000円", "JPY 12,000"), ("12000", "USD", "USD 120.00", "USD 120.00")]
    {
        let transaction = Transaction::parse(amount, currency, "A", "1").expect("valid");
        assert_eq!(amount_words(&transaction, Locale::Ja), ja);
        assert_eq!(amount_words(&transaction, Locale::En), en);
    }
}

#[test]
fn templates_are_added_by_file_and_replace_built_in_ones() {
    let mut templates = Templates::builtin();
    templates.add("shop", Locale::En, "Shop code {code}\n").expect("good");
    assert!(templates.knows("shop", Locale::En) && !templates.knows("shop", Locale::Ja));
    assert!(!templates.knows("default.payment", Locale::Ja), "a request names no use");
    let shop = RenderInput { template: "shop", ..input(Locale::En, Purpose::Login, None) };
    assert_eq!(templates.render(&shop).expect("renders"), "Shop code 123456");
    let missing = RenderInput { template: "shop", ..input(Locale::Ja, Purpose::Login, None) };
    let error = templates.render(&missing).expect_err("not in Japanese");
    assert_eq!((error.code(), error.field()), ("unknown_template", "template"));
    templates.add("default", Locale::En, "{code}!").expect("good");
    assert_eq!(templates.render(&input(Locale::En, Purpose::Login, None)).expect("renders"), "123456!");
}

#[test]
fn a_template_that_could_not_work_is_refused_when_it_is_added() {
    for (name, body, why) in [
        ("shop", "{code} {name}", BadTemplate::UnknownPlaceholder { name: "name".to_owned() }),
        ("shop", "{ code }", BadTemplate::UnknownPlaceholder { name: " code ".to_owned() }),
        ("shop", "{code} {", BadTemplate::Brace),
        ("shop", "{code} }", BadTemplate::Brace),
        ("shop", "no code", BadTemplate::Lacks { name: "code" }),
        ("shop.payment", "{code} {payee}", BadTemplate::Lacks { name: "amount" }),
        ("shop.payment", "{code} {amount}", BadTemplate::Lacks { name: "payee" }),
        ("shop", "{code}\0", BadTemplate::Control),
        ("Shop", "{code}", BadTemplate::Name),
        ("", "{code}", BadTemplate::Name),
        ("a.b", "{code}", BadTemplate::Name),
        ("shop", &"x".repeat(1_001), BadTemplate::TooLong { max: 1_000 }),
    ] {
        let error = Templates::builtin().add(name, Locale::En, body).expect_err(body);
        assert_eq!(error, TextError::BadTemplate { name: name.to_owned(), why });
    }
}

#[test]
fn a_payee_s_name_is_never_read_as_a_placeholder() {
    let trick = Transaction::parse("1", "JPY", "{code} {amount}", "1").expect("valid");
    let text = Templates::builtin().render(&input(Locale::En, Purpose::Payment, Some(&trick))).expect("renders");
    assert!(text.starts_with("Pay JPY 1 to {code} {amount}? Code: 123456."), "{text}");
}

#[test]
fn a_payment_text_tells_amount_and_payee_or_does_not_go_out() {
    let transfer = transfer();
    for (text, complete) in [
        ("12,000円 YAMADA TARO 123456", true),
        ("JPY 12,000 YAMADA TARO 123456", true),
        ("12000 YAMADA TARO 123456", false),
        ("12,000円 123456", false),
        ("YAMADA TARO 123456", false),
    ] {
        let linted = lint(text, Purpose::Payment, Some(&transfer), Counting::Standard, 1);
        assert_eq!(linted.err(), (!complete).then_some(TextError::PaymentIncomplete), "{text}");
    }
    let error = lint("123456", Purpose::Payment, None, Counting::Standard, 1).expect_err("no transaction");
    assert_eq!((error.code(), error.field()), ("payment_text_incomplete", "template"));
    let error = Templates::builtin().render(&input(Locale::En, Purpose::Payment, None)).expect_err("no transaction");
    assert_eq!(error, TextError::PaymentIncomplete);
}

#[test]
fn what_a_phone_cannot_show_or_a_limit_forbids_is_refused() {
    for (text, code) in [
        ("", "invalid_text"),
        (" \n", "invalid_text"),
        ("a\0b", "invalid_text"),
        ("a\tb", "invalid_text"),
        ("a\rb", "invalid_text"),
        ("a\u{202e}b", "invalid_text"),
        (&"あ".repeat(71), "template_too_long"),
    ] {
        let error = lint(text, Purpose::Notice, None, Counting::Standard, 1).expect_err(text);
        assert_eq!((error.code(), error.field()), (code, "text"), "{text:?}");
    }
    let error = lint(&"あ".repeat(71), Purpose::Login, None, Counting::Standard, 1).expect_err("too long");
    assert_eq!(error.field(), "template");
    assert!(error.to_string().contains("at least 1 units"), "{error}");
    assert_eq!(lint("two\nlines", Purpose::Notice, None, Counting::Standard, 1), Ok(()));
}

#[test]
fn characters_of_four_bytes_are_seen() {
    assert!(has_4_byte_chars("😀") && has_4_byte_chars("𠮷野家"));
    assert!(!has_4_byte_chars("吉野家 €"));
}

#[test]
fn a_domain_is_a_host_name_and_nothing_more() {
    assert_eq!(parse_domain("Example.COM").as_deref(), Ok("example.com"));
    assert!(parse_domain("xn--r8jz45g.xn--zckzah").is_ok());
    for raw in [
        "",
        "example",
        "https://example.com",
        "example.com:443",
        "example.com/a",
        ".example.com",
        "example.com.",
        "-a.com",
        "a-.com",
        "a b.com",
        "例え.jp",
        "127.0.0.1",
        "a@b.com",
        "example.com\n#1",
    ] {
        assert_eq!(parse_domain(raw), Err(TextError::Domain), "{raw}");
    }
    assert!(parse_domain(&format!("{}.com", "a".repeat(64))).is_err());
    assert!(parse_domain(&"a.".repeat(127)).is_err());
}

proptest! {
    #[test]
    fn what_passes_the_linter_fits_and_holds_no_controls(text in "[ -~あ\\x00-\\x1f😀]{0,200}", max in 1_u32..4) {
        if lint(&text, Purpose::Notice, None, Counting::Standard, max).is_ok() {
            prop_assert!(segments(&text, Counting::Standard).count <= max);
            prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
        }
    }

    #[test]
    fn no_template_makes_the_parser_panic(body in "[{}a-z\n]{0,60}") {
        let _ = Templates::default().add("x", Locale::En, &body);
    }

    #[test]
    fn no_domain_carries_a_second_line_or_a_space(raw in "\\PC{0,30}") {
        if let Ok(domain) = parse_domain(&raw) {
            prop_assert!(domain.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-'));
        }
    }
}
