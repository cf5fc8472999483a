//! oldest: since when the first of each queue waits.

use celeriac_broker_schema::{Record, TaskOptions, Timestamp};

use crate::support::*;

on_both_servers![the_oldest_of_all_priorities, a_delay_is_not_waited, ranges_count, suspects_count,];

async fn oldest(world: &World, queues: &[&str]) -> Vec<Option<Timestamp>> {
    let before = world.state().await;
    let names: Vec<String> = queues.iter().map(|name| (*name).to_owned()).collect();
    let (now, found) = world.broker.oldest(&names).await.expect("an answer");
    assert_changes!(world, before, {});
    assert!(now <= world.now().await);
    found
}

async fn the_oldest_of_all_priorities(world: World) {
    // The ids of these tests are of one moment.
    world.enqueue_all(&[entry_in("a", "mail", 1), entry_in("b", "mail", 9)]).await;

    let found = oldest(&world, &["mail", "default", "nobody"]).await;

    assert_eq!(found, [Some(id("a").time()), None, None]);
    assert_eq!(oldest(&world, &[]).await, []);
}

async fn a_delay_is_not_waited(world: World) {
    let mut late = entry_in("a", "mail", 1);
    let args = serde_json::value::to_raw_value(&1).expect("JSON");
    let (name, options) = ("t".parse().expect("a name"), TaskOptions::default());
    let record = Record { delay_ms: Some(250), ..Record::new(&name, &args, &options) };
    late.record = record.encode().expect("a record");
    world.enqueue_all(&[late]).await;

    assert_eq!(oldest(&world, &["mail"]).await, [Some(id("a").time().plus_ms(250))]);
}

async fn ranges_count(world: World) {
    world.enqueue_job(&job("J", 10)).await;
    assert_eq!(oldest(&world, &[QUEUE]).await, [Some(job_id("J").task().time())]);
}

async fn suspects_count(world: World) {
    world.enqueue(&["a"]).await;
    for worker in ["w1", "w2"] {
        world.lose_worker(worker, 1).await;
    }
    assert_eq!(oldest(&world, &[QUEUE]).await, [Some(id("a").time())]);
}
