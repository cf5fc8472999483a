//! `claim`: ready tasks and chunks for a lease, and the form in which they are delivered.

use std::collections::HashMap;
use std::sync::Arc;

use redis::{Cmd, Value};

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::{JobId, LeaseId, TaskId};
use crate::keys::Keys;
use crate::name::QueueName;
use crate::reply::Reply;
use crate::script::{expel::expel, script};
use crate::time::Timestamp;

script!(
    CLAIM,
    "claim",
    " flags=allow-oom",
    [
        "base", "ready", "gate", "locks", "totals", "settle", "workflow", "losses", "reclaim",
        "take", "session"
    ]
);

/// What a lease asks for.
#[derive(Debug, Clone)]
pub struct Claim<'a> {
    /// Who asks.
    pub lease: &'a LeaseId,
    /// The number of this call of the lease, from 1. A call whose reply was lost is repeated under
    /// the same number and changes nothing then.
    pub number: u64,
    /// How many tasks and chunks at most.
    pub want: usize,
    /// Whether one of them may be a suspect: something that lost its worker twice or more.
    pub suspect: bool,
    /// Deliveries that may end with a lost worker before a task is dead.
    pub crash_limit: u32,
    /// The queues, the most important one first.
    pub queues: &'a [QueueName],
    /// How much of each queue there is room for, if not for everything of every queue.
    pub room: Option<Room>,
}

/// How many tasks and chunks a claim may take of each queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Of each queue, in their order, so many in any case. Queues of one group share it.
    pub own: Vec<OwnRoom>,
    /// Beyond that, so many of all queues together.
    pub pool: usize,
}

/// The room that a queue has for itself, or with the others of its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnRoom {
    /// The group.
    pub group: usize,
    /// For how many tasks and chunks.
    pub room: usize,
}

/// The answer to a claim.
#[derive(Debug)]
pub enum Claimed {
    /// Carried out now.
    Granted(Grant),
    /// The call was carried out before: this is all that the lease holds.
    Repeated {
        /// Redis time.
        now: Timestamp,
        /// Tasks in flight.
        tasks: Vec<Delivery>,
        /// Runs of chunks in flight.
        runs: Vec<Run>,
    },
    /// The lease is gone; nothing was done. Open a new one.
    Lost,
}

/// What a claim gives.
#[derive(Debug)]
pub struct Grant {
    /// Redis time.
    pub now: Timestamp,
    /// Tasks to run.
    pub tasks: Vec<Delivery>,
    /// Runs of chunks to run.
    pub runs: Vec<Run>,
    /// When an idle worker must look again at the latest, if something is due at a known time.
    pub next_event: Option<Timestamp>,
    /// Whether this worker watches that moment; the others come a little later.
    pub watching: bool,
    /// Whether one of the deliveries is a suspect. No other is given out until it has ended.
    pub suspect: bool,
    /// When the next schedule is due. None also if the claim was filled and did not look.
    pub next_schedule: Option<Timestamp>,
    /// Endings that were not accepted: not held any more. Ids, and in-flight names of runs.
    pub stale: Vec<String>,
    /// Runs whose numbers would leave the range in which sums are exact.
    pub refused: Vec<String>,
}

/// A task to run.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The task.
    pub id: TaskId,
    /// Its stored record, as bytes: they may be anything.
    pub record: Vec<u8>,
    /// Where it waited.
    pub queue: Arc<str>,
    /// How urgent it was there, 0 to 9.
    pub priority: u8,
    /// Its counts and earlier attempts; empty for most.
    pub history: String,
    /// What it waited for: the accumulators, if it is the reducer of a job.
    pub input: Option<String>,
    /// The state in which an earlier attempt left it (see [`crate::script::Checkpoint`]).
    pub checkpoint: Option<String>,
}

/// The name under which a run is in flight: `<job>:<lo>-<hi>`, or `<job>:<index>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RunField(Arc<str>);

impl RunField {
    /// The name of chunks `lo..hi` of a job.
    pub fn of(job: JobId, lo: u64, hi: u64) -> Self {
        Self(format!("{job}:{lo}-{hi}").into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A run of chunks to run.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its name in flight.
    pub field: RunField,
    /// Its job.
    pub job: JobId,
    /// The first chunk.
    pub lo: u64,
    /// The end: the first chunk that is not in it.
    pub hi: u64,
    /// The number of this attempt, from 1.
    pub attempt: u32,
    /// Where it waited.
    pub queue: Arc<str>,
    /// How urgent it was there, 0 to 9.
    pub priority: u8,
    /// The description of the job (see [`crate::JobSpec`]).
    pub spec: Arc<str>,
    /// Of a chunk that goes its own way: its counts and earlier attempts. Of a run, that of each of its
    /// chunks: the workers that were lost with it.
    pub history: String,
    /// The states in which earlier attempts left chunks of it, by index.
    pub checkpoints: Vec<(u64, String)>,
    /// Of members of a workflow: their records, in the order of their indices. Empty for the chunks of other
    /// jobs, which have none.
    pub records: Vec<Vec<u8>>,
}

impl Run {
    /// The record of a member of a workflow.
    pub fn record(&self, index: u64) -> Option<&[u8]> {
        let at = usize::try_from(index.checked_sub(self.lo)?).ok()?;
        self.records.get(at).map(Vec::as_slice)
    }
}

pub(crate) fn write_claim(command: &mut Cmd, claim: &Claim<'_>) {
    command.arg(claim.lease.as_str()).arg(claim.number).arg(claim.want);
    command.arg(u8::from(claim.suspect)).arg(claim.crash_limit);
    match &claim.room {
        None => command.arg(claim.queues.len()),
        Some(room) => command.arg(format!("{}:{}", claim.queues.len(), room.pool)),
    };
    for queue in claim.queues {
        command.arg(queue.as_str());
    }
    for own in claim.room.iter().flat_map(|room| &room.own) {
        command.arg(own.group).arg(own.room);
    }
}

pub(crate) async fn claim(
    connections: &Connections,
    keys: &Keys,
    claim: &Claim<'_>,
) -> Result<Claimed, BrokerError> {
    let mut command = CLAIM.command(keys.prefix());
    write_claim(&mut command, claim);
    let value = connections.run(&CLAIM, &command).await?;
    let claimed = read_claimed(CLAIM.name, value)?;
    without_strays(connections, keys, claim.lease, claimed).await
}

/// A reply, and the names in it that are no ids: of what only a foreign hand can have written.
pub(crate) struct Read {
    claimed: Claimed,
    strays: Vec<Vec<u8>>,
}

/// Ends what nobody could tell of, so that the rest is all that the lease holds.
pub(crate) async fn without_strays(
    connections: &Connections,
    keys: &Keys,
    lease: &LeaseId,
    Read { claimed, strays }: Read,
) -> Result<Claimed, BrokerError> {
    let now = match &claimed {
        Claimed::Granted(grant) => grant.now,
        Claimed::Repeated { now, .. } => *now,
        Claimed::Lost => return Ok(claimed),
    };
    // If this fails, the caller repeats its call, and is told of them again.
    if !strays.is_empty() {
        expel(connections, keys, lease, now, &strays).await?;
    }
    Ok(claimed)
}

pub(crate) fn read_claimed(script: &'static str, value: Value) -> Result<Read, BrokerError> {
    let mut reply = Reply::new(script, value)?;
    let mut strays = Vec::new();
    let claimed = match reply.text("state")?.as_str() {
        "lost" => Claimed::Lost,
        "repeated" => Claimed::Repeated {
            now: Timestamp(reply.number("now")?),
            tasks: read_groups(reply.array("groups")?, &mut strays)?,
            runs: read_runs(reply.array("runs")?, &mut strays)?,
        },
        "ok" => Claimed::Granted(read_grant(&mut reply, &mut strays)?),
        other => return Err(reply.error(format!("unknown word {other:?}"))),
    };
    Ok(Read { claimed, strays })
}

fn read_grant(reply: &mut Reply, strays: &mut Vec<Vec<u8>>) -> Result<Grant, BrokerError> {
    let now = Timestamp(reply.number("now")?);
    let tasks = read_groups(reply.array("groups")?, strays)?;
    let runs = read_runs(reply.array("runs")?, strays)?;
    let next_event = Some(Timestamp(reply.number("next event")?)).filter(|at| at.0 > 0);
    let watching = reply.number("watching")? == 1;
    let suspect = reply.number("suspects")? > 0;
    let next_schedule = Some(Timestamp(reply.number("schedule")?)).filter(|at| at.0 > 0);
    // `claim` alone has no endings to refuse.
    let mut rest = || {
        if reply.is_empty() { Ok(Vec::new()) } else { reply.array("names")?.texts("name") }
    };
    let (stale, refused) = (rest()?, rest()?);
    Ok(Grant { now, tasks, runs, next_event, watching, suspect, next_schedule, stale, refused })
}

/// An id exactly as we write it; another text of the same number would be another task in Redis.
fn read_id(text: &[u8]) -> Option<TaskId> {
    let plain =
        text.len() == 32 && text.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    std::str::from_utf8(text).ok().filter(|_| plain)?.parse().ok()
}

fn read_groups(mut groups: Reply, strays: &mut Vec<Vec<u8>>) -> Result<Vec<Delivery>, BrokerError> {
    let mut tasks = Vec::new();
    while !groups.is_empty() {
        let mut group = groups.array("group")?;
        let queue: Arc<str> = group.text("queue")?.into();
        let priority = group.parsed("priority")?;
        let mut ids = group.array("ids")?;
        let mut records = group.array("records")?;
        let mut histories = group.optional_array("histories")?;
        let mut inputs = group.optional_array("inputs")?;
        let mut checkpoints = group.optional_array("checkpoints")?;
        tasks.reserve(ids.len());
        while !ids.is_empty() {
            let column = |column: &mut Option<Reply>| {
                column.as_mut().map_or(Ok(String::new()), |texts| texts.text("column"))
            };
            let name = ids.bytes("id")?;
            let (record, history) = (records.bytes("record")?, column(&mut histories)?);
            let input = Some(column(&mut inputs)?).filter(|text| !text.is_empty());
            let checkpoint = Some(column(&mut checkpoints)?).filter(|text| !text.is_empty());
            let Some(id) = read_id(&name) else {
                strays.push(name);
                continue;
            };
            let queue = Arc::clone(&queue);
            tasks.push(Delivery { id, record, queue, priority, history, input, checkpoint });
        }
    }
    Ok(tasks)
}

fn read_runs(mut runs: Reply, strays: &mut Vec<Vec<u8>>) -> Result<Vec<Run>, BrokerError> {
    let mut found = Vec::with_capacity(runs.len());
    let mut specs: HashMap<JobId, Arc<str>> = HashMap::new();
    while !runs.is_empty() {
        let mut run = runs.array("run")?;
        let field = run.text("field")?;
        let Some((job, lo, hi)) = read_field(&field) else {
            strays.push(field.into_bytes());
            continue;
        };
        let attempt = u32::try_from(run.number("attempt")?).unwrap_or(u32::MAX);
        let queue = run.text("queue")?.into();
        let priority = run.parsed("priority")?;
        // The description of a job comes with the first of its runs.
        let spec = run.text("spec")?;
        if !spec.is_empty() {
            specs.insert(job, spec.into());
        }
        let spec = specs.get(&job).ok_or_else(|| run.error(format!("no spec of {job}")))?.clone();
        let history = run.text("history")?;
        let checkpoints = run.optional_array("checkpoints")?.map(read_states).transpose()?;
        let records = if run.is_empty() { None } else { run.optional_array("records")? };
        found.push(Run {
            records: records.map(read_records).transpose()?.unwrap_or_default(),
            field: RunField(field.into()),
            job,
            lo,
            hi,
            attempt,
            queue,
            priority,
            spec,
            history,
            checkpoints: checkpoints.unwrap_or_default(),
        });
    }
    Ok(found)
}

fn read_records(mut records: Reply) -> Result<Vec<Vec<u8>>, BrokerError> {
    let mut found = Vec::with_capacity(records.len());
    while !records.is_empty() {
        found.push(records.bytes("record")?);
    }
    Ok(found)
}

fn read_states(mut states: Reply) -> Result<Vec<(u64, String)>, BrokerError> {
    let mut found = Vec::with_capacity(states.len() / 2);
    while !states.is_empty() {
        found.push((states.number("index")?, states.text("state")?));
    }
    Ok(found)
}

fn read_field(field: &str) -> Option<(JobId, u64, u64)> {
    let (job, range) = field.split_once(':')?;
    let job = read_id(job.as_bytes())?.job();
    let (lo, hi) = match range.split_once('-') {
        Some((lo, hi)) => (lo.parse().ok()?, hi.parse().ok()?),
        None => {
            let index: u64 = range.parse().ok()?;
            (index, index + 1)
        }
    };
    Some((job, lo, hi))
}
