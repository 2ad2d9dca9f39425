//! Every wrong key of a table is named with its value, once, and none that is wrong only because another is.

use std::str::FromStr;

use figment::value::Dict;

use super::super::table;
use super::super::unread::Unread;
use super::*;

const UNSIGNED: &str = "must be a whole number, 0 or more";
const BOOLEAN: &str = "must be true or false";
const MISSING: &str = "is missing; set it";
const UNKNOWN: &str = "is not a setting; known here: ";

/// `expected` are a key, its value (empty for none) and how the remedy begins.
fn check(toml: &str, expected: &[(&str, &str, &str)]) {
    let told = read(toml, &[]).expect_err("these settings are wrong").0;
    let alike = told.len() == expected.len()
        && told.iter().zip(expected).all(|(told, (key, value, remedy))| {
            told.key == *key && told.value.as_deref().unwrap_or("") == *value && told.remedy.starts_with(remedy)
        });
    assert!(alike, "{expected:#?} was expected, and told was {told:#?}");
}

/// The good settings with one line in place of another.
fn with(right: &str, wrong: &str) -> String {
    assert!(GOOD.contains(right), "{right} is in the good settings");
    GOOD.replacen(right, wrong, 1)
}

#[test]
fn every_wrong_key_of_a_route_is_named() {
    let (head, rest) = GOOD.split_once("[[route]]").expect("a route");
    let (_, plan) = rest.split_once("[plan.JP]").expect("a plan");
    let route = "id = \"jp-sakura\"\nprovider = \"nix\"\ncountry = \"JPN\"\nclass = \"dom\"\nchannel = \"mms\"\n\
                 rank = \"x\"\nreceipt = \"maybe\"\nsender = 5\nfoo = 1\n";
    check(
        &format!("{head}[[route]]\n{route}[plan.JP]{plan}"),
        &[
            ("route[0].channel", "\"mms\"", "must be one of sms, voice"),
            ("route[0].class", "\"dom\"", "must be one of domestic, international"),
            ("route[0].country", "\"JPN\"", "country \"JPN\" must be two capital letters"),
            ("route[0].foo", "1", "is not a setting; known here: id, provider, country"),
            ("route[0].rank", "\"x\"", UNSIGNED),
            ("route[0].receipt", "\"maybe\"", "must be one of "),
            ("route[0].sender", "5", "must be a text in quotes"),
            ("route[0].provider", "nix", "is no [[provider]]; known are: sakura"),
        ],
    );
}

#[test]
fn every_wrong_key_of_a_provider_is_named_and_no_route_is_blamed_for_it() {
    let wrong = "kind = \"fax\"\nrate_per_s = \"x\"\nconcurrency = -1\ntimeout_ms = true\nfoo = 1";
    check(
        &with("kind = \"smslink\"", wrong),
        &[
            ("provider[0].concurrency", "-1", UNSIGNED),
            ("provider[0].foo", "1", UNKNOWN),
            ("provider[0].kind", "\"fax\"", "must be one of smslink, infobip, twilio, twilio_voice"),
            ("provider[0].rate_per_s", "\"x\"", UNSIGNED),
            ("provider[0].timeout_ms", "true", UNSIGNED),
        ],
    );
    for (right, wrong, (key, value, remedy)) in [
        ("id = \"sakura\"", "id = \"Sakura\"", ("provider[0].id", "\"Sakura\"", "provider id \"Sakura\" must be")),
        ("id = \"sakura\"", "", ("provider[0].id", "", MISSING)),
        ("kind = \"smslink\"", "kind = \"fax\"", ("provider[0].kind", "\"fax\"", "must be one of")),
        ("secret_file = \"DIR/secret\"", "", ("provider[0]", "", "has no `secret_file` (or `secret`)")),
        ("secret_file = \"DIR/secret\"", "secret_file = 5", ("provider[0].secret_file", "", "must be")),
    ] {
        check(&with(right, wrong), &[(key, value, remedy)]);
    }
}

#[test]
fn every_wrong_key_of_the_policy_and_of_a_tenant_is_named() {
    let policy = "[policy]\nguesses = 300\nretry_first_ms = \"soon\"\nretry_last_ms = 1\nresend_cooldown_ms = [1]\n\
                  calls_per_hour = 0\nfoo = [1, \"two\"]";
    check(
        &format!("{GOOD}\n{policy}"),
        &[
            ("policy.foo", "[1, \"two\"]", UNKNOWN),
            ("policy.guesses", "300", "must be a whole number from 0 to 255"),
            ("policy.resend_cooldown_ms", "[1]", "must be an array of length 3"),
            ("policy.retry_first_ms", "\"soon\"", UNSIGNED),
            ("policy.calls_per_hour", "0", "must be at least 1"),
        ],
    );
    let tenant = "require_to = \"no\"\nlogin_lane = \"fast\"\ncountries = [\"JPN\", \"JP\", 5]\ncalls_per_hour = 0\n\
                  resend_cooldown_ms = [\"a\", 2, \"c\"]\nsenders = { jp-nix = \"ACME\", jp-sakura = 5 }\nfoo = \"bar\"";
    check(
        &with("require_to = true", tenant),
        &[
            ("tenant.acme.countries[0]", "\"JPN\"", "country \"JPN\" must be two capital letters"),
            ("tenant.acme.countries[2]", "5", "must be a text in quotes"),
            ("tenant.acme.foo", "\"bar\"", UNKNOWN),
            ("tenant.acme.login_lane", "\"fast\"", "must be one of"),
            ("tenant.acme.require_to", "\"no\"", BOOLEAN),
            ("tenant.acme.resend_cooldown_ms[0]", "\"a\"", UNSIGNED),
            ("tenant.acme.resend_cooldown_ms[2]", "\"c\"", UNSIGNED),
            ("tenant.acme.senders.jp-sakura", "5", "must be a text in quotes"),
            ("tenant.acme.calls_per_hour", "0", "must be at least 1"),
            ("tenant.acme.senders", "jp-nix", "is not the id of a [[route]]; known are: jp-sakura"),
        ],
    );
}

#[test]
fn a_plan_that_is_there_but_wrong_is_not_missing() {
    check(
        &with("international = \"never\"", "international = \"maybe\"\nvoice = \"yes\"\nfoo = 1.5"),
        &[
            ("plan.JP.foo", "1.5", "is not a setting; known here: international, voice"),
            ("plan.JP.international", "\"maybe\"", "must be one of"),
            ("plan.JP.voice", "\"yes\"", BOOLEAN),
        ],
    );
    check(&with("international = \"never\"", "voice = \"yes\""), &[("plan.JP.voice", "\"yes\"", BOOLEAN)]);
    check(&with("[plan.JP]", "[plan.jp]"), &[("plan.jp", "", "country \"jp\" must be two capital letters")]);
}

#[test]
fn a_route_that_lacks_a_key_is_a_route_all_the_same() {
    check(&with("receipt = \"handset\"", ""), &[("route[0].receipt", "", MISSING)]);
    let wrong = with("rank = 1\n", "").replacen("receipt = \"handset\"", "segments_max = \"four\"\nusual_s = 0", 1);
    check(
        &wrong,
        &[
            ("route[0].segments_max", "\"four\"", UNSIGNED),
            ("route[0].rank", "", MISSING),
            ("route[0].receipt", "", MISSING),
            ("route[0].usual_s", "0", "must be at least 1"),
        ],
    );
    check(
        &with("rank = 1", "rank = 1\nusual_s = \"long\"\noverdue_after_s = 1"),
        &[("route[0].usual_s", "\"long\"", UNSIGNED)],
    );
}

#[test]
fn tables_within_tables_are_read_to_their_end() {
    let nested = "[lanes.critical]\nconcurrency = \"x\"\nfoo = 1\n[lanes.bulk]\nwindow = -5\nconcurrency = 0\n\
                  [template.shop]\nen = 5\n[template.shop.payment]\nfr = \"{code}\"\nja = 6";
    check(
        &format!("{GOOD}\n{nested}"),
        &[
            ("template.shop.en", "5", "must be a text in quotes"),
            ("template.shop.payment.fr", "\"{code}\"", UNKNOWN),
            ("template.shop.payment.ja", "6", "must be a text in quotes"),
            ("lanes.bulk.window", "-5", UNSIGNED),
            ("lanes.critical.concurrency", "\"x\"", UNSIGNED),
            ("lanes.critical.foo", "1", "is not a setting; known here: concurrency, window"),
            ("lanes.bulk.concurrency", "0", "must be at least 1"),
        ],
    );
    let roots = "roots = { k1 = \"DIR/root\", k2 = 5, K3 = \"DIR/root\" }\nactive_kid = 1\n";
    check(
        &GOOD.replacen("roots = { k1 = \"DIR/root\" }", roots, 1).replacen("rank = 1", "rank = 0", 1),
        &[
            ("codes.active_kid", "1", "is not a setting; known here: active, roots"),
            ("codes.roots.K3", "", "kid \"K3\" must be"),
            ("codes.roots.k2", "", "must be"),
            ("route[0].rank", "0", "must be at least 1"),
        ],
    );
}

#[test]
fn what_is_no_table_is_named_as_a_whole() {
    check(
        &format!("{GOOD}\n[policy.guesses]\nx = 1"),
        &[("policy.guesses", "a table", "must be a whole number from 0")],
    );
    check(&with("[plan.JP]\ninternational = \"never\"", "[plan]\nJP = 5"), &[("plan.JP", "5", "must be a table")]);
    check(
        &format!("foo = 1\nlisten = 5\n{GOOD}"),
        &[("listen", "5", "must be socket address"), ("foo", "1", "is not a setting; known here: public_url, listen")],
    );
}

#[test]
fn what_must_be_there_and_is_not_hides_nothing_else() {
    let wrong = with("public_url = \"https://otp.example.com/\"", "").replacen("[seal]", "[zeal]", 1);
    check(
        &wrong.replacen("rank = 1", "rank = 0", 1),
        &[
            ("public_url", "", "is missing; set where providers reach us"),
            ("seal", "", "is missing; set seal.root_file"),
            ("zeal", "", UNKNOWN),
            ("route[0].rank", "0", "must be at least 1"),
        ],
    );
}

#[test]
fn every_wrong_number_of_a_server_is_named() {
    let amqp = "[amqp]\nurls = [5]\nprefetch = 3000\nshards = 0\nbatch = \"all\"\nfoo = 1";
    let postgres = "[postgres]\npool_size = 2\nwait_timeout_ms = 0\ninbox_max = -1";
    check(
        &format!("{GOOD}\n{amqp}\n{postgres}"),
        &[
            ("amqp.batch", "\"all\"", UNSIGNED),
            ("amqp.foo", "1", UNKNOWN),
            ("amqp.urls[0]", "", "must be"),
            ("postgres.inbox_max", "-1", UNSIGNED),
            ("postgres", "", "has no `url_file` (or `url`)"),
            ("amqp.shards", "0", "must be 1 to"),
            ("amqp.prefetch", "3000", "must be 1 to 2000"),
            ("postgres.pool_size", "2", "must be at least 3"),
            ("postgres.wait_timeout_ms", "0", "must be at least 1"),
        ],
    );
}

#[test]
fn whatever_may_be_a_secret_is_not_told() {
    let servers = "[amqp]\nurl_fil = \"hunter2\"\nurls = [5, \"amqp://a:hunter2@host\"]\nprefetch = \"amqp://a:hunter2@host\"\n\
                   [postgres]\nurl = [\"hunter2\"]\npassword = 12345\npool_size = 2\n\
                   [tenant.other]\napi_key = \"hunter2\"\nlink = \"https://a:hunter2@host\"\nsettings = { secret = \"hunter2\" }";
    let toml = format!("token = \"hunter2\"\nsignature = \"hunter2\"\n{GOOD}\n{servers}");
    let toml = toml.replacen("kind = \"smslink\"", "kind = \"smslink\"\nsercet = \"hunter2\"\nsecrets = 12345", 1);
    check(
        &toml,
        &[
            ("tenant.other.api_key", "", UNKNOWN),
            ("tenant.other.link", "", UNKNOWN),
            ("tenant.other.settings", "", UNKNOWN),
            ("provider[0].secrets", "", UNKNOWN),
            ("provider[0].sercet", "", UNKNOWN),
            ("amqp.prefetch", "", "must be"),
            ("amqp.url_fil", "", UNKNOWN),
            ("amqp.urls[0]", "", "must be"),
            ("postgres.password", "", UNKNOWN),
            ("postgres.url", "", "must be"),
            ("signature", "", UNKNOWN),
            ("token", "", UNKNOWN),
            ("postgres.pool_size", "2", "must be at least 3"),
        ],
    );
    let said = read(&toml, &[]).expect_err("wrong settings").to_string();
    assert!(!said.contains("hunter2") && !said.contains("12345"), "{said}");
}

#[test]
fn a_text_in_place_of_a_section_may_be_its_secret_and_is_not_told() {
    for section in ["amqp", "postgres", "seal", "codes", "provider"] {
        let told = |toml: &str, variables: &[(&str, &str)]| read(toml, variables).err().map(|wrong| wrong.to_string());
        let said = told(&format!("{section} = \"host=db password=hunter2\""), &[]).unwrap_or_default();
        assert!(said.contains(section) && !said.contains("hunter2"), "{said}");
        let variable = format!("OTODOKE_{}", section.to_uppercase());
        let said = told("", &[(&variable, "host=db password=hunter2")]).unwrap_or_default();
        assert!(!said.is_empty() && !said.contains("hunter2"), "{said}");
    }
}

#[test]
fn every_key_that_a_table_must_have_can_be_made_up() {
    fn read_nothing<T: serde::de::DeserializeOwned>(section: &str) -> (bool, Vec<String>) {
        let (mut problems, mut unread) = (Vec::new(), Unread::default());
        let read = table::read::<T>(section, &Dict::new().into(), &mut problems, &mut unread);
        (read.is_some(), problems.into_iter().map(|problem| problem.key).collect())
    }
    let (is_read, told) = read_nothing::<RouteSettings>("route[0]");
    assert!(is_read && told.len() == 8, "{told:?}");
    let (is_read, told) = read_nothing::<ProviderSettings>("provider[0]");
    assert!(
        is_read && told == ["provider[0].id", "provider[0].kind", "provider[0].base_url", "provider[0]"],
        "{told:?}"
    );
    let (is_read, told) = read_nothing::<CodesSettings>("codes");
    assert!(is_read && told == ["codes.active", "codes.roots"], "{told:?}");
    assert!(Kid::from_str("unread").is_ok());
}

#[test]
fn a_long_list_of_wrong_entries_is_told_to_its_end() {
    let list = vec!["5"; 200].join(", ");
    let told = refused(&with("require_to = true", &format!("amqp_users = [{list}]")));
    assert_eq!(told.len(), 200);
    assert!(told[199].starts_with("tenant.acme.amqp_users[199] = 5: must be a text"), "{}", told[199]);
}
