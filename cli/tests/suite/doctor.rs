//! `celeriac doctor`: what is well, what is not, and what to do about it.

use celeriac_private_server::Options;
use celeriac_testkit::{TestRedis, eventually};
use serde_json::Value;

use crate::common::{Celeriac, SOON};

fn findings(celeriac: &Celeriac, options: &str) -> (Option<i32>, Value) {
    let ran = celeriac.run(&format!("doctor --json {options}"));
    let report: Value =
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    (ran.code, report["findings"].clone())
}

#[tokio::test]
async fn a_good_server_is_well_and_trouble_is_found() {
    let redis = TestRedis::start().await;
    let celeriac = Celeriac::at(redis.url());
    let well = celeriac.ok("doctor");
    assert!(well.ends_with("\n\nall is well"), "{well}");
    assert!(well.starts_with("server     /"), "{well}");

    let id = celeriac.ok("enqueue nobody.knows --chunks 2 --queue q");
    let ran = celeriac.run("doctor");
    assert_eq!(ran.code, Some(8));
    assert!(ran.stdout.contains("\nPROBLEM  no worker is alive, but there are tasks\n         do: start a worker: celeriac worker"), "{ran:?}");
    assert!(ran.stderr.starts_with("error: 1 problem found"), "{ran:?}");

    let _worker = celeriac.worker("").await;
    let found = eventually(SOON, async || match findings(&celeriac, "") {
        (Some(8), found) if found.as_array().is_some_and(|found| found.len() == 2) => Ok(found),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!(found[0]["what"], "no worker serves queue q; waiting there: 2 tasks");
    assert_eq!(found[0]["todo"], "start one: celeriac worker --queues q");
    assert_eq!(found[1]["what"], format!("no worker knows task nobody.knows of job {id}"));
}

#[tokio::test]
async fn what_must_hold_in_redis_is_checked_on_demand() {
    let redis = TestRedis::start().await;
    let celeriac = Celeriac::at(redis.url());
    let _worker = celeriac.worker("").await;
    for _ in 0..3 {
        celeriac.ok("enqueue sleep --args {\"ms\":50} --chunks 100");
    }
    let (code, found) = findings(&celeriac, "--deep");
    assert_eq!((code, found), (Some(0), serde_json::json!([])));

    redis.command(&["SET", &format!("{{{}:0}}:nonsense", celeriac.namespace), "1"]).await;
    assert_eq!(findings(&celeriac, "").0, Some(0));
    let (code, found) = findings(&celeriac, "--deep");
    assert_eq!(code, Some(8));
    let what = found[0]["what"].as_str().unwrap();
    assert!(what.starts_with("I11 nonsense: no row of the table of keys"), "{found}");
}

#[tokio::test]
async fn a_server_that_may_lose_tasks_is_a_problem() {
    // The shared one keeps nothing.
    let (code, found) = findings(&Celeriac::shared().await, "");
    assert_eq!((code, found.as_array().unwrap().len()), (Some(8), 1), "{found}");
    assert_eq!(found[0]["severity"], "problem");
    assert!(
        found[0]["what"].as_str().unwrap().starts_with("the append-only file is off"),
        "{found}"
    );
    assert_eq!(found[0]["todo"], "run `CONFIG SET appendonly yes`");
}

#[tokio::test]
async fn a_server_that_evicts_or_never_syncs_is_a_problem() {
    let redis = TestRedis::start().await;
    let celeriac = Celeriac::at(redis.url());
    for (setting, bad, good) in
        [("maxmemory-policy", "allkeys-lru", "noeviction"), ("appendfsync", "no", "everysec")]
    {
        redis.configure(setting, bad).await;
        let (code, found) = findings(&celeriac, "");
        assert_eq!((code, found.as_array().unwrap().len()), (Some(8), 1), "{found}");
        assert_eq!(found[0]["severity"], "problem");
        let what = found[0]["what"].as_str().unwrap();
        assert!(what.starts_with(&format!("{setting} is {bad}: ")), "{found}");
        assert_eq!(found[0]["todo"], format!("run `CONFIG SET {setting} {good}`"));
        // Who starts a worker there hears the same, and may go on.
        let worker = celeriac.worker("").await;
        let warned = |line: &str| line.contains("WARN") && line.contains(what);
        worker.wait_for_line(warned, SOON).await;
        worker.terminate();
        worker.wait(SOON).await;
        redis.configure(setting, good).await;
        assert_eq!(findings(&celeriac, ""), (Some(0), serde_json::json!([])));
    }
}

#[tokio::test]
async fn a_replica_is_refused() {
    // Its master is not there, and need not be.
    let extra = vec![("replicaof".to_owned(), "127.0.0.1 1".to_owned())];
    let redis = TestRedis::start_with(Options { extra, ..Options::default() }).await;
    let celeriac = Celeriac::at(redis.url());
    for command in ["doctor", "worker", "worker --check", "queues", "enqueue echo --wait"] {
        let ran = celeriac.run(command);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(4), ""), "{command}: {ran:?}");
        assert!(ran.stderr.contains("it is a replica: connect to its master"), "{ran:?}");
    }
}

#[tokio::test]
async fn a_lost_worker_is_seen_until_its_lease_is_cleared() {
    let redis = TestRedis::start().await;
    let celeriac = Celeriac::at(redis.url());
    let worker = celeriac.worker("--visibility-timeout 1s").await;
    assert_eq!(celeriac.run("doctor").code, Some(0));
    worker.kill();
    let found = eventually(SOON, async || match findings(&celeriac, "") {
        (Some(8), found) => Ok(found),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert!(
        found[0]["what"].as_str().unwrap().starts_with("leases without a sign of life: 1"),
        "{found}"
    );
    let _next = celeriac.worker("--visibility-timeout 1s").await;
    eventually(SOON, async || match findings(&celeriac, "") {
        (Some(0), found) if found == serde_json::json!([]) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

#[tokio::test]
async fn the_memory_is_told_by_what_it_is_for() {
    let celeriac = Celeriac::shared().await;
    let long = "x".repeat(50_000);
    let mut enqueue = celeriac.command("enqueue echo --queue q --arg");
    assert_eq!(crate::common::run(enqueue.arg(format!("a={long}"))).code, Some(0));
    celeriac.ok("enqueue echo --arg a=1");
    let small = celeriac.ok("enqueue pi --chunks 80 --split samples=80");
    let large = celeriac.ok("enqueue pi --chunks 80000 --split samples=80000 --arg seed=1");

    let told = celeriac.json("doctor --memory");

    let bytes = |kind: &str| told["kinds"][kind]["bytes"].as_u64().unwrap();
    assert!((50_000..150_000).contains(&bytes("tasks")), "{told}");
    assert!((10_000..40_000).contains(&bytes("jobs")), "{told}");
    assert_eq!((bytes("results"), bytes("dead"), bytes("checkpoints")), (0, 0, 0), "{told}");
    let queues: Vec<&String> = told["queues"].as_object().unwrap().keys().collect();
    assert_eq!(queues, ["default", "q"]);
    // The reducers of the jobs are tasks of the queue, too.
    let records = |queue: &str| {
        let of = &told["records"][queue];
        (of["tasks"].as_u64().unwrap(), of["bytes"].as_u64().unwrap())
    };
    let (of_q, of_default) = (records("q"), records("default"));
    assert_eq!((of_q.0, of_default.0, of_q.1 + of_default.1 <= bytes("tasks")), (1, 3, true));
    assert!(of_q.1 > 49_000 && of_default.1 < 5_000, "{told}");
    let jobs = told["largest_jobs"].as_array().unwrap();
    let ids: Vec<&Value> = jobs.iter().map(|job| &job["id"]).collect();
    assert_eq!(ids, [&Value::from(large.as_str()), &Value::from(small.as_str())]);
    assert!(jobs[0]["bytes"].as_u64().unwrap() > 10_000, "{told}");
    let all: u64 = told["kinds"].as_object().unwrap().keys().map(|kind| bytes(kind)).sum();
    assert_eq!(told["total"]["bytes"], all);
    let text = celeriac.ok("doctor --memory");
    for part in ["\n  1 task of q ", "\n  3 tasks of default ", "\n  q ", "\nLARGEST JOBS", &large]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.contains("Redis as a whole: "), "{text}");
}

#[tokio::test]
async fn memory_that_runs_short_is_told_in_time() {
    let redis = TestRedis::start().await;
    let celeriac = Celeriac::at(redis.url());
    let used = celeriac.json("doctor --memory")["used_bytes"].as_u64().unwrap();
    assert_eq!(celeriac.run("doctor").code, Some(0));

    redis.configure("maxmemory", &(used / 2).to_string()).await;

    let ran = celeriac.run("doctor");
    assert_eq!(ran.code, Some(8), "{ran:?}");
    assert!(ran.stdout.contains("PROBLEM  Redis uses 2"), "{ran:?}");
    let text = celeriac.ok("doctor --memory");
    assert!(text.contains("\nwarning: Redis uses 2"), "{text}");
}

#[tokio::test]
async fn a_full_server_loses_nothing_and_gets_room_again() {
    let redis = TestRedis::start().await;
    let celeriac = Celeriac::at(redis.url());
    let ids: Vec<String> =
        (0..5).map(|n| celeriac.ok(&format!("enqueue echo --arg n={n}"))).collect();
    let job = celeriac.ok("enqueue pi --chunks 20 --split samples=2000 --arg seed=1");
    redis.configure("maxmemory", "1").await;
    let before = celeriac_testkit::dump::dump(redis.url(), "*").await;
    for refused in ["enqueue echo", "enqueue pi --chunks 5 --split samples=5"] {
        let ran = celeriac.run(refused);
        assert_eq!(ran.code, Some(4), "{ran:?}");
        assert!(ran.stderr.contains("out of memory"), "{ran:?}");
    }
    assert_eq!(celeriac_testkit::dump::dump(redis.url(), "*").await, before);

    let _worker = celeriac.worker("").await;

    for (n, id) in ids.iter().enumerate() {
        assert_eq!(celeriac.ok(&format!("result {id} --wait")), format!(r#"{{"n":{n}}}"#));
    }
    celeriac.ok(&format!("result {job} --wait"));
    redis.configure("maxmemory", "0").await;
    assert_eq!(celeriac.json("doctor")["tasks"], 0);
    celeriac.ok("enqueue echo --wait");
}
