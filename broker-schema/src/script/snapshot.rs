//! `snapshot`: a shard at one instant.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::{Controls, script};
use std::collections::BTreeMap;

use crate::script::job::JobView;
use crate::time::Timestamp;

script!(SNAPSHOT, "snapshot", " flags=no-writes", ["base", "ready"]);

/// The state of a shard at one instant.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Redis time.
    pub now: Timestamp,
    /// The queues, by name.
    pub queues: Vec<QueueView>,
    /// The newest open jobs, then the newest ended ones.
    pub jobs: Vec<JobView>,
    /// Tasks that have not ended (chunks not counted).
    pub tasks: u64,
    /// Of them delayed (chunks included).
    pub delayed: u64,
    /// Of them waiting for others.
    pub waiting: u64,
    /// Leases, one per worker.
    pub leases: u64,
    /// Dead tasks.
    pub dead: u64,
    /// Open jobs.
    pub open_jobs: u64,
    /// Expired leases that are being emptied.
    pub orphans: u64,
    /// Totals since the namespace began: enqueued, succeeded, failed, retried, reclaimed, expired, cancelled.
    pub stats: BTreeMap<String, u64>,
}

/// One queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueView {
    /// Its name.
    pub name: String,
    /// Elements of the ready list at each priority, from 0. A range is one element.
    pub elements: [u64; 10],
    /// Tasks and chunks that are ready.
    pub ready: u64,
    /// Of them suspects, which are given out one at a time.
    pub suspects: u64,
    /// What people said of it and still holds.
    pub controls: Controls,
}

pub(crate) async fn snapshot(
    connections: &Connections,
    keys: &Keys,
    queues: u32,
    jobs: u32,
) -> Result<Snapshot, BrokerError> {
    let mut command = SNAPSHOT.command(keys.prefix());
    command.arg(queues).arg(jobs);
    let mut reply = Reply::new(SNAPSHOT.name, connections.run(&SNAPSHOT, &command).await?)?;
    let now = Timestamp(reply.number("now")?);
    let queues = read_queues(reply.array("queues")?)?;
    let jobs = read_jobs(reply.array("jobs")?)?;
    let mut numbers = reply.array("numbers")?;
    let mut number = |what| numbers.number(what);
    let (tasks, delayed, waiting, leases) =
        (number("tasks")?, number("delayed")?, number("waiting")?, number("leases")?);
    let (dead, open_jobs, orphans) = (number("dead")?, number("open jobs")?, number("orphans")?);
    let stats = reply.array("stats")?.pairs("stat")?;
    let stats = stats.into_iter().map(|(name, value)| (name, value.parse().unwrap_or(0))).collect();
    Ok(Snapshot {
        now,
        queues,
        jobs,
        tasks,
        delayed,
        waiting,
        leases,
        dead,
        open_jobs,
        orphans,
        stats,
    })
}

fn read_queues(mut reply: Reply) -> Result<Vec<QueueView>, BrokerError> {
    let mut queues = Vec::with_capacity(reply.len());
    while !reply.is_empty() {
        let mut queue = reply.array("queue")?;
        let name = queue.text("name")?;
        let mut lengths = queue.array("lengths")?;
        let mut elements = [0; 10];
        for length in &mut elements {
            *length = lengths.number("length")?;
        }
        let beyond = queue.number("chunks")?;
        let suspects = queue.number("suspects")?;
        let ready = elements.iter().sum::<u64>() + beyond + suspects;
        let controls = match queue.optional_array("controls")? {
            Some(controls) => Controls::read(controls)?,
            None => Controls::default(),
        };
        queues.push(QueueView { name, elements, ready, suspects, controls });
    }
    Ok(queues)
}

fn read_jobs(mut reply: Reply) -> Result<Vec<JobView>, BrokerError> {
    let mut jobs = Vec::with_capacity(reply.len());
    while !reply.is_empty() {
        let mut job = reply.array("job")?;
        // A foreign hand may have written what is no job.
        let Ok(id) = job.text("id")?.parse() else { continue };
        jobs.push(JobView::from_fields(id, job.array("fields")?.pairs("field")?));
    }
    Ok(jobs)
}
