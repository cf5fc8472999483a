//! Users with the least rights, exactly as `deploy/redis-acl.conf` has them: each does its work, and
//! nothing beyond it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use celeriac_private_server::{Listen, Options};
use celeriac_testkit::TestRedis;
use celeriac_testkit::redis::connect;

use crate::common::{Celeriac, SOON};

const FILE: &str = include_str!("../../../deploy/redis-acl.conf");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

async fn server() -> TestRedis {
    let file = format!("\"{}\"", root().join("deploy/redis-acl.conf").display());
    let extra = vec![("include".to_owned(), file)];
    TestRedis::start_with(Options { listen: Listen::FreePort, extra, ..Options::default() }).await
}

fn url(redis: &TestRedis, role: &str) -> String {
    format!("redis://celeriac-{role}:change-me-{role}@127.0.0.1:{}/", redis.port())
}

/// The namespace that the file names.
fn celeriac(redis: &TestRedis, role: &str) -> Celeriac {
    Celeriac { url: url(redis, role), namespace: "celeriac".to_owned() }
}

/// Whether the server does not let this user do that.
async fn forbids(redis: &TestRedis, role: &str, words: &[&str]) -> bool {
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    let answer: Result<redis::Value, _> =
        command.query_async(&mut connect(&url(redis, role)).await).await;
    // DEBUG is not let in at all, unless the server is told to.
    answer.is_err_and(|error| {
        error.code() == Some("NOPERM") || error.to_string().contains("not allowed")
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_does_its_work_and_nothing_beyond_it() {
    let redis = server().await;
    let [producer, worker, monitor, operator] =
        ["producer", "worker", "monitor", "operator"].map(|role| celeriac(&redis, role));

    // The happy path: a result, a failure, a delay, a key, a job, a stream.
    let running = worker.worker("--visibility-timeout 1s").await;
    let result = producer.ok("enqueue echo --arg word=hello --wait");
    assert!(result.contains("hello"), "{result}");
    assert_eq!(producer.run("enqueue fail --arg message=no --retries 1 --wait").code, Some(1));
    producer.ok("enqueue noop --delay 100ms --key once --wait");
    producer.ok("enqueue noop --tag t --label somewhere");
    let job =
        "enqueue pi --split samples=1000 --chunks 10 --sum hits --sum samples --reduce pi.estimate";
    producer.ok(&format!("{job} --wait"));
    let count = producer.ok("enqueue count --arg to=3");
    assert_eq!(producer.ok(&format!("result {count} --follow")).lines().count(), 4);
    producer.ok(&format!("status {count}"));
    let late = producer.ok("enqueue noop --delay 1h");
    producer.ok(&format!("cancel {late}"));

    // A worker dies, another puts back what it held.
    let held = producer.ok("enqueue sleep --arg ms=2000");
    monitor_until_running(&monitor, &held).await;
    running.kill();
    let next = worker.worker("--visibility-timeout 1s").await;
    producer.ok(&format!("result {held} --wait --wait-timeout 30s"));

    for look in [
        "queues",
        "workers",
        "jobs",
        "limits",
        "dead",
        "audit",
        "settings",
        "schedule list",
        "explain ID",
    ] {
        monitor.ok(&look.replace("ID", &held));
        operator.ok(&look.replace("ID", &held));
    }
    // It warns of settings; it does not fail for want of rights.
    allowed(&monitor, "doctor");

    for act in [
        "queues pause default --why lunch",
        "queues limit default 1000",
        "limits set task:noop --rate 10/s --concurrency 2",
        "limits fair default on",
        "schedule add nightly noop --every 1h",
        "settings set dead_max=100",
        "dead revive --all",
        "workers pause --all",
        "doctor --memory",
    ] {
        let ran = monitor.run(act);
        assert_eq!(ran.code, Some(4), "the monitor may not: {act}: {ran:?}");
        allowed(&operator, act);
    }
    for act in [
        "queues resume default",
        "queues limit default none",
        "queues move default other",
        "queues purge default --delayed --yes",
        "limits remove task:noop",
        "limits fair default off",
        "schedule pause nightly",
        "schedule remove nightly",
        "workers resume --all",
        "dead delete --all --yes",
    ] {
        allowed(&operator, act);
    }
    let ran = monitor.run("enqueue noop");
    assert_eq!(ran.code, Some(4), "{ran:?}");
    next.terminate();
    assert_eq!(next.wait(SOON).await.code(), Some(0), "{next}");
}

/// Asserts that a command fails for no want of rights. It may find a problem.
fn allowed(celeriac: &Celeriac, act: &str) {
    let ran = celeriac.run(act);
    assert!(ran.code == Some(0) || ran.code == Some(8), "{act}: {ran:?}");
}

async fn monitor_until_running(monitor: &Celeriac, id: &str) {
    celeriac_testkit::eventually(SOON, async || {
        let status = monitor.json(&format!("status {id}"));
        if status["state"] == "running" { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_role_can_harm_the_server_or_look_beyond_its_namespace() {
    let redis = server().await;
    let outside = "{other:0}:tasks";
    for role in ["producer", "worker", "monitor", "operator"] {
        for words in [
            &["FLUSHALL"][..],
            &["FLUSHDB"],
            &["KEYS", "*"],
            &["CONFIG", "GET", "*"],
            &["CONFIG", "SET", "dir", "/"],
            &["SHUTDOWN"],
            &["DEBUG", "SLEEP", "0"],
            &["ACL", "LIST"],
            &["MONITOR"],
            &["SAVE"],
            &["REPLICAOF", "NO", "ONE"],
            &["CLIENT", "KILL", "TYPE", "normal"],
            &["SCRIPT", "FLUSH"],
            &["FUNCTION", "LIST"],
            &["MIGRATE", "127.0.0.1", "1", "k", "0", "1"],
            &["SORT", "{celeriac:0}:x"],
            &["HGET", outside, "x"],
            &["PUBLISH", "{other:0}:told", "x"],
            &["SUBSCRIBE", "{other:0}:told"],
        ] {
            assert!(forbids(&redis, role, words).await, "{role} may {words:?}");
        }
    }
    for words in [
        &["HSET", "{celeriac:0}:tasks", "a", "b"][..],
        &["DEL", "{celeriac:0}:tasks"],
        &["PUBLISH", "{celeriac:0}:told", "x"],
        &["SCAN", "0"],
        &["BLPOP", "{celeriac:0}:bell:default", "0.01"],
    ] {
        assert!(forbids(&redis, "monitor", words).await, "monitor may {words:?}");
    }
    for words in
        [&["HSET", "{celeriac}:workers", "a", "b"][..], &["SCAN", "0"], &["RENAME", "a", "b"]]
    {
        assert!(forbids(&redis, "producer", words).await, "producer may {words:?}");
    }
    assert!(forbids(&redis, "worker", &["SCAN", "0"]).await);
    let nobody = Celeriac::at(&format!("redis://127.0.0.1:{}/", redis.port()));
    assert_eq!(nobody.run("queues").code, Some(4));
}

/// The commands that a part of the scripts' text calls.
fn called(text: &str) -> BTreeSet<String> {
    let code: String =
        text.lines().map(|line| line.split("--").next().unwrap_or("").to_owned() + "\n").collect();
    let mut found = BTreeSet::new();
    for begin in ["call('", "each_bite('"] {
        for (at, _) in code.match_indices(begin) {
            let name: String =
                code[at + begin.len()..].chars().take_while(|c| *c != '\'').collect();
            found.insert(name.to_ascii_lowercase());
        }
    }
    found
}

fn files(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap();
    entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect()
}

/// What all scripts call that may write, and what those call themselves that only read.
fn commands_of_scripts() -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut all, mut reading) = (BTreeSet::new(), BTreeSet::new());
    let wrappers: String = files("broker-schema/src/script")
        .iter()
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    for path in files("broker-schema/lua") {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let own = called(&text);
        // Those that look at all keys are for operators.
        let looks_at_all = own.contains("scan") || own.contains("type");
        if wrappers.contains(&format!("\"{name}\", \" flags=no-writes\"")) && !looks_at_all {
            reading.extend(own.clone());
        }
        all.extend(own);
    }
    for path in files("broker-schema/lua/lib") {
        all.extend(called(&std::fs::read_to_string(&path).unwrap()));
    }
    (all, reading)
}

/// What is missing shows in the middle of a script: it must not be missing.
#[test]
fn every_command_that_a_script_may_call_is_allowed_to_those_who_run_it() {
    let (all, reading) = commands_of_scripts();
    assert!(all.len() > 40 && reading.len() > 10, "{all:?} {reading:?}");
    for command in &reading {
        assert!(rights_of("monitor", command), "add +{command} for monitor");
    }
    let only_of = |command: &str| match command {
        "scan" | "type" | "memory" | "pexpiretime" => &["operator"][..],
        "rename" => &["worker", "operator"],
        _ => &["producer", "worker", "operator"],
    };
    for command in &all {
        for role in only_of(command) {
            let rights = rights_of(role, command);
            assert!(rights, "add +{command} for {role}");
        }
    }
}

/// Whether a line of the file allows a command, by its name or by its category.
fn rights_of(role: &str, command: &str) -> bool {
    let line =
        FILE.lines().find(|line| line.starts_with(&format!("user celeriac-{role} "))).unwrap();
    line.split(' ')
        .any(|word| word == format!("+{command}") || word.starts_with(&format!("+{command}|")))
        || CATEGORIES.iter().any(|(category, prefixes)| {
            line.contains(&format!("+@{category} "))
                && prefixes.iter().any(|p| command.starts_with(p))
        })
}

/// How the commands of the categories begin that the file allows as a whole.
const CATEGORIES: [(&str, &[&str]); 7] = [
    ("hash", &["h"]),
    ("list", &["l", "rpush", "rpop"]),
    (
        "set",
        &["sadd", "srem", "scard", "sismember", "srandmember", "smembers", "spop", "smismember"],
    ),
    ("sortedset", &["z"]),
    ("string", &["get", "set", "incr", "mget", "append", "strlen", "decr"]),
    ("bitmap", &["bit", "getbit", "setbit"]),
    ("stream", &["x"]),
];
