//! Arguments and lines of JSON at random: whatever people and programs type is understood or refused with
//! a message, and nothing panics. The seeds are fixed.

use clap::Parser;

use super::enqueue::spec::TaskSpec;
use crate::args::Cli;

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
struct Dice(u64);

impl Dice {
    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        all[((z ^ (z >> 31)) % all.len() as u64) as usize]
    }
}

const WORDS: &[&str] = &[
    "enqueue",
    "worker",
    "status",
    "result",
    "queues",
    "limits",
    "dead",
    "workers",
    "schedule",
    "doctor",
    "cancel",
    "jobs",
    "settings",
    "explain",
    "set",
    "list",
    "show",
    "pause",
    "resume",
    "move",
    "purge",
    "--json",
    "--args",
    "--delay",
    "--at",
    "--expires",
    "--retries",
    "--backoff",
    "--timeout",
    "--priority",
    "--queue",
    "--queues",
    "--chunks",
    "--sum",
    "--reduce",
    "--rate",
    "--burst",
    "--concurrency",
    "--key",
    "--unique",
    "--deep",
    "--memory",
    "--all",
    "--limit",
    "--redis",
    "--namespace",
    "-h",
    "--",
    "-",
    "",
    "0",
    "-1",
    "1e400",
    "99999999999999999999999",
    "10/s",
    "5s",
    "5parsecs",
    "1s..2h",
    "noon",
    "2026-02-30T25:61:61Z",
    "task:t",
    "tenant:*",
    "a=b",
    "=",
    "a:b:c",
    "{}",
    "{",
    "null",
    "[1,2]",
    "\u{202e}\u{5e9}",
    "a\u{0}b",
    "0123456789abcdef0123456789abcdef",
    "* * * * *",
];

#[test]
fn whatever_is_typed_is_understood_or_refused() {
    let (mut dice, mut understood) = (Dice(1), 0);
    for case in 0..4_000 {
        let words = (0..1 + case % 7).map(|_| dice.of(WORDS));
        let line = std::iter::once("celeriac").chain(words);
        match Cli::try_parse_from(line) {
            Ok(_) => understood += 1,
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    assert!(understood > 20, "only {understood} of them made sense");
}

const PIECES: &[&str] = &[
    "{",
    "}",
    "{\"task\":\"noop\"",
    ",\"args\":",
    "{}",
    "[1]",
    "null",
    ",\"delay\":",
    "\"5s\"",
    "\"\"",
    "-1",
    "1e400",
    ",\"at\":",
    "\"noon\"",
    ",\"retries\":",
    "4",
    ",\"backoff\":",
    "\"1s..2h\"",
    ",\"queue\":",
    "\"a:b\"",
    "\"q\"",
    ",\"priority\":",
    "9",
    "18446744073709551616",
    ",\"tags\":",
    "[\"a\"]",
    ",\"headers\":",
    "{\"a\":\"b\"}",
    ",",
    "\u{202e}",
    "\\u0000",
    ",\"key\":",
    "\"k\"",
    "}}",
];

#[test]
fn whatever_a_line_says_is_understood_or_refused() {
    let (mut dice, mut understood) = (Dice(2), 0);
    for case in 0..20_000 {
        let mut line = String::from("{\"task\":\"noop\"");
        for _ in 0..case % 6 {
            line.push_str(dice.of(PIECES));
        }
        line.push('}');
        match TaskSpec::from_line(line.as_bytes()) {
            Ok(_) => understood += 1,
            Err(reason) => assert!(!reason.to_string().is_empty()),
        }
    }
    assert!(understood > 3_000, "only {understood} of them made sense");
}
