//! inspect: a question about one task or chunk is always answered, and changes nothing.

use celeriac_broker_schema::TaskId;
use celeriac_broker_schema::outcome::{attempts_of, counts_of};
use celeriac_broker_schema::script::{Entry, Found, Start, Whereabouts};

use crate::support::*;

on_both_servers![
    a_task_in_every_place,
    a_delayed_task_of_any_place,
    a_chunk_in_every_place,
    a_chunk_that_left_its_run_is_not_there,
    a_chunk_tells_of_the_workers_that_were_lost_with_its_run,
    losses_of_two_starts_are_told_in_order_of_time,
    whoever_holds_it_is_found_among_many,
    what_nobody_holds_is_queued_however_many_there_are,
    chunks_of_an_ended_job,
    chunks_that_never_were,
];

async fn inspect(world: &World, id: TaskId) -> Found {
    let before = world.state().await;
    let found = world.broker.inspect(id).await.expect("an answer");
    assert_changes!(world, before, {});
    found
}

async fn task(world: &World, name: &str) -> (Whereabouts, String) {
    match inspect(world, id(name)).await {
        Found::Task { whereabouts, record: found, history, moved } => {
            assert_eq!((found, moved), (record(name), None));
            (whereabouts, history)
        }
        other => panic!("{name}: {other:?}"),
    }
}

async fn chunk(world: &World, name: &str, index: u64) -> Whereabouts {
    match inspect(world, TaskId::of_chunk(job_id(name), index)).await {
        Found::Chunk { whereabouts, .. } => whereabouts,
        other => panic!("{name}:{index}: {other:?}"),
    }
}

fn running(whereabouts: &Whereabouts, by: &str, number: u32) -> bool {
    matches!(whereabouts, Whereabouts::Running { lease, attempt, claimed }
        if lease == by && *attempt == number && *claimed > 0)
}

async fn a_task_in_every_place(world: World) {
    world.enqueue(&["a", "b", "c", "d"]).await;
    world.enqueue_job(&job_to_reduce("J", 1)).await;
    world.open("w0").await;
    world.open("w1").await;
    world.claim("w1", 3).await;
    world.complete_as("w1", Ask::want(0), &[succeeded("a"), done("b"), retry("c", HOUR_MS)]).await;

    assert_eq!(inspect(&world, id("x")).await, Found::Unknown);
    assert_eq!(inspect(&world, id("a")).await, Found::Ended(outcome("a")));
    assert_eq!(inspect(&world, id("b")).await, Found::Unknown, "its outcome was not kept");
    assert_eq!(task(&world, "d").await.0, Whereabouts::Queued);
    assert_eq!(task(&world, "J").await.0, Whereabouts::Waiting);
    let (delayed, history) = task(&world, "c").await;
    let now = world.now().await.0;
    assert!(matches!(delayed, Whereabouts::Delayed(due) if due > now), "{delayed:?}");
    assert_eq!(history, format!("1 0\n{ATTEMPT}"));

    world.delays_pass().await;
    let grant = world.claim("w1", 9).await;
    assert!(running(&task(&world, "c").await.0, "w1", 2));
    assert!(running(&task(&world, "d").await.0, "w1", 1));
    world.complete("w1", &[run_succeeded(&grant.runs[0])]).await;
    assert_eq!(task(&world, "J").await.0, Whereabouts::Queued);
    world.claim("w0", 1).await;
    assert!(running(&task(&world, "J").await.0, "w0", 1));
}

async fn a_delayed_task_of_any_place(world: World) {
    let start = Start { delay_ms: Some(HOUR_MS), ..Start::default() };
    world.enqueue_all(&[Entry { start, ..entry_in("a", "mail", 9) }]).await;

    let found = inspect(&world, id("a")).await;

    assert!(matches!(found, Found::Task { whereabouts: Whereabouts::Delayed(_), .. }), "{found:?}");
}

async fn a_chunk_in_every_place(world: World) {
    world.enqueue_job(&job("J", 12)).await;
    world.open("w1").await;
    let run = world.claim("w1", 6).await.runs.remove(0);
    let endings =
        [chunks_succeeded(&run, 0, 1, &[]), chunk_retry(&run, 1, 0), chunk_retry(&run, 2, HOUR_MS)];
    world.complete("w1", &endings).await;

    assert_eq!(chunk(&world, "J", 0).await, Whereabouts::Succeeded);
    assert!(running(&chunk(&world, "J", 3).await, "w1", 1));
    assert!(running(&chunk(&world, "J", 5).await, "w1", 1));
    assert_eq!(chunk(&world, "J", 6).await, Whereabouts::Queued);
    assert_eq!(chunk(&world, "J", 11).await, Whereabouts::Queued);
    // Chunk 1 stands behind the rest of its range.
    for _ in 0..4 {
        world.claim("w1", 9).await;
    }
    assert!(running(&chunk(&world, "J", 1).await, "w1", 2));
    let found = inspect(&world, TaskId::of_chunk(job_id("J"), 1)).await;
    let Found::Chunk { spec: stored, history, .. } = found else { panic!("{found:?}") };
    assert_eq!((stored, history), (spec(12), format!("1 0\n{ATTEMPT}")));
}

/// The rest of its run is still held, but it was handed back, or waits for its own next attempt.
async fn a_chunk_that_left_its_run_is_not_there(world: World) {
    world.enqueue_job(&job("J", 9)).await;
    world.open("w1").await;
    let run = world.claim("w1", 6).await.runs.remove(0);
    world
        .complete(
            "w1",
            &[chunk_retry(&run, 1, 0), chunk_retry(&run, 2, HOUR_MS), chunks_released(&run, 4, 5)],
        )
        .await;

    assert_eq!(chunk(&world, "J", 1).await, Whereabouts::Queued);
    assert_eq!(chunk(&world, "J", 4).await, Whereabouts::Queued);
    let delayed = chunk(&world, "J", 2).await;
    assert!(matches!(delayed, Whereabouts::Delayed(_)), "{delayed:?}");
    assert!(running(&chunk(&world, "J", 3).await, "w1", 1));
}

/// What is known of the earlier attempts of a chunk of J.
async fn told(world: &World, index: u64) -> Vec<(u32, String, String)> {
    let found = inspect(world, TaskId::of_chunk(job_id("J"), index)).await;
    let Found::Chunk { history, .. } = found else { panic!("{index}: {found:?}") };
    let attempts = attempts_of(&history);
    let (failures, crashes) = counts_of(&history);
    assert_eq!(attempts.len(), (failures + crashes) as usize, "{history}");
    attempts.into_iter().map(|a| (a.attempt, a.outcome.into_owned(), a.worker)).collect()
}

fn lost(attempt: u32, worker: &str) -> (u32, String, String) {
    (attempt, "lost".to_owned(), worker.to_owned())
}

async fn a_chunk_tells_of_the_workers_that_were_lost_with_its_run(world: World) {
    world.enqueue_job(&job("J", 12)).await;
    world.open_doomed("w1").await;
    let run = world.claim("w1", 6).await.runs.remove(0);
    let endings = [chunks_succeeded(&run, 0, 1, &[]), chunks_released(&run, 4, 6)];
    world.complete("w1", &endings).await;
    world.reclaim_lost(3).await;

    // Done before, handed back before, and never begun.
    for index in [0, 4, 5, 6, 11] {
        assert_eq!(told(&world, index).await, [], "{index}");
    }
    // Queued, then running once more, then done, and retried.
    assert_eq!(told(&world, 1).await, [lost(1, "w1")]);
    world.open("w2").await;
    let run = world.claim("w2", 3).await.runs.remove(0);
    assert!(running(&chunk(&world, "J", 1).await, "w2", 2));
    assert_eq!(told(&world, 1).await, [lost(1, "w1")]);
    let endings = [chunks_succeeded(&run, 1, 2, &[]), chunk_retry(&run, 2, HOUR_MS)];
    world.complete("w2", &endings).await;
    assert_eq!(told(&world, 1).await, [lost(1, "w1")]);
    let failed = (1, "failed".to_owned(), "w1".to_owned());
    assert_eq!(told(&world, 2).await, [lost(1, "w1"), failed]);
    // Twice.
    for worker in ["w3", "w4"] {
        world.lose_worker(worker, 100).await;
    }
    assert_eq!(told(&world, 4).await, [lost(1, "w3"), lost(2, "w4")]);
    assert_eq!(told(&world, 11).await, [lost(1, "w4")], "another part of the range");
}

/// A second start has a history of its own, and its first one is lost with its run.
async fn losses_of_two_starts_are_told_in_order_of_time(world: World) {
    world.enqueue_job(&job("J", 1)).await;
    let mut set = redis::cmd("HSET");
    let entry = |worker: &str, ended: u64| {
        format!(
            r#"{{"attempt":1,"outcome":"lost","worker":"{worker}","claimed":1,"ended":{ended}}}"#
        )
    };
    set.arg(world.key(&format!("job:{}:history", job_id("J")))).arg(0);
    set.arg(format!("0 2\n{}\n{}", entry("w2", 20), entry("w4", 40)));
    world.redis::<()>(&set).await;
    let mut push = redis::cmd("RPUSH");
    push.arg(world.key(&format!("job:{}:losses", job_id("J"))));
    // That of w4 was taken along already.
    for (worker, ended) in [("w1", 10), ("w3", 30), ("w4", 40)] {
        push.arg(format!("0-1 {}", entry(worker, ended)));
    }
    world.redis::<()>(&push).await;

    let in_order = ["w1", "w2", "w3", "w4"].map(|worker| lost(1, worker));
    assert_eq!(told(&world, 0).await, in_order);
}

/// So many leases that nobody looks at all of them in one call, and some that hold much.
async fn crowd(world: &World) {
    let names: Vec<String> = (0..2_500).map(|n| format!("t{n:05}")).collect();
    world.enqueue(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for worker in ["w2", "w3", "w4"] {
        world.open(worker).await;
        assert_eq!(world.claim(worker, 800).await.tasks.len(), 800);
    }
    let mut add = redis::cmd("ZADD");
    add.arg(world.key("leases"));
    // They end later than now, and before the others.
    let end = world.now().await.0 + HOUR_MS / 2;
    for n in 0..1_500 {
        add.arg(end).arg(format!("idle{n}"));
    }
    world.redis::<()>(&add).await;
}

async fn whoever_holds_it_is_found_among_many(world: World) {
    world.enqueue(&["a"]).await;
    world.enqueue_job(&job("J", 9)).await;
    world.open("w1").await;
    for _ in 0..4 {
        world.claim("w1", 9).await;
    }
    crowd(&world).await;

    assert!(running(&task(&world, "a").await.0, "w1", 1));
    assert!(running(&chunk(&world, "J", 3).await, "w1", 1));
}

async fn what_nobody_holds_is_queued_however_many_there_are(world: World) {
    crowd(&world).await;
    world.enqueue(&["a"]).await;
    world.enqueue_job(&job("J", 9)).await;

    assert_eq!(task(&world, "a").await.0, Whereabouts::Queued);
    assert_eq!(chunk(&world, "J", 3).await, Whereabouts::Queued);
}

async fn chunks_of_an_ended_job(world: World) {
    world.enqueue_job(&job("J", 9)).await;
    world.open("w1").await;
    let run = world.claim("w1", 6).await.runs.remove(0);
    let endings =
        [chunks_succeeded(&run, 0, 1, &[]), chunk_retry(&run, 1, HOUR_MS), chunk_failed(&run, 2)];
    world.complete("w1", &endings).await;

    assert_eq!(chunk(&world, "J", 0).await, Whereabouts::Succeeded);
    assert_eq!(chunk(&world, "J", 2).await, Whereabouts::Failed(FAILURE.to_owned()));
    // Delayed, held, and ready when the job failed.
    for index in [1, 3, 8] {
        assert_eq!(chunk(&world, "J", index).await, Whereabouts::Cancelled);
    }
}

async fn chunks_that_never_were(world: World) {
    world.enqueue(&["a"]).await;
    world.enqueue_job(&job("J", 9)).await;

    for (name, index) in [("J", 9), ("J", u64::MAX), ("a", 0), ("x", 0)] {
        let found = inspect(&world, TaskId::of_chunk(job_id(name), index)).await;
        assert_eq!(found, Found::Unknown, "{name}:{index}");
    }
}
