//! Workflows: how much later than a bare drain the callback of a chord begins, what a member of a large
//! group costs beside an independent task, and how many round trips a step of a chain takes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use celeriac_broker_schema::{Accumulate, Broker, Priority, QueueName};
use celeriac_producer::workflow::{Callbacks, Group, Node, Step};
use celeriac_producer::{NewTask, Producer};
use serde::Serialize;

use crate::bench::ROUNDS;
use crate::bench::marking::{Fill, Mark, Marking};
use crate::bench::place::{Place, info_number, longest_script_ms, used_memory};
use crate::bench::report::{Report, median, median_ratio};
use crate::bench::workers::Workers;
use crate::error::CliError;

/// Members of the chord.
const CHORD: u64 = 1_000;
/// Chords, and bare drains between them.
const CHORDS: usize = 21;
/// Steps of the chain.
const STEPS: u64 = 10_000;

/// What was measured of workflows.
#[derive(Debug, Serialize)]
pub(super) struct Workflows {
    /// From the call that enqueues 1,000 tasks to the start of a task behind them.
    pub(super) bare_drain_ms: f64,
    /// The same of a chord: from the call to the start of its callback.
    pub(super) chord_ms: f64,
    /// Members of the large group.
    pub(super) members: u64,
    pub(super) bytes_per_member: f64,
    pub(super) members_per_s: f64,
    pub(super) tasks_per_s: f64,
    /// Rate of members over that of independent tasks, the median of rounds.
    pub(super) ratio: f64,
    pub(super) longest_script_ms: Option<f64>,
    /// Calls of scripts for each step of a chain.
    pub(super) calls_per_step: f64,
    pub(super) steps_per_s: f64,
}

pub(super) async fn measure(
    place: &Place,
    members: u64,
    report: &mut Report,
) -> Result<(), CliError> {
    let (bare_drain_ms, chord_ms) = chord(place).await?;
    let (mut ones, mut others, mut longest, mut bytes) = (Vec::new(), Vec::new(), None::<f64>, 0.0);
    for _ in 0..ROUNDS {
        let broker = place.fresh().await?;
        let before = used_memory(&broker).await?;
        let rate = drain_members(&broker, members, before, &mut bytes).await?;
        ones.push(rate);
        if let Some(call) = longest_script_ms(&broker).await? {
            longest = Some(longest.map_or(call, |most: f64| most.max(call)));
        }
        others.push(drain_tasks(&*place.fresh().await?, members).await?);
    }
    let (calls_per_step, steps_per_s) = chain(&*place.fresh().await?).await?;
    let ratio = median_ratio(&ones, &others);
    report.workflows = Some(Workflows {
        bare_drain_ms,
        chord_ms,
        members,
        bytes_per_member: bytes,
        members_per_s: median(&mut ones),
        tasks_per_s: median(&mut others),
        ratio,
        longest_script_ms: longest,
        calls_per_step,
        steps_per_s,
    });
    Ok(())
}

/// Milliseconds until a task begins that comes behind 1,000 others, and until the callback of as many does.
async fn chord(place: &Place) -> Result<(f64, f64), CliError> {
    let broker = place.fresh().await?;
    let mut marking = Marking::start(&broker, QueueName::default())?;
    let producer = Producer::new(broker.clone());
    let (mut bare, mut chords) = (Vec::new(), Vec::new());
    for number in 0..CHORDS as u64 {
        let begin = Instant::now();
        let mut many = producer.many();
        for _ in 0..CHORD {
            many.push(NewTask::of(&Fill {})?).await?;
        }
        many.push(NewTask::of(&Mark { number })?.priority(Priority::LOWEST)).await?;
        many.finish().await?;
        let begun = marking.begun().await?.at;
        bare.push(begun.saturating_duration_since(begin).as_secs_f64() * 1e3);

        let begin = Instant::now();
        let members = (0..CHORD).map(|_| NewTask::of(&Fill {}).map(Node::from));
        let members = members.collect::<Result<Vec<_>, _>>()?;
        let group = Node::Group(Group { members, ..Group::default() });
        let task = NewTask::of(&Mark { number })?;
        let mark = Step { task, into: None, callbacks: Callbacks::default() };
        producer.enqueue_workflow(Node::Chain(vec![group, mark.into()])).await?;
        let begun = marking.begun().await?.at;
        chords.push(begun.saturating_duration_since(begin).as_secs_f64() * 1e3);
    }
    Ok((median(&mut bare), median(&mut chords)))
}

/// A task whose result is its argument: one number to accumulate.
fn one() -> Result<NewTask, CliError> {
    Ok(NewTask::new("echo", &serde_json::json!({ "n": 1 }))?.keep_result(Duration::ZERO))
}

async fn drain_members(
    broker: &Broker,
    members: u64,
    before: f64,
    bytes: &mut f64,
) -> Result<f64, CliError> {
    let task = one()?;
    let accumulate = BTreeMap::from([("n".to_owned(), Accumulate::Sum)]);
    let group = Group {
        members: (0..members).map(|_| task.clone().into()).collect(),
        accumulate,
        ..Group::default()
    };
    Producer::new(broker.clone()).enqueue_workflow(Node::Group(group)).await?;
    *bytes = (used_memory(broker).await? - before) / members as f64;
    rate(broker, members).await
}

async fn drain_tasks(broker: &Broker, tasks: u64) -> Result<f64, CliError> {
    let task = one()?;
    let mut many = Producer::new(broker.clone()).many();
    for _ in 0..tasks {
        many.push(task.clone()).await?;
    }
    many.finish().await?;
    rate(broker, tasks).await
}

/// Tasks per second over the last nine tenths, by one worker process with two slots.
async fn rate(broker: &Broker, tasks: u64) -> Result<f64, CliError> {
    let workers = Workers::start(broker, 1, 2).await?;
    let (begin, before) = super::queue::settled(broker, tasks / 10).await?;
    let (end, _) = super::queue::settled(broker, tasks).await?;
    workers.stop().await;
    Ok((tasks - before) as f64 / (end - begin).as_secs_f64())
}

/// Calls of scripts for each step of a chain, and steps per second.
async fn chain(broker: &Broker) -> Result<(f64, f64), CliError> {
    let step = || Ok(NewTask::new("noop", &serde_json::json!([]))?.into());
    let steps = (0..STEPS).map(|_| step()).collect::<Result<Vec<Node>, CliError>>()?;
    Producer::new(broker.clone()).enqueue_workflow(Node::Chain(steps)).await?;
    let before = calls(broker).await?;
    let begin = Instant::now();
    let workers = Workers::start(broker, 1, 2).await?;
    let (end, _) = super::queue::settled_looking(broker, STEPS, Duration::from_millis(200)).await?;
    let calls = calls(broker).await? - before;
    workers.stop().await;
    Ok((calls / STEPS as f64, STEPS as f64 / (end - begin).as_secs_f64()))
}

async fn calls(broker: &Broker) -> Result<f64, CliError> {
    let info = broker.info("commandstats").await?;
    let line = info.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    let calls = line.and_then(|line| line.split(',').next()?.parse().ok());
    match calls {
        Some(calls) => Ok(calls),
        None => info_number(broker, "stats", "total_commands_processed").await,
    }
}
