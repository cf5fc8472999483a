//! beat: a worker tells who it is, until it leaves or is not heard of any more.

use std::time::Duration;

use crate::support::*;

on_both_servers![
    a_worker_is_known,
    the_last_word_counts,
    a_worker_that_leaves_is_forgotten,
    a_worker_that_is_silent_is_forgotten,
];

async fn beat(world: &World, name: &str, live: Duration, description: Option<&str>) {
    world.broker.beat(&lease(name), live, description).await.expect("told");
}

const HOUR: Duration = Duration::from_millis(HOUR_MS);

async fn a_worker_is_known(world: World) {
    let before = world.state().await;

    beat(&world, "w1", HOUR, Some(r#"{"host":"a"}"#)).await;

    assert_changes!(world, before, {
        "worker:w1": r#"{"host":"a"}"#,
        "workers": { "w1": "now+60min" },
        "expires": { "worker:w1": true },
    });
}

async fn the_last_word_counts(world: World) {
    beat(&world, "w1", HOUR, Some("1")).await;
    beat(&world, "w2", HOUR, Some("1")).await;
    let before = world.state().await;

    beat(&world, "w1", 2 * HOUR, Some("2")).await;

    assert_changes!(world, before, { "worker:w1": "2", "workers": { "w1": "now+120min" } });
}

async fn a_worker_that_leaves_is_forgotten(world: World) {
    beat(&world, "w1", HOUR, Some("1")).await;
    beat(&world, "w2", HOUR, Some("2")).await;
    let before = world.state().await;

    beat(&world, "w1", HOUR, None).await;
    beat(&world, "nobody", HOUR, None).await;

    assert_changes!(world, before, {
        "worker:w1": null,
        "workers": { "w1": null },
        "expires": { "worker:w1": null },
    });
}

async fn a_worker_that_is_silent_is_forgotten(world: World) {
    beat(&world, "w1", Duration::from_millis(1), Some("1")).await;
    let gone = format!("{}worker:w1", world.broker.keys().fleet());
    world.vanished(&gone).await;
    let before = world.state().await;

    // The next one to tell sweeps.
    beat(&world, "w2", HOUR, Some("2")).await;

    assert_changes!(world, before, {
        "worker:w2": "2",
        "workers": { "w1": null, "w2": "now+60min" },
        "expires": { "worker:w2": true },
    });
}
