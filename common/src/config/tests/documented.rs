//! `SETTINGS.md` has every key that is read, and no other; and the defaults of `[policy]` as they are.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

const DOCUMENT: &str = include_str!("../../../../SETTINGS.md");

/// By a section's heading in the document, what makes the reader tell all its keys: a text of `GOOD`, and a wrong key behind it.
const ASKED: [(&str, &str, &str); 13] = [
    ("## Top", "[codes]", "foo = 1\n[codes]"),
    ("## `[codes]`", "[codes]", "[codes]\nfoo = 1"),
    ("## `[seal]`", "[seal]", "[seal]\nfoo = 1"),
    ("## `[[provider]]`", "[[provider]]", "[[provider]]\nfoo = 1"),
    ("## `[[route]]`", "[[route]]", "[[route]]\nfoo = 1"),
    ("## `[plan.JP]`", "[plan.JP]", "[plan.JP]\nfoo = 1"),
    ("## `[tenant.acme]`", "[tenant.acme]", "[tenant.acme]\nfoo = 1"),
    ("## `[template.shop]`", "[seal]", "[template.shop]\nfoo = 1\n[seal]"),
    ("## `[policy]`", "[seal]", "[policy]\nfoo = 1\n[seal]"),
    ("## `[lanes.critical]`", "[seal]", "[lanes.bulk]\nfoo = 1\n[seal]"),
    ("## `[amqp]`", "[seal]", "[amqp]\nfoo = 1\n[seal]"),
    ("## `[postgres]`", "[seal]", "[postgres]\nfoo = 1\n[seal]"),
    ("## `[template.shop]`", "[seal]", "[template.shop.payment]\nfoo = 1\n[seal]"),
];

/// The rows of a section: each names keys, and says their defaults in the same order.
fn rows(heading: &str) -> Vec<(Vec<&'static str>, &'static str)> {
    let (_, section) = DOCUMENT.split_once(heading).unwrap_or_else(|| panic!("SETTINGS.md has no {heading}"));
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|row| row.strip_prefix("| ")?.split_once(" | "));
    cells
        .map(|(keys, rest)| (quoted(keys), rest.split(" | ").next().unwrap_or_default().trim_matches(['|', ' '])))
        .collect()
}

fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_key_is_documented_and_no_other() {
    for (heading, text, asked) in ASKED {
        let problems = refused(&GOOD.replacen(text, asked, 1));
        let told = problems.iter().find_map(|said| said.split_once("foo = 1: is not a setting; known here: "));
        let (_, known) = told.unwrap_or_else(|| panic!("{asked}: {problems:?}"));
        let known: BTreeSet<&str> = known.split(", ").collect();
        let named: BTreeSet<&str> = rows(heading).into_iter().flat_map(|(keys, _)| keys).collect();
        let missing: Vec<&&str> = known.difference(&named).collect();
        assert!(missing.is_empty(), "{heading} of SETTINGS.md does not name {missing:?}");
        let gone: Vec<&&str> =
            named.difference(&known).filter(|key| !asked.contains("payment") || **key != "payment").collect();
        assert!(gone.is_empty(), "{heading} of SETTINGS.md names what is read nowhere: {gone:?}");
    }
}

#[test]
fn the_defaults_of_the_policy_are_those_that_are_documented() {
    let policy = serde_json::to_value(Policy::default()).expect("plain fields");
    for (keys, defaults) in rows("## `[policy]`") {
        let said: Vec<Value> = match keys.as_slice() {
            [_] => vec![serde_json::from_str(defaults).expect(defaults)],
            _ => defaults.split(", ").map(|each| serde_json::from_str(each).expect(defaults)).collect(),
        };
        let real: Vec<&Value> = keys.iter().map(|key| &policy[*key]).collect();
        assert_eq!(said.iter().collect::<Vec<_>>(), real, "{keys:?}");
    }
}
