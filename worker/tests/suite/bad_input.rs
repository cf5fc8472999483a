//! What a foreign producer, or a hand, can write into Redis past the scripts (G9): in every place that
//! workers read, bytes that make no sense. It ends alone, as a dead letter or as nothing at all; the
//! tasks beside it all run, each once, and no worker ends.

use std::time::Duration;

use celeriac_broker_schema::script::Place;
use celeriac_broker_schema::{Broker, Priority, QueueName, TaskId, Timestamp};
use celeriac_testkit::eventually;
use futures_util::future::join_all;
use redis::aio::MultiplexedConnection;

use crate::common::{LONG, Running, broker, config, key, producer, raw, snapshot};
use crate::stage::{Stage, note_task};

/// What must become of it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Ends {
    /// Kept among the dead letters.
    Dead,
    /// It succeeds: strange, but no harm.
    Well,
    /// Dropped, or left where nobody looks.
    Quietly,
}
use Ends::{Dead, Quietly, Well};

type Bytes = Vec<u8>;

/// A command, word by word.
type Words = Vec<Bytes>;

/// Something bad: its name, what is written, the id that has to end so.
struct Case {
    name: String,
    writes: Vec<Words>,
    id: Bytes,
    ends: Ends,
}

fn id() -> String {
    TaskId::new(Timestamp(1_700_000_000_000)).to_string()
}

/// Keys begin with `~`, in place of the prefix.
fn words(all: &[&[u8]]) -> Words {
    all.iter().map(|word| word.to_vec()).collect()
}

/// A task with this record, put where producers put it.
fn record(name: &str, record: impl Into<Bytes>, ends: Ends) -> Case {
    let (id, record) = (id().into_bytes(), record.into());
    let writes = vec![
        words(&[b"HSET", b"~tasks", &id, &record]),
        words(&[b"RPUSH", b"~ready:default:5", &id]),
    ];
    Case { name: format!("record: {name}"), writes, id, ends }
}

/// A task under this id.
fn strange_id(name: &str, id: impl Into<Bytes>, ends: Ends) -> Case {
    let id = id.into();
    let record = br#"{"v":1,"task":"note","args":{"name":"strange"}}"#;
    let writes = vec![
        words(&[b"HSET", b"~tasks", &id, record]),
        words(&[b"RPUSH", b"~ready:default:5", &id]),
    ];
    Case { name: format!("id: {name}"), writes, id, ends }
}

/// An element, wherever it is pushed to.
fn element(list: &str, text: impl Into<Bytes>) -> Case {
    let (list, text) = (format!("~{list}"), text.into());
    let name = format!("{list}: {}", String::from_utf8_lossy(&text[..text.len().min(40)]));
    let writes = vec![words(&[b"RPUSH", list.as_bytes(), &text])];
    Case { name, writes, id: Vec::new(), ends: Quietly }
}

/// A member of a sorted set.
fn member(set: &str, score: &str, text: impl Into<Bytes>) -> Case {
    let (set, text) = (format!("~{set}"), text.into());
    let name = format!("{set}: {}", String::from_utf8_lossy(&text[..text.len().min(40)]));
    let writes = vec![words(&[b"ZADD", set.as_bytes(), score.as_bytes(), &text])];
    Case { name, writes, id: Vec::new(), ends: Quietly }
}

/// A good task, and something that is wrong beside it.
fn beside(name: &str, more: impl FnOnce(&[u8]) -> Vec<Words>, ends: Ends) -> Case {
    let mut case = record("", r#"{"v":1,"task":"note","args":{"name":"strange"}}"#, ends);
    case.name = format!("beside a task: {name}");
    case.writes.splice(0..0, more(&case.id.clone()));
    case
}

/// A job whose hash has these fields besides those that are right, with a range in the list.
fn job(name: &str, fields: &[(&str, &str)], ends: Ends) -> Case {
    let id = id();
    let mut all = vec![
        ("spec", r#"{"v":1,"chunk":{"v":1,"task":"note","args":{"name":"chunk"}},"chunks":3}"#),
        ("total", "3"),
        ("state", "running"),
        ("keep", "60000"),
        ("created", "1"),
        ("done", "0"),
        ("failed", "0"),
    ];
    all.extend(fields);
    let hash = format!("~job:{id}");
    let mut set = words(&[b"HSET", hash.as_bytes()]);
    set.extend(
        all.iter().flat_map(|(name, value)| [name.as_bytes().to_vec(), value.as_bytes().to_vec()]),
    );
    let bits = format!("~job:{id}:done");
    let range = format!("{id}:0-3");
    let writes = vec![
        set,
        words(&[b"SETBIT", bits.as_bytes(), b"2", b"0"]),
        words(&[b"ZADD", b"~jobs:open", b"1", id.as_bytes()]),
        words(&[b"HSET", b"~chunks", b"default:5", b"2"]),
        words(&[b"RPUSH", b"~ready:default:5", range.as_bytes()]),
    ];
    let chunk = format!("{id}:0").into_bytes();
    Case { name: format!("job: {name}"), writes, id: chunk, ends }
}

const RIGHT_TO_LEFT: &str = "\u{202e}\u{5e9}\u{5dc}\u{5d5}\u{5dd}\u{202c}";

fn records() -> Vec<Case> {
    let task = |rest: &str| format!(r#"{{"v":1,"task":"note","args":{{"name":"strange"}}{rest}}}"#);
    let named = |name: &str| format!(r#"{{"v":1,"task":{name},"args":{{}}}}"#);
    let good = task("");
    vec![
        record("empty", "", Dead),
        record("random bytes", (0..=255).rev().cycle().take(3_000).collect::<Bytes>(), Dead),
        record("NUL", "\0", Dead),
        record("no JSON", "no JSON", Dead),
        record("null", "null", Dead),
        record("a number", "7", Dead),
        record("a list", "[1,2]", Dead),
        record("a list in a list in a list", "[".repeat(100_000), Dead),
        record("truncated", &good[..good.len() - 9], Dead),
        record("something behind it", format!("{good}{good}"), Dead),
        record(
            "bytes that are no text",
            [b"{\"v\":1,\"task\":\"", &b"\xff\xfe"[..], b"\",\"args\":{}}"].concat(),
            Dead,
        ),
        record("of a newer version", task("").replace("\"v\":1", "\"v\":99"), Dead),
        record("of version 0", task("").replace("\"v\":1", "\"v\":0"), Dead),
        record("of no version", task("").replace("\"v\":1,", ""), Dead),
        record(
            "of a version beyond all numbers",
            task("").replace("\"v\":1", "\"v\":18446744073709551617"),
            Dead,
        ),
        record("of a version that is text", task("").replace("\"v\":1", "\"v\":\"1\""), Dead),
        record("without a task", r#"{"v":1,"args":{}}"#, Dead),
        record("without arguments", r#"{"v":1,"task":"note"}"#, Dead),
        record("arguments of another kind", r#"{"v":1,"task":"note","args":"strange"}"#, Dead),
        record("an empty name", named("\"\""), Dead),
        record("a name with NUL", named("\"no\\u0000te\""), Dead),
        record("a name with braces", named("\"{note}\""), Dead),
        record("a name from right to left", named(&format!("\"{RIGHT_TO_LEFT}\"")), Dead),
        record("a name of a megabyte", named(&format!("\"{}\"", "n".repeat(1 << 20))), Dead),
        record("a name that is no text", named("{}"), Dead),
        record("a time-out below zero", task(r#","timeout_ms":-1"#), Dead),
        record("a time-out beyond all numbers", task(r#","timeout_ms":1e300"#), Dead),
        record("a priority beyond all", task(r#","priority":4000000000000"#), Dead),
        record("a queue with a colon", task(r#","queue":"a:b""#), Well),
        record(
            "a tenant of a megabyte",
            task(&format!(r#","tenant":"{}""#, "t".repeat(1 << 20))),
            Well,
        ),
        record("ten megabytes", task(&format!(r#","more":"{}""#, "x".repeat(10 << 20))), Well),
        record("unknown fields", task(r#","will":"be understood one day","v2":{"a":[1]}"#), Well),
        record("integers above 2^53", task(r#","big":9007199254740993"#), Well),
    ]
}

fn ids() -> Vec<Case> {
    vec![
        strange_id("empty", "", Dead),
        strange_id("a word", "hello", Dead),
        strange_id("NUL", "a\0b", Dead),
        strange_id("braces", "{a}{b}", Dead),
        strange_id("bytes that are no text", b"\xff\xfe".to_vec(), Dead),
        strange_id("from right to left", RIGHT_TO_LEFT, Dead),
        strange_id("a megabyte", "x".repeat(1 << 20), Dead),
        strange_id("too many digits", "0".repeat(33), Dead),
        strange_id("a turn of nobody", "@nobody", Dead),
        strange_id("a space", "a b", Dead),
        strange_id("the field of the call number", "#", Dead),
        strange_id("upper case", "0123456789ABCDEF0123456789ABCDEF", Dead),
    ]
}

fn elements() -> Vec<Case> {
    let job = "0123456789abcdef0123456789abcdef";
    let texts = [
        String::new(),
        "no such task".to_owned(),
        "\0".to_owned(),
        "x".repeat(1 << 20),
        "@".to_owned(),
        "@nobody".to_owned(),
        format!("@{}", "x".repeat(1 << 20)),
        format!("{job}:7"),
        format!("{job}:0-9"),
        format!("{job}:9-0"),
        format!("{job}:0-99999999999999999999999"),
        format!("{job}:0-3+99999999999999999999"),
        format!("{job}:99999999999999999999999"),
        format!("{job}:-1"),
        ":".to_owned(),
        "::::".to_owned(),
    ];
    let mut all = Vec::new();
    for text in texts {
        all.push(element("ready:default:5", text.clone()));
        all.push(element("suspects:default", format!("5:{text}")));
        all.push(member("delayed", "1", format!("5:default:{text}")));
    }
    for text in
        ["", "garbage", "5", "5:", "x:default:y", "99:default:y", "5:a:b:c", ":::", "\0", "5:{x}:y"]
    {
        all.push(element("suspects:default", text));
        all.push(member("delayed", "1", text));
        all.push(member("expiry", "1", text));
        all.push(member("parked", "1", text));
        all.push(member("schedules:due", "1", text));
        all.push(element("orphans", text));
    }
    all
}

fn besides() -> Vec<Case> {
    let field = |key: &'static str, value: &'static [u8]| {
        move |id: &[u8]| vec![words(&[b"HSET", format!("~{key}").as_bytes(), id, value])]
    };
    vec![
        beside("a history of nonsense", field("history", b"nonsense"), Well),
        beside("an empty history", field("history", b""), Well),
        beside(
            "a history beyond all numbers",
            field("history", b"99999999999999999999 1\n{"),
            Well,
        ),
        beside("a history of bytes", field("history", b"\xff\n\xfe"), Well),
        beside("inputs of nonsense", field("inputs", b"nonsense"), Dead),
        beside("a checkpoint of nonsense", field("checkpoints", b"\xff"), Well),
        beside("a lock of nonsense", field("locks", b"nonsense"), Well),
        beside("an empty lock", field("locks", b""), Well),
        beside("a cancel flag of nonsense", field("cancels", b"nonsense"), Well),
        beside("a queue it was never moved to", field("moved", b"a:b:c"), Well),
        beside("a tombstone", field("tombstones", b"nonsense"), Well),
        beside("watchers of nonsense", field("watchers", b"\xff \x00"), Well),
        beside(
            "controls of nonsense",
            |_| vec![words(&[b"HSET", b"~controls", b"default", b"\xffm"])],
            Well,
        ),
        beside(
            "a limit of nonsense",
            |_| vec![words(&[b"HSET", b"~limits:task", b"note", b"nonsense"])],
            Well,
        ),
        beside(
            "a worker that nobody can read",
            |_| {
                vec![
                    words(&[b"ZADD", b"~leases", b"1", b"strange {lease}"]),
                    words(&[b"HSET", b"~inflight:strange {lease}", b"#", b"x", b"a", b"b"]),
                ]
            },
            Well,
        ),
        beside("twice in its list", |id| vec![words(&[b"RPUSH", b"~ready:default:5", id])], Well),
        beside(
            "an outcome that was there before",
            |id| {
                let key = [b"~result:", id].concat();
                vec![words(&[b"SET", &key, b"nonsense", b"EX", b"60"])]
            },
            Well,
        ),
    ]
}

/// Chunks of a job that runs, under names that make no sense.
fn strange_chunks() -> Vec<Case> {
    [
        "9-0",
        "0-99999999999999999999",
        "99999999999999999999",
        "5000000000",
        "0-5000000000",
        "7-9",
        "2-3+99",
    ]
    .map(|chunks| {
        let mut case = job("", &[], Quietly);
        let (job, _) = std::str::from_utf8(&case.id).unwrap().split_once(':').unwrap();
        let text = format!("{job}:{chunks}");
        case.name = format!("chunks: {chunks}");
        case.writes.push(words(&[b"LPUSH", b"~ready:default:5", text.as_bytes()]));
        case
    })
    .into()
}

/// A job and its chunks under an id that is none.
fn strange_job() -> Case {
    let mut case = job("under an id that is none", &[], Quietly);
    let (id, _) = std::str::from_utf8(&case.id).unwrap().split_once(':').unwrap();
    let id = id.to_owned();
    for word in case.writes.iter_mut().flatten() {
        let text = String::from_utf8_lossy(word).replace(&id, "abc");
        *word = text.into_bytes();
    }
    case
}

fn parked() -> Vec<Case> {
    ["", "garbage", "a 5 default", "a b c d", "\0", "@x 5 default", "x 5 {q}"]
        .map(|text| {
            let mut case = member("parked:task:note", "1", text);
            case.writes.push(words(&[b"ZADD", b"~parked", b"1", b"task:note"]));
            case
        })
        .into()
}

fn jobs() -> Vec<Case> {
    vec![
        job("a specification of nonsense", &[("spec", "nonsense")], Dead),
        job("an empty specification", &[("spec", "")], Dead),
        job("a specification of a newer version", &[("spec", r#"{"v":99}"#)], Dead),
        job("a total of nonsense", &[("total", "many")], Quietly),
        job("a total beyond all numbers", &[("total", "1e400")], Quietly),
        job("counts below zero", &[("done", "-7")], Quietly),
        job("a sum of nonsense", &[("acc:n", "nonsense")], Quietly),
        job("a state of nonsense", &[("state", "tired")], Quietly),
    ]
}

async fn write(broker: &Broker, raw: &mut MultiplexedConnection, words: &Words) {
    let mut command = redis::Cmd::new();
    for word in words {
        match word.strip_prefix(b"~") {
            Some(name) => command.arg([key(broker, "").as_bytes(), name].concat()),
            None => command.arg(word),
        };
    }
    let _: redis::Value = command.query_async(raw).await.unwrap();
}

const GOOD: usize = 40;
/// Far longer than it takes, and short enough for many that fail.
const PATIENCE: Duration = Duration::from_secs(8);

/// Good tasks before and behind it all succeed once, the bad one ends as told, and the worker leaves in
/// good order. Says what is wrong.
async fn survive(case: &Case) -> Result<(), String> {
    let (broker, stage) = (broker().await, Stage::new());
    let (mut raw, producer) = (raw(&broker).await, producer(&broker));
    let names: Vec<String> = (0..GOOD).map(|number| format!("good {number}")).collect();
    let (before, behind) = names.split_at(GOOD / 2);
    producer.enqueue_many(before.iter().map(note_task)).await.unwrap();
    for words in &case.writes {
        write(&broker, &mut raw, words).await;
    }
    producer.enqueue_many(behind.iter().map(note_task)).await.unwrap();
    let worker = Running::start(&broker, stage.tasks(), config());
    let all = || names.iter().all(|name| stage.count(name) == 1);
    let ended = async || {
        let end = match case.ends {
            Quietly => true,
            Well => stage.count("strange") >= 1,
            Dead => {
                // Under an id of its own, if its own is none.
                let mut dead = redis::cmd("HLEN");
                dead.arg(key(&broker, "dead:tasks"));
                dead.query_async::<u64>(&mut raw.clone()).await.unwrap() == 1
            }
        };
        match (all(), end) {
            (true, true) => Ok(()),
            (good, bad) => Err(format!("the good ones ran: {good}; the bad one ended: {bad}")),
        }
    };
    let done = tokio::time::timeout(PATIENCE, async {
        loop {
            match ended().await {
                Ok(()) => return,
                Err(_) if worker.ended.is_finished() => return,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    });
    let _ = done.await;
    let said = ended().await.map_err(|what| format!("{}: {what}", case.name));
    if worker.ended.is_finished() {
        return Err(format!("{}: the worker has ended; {said:?}", case.name));
    }
    said?;
    // Whoever only looks is not kept from the rest, either.
    let looked = [
        broker.sample(100).await.map(drop),
        broker
            .queued(&QueueName::default(), &Place::Ready(Priority::default()), 0, 100)
            .await
            .map(drop),
        broker.dead(None, 100).await.map(drop),
        broker.contents(1_000_000).await.map(drop),
    ];
    if let Some(error) = looked.into_iter().find_map(Result::err) {
        return Err(format!("{}: {error}", case.name));
    }
    worker.drain().await;
    let leases = eventually(LONG, async || match snapshot(&broker).await.leases {
        0 => Ok(()),
        n => Err(format!("{n} leases")),
    });
    leases.await;
    Ok(())
}

async fn survive_all(cases: Vec<Case>) {
    let mut wrong = Vec::new();
    for some in cases.chunks(8) {
        let results = join_all(some.iter().map(survive)).await;
        wrong.extend(results.into_iter().filter_map(Result::err));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn g9_records_that_make_no_sense() {
    survive_all(records()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g9_ids_that_make_no_sense() {
    survive_all(ids()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g9_elements_of_lists_that_make_no_sense() {
    survive_all(elements()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g9_what_is_kept_beside_tasks_makes_no_sense() {
    let mut all = besides();
    all.extend(parked());
    survive_all(all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g9_jobs_that_make_no_sense() {
    let mut all = jobs();
    all.extend(strange_chunks());
    all.push(strange_job());
    survive_all(all).await;
}
