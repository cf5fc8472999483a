//! What the code promises to be, checked on its text: files that belong together are there, headers
//! are complete, and what only a few files may do is done by them alone.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use celeriac_broker_schema::state;

/// The files that may start tasks of the runtime, besides tests and examples. Each of them sees to
/// the ends of what it starts.
const SPAWNERS: &[&str] = &[
    // Looks whether a connection still leads to the master, and ends with it.
    "broker-schema/src/connection.rs",
    "celeriac/src/testing/harness.rs",
    "cli/src/bench/workers.rs",
    "cli/src/cmd/enqueue/wait.rs",
    "cli/src/cmd/worker.rs",
    "cli/src/fleet/child.rs",
    "monitor/src/server.rs",
    "producer/src/producer.rs",
    "testkit/src/proxy.rs",
    "worker/src/process/group.rs",
    "worker/src/slots.rs",
    "worker/src/worker.rs",
];

/// The tests that may sleep, each with its reason.
const SLEEPERS: &[(&str, &str)] = &[
    ("private-server/tests/suite/common.rs", "asks again until a deadline, without a runtime"),
    (
        "worker/tests/suite/lease.rs",
        "a task that blocks its thread; a rival that reclaims all the time",
    ),
    ("worker/tests/suite/stage.rs", "a task that takes its time"),
];

/// Who may know what time it is on the machine, and what for: never to decide about a task or a schedule.
const CLOCK_READERS: &[(&str, &str)] = &[
    ("chaos/src/ledger.rs", "when executions begin and end, outside of Redis and on its machine"),
    ("cli/src/bench/marking.rs", "how late a task starts, on one machine with Redis"),
    ("cli/src/cmd/doctor.rs", "whether the clock of this machine differs from that of Redis"),
    ("cli/src/cmd/schedule/view.rs", "the next times of an expression, without Redis"),
    ("monitor/src/auth/session.rs", "when a login ends that nothing is kept of"),
    ("monitor/src/poller.rs", "since when Redis is away"),
    ("monitor/src/read.rs", "whether the clock of this machine differs from that of Redis"),
    ("producer/src/clock.rs", "the order of ids"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files below a folder whose names end so, without what is built or hidden.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a readable name");
        if path.is_dir() && !name.starts_with('.') && !["target", "node_modules"].contains(&name) {
            found.extend(files(&path, ending));
        } else if path.is_file() && name.ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// All Rust files of the workspace by their path in it.
fn rust_files() -> Vec<(String, String)> {
    let name = |path: &Path| {
        path.strip_prefix(root()).expect("it is below").to_str().expect("readable").to_owned()
    };
    let all: Vec<_> = files(root(), ".rs").iter().map(|path| (name(path), read(path))).collect();
    assert!(all.len() > 100, "the workspace has more files than {}", all.len());
    all
}

/// The names of the files in one folder that end so, without the ending.
fn stems(folder: &str, ending: &str) -> BTreeSet<String> {
    let folder = root().join("broker-schema").join(folder);
    let entries = fs::read_dir(folder).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string());
    names.filter_map(|name| Some(name.ok()?.strip_suffix(ending)?.to_owned())).collect()
}

fn verbs() -> BTreeSet<String> {
    stems("lua", ".lua")
}

fn lua(verb: &str) -> String {
    read(&root().join(format!("broker-schema/lua/{verb}.lua")))
}

#[test]
fn every_verb_has_a_script_a_wrapper_and_tests() {
    let without = |mut names: BTreeSet<String>, others: &[&str]| {
        names.retain(|name| !others.contains(&name.as_str()));
        names
    };
    assert_eq!(without(stems("src/script", ".rs"), &["mod"]), verbs());
    assert_eq!(without(stems("tests/scripts", ".rs"), &["main", "support"]), verbs());
    let main = read(&root().join("broker-schema/tests/scripts/main.rs"));
    for verb in verbs() {
        assert!(main.contains(&format!("\nmod {verb};\n")), "the tests of {verb} are not run");
    }
}

#[test]
fn every_script_has_its_header() {
    for verb in verbs() {
        let text = lua(&verb);
        let header: Vec<&str> = text.lines().take_while(|line| line.starts_with("--")).collect();
        assert!(header[0].starts_with(&format!("-- {verb}: ")), "{verb}.lua: what is it for?");
        for part in ["-- keys   ", "-- args   ", "-- reply  ", "-- cost   "] {
            let told = header.iter().any(|line| line.starts_with(part));
            assert!(told, "{verb}.lua has no line {part:?} in its header");
        }
    }
    for lib in stems("lua/lib", ".lua") {
        let text = lua(&format!("lib/{lib}"));
        assert!(text.starts_with(&format!("-- {lib}: ")), "lib/{lib}.lua: what is it for?");
    }
}

#[test]
fn every_script_that_writes_says_from_where_on() {
    for verb in verbs() {
        let wrapper = read(&root().join(format!("broker-schema/src/script/{verb}.rs")));
        let reads_only = wrapper.contains("flags=no-writes");
        let says = lua(&verb).contains("\n-- nothing above writes");
        assert_ne!(reads_only, says, "{verb}.lua: refuse first, then write");
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent: Vec<String> = rust_files()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//! "))
        .map(|(name, _)| name)
        .collect();
    assert!(silent.is_empty(), "these files do not begin with `//! `: {silent:#?}");
}

/// Names of dependencies in a manifest, those of tests left out.
fn dependencies(manifest: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    let mut within = false;
    for line in manifest.lines() {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            within = section.ends_with("dependencies") && !section.ends_with("dev-dependencies");
        } else if within && line.contains('=') && !line.starts_with('#') {
            found.extend(line.split(['=', '.', ' ']).next());
        }
    }
    found
}

#[test]
fn one_crate_speaks_redis() {
    let mut speakers = BTreeSet::new();
    for manifest in files(root(), "Cargo.toml") {
        let package = manifest.parent().expect("a folder");
        let name = package.file_name().and_then(|name| name.to_str()).expect("readable");
        let text = read(&manifest);
        if package != root() && dependencies(&text).iter().any(|name| name.contains("redis")) {
            speakers.insert(name.to_owned());
        }
    }
    assert_eq!(speakers, BTreeSet::from(["broker-schema", "testkit"].map(str::to_owned)));
}

/// Code without comments, so that a word in one counts for nothing.
fn code(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn few_files_start_tasks_of_the_runtime() {
    let is_product = |name: &str| !name.contains("/tests/") && !name.contains("/examples/");
    let spawns = |text: &str| {
        let code = code(text);
        ["tokio::spawn(", "runtime.spawn("].iter().any(|call| code.contains(call))
    };
    let found: Vec<String> = rust_files()
        .into_iter()
        .filter(|(name, text)| is_product(name) && spawns(text))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(found, SPAWNERS, "who starts a loop sees to its end; see the list in this file");
}

#[test]
fn few_files_read_the_clock_of_their_machine() {
    let is_product = |name: &str| !name.contains("/tests/") && !name.contains("/examples/");
    // Not this file, which speaks of it.
    let other = |name: &str| is_product(name) && name != "broker-schema/tests/tidy.rs";
    let clocks = ["SystemTime::now", "Timestamp::now", "Zoned::now", "Utc::now", "Local::now"];
    let found: Vec<String> = rust_files()
        .into_iter()
        .filter(|(name, text)| other(name) && clocks.iter().any(|it| code(text).contains(it)))
        .map(|(name, _)| name)
        .collect();
    let allowed: Vec<&str> = CLOCK_READERS.iter().map(|(name, _)| *name).collect();
    assert_eq!(found, allowed, "time comes from Redis; see the list in this file");
}

#[test]
fn tests_wait_for_events() {
    let is_test = |name: &str| name.contains("/tests/");
    let sleeps =
        |code: &str| ["::sleep(", " sleep(Duration"].iter().any(|call| code.contains(call));
    // Not this file, which speaks of it.
    let other = |name: &str| name != "broker-schema/tests/tidy.rs";
    let found: Vec<String> = rust_files()
        .into_iter()
        .filter(|(name, text)| is_test(name) && other(name) && sleeps(&code(text)))
        .map(|(name, _)| name)
        .collect();
    let allowed: Vec<&str> = SLEEPERS.iter().map(|(name, _)| *name).collect();
    assert_eq!(found, allowed, "tests wait for events, never for time; see the list in this file");
}

#[test]
fn the_diagram_of_states_is_the_table() {
    const BEGIN: &str = "<!-- states -->\n";
    const END: &str = "<!-- /states -->";
    let text = read(&root().join("ARCHITECTURE.md"));
    let expected = format!("```mermaid\n{}```\n", state::diagram());

    let found = text.split_once(BEGIN).and_then(|(_, rest)| Some(rest.split_once(END)?.0));

    assert!(
        found == Some(expected.as_str()),
        "ARCHITECTURE.md must have this between its markers:\n{BEGIN}{expected}{END}"
    );
}

#[test]
fn the_page_on_reliability_names_tests_that_exist() {
    let page = read(&root().join("docs/reliability.md"));
    let code: String = rust_files().into_iter().map(|(_, text)| text).collect();
    let is_test = |word: &&str| {
        word.matches('_').count() >= 3
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let named: BTreeSet<&str> = page.split('`').filter(is_test).collect();
    assert!(named.len() > 40, "the page names {} tests", named.len());
    let gone: Vec<_> =
        named.into_iter().filter(|name| !code.contains(&format!("fn {name}("))).collect();
    assert!(gone.is_empty(), "there are no tests {gone:?}");
}
