//! data: what the tasks of a job share, put in pieces and read in pieces, as long as the job runs.

use celeriac_broker_schema::Requester;
use celeriac_broker_schema::script::WorkflowPart;
use celeriac_broker_schema::workflow::{Data, digest};
use serde_json::value::RawValue;

use crate::support::*;

on_both_servers![data_is_read_as_it_was_put, data_goes_with_its_job];

/// A chord with data of several pieces.
fn with_data() -> (WorkflowPart, Data) {
    let numbers: Vec<u32> = (0..100_000_u32).map(|n| n.wrapping_mul(2_654_435_761)).collect();
    let json = RawValue::from_string(format!("{numbers:?}")).expect("JSON");
    let data = Data { digest: digest(json.get().as_bytes()), json };
    let mut part = chord("J");
    part.edits.extend(data.edits().expect("small enough"));
    (part, data)
}

async fn data_is_read_as_it_was_put(world: World) {
    let (part, data) = with_data();
    world.enqueue_part(1, &part).await;

    let read = world.broker.data(job_id("J"), &data.digest).await.expect("Redis is there");
    let other = world.broker.data(job_id("J"), "other").await.expect("Redis is there");

    assert_eq!(read.expect("it is there").expect("readable").json.get(), data.json.get());
    assert!(other.is_none());
}

async fn data_goes_with_its_job(world: World) {
    let (part, data) = with_data();
    world.enqueue_part(1, &part).await;
    world.broker.cancel(&[id("J")], &Requester::default()).await.expect("an answer");

    let read = world.broker.data(job_id("J"), &data.digest).await.expect("Redis is there");
    assert!(read.is_none());
}
