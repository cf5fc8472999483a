//! `enqueue_workflow`: a job of members, in one part or many.

use redis::Cmd;

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::{ClientId, JobId};
use crate::keys::Keys;
use crate::name::{QueueName, UniqueKey};
use crate::reply::Reply;
use crate::script::enqueue::{Answered, read_enqueued_rest};
use crate::script::{bounded, script};
use crate::workflow::{Barrier, Edit, Release, Span, Stretch};

script!(
    ENQUEUE_WORKFLOW,
    "enqueue_workflow",
    "",
    ["base", "ready", "gate", "locks", "totals", "settle", "workflow", "batch", "controls"]
);

/// A part of a job of members as it is enqueued. The parts are numbered from 0 and sent one after the other.
#[derive(Debug, Clone)]
pub struct WorkflowPart {
    /// The job.
    pub id: JobId,
    /// The number of this part. A part that was carried out already changes nothing.
    pub part: u64,
    /// What the job is: only in its first part.
    pub job: Option<WorkflowJob>,
    /// Where the members that are added here begin: None behind all others.
    pub base: Option<u64>,
    /// What is added.
    pub edits: Vec<Edit>,
    /// How many more members the end of the job waits for.
    pub ends: u64,
    /// A group that takes members in until its job is closed: the barrier behind it, and which of the members
    /// that are added here it waits for, by their numbers among these.
    pub joins: Option<(u64, Vec<Stretch>)>,
    /// Whether this is the last part.
    pub last: bool,
}

/// What is true of a job as a whole.
#[derive(Debug, Clone)]
pub struct WorkflowJob {
    /// Its encoded [`crate::JobSpec`].
    pub spec: String,
    /// For how many milliseconds it is kept after its end.
    pub keep_ms: u64,
    /// The shape of its result ([`crate::workflow::Shape`]) by the numbers of members, in JSON.
    pub exit: String,
    /// Most members that it may come to have, and how deep they may spawn one another.
    pub most: (u64, u32),
    /// The queues that its members go to, and how many of them at first.
    pub queues: Vec<(QueueName, u64)>,
    /// An idempotency key, and for how many milliseconds it is remembered.
    pub unique: Option<(UniqueKey, u64)>,
}

/// What became of a part.
#[derive(Debug, Clone)]
pub enum PartTaken {
    /// It was carried out, now or before.
    Taken(Answered),
    /// Another part has to come before it; this one is expected.
    Expected(u64),
    /// The job has ended, or was never begun.
    Over,
}

pub(crate) async fn enqueue_workflow(
    connections: &Connections,
    keys: &Keys,
    producer: &ClientId,
    number: u64,
    part: &WorkflowPart,
) -> Result<PartTaken, BrokerError> {
    let mut command = ENQUEUE_WORKFLOW.command(keys.prefix());
    command.arg(producer.as_str()).arg(number);
    command.arg(part.id.to_string()).arg(part.part);
    match part.base {
        Some(base) => command.arg(base),
        None => command.arg(""),
    };
    command.arg(part.ends).arg(u8::from(part.last));
    match &part.joins {
        Some((barrier, members)) => {
            let members: Vec<String> =
                members.iter().map(|(lo, hi)| format!("{lo}-{hi}")).collect();
            command.arg(*barrier).arg(members.join(","))
        }
        None => command.arg("").arg(""),
    };
    match &part.job {
        None => {
            command.arg("");
        }
        Some(job) => {
            command.arg(&job.spec).arg(bounded(job.keep_ms)).arg(&job.exit);
            command.arg(job.most.0).arg(job.most.1);
            match &job.unique {
                Some((key, ms)) => command.arg(key.as_str()).arg(bounded((*ms).max(1))),
                None => command.arg("").arg(""),
            };
            command.arg(job.queues.len());
            for (queue, members) in &job.queues {
                command.arg(queue.as_str()).arg(*members);
            }
        }
    }
    write_edits(&mut command, &part.edits);
    let value = connections.run(&ENQUEUE_WORKFLOW, &command).await?;
    let mut reply = Reply::new(ENQUEUE_WORKFLOW.name, value)?;
    match reply.text("state")?.as_str() {
        "ok" => read_enqueued_rest(&mut reply).map(PartTaken::Taken),
        "expected" => Ok(PartTaken::Expected(reply.number("part")?)),
        "over" => Ok(PartTaken::Over),
        other => Err(reply.error(format!("unknown word {other:?}"))),
    }
}

/// Writes what is added to a job.
pub(crate) fn write_edits(command: &mut Cmd, edits: &[Edit]) {
    for edit in edits {
        match edit {
            Edit::Reserve(members) => {
                command.arg("T").arg(*members);
            }
            Edit::Records { first, records } => {
                command.arg("M").arg(*first).arg(records.len());
                for record in records {
                    command.arg(record);
                }
            }
            Edit::Span(Span { lo, hi, feeds, catch }) => {
                command.arg("S").arg(*lo).arg(*hi).arg(feeds).arg(catch);
            }
            Edit::Barrier(barrier) => {
                command.arg("B").arg(barrier.number).arg(barrier.missing);
                let stand_ins = barrier.stand_ins.iter().map(|number| format!("v{number}"));
                let Barrier { opens, .. } = barrier;
                let opens: Vec<String> = opens.iter().map(written).chain(stand_ins).collect();
                command.arg(opens.join(";"));
                match barrier.tolerates {
                    Some(most) => command.arg(most),
                    None => command.arg(""),
                };
            }
            Edit::StandIn { number, shape } => {
                command.arg("V").arg(*number).arg(shape);
            }
            Edit::Data { digest, piece, of, text } => {
                command.arg("D").arg(digest).arg(*piece).arg(*of).arg(text);
            }
            Edit::Release(release) => {
                command.arg("G").arg(written(release));
            }
            Edit::Settle(number) => {
                command.arg("G").arg(format!("v{number}"));
            }
            Edit::Callback(callback) => {
                command.arg("C");
                match callback.of {
                    Some(member) => command.arg(member),
                    None => command.arg(""),
                };
                command.arg(callback.when.word()).arg(callback.id.to_string());
                command.arg(callback.queue.as_str()).arg(callback.priority.get());
                command.arg(&callback.record.0).arg(&callback.record.1);
            }
        }
    }
}

/// `lo-hi:priority:queue:delay`
fn written(release: &Release) -> String {
    let Release { lo, hi, queue, priority, delay_ms } = release;
    format!("{lo}-{hi}:{}:{queue}:{}", priority.get(), bounded(*delay_ms))
}
