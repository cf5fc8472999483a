//! The stored forms of format version 1, as files: what this build writes, and what every later build
//! must still read. A file here never changes; a new form is a new version.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use celeriac_broker_schema::figures::{Event, Figures};
use celeriac_broker_schema::{
    Accumulate, Attempt, Backoff, Deed, ErrorKind, JobSpec, Meta, Outcome, Priority, RecentTask,
    Record, Requester, RetryPolicy, Split, State, TaskFailure, TaskOptions, Timestamp,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

/// The text of a golden file.
macro_rules! golden {
    ($name:literal) => {
        include_str!(concat!("golden/v1/", $name, ".json")).trim_end()
    };
}

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).expect("JSON")
}

fn encode(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("our own types are JSON")
}

/// What is read and written again stays the same to the byte.
fn assert_kept<T: Serialize + DeserializeOwned>(stored: &str) -> T {
    let read: T = serde_json::from_str(stored).expect("it is readable");
    assert_eq!(encode(&read), stored);
    read
}

/// Arguments that no number of JavaScript or Lua can hold.
const ARGS: &str = r#"{"to":"ä@example.org","n":18446744073709551615,"x":1.0000000000000000001}"#;

fn full_options() -> TaskOptions {
    TaskOptions {
        queue: "mail".parse().expect("a queue"),
        priority: Priority::HIGHEST,
        retry: RetryPolicy {
            retries: 0,
            backoff: Backoff { base_ms: 5, cap_ms: 10, ..Default::default() },
        },
        timeout_ms: Some(1_500),
        soft_timeout_ms: None,
        keep_ms: 0,
        ..TaskOptions::default()
    }
}

/// Scripts find the name and the tenant of a task by what its record, or the spec of its job, begins
/// with (`terms_of` in `lua/lib/ready.lua`).
#[test]
fn a_record_of_a_tenant() {
    let stored = golden!("record_tenant");
    let options = TaskOptions {
        tenant: Some("ada@example.org".parse().expect("a tenant")),
        cost: 3,
        ..TaskOptions::default()
    };
    let (name, args) = ("mail/send.v2".parse().expect("a name"), raw(r#"["hello"]"#));
    let record = Record::new(&name, &args, &options);

    assert_eq!(record.encode().as_deref(), Ok(stored));
    assert!(stored.starts_with(r#"{"v":1,"task":"mail/send.v2","tenant":"ada@example.org","#));
    assert_eq!(Record::decode(stored).expect("a record").options(), options);
    for plain in [golden!("record_plain"), golden!("record_full")] {
        assert!(plain.starts_with(r#"{"v":1,"task":""#));
    }
    for spec in [golden!("job_plain"), golden!("job_full")] {
        assert!(spec.starts_with(r#"{"v":1,"chunk":{"v":1,"task":""#));
    }
}

#[test]
fn a_record_without_options() {
    let stored = golden!("record_plain");
    let (name, args) = ("echo".parse().expect("a name"), raw(r#"["hello"]"#));
    let written = Record::new(&name, &args, &TaskOptions::default()).encode();

    assert_eq!(written.as_deref(), Ok(stored));
    let read = Record::decode(stored).expect("a record");
    assert_eq!((&*read.task, read.args.get()), ("echo", r#"["hello"]"#));
    assert_eq!(read.options(), TaskOptions::default());
}

#[test]
fn a_record_of_a_delayed_task() {
    let stored = golden!("record_delayed");
    let (name, args) = ("echo".parse().expect("a name"), raw("1"));
    let options = TaskOptions::default();
    let record = Record { delay_ms: Some(90_000), ..Record::new(&name, &args, &options) };

    assert_eq!(record.encode().as_deref(), Ok(stored));
    let read = Record::decode(stored).expect("a record");
    assert_eq!((read.delay_ms, read.options()), (Some(90_000), options));
    assert_eq!(Record::name_in(stored), Some("echo"));
}

#[test]
fn figures_and_recent_tasks() {
    let stored = golden!("figures");
    let figures: Figures = serde_json::from_str(stored).expect("figures");
    assert_eq!(figures.encode(), stored);
    assert_eq!((figures.counts.of(Event::Retried), figures.wait.count()), (2, 5));
    assert_eq!((figures.run.sum_us(), figures.run.up_to_us(1_000)), (41_250_000, 3));

    let stored = golden!("recent_task");
    let recent: RecentTask = serde_json::from_str(stored).expect("a task");
    assert_eq!(serde_json::to_string(&recent).expect("JSON"), stored);
    assert_eq!((recent.state, recent.wait_ms, recent.others), (State::Succeeded, Some(12), 480));
}

#[test]
fn a_record_with_listed_waits() {
    let stored = golden!("record_backoff");
    let (name, args) = ("echo".parse().expect("a name"), raw("1"));
    let mut options = TaskOptions::default();
    options.retry.backoff = Backoff::listed([1, 60, 5].map(Duration::from_secs));

    assert_eq!(Record::new(&name, &args, &options).encode().as_deref(), Ok(stored));
    assert_eq!(Record::decode(stored).expect("a record").options(), options);
    // What a worker knows that reads the two numbers only.
    #[derive(serde::Deserialize)]
    struct Older {
        base_ms: u64,
        cap_ms: u64,
    }
    let backoff =
        serde_json::from_str::<serde_json::Value>(stored).expect("JSON")["backoff"].take();
    let Older { base_ms, cap_ms } = serde_json::from_value(backoff).expect("it is readable");
    assert_eq!((base_ms, cap_ms), (1_000, 60_000));
}

#[test]
fn a_record_with_all_options() {
    let stored = golden!("record_full");
    let (name, args) = ("mail/send.v2".parse().expect("a name"), raw(ARGS));
    let written = Record::new(&name, &args, &full_options()).encode();

    assert_eq!(written.as_deref(), Ok(stored));
    let read = Record::decode(stored).expect("a record");
    assert_eq!((&*read.task, read.args.get()), ("mail/send.v2", ARGS));
    assert_eq!(read.options(), full_options());
}

#[test]
fn a_record_with_a_soft_timeout() {
    let stored = golden!("record_soft_timeout");
    let (name, args) = ("t".parse().expect("a name"), raw("1"));
    let options = TaskOptions { soft_timeout_ms: Some(900), ..TaskOptions::default() };

    assert_eq!(Record::new(&name, &args, &options).encode().as_deref(), Ok(stored));
    assert_eq!(Record::decode(stored).expect("a record").options(), options);
}

#[test]
fn a_record_that_is_kept_on_failure() {
    let stored = golden!("record_kept_on_failure");
    let (name, args) = ("echo".parse().expect("a name"), raw(r#"["hello"]"#));
    let options =
        TaskOptions { keep_ms: 0, keep_failed_ms: Some(3_600_000), ..TaskOptions::default() };
    let written = Record::new(&name, &args, &options).encode();

    assert_eq!(written.as_deref(), Ok(stored));
    assert_eq!(Record::decode(stored).expect("a record").options(), options);
}

#[test]
fn a_record_with_label_tags_and_headers() {
    let stored = golden!("record_meta");
    let (name, args) = ("echo".parse().expect("a name"), raw("[]"));
    let mut meta = Meta { label: Some("Rechnung für Ada".to_owned()), ..Meta::default() };
    meta.tags.extend(["vip", "emea"].map(str::to_owned));
    meta.headers.set("Tenant", "acme");
    meta.headers.set("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let options = TaskOptions::default();
    let written = Record::new(&name, &args, &options).with_meta(&meta).encode();

    assert_eq!(written.as_deref(), Ok(stored));
    assert_eq!(Record::decode(stored).expect("a record").take_meta(), meta);
}

#[test]
fn an_outcome_with_a_compressed_result() {
    let read: Outcome = serde_json::from_str(golden!("outcome_compressed")).expect("readable");

    let expected = format!("\"{}\"", "celeriac ".repeat(1_000));
    assert_eq!(read.result.as_ref().map(|json| json.get()), Some(expected.as_str()));
    assert_eq!(read.state, State::Succeeded);
}

#[test]
fn a_job_without_options() {
    let stored = golden!("job_plain");
    let (name, args) = ("score".parse().expect("a name"), raw("{}"));
    let options = TaskOptions::default();
    let spec = JobSpec {
        v: 1,
        chunk: Record::new(&name, &args, &options),
        chunks: 10,
        split: None,
        accumulate: BTreeMap::new(),
        reduce: None,
        label: None,
        submitted_by: None,
        speculate: None,
        workflow: None,
    };

    assert_eq!(spec.encode().as_deref(), Ok(stored));
    let read = JobSpec::decode(stored).expect("a job");
    assert_eq!((read.chunks, &*read.chunk.task), (10, "score"));
    assert_eq!(encode(&read), stored);
}

#[test]
fn a_job_whose_chunks_may_be_started_twice() {
    let stored = golden!("job_speculate");
    let spec = JobSpec::decode(stored).expect("a spec");

    assert_eq!(spec.speculate, Some(300));
    assert_eq!(spec.encode().as_deref(), Ok(stored));
}

#[test]
fn a_job_with_all_options() {
    let stored = golden!("job_full");
    let (name, args) = ("pi".parse().expect("a name"), raw(r#"{"seed":7,"samples":0}"#));
    let options = full_options();
    let accumulate = [
        ("hits".to_owned(), Accumulate::Sum),
        ("slowest".to_owned(), Accumulate::Max),
        ("fastest".to_owned(), Accumulate::Min),
    ];
    let spec = JobSpec {
        v: 1,
        chunk: Record::new(&name, &args, &options),
        chunks: 100_000_000,
        split: Some(Split { field: "samples".to_owned(), total: 1_000_000_000_000 }),
        accumulate: BTreeMap::from(accumulate),
        reduce: Some(Cow::Borrowed("estimate")),
        label: Some(Cow::Borrowed("π, the long way")),
        submitted_by: Some(Cow::Borrowed("nightly")),
        speculate: None,
        workflow: None,
    };

    assert_eq!(spec.encode().as_deref(), Ok(stored));
    let read = JobSpec::decode(stored).expect("a job");
    assert_eq!(encode(&read), stored);
    assert_eq!(read.split, spec.split);
    assert_eq!(read.accumulate, spec.accumulate);
}

fn failure() -> TaskFailure {
    TaskFailure::new(ErrorKind::Timeout, "it ran longer than 1.5 s").with_trace("main\n  pi")
}

fn failed_attempt() -> Attempt {
    Attempt {
        attempt: 1,
        outcome: Cow::Borrowed("failed"),
        worker: "00c0ffee00c0ffee".to_owned(),
        host: None,
        claimed: None,
        started: Some(Timestamp(1_732_190_000_123)),
        ended: Timestamp(1_732_190_001_623),
        error: Some(failure()),
        retry_in_ms: Some(750),
        by: None,
        why: None,
    }
}

/// As scripts write it.
fn lost_attempt() -> Attempt {
    Attempt {
        attempt: 2,
        outcome: Cow::Borrowed("lost"),
        worker: "00c0ffee00c0ffef".to_owned(),
        host: None,
        claimed: Some(Timestamp(1_732_190_002_373)),
        started: None,
        ended: Timestamp(1_732_190_032_373),
        error: None,
        retry_in_ms: None,
        by: None,
        why: None,
    }
}

/// As `revive` writes it.
fn revived_mark() -> Attempt {
    Attempt {
        outcome: Cow::Borrowed("revived"),
        worker: String::new(),
        claimed: None,
        by: Some("ada@ma-1".to_owned()),
        why: Some("the disk was full".to_owned()),
        ..lost_attempt()
    }
}

#[test]
fn attempts() {
    for (stored, built) in [
        (golden!("attempt_failed"), failed_attempt()),
        (golden!("attempt_lost"), lost_attempt()),
        (
            golden!("attempt_lost_host"),
            Attempt { host: Some("ma-1.lab".to_owned()), ..lost_attempt() },
        ),
        (golden!("attempt_revived"), revived_mark()),
    ] {
        assert_eq!(encode(&built), stored);
        assert_eq!(assert_kept::<Attempt>(stored), built);
    }
}

#[test]
fn an_outcome_of_a_success() {
    let stored = golden!("outcome_succeeded");
    let built = Outcome {
        v: 1,
        state: State::Succeeded,
        task: None,
        queue: None,
        result: Some(raw(r#"{"pi":3.14159265358979323846264338327950288}"#)),
        members: None,
        error: None,
        failed_task: None,
        attempt: Some(3),
        worker: Some("00c0ffee00c0fff0".to_owned()),
        started: Some(Timestamp(1_732_190_040_000)),
        ended: Timestamp(1_732_190_041_000),
        by: None,
        why: None,
        attempts: vec![failed_attempt(), lost_attempt()],
    };

    assert_eq!(encode(&built), stored);
    assert_eq!(assert_kept::<Outcome>(stored).attempts, built.attempts);
}

#[test]
fn an_outcome_of_a_failure() {
    let stored = golden!("outcome_failed");
    let built = Outcome {
        v: 1,
        state: State::Failed,
        task: None,
        queue: None,
        result: None,
        members: None,
        error: Some(failure()),
        failed_task: None,
        attempt: Some(1),
        worker: Some("00c0ffee00c0ffee".to_owned()),
        started: Some(Timestamp(1_732_190_000_123)),
        ended: Timestamp(1_732_190_001_623),
        by: None,
        why: None,
        attempts: vec![Attempt { retry_in_ms: None, ..failed_attempt() }],
    };

    assert_eq!(encode(&built), stored);
    assert_eq!(assert_kept::<Outcome>(stored).error, built.error);
}

#[test]
fn an_outcome_that_names_its_task() {
    let stored = golden!("outcome_named");
    let built = Outcome {
        v: 1,
        state: State::Succeeded,
        task: Some("mail.send".to_owned()),
        queue: Some("mail".to_owned()),
        result: Some(raw(r#""sent""#)),
        members: None,
        error: None,
        failed_task: None,
        attempt: Some(1),
        worker: Some("00c0ffee00c0ffee".to_owned()),
        started: Some(Timestamp(1_732_190_040_000)),
        ended: Timestamp(1_732_190_041_000),
        by: None,
        why: None,
        attempts: Vec::new(),
    };

    assert_eq!(encode(&built), stored);
    assert_eq!(assert_kept::<Outcome>(stored).queue(), Some("mail"));
    // What is left out says `default`, if anything is known of the task.
    assert_eq!(Outcome { queue: None, ..built.clone() }.queue(), Some("default"));
    assert_eq!(Outcome { queue: None, task: None, ..built }.queue(), None);
}

/// These are put together by scripts; that they write them so is tested there.
#[test]
fn outcomes_that_scripts_write() {
    let read = |stored: &str| {
        let outcome: Outcome = serde_json::from_str(stored).expect("an outcome");
        // Nothing of it is lost, whatever its order.
        let kept: Value = serde_json::from_str(&encode(&outcome)).expect("JSON");
        assert_eq!(kept, serde_json::from_str::<Value>(stored).expect("JSON"));
        outcome
    };

    let failed = read(golden!("outcome_job_failed"));
    assert_eq!(failed.state, State::Failed);
    assert_eq!(failed.failed_task.as_deref(), Some("0193a7c2b5e07d4e8a1f3c5d7e9b1a00:17"));
    let crashed = read(golden!("outcome_crashed"));
    assert_eq!(crashed.error.map(|error| error.kind), Some(ErrorKind::Crashed));
    assert_eq!(crashed.attempts, [lost_attempt()]);
    let done = read(golden!("outcome_job_succeeded"));
    assert_eq!(done.result.as_deref().map(RawValue::get), Some(r#"{"area":0.5,"hits":-7}"#));
    assert_eq!(read(golden!("outcome_expired")).state, State::Expired);
    let expired = read(golden!("outcome_expired_named"));
    assert_eq!(expired.state, State::Expired);
    assert_eq!((expired.task.as_deref(), expired.queue()), (Some("mail.send"), Some("mail")));
    let cancelled = read(golden!("outcome_cancelled"));
    assert_eq!(cancelled.state, State::Cancelled);
    assert_eq!((cancelled.by.as_deref(), cancelled.why.as_deref()), (Some("ada"), Some("a typo")));
}

/// Within one version fields may be added: who does not know them ignores them.
#[test]
fn unknown_fields_are_ignored() {
    let with_more = |stored: &str| stored.replacen('{', r#"{"new":[1],"#, 1);
    let record = with_more(golden!("record_full"));
    assert_eq!(Record::decode(&record).expect("a record").options(), full_options());
    let job = with_more(golden!("job_full"));
    assert_eq!(JobSpec::decode(&job).expect("a job").chunks, 100_000_000);
    let outcome = with_more(golden!("outcome_failed"));
    assert!(serde_json::from_str::<Outcome>(&outcome).is_ok());
}

/// A line of the audit list; those of later builds may say more.
#[test]
fn a_deed() {
    let stored = golden!("deed");
    let deed: Deed = assert_kept(stored);
    assert_eq!((deed.action.as_str(), deed.changed, deed.failed), ("pause-queue", 1, false));
    assert_eq!(deed.who, Requester::new("ada").because("the mail server is down"));
    let sparse: Deed = serde_json::from_str(r#"{"action":"x","later":[1]}"#).expect("a deed");
    assert_eq!(sparse, Deed { action: "x".to_owned(), ..Deed::default() });
}

/// The kinds of errors by the names that are stored; one that a later build adds is not an error.
#[test]
fn kinds_of_errors() {
    let kinds = [
        (ErrorKind::Error, "error"),
        (ErrorKind::Panic, "panic"),
        (ErrorKind::Timeout, "timeout"),
        (ErrorKind::UnknownTask, "unknown_task"),
        (ErrorKind::BadArguments, "bad_arguments"),
        (ErrorKind::BadRecord, "bad_record"),
        (ErrorKind::BadResult, "bad_result"),
        (ErrorKind::BadAccumulator, "bad_accumulator"),
        (ErrorKind::BadOptions, "bad_options"),
        (ErrorKind::Crashed, "crashed"),
        (ErrorKind::Cancelled, "cancelled"),
        (ErrorKind::Other, "other"),
    ];
    for (kind, name) in kinds {
        assert_eq!(encode(&kind), format!("\"{name}\""));
        assert_eq!(assert_kept::<ErrorKind>(&format!("\"{name}\"")), kind);
    }
    let later: ErrorKind = serde_json::from_str(r#""melted""#).expect("a kind");
    assert_eq!(later, ErrorKind::Other);
}
