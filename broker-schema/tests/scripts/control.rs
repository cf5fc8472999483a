//! control: what people say of queues, and how workers and producers feel it.

use celeriac_broker_schema::script::{Answered, Control, Controls, Refusal, Refused};
use celeriac_broker_schema::{BrokerError, Note, Requester, UniqueKey};
use serde_json::json;

use crate::support::*;

on_both_servers![
    each_verb_and_its_opposite,
    what_was_said_before_stays,
    hostile_reasons_stay_text,
    a_paused_queue_gives_nothing_and_loses_nothing,
    what_becomes_due_in_a_paused_queue_waits_there,
    what_comes_back_to_a_paused_queue_stays_there,
    the_other_queues_of_a_worker_go_on,
    resuming_wakes_a_worker,
    a_closed_queue_takes_nothing_and_is_worked_off,
    a_full_queue_takes_what_fits,
    what_waits_elsewhere_takes_no_room,
    chunks_count_and_a_job_goes_in_whole,
    a_refused_task_takes_no_key,
    a_repeated_batch_hears_the_same_refusals,
    a_repeated_job_that_was_refused_is_looked_at_again,
];

async fn each_verb_and_its_opposite(world: World) {
    let before = world.state().await;

    assert!(world.control("mail", Control::Pause).await);
    assert!(world.limit_queue("mail", 10).await);
    assert!(world.control("mail", Control::Close).await);

    let note = r#"{"at":now,"by":"ada","why":"t"}"#;
    assert_changes!(world, before, {
        "controls": { "mail": "pcm10" },
        "controls:why": { "mail:p": note, "mail:c": note, "mail:m": note },
        "queues": ["mail"],
    });
    let view = world.broker.snapshot(9, 0).await.expect("a snapshot").queues.remove(0);
    let Controls { paused: Some(Note { who, at }), closed: Some(_), limit: Some(limit) } =
        view.controls
    else {
        panic!("all three hold")
    };
    assert_eq!((who, limit.max), (Requester::new("ada").because("t"), 10));
    assert!(at <= world.now().await && at.0 > 0);

    for control in [Control::Open, Control::Unlimit, Control::Resume] {
        assert!(world.control("mail", control).await);
    }
    // Nothing is left to be looked at by those who claim and enqueue.
    assert_changes!(world, before, { "queues": ["mail"], "bell:mail": ["1"] });
}

async fn what_was_said_before_stays(world: World) {
    world.control("mail", Control::Pause).await;
    world.limit_queue("mail", 10).await;
    let before = world.state().await;

    assert!(!world.control("mail", Control::Pause).await);
    assert!(!world.control("mail", Control::Open).await);
    assert!(!world.limit_queue("mail", 10).await);
    assert_changes!(world, before, {});

    assert!(world.limit_queue("mail", 11).await);
    assert_eq!(world.state().await["controls"], json!({ "mail": "pm11" }));
}

async fn hostile_reasons_stay_text(world: World) {
    let why = format!("\"}},{{\n'{}", "ä".repeat(10_000));
    let who = Requester::new("a\"b\n").because(&why);

    world.broker.control_queue(&queue("q"), Control::Close, &who).await.expect("closed");

    let view = world.broker.snapshot(9, 0).await.expect("a snapshot").queues.remove(0);
    let note = view.controls.closed.expect("closed");
    assert_eq!(note.who.by, who.by);
    assert_eq!(note.who.why, Some(why.chars().take(500).collect()));
    // Also in what a producer hears, the first time and again.
    for _ in 0..2 {
        let answer = world.broker.enqueue(&client("c1"), 1, &[entry_in("a", "q", 5)]).await;
        assert_eq!(answer.expect("an answer").refused[0].why.note, note);
    }
}

async fn a_paused_queue_gives_nothing_and_loses_nothing(world: World) {
    world.enqueue(&["a", "b"]).await;
    world.enqueue_job(&job("J", 10)).await;
    world.open("w1").await;
    world.control(QUEUE, Control::Pause).await;
    world.hush().await;
    let before = world.state().await;

    let grant = world.claim("w1", 9).await;

    assert!(grant.tasks.is_empty() && grant.runs.is_empty());
    // Nobody is woken in vain.
    assert_changes!(world, before, { "inflight:w1": { "#": "1" } });
    world.control(QUEUE, Control::Resume).await;
    let grant = world.claim("w1", 20).await;
    assert_eq!((names(&grant.tasks), grant.runs.len()), (vec!["a".into(), "b".into()], 1));
}

async fn what_becomes_due_in_a_paused_queue_waits_there(world: World) {
    world.control(QUEUE, Control::Pause).await;
    world.enqueue_all(&[delayed("a", HOUR_MS)]).await;
    world.delays_pass().await;
    world.open("w1").await;

    assert!(world.claim("w1", 9).await.tasks.is_empty());

    assert_eq!(world.state().await["ready:default:5"], json!(["a"]));
}

async fn what_comes_back_to_a_paused_queue_stays_there(world: World) {
    world.enqueue(&["a", "b", "c"]).await;
    // b and c cost two workers, so they are suspects.
    world.open("w1").await;
    world.claim("w1", 1).await;
    for worker in ["w2", "w3"] {
        world.lose_worker(worker, 2).await;
    }
    world.control(QUEUE, Control::Pause).await;

    let grant = world.complete_as("w1", Ask::want(9), &[retry("a", 0)]).await;

    assert!(grant.tasks.is_empty(), "{grant:?}");
    let state = world.state().await;
    assert_eq!(state["ready:default:5"], json!(["a"]));
    assert_eq!(state["suspects:default"], json!(["5:b", "5:c"]));
}

async fn the_other_queues_of_a_worker_go_on(world: World) {
    world.enqueue_all(&[entry_in("a", "x", 9), entry_in("b", "y", 0)]).await;
    world.control("x", Control::Pause).await;
    world.open("w1").await;

    let grant = world.claim_as("w1", Ask::want(9).from(&["x", "y"])).await;

    assert_eq!(names(&grant.tasks), ["b"]);
}

async fn resuming_wakes_a_worker(world: World) {
    world.enqueue(&["a"]).await;
    world.control(QUEUE, Control::Pause).await;
    world.hush().await;

    world.control(QUEUE, Control::Resume).await;

    assert_eq!(world.state().await["bell:default"], json!(["1"]));
}

async fn a_closed_queue_takes_nothing_and_is_worked_off(world: World) {
    world.enqueue(&["a", "b"]).await;
    world.control(QUEUE, Control::Close).await;
    let before = world.state().await;

    let batch = [entry("c"), entry_in("d", "x", 5), entry("e"), delayed("f", HOUR_MS)];
    let refused = world.refusals(&batch).await;

    let default = |first, count| (first, count, QUEUE.to_owned(), None);
    assert_eq!(refused, [default(0, 1), default(2, 2)]);
    assert_changes!(world, before, {
        "tasks": { "d": batch[1].record },
        "ready:x:5": ["d"],
        "bell:x": ["1"],
        "queues": ["default", "x"],
        "stats": { "enqueued": "3" },
        "producer:c1": "2\n0\n1\ndefault\nclosed\n0\n2\n2\ndefault\nclosed\n0",
    });
    let job = world.broker.enqueue_range(&client("c2"), 1, &job("J", 10)).await;
    assert_eq!(job.expect("an answer").refused[0].why.limit, None);
    // The reducer alone is reason enough: it would be put into the queue by nobody.
    let reduced =
        celeriac_broker_schema::script::RangeJob { queue: queue("x"), ..job_to_reduce("K", 10) };
    let job = world.broker.enqueue_range(&client("c2"), 1, &reduced).await;
    assert_eq!(job.expect("an answer").refused[0].why.queue, QUEUE);

    world.open("w1").await;
    world.claim("w1", 1).await;
    let grant = world.complete_as("w1", Ask::want(9), &[retry("a", 0)]).await;
    assert_eq!(names(&grant.tasks), ["b", "a"]);
}

async fn a_full_queue_takes_what_fits(world: World) {
    world.enqueue(&["a"]).await;
    world.limit_queue(QUEUE, 3).await;

    let refused = world.refusals(&["b", "c", "d", "e"].map(entry)).await;

    assert_eq!(refused, [(2, 2, QUEUE.to_owned(), Some(3))]);
    let state = world.state().await;
    assert_eq!(state["ready:default:5"], json!(["a", "b", "c"]));
    assert!(state["tasks"].get("d").is_none());
    assert_eq!(state["stats"], json!({ "enqueued": "3" }));
    // A place that became free is taken once.
    world.open("w1").await;
    world.claim("w1", 1).await;
    let refused = world.refusals(&["f", "g"].map(entry)).await;
    assert_eq!(refused, [(1, 1, QUEUE.to_owned(), Some(3))]);
}

async fn what_waits_elsewhere_takes_no_room(world: World) {
    world.enqueue_all(&[delayed("a", HOUR_MS)]).await;
    world.limit_queue(QUEUE, 1).await;

    // Delayed tasks take no room before they are due, but a full queue takes none of them.
    assert_eq!(world.refusals(&[delayed("b", HOUR_MS), entry("c")]).await, []);
    let refused = world.refusals(&[delayed("d", HOUR_MS), entry_in("e", "x", 5)]).await;

    assert_eq!(refused, [(0, 1, QUEUE.to_owned(), Some(1))]);
    // What was accepted becomes ready all the same, and nothing is dropped when it comes back.
    world.delays_pass().await;
    world.open("w1").await;
    assert_eq!(world.claim("w1", 9).await.tasks.len(), 3);
    let released = ["a", "b", "c"].map(released);
    world.complete_as("w1", Ask::want(0), &released).await;
    assert_eq!(world.state().await["ready:default:5"].as_array().map(Vec::len), Some(3));
}

async fn chunks_count_and_a_job_goes_in_whole(world: World) {
    world.limit_queue(QUEUE, 10).await;
    assert_eq!(world.enqueue_job(&job("J", 8)).await, None);
    let before = world.state().await;

    let refused = world.broker.enqueue_range(&client("c2"), 1, &job("K", 3)).await;

    let refused = refused.expect("an answer").refused;
    assert_eq!((refused.len(), refused[0].why.limit), (1, Some(10)));
    assert_changes!(world, before, {});
    assert_eq!(world.refusals(&["a", "b", "c"].map(entry)).await.len(), 1);
}

async fn a_refused_task_takes_no_key(world: World) {
    world.control(QUEUE, Control::Close).await;
    let key = UniqueKey::new("k").expect("a key");
    let keyed = |name| celeriac_broker_schema::script::Entry {
        unique: Some(celeriac_broker_schema::Unique {
            key: key.clone(),
            mode: celeriac_broker_schema::UniqueMode::For { ms: HOUR_MS },
        }),
        ..entry(name)
    };
    assert_eq!(world.refusals(&[keyed("a")]).await.len(), 1);
    world.control(QUEUE, Control::Open).await;

    assert_eq!(world.enqueue_all(&[keyed("b")]).await, []);
    world.control(QUEUE, Control::Close).await;
    // What is there already is told also by a closed queue.
    assert_eq!(world.enqueue_all(&[keyed("c")]).await[0].first, id("b"));
}

async fn enqueued(world: &World, number: u64, names: &[&str]) -> Result<Answered, BrokerError> {
    let entries: Vec<_> = names.iter().map(|name| entry(name)).collect();
    world.broker.enqueue(&client("c1"), number, &entries).await
}

async fn a_repeated_batch_hears_the_same_refusals(world: World) {
    world.limit_queue(QUEUE, 1).await;
    let first = enqueued(&world, 1, &["a", "b"]).await.expect("an answer");
    // There is room by now; but nobody must wonder which of them are there.
    world.open("w1").await;
    world.claim("w1", 1).await;
    let before = world.state().await;

    let again = enqueued(&world, 1, &["a", "b"]).await.expect("an answer");

    let why =
        Refusal { note: first.refused[0].why.note.clone(), queue: QUEUE.into(), limit: Some(1) };
    assert_eq!(first.refused, [Refused { first: 1, count: 1, why }]);
    assert_eq!(again.refused, first.refused);
    assert_changes!(world, before, {});
    // A later number stands for itself.
    assert_eq!(enqueued(&world, 2, &["b"]).await.expect("an answer").refused, []);
}

async fn a_repeated_job_that_was_refused_is_looked_at_again(world: World) {
    world.control(QUEUE, Control::Close).await;
    let enqueue = async || {
        let answer = world.broker.enqueue_range(&client("c1"), 1, &job("J", 3)).await;
        answer.expect("an answer").refused.len()
    };
    assert_eq!(enqueue().await, 1);
    world.control(QUEUE, Control::Open).await;
    assert_eq!(enqueue().await, 0);
    world.control(QUEUE, Control::Close).await;
    // It is there: that is what a repeated call hears, whatever was said of the queue since.
    assert_eq!(enqueue().await, 0);
    assert_eq!(world.state().await["ready:default:5"], json!(["J:0-3"]));
}
