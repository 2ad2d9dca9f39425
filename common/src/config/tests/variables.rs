//! Variables over the file, and what is said of wrong ones.

use super::*;

#[test]
fn variables_win_over_the_file_and_strangers_are_ignored() {
    let variables = [
        ("OTODOKE_LISTEN", "0.0.0.0:9000"),
        ("OTODOKE_PLAN__JP__INTERNATIONAL", "last"),
        ("OTODOKE_POLICY__GUESSES", "3"),
        ("OTODOKE_TENANT__ACME__REQUIRE_TO", "false"),
        ("OTODOKE_URL", "http://elsewhere"),
        ("PATH", "/bin"),
    ];
    let settings = read(GOOD, &variables).expect("good settings");
    assert_eq!(settings.listen.port(), 9000);
    assert_eq!(settings.plans[&Country::JP].international, crate::route::International::Last);
    assert_eq!(settings.policy.guesses, 3);
    assert!(!settings.tenants.values().next().expect("acme").require_to);
}

#[test]
fn a_wrong_variable_is_named_and_a_kid_may_look_like_a_number() {
    for (variable, value, told) in [
        ("OTODOKE_FOO", "1", "foo = 1: is not a setting; known here: "),
        ("OTODOKE_POSTGRES_URL", "x", "postgres_url: is not a setting; known here: "),
        ("OTODOKE_POLICY__GUESSES", "many", "policy.guesses = \"many\": must be a whole number from 0 to 255"),
        ("OTODOKE_CODES__ACTIVE", "7", "codes.active = 7: must be a kid of codes.roots: k1"),
        ("OTODOKE_CODES__ACTIVE", "true", "codes.active = true: must be a text in quotes"),
    ] {
        let problems = read(GOOD, &[(variable, value)]).expect_err(variable);
        let said = problems.0[0].to_string();
        assert!(said.starts_with(told) && said.ends_with(&format!("; the variable {variable} says it")), "{said}");
    }
    let numbered = GOOD.replace("k1", "1");
    let settings = read(&numbered, &[("OTODOKE_CODES__ACTIVE", "1")]).expect("good settings");
    assert_eq!(settings.codes.active.as_str(), "1");
    assert_eq!(refused("x = 1")[0], "public_url: is missing; set where providers reach us: https://otp.example.com");
}

#[test]
fn a_variable_of_the_command_line_is_no_setting() {
    for name in [
        "OTODOKE_CONFIG",
        "OTODOKE_URL",
        "OTODOKE_API_KEY",
        "OTODOKE_DATA",
        "OTODOKE_LOG",
        "OTODOKE_LOG_FORMAT",
        "OTODOKE_THREADS",
        "OTODOKE_BENCH_AMQP_URL",
        "OTODOKE_BENCH_POSTGRES_URL",
    ] {
        assert!(read(GOOD, &[(name, "anything")]).is_ok(), "{name}");
    }
}

#[test]
fn urls_come_from_files_and_variables_too() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("amqp");
    std::fs::write(&path, "amqp://a:b@one\n\namqp://a:b@two\n").expect("written");
    let variables = [
        ("OTODOKE_AMQP__URL_FILE", path.to_str().expect("a path")),
        ("OTODOKE_POSTGRES__URL", "postgres://otodoke:hunter2@127.0.0.1/otodoke"),
    ];
    let settings = read(GOOD, &variables).expect("good settings");
    let urls: Vec<&str> = settings.servers().expect("both are there").0.urls.iter().map(Secret::expose).collect();
    assert_eq!(urls, ["amqp://a:b@one", "amqp://a:b@two"]);
}

#[test]
fn a_variable_takes_the_place_of_whichever_form_the_file_has() {
    let file = with_servers("url_file = \"DIR/nothing\"", "url = \"postgres://a:b@127.0.0.1/file\"")
        + "\n[template.shop]\nen_file = \"DIR/nothing\"";
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("postgres");
    std::fs::write(&path, "postgres://a:b@127.0.0.1/variable").expect("written");
    let variables = [
        ("OTODOKE_AMQP__URLS", "[\"amqp://a:b@one\"]"),
        ("OTODOKE_POSTGRES__URL_FILE", path.to_str().expect("a path")),
        ("OTODOKE_TEMPLATE__SHOP__EN", "Shop: {code}"),
    ];
    let settings = read(&file, &variables).expect("good settings");
    let (amqp, postgres) = settings.servers().expect("both are there");
    assert_eq!(amqp.urls.iter().map(Secret::expose).collect::<Vec<_>>(), ["amqp://a:b@one"]);
    assert!(postgres.url.expose().ends_with("/variable"));
    let both = [("OTODOKE_AMQP__URL", "amqp://a:b@one"), variables[0], variables[1], variables[2]];
    let said = read(&file, &both).expect_err("which of the two variables is meant?").to_string();
    assert!(said.contains("has more than one of"), "{said}");
}
