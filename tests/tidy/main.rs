//! The rules of the house that are worth repeating: who may name what, how long a file may be, what a name may be called.

use std::fs;
use std::path::{Path, PathBuf};

use otodoke_common::outcome::Reason;

const FILE_LINES_MAX: usize = 400;
const MEMBERS: [&str; 9] =
    ["allocator", "common", "providers", "producer", "worker", "sandbox", "bench", "otodoke", "tests"];

/// A crate, and the one place of ours that may name it.
const NAMED_IN_ONE_PLACE: [(&str, &str); 9] = [
    ("rusqlite", "common/src/embedded"),
    ("lapin", "common/src/rabbit"),
    ("tokio_postgres", "common/src/postgres"),
    ("deadpool_postgres", "common/src/postgres"),
    ("backoff", "common/src/retry"),
    ("tokio_postgres_rustls", "common/src/postgres"),
    ("rustls_native_certs", "common/src/tls"),
    ("mimalloc", "allocator/src"),
    ("libmimalloc_sys", "allocator/src"),
];
/// Where two of them are named as well: the benchmark measures the floor below our backends.
const FLOOR: (&str, [&str; 2]) = ("bench/src", ["lapin", "tokio_postgres"]);
/// The programs alone choose how memory is allocated.
const PROGRAMS: [&str; 3] = ["otodoke/src/main.rs", "producer/src/main.rs", "worker/src/main.rs"];

/// A crate of ours, and those of ours that it must not know.
const KNOWS_NOT: [(&str, &[&str]); 7] = [
    ("allocator", &["otodoke_common"]),
    ("common", &["otodoke_providers", "otodoke_producer", "otodoke_worker", "otodoke_sandbox", "otodoke_bench"]),
    ("providers", &["otodoke_producer", "otodoke_worker", "otodoke_sandbox", "otodoke_bench"]),
    ("producer", &["otodoke_worker", "otodoke_sandbox", "otodoke_bench"]),
    ("worker", &["otodoke_producer", "otodoke_sandbox", "otodoke_bench"]),
    ("sandbox", &["otodoke_common", "otodoke_providers", "otodoke_producer", "otodoke_worker", "otodoke_bench"]),
    ("bench", &["otodoke_providers", "otodoke_producer", "otodoke_worker", "otodoke_sandbox"]),
];

struct Source {
    path: String,
    text: String,
}

#[test]
fn files_are_nouns_and_not_too_long() {
    for source in sources() {
        let lines = source.text.lines().count();
        assert!(lines <= FILE_LINES_MAX, "{} has {lines} lines; {FILE_LINES_MAX} is the wall", source.path);
        let name = Path::new(&source.path).file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let vague = ["mod", "utils", "util", "helpers", "misc"].contains(&name);
        assert!(!vague, "{} says nothing by its name", source.path);
    }
}

#[test]
fn every_file_says_first_what_it_is() {
    for source in sources() {
        assert!(source.text.starts_with("//! "), "{} must open with what it is and what it is not", source.path);
    }
}

#[test]
fn what_hides_a_library_is_the_only_place_that_names_it() {
    for source in sources() {
        for (library, home) in NAMED_IN_ONE_PLACE {
            let named = code(&source.text).any(|line| names(line, library));
            let floor = FLOOR.1.contains(&library) && source.path.starts_with(FLOOR.0);
            let at_home = source.path.starts_with(home) || floor;
            assert!(!named || at_home, "{} names {library}, which only {home} may", source.path);
        }
    }
}

#[test]
fn imports_point_one_way() {
    for (member, strangers) in KNOWS_NOT {
        for source in sources().iter().filter(|source| source.path.starts_with(&format!("{member}/src"))) {
            for stranger in strangers {
                let named = code(&source.text).any(|line| names(line, stranger));
                assert!(!named, "{} names {stranger}, which {member} must not know", source.path);
            }
        }
    }
}

#[test]
fn the_programs_alone_choose_how_memory_is_allocated() {
    for source in sources() {
        let named = code(&source.text).any(|line| names(line, "otodoke_allocator"));
        let program = PROGRAMS.contains(&source.path.as_str());
        assert_eq!(named, program, "{}", source.path);
    }
}

/// It forbids `unsafe` among others.
#[test]
fn every_member_but_the_allocator_has_the_lints_of_the_workspace() {
    for member in MEMBERS {
        let manifest = read(&root().join(member).join("Cargo.toml"));
        assert_eq!(manifest.contains("[lints]\nworkspace = true\n"), member != "allocator", "{member}/Cargo.toml");
    }
}

#[test]
fn what_the_documents_point_to_is_there() {
    const ENDS: [&str; 5] = [".rs", ".toml", ".md", ".json", ".yml"];
    let documents =
        ["README.md", "SETTINGS.md", "ARCHITECTURE.md", "CHANGELOG.md", "BENCHMARKS.md", "deploy/README.md"];
    let sources: String = sources().into_iter().map(|source| source.text).collect();
    for document in documents {
        let text = read(&root().join(document));
        for quoted in text.split('`').skip(1).step_by(2) {
            let is_plain = quoted.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
            let is_file = ENDS.iter().any(|end| quoted.ends_with(end)) && quoted.find('/').is_some_and(|at| at > 0);
            let is_there = !(is_plain && is_file) || root().join(quoted).exists();
            assert!(is_there, "{document}: `{quoted}` is not there");
            let limit = quoted.rsplit("::").next().unwrap_or(quoted);
            let is_limit = limit.ends_with("_MAX")
                && !limit.starts_with('_')
                && limit.bytes().all(|byte| byte.is_ascii_uppercase() || b"_0123456789".contains(&byte));
            assert!(!is_limit || sources.contains(&format!("const {limit}:")), "{document}: no `{limit}` is there");
        }
    }
}

#[test]
fn every_reason_is_explained_to_users() {
    let readme = read(&root().join("README.md"));
    let rows: String = readme.lines().filter(|line| line.starts_with("| `")).collect();
    for reason in Reason::all() {
        assert!(rows.contains(&format!("`{}`", reason.word())), "README.md has no row for {}", reason.word());
    }
}

#[test]
fn nothing_is_left_for_later() {
    let unfinished =
        [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("#[", "ignore"), concat!("FIX", "ME")];
    for source in sources() {
        for mark in unfinished {
            assert!(!source.text.contains(mark), "{} holds {mark}", source.path);
        }
    }
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = read(&root().join("Cargo.toml"));
    let begin = manifest.find("[workspace.dependencies]").expect("the workspace lists its dependencies once");
    let section = manifest[begin..].split("\n[").next().expect("a split has a first part");
    let third_party =
        section.lines().filter(|line| line.contains(" = ") && !line.contains("path = ") && !line.starts_with('#'));
    let mut counted = 0;
    for line in third_party {
        counted += 1;
        assert!(line.contains(" # "), "this dependency has no reason: {line}");
    }
    assert!(counted > 10, "only {counted} dependencies were looked at");
}

#[test]
fn members_take_their_dependencies_from_the_one_list() {
    for member in MEMBERS {
        let manifest = read(&root().join(member).join("Cargo.toml"));
        let own = manifest.lines().find(|line| line.contains(" = ") && line.contains("version = \""));
        assert_eq!(own, None, "{member}/Cargo.toml has a version of its own");
    }
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    for member in MEMBERS {
        collect(&root().join(member), &mut found);
    }
    assert!(found.len() > 100, "only {} files were looked at", found.len());
    found
}

fn collect(dir: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(dir).expect("the folders of the workspace can be read") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let relative = path.strip_prefix(root()).expect("it is below the root").display().to_string();
            found.push(Source { text: read(&path), path: relative });
        }
    }
}

/// Lines that are not comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//"))
}

/// Whether a line uses the crate by name, as a path.
fn names(line: &str, library: &str) -> bool {
    let with_path = format!("{library}::");
    line.match_indices(&with_path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    })
}

fn read(path: &Path) -> String {
    let text = fs::read_to_string(path);
    assert!(text.is_ok(), "{} cannot be read", path.display());
    text.unwrap_or_default()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a member of the workspace").to_owned()
}
