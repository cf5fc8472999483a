//! snapshot: all numbers of one instant, and nothing changes.

use std::collections::BTreeMap;

use celeriac_broker_schema::script::{Controls, JobView, QueueView, Snapshot};

use crate::support::*;

on_both_servers![
    an_empty_namespace,
    a_busy_namespace,
    no_more_than_asked_for,
    the_newest_jobs_first
];

async fn snapshot(world: &World, queues: u32, jobs: u32) -> Snapshot {
    let before = world.state().await;
    let snapshot = world.broker.snapshot(queues, jobs).await.expect("an answer");
    assert_changes!(world, before, {});
    snapshot
}

async fn an_empty_namespace(world: World) {
    let found = snapshot(&world, 9, 9).await;

    assert!(found.now <= world.now().await);
    let empty = Snapshot {
        now: found.now,
        queues: Vec::new(),
        jobs: Vec::new(),
        tasks: 0,
        delayed: 0,
        waiting: 0,
        leases: 0,
        dead: 0,
        open_jobs: 0,
        orphans: 0,
        stats: BTreeMap::new(),
    };
    assert_eq!(found, empty);
}

async fn a_busy_namespace(world: World) {
    world.enqueue(&["a", "b", "c", "d"]).await;
    world.enqueue_all(&[entry_in("e", "mail", 0), delayed("f", HOUR_MS)]).await;
    world.enqueue_job(&job("J", 10)).await;
    world.enqueue_job(&job_to_reduce("K", 3)).await;
    // a to d have cost two workers.
    for worker in ["w1", "w2"] {
        world.lose_worker(worker, 4).await;
    }
    world.open("w3").await;
    assert_eq!(names(&world.claim("w3", 6).await.tasks), ["a"]);
    let run = world.claim_as("w3", Ask::want(5).without_suspects()).await.runs.remove(0);
    assert_eq!(field(&run.field), "J:0-5");
    let endings = [failed("a"), chunks_succeeded(&run, 0, 2, &[delta("sum", "n", "1")])];
    world.complete("w3", &endings).await;

    let found = snapshot(&world, 9, 9).await;

    let numbers = (found.tasks, found.delayed, found.waiting, found.leases);
    // b, c, d, e, f and the reducer of K.
    assert_eq!(numbers, (6, 1, 1, 1));
    assert_eq!((found.dead, found.open_jobs, found.orphans), (1, 2, 0));
    let queue = |name: &str, elements, ready, suspects| QueueView {
        name: name.to_owned(),
        elements,
        ready,
        suspects,
        controls: Controls::default(),
    };
    // The rest of J (5), K (3), and the suspects b, c, d.
    let default = queue("default", [0, 0, 0, 0, 0, 2, 0, 0, 0, 0], 5 + 3 + 3, 3);
    let mail = queue("mail", [1, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1, 0);
    assert_eq!(found.queues, [default, mail]);
    let stats = ["enqueued", "failed", "reclaimed", "succeeded"].map(str::to_owned);
    assert_eq!(found.stats, stats.into_iter().zip([19, 1, 8, 2]).collect());
    let job = found.jobs.iter().find(|job| job.id == job_id("J")).expect("listed");
    let (_, view) = world.broker.job(job_id("J")).await.expect("an answer");
    let view = view.expect("kept");
    assert_eq!(view.accumulators["n"], "1");
    assert_eq!(*job, JobView { accumulators: BTreeMap::new(), ..view });
}

async fn no_more_than_asked_for(world: World) {
    for n in 0..5 {
        world.enqueue_all(&[entry_in(&format!("a{n}"), &format!("q{n}"), 5)]).await;
        world.enqueue_job(&job(&format!("J{n}"), 1)).await;
    }
    world.open("w1").await;
    let grant = world.claim("w1", 2).await;
    world.complete("w1", &[run_succeeded(&grant.runs[0]), run_succeeded(&grant.runs[1])]).await;

    for (queues, jobs, found_queues, found_jobs) in [(0, 0, 0, 0), (2, 1, 2, 2), (99, 99, 6, 5)] {
        let found = snapshot(&world, queues, jobs).await;
        assert_eq!((found.queues.len(), found.jobs.len()), (found_queues, found_jobs));
        assert_eq!(found.open_jobs, 3);
    }
}

async fn the_newest_jobs_first(world: World) {
    for name in ["A", "B", "C", "D"] {
        world.enqueue_job(&job(name, 1)).await;
        // Jobs of one millisecond are ordered by their ids.
    }
    world.open("w1").await;
    let run = world.claim("w1", 1).await.runs.remove(0);
    world.complete("w1", &[run_succeeded(&run)]).await;

    let found = snapshot(&world, 9, 2).await;

    let ids: Vec<_> = found.jobs.iter().map(|job| job.id).collect();
    assert_eq!(ids, ["D", "C", "A"].map(job_id));
    let states: Vec<&str> = found.jobs.iter().map(|job| &*job.state).collect();
    assert_eq!(states, ["running", "running", "succeeded"]);
}
