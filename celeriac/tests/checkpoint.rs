//! A long task whose worker dies again and again goes on where it was: real processes, really killed.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use celeriac::{Broker, NewTask, Producer, RedisConfig, State};
use celeriac_testkit::redis::fresh_namespace;
use celeriac_testkit::{Process, TestRedis};
use serde_json::json;

const SOON: Duration = Duration::from_secs(30);
const ROWS: u64 = 600;
/// The distance of the checkpoints of the example, in rows.
const DISTANCE: u64 = 10;
const KILLS: u64 = 10;

fn worker(redis: &TestRedis, namespace: &str) -> Process {
    let test = std::env::current_exe().expect("this test is a program");
    let profile = test.ancestors().nth(2).expect("target/<profile>/deps/<test>");
    let mut command = Command::new(profile.join("examples/checkpoint"));
    command.arg("worker");
    command.env("CELERIAC_REDIS_URL", redis.url()).env("CELERIAC_NAMESPACE", namespace);
    Process::spawn(&mut command)
}

fn row(line: &str) -> Option<u64> {
    line.strip_prefix("row ")?.parse().ok()
}

fn rows(worker: &Process) -> Vec<u64> {
    worker.lines().iter().filter_map(|line| row(line)).collect()
}

#[tokio::test]
async fn g2_a_task_whose_worker_is_killed_ten_times_does_little_twice() {
    let redis = TestRedis::shared().await;
    let namespace = fresh_namespace();
    let config = RedisConfig::new(redis.url()).namespace(namespace.parse().expect("a name"));
    let producer = Producer::new(Broker::new(config).expect("a URL"));
    let task = NewTask::new("import", &json!({ "rows": ROWS })).expect("a task");
    let task = task.queue("imports".parse().expect("a queue"));
    let handle = producer.enqueue_task(task).await.expect("enqueued");

    let mut begins = Vec::new();
    let mut times: BTreeMap<u64, u64> = BTreeMap::new();
    for kill in 1..=KILLS {
        let victim = worker(redis, &namespace);
        let far = kill * ROWS / (KILLS + 1);
        victim.wait_for_line(|line| row(line).is_some_and(|row| row >= far), SOON).await;
        victim.kill();
        victim.wait(SOON).await;
        let rows = rows(&victim);
        begins.push(rows[0]);
        rows.into_iter().for_each(|row| *times.entry(row).or_default() += 1);
    }
    let last = worker(redis, &namespace);
    let outcome = handle.outcome_within(SOON).await.expect("it ends");
    last.terminate();
    assert_eq!(last.wait(SOON).await.code(), Some(0), "{last}");
    rows(&last).into_iter().for_each(|row| *times.entry(row).or_default() += 1);

    assert_eq!((outcome.state, outcome.attempt), (State::Succeeded, Some(11)));
    let sum = outcome.result.expect("a result").get().to_owned();
    assert_eq!(sum, (ROWS * (ROWS - 1) / 2).to_string());
    assert!(begins.iter().skip(1).all(|row| *row > 0 && row % DISTANCE == 0), "{begins:?}");
    assert_eq!(times.keys().copied().collect::<Vec<_>>(), (0..ROWS).collect::<Vec<_>>());
    let twice = times.values().sum::<u64>() - ROWS;
    assert!(twice <= KILLS * DISTANCE, "{twice} rows of {ROWS} were imported twice");
}
