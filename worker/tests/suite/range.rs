//! Jobs of chunks under faults (G2): whatever is retried, handed back or delivered again, every
//! chunk counts once, and the accumulators are exact.

use celeriac_broker_schema::script::{Claim, Claimed, Ending, Found, JobView, Opened, Whereabouts};
use celeriac_broker_schema::{Broker, ErrorKind, JobId, LeaseId, QueueName, TaskId};
use celeriac_producer::task::Task;
use celeriac_producer::{Handle, NewJob, NewTask, ResultError};
use celeriac_worker::task::{Chunk, Context, Data, TaskError, Tasks};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::common::{
    LONG, Running, assert_finished, broker, config, leases, lose, one_slot, producer, short_lease,
    stat, task, told, with_retries,
};
use crate::stage::{Stage, hold_task};

/// Says its index; what else a chunk does depends on it.
#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct Part {
    /// These fail at their first attempt.
    flaky: Vec<u64>,
    /// These fail at each.
    broken: Vec<u64>,
    /// These wait at a gate of their index.
    gated: Vec<u64>,
}

impl Task for Part {
    const NAME: &'static str = "part";
    type Output = Counted;
}

/// What a chunk adds up.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Counted {
    chunks: u64,
    sum: u64,
    lowest: u64,
    highest: u64,
}

async fn part(
    stage: Data<Stage>,
    ctx: Context,
    chunk: Chunk,
    part: Part,
) -> Result<Counted, TaskError> {
    let index = chunk.index;
    stage.say(index.to_string());
    if part.broken.contains(&index) || (part.flaky.contains(&index) && ctx.attempt() == 1) {
        return Err(TaskError::new(format!("chunk {index} fails")));
    }
    if part.gated.contains(&index) {
        stage.passed(&index.to_string()).await;
    }
    Ok(Counted { chunks: 1, sum: index, lowest: index, highest: index })
}

fn tasks(stage: &Stage) -> Tasks {
    stage.registry().task(part).build()
}

fn part_job(part: &Part, chunks: u64) -> NewJob {
    let task = with_retries(task(Part::NAME, part), 1);
    NewJob::new(task, chunks).sum("chunks").sum("sum").min("lowest").max("highest")
}

/// What all chunks of a job add up to, each counted once.
fn exact(chunks: u64) -> Counted {
    Counted { chunks, sum: chunks * (chunks - 1) / 2, lowest: 0, highest: chunks - 1 }
}

async fn counted(job: Handle) -> Counted {
    job.typed().result_within(LONG).await.unwrap()
}

async fn view(broker: &Broker, job: JobId) -> JobView {
    broker.job(job).await.unwrap().1.expect("it is kept")
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_that_are_retried_count_once() {
    let (broker, stage) = (broker().await, Stage::new());
    let worker = Running::start(&broker, tasks(&stage), config());
    let part = Part { flaky: vec![0, 7, 8, 63, 99], ..Part::default() };
    let job = producer(&broker).enqueue_job(part_job(&part, 100)).await.unwrap();
    let id = job.id().job();

    assert_eq!(counted(job).await, exact(100));

    let view = view(&broker, id).await;
    assert_eq!((view.done, view.failed, view.retried), (100, 0, 5));
    for (chunk, tries) in [(7, 2), (9, 1)] {
        assert_eq!(stage.count(&chunk.to_string()), tries);
        match broker.inspect(TaskId::of_chunk(id, chunk)).await.unwrap() {
            Found::Chunk { whereabouts: Whereabouts::Succeeded, history, .. } => {
                assert_eq!(history.contains(&format!("chunk {chunk} fails")), tries == 2);
            }
            found => panic!("{found:?}"),
        }
    }
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_fails_for_good_ends_its_job_and_is_named() {
    let (broker, stage) = (broker().await, Stage::new());
    let worker = Running::start(&broker, tasks(&stage), config());
    // More than can be done before the broken one ends it: the last chunk waits for ever.
    let part = Part { broken: vec![40], gated: vec![199], ..Part::default() };
    let reducer = task("never", &json!({}));
    let job = part_job(&part, 200).reduce(reducer);
    let job = producer(&broker).enqueue_job(job).await.unwrap();
    let id = job.id().job();

    let failed = job.typed::<Value>().result_within(LONG).await;

    let Err(ResultError::Failed { failed_task: Some(chunk), failure, .. }) = failed else {
        panic!("{failed:?}")
    };
    assert_eq!(chunk, TaskId::of_chunk(id, 40).to_string());
    assert_eq!((failure.kind, &*failure.message), (ErrorKind::Error, "chunk 40 fails"));
    assert_eq!(stage.count("40"), 2);
    let view = view(&broker, id).await;
    assert_eq!((view.state.as_str(), view.failed, view.retried), ("failed", 1, 1));
    match broker.inspect(TaskId::of_chunk(id, 199)).await.unwrap() {
        Found::Chunk { whereabouts: Whereabouts::Cancelled, .. } => {}
        found => panic!("{found:?}"),
    }
    stage.open("199");
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g2_chunks_that_are_delivered_again_count_once() {
    let (broker, stage) = (broker().await, Stage::new());
    let worker = Running::start(&broker, tasks(&stage), config());
    let part = Part { flaky: vec![3, 150], gated: vec![20, 250], ..Part::default() };
    let job = producer(&broker).enqueue_job(part_job(&part, 300)).await.unwrap();
    let id = job.id().job();
    for gate in ["20", "250"] {
        stage.heard(gate).await;
        let [lease] = &leases(&broker).await[..] else { panic!("one worker has one lease") };
        lose(&broker, lease).await;
        // The worker has a new lease, and runs again what it held.
        stage.heard_times(2, gate).await;
        stage.open(gate);
    }

    assert_eq!(counted(job).await, exact(300));

    let view = view(&broker, id).await;
    assert_eq!((view.done, view.failed), (300, 0));
    worker.drain().await;
    assert_eq!(stat(&broker, "succeeded").await, 300);
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g7_a_reducer_whose_worker_is_lost_runs_again_and_ends_its_job_once() {
    let (broker, stage) = (broker().await, Stage::new());
    let worker = Running::start(&broker, tasks(&stage), config());
    let job = part_job(&Part::default(), 100).reduce(hold_task("reducer"));
    let job = producer(&broker).enqueue_job(job).await.unwrap();
    let id = job.id().job();
    stage.heard("reducer begins").await;
    assert_eq!(view(&broker, id).await.state.as_str(), "reducing");
    let first = leases(&broker).await.remove(0);

    lose(&broker, &first).await;

    stage.heard("reducer stops: LeaseLost").await;
    stage.heard_times(2, "reducer begins").await;
    stage.open("reducer");
    let attempt: u32 = job.typed().result_within(LONG).await.unwrap();
    assert_eq!((attempt, stage.count("reducer ends")), (2, 1));
    let view = view(&broker, id).await;
    assert_eq!((view.state.as_str(), view.done), ("succeeded", 100));
    assert_eq!(stat(&broker, "succeeded").await, 101);
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_that_a_stuck_worker_gives_back_are_done_by_one_that_is_free() {
    let (broker, stage) = (broker().await, Stage::new());
    let stuck = Running::start(&broker, tasks(&stage), one_slot());
    let part = Part { gated: vec![50], ..Part::default() };
    let job = producer(&broker).enqueue_job(part_job(&part, 500)).await.unwrap();
    let id = job.id().job();
    stage.heard("50").await;

    let free = Running::start(&broker, tasks(&stage), one_slot());

    celeriac_testkit::eventually(LONG, async || match view(&broker, id).await.done {
        499 => Ok(()),
        done => Err(format!("{done} are done")),
    })
    .await;
    stage.open("50");
    assert_eq!(counted(job).await, exact(500));
    let mut once: Vec<u64> = stage.log().iter().map(|said| said.parse().unwrap()).collect();
    once.sort_unstable();
    assert_eq!(once, (0..500).collect::<Vec<_>>());
    stuck.drain().await;
    free.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_chunks_of_a_failed_job_are_told_to_stop() {
    let (broker, stage) = (broker().await, Stage::new());
    let worker = Running::start(&broker, tasks(&stage), short_lease());
    let part = Part { broken: vec![0], gated: vec![1], ..Part::default() };
    let job = NewJob::new(task(Part::NAME, &part), 2);
    let job = producer(&broker).enqueue_job(job).await.unwrap();
    stage.heard("1").await;
    job.outcome_within(LONG).await.unwrap();
    // Nobody opens its gate.
    told(&broker, |_, info| info.busy == 0).await;
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g9_a_job_of_an_unknown_task_fails_and_names_a_chunk() {
    let broker = broker().await;
    let worker = Running::stock(&broker);
    let unknown = with_retries(task("no.such", &json!({})), 1);
    let job = producer(&broker).enqueue_job(NewJob::new(unknown, 50)).await.unwrap();
    let failed = job.typed::<Value>().result_within(LONG).await;
    let Err(ResultError::Failed { id, failed_task: Some(chunk), failure }) = failed else {
        panic!("{failed:?}")
    };
    assert_eq!(failure.kind, ErrorKind::UnknownTask);
    assert!(chunk.starts_with(&format!("{id}:")), "{chunk}");
    worker.drain().await;
    assert_finished(&broker).await;
}

/// A lease by hand, for what no worker does on purpose.
struct Hand {
    broker: Broker,
    lease: LeaseId,
    queues: Vec<QueueName>,
    number: u64,
}

impl Hand {
    async fn open(broker: &Broker) -> Self {
        let lease = LeaseId::new();
        let opened = broker.open(&lease, LONG).await.unwrap();
        assert!(matches!(opened, Opened::At(_)));
        Self { broker: broker.clone(), lease, queues: vec![QueueName::default()], number: 0 }
    }

    async fn call(&mut self, want: usize, endings: &[Ending]) -> Claimed {
        self.number += 1;
        let claim = Claim {
            lease: &self.lease,
            number: self.number,
            want,
            suspect: false,
            crash_limit: 3,
            queues: &self.queues,
            room: None,
        };
        self.broker.complete(&claim, endings).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_a_run_of_which_a_part_went_back_before_its_worker_was_lost_is_done_once() {
    let (broker, stage) = (broker().await, Stage::new());
    let job = part_job(&Part::default(), 10);
    let job = producer(&broker).enqueue_job(job).await.unwrap();
    let mut hand = Hand::open(&broker).await;
    let Claimed::Granted(grant) = hand.call(10, &[]).await else { panic!("it is granted") };
    let run = grant.runs[0].field.clone();
    hand.call(0, &[Ending::ChunksReleased { run, lo: 4, hi: 6 }]).await;
    lose(&broker, hand.lease.as_str()).await;

    let worker = Running::start(&broker, tasks(&stage), config());

    assert_eq!(counted(job).await, exact(10));
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_chunks_are_all_done() {
    let broker = broker().await;
    let workers = [(); 2].map(|()| Running::stock(&broker));
    let chunk = NewTask::new("noop", &json!(null)).unwrap();
    let job = producer(&broker).enqueue_job(NewJob::new(chunk, 1_000_000)).await.unwrap();
    let id = job.id().job();
    job.outcome_within(LONG * 2).await.unwrap();
    let view = view(&broker, id).await;
    assert_eq!((view.done, view.total, view.failed), (1_000_000, 1_000_000, 0));
    for worker in workers {
        worker.drain().await;
    }
    assert_eq!(stat(&broker, "succeeded").await, 1_000_000);
    assert_finished(&broker).await;
}

#[derive(Serialize, Deserialize)]
struct Mixed {}

impl Task for Mixed {
    const NAME: &'static str = "mixed";
    type Output = Value;
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_numbers_and_others_add_up_together() {
    let broker = broker().await;
    let halves = async |chunk: Chunk, _: Mixed| match chunk.index % 2 {
        0 => Ok::<_, TaskError>(json!({"n": 1})),
        _ => Ok(json!({"n": 0.5})),
    };
    let tasks = Stage::new().registry().task(halves).build();
    let worker = Running::start(&broker, tasks, config());
    // So many that halves come to be added to a sum that is whole, and the other way round.
    let job = NewJob::new(task(Mixed::NAME, &json!({})), 101).sum("n");
    let job = producer(&broker).enqueue_job(job).await.unwrap();
    let total: Value = job.typed().result_within(LONG).await.unwrap();
    assert_eq!(total, json!({"n": 76}));
    worker.drain().await;
    assert_finished(&broker).await;
}
