//! Settings read whole: good ones are believed, wrong ones are named all at once.

use std::path::Path;

use super::*;
use crate::message::Locale;

mod documented;
mod variables;
mod wrong_keys;

const ROOT: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

const GOOD: &str = r#"
public_url = "https://otp.example.com/"
[codes]
active = "k1"
roots = { k1 = "DIR/root" }
[seal]
root_file = "DIR/root"
[tenant.acme]
require_to = true
[[provider]]
id = "sakura"
kind = "smslink"
base_url = "https://sms.example.com"
secret_file = "DIR/secret"
[[route]]
id = "jp-sakura"
provider = "sakura"
country = "JP"
class = "domestic"
channel = "sms"
rank = 1
sender = "Acme"
receipt = "handset"
[plan.JP]
international = "never"
"#;

/// Reads `toml` with `DIR` standing for a directory that holds a root and a secret.
fn read(toml: &str, variables: &[(&str, &str)]) -> Result<Settings, Problems> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let write = |name: &str, content: &str| std::fs::write(directory.path().join(name), content).expect("written");
    write("root", ROOT);
    write("secret", "hunter2\n");
    write("otodoke.toml", &toml.replace("DIR", &directory.path().display().to_string()));
    source(&directory.path().join("otodoke.toml"), variables).read()
}

fn source(file: &Path, variables: &[(&str, &str)]) -> Source {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Source { file: Some(file.to_owned()), variables }
}

fn refused(toml: &str) -> Vec<String> {
    read(toml, &[]).expect_err("these settings are wrong").0.iter().map(ToString::to_string).collect()
}

#[test]
fn a_whole_file_is_read() {
    let settings = read(GOOD, &[]).expect("good settings");
    assert_eq!(settings.public_url, "https://otp.example.com");
    assert_eq!(settings.providers[0].secret.expose(), "hunter2");
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    let acme = TenantId::parse("acme").expect("a tenant");
    assert!(settings.tenants[&acme].require_to);
    let table = settings.route_table(|_| Some((Abilities::default(), Counting::Standard)));
    assert_eq!(table.routes.len(), 1);
    assert_eq!(table.routes[0].overdue_after_ms, 30_000);
    assert!(settings.route_table(|_| None).routes.is_empty());
}

#[test]
fn every_problem_names_its_key_its_value_and_what_would_be_right() {
    let cases = [
        ("https://otp.example.com/", "http://otp.example.com", "public_url = http://otp.example.com: use https://"),
        ("active = \"k1\"", "active = \"k2\"", "codes.active = k2: must be a kid of codes.roots: k1"),
        ("rank = 1", "rank = 0", "route[0].rank = 0: must be at least 1"),
        ("rank = 1", "rank = -1", "route[0].rank = -1: must be a whole number, 0 or more"),
        ("rank = 1", "rnak = 1", "route[0].rnak = 1: is not a setting; known here: id, provider,"),
        (
            "provider = \"sakura\"",
            "provider = \"saku\"",
            "route[0].provider = saku: is no [[provider]]; known are: sakura",
        ),
        (
            "channel = \"sms\"",
            "channel = \"voice\"",
            "route[0].channel = voice: provider sakura is a smslink, which carries",
        ),
        (
            "class = \"domestic\"",
            "class = \"local\"",
            "route[0].class = \"local\": must be one of domestic, international",
        ),
        (
            "class = \"domestic\"",
            "class = \"international\"",
            "plan.JP: has no usable route for texts; `international = ",
        ),
        (
            "class = \"domestic\"",
            "class = \"domestic\"\nretiring = true",
            "plan.JP: has no usable route for texts; add a [[route]]",
        ),
        ("international = \"never\"", "voice = true", "plan.JP.voice = true: has no usable route for calls"),
        ("[plan.JP]", "[plan.jp]", "plan.jp: country \"jp\" must be two capital letters"),
        ("secret_file = \"DIR/secret\"", "", "provider[0]: has no `secret_file`"),
        ("DIR/secret", "DIR/nothing", "cannot be read"),
        ("kind = \"smslink\"", "kind = \"fax\"", "provider[0].kind = \"fax\": must be one of smslink, infobip, twilio"),
        (
            "https://sms.example.com",
            "http://sms.example.com",
            "provider[0].base_url = http://sms.example.com: use https://",
        ),
        (
            "require_to = true",
            "require_too = true",
            "tenant.acme.require_too = true: is not a setting; known here: require_to,",
        ),
        ("require_to = true", "login_lane = \"bulk\"", "tenant.acme.login_lane = bulk: must be normal or critical"),
        ("[seal]", "[zeal]", "seal: is missing; set seal.root_file"),
    ];
    for (right, wrong, expected) in cases {
        assert!(GOOD.contains(right), "{right} is in the good settings");
        let said = refused(&GOOD.replacen(right, wrong, 1));
        assert!(said.iter().any(|line| line.contains(expected)), "{expected:?} is not among {said:#?}");
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let said =
        refused(&GOOD.replace("rank = 1", "rank = 0").replace("k1\"", "k2\"").replace("[plan.JP]", "[plans.JP]"));
    for expected in ["route[0].rank", "codes.active", "plans: is not a setting", "plan: is missing"] {
        assert!(said.iter().any(|line| line.contains(expected)), "{expected:?} is not among {said:#?}");
    }
}

#[test]
fn a_crash_gap_that_a_slow_call_outlasts_is_refused_with_its_numbers() {
    let said = refused(&format!("{GOOD}\n[policy]\ncrash_gap_ms = 12000"));
    let expected = "policy.crash_gap_ms = 12000: must be more than 12000: timeout_ms = 5000 of provider sakura, \
                    plus 5000 that a repeat may wait for a permit, plus twice clock_skew_ms_max = 1000";
    assert_eq!(said, [expected]);
    assert!(read(&format!("{GOOD}\n[policy]\ncrash_gap_ms = 12001"), &[]).is_ok());
}

#[test]
fn ids_are_given_once() {
    let (head, route) = GOOD.split_once("[[route]]").expect("a route");
    let (route, plan) = route.split_once("[plan.JP]").expect("a plan");
    let said = refused(&format!("{head}[[route]]{route}[[route]]{route}[plan.JP]{plan}"));
    assert_eq!(said, ["route[1].id = jp-sakura: is the id of another route; give each its own"]);
}

#[test]
fn a_secret_is_not_told_even_when_it_is_wrong() {
    let said = refused(&GOOD.replace("secret_file = \"DIR/secret\"", "secret = 12345")).join("\n");
    assert!(said.contains("secret") && !said.contains("12345"), "{said}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let said = source(Path::new("/nowhere/otodoke.toml"), &[]).read().expect_err("no such file").to_string();
    assert!(said.contains("/nowhere/otodoke.toml"), "{said}");
}

#[test]
fn a_name_in_front_of_the_host_is_no_host() {
    let said = refused(&GOOD.replacen("https://otp.example.com/", "http://127.0.0.1:80@evil.example", 1));
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].starts_with("public_url: use https://"), "what may hold a password is not repeated: {said:#?}");
}

#[test]
fn prices_are_in_a_currency_that_exists() {
    let said = refused(&format!("{GOOD}\n[policy]\ncurrency = \"JYP\""));
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].starts_with("policy.currency = \"JYP\": \"JYP\" is no currency that ISO 4217 lists"), "{said:#?}");
}

#[test]
fn the_sandbox_is_well_set() {
    let root = || Root::new(vec![7; ROOT_BYTES_MIN]).expect("long enough");
    let kid = Kid::parse("k1").expect("a kid");
    let carrier =
        || SandboxCarrier { base_url: "http://127.0.0.1:9".to_owned(), account: None, secret: Secret::new("sandbox") };
    let place = SandboxPlace {
        listen: ([127, 0, 0, 1], 8080).into(),
        codes: CodesSettings { active: kid.clone(), roots: BTreeMap::from([(kid, root())]) },
        seal: SealSettings { root: root() },
    };
    let carriers = SandboxCarriers { sakura: carrier(), fuji: carrier(), atlas: carrier(), kodama: carrier() };
    assert_eq!(Settings::sandbox(place, carriers).problems(), []);
}

/// The settings of a process in production, with `section` among them.
fn with_servers(amqp: &str, postgres: &str) -> String {
    format!("{GOOD}\n[amqp]\n{amqp}\n[postgres]\n{postgres}")
}

const AMQP: &str = "url = \"amqp://guest:hunter2@127.0.0.1:5672/%2f\"";
const POSTGRES: &str = "url = \"postgres://otodoke:hunter2@127.0.0.1/otodoke\"";

#[test]
fn servers_are_read_with_the_limits_that_were_set() {
    let toml =
        with_servers(&format!("{AMQP}\nnamespace = \"east.\"\nlane_length = 7"), &format!("{POSTGRES}\npool_size = 5"));
    let settings = read(&toml, &[]).expect("good settings");
    let (amqp, postgres) = settings.servers().expect("both are there");
    assert_eq!((amqp.namespace.as_str(), amqp.lengths.lane, amqp.urls.len()), ("east.", 7, 1));
    assert_eq!(amqp.shards, RabbitSettings::new(Vec::new()).shards);
    assert_eq!(postgres.pool_size, 5);
}

#[test]
fn a_user_of_the_broker_is_one_tenants_and_none_of_ours() {
    let with = |tenants: &str, amqp: &str| {
        let whole = format!("{GOOD}\n{tenants}\n[amqp]\nurl = \"amqp://otodoke:x@127.0.0.1\"\n{amqp}");
        read(&whole, &[]).map_err(|Problems(problems)| problems.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let one = "[tenant.one]\namqp_users = [\"one-app\"]\namqp_clear = true";
    let settings = with(one, "own_users = [\"otodoke-worker\"]").expect("good settings");
    let own: Vec<String> = settings.amqp.expect("there is a broker").own_users().into_iter().collect();
    assert_eq!(own, ["otodoke", "otodoke-worker"]);
    let tenant = &settings.tenants[&TenantId::parse("one").expect("a tenant")];
    assert!(tenant.amqp_clear && tenant.amqp_users.contains("one-app"));
    for (tenants, amqp, expected) in [
        (
            "[tenant.one]\namqp_users = [\"otodoke\"]".to_owned(),
            "",
            "tenant.one.amqp_users = otodoke: is a user of our own",
        ),
        (one.to_owned(), "own_users = [\"one-app\"]", "tenant.one.amqp_users = one-app: is a user of our own"),
        (format!("{one}\n[tenant.two]\namqp_users = [\"one-app\"]"), "", "= one-app: is tenant two's as well"),
    ] {
        let said = with(&tenants, amqp).expect_err("wrong settings");
        assert!(said.iter().any(|said| said.contains(expected)), "{said:?}");
    }
}

#[test]
fn a_process_that_needs_servers_says_which_are_missing() {
    let said = read(GOOD, &[]).expect("good settings").servers().expect_err("none is set").to_string();
    assert!(said.contains("amqp: is missing") && said.contains("postgres: is missing"), "{said}");
}

#[test]
fn a_wrong_server_is_named_and_its_password_is_not() {
    let wrong_amqp = |amqp: &str| refused(&with_servers(amqp, POSTGRES)).join("\n");
    let wrong_postgres = |postgres: &str| refused(&with_servers(AMQP, postgres)).join("\n");
    let url_twice = format!("{AMQP}\nurl_file = \"DIR/secret\"");
    for (said, expected) in [
        (wrong_amqp(""), "amqp: has no `url_file`"),
        (wrong_amqp(&url_twice), "amqp: has more than one of"),
        (wrong_amqp("url_file = \"DIR/nothing\""), "cannot be read"),
        (wrong_amqp("url = \"http://guest:hunter2@host\""), "amqp: AMQP URL number 1 cannot be read"),
        (wrong_amqp("urls = \"amqp://guest:hunter2@host\""), "amqp.urls: must be"),
        (wrong_amqp(&format!("{AMQP}\nprefetch = 3000")), "amqp.prefetch = 3000: must be 1 to 2000"),
        (wrong_amqp(&format!("{AMQP}\nlane_length = 0")), "amqp.lane_length = 0: must be 1 to"),
        (wrong_amqp(&format!("{AMQP}\nshard = 2")), "amqp.shard = 2: is not a setting"),
        (wrong_postgres(""), "postgres: has no `url_file`"),
        (wrong_postgres("url = \"mysql://root:hunter2@host/x\""), "postgres.url: the url of PostgreSQL cannot be read"),
        (wrong_postgres(&format!("{POSTGRES}\npool_size = 2")), "postgres.pool_size = 2: must be at least 3"),
        (
            wrong_postgres(&format!("{POSTGRES}\nwait_timeout_ms = 0")),
            "postgres.wait_timeout_ms = 0: must be at least 1",
        ),
    ] {
        assert!(said.contains(expected), "{expected:?} is not in {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_tenants_own_settings_are_read_and_what_they_name_must_be_there() {
    let tenant = "require_to = true\nspend_per_hour = 500\nresends_max = 1\ncountries = [\"JP\"]\nvoice_countries = []\nsenders = { jp-sakura = \"ACME\" }\ntemplates = [\"shop\", \"default\"]\n[template.shop]\nen = \"{code} shop\"\n[template.bank]\nen = \"{code} bank\"";
    let settings = read(&GOOD.replace("require_to = true", tenant), &[]).expect("good settings");
    let table = settings.route_table(|_| Some((Abilities::default(), Counting::Standard)));
    let [acme, other] = ["acme", "other"].map(|tenant| TenantId::parse(tenant).expect("a tenant"));
    assert_eq!(table.sender(&acme, &table.routes[0]), "ACME");
    assert_eq!(table.sender(&other, &table.routes[0]), "Acme");
    let speaks = |tenant| ["default", "shop", "bank"].map(|template| table.speaks(tenant, template));
    assert_eq!((speaks(&acme), speaks(&other)), ([true, true, false], [true, true, true]));
    assert_eq!(settings.tenants[&acme].limits().spend_per_hour, Some(500));
    let wrong = "spend_per_hour = 0\ncountries = [\"US\"]\nsenders = { jp-fuji = \" \" }\ntemplates = [\"shop\"]";
    let told = refused(&GOOD.replace("require_to = true", wrong)).join("\n");
    for key in [
        "acme.spend_per_hour",
        "acme.countries = US",
        "acme.senders = jp-fuji",
        "acme.senders.jp-fuji",
        "acme.templates = shop",
    ] {
        assert!(told.contains(key), "{key} is not in:\n{told}");
    }
}

#[test]
fn templates_are_read_as_text_or_by_file_and_a_wrong_one_is_named() {
    let with = |section: &str| format!("{GOOD}\n[template.shop]\n{section}");
    let good = with(
        "en = \"{code} for you\"\nja_file = \"DIR/secret\"\n[template.shop.payment]\nen = \"{code} {amount} {payee}\"",
    );
    let bodies = &read(&good, &[]).expect("good settings").templates["shop"].bodies;
    assert_eq!(bodies[&(Use::Plain, Locale::En)], "{code} for you");
    assert_eq!(bodies[&(Use::Plain, Locale::Ja)], "hunter2\n");
    assert_eq!(bodies.len(), 3);
    for (section, told) in [
        ("", "says nothing"),
        ("en = \"{code}\"\nen_file = \"DIR/secret\"", "has `en` and `en_file`"),
        ("en_file = \"DIR/gone\"", "en_file DIR/gone"),
        ("fr = \"{code}\"", "fr"),
    ] {
        let problems = refused(&with(section)).join("\n");
        let told = told.split("DIR").next().expect("a split has a first part");
        assert!(problems.contains("template.shop") && problems.contains(told), "{section}: {problems}");
    }
}
