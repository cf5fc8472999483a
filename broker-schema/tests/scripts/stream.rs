//! stream: values page by page, and whether more may come.

use celeriac_broker_schema::TaskId;
use celeriac_broker_schema::script::{StreamPage, StreamState};

use crate::emit::{emission, emit};
use crate::support::*;

on_both_servers![
    a_stream_is_open_until_its_task_ends,
    it_is_read_on_from_any_place,
    a_chunk_is_open_until_it_is_settled,
    what_never_was_is_unknown,
];

async fn page(world: &World, id: TaskId, after: Option<&str>) -> StreamPage {
    world.broker.stream(id, after).await.expect("it is answered")
}

fn values(page: &StreamPage) -> Vec<&str> {
    page.parts.iter().map(|part| part.value.as_str()).collect()
}

async fn a_stream_is_open_until_its_task_ends(world: World) {
    world.enqueue(&["a"]).await;
    let waiting = page(&world, id("a"), None).await;
    assert_eq!(waiting, StreamPage { state: StreamState::Open, parts: vec![] });
    world.open("w1").await;
    world.claim("w1", 1).await;
    emit(&world, "w1", &[emission(id("a"), None, 1, &["1"])]).await;
    assert_eq!(page(&world, id("a"), None).await.state, StreamState::Open);

    world.complete("w1", &[done("a")]).await;
    let before = world.state().await;

    let ended = page(&world, id("a"), None).await;
    assert_eq!((ended.state, values(&ended)), (StreamState::Ended, vec!["1"]));
    assert_changes!(world, before, {});
}

async fn it_is_read_on_from_any_place(world: World) {
    world.enqueue(&["a"]).await;
    world.open("w1").await;
    world.claim("w1", 1).await;
    let many: Vec<String> = (0..150).map(|n| n.to_string()).collect();
    let all: Vec<&str> = many.iter().map(String::as_str).collect();
    emit(&world, "w1", &[emission(id("a"), None, 1, &all)]).await;

    let first = page(&world, id("a"), None).await;
    let after = first.parts.last().expect("a value").at.as_str();
    let second = page(&world, id("a"), Some(after)).await;

    assert_eq!([values(&first), values(&second)].concat(), all);
    let last = second.parts.last().expect("a value").at.as_str();
    assert!(page(&world, id("a"), Some(last)).await.parts.is_empty());
}

async fn a_chunk_is_open_until_it_is_settled(world: World) {
    world.enqueue_job(&job("J", 2)).await;
    world.open("w1").await;
    let run = world.claim("w1", 2).await.runs.remove(0);
    let chunks = [0, 1].map(|index| TaskId::of_chunk(run.job, index));

    world.complete("w1", &[chunks_succeeded(&run, 0, 1, &[])]).await;

    assert_eq!(page(&world, chunks[0], None).await.state, StreamState::Ended);
    assert_eq!(page(&world, chunks[1], None).await.state, StreamState::Open);
    assert_eq!(page(&world, id("J"), None).await.state, StreamState::Open);
    world.complete("w1", &[chunk_failed(&run, 1)]).await;
    assert_eq!(page(&world, chunks[1], None).await.state, StreamState::Ended);
    assert_eq!(page(&world, id("J"), None).await.state, StreamState::Ended);
}

async fn what_never_was_is_unknown(world: World) {
    assert_eq!(page(&world, id("x"), None).await.state, StreamState::Unknown);
}
