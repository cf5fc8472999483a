//! Queues as their users feel them: paused, closed and full ones, labels, and how a worker shares
//! itself out among several.

use std::collections::BTreeMap;
use std::time::Duration;

use celeriac_broker_schema::script::Control;
use celeriac_broker_schema::{Broker, Priority, QueueName, Requester};
use celeriac_producer::{EnqueueError, NewJob, NewTask};
use celeriac_worker::WorkerConfig;

use crate::common::{
    LONG, Running, assert_finished, broker, config, one_slot, producer, snapshot, until,
};
use crate::stage::{Stage, hold_task, note_task, spin_task};

fn queue(name: &str) -> QueueName {
    name.parse().unwrap()
}

fn note_in(name: &str, text: impl Into<String>) -> NewTask {
    note_task(text).queue(queue(name))
}

async fn control(broker: &Broker, name: &str, control: Control) {
    let ada = Requester::new("ada").because("moving house");
    broker.control_queue(&queue(name), control, &ada).await.unwrap();
}

async fn limit(broker: &Broker, name: &str, max: u64) {
    control(broker, name, Control::Limit(max.try_into().unwrap())).await;
}

async fn ready(broker: &Broker, name: &str) -> u64 {
    let queues = snapshot(broker).await.queues;
    queues.iter().find(|queue| queue.name == name).map_or(0, |queue| queue.ready)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_queue_tells_who_closed_it_and_what_to_do() {
    let broker = broker().await;
    control(&broker, "mail", Control::Close).await;
    let producer = producer(&broker).wait_while_full(LONG);

    let refused = producer.enqueue_task(note_in("mail", "a")).await.unwrap_err();

    assert!(matches!(&refused, EnqueueError::QueueClosed { queue, .. } if queue == "mail"));
    assert_eq!(
        refused.to_string(),
        "queue mail is closed, so the task was not enqueued: closed by ada: moving house; open it with `celeriac queues open mail`"
    );
    let job = producer.enqueue_job(NewJob::new(note_in("mail", "a"), 9)).await;
    assert!(matches!(job, Err(EnqueueError::QueueClosed { .. })), "{job:?}");
    // Others that were sent along are not affected.
    let (refused, taken) = tokio::join!(
        producer.enqueue_task(note_in("mail", "a")),
        producer.enqueue_task(note_in("other", "b")),
    );
    assert!(refused.is_err() && taken.is_ok());
    assert_eq!((ready(&broker, "mail").await, ready(&broker, "other").await), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_and_the_count_is_right() {
    let broker = broker().await;
    limit(&broker, "mail", 1_200).await;
    for patience in [Duration::ZERO, Duration::from_millis(50)] {
        let before = ready(&broker, "mail").await;
        let mut many = producer(&broker).wait_while_full(patience).many();
        let mut refused = None;
        for _ in 0..5_000 {
            if let Err(error) = many.push(note_in("mail", "a")).await {
                refused = Some(error);
                break;
            }
        }
        if refused.is_none() {
            refused = many.flush().await.err();
        }

        let refused = refused.expect("they do not fit");
        assert!(matches!(refused, EnqueueError::QueueFull { limit: 1_200, .. }), "{refused:?}");
        assert_eq!(many.enqueued().count, 1_200 - before);
        assert_eq!(ready(&broker, "mail").await, 1_200);
    }
    let job = producer(&broker).wait_while_full(LONG);
    let job = job.enqueue_job(NewJob::new(note_in("mail", "a"), 1_201)).await;
    assert!(matches!(job, Err(EnqueueError::QueueFull { .. })), "nobody waits for ever: {job:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_producer_streams_on_when_there_is_room() {
    let (broker, stage) = (broker().await, Stage::new());
    limit(&broker, "default", 100).await;
    let worker = Running::start(&broker, stage.tasks(), config());
    let names: Vec<String> = (0..5_000).map(|n| n.to_string()).collect();
    let patient = producer(&broker).wait_while_full(LONG);

    let enqueued = patient.enqueue_many(names.iter().map(note_task)).await.unwrap();

    assert_eq!(enqueued.count, 5_000);
    let job = patient.enqueue_job(NewJob::new(note_task("chunk"), 90)).await.unwrap();
    job.outcome_within(LONG).await.unwrap();
    until(&broker, |snapshot| snapshot.tasks == 0).await;
    assert_eq!(stage.count("chunk"), 90);
    let mut said = stage.log();
    said.retain(|name| name != "chunk");
    said.sort_by_key(|name| name.parse::<u32>().unwrap());
    assert_eq!(said, names, "each ran once");
    worker.drain().await;
    control(&broker, "default", Control::Unlimit).await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_queue_neither_runs_nor_loses_what_waits() {
    let (broker, stage) = (broker().await, Stage::new());
    let (producer, queues) = (producer(&broker), vec![queue("mail"), queue("other")]);
    let worker = Running::start(&broker, stage.tasks(), WorkerConfig { queues, ..config() });
    producer.enqueue_task(hold_task("before").queue(queue("mail"))).await.unwrap();
    stage.heard("before begins").await;
    control(&broker, "mail", Control::Pause).await;
    let tasks = (0..50).map(|n| match n {
        0..40 => note_in("mail", "mail"),
        _ => note_in("other", "other"),
    });
    producer.enqueue_many(tasks).await.unwrap();
    let soon = note_in("mail", "mail").delay(Duration::from_millis(1));
    producer.enqueue_task(soon).await.unwrap();

    stage.heard_times(10, "other").await;
    // What ran goes on, and its ending claims nothing of the queue.
    stage.open("before");
    until(&broker, |snapshot| snapshot.stats["succeeded"] == 11 && snapshot.delayed == 0).await;
    assert_eq!((stage.count("mail"), ready(&broker, "mail").await), (0, 41));

    control(&broker, "mail", Control::Resume).await;
    stage.heard_times(41, "mail").await;
    until(&broker, |snapshot| snapshot.tasks == 0).await;
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_needs_a_label_waits_for_a_worker_that_has_it() {
    let (broker, stage) = (broker().await, Stage::new());
    let producer = producer(&broker);
    let needs = |name: &str| note_task(name).needs("gpu".parse().unwrap());
    let plain = Running::start(&broker, stage.tasks(), config());
    let handle = producer.enqueue_task(needs("task")).await.unwrap();
    let job = producer.enqueue_job(NewJob::new(needs("chunk"), 3)).await.unwrap();
    producer.enqueue_task(note_task("plain")).await.unwrap();
    stage.heard("plain").await;
    assert_eq!(ready(&broker, "default@gpu").await, 4);

    let labels = vec!["gpu".parse().unwrap()];
    let able = Running::start(&broker, stage.tasks(), WorkerConfig { labels, ..config() });

    handle.outcome_within(LONG).await.unwrap();
    job.outcome_within(LONG).await.unwrap();
    for worker in [plain, able] {
        worker.drain().await;
    }
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_weights_no_queue_starves() {
    let (broker, stage) = (broker().await, Stage::new());
    // A claim takes at most a thousand, so in strict order `b` would be the very last.
    let producer = producer(&broker);
    producer.enqueue_many((0..10_000).map(|_| note_in("a", "a"))).await.unwrap();
    producer.enqueue_task(note_in("b", "b")).await.unwrap();
    let weights = BTreeMap::from([(queue("a"), 1), (queue("b"), 3)]);
    let queues = vec![queue("a"), queue("b")];
    let worker =
        Running::start(&broker, stage.tasks(), WorkerConfig { queues, weights, ..one_slot() });

    stage.heard_much(10_001).await;

    assert_ne!(stage.log().last().map(String::as_str), Some("b"));
    until(&broker, |snapshot| snapshot.tasks == 0).await;
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batch_work_never_takes_the_slots_of_serving_work() {
    for make in [|name: String| hold_task(name), |name: String| spin_task(name)] {
        let (broker, stage) = (broker().await, Stage::new());
        let producer = producer(&broker);
        let reserve = BTreeMap::from([(queue("mail"), 1)]);
        let queues = vec![queue("mail"), queue("batch")];
        let worker =
            Running::start(&broker, stage.tasks(), WorkerConfig { queues, reserve, ..config() });
        // Short tasks teach the worker to fetch ahead.
        producer.enqueue_many((0..200).map(|_| note_in("batch", "short"))).await.unwrap();
        stage.heard_times(200, "short").await;
        let batch = (0..3).map(|n| make(format!("b{n}")).queue(queue("batch")));
        producer.enqueue_many(batch).await.unwrap();
        // Sooner than an idle worker looks by itself: it must hear this bell again.
        let heard = tokio::time::timeout(Duration::from_secs(20), stage.heard("b0 begins")).await;
        heard.expect("the worker listens to the queue that has room again");

        producer.enqueue_task(make("m0".to_owned()).queue(queue("mail"))).await.unwrap();
        stage.heard("m0 begins").await;
        // Both slots are taken: nothing more of the batch began, and what was fetched goes back.
        until(&broker, |snapshot| {
            snapshot.queues.iter().any(|queue| queue.name == "batch" && queue.ready == 2)
        })
        .await;
        stage.open("m0");
        stage.heard("m0 ends").await;
        // The slot is free and stays so, until there is mail again.
        producer.enqueue_task(note_in("mail", "m1")).await.unwrap();
        stage.heard("m1").await;
        assert_eq!(stage.log()[200..], ["b0 begins", "m0 begins", "m0 ends", "m1"]);
        for n in 0..3 {
            stage.open(format!("b{n}"));
        }
        until(&broker, |snapshot| snapshot.tasks == 0).await;
        worker.drain().await;
        assert_finished(&broker).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_with_a_reserve_may_have_all_slots() {
    let (broker, stage) = (broker().await, Stage::new());
    let reserve = BTreeMap::from([(queue("mail"), 1)]);
    let queues = vec![queue("batch"), queue("mail")];
    let worker = Running::start(
        &broker,
        stage.tasks(),
        WorkerConfig { queues, reserve, concurrency: 3, ..config() },
    );
    let mail = (0..3).map(|n| hold_task(n.to_string()).queue(queue("mail")));
    producer(&broker).enqueue_many(mail).await.unwrap();
    for n in 0..3 {
        stage.heard(&format!("{n} begins")).await;
    }
    for n in 0..3 {
        stage.open(n.to_string());
    }
    until(&broker, |snapshot| snapshot.tasks == 0).await;
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_urgent_overtakes_what_was_fetched() {
    let (broker, stage) = (broker().await, Stage::new());
    let producer = producer(&broker);
    let worker = Running::start(&broker, stage.tasks(), one_slot());
    producer.enqueue_many((0..200).map(|_| note_task("short"))).await.unwrap();
    stage.heard_times(200, "short").await;
    let tasks = (0..50).map(|n| if n == 0 { hold_task("long") } else { note_task("later") });
    producer.enqueue_many(tasks).await.unwrap();
    stage.heard("long begins").await;
    // The worker had fetched the others ahead. As they do not move they go back to their queue, and
    // what is urgent comes before them, whoever enqueued it and when.
    let other = self::producer(&broker);
    other.enqueue_task(note_task("urgent").priority(Priority::HIGHEST)).await.unwrap();
    until(&broker, |snapshot| snapshot.queues[0].ready == 50).await;
    stage.open("long");

    until(&broker, |snapshot| snapshot.tasks == 0).await;

    let log = &stage.log()[201..];
    assert_eq!(log[..2], ["long ends", "urgent"]);
    assert!(log[2..].iter().all(|said| said == "later") && log.len() == 51, "{log:?}");
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_with_long_tasks_holds_none_beyond_its_slots() {
    let (broker, stage) = (broker().await, Stage::new());
    let worker = Running::start(&broker, stage.tasks(), config());
    let tasks = (0..6).map(|n| hold_task(n.to_string()));
    producer(&broker).enqueue_many(tasks).await.unwrap();
    for n in 0..2 {
        stage.heard(&format!("{n} begins")).await;
    }
    assert_eq!(ready(&broker, "default").await, 4);
    for n in 0..6 {
        stage.open(n.to_string());
    }
    until(&broker, |snapshot| snapshot.tasks == 0).await;
    worker.drain().await;
    assert_finished(&broker).await;
}
