//! `complete`: the ends of attempts, and a claim in the same round trip.

use redis::Cmd;

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::TaskId;
use crate::job::Delta;
use crate::keys::Keys;
use crate::script::checkpoint::{Checkpoint, write_checkpoint};
use crate::script::claim::{Claim, Claimed, RunField, read_claimed, without_strays, write_claim};
use crate::script::enqueue_workflow::write_edits;
use crate::script::{bounded, script};
use crate::workflow::{Edit, Stretch};

script!(
    COMPLETE,
    "complete",
    " flags=allow-oom",
    [
        "base", "ready", "gate", "locks", "totals", "settle", "workflow", "losses", "reclaim",
        "take", "session", "states", "endings"
    ]
);

/// How an attempt of a task, or of chunks of a run, ended.
#[derive(Debug, Clone)]
pub enum Ending {
    /// The task has a result.
    Succeeded {
        /// The task.
        id: TaskId,
        /// Its [`crate::Outcome`], in JSON.
        outcome: String,
        /// For how long the outcome is kept, in milliseconds. 0: not at all.
        keep_ms: u64,
    },
    /// The task failed and is tried again.
    Retry {
        /// The task.
        id: TaskId,
        /// After how many milliseconds.
        delay_ms: u64,
        /// The [`crate::Attempt`], in JSON.
        attempt: String,
    },
    /// The task failed for good.
    Failed {
        /// The task.
        id: TaskId,
        /// Its [`crate::Outcome`], in JSON.
        outcome: String,
        /// For how long the outcome is kept, in milliseconds. 0: not at all.
        keep_ms: u64,
        /// The [`crate::TaskFailure`] alone, in JSON.
        failure: String,
    },
    /// The task stopped because somebody cancelled it.
    Cancelled {
        /// The task.
        id: TaskId,
        /// Its [`crate::Outcome`], in JSON.
        outcome: String,
        /// For how long the outcome is kept, in milliseconds. 0: not at all.
        keep_ms: u64,
    },
    /// The task was not run, or may run again as if it had not been: no attempt is counted.
    Released {
        /// The task.
        id: TaskId,
        /// Whether it was run. If not, it may still expire.
        begun: bool,
    },
    /// The task is run again later, as if it had not been delivered.
    Snoozed {
        /// The task.
        id: TaskId,
        /// After how many milliseconds.
        delay_ms: u64,
    },
    /// Chunks `lo..hi` of a run succeeded.
    ChunksSucceeded {
        /// The run.
        run: RunField,
        /// The first chunk.
        lo: u64,
        /// The first chunk after them.
        hi: u64,
        /// What they add to the accumulators together.
        deltas: Vec<Delta>,
    },
    /// Members `lo..hi` of a run of a workflow succeeded.
    MembersSucceeded {
        /// The run.
        run: RunField,
        /// The first member.
        lo: u64,
        /// The first member after them.
        hi: u64,
        /// The results that are kept, in JSON, by the indices of their members.
        results: Vec<(u64, String)>,
        /// What they add to the accumulators together.
        deltas: Vec<Delta>,
    },
    /// A member of a workflow succeeded and adds others to its job: both takes effect, or neither.
    MemberSpawned {
        /// The run.
        run: RunField,
        /// The member.
        index: u64,
        /// Its result in JSON, if that is kept and nothing takes its place.
        result: Option<String>,
        /// What it adds to the accumulators.
        deltas: Vec<Delta>,
        /// What it adds to its job.
        spawn: Box<Spawned>,
    },
    /// A chunk failed and is tried again, by itself.
    ChunkRetry {
        /// The run.
        run: RunField,
        /// The chunk.
        index: u64,
        /// After how many milliseconds.
        delay_ms: u64,
        /// The [`crate::Attempt`], in JSON.
        attempt: String,
    },
    /// A chunk failed for good, and with it its job.
    ChunkFailed {
        /// The run.
        run: RunField,
        /// The chunk.
        index: u64,
        /// Its [`crate::Outcome`], in JSON.
        outcome: String,
        /// The [`crate::Attempt`], in JSON.
        attempt: String,
        /// The [`crate::TaskFailure`] alone, in JSON.
        failure: String,
    },
    /// The state of an attempt that does not end it: kept for the attempt after it. Tell it before
    /// the ending with which the task goes back.
    Checkpoint(Checkpoint),
    /// A chunk is run again later, by itself, as if it had not been delivered.
    ChunkSnoozed {
        /// The run.
        run: RunField,
        /// The chunk.
        index: u64,
        /// After how many milliseconds.
        delay_ms: u64,
    },
    /// Chunks `lo..hi` of a run go back unstarted.
    ChunksReleased {
        /// The run.
        run: RunField,
        /// The first chunk.
        lo: u64,
        /// The first chunk after them.
        hi: u64,
    },
}

/// What a member adds to its job. Members are numbered from the first one that is added.
#[derive(Debug, Clone)]
pub struct Spawned {
    /// How deep the added members are below one another.
    pub depth: u32,
    /// How many of them the end of the job waits for.
    pub ends: u64,
    /// Those of them that what follows the member waits for, too.
    pub joined: Vec<Stretch>,
    /// The one of them that stands for what takes the place of the member.
    pub instead: Option<u64>,
    /// What is added; the first says how many members.
    pub edits: Vec<Edit>,
}

pub(crate) async fn complete(
    connections: &Connections,
    keys: &Keys,
    claim: &Claim<'_>,
    endings: &[Ending],
) -> Result<Claimed, BrokerError> {
    let mut command = COMPLETE.command(keys.prefix());
    write_claim(&mut command, claim);
    write_successes(&mut command, endings);
    for ending in endings {
        write_ending(&mut command, ending);
    }
    let value = connections.run(&COMPLETE, &command).await?;
    let claimed = read_claimed(COMPLETE.name, value)?;
    without_strays(connections, keys, claim.lease, claimed).await
}

/// Plain successes go first and in columns, so that the script can hand whole slices on.
fn write_successes(command: &mut Cmd, endings: &[Ending]) {
    let successes = || {
        endings.iter().filter_map(|ending| match ending {
            Ending::Succeeded { id, outcome, keep_ms } => Some((id, outcome, keep_ms)),
            _ => None,
        })
    };
    command.arg(successes().count());
    for (id, ..) in successes() {
        command.arg(&id.root_hex());
    }
    for (_, outcome, _) in successes() {
        command.arg(outcome);
    }
    for (.., keep_ms) in successes() {
        command.arg(bounded(*keep_ms));
    }
}

fn write_ending(command: &mut Cmd, ending: &Ending) {
    match ending {
        Ending::Succeeded { .. } => {}
        Ending::Retry { id, delay_ms, attempt } => {
            command.arg("R").arg(id.to_string()).arg(bounded(*delay_ms)).arg(attempt);
        }
        Ending::Failed { id, outcome, keep_ms, failure } => {
            command.arg("F").arg(id.to_string()).arg(outcome).arg(bounded(*keep_ms)).arg(failure);
        }
        Ending::Cancelled { id, outcome, keep_ms } => {
            command.arg("X").arg(id.to_string()).arg(outcome).arg(bounded(*keep_ms));
        }
        Ending::Released { id, begun } => {
            command.arg("L").arg(id.to_string()).arg(u8::from(*begun));
        }
        Ending::Snoozed { id, delay_ms } => {
            command.arg("Z").arg(id.to_string()).arg(bounded(*delay_ms));
        }
        Ending::ChunkSnoozed { run, index, delay_ms } => {
            command.arg("CZ").arg(run.as_str()).arg(*index).arg(bounded(*delay_ms));
        }
        Ending::ChunksSucceeded { run, lo, hi, deltas } => {
            command.arg("CS").arg(run.as_str()).arg(*lo).arg(*hi).arg(deltas.len());
            for Delta { op, name, number } in deltas {
                command.arg(*op).arg(name).arg(number);
            }
        }
        Ending::MembersSucceeded { run, lo, hi, results, deltas } => {
            command.arg("MS").arg(run.as_str()).arg(*lo).arg(*hi).arg(results.len());
            for (index, result) in results {
                // Marked as a result: failures and what stands for others lie beside it.
                command.arg(*index).arg(format!("={result}"));
            }
            command.arg(deltas.len());
            for Delta { op, name, number } in deltas {
                command.arg(*op).arg(name).arg(number);
            }
        }
        Ending::MemberSpawned { run, index, result, deltas, spawn } => {
            let result = result.as_ref().map(|json| format!("={json}")).unwrap_or_default();
            command.arg("MN").arg(run.as_str()).arg(*index).arg(result).arg(deltas.len());
            for Delta { op, name, number } in deltas {
                command.arg(*op).arg(name).arg(number);
            }
            write_spawned(command, spawn);
        }
        Ending::ChunkRetry { run, index, delay_ms, attempt } => {
            command.arg("CR").arg(run.as_str()).arg(*index).arg(bounded(*delay_ms)).arg(attempt);
        }
        Ending::ChunkFailed { run, index, outcome, attempt, failure } => {
            command.arg("CF").arg(run.as_str()).arg(*index).arg(outcome).arg(attempt).arg(failure);
        }
        Ending::Checkpoint(checkpoint) => {
            command.arg("K");
            write_checkpoint(command, checkpoint);
        }
        Ending::ChunksReleased { run, lo, hi } => {
            command.arg("CL").arg(run.as_str()).arg(*lo).arg(*hi);
        }
    }
}

fn write_spawned(command: &mut Cmd, spawn: &Spawned) {
    let members = spawn.edits.iter().find_map(|edit| match edit {
        Edit::Reserve(members) => Some(*members),
        _ => None,
    });
    let joined: Vec<String> = spawn.joined.iter().map(|(lo, hi)| format!("{lo}-{hi}")).collect();
    command.arg(members.unwrap_or(0)).arg(spawn.depth).arg(spawn.ends);
    command.arg(joined.join(","));
    match spawn.instead {
        Some(number) => command.arg(number),
        None => command.arg(""),
    };
    // How many arguments they are is known when they are written.
    let mut edits = Cmd::new();
    write_edits(&mut edits, &spawn.edits);
    command.arg(edits.args_iter().count());
    for arg in edits.args_iter() {
        if let redis::Arg::Simple(bytes) = arg {
            command.arg(bytes);
        }
    }
}
