//! Passwords in the URL of Redis are in nothing that is printed, logged, shown or stored.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;

use celeriac_private_server::{Listen, Options};
use celeriac_testkit::dump::dump;
use celeriac_testkit::redis::fresh_namespace;
use celeriac_testkit::{Process, TestRedis};

use crate::common::{Celeriac, SOON, bare, run};

/// It is in every URL of this file, and nowhere else.
const SECRET: &str = "hunter2hunter2";

/// Every command, in forms that print as much as they can. `ID` is a task.
const COMMANDS: [&str; 27] = [
    "history --json",
    "job ID --json",
    "audit --json",
    "enqueue echo --arg word=hello",
    "enqueue noop --durable=1 --json",
    "schedule add nightly noop --every 1h",
    "schedule list --json",
    "status ID --json",
    "explain ID",
    "result ID",
    "cancel ID",
    "queues --json",
    "queues pause default",
    "queues resume default",
    "workers --json",
    "workers drain nobody",
    "jobs --json",
    "limits --json",
    "limits set task:noop --rate 1/s",
    "dead --json",
    "settings --json",
    "doctor",
    "doctor --memory --json",
    "worker --check",
    "monitor --check",
    "bench --only nothing",
    "completions bash",
];

/// Commands that run on, or need no Redis of others: they are looked at by themselves, or hold nothing.
const OTHERS: [&str; 3] = ["up", "demo", "help"];

fn assert_kept(what: &str, text: &str) {
    assert!(!text.contains(SECRET), "{what} tells the password: {text}");
}

/// Runs every command with all that it would log.
fn run_all(url: &str, namespace: &str, id: &str) {
    let celeriac = Celeriac { url: url.to_owned(), namespace: namespace.to_owned() };
    for words in COMMANDS {
        let words = words.replace("ID", id);
        for how in ["", "-vv"] {
            let mut command = celeriac.command(&format!("{words} {how}"));
            let ran = run(command.env("CELERIAC_LOG", "trace"));
            assert_kept(&words, &ran.stdout);
            assert_kept(&words, &ran.stderr);
        }
    }
}

#[test]
fn no_command_is_left_out() {
    let help = run(bare().arg("--help")).stdout;
    let (_, commands) = help.split_once("\nCommands:\n").unwrap();
    let lines = commands.lines().take_while(|line| !line.is_empty());
    let lines = lines.filter(|line| !line.starts_with("   "));
    let all: BTreeSet<&str> = lines.filter_map(|line| line.split_whitespace().next()).collect();
    let first = COMMANDS.iter().filter_map(|words| words.split(' ').next());
    let known: BTreeSet<&str> = first.chain(OTHERS).collect();
    let missing: Vec<&&str> = all.difference(&known).collect();
    assert!(missing.is_empty(), "add to COMMANDS: {missing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_command_log_page_or_key_has_the_password() {
    let options = Options {
        listen: Listen::FreePort,
        password: Some(SECRET.to_owned()),
        ..Options::default()
    };
    let redis = TestRedis::start_with(options).await;
    let celeriac = Celeriac::at(redis.url());
    assert!(celeriac.url.contains(SECRET));
    let id = celeriac.ok("enqueue echo --arg word=hello");

    let mut worker = celeriac.command("worker -vv");
    let worker = Process::spawn(worker.env("CELERIAC_LOG", "trace"));
    worker.wait_for_line(|line| line.starts_with("ready: lease "), SOON).await;
    celeriac.ok(&format!("result {id} --wait"));
    let mut monitor = celeriac.command("monitor --listen 127.0.0.1:0 -vv");
    let monitor = Process::spawn(monitor.env("CELERIAC_LOG", "trace"));
    let ready = monitor.wait_for_line(|line| line.starts_with("ready: http://"), SOON).await;
    let address = ready["ready: http://".len()..].split('/').next().unwrap().to_owned();
    for path in ["/", "/queues", "/workers", "/jobs", "/metrics", "/health", "/api/status", "/none"]
    {
        assert_kept(path, &get(&address, path));
    }
    run_all(&celeriac.url, &celeriac.namespace, &id);

    for process in [&worker, &monitor] {
        process.terminate();
        process.wait(SOON).await;
        assert_kept("a process", &process.lines().join("\n"));
    }
    let stored = dump(&celeriac.url, "*").await;
    assert!(!stored.is_empty());
    assert_kept("Redis", &format!("{stored:?}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_error_has_the_password() {
    let options = Options {
        listen: Listen::FreePort,
        password: Some("another".to_owned()),
        ..Options::default()
    };
    let redis = TestRedis::start_with(options).await;
    let (port, id) = (redis.port(), "0193a5b0c0de7000800000000000cafe");
    run_all(&format!("redis://:{SECRET}@127.0.0.1:{port}/"), &fresh_namespace(), id);
    for url in [
        format!("redis://me:{SECRET}@127.0.0.1:1/"),
        format!("redis://me:{SECRET}@127.0.0.1:{port}/"),
        format!("redis://me:{SECRET}@no.such.host.invalid:1/"),
        format!("redis://me:{SECRET}@127.0.0.1:no/"),
        format!("redis://me:{SECRET}@127.0.0.1:1/no"),
        format!("redis://me:{SECRET}@"),
        format!("redis://me:a/b@{SECRET}@127.0.0.1:1/"),
        format!("rediss://me:{SECRET}@127.0.0.1:{port}/"),
        format!("redis+unix:///nowhere?pass={SECRET}"),
        format!("redis+sentinel://me:{SECRET}@127.0.0.1:1/s?sentinel_password={SECRET}"),
        format!("redis+sentinel://127.0.0.1:{port}/s?sentinel_user=me&sentinel_password={SECRET}"),
        format!("redis+sentinel://me:{SECRET}@127.0.0.1:1"),
        format!("redis+cluster://me:{SECRET}@127.0.0.1:{port},127.0.0.1:1"),
        format!("redis+cluster://me:{SECRET}@127.0.0.1:1/7"),
        format!("http://me:{SECRET}@127.0.0.1:1/"),
        format!("me:{SECRET}@127.0.0.1"),
    ] {
        for words in ["queues -vv", "enqueue noop -vv", "up -vv"] {
            let celeriac = Celeriac::at(&url);
            let mut command = celeriac.command(words);
            if words.starts_with("up") {
                command.args(["--redis", &url]);
            }
            let ran = run(command.env("CELERIAC_LOG", "trace"));
            assert_ne!(ran.code, Some(0), "{url} {words}: {ran:?}");
            assert_kept(words, &ran.stdout);
            assert_kept(words, &ran.stderr);
        }
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
