//! Stored forms that were damaged at random: whatever is read, nothing panics, and what can be read is the
//! same when it is written and read again.
//!
//! The seeds are fixed. `CELERIAC_CASES` makes more of them, as one does over night.

use std::fs;
use std::path::Path;

use celeriac_broker_schema::check::{Contents, Held, Stored, violations};
use celeriac_broker_schema::{
    DeadLetter, JobId, JobSpec, Limit, Outcome, Record, ScheduleSpec, Subject, TaskId, Timestamp,
    WorkerInfo,
};

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % n.max(1) as u64).expect("it is below n")
    }
}

/// What goes wrong in JSON more often than single bits.
const PIECES: &[&str] = &[
    "",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\\",
    ",",
    ":",
    "null",
    "true",
    "-1",
    "0",
    "1e400",
    "1e-400",
    "9007199254740993",
    "18446744073709551616",
    "-9223372036854775809",
    "\\u0000",
    "\\ud800",
    "\u{202e}",
    "{}",
    "[[[[[[",
    "\"v\":2,",
    "\"v\":1,",
    "\0",
];

/// A text with some damage.
fn damaged(original: &[u8], others: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut text = original.to_vec();
    for _ in 0..=dice.below(4) {
        let at = dice.below(text.len() + 1);
        match dice.below(7) {
            0 if !text.is_empty() => {
                let at = at % text.len();
                text[at] ^= 1 << dice.below(8);
            }
            1 => text.truncate(at),
            2 => {
                let end = (at + dice.below(20)).min(text.len());
                text.drain(at..end);
            }
            3 | 4 => {
                let piece = PIECES[dice.below(PIECES.len())];
                text.splice(at..at, piece.bytes());
            }
            5 => {
                let other = &others[dice.below(others.len())];
                let from = dice.below(other.len() + 1);
                let end = (from + dice.below(60)).min(other.len());
                text.splice(at..at, other[from..end].iter().copied());
            }
            _ => {
                let end = (at + dice.below(40)).min(text.len());
                let repeated = text[at..end].repeat(1 + dice.below(50));
                text.splice(at..end, repeated);
            }
        }
    }
    text
}

/// The stored forms that must stay readable.
fn golden() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("a file")).collect()
}

fn cases() -> usize {
    std::env::var("CELERIAC_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(20_000)
}

/// What is written of what was read, if it could be.
fn written<T>(value: Option<T>, write: impl Fn(&T) -> Option<String>) -> Option<String> {
    value.as_ref().and_then(write)
}

/// Reads a text, and writes what it has read.
type Reader<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Reads it as everything that is stored. Returns as how many things it can be read.
fn read_all(text: &str) -> usize {
    let record = |text: &str| written(Record::decode(text).ok(), |it| it.encode().ok());
    let job = |text: &str| written(JobSpec::decode(text).ok(), |it| it.encode().ok());
    let schedule = |text: &str| written(ScheduleSpec::decode(text).ok(), |it| it.encode().ok());
    let outcome = |text: &str| serde_json::from_str::<Outcome>(text).ok().map(Outcome::encode);
    let readers: [Reader<'_>; 4] = [&record, &job, &schedule, &outcome];
    let mut readable = 0;
    for read in readers {
        let Some(once) = read(text) else { continue };
        readable += 1;
        assert_eq!(read(&once).as_ref(), Some(&once), "it changes when it is read again: {text}");
    }
    if let Ok(record) = Record::decode(text) {
        let _ = record.options();
    }
    let _ = serde_json::from_str::<WorkerInfo>(text);
    let _ = Limit::decode(text);
    let _ = (text.parse::<TaskId>(), text.parse::<JobId>(), text.parse::<Subject>());
    let id = TaskId::from_parts(Timestamp(1), [0; 10]);
    let _ = DeadLetter::read(id, Timestamp(1), text.to_owned());
    readable
}

#[test]
fn damaged_documents_are_read_or_refused() {
    let (golden, mut dice, mut readable) = (golden(), Dice(1), 0);
    for case in 0..cases() {
        let text = damaged(&golden[case % golden.len()], &golden, &mut dice);
        readable += read_all(&String::from_utf8_lossy(&text));
    }
    // Otherwise this would only test the JSON reader.
    assert!(readable > cases() / 20, "only {readable} of them can be read");
}

/// Names of keys, ids and elements in every form that scripts write.
fn texts() -> Vec<Vec<u8>> {
    let id = "0123456789abcdef0123456789abcdef";
    let job = format!("job:{id}");
    [
        id.to_owned(),
        format!("{id}:7"),
        format!("{id}:3-9"),
        format!("{id}:3-9+2"),
        "@ada".to_owned(),
        format!("5:default:{id}"),
        format!("{id} 5 default s"),
        "1:17:5:default:6:3-4".to_owned(),
        format!("d::5:default:{id}"),
        "ready:default:5".to_owned(),
        "turn:default:5:ada".to_owned(),
        "parked:task:t".to_owned(),
        "inflight:w".to_owned(),
        "3 task:t tenant:ada".to_owned(),
        "default:5".to_owned(),
        format!("{job}:done"),
        job,
    ]
    .map(String::into_bytes)
    .into()
}

#[test]
fn whatever_is_in_redis_can_be_checked() {
    const KEYS: [&str; 22] = [
        "tasks",
        "delayed",
        "waiting",
        "leases",
        "orphans",
        "history",
        "checkpoints",
        "inputs",
        "locks",
        "holding",
        "held",
        "parked",
        "chunks",
        "tombstones",
        "jobs:open",
        "queues",
        "stats",
        "expiry",
        "watchers",
        "dead",
        "dead:tasks",
        "cancels",
    ];
    let (texts, mut dice, mut found) = (texts(), Dice(2), 0);
    for _ in 0..cases() / 20 {
        let mut contents = Contents::default();
        for _ in 0..dice.below(12) {
            let mut text = || {
                let text = texts[dice.below(texts.len())].clone();
                let text =
                    if dice.below(3) == 0 { damaged(&text, &texts, &mut dice) } else { text };
                String::from_utf8_lossy(&text).into_owned()
            };
            let held = [text(), text(), text(), text()];
            let name = text();
            let name =
                if dice.below(2) == 0 { KEYS[dice.below(KEYS.len())].to_owned() } else { name };
            let [a, b, c, d] = held;
            let held = match dice.below(6) {
                0 => Held::Text(a.into_bytes()),
                1 => Held::List(vec![a, b, c, d]),
                2 => Held::Set([a, b].into()),
                3 => Held::Sorted([(a, 1.0), (b, f64::INFINITY), (c, f64::NAN)].into()),
                _ => Held::Hash([(a, b), (c, d)].into()),
            };
            let expires = dice.below(2) == 0;
            contents.keys.insert(name, Stored { expires, held });
        }
        found += violations(&contents).len();
    }
    assert!(found > 0, "nothing was wrong with any of it");
}
