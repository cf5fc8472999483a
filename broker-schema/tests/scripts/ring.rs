//! ring: a token is passed on; and how it wakes.

use std::time::Duration;

use celeriac_broker_schema::Bell;

use crate::support::*;

on_both_servers![
    every_named_bell_rings,
    a_bell_that_rings_stays_as_it_is,
    a_token_wakes_one_worker,
    nobody_is_woken_without_a_token,
];

async fn every_named_bell_rings(world: World) {
    let before = world.state().await;

    world.broker.ring(&["a", "b"].map(queue)).await.expect("rung");

    assert_changes!(world, before, { "bell:a": ["1"], "bell:b": ["1"] });
}

async fn a_bell_that_rings_stays_as_it_is(world: World) {
    world.enqueue(&["a"]).await;
    let before = world.state().await;

    world.broker.ring(&[queue(QUEUE)]).await.expect("rung");
    world.broker.ring(&[]).await.expect("nothing to ring");

    assert_changes!(world, before, {});
}

async fn a_token_wakes_one_worker(world: World) {
    let mut bell = Bell::new(["a", "b"].map(queue).to_vec());
    let wait = world.broker.wait_for_bell(&mut bell, Duration::from_secs(10));
    let rung = [queue("b")];
    let ring = world.broker.ring(&rung);

    let (rang, rung) = tokio::join!(wait, ring);

    assert!(rang.expect("an answer"));
    rung.expect("rung");
    let state = world.state().await;
    assert!(!state.contains_key("bell:b"), "the token is taken: {state:?}");
}

async fn nobody_is_woken_without_a_token(world: World) {
    let mut bell = Bell::new(vec![queue("a")]);
    world.broker.ring(&[queue("b")]).await.expect("rung");

    let rang = world.broker.wait_for_bell(&mut bell, Duration::from_millis(1)).await;

    assert!(!rang.expect("an answer"));
}
