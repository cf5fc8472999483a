//! The reference pages tell of every subcommand, option, exit code and metric that the command has,
//! and of nothing else.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use celeriac_testkit::redis::fresh_namespace;
use celeriac_testkit::{Process, TestRedis, eventually};

/// What a healthy machine never needs.
const SOON: Duration = Duration::from_secs(30);

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn help(args: &[&str]) -> String {
    let ran = Command::new(env!("CARGO_BIN_EXE_celeriac")).args(args).arg("--help").output();
    String::from_utf8(ran.unwrap().stdout).unwrap()
}

/// The names under `Commands:`.
fn subcommands() -> BTreeSet<String> {
    let help = help(&[]);
    let (_, commands) = help.split_once("\nCommands:\n").unwrap();
    let lines = commands.lines().take_while(|line| !line.is_empty());
    let first_word = |line: &str| line.split_whitespace().next().map(str::to_owned);
    // What runs on in a second line stands further to the right.
    lines.filter(|line| !line.starts_with("   ")).filter_map(first_word).collect()
}

/// The actions of a command (`queues pause`).
fn actions(command: &str) -> BTreeSet<String> {
    let own = help(&[command]);
    let actions = own.split_once("\nCommands:\n").map_or("", |(_, rest)| rest);
    let actions = actions.lines().take_while(|line| !line.is_empty());
    let names = actions.filter(|line| !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next()).map(str::to_owned);
    names.filter(|name| name != "help").collect()
}

/// The options that a text names: `--word`, at the beginning of a line or in quotes.
fn options(text: &str, begin: &str) -> BTreeSet<String> {
    let after = text.match_indices(begin).map(|(at, _)| &text[at + begin.len()..]);
    let name = |rest: &str| {
        rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect::<String>()
    };
    after.map(name).filter(|name| !name.is_empty()).collect()
}

/// Those that `--help` lists, `--help` itself and `--version` included.
fn options_of_help(help: &str) -> BTreeSet<String> {
    let lines = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let long = |line: &str| {
        line.split(&[' ', ',', '['])
            .take(3)
            .find_map(|word| word.strip_prefix("--"))
            .map(str::to_owned)
    };
    lines.filter_map(long).map(|name| name.trim_end_matches('.').to_owned()).collect()
}

/// What stands below a heading, up to the next one.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let (_, below) = page
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("the page has no section {heading:?}"));
    below.split("\n## ").next().unwrap()
}

#[test]
fn the_page_has_a_section_for_every_subcommand() {
    let page = page("reference/cli.md");
    let sections = page.lines().filter_map(|line| line.strip_prefix("## `celeriac "));
    let sections: BTreeSet<String> =
        sections.map(|rest| rest.trim_end_matches('`').to_owned()).collect();
    assert_eq!(sections, subcommands());
}

/// What stands in the column `of` for the command without an action.
const ALONE: &str = "alone";

/// The options of a row of a table, and which actions have them.
struct OptionRow {
    options: BTreeSet<String>,
    of: Option<String>,
}

impl OptionRow {
    /// `all`, `all but`, or a list: of actions in quotes, and perhaps of the command alone.
    fn is_of(&self, action: &str) -> bool {
        let Some(of) = &self.of else { return action == ALONE };
        let named = of.contains(&format!("`{action}`"));
        match of.strip_prefix("all") {
            Some(_) => action != ALONE && !named,
            None if action == ALONE => of.starts_with(ALONE),
            None => named,
        }
    }
}

fn option_rows(section: &str) -> Vec<OptionRow> {
    let mut rows = Vec::new();
    let mut has_of = false;
    for row in section.lines().filter_map(|line| line.strip_prefix("| ")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        if cells[0] == "option" {
            has_of = cells.get(1) == Some(&"of");
        }
        let of = cells.get(1).filter(|_| has_of).map(|of| (*of).to_owned());
        rows.push(OptionRow { options: options(cells[0], "`--"), of });
    }
    rows
}

#[test]
fn the_page_has_every_option_of_every_action_and_no_other() {
    let page = page("reference/cli.md");
    let everywhere = options(section(&page, "Options everywhere"), "`--");
    assert_eq!(everywhere, options_of_help(&help(&[])));
    // `help` is asked about by its own arguments.
    for command in subcommands().iter().filter(|command| *command != "help") {
        let rows = option_rows(section(&page, &format!("`celeriac {command}`")));
        let actions = actions(command);
        let compare = |action: &str, help: &str| {
            let listed = rows.iter().filter(|row| row.is_of(action));
            let listed: BTreeSet<String> = listed.flat_map(|row| row.options.clone()).collect();
            let shown: BTreeSet<String> =
                options_of_help(help).difference(&everywhere).cloned().collect();
            assert_eq!(listed, shown, "{command} {action}: on the page, and in the help");
        };
        compare(ALONE, &help(&[command]));
        for action in &actions {
            compare(action, &help(&[command, action]));
        }
        for row in rows.iter().filter(|row| !row.options.is_empty()) {
            let of = actions.iter().map(String::as_str).chain([ALONE]);
            assert!(of.into_iter().any(|action| row.is_of(action)), "{command}: {:?}", row.options);
        }
    }
}

#[test]
fn the_page_and_the_help_have_every_built_in_task() {
    let page = page("reference/cli.md");
    let rows = first_cells(section(&page, "`celeriac worker`"));
    let (_, listed) = help(&["worker"]).split_once("Built-in tasks").map(owned).unwrap();
    for name in celeriac_worker::builtin::tasks().names() {
        assert!(rows.contains(&format!("`{name}`")), "{name}: {rows}");
        assert!(listed.contains(&format!("\n  {name} ")), "{name}: {listed}");
    }
}

fn owned((before, after): (&str, &str)) -> (String, String) {
    (before.to_owned(), after.to_owned())
}

/// The first cell of each row of the tables.
fn first_cells(section: &str) -> String {
    let rows = section.lines().filter_map(|line| line.strip_prefix("| "));
    rows.filter_map(|row| row.split(" | ").next()).collect()
}

#[test]
fn the_page_on_operation_has_every_exit_code() {
    let help = help(&[]);
    let (_, codes) = help.split_once("Exit codes:\n").unwrap();
    let row = |line: &str| {
        let (code, meaning) = line.trim().split_once("  ").unwrap();
        format!("| {code} | {meaning} |")
    };
    let expected: Vec<String> = codes.lines().filter(|line| !line.is_empty()).map(row).collect();
    let page = page("operate.md");
    let listed = section(&page, "Exit codes");
    let rows: Vec<&str> = listed.lines().filter(|line| line.starts_with("| ")).skip(2).collect();
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn the_page_has_every_metric_and_no_other() {
    let redis = TestRedis::shared().await;
    let namespace = fresh_namespace();
    let monitor = Process::spawn(
        Command::new(env!("CARGO_BIN_EXE_celeriac"))
            .args(["monitor", "--listen", "127.0.0.1:0", "--namespace", &namespace])
            .args(["--redis", redis.url()]),
    );
    let ready = monitor.wait_for_line(|line| line.starts_with("ready: http://"), SOON).await;
    let address = ready["ready: http://".len()..].trim_end_matches('/').to_owned();
    let told = eventually(SOON, async || match metrics(&address) {
        text if text.contains("\nceleriac_redis_up 1\n") => Ok(text),
        text => Err(text),
    })
    .await;
    let declared = told.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let declared: BTreeSet<String> = declared.map(str::to_owned).collect();
    let page = page("reference/metrics.md");
    let (table, _) = page.split_once("Worth an alert").unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `celeriac_"));
    let listed = rows.map(|row| {
        let mut cells = row.split(" | ");
        let name = cells.next().unwrap().trim_end_matches('`');
        format!("celeriac_{name} {}", cells.next().unwrap())
    });
    assert_eq!(listed.collect::<BTreeSet<_>>(), declared);
}

fn metrics(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
