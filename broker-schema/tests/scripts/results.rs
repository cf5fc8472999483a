//! results: what members came to, in the order in which they are asked for.

use celeriac_broker_schema::script::{Ending, WantedResults};
use celeriac_broker_schema::workflow::Value;

use crate::support::*;

on_both_servers![results_are_read_by_index, a_job_that_is_gone_has_none];

async fn results_are_read_by_index(world: World) {
    world.enqueue_part(1, &chord("J")).await;
    world.open("w1").await;
    let grant = world.claim("w1", 2).await;
    let run = &grant.runs[0];
    assert_eq!(run.records, [record("a").into_bytes(), record("b").into_bytes()]);
    let results = vec![(0, "[7]".to_owned()), (1, "18446744073709551615".to_owned())];
    let (run, deltas) = (run.field.clone(), Vec::new());
    world.complete("w1", &[Ending::MembersSucceeded { run, lo: 0, hi: 2, results, deltas }]).await;

    let wanted = WantedResults { members: vec![(1, 3), (0, 1)], totals: true, fed: None };
    let found = world.broker.results(job_id("J"), &wanted).await.expect("Redis is there");

    let json = |value: &Option<Value>| match value {
        Some(Value::Ok(json)) => Some(json.get().to_owned()),
        other => panic!("{other:?}"),
    };
    assert_eq!(json(&found.values[0]).as_deref(), Some("18446744073709551615"));
    assert!(found.values[1].is_none(), "it has not ended");
    assert_eq!(json(&found.values[2]).as_deref(), Some("[7]"));
    assert_eq!(found.totals.map(|totals| totals.get().to_owned()).as_deref(), Some("{}"));
    // The barrier has opened.
    assert_eq!(world.state().await["ready:default:5"], serde_json::json!(["J:2-3"]));
}

async fn a_job_that_is_gone_has_none(world: World) {
    let wanted = WantedResults { members: vec![(0, 2)], ..WantedResults::default() };
    let found = world.broker.results(job_id("J"), &wanted).await.expect("Redis is there");
    assert_eq!((found.state, found.values.len()), (None, 2));
}
