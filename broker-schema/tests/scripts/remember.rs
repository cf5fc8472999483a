//! remember: a write after a batch, also after one that wrote nothing.

use std::time::Duration;

use celeriac_broker_schema::{Broker, BrokerError, Durable};

use crate::support::*;

on_both_servers![
    a_producer_is_remembered_for_a_day_from_now,
    a_server_that_cannot_tell_refuses_before_anything_is_written,
    what_no_replica_has_is_not_acknowledged,
];

/// The same namespace, for durable enqueues.
fn durable(world: &World, durable: Durable) -> Broker {
    Broker::new(world.broker.config().clone().durable(durable)).expect("a URL")
}

async fn a_producer_is_remembered_for_a_day_from_now(world: World) {
    world.enqueue_numbered(1, &[entry("a")]).await;
    let key = world.key(&format!("producer:{}", client("c1")));
    world.redis::<u64>(redis::cmd("PEXPIRE").arg(&key).arg(60_000)).await;
    // A replica that is not there: the write that is waited for is made all the same.
    let broker = durable(&world, Durable::Replicas(1));
    let repeated = broker.enqueue(&client("c1"), 1, &[entry("a")]).await;
    assert!(matches!(repeated, Err(BrokerError::NotDurable { .. })), "{repeated:?}");
    let left: u64 = world.redis(redis::cmd("PTTL").arg(&key)).await;
    assert!(left > 80_000_000, "{left}");
}

async fn a_server_that_cannot_tell_refuses_before_anything_is_written(world: World) {
    let file: Vec<String> = world.redis(redis::cmd("CONFIG").arg("GET").arg("appendonly")).await;
    let broker = durable(&world, Durable::Disk);
    let before = world.state().await;
    let refused = broker.enqueue(&client("c1"), 1, &[entry("a")]).await;
    // Of the two servers one has a file; no version that cannot tell is asked to.
    if file[1] == "no" {
        let Err(BrokerError::Unsuitable { reason, .. }) = &refused else { panic!("{refused:?}") };
        assert!(reason.contains("append-only file"), "{reason}");
        assert_changes!(world, before, {});
    }
}

async fn what_no_replica_has_is_not_acknowledged(world: World) {
    let broker = durable(&world, Durable::Replicas(1));
    let began = std::time::Instant::now();
    let told = broker.enqueue(&client("c1"), 1, &[entry("a")]).await;
    let Err(error) = &told else { panic!("{told:?}") };
    assert!(error.is_temporary() && error.may_have_happened(), "{error}");
    assert!(error.to_string().contains("0 of 1 replicas"), "{error}");
    assert!(began.elapsed() >= Duration::from_millis(900), "it did not wait");
    assert_eq!(world.state().await["ready:default:5"], serde_json::json!(["a"]));
}
