//! The Lua scripts with their typed wrappers: one script, one verb, one file, the same name.
//!
//! A script is sent as its digest (`EVALSHA`): old and new workers, each with its own version of
//! a script, work side by side during a rolling upgrade.

use std::sync::LazyLock;

use redis::Cmd;

mod audit;
mod beat;
mod cancel;
mod checkpoint;
mod claim;
mod close;
mod complete;
mod completed;
mod contents;
mod control;
mod data;
mod dead;
mod delayed;
mod delete_job;
mod discard;
mod due;
mod elements;
mod emit;
mod enqueue;
mod enqueue_range;
mod enqueue_workflow;
mod erase;
mod expel;
mod explain;
mod fair;
mod fire;
mod history;
mod inspect;
mod job;
mod job_control;
mod limit;
mod limits;
mod map_chunks;
mod memory;
mod move_queue;
mod note_audit;
mod oldest;
mod open;
mod order;
mod peek;
mod purge;
mod queued;
mod recent;
mod reclaim;
mod records;
mod release_again;
mod remember;
mod renew;
mod results;
mod retry_job;
mod revive;
mod ring;
mod sample;
mod schedule;
mod schedules;
mod settings;
mod snapshot;
mod speculate;
mod stream;
mod tally;
mod tidy;
mod tree;
mod unsettled;
mod watch;
mod workers;

pub use crate::requester::Note;
pub use cancel::Cancelled;
pub use checkpoint::{Checkpoint, Kept};
pub use claim::{Claim, Claimed, Delivery, Grant, OwnRoom, Room, Run, RunField};
pub use close::Closed;
pub use complete::{Ending, Spawned};
pub use completed::Completed;
pub use control::{Control, Controls, Limit};
pub use dead::DeadPage;
pub use delayed::{DelayedPage, DelayedTask};
pub use delete_job::JobDeleted;
pub use due::{Due, DueSchedule};
pub use emit::Emission;
pub use enqueue::{Answered, Duplicate, Entry, Refusal, Refused, Start};
pub use enqueue_range::RangeJob;
pub use enqueue_workflow::{PartTaken, WorkflowJob, WorkflowPart};
pub use fire::{Fire, Fired, NoRoom};
pub use inspect::{Found, Whereabouts};
pub use job::JobView;
pub use job_control::JobControlled;
pub use limit::LimitChanged;
pub use limits::{FairView, LimitView, Limits, SubjectView};
pub use map_chunks::{ChunkMap, Stretch};
pub use memory::{KeyMemory, MemoryPage};
pub use move_queue::Moved;
pub use open::Opened;
pub use order::{Order, OrderSeen, Wanted};
pub use peek::{Peeked, Waiting};
pub use purge::Purged;
pub use queued::{Place, Queued};
pub use reclaim::Reclaimed;
pub use renew::{Orders, Renewed};
pub use results::{Results, Wanted as WantedResults};
pub use retry_job::JobRetried;
pub use revive::Revived;
pub use schedule::{Changed as ScheduleChanged, PutDue, ScheduleChange};
pub use schedules::{LastRun, Paused, ScheduleView, Schedules};
pub use snapshot::{QueueView, Snapshot};
pub use speculate::Speculated;
pub use stream::{Part, StreamPage, StreamState};
pub use tally::{Tallied, Tally};
pub use tidy::Tidied;
pub use tree::Far;
pub use watch::Watched;
pub use workers::{WorkerView, Workers};

pub(crate) use {
    audit::audit,
    beat::beat,
    cancel::cancel,
    checkpoint::checkpoint,
    claim::claim,
    close::close,
    complete::complete,
    completed::completed,
    contents::contents,
    control::control,
    data::data,
    dead::dead,
    dead::dead_letters,
    delayed::delayed,
    delete_job::delete_job,
    discard::discard,
    due::due,
    elements::elements,
    emit::emit,
    enqueue::enqueue,
    enqueue_range::enqueue_range,
    enqueue_workflow::enqueue_workflow,
    erase::erase,
    explain::{Question, explain},
    fair::fair,
    fire::fire,
    history::{Buckets, history},
    inspect::inspect,
    job::job,
    job_control::job_control,
    limit::limit,
    limits::limits,
    map_chunks::map_chunks,
    memory::memory,
    move_queue::move_queue,
    note_audit::note_audit,
    oldest::oldest,
    open::open,
    order::order,
    peek::peek,
    purge::{parking, purge},
    queued::queued,
    recent::recent,
    reclaim::reclaim,
    records::{BITE as RECORDS_BITE, records},
    release_again::{Released, release_again},
    remember::remember,
    renew::renew,
    results::{BITE as RESULTS_BITE, results},
    retry_job::{RetryBegun, retry_job},
    revive::revive,
    ring::ring,
    sample::sample,
    schedule::schedule,
    schedules::schedules,
    settings::settings,
    snapshot::snapshot,
    speculate::speculate,
    stream::stream,
    tally::{MOST_PAIRS as TALLY_MOST_PAIRS, tally},
    tidy::tidy,
    tree::tree,
    unsettled::unsettled,
    watch::watch,
    workers::workers,
};

/// A Lua script.
pub struct Script {
    /// Its verb.
    pub name: &'static str,
    pub(crate) source: &'static str,
    digest: LazyLock<String>,
}

impl Script {
    pub(crate) const fn new(
        name: &'static str,
        source: &'static str,
        digest: fn() -> String,
    ) -> Self {
        Self { name, source, digest: LazyLock::new(digest) }
    }

    /// Begins a call with the prefix of all keys as its one key.
    pub(crate) fn command(&self, prefix: &str) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(self.digest.as_str()).arg(1).arg(prefix);
        command
    }

    /// Makes a server know it.
    pub(crate) fn load(&self) -> Cmd {
        let mut command = redis::cmd("SCRIPT");
        command.arg("LOAD").arg(self.source);
        command
    }
}

/// The longest time, and the latest point in time, that is sent to Redis, in milliseconds: 140,000
/// years. What is longer means "for ever", and would fail in the midst of a script.
const MAX_MS: u64 = 1 << 52;

/// Milliseconds as they are sent to Redis.
pub(crate) fn bounded(ms: u64) -> u64 {
    ms.min(MAX_MS)
}

pub(crate) fn digest(source: &str) -> String {
    sha1_smol::Sha1::from(source).digest().to_string()
}

/// Puts a script together from its flags, the parts of `lua/lib` that it uses, and its own file.
///
/// `allow-oom`: what workers call ends tasks and so frees memory, and what operators need on a full
/// server writes little; only enqueuing stops when Redis is full. `no-writes`: reads only.
macro_rules! script {
    ($static:ident, $verb:literal, $flags:literal, [$($lib:literal),*]) => {
        static $static: crate::script::Script = crate::script::Script::new(
            $verb,
            concat!(
                "#!lua", $flags, "\n",
                $(include_str!(concat!("../../lua/lib/", $lib, ".lua")),)*
                include_str!(concat!("../../lua/", $verb, ".lua")),
            ),
            || crate::script::digest($static.source),
        );
    };
}
pub(crate) use script;
