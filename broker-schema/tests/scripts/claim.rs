//! claim: who gets what, in which order, and when an idle worker looks again.
//!
//! What comes of lost workers on the way is the matter of `reclaim`.

use std::sync::Arc;

use celeriac_broker_schema::Outcome;
use celeriac_broker_schema::script::{Claimed, Entry, OwnRoom, RangeJob, Room, Start};
use serde_json::json;

use crate::support::*;

on_both_servers![
    a_claimed_task_is_in_flight,
    higher_priorities_go_first,
    queues_go_in_the_order_of_the_worker,
    one_claim_takes_from_many_lists,
    no_more_of_a_queue_than_it_has_room,
    queues_of_a_group_share_their_room,
    a_range_gives_no_more_than_there_is_room,
    what_remains_rings_again,
    a_lost_lease_gets_nothing,
    a_repeated_claim_gets_all_it_holds,
    the_description_of_a_job_is_given_once,
    a_claim_that_comes_late_is_repeated,
    after_a_call_that_was_taken_back_all_is_told_again,
    a_run_of_which_a_part_may_have_been_taken_back_is_lost,
    cancelled_tasks_are_skipped,
    more_cancelled_tasks_than_one_call_skips,
    nine_thousand_tasks_in_one_claim,
    large_records_are_given_in_bites,
    a_range_gives_chunks_off_its_front,
    a_large_range_is_shared,
    the_rest_of_a_range_stays_in_front,
    ranges_and_tasks_in_one_claim,
    chunks_of_an_ended_job_are_dropped,
    settled_chunks_of_a_range_are_skipped,
    many_settled_chunks_are_skipped_in_bites,
    due_tasks_are_promoted_to_the_end_of_their_lists,
    ten_thousand_due_tasks_are_promoted_in_bites,
    expired_tasks_are_not_started,
    what_expires_is_kept_as_its_record_says,
    what_expires_elsewhere_names_the_queue_it_was_moved_to,
    large_tasks_expire_a_few_at_a_time,
    expired_tasks_wherever_they_wait_end_in_bites,
    a_started_task_does_not_expire,
    the_next_event_is_the_earliest_one,
    ones_own_lease_is_no_event,
    a_busy_worker_hears_of_no_event,
    a_lease_that_is_being_emptied_is_an_event,
    one_of_two_idle_workers_watches,
    a_nearer_event_finds_another_watcher,
];

async fn a_claimed_task_is_in_flight(world: World) {
    world.enqueue(&["a", "b"]).await;
    world.open("w1").await;
    let before = world.state().await;

    let grant = world.claim("w1", 1).await;

    let [task] = &grant.tasks[..] else { panic!("{grant:?}") };
    assert_eq!(task.id, id("a"));
    assert_eq!(task.record, record("a").into_bytes());
    assert_eq!((&*task.queue, &*task.history, &task.input), (QUEUE, "", &None));
    assert!(!grant.suspect && grant.stale.is_empty() && grant.refused.is_empty());
    assert_changes!(world, before, {
        "ready:default:5": ["b"],
        "inflight:w1": { "#": "1", "a": "1:now:5:default" },
    });
}

async fn higher_priorities_go_first(world: World) {
    let entries: Vec<Entry> = (0..10)
        .flat_map(|n| [entry_in(&format!("{n}a"), QUEUE, n), entry_in(&format!("{n}b"), QUEUE, n)])
        .collect();
    world.enqueue_all(&entries).await;
    world.open("w1").await;

    let mut order = Vec::new();
    for want in [1, 2, 7, 20] {
        order.extend(names(&world.claim("w1", want).await.tasks));
    }

    let expected: Vec<String> =
        (0..10).rev().flat_map(|n| [format!("{n}a"), format!("{n}b")]).collect();
    assert_eq!(order, expected);
}

async fn queues_go_in_the_order_of_the_worker(world: World) {
    let entries = [
        entry_in("a", "low", 9),
        entry_in("b", "high", 0),
        entry_in("c", "high", 1),
        entry_in("d", "other", 9),
    ];
    world.enqueue_all(&entries).await;
    world.open("w1").await;

    let grant = world.claim_as("w1", Ask::want(9).from(&["high", "low"])).await;

    assert_eq!(names(&grant.tasks), ["c", "b", "a"]);
}

async fn one_claim_takes_from_many_lists(world: World) {
    world.enqueue_all(&[entry_in("a", "x", 9), entry_in("b", "x", 0), entry_in("c", "y", 5)]).await;
    world.open("w1").await;
    let before = world.state().await;

    let grant = world.claim_as("w1", Ask::want(9).from(&["x", "y"])).await;

    let queues: Vec<&str> = grant.tasks.iter().map(|task| &*task.queue).collect();
    assert_eq!(queues, ["x", "x", "y"]);
    assert_changes!(world, before, {
        "ready:x:9": null, "ready:x:0": null, "ready:y:5": null,
        "inflight:w1": { "#": "1", "a": "1:now:9:x", "b": "1:now:0:x", "c": "1:now:5:y" },
    });
}

async fn what_remains_rings_again(world: World) {
    world
        .enqueue_all(&[entry("a"), entry("b"), entry_in("c", "x", 5), entry_in("d", "y", 5)])
        .await;
    world.open("w1").await;
    world.hush().await;
    let before = world.state().await;

    world.claim_as("w1", Ask::want(1).from(&["default", "x"])).await;

    assert_changes!(world, before, {
        "ready:default:5": ["b"],
        "inflight:w1": { "#": "1", "a": "1:now:5:default" },
        "bell:default": ["1"],
        "bell:x": ["1"],
    });
    world.hush().await;
    world.claim_as("w1", Ask::want(9).from(&["default", "x"])).await;
    let state = world.state().await;
    assert!(!state.contains_key("bell:default") && !state.contains_key("bell:x"), "{state:#?}");
}

async fn a_lost_lease_gets_nothing(world: World) {
    world.enqueue(&["a", "b"]).await;
    world.lose_worker("w1", 1).await;
    let before = world.state().await;

    for (lease, number) in [("w1", 1), ("w1", 2), ("nobody", 1)] {
        let claimed = world.call(lease, number, &Ask::want(9), None).await;
        assert!(matches!(claimed, Claimed::Lost), "{claimed:?}");
    }

    assert_changes!(world, before, {});
}

async fn a_repeated_claim_gets_all_it_holds(world: World) {
    world.enqueue(&["a", "b", "c"]).await;
    world.enqueue_job(&job_to_reduce("K", 1)).await;
    world.enqueue_job(&job("J", 4)).await;
    world.open("w1").await;
    let grant = world.claim("w1", 8).await;
    let [k, j] = &grant.runs[..] else { panic!("{grant:?}") };
    let endings = [
        retry("a", 0),
        done("c"),
        chunks_released(j, 3, 4),
        chunk_retry(j, 1, 0),
        run_succeeded(k),
    ];
    world.complete("w1", &endings).await;
    world.claim("w1", 4).await;
    let before = world.state().await;

    let claimed = world.call("w1", 3, &Ask::want(9), None).await;

    // A task that had failed, one that had not, the reducer of K; chunks of J in a run, alone after
    // a failure, and alone after they had been handed back.
    let Claimed::Repeated { tasks, runs: held, .. } = claimed else { panic!("{claimed:?}") };
    let mut held_tasks = names(&tasks);
    held_tasks.sort();
    assert_eq!(held_tasks, ["K", "a", "b"]);
    let task = |name| tasks.iter().find(|task| task.id == id(name)).expect("held");
    assert_eq!(task("a").history, format!("1 0\n{ATTEMPT}"));
    assert_eq!(task("K").input.as_deref(), Some("{}"));
    assert_eq!(task("b").record, record("b").into_bytes());
    let mut held_runs = runs(&held);
    held_runs.sort();
    assert_eq!(held_runs, ["J:0-4 #1", "J:1 #2", "J:3-4 #1"]);
    let alone = held.iter().find(|run| run.hi == 2).expect("held");
    assert_eq!(alone.history, format!("1 0\n{ATTEMPT}"));
    assert_eq!(&*alone.spec, spec(4));
    assert_changes!(world, before, {});
}

async fn the_description_of_a_job_is_given_once(world: World) {
    world.enqueue_job(&RangeJob { spec: spec(50), ..job("J", 4) }).await;
    world.enqueue_job(&job("K", 4)).await;
    world.open("w1").await;
    let grant = world.claim("w1", 8).await;
    let [j, k] = &grant.runs[..] else { panic!("{grant:?}") };
    let one_by_one = [j, k].map(|run| (0..4).map(|index| chunk_retry(run, index, 0)));
    world.complete("w1", &one_by_one.into_iter().flatten().collect::<Vec<_>>()).await;

    let grant = world.claim("w1", 8).await;
    let Claimed::Repeated { runs: again, .. } = world.call("w1", 3, &Ask::want(8), None).await
    else {
        panic!("the call is repeated")
    };

    for runs in [grant.runs, again] {
        assert_eq!(runs.len(), 8);
        for run in &runs {
            let expected = if run.job == job_id("J") { spec(50) } else { spec(4) };
            assert_eq!(*run.spec, *expected);
            let first = runs.iter().find(|first| first.job == run.job).expect("itself");
            assert!(Arc::ptr_eq(&first.spec, &run.spec), "it came twice");
        }
    }
}

/// A call that was given up and repeated may still arrive, after the calls that came later.
async fn a_claim_that_comes_late_is_repeated(world: World) {
    world.enqueue(&["a", "b", "c"]).await;
    world.open("w1").await;
    world.claim("w1", 1).await;
    world.claim("w1", 1).await;
    let before = world.state().await;

    let late = world.call("w1", 1, &Ask::want(1), None).await;

    assert!(matches!(late, Claimed::Repeated { .. }), "{late:?}");
    assert_changes!(world, before, {});
}

/// A failover to a replica that was behind: the call between had been answered.
async fn after_a_call_that_was_taken_back_all_is_told_again(world: World) {
    world.enqueue(&["a", "b", "c"]).await;
    world.open("w1").await;
    world.claim("w1", 2).await;
    let before = world.state().await;

    let told = world.call("w1", 3, &Ask::want(1), Some(&[done("b")])).await;

    let Claimed::Repeated { tasks, runs, .. } = told else { panic!("{told:?}") };
    let mut held = names(&tasks);
    held.sort();
    assert_eq!((held, runs.len()), (vec!["a".to_owned(), "b".to_owned()], 0));
    assert_changes!(world, before, { "inflight:w1": { "#": "3" } });
    // From here on they agree.
    assert_eq!(names(&granted(world.call("w1", 4, &Ask::want(1), None).await).tasks), ["c"]);
}

async fn a_run_of_which_a_part_may_have_been_taken_back_is_lost(world: World) {
    world.enqueue_job(&job("J", 4)).await;
    world.open("w1").await;
    world.claim("w1", 2).await;
    let before = world.state().await;
    let told = world.call("w1", 3, &Ask::want(1), None).await;
    assert!(matches!(told, Claimed::Lost), "{told:?}");
    assert_changes!(world, before, {});
}

async fn cancel(world: &World, names: &[String]) {
    let ids: Vec<String> = names.iter().map(|name| id(name).to_string()).collect();
    world.redis::<u64>(redis::cmd("HDEL").arg(world.key("tasks")).arg(&ids)).await;
}

async fn cancelled_tasks_are_skipped(world: World) {
    world.enqueue(&["a", "b", "c", "d", "e"]).await;
    world.open("w1").await;
    cancel(&world, &["a", "c", "e"].map(str::to_owned)).await;
    let before = world.state().await;

    let grant = world.claim("w1", 2).await;

    assert_eq!(names(&grant.tasks), ["b", "d"]);
    assert_changes!(world, before, {
        "ready:default:5": ["e"],
        "inflight:w1": { "#": "1", "b": "1:now:5:default", "d": "1:now:5:default" },
    });
}

async fn more_cancelled_tasks_than_one_call_skips(world: World) {
    let gone: Vec<String> = (0..2_500).map(|n| format!("t{n:05}")).collect();
    world.enqueue(&gone.iter().map(String::as_str).collect::<Vec<_>>()).await;
    world.enqueue(&["z"]).await;
    world.open("w1").await;
    cancel(&world, &gone).await;
    let mut calls = 0;

    let found = loop {
        world.hush().await;
        let grant = world.claim("w1", 1).await;
        calls += 1;
        if let [task] = &grant.tasks[..] {
            break task.id;
        }
        assert!(calls < 10, "the claims skip too little");
        // Nobody would look again without it.
        assert_eq!(world.state().await["bell:default"], json!(["1"]));
    };

    assert_eq!(found, id("z"));
    assert!(calls > 1, "one call skips a bounded number");
}

async fn nine_thousand_tasks_in_one_claim(world: World) {
    let names: Vec<String> = (0..9_000).map(|n| format!("t{n:05}")).collect();
    world.enqueue(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    world.open("w1").await;

    let grant = world.claim("w1", 9_500).await;

    assert_eq!(crate::support::names(&grant.tasks), names);
    let state = world.state().await;
    assert_eq!(state["inflight:w1"].as_object().expect("a hash").len(), 9_001);
    assert!(!state.contains_key("ready:default:5"));
}

/// Forty records of half a megabyte would be a reply that takes seconds.
async fn large_records_are_given_in_bites(world: World) {
    let filler = "x".repeat(500_000);
    let large = |n: u32| Entry {
        record: format!(r#"{{"v":1,"task":"t","args":"{filler}"}}"#),
        ..entry(&format!("t{n:05}"))
    };
    world.enqueue_all(&(0..40).map(large).collect::<Vec<_>>()).await;
    world.open("w1").await;
    let mut bites = Vec::new();

    while bites.iter().sum::<usize>() < 40 {
        world.hush().await;
        let given = world.claim("w1", 100).await.tasks.len();
        bites.push(given);
        let rings = world.redis::<bool>(redis::cmd("EXISTS").arg(world.key("bell:default"))).await;
        assert_eq!(rings, bites.iter().sum::<usize>() < 40, "after {bites:?}");
    }

    assert!(bites.iter().all(|bite| (1..=20).contains(bite)), "{bites:?}");
}

async fn a_range_gives_chunks_off_its_front(world: World) {
    world.enqueue_job(&job("J", 10)).await;
    world.open("w1").await;
    let before = world.state().await;

    let grant = world.claim("w1", 3).await;

    let [run] = &grant.runs[..] else { panic!("{grant:?}") };
    assert_eq!((run.job, run.lo, run.hi, run.attempt), (job_id("J"), 0, 3, 1));
    assert_eq!((&*run.queue, &*run.spec, &*run.history), (QUEUE, &*spec(10), ""));
    assert_changes!(world, before, {
        "ready:default:5": ["J:3-10"],
        "chunks": { "default:5": "6" },
        "job:J": { "started": "now" },
        "inflight:w1": { "#": "1", "J:0-3": "1:now:5:default:3" },
    });
    let before = world.state().await;

    assert_eq!(runs(&world.claim("w1", 3).await.runs), ["J:3-6 #1"]);
    assert_eq!(runs(&world.claim("w1", 20).await.runs), ["J:6-10 #1"]);

    assert_changes!(world, before, {
        "ready:default:5": null,
        "chunks": { "default:5": "0" },
        "inflight:w1": {
            "#": "3", "J:3-6": "1:now:5:default:3", "J:6-10": "1:now:5:default:4",
        },
    });
}

/// Half of an even share, so that the last chunks are spread over all workers.
async fn a_large_range_is_shared(world: World) {
    world.open("w1").await;
    world.open("w2").await;
    world.enqueue(&["a"]).await;
    world.enqueue_job(&job("J", 100)).await;
    world.enqueue(&["b"]).await;
    world.enqueue_all(&[entry_in("c", QUEUE, 0), entry_in("d", "x", 5)]).await;
    world.hush().await;
    let before = world.state().await;

    let grant = world.claim_as("w1", Ask::want(99).from(&["default", "x"])).await;

    assert_eq!(
        (names(&grant.tasks), runs(&grant.runs)),
        (vec!["a".to_owned()], vec!["J:0-25 #1".to_owned()])
    );
    // Nothing overtakes the rest, for which somebody is woken.
    assert_changes!(world, before, {
        "ready:default:5": ["J:25-100", "b"],
        "chunks": { "default:5": "74" },
        "job:J": { "started": "now" },
        "inflight:w1": { "#": "1", "a": "1:now:5:default", "J:0-25": "1:now:5:default:25" },
        "bell:default": ["1"],
        "bell:x": ["1"],
    });
    // Some are given at once however few are left, and the last ones with what comes behind.
    let mut left = 75;
    let last = loop {
        let grant = world.claim("w2", 99).await;
        let given = grant.runs[0].hi - grant.runs[0].lo;
        assert!(given >= left.min(4) && given <= left.div_ceil(4).max(4), "{given} of {left}");
        left -= given;
        if left == 0 {
            break grant;
        }
        assert!(grant.tasks.is_empty(), "{grant:?}");
    };
    assert_eq!(names(&last.tasks), ["b", "c"]);
}

async fn the_rest_of_a_range_stays_in_front(world: World) {
    world.enqueue_job(&job("J", 10)).await;
    world.enqueue_job(&job("K", 10)).await;
    world.enqueue(&["a", "b", "c"]).await;
    world.open("w1").await;

    let grant = world.claim("w1", 4).await;

    assert_eq!(runs(&grant.runs), ["J:0-4 #1"]);
    let state = world.state().await;
    assert_eq!(state["ready:default:5"], json!(["J:4-10", "K:0-10", "a", "b", "c"]));
    assert_eq!(state["chunks"], json!({ "default:5": "14" }));
}

async fn ranges_and_tasks_in_one_claim(world: World) {
    world.enqueue(&["a"]).await;
    world.enqueue_job(&job("J", 3)).await;
    world.enqueue(&["b"]).await;
    world.enqueue_job(&RangeJob { priority: priority(9), ..job("K", 2) }).await;
    world.enqueue_job(&job("L", 4)).await;
    world.enqueue(&["c"]).await;
    world.open("w1").await;
    let before = world.state().await;

    let grant = world.claim("w1", 9).await;

    assert_eq!(names(&grant.tasks), ["a", "b"]);
    assert_eq!(runs(&grant.runs), ["K:0-2 #1", "J:0-3 #1", "L:0-2 #1"]);
    assert_changes!(world, before, {
        "ready:default:9": null,
        "ready:default:5": ["L:2-4", "c"],
        "chunks": { "default:9": "0", "default:5": "1" },
        "job:J": { "started": "now" }, "job:K": { "started": "now" }, "job:L": { "started": "now" },
        "inflight:w1": {
            "#": "1",
            "a": "1:now:5:default", "b": "1:now:5:default",
            "J:0-3": "1:now:5:default:3", "K:0-2": "1:now:9:default:2", "L:0-2": "1:now:5:default:2",
        },
    });
}

async fn chunks_of_an_ended_job_are_dropped(world: World) {
    world.enqueue_job(&job("J", 10)).await;
    world.enqueue(&["a"]).await;
    world.open("w1").await;
    let run = world.claim("w1", 3).await.runs.remove(0);
    world.complete("w1", &[chunk_retry(&run, 0, 0), chunk_failed(&run, 1)]).await;
    assert_eq!(world.state().await["ready:default:5"], json!(["J:3-10", "a", "J:0"]));
    let before = world.state().await;

    let grant = world.claim("w1", 9).await;

    assert_eq!((names(&grant.tasks), grant.runs.len()), (vec!["a".to_owned()], 0));
    assert_changes!(world, before, {
        "ready:default:5": null,
        "chunks": { "default:5": "0" },
        "inflight:w1": { "#": "3", "a": "1:now:5:default" },
    });
}

/// Of a run of ten chunks, 0, 3 and 4 succeed, 6 is retried; then its worker is lost.
async fn settled_chunks_of_a_range_are_skipped(world: World) {
    world.enqueue_job(&job("J", 24)).await;
    world.open_doomed("w1").await;
    let run = world.claim("w1", 10).await.runs.remove(0);
    let endings = [
        chunks_succeeded(&run, 0, 1, &[]),
        chunks_succeeded(&run, 3, 5, &[]),
        chunk_retry(&run, 6, HOUR_MS),
    ];
    world.complete("w1", &endings).await;
    world.reclaim_lost(3).await;
    world.open("w2").await;
    assert_eq!(world.state().await["ready:default:5"], json!(["J:0-10+1", "J:10-24"]));

    let mut given = Vec::new();
    for want in [1, 9, 9, 9, 9, 9, 9, 9] {
        for run in world.claim("w2", want).await.runs {
            given.extend((run.lo..run.hi).map(|index| (index, run.attempt)));
        }
    }

    given.sort();
    let again = [1, 2, 5, 7, 8, 9].map(|index| (index, 2));
    let first = (10..24).map(|index| (index, 1));
    assert_eq!(given, again.into_iter().chain(first).collect::<Vec<_>>());
    let state = world.state().await;
    assert_eq!(state["chunks"], json!({ "default:5": "0" }));
    assert!(!state.contains_key("ready:default:5"));
}

/// Every chunk but the last one is settled or goes its own way, by turns.
async fn many_settled_chunks_are_skipped_in_bites(world: World) {
    world.enqueue_job(&job("J", 1_010)).await;
    world.open_doomed("w1").await;
    let run = world.claim("w1", 501).await.runs.remove(0);
    let endings: Vec<_> = (0..500)
        .map(|index| match index % 2 {
            0 => chunks_succeeded(&run, index, index + 1, &[]),
            _ => chunk_retry(&run, index, HOUR_MS),
        })
        .collect();
    world.complete("w1", &endings).await;
    world.reclaim_lost(3).await;
    world.open("w2").await;

    let grant = world.claim("w2", 1).await;

    assert_eq!(runs(&grant.runs), ["J:500-501 #2"]);
    let state = world.state().await;
    assert_eq!(state["inflight:w2"], json!({ "#": "1", "J:500-501": "2:now:5:default:1" }));
}

async fn due_tasks_are_promoted_to_the_end_of_their_lists(world: World) {
    world.enqueue(&["a"]).await;
    let later = Start { delay_ms: Some(HOUR_MS), ..Start::default() };
    let entries = [
        delayed("b", HOUR_MS),
        delayed("c", HOUR_MS),
        Entry { start: later, ..entry_in("d", "x", 9) },
    ];
    world.enqueue_all(&entries).await;
    world.open("w1").await;
    world.delays_pass().await;
    world.enqueue_all(&[delayed("e", HOUR_MS)]).await;
    world.hush().await;
    let before = world.state().await;

    // Whoever claims promotes, whatever it wants.
    world.claim("w1", 0).await;

    assert_changes!(world, before, {
        "delayed": { "5:default:b": null, "5:default:c": null, "9:x:d": null },
        "ready:default:5": ["a", "b", "c"],
        "ready:x:9": ["d"],
        "bell:default": ["1"],
        "bell:x": ["1"],
        "inflight:w1": { "#": "1" },
    });
}

async fn ten_thousand_due_tasks_are_promoted_in_bites(world: World) {
    let names: Vec<String> = (0..10_000).map(|n| format!("t{n:05}")).collect();
    for batch in names.chunks(1_000) {
        let batch: Vec<Entry> = batch.iter().map(|name| delayed(name, HOUR_MS)).collect();
        world.enqueue_all(&batch).await;
    }
    world.open("w1").await;
    world.delays_pass().await;

    let grant = world.claim("w1", 10_000).await;

    assert!((1..1_000).contains(&grant.tasks.len()), "a bite, not {}", grant.tasks.len());
    let mut found = crate::support::names(&grant.tasks);
    let promoted = world.reclaim(1_000_000).await.promoted;
    assert!((1..=1_000).contains(&promoted), "a bite, not {promoted}");
    while found.len() < names.len() {
        let grant = world.claim("w1", 10_000).await;
        assert!(!grant.tasks.is_empty(), "{} are lost", names.len() - found.len());
        found.extend(crate::support::names(&grant.tasks));
    }
    // All are due at the same millisecond: then the order is that of their ids.
    assert_eq!(found, names);
    assert!(!world.state().await.contains_key("delayed"));
}

fn expiring(name: &str, delay_ms: Option<u64>) -> Entry {
    let start = Start { delay_ms, expires_after_ms: Some(0), ..Start::default() };
    Entry { start, ..entry(name) }
}

async fn expired_tasks_are_not_started(world: World) {
    world.enqueue_all(&[expiring("a", None), entry("b"), expiring("c", None)]).await;
    world.open("w1").await;
    let before = world.state().await;

    let grant = world.claim("w1", 9).await;

    assert_eq!(names(&grant.tasks), ["b"]);
    let outcome = r#"{"v":1,"state":"expired","task":"t","ended":now}"#;
    assert_changes!(world, before, {
        "tasks": { "a": null, "c": null },
        "expiry": null,
        "ready:default:5": null,
        "result:a": outcome, "result:c": outcome,
        "expires": { "result:a": true, "result:c": true },
        "stats": { "expired": "2" },
        "inflight:w1": { "#": "1", "b": "1:now:5:default" },
    });
    let key = world.key(&format!("result:{}", id("a")));
    let stored: String = world.redis(redis::cmd("GET").arg(key)).await;
    serde_json::from_str::<Outcome>(&stored).expect("an outcome");
}

/// A task of this name in queue `q`, which is over at once, with these fields of its record.
fn expiring_with(name: &str, args: &str, fields: &str) -> Entry {
    let record = format!(r#"{{"v":1,"task":"img/thumb","args":{args},"queue":"q"{fields}}}"#);
    let start = Start { expires_after_ms: Some(0), ..Start::default() };
    Entry { start, record, ..entry_in(name, "q", 5) }
}

async fn what_expires_is_kept_as_its_record_says(world: World) {
    // What is in the arguments says nothing.
    let args = r#"{"keep_ms":1,"queue":"x","task":"x"}"#;
    world
        .enqueue_all(&[
            expiring_with("day", args, ""),
            expiring_with("hour", args, r#","keep_ms":3600000"#),
            expiring_with("not", args, r#","keep_ms":0"#),
            expiring_with("failed", args, r#","keep_ms":0,"keep_failed_ms":3600000"#),
            expiring_with("never", args, r#","keep_failed_ms":0,"label":"\"keep_ms\":9""#),
            expiring_with("ever", args, r#","keep_ms":18446744073709551615"#),
            Entry { record: "{".to_owned(), ..expiring("broken", None) },
        ])
        .await;

    world.reclaim(100).await;

    let state = world.state().await;
    let outcome = json!(r#"{"v":1,"state":"expired","task":"img/thumb","queue":"q","ended":now}"#);
    for (name, kept_ms) in
        [("day", 24 * HOUR_MS), ("hour", HOUR_MS), ("failed", HOUR_MS), ("ever", 1 << 52)]
    {
        assert_eq!(state[&format!("result:{name}")], outcome, "{name}");
        let key = world.key(&format!("result:{}", id(name)));
        let left: u64 = world.redis(redis::cmd("PTTL").arg(key)).await;
        assert!(left <= kept_ms && left > kept_ms - 60_000, "{name}: {left}");
    }
    assert_eq!(state["result:broken"], json!(r#"{"v":1,"state":"expired","ended":now}"#));
    assert!(!state.contains_key("result:not") && !state.contains_key("result:never"), "{state:#?}");
    assert_eq!(state["stats"]["expired"], json!("7"));
    assert!(!state.contains_key("tasks") && !state.contains_key("expiry"), "{state:#?}");
}

async fn what_expires_elsewhere_names_the_queue_it_was_moved_to(world: World) {
    world
        .enqueue_all(&[Entry {
            start: Start { expires_after_ms: Some(HOUR_MS), ..Start::default() },
            ..entry("a")
        }])
        .await;
    world.broker.move_queue(&queue(QUEUE), &queue("to"), None, false).await.expect("moved");
    let mut over = redis::cmd("ZADD");
    world.redis::<()>(over.arg(world.key("expiry")).arg(1).arg(id("a").to_string())).await;

    world.reclaim(100).await;

    let outcome = r#"{"v":1,"state":"expired","task":"t","queue":"to","ended":now}"#;
    assert_eq!(world.state().await["result:a"], json!(outcome));
}

async fn large_tasks_expire_a_few_at_a_time(world: World) {
    let args = format!("\"{}\"", "x".repeat(40_000));
    let entries: Vec<Entry> = (0..6).map(|n| expiring_with(&format!("t{n}"), &args, "")).collect();
    world.enqueue_all(&entries).await;

    for expired in ["2", "4", "6"] {
        world.reclaim(100).await;
        assert_eq!(world.state().await["stats"]["expired"], json!(expired));
    }
}

async fn expired_tasks_wherever_they_wait_end_in_bites(world: World) {
    let names: Vec<String> = (0..2_000).map(|n| format!("t{n:05}")).collect();
    let odd = |n: usize| (n % 2 == 1).then_some(HOUR_MS);
    let entries: Vec<Entry> =
        names.iter().enumerate().map(|(n, name)| expiring(name, odd(n))).collect();
    world.enqueue_all(&entries).await;
    world.open("w1").await;

    world.claim("w1", 1).await;

    let expired = async || world.broker.snapshot(9, 9).await.expect("a snapshot").stats["expired"];
    let first = expired().await;
    assert!((1..2_000).contains(&first), "a bite, not {first}");
    for _ in 0..10 {
        world.reclaim(1_000).await;
    }
    assert_eq!(expired().await, 2_000);
    let state = world.state().await;
    assert!(!state.contains_key("tasks") && !state.contains_key("expiry"), "{:?}", state.keys());
}

async fn a_started_task_does_not_expire(world: World) {
    let start = Start { expires_after_ms: Some(HOUR_MS), ..Start::default() };
    world.enqueue_all(&[Entry { start, ..entry("a") }]).await;
    world.open("w1").await;
    let before = world.state().await;

    world.claim("w1", 1).await;

    // Nothing is left that could make it expire; only what is in flight tells when it would have.
    assert_changes!(world, before, {
        "expiry": null,
        "ready:default:5": null,
        "inflight:w1": { "#": "1", "a": "1:now:5:default:now+60min" },
    });
}

/// The moments that an idle worker may have to look at, as they are stored.
async fn moment(world: &World, key: &str) -> Option<u64> {
    let mut range = redis::cmd("ZRANGE");
    let head: Vec<(String, u64)> =
        world.redis(range.arg(world.key(key)).arg(0).arg(0).arg("WITHSCORES")).await;
    head.first().map(|(_, score)| *score)
}

async fn the_next_event_is_the_earliest_one(world: World) {
    world.open("w1").await;
    let next = async || world.claim("w1", 1).await.next_event.map(|at| at.0);
    assert_eq!(next().await, None);

    world.open("w2").await;
    let mut seen = vec![next().await];
    assert_eq!(seen[0], Some(world.deadline("w2").await));

    // Each is before the one before.
    let expires = Start {
        expires_after_ms: Some(HOUR_MS / 2),
        delay_ms: Some(2 * HOUR_MS),
        ..Start::default()
    };
    world.enqueue_all(&[Entry { start: expires, ..entry("a") }]).await;
    seen.push(next().await);
    assert_eq!(seen[1], moment(&world, "expiry").await);

    world.enqueue_all(&[delayed("b", HOUR_MS / 4)]).await;
    seen.push(next().await);
    assert_eq!(seen[2], moment(&world, "delayed").await);
    assert!(seen.is_sorted_by(|a, b| a > b), "{seen:?}");
}

async fn ones_own_lease_is_no_event(world: World) {
    world.open_doomed("w1").await;
    world.open("w2").await;

    let grant = world.claim("w1", 1).await;

    assert_eq!(grant.next_event.map(|at| at.0), Some(world.deadline("w2").await));
}

async fn a_busy_worker_hears_of_no_event(world: World) {
    world.enqueue_all(&[entry("a"), delayed("b", HOUR_MS)]).await;
    world.open("w1").await;

    let grant = world.claim("w1", 1).await;

    assert_eq!((grant.next_event, grant.watching), (None, false));
    assert!(!world.state().await.contains_key("watch"));
}

/// A lost worker's tasks are put back in bites: whoever is idle must go on with it.
async fn a_lease_that_is_being_emptied_is_an_event(world: World) {
    let names: Vec<String> = (0..500).map(|n| format!("t{n:05}")).collect();
    world.enqueue(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    world.open_doomed("w1").await;
    world.claim("w1", 500).await;
    world.open("w2").await;
    world.overdue("w1").await;

    // What comes back is of the queue of the lost worker; w2 serves another one.
    for _ in 0..3 {
        let grant = world.claim_as("w2", Ask::want(1).from(&["x"])).await;
        assert!(world.state().await.contains_key("orphans"), "more bites are needed");
        assert!(grant.next_event.is_some_and(|at| at <= grant.now), "{grant:?}");
    }
}

async fn one_of_two_idle_workers_watches(world: World) {
    for worker in ["w1", "w2", "w3"] {
        world.open(worker).await;
    }
    world.enqueue_all(&[delayed("a", HOUR_MS / 2)]).await;
    let due = moment(&world, "delayed").await;

    let mut watching = Vec::new();
    for worker in ["w2", "w1", "w2", "w3"] {
        let grant = world.claim(worker, 1).await;
        assert_eq!(grant.next_event.map(|at| at.0), due);
        watching.push(grant.watching);
    }

    assert_eq!(watching, [true, false, true, false]);
    let state = world.state().await;
    assert_eq!(state["watch"], json!("now+30min:w2"));
    assert_eq!(state["expires"]["watch"], json!(true));
}

async fn a_nearer_event_finds_another_watcher(world: World) {
    world.open("w1").await;
    world.open("w2").await;
    world.enqueue_all(&[delayed("a", HOUR_MS / 2)]).await;
    assert!(world.claim("w1", 1).await.watching);
    world.enqueue_all(&[delayed("b", HOUR_MS / 4)]).await;

    let watching = [world.claim("w2", 1).await.watching, world.claim("w1", 1).await.watching];

    assert_eq!(watching, [true, false]);
    assert_eq!(world.state().await["watch"], json!("now+15min:w2"));
}

fn with_room(mut ask: Ask, own: &[(usize, usize)], pool: usize) -> Ask {
    let own = own.iter().map(|(group, room)| OwnRoom { group: *group, room: *room }).collect();
    ask.room = Some(Room { own, pool });
    ask
}

async fn given_queues(world: &World) {
    for name in ["a", "b", "c"] {
        let entries: Vec<_> = (0..5).map(|n| entry_in(&format!("{name}{n}"), name, 5)).collect();
        world.enqueue_all(&entries).await;
    }
    world.open("w1").await;
    world.hush().await;
}

async fn no_more_of_a_queue_than_it_has_room(world: World) {
    given_queues(&world).await;
    let ask = with_room(Ask::want(9).from(&["a", "b", "c"]), &[(0, 2), (1, 0), (2, 3)], 1);

    let grant = world.claim_as("w1", ask).await;

    // Two and one of the pool, nothing, three.
    assert_eq!(names(&grant.tasks), ["a0", "a1", "a2", "c0", "c1", "c2"]);
    // Others may take what is left.
    let state = world.state().await;
    for bell in ["bell:a", "bell:b", "bell:c"] {
        assert_eq!(state[bell], json!(["1"]), "{bell}");
    }
    // The endings of a `complete` are where they belong, behind the rooms.
    let ask = with_room(Ask::want(9).from(&["a", "b"]), &[(0, 1), (1, 1)], 0);
    let grant = world.complete_as("w1", ask, &[succeeded("a0"), released("c0")]).await;
    assert_eq!((names(&grant.tasks), grant.stale.len()), (vec!["a3".into(), "b0".into()], 0));
    // Wanted is wanted, whatever the room.
    let ask = with_room(Ask::want(1).from(&["b", "c"]), &[(0, 5), (1, 5)], 5);
    assert_eq!(world.claim_as("w1", ask).await.tasks.len(), 1);
}

async fn queues_of_a_group_share_their_room(world: World) {
    given_queues(&world).await;
    let ask = with_room(Ask::want(9).from(&["a", "b", "c"]), &[(0, 6), (0, 6), (1, 0)], 0);

    let grant = world.claim_as("w1", ask).await;

    assert_eq!(names(&grant.tasks), ["a0", "a1", "a2", "a3", "a4", "b0"]);
}

async fn a_range_gives_no_more_than_there_is_room(world: World) {
    world.enqueue_job(&job("J", 100)).await;
    world.open("w1").await;

    let grant = world.claim_as("w1", with_room(Ask::want(9), &[(0, 2)], 1)).await;

    assert_eq!(runs(&grant.runs), ["J:0-3 #1"]);
}
