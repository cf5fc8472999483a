//! What the documentation shows is there: the code of the README is an example that runs, links lead
//! somewhere, guarantees name tests that exist. That the guide compiles is a matter of doc tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use celeriac_testkit::TestRedis;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_rust_of_the_readme_is_the_hello_example() {
    let readme = read(&root().join("README.md"));
    let (_, code) = readme.split_once("```rust\n").expect("a block of Rust");
    let (code, rest) = code.split_once("```\n").expect("its end");
    assert!(!rest.contains("```rust"), "only one block is compared");
    let hello = read(&root().join("celeriac/examples/hello.rs"));
    let hello: Vec<&str> = hello.lines().skip_while(|line| line.starts_with("//!")).collect();
    assert_eq!(code.trim(), hello.join("\n").trim());
}

#[tokio::test]
async fn the_examples_run() {
    let redis = TestRedis::start().await;
    let examples = [
        ("cancel", "Done\nimproved: true\n"),
        ("checkpoint", "row 0\n"),
        ("hello", "Hello, Ada!"),
        ("operate", OPERATED),
        ("pi", "pi is about 3.14"),
        ("results", RESULTS),
        ("retries", "one task: true\nfilm is converted, at attempt Some(1)"),
        (
            "schedules",
            "the mornings have a time: true\nthe latest report, attempt 1\nthe latest report, attempt 1\n",
        ),
        ("sweep", "rate 0.5 is good enough: 1 steps\n7 others are cancelled\n"),
        ("tenants", "| order | ten tasks"),
        ("thumbnails", THUMBNAILS),
        ("walk", "tree: 31 folders, 31 files, 124 bytes\n"),
        ("word_count", "merrily: 4\na: 3\nboat: 3\n"),
        ("workflow_pi", "pi is about 3.14"),
    ];
    let there = fs::read_dir(root().join("celeriac/examples")).expect("a folder");
    // Beside the programs there is a folder of workflows in JSON.
    let there = there.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file());
    let there: BTreeSet<_> =
        there.filter_map(|path| path.file_stem().map(ToOwned::to_owned)).collect();
    assert_eq!(there, examples.iter().map(|(name, _)| (*name).into()).collect(), "all of them");
    for (name, line) in examples {
        let ran = Command::new(example(name)).env("CELERIAC_REDIS_URL", redis.url()).output();
        let ran = ran.unwrap_or_else(|error| {
            panic!("{name}: {error}; build it with `cargo build -p celeriac --examples`")
        });
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success() && said.starts_with(line), "{name}: {ran:?}");
    }
}

const OPERATED: &str = "\
no more than 2 may wait, says ada: the disk is full
2 wait, the users among them: true
paused by ada: the disk is full
cancelled: true
purged: 1
users is exported
orders is exported
logs is exported
bills is exported
at once: 1
told: true
it ran 4 tasks and has left
";

const THUMBNAILS: &str = "\
slope: [ .o#| .o#| .o#| .o#]
bars: [# # |# # |# # |# # ]
failed: there is no picture named cat
frame: [####|#  #|#  #|####]
";

const RESULTS: &str = "\
page 1 of attempt 1
page 2 of attempt 1
page 3 of attempt 2
page 4 of attempt 2
4 pages
[1, 3]
";

/// Examples are built into a directory beside that of the tests.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("this test is a program");
    let profile = test.ancestors().nth(2).expect("target/<profile>/deps/<test>");
    profile.join("examples").join(name)
}

#[test]
fn links_lead_somewhere() {
    let broken: Vec<String> = documents(&root())
        .iter()
        .flat_map(|document| {
            let text = prose(&read(document));
            let name = document.display().to_string();
            let links = links(&text).into_iter().filter(|(_, target)| !target.contains("://"));
            let broken = links.filter(|(_, target)| !leads_somewhere(document, target));
            broken.map(|(_, target)| format!("{name}: {target}")).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(broken, [""; 0]);
}

fn leads_somewhere(document: &Path, target: &str) -> bool {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = match path {
        "" => document.to_owned(),
        path => document.parent().expect("a directory").join(path),
    };
    path.exists() && (anchor.is_empty() || anchors(&read(&path)).contains(anchor))
}

/// All documents that people read; those of dependencies are not ours.
fn documents(root: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"].map(|name| root.join(name)).to_vec();
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found
}

/// A document without its blocks of code.
fn prose(document: &str) -> String {
    document.split("```").step_by(2).collect()
}

/// Text and target of every link.
fn links(text: &str) -> Vec<(&str, &str)> {
    let ends = text.match_indices("](").map(|(end, _)| end);
    let link = |end: usize| {
        let (before, after) = (&text[..end], &text[end + 2..]);
        Some((&before[before.rfind('[')? + 1..], &after[..after.find(')')?]))
    };
    ends.filter_map(link).collect()
}

/// The anchors of a document's headings, made as code hosts make them.
fn anchors(document: &str) -> BTreeSet<String> {
    let anchor = |heading: &str| {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    let prose = prose(document);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

#[test]
fn every_guarantee_names_tests_that_exist() {
    let readme = read(&root().join("README.md"));
    let rows: Vec<&str> = readme.lines().filter(|line| line.starts_with("| G")).collect();
    assert_eq!(rows.len(), 10, "there are ten guarantees");
    for (number, row) in (1..).zip(rows) {
        assert!(row.starts_with(&format!("| G{number} | ")), "{row}");
        let tests = links(row);
        assert!(!tests.is_empty(), "{row}");
        for (test, file) in tests {
            let function = format!("fn {}(", test.trim_matches('`'));
            assert!(read(&root().join(file)).contains(&function), "{function} is not in {file}");
        }
    }
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let readme = root().join("README.md");
    assert_eq!(links("see [this](a.md) and [that](b#c)"), [("this", "a.md"), ("that", "b#c")]);
    assert!(leads_somewhere(&readme, "ARCHITECTURE.md#glossary"));
    assert!(!leads_somewhere(&readme, "ARCHITECTURE.md#no-such-heading"));
    assert!(!leads_somewhere(&readme, "no-such-file.md"));
}
