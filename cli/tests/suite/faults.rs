//! Bad input, and Redis servers that are away, refuse, load or are full: a clear error, a hint and
//! the exit code that belongs to it. Secrets are never shown.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;

use celeriac_private_server::Options;
use celeriac_testkit::{Process, TestRedis};

use crate::common::{Celeriac, Ran, SOON};

fn fails(ran: &Ran, code: i32, message: &str) {
    assert_eq!(ran.code, Some(code), "{ran:?}");
    assert_eq!(ran.stdout, "", "{ran:?}");
    assert!(ran.stderr.starts_with("error: "), "{ran:?}");
    assert!(ran.stderr.contains(message), "{message}: {ran:?}");
}

#[test]
fn a_bad_url_is_named_without_its_password() {
    for url in ["http://me:s3cret@host/", "redis//host", "rediss://:s3cret@host:port/"] {
        for args in ["queues", "enqueue echo", "worker", "monitor", "doctor"] {
            let ran = Celeriac::at(url).run(args);
            fails(&ran, 7, "is not valid");
            assert!(
                ran.stderr.contains("\nhint: give it with --redis or CELERIAC_REDIS_URL"),
                "{ran:?}"
            );
            assert!(!ran.stderr.contains("s3cret"), "{ran:?}");
        }
    }
}

#[test]
fn a_server_that_is_not_there_is_unreachable() {
    // Taken and given back: nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = Celeriac::at(&format!("redis://:s3cret@127.0.0.1:{port}/"));
    for args in ["queues", "workers", "jobs", "doctor", "enqueue echo", "worker --check", "demo"] {
        let ran = nobody.run(args);
        fails(&ran, 3, &format!("Redis at 127.0.0.1:{port} is not reachable"));
        assert!(ran.stderr.contains("\nhint: start Redis there"), "{ran:?}");
        assert!(!ran.stderr.contains("s3cret"), "{ran:?}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_refused() {
    let password = Some("right-s3cret".to_owned());
    let redis = TestRedis::start_with(Options { password, ..Options::default() }).await;
    let right = Celeriac::at(redis.url());
    assert_eq!(right.run("queues").code, Some(0));
    for url in
        [redis.url().replace("right", "wrong"), redis.url().split('?').next().unwrap().to_owned()]
    {
        for args in ["queues", "enqueue echo", "worker"] {
            let ran = Celeriac::at(&url).run(args);
            fails(&ran, 4, "refuses this user");
            assert!(ran.stderr.contains("check user and password"), "{ran:?}");
            assert!(!ran.stderr.contains("s3cret"), "{ran:?}");
        }
    }
}

#[tokio::test]
async fn a_full_server_takes_no_task() {
    let extra = vec![("maxmemory".to_owned(), "1".to_owned())];
    let redis = TestRedis::start_with(Options { extra, ..Options::default() }).await;
    fails(&Celeriac::at(redis.url()).run("enqueue echo"), 4, "out of memory");
}

#[tokio::test]
async fn a_server_that_loads_is_not_ready_and_a_worker_waits_for_it() {
    // Loading is made slow: a sleep of a microsecond for each key, which takes about fifty.
    let extra = vec![("key-load-delay".to_owned(), "1".to_owned())];
    let mut redis = TestRedis::start_with(Options { extra, ..Options::default() }).await;
    fill(redis.url(), 30_000);
    redis.kill();
    let celeriac = Celeriac::at(redis.url());
    let restart = tokio::spawn(async move {
        redis.restart().await;
        redis
    });
    let refused = celeriac_testkit::eventually(SOON, async || match celeriac.run("queues") {
        ran if ran.stderr.contains("is loading") => Ok(ran),
        ran => Err(format!("{ran:?}")),
    })
    .await;
    fails(&refused, 3, "is not ready");
    assert!(refused.stderr.contains("\nhint: it answers, but not yet with data"), "{refused:?}");
    let worker = celeriac.worker("").await;
    drop(restart.await.unwrap());
    drop(worker);
}

/// Writes keys by the inline form of the protocol, in bites that fit into the buffers.
fn fill(url: &str, keys: usize) {
    let mut stream = UnixStream::connect(url.strip_prefix("redis+unix://").unwrap()).unwrap();
    for bite in 0..keys / 1_000 {
        let commands: String = (0..1_000).map(|key| format!("SET key{bite}-{key} x\r\n")).collect();
        stream.write_all(commands.as_bytes()).unwrap();
        let mut answers = vec![0; "+OK\r\n".len() * 1_000];
        stream.read_exact(&mut answers).unwrap();
    }
}

#[tokio::test]
async fn names_ids_and_keys_that_are_not_valid_are_refused() {
    let celeriac = Celeriac::shared().await;
    for (args, message) in [
        ("enqueue a:b", "task name \"a:b\" is not valid"),
        ("enqueue echo --queue a:b", "queue name \"a:b\" is not valid"),
        ("enqueue echo --priority 10", "priority 10 is not valid"),
        ("enqueue echo --args {", "arguments is not valid JSON"),
        ("enqueue echo --arg a=1 --arg a=2", "given twice"),
        ("enqueue pi --chunks 0", "0 chunks are not possible"),
        ("enqueue pi --args [1] --split samples=5 --chunks 2", "must be a JSON object"),
        ("enqueue pi --chunks 2 --sum a:b", "accumulator \"a:b\" is not valid"),
        ("enqueue pi --chunks 2 --reduce a:b", "task name \"a:b\" is not valid"),
        ("--namespace a:b queues", "namespace \"a:b\" is not valid"),
        ("status x", "\"x\" is not a task id"),
        ("result x", "\"x\" is not a task id"),
        ("worker --queues a,a", "a queue is named twice"),
        ("worker --queues a:b", "queue name \"a:b\" is not valid"),
        ("worker --visibility-timeout 10ms", "use at least 1 s"),
        ("worker --concurrency 0", "use 1 to 10,000"),
        ("demo --samples 0", "at least 1"),
    ] {
        fails(&celeriac.run(args), 7, message);
    }
    assert_eq!(celeriac.json("queues")["queues"], serde_json::json!([]));
}

#[tokio::test]
async fn a_payload_over_the_limit_is_refused() {
    let celeriac = Celeriac::shared().await;
    // One argument of a process may have 128 KiB, and all together more.
    let mut command = celeriac.command("enqueue echo");
    for number in 0..10 {
        command.args(["--arg", &format!("a{number}={}", "x".repeat(120_000))]);
    }
    fails(&crate::common::run(&mut command), 7, "over the limit of 1048576");
}

#[tokio::test]
async fn an_outage_in_mid_wait_is_waited_out() {
    let mut redis = TestRedis::start().await;
    let celeriac = Celeriac::at(redis.url());
    let waiting = Process::spawn(&mut celeriac.command("enqueue echo --arg a=1 --wait"));
    waiting.wait_for_line(|line| line.starts_with("enqueued: "), SOON).await;
    redis.kill();
    redis.restart().await;
    let _worker = celeriac.worker("").await;
    assert_eq!(waiting.wait(SOON).await.code(), Some(0), "{waiting}");
    assert!(waiting.lines().contains(&r#"{"a":1}"#.to_owned()), "{waiting}");
}
