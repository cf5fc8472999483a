//! Accumulators: exact where that is possible, refused before any write where it is not.

use celeriac_broker_schema::Delta;
use celeriac_broker_schema::script::Run;
use serde_json::json;

use crate::support::*;

on_both_servers![
    integers_are_added_exactly,
    the_smallest_and_the_largest_are_kept,
    other_numbers_are_added,
    integers_and_other_numbers_are_added_in_any_order,
    an_exact_sum_stays_within_its_range,
    a_refused_sum_changes_nothing,
    a_float_sum_may_leave_that_range,
    the_totals_are_json,
];

/// A job of which w1 holds the first `held` chunks in one run.
async fn given_run(world: &World, chunks: u64, held: u64) -> Run {
    world.enqueue_job(&job_to_reduce("J", chunks)).await;
    world.open("w1").await;
    let run = world.claim("w1", held as usize).await.runs.remove(0);
    assert_eq!((run.lo, run.hi), (0, held));
    run
}

/// Chunk after chunk adds one of these.
async fn add(world: &World, run: &Run, deltas: &[Delta]) {
    for (index, delta) in (run.lo..).zip(deltas) {
        let ending = chunks_succeeded(run, index, index + 1, std::slice::from_ref(delta));
        let grant = world.complete("w1", &[ending]).await;
        assert!(grant.stale.is_empty() && grant.refused.is_empty(), "{delta:?}: {grant:?}");
    }
}

async fn integers_are_added_exactly(world: World) {
    let run = given_run(&world, 40, 20).await;

    let numbers =
        ["9007199254740991", "9007199254740992", "-1", "4580000000000000001", "-9007199254740993"];
    add(&world, &run, &numbers.map(|number| delta("sum", "n", number))).await;

    let sum: i64 = numbers.iter().map(|number| number.parse::<i64>().expect("an integer")).sum();
    assert_eq!(world.state().await["job:J"]["acc:n"], json!(sum.to_string()));
}

async fn the_smallest_and_the_largest_are_kept(world: World) {
    let run = given_run(&world, 40, 20).await;
    let numbers = ["3", "-2.5e3", "7", "1e2", "-7", "9007199254740992", "9007199254740991"];

    for op in ["min", "max"] {
        for (index, number) in (0..).zip(numbers) {
            let index = index + if op == "min" { 0 } else { 10 };
            world
                .complete(
                    "w1",
                    &[chunks_succeeded(&run, index, index + 1, &[delta(op, op, number)])],
                )
                .await;
        }
    }

    let job = &world.state().await["job:J"];
    assert_eq!((&job["acc:min"], &job["acc:max"]), (&json!("-2.5e3"), &json!("9007199254740992")));
}

async fn other_numbers_are_added(world: World) {
    let run = given_run(&world, 40, 20).await;

    add(&world, &run, &["0.5", "-1.25", "1e3", "0.25"].map(|number| delta("sumf", "x", number)))
        .await;

    assert_eq!(world.state().await["job:J"]["acc:x"], json!("999.5"));
}

/// Whether `1` or `1.0` is written for a whole number is up to the language of the task.
async fn integers_and_other_numbers_are_added_in_any_order(world: World) {
    let run = given_run(&world, 40, 20).await;
    let before = world.state().await;

    let deltas = [
        delta("sum", "x", "1"),
        delta("sumf", "x", "0.5"),
        delta("sum", "x", "2"),
        delta("sumf", "x", "0.5"),
        delta("sum", "x", "3"),
    ];
    add(&world, &run, &deltas).await;

    assert_changes!(world, before, {
        "inflight:w1": { "#": "6", "J:0-20": "1:now:5:default:15" },
        "job:J": { "done": "5", "acc:x": "7" },
        "job:J:done": format!("11111{}", "0".repeat(35)),
        "stats": { "succeeded": "5" },
    });
}

async fn an_exact_sum_stays_within_its_range(world: World) {
    let run = given_run(&world, 40, 20).await;
    let large = (1_i64 << 62) - 1024;

    // Up to its edge and back down to the other one.
    let numbers = [large, -large, -large, large, 1];
    add(&world, &run, &numbers.map(|number| delta("sum", "n", &number.to_string()))).await;

    assert_eq!(world.state().await["job:J"]["acc:n"], json!("1"));
}

async fn a_refused_sum_changes_nothing(world: World) {
    let run = given_run(&world, 40, 20).await;
    let large = (1_i64 << 62) - 1024;
    add(&world, &run, &[delta("sum", "n", &large.to_string())]).await;
    let before = world.state().await;

    for number in [i64::MAX, 1 << 62, 1024] {
        let deltas = [
            delta("sum", "m", "1"),
            delta("max", "o", "1"),
            delta("sum", "n", &number.to_string()),
            delta("sumf", "p", "1"),
        ];
        let grant = world.complete("w1", &[chunks_succeeded(&run, 1, 2, &deltas)]).await;
        assert_eq!(named(&grant.refused), ["J:0-20"]);
        assert!(grant.stale.is_empty());
    }

    assert_changes!(world, before, { "inflight:w1": { "#": "5" } });
    // The chunk is still held, and may end otherwise.
    world.complete("w1", &[chunk_failed(&run, 1)]).await;
    assert_eq!(world.state().await["job:J"]["state"], json!("failed"));
}

async fn a_float_sum_may_leave_that_range(world: World) {
    let run = given_run(&world, 40, 20).await;

    let deltas = [delta("sumf", "x", "1e19"), delta("sum", "x", "5"), delta("sumf", "x", "-1e19")];
    add(&world, &run, &deltas).await;

    assert_eq!(world.state().await["job:J"]["acc:x"], json!("5"));
}

async fn the_totals_are_json(world: World) {
    let run = given_run(&world, 4, 4).await;
    let deltas = [
        delta("sum", "hits", "-5"),
        delta("sumf", "area", "1e-3"),
        delta("min", "low.er-1", "-0.5"),
        delta("max", "top", "1e300"),
    ];

    world.complete("w1", &[chunks_succeeded(&run, 0, 4, &deltas)]).await;

    let grant = world.claim("w1", 1).await;
    let input = grant.tasks[0].input.as_deref().expect("an input");
    assert_eq!(input, r#"{"area":0.001,"hits":-5,"low.er-1":-0.5,"top":1e300}"#);
    serde_json::from_str::<serde_json::Value>(input).expect("JSON");
}
