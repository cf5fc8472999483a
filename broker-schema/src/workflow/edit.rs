//! What is added to a job: by `enqueue_workflow` when a workflow is enqueued, and by `complete` when a
//! member spawns others.

use crate::name::{Priority, QueueName};

/// One addition to a job. Numbers of members count from the first one that is added.
#[derive(Debug, Clone)]
pub enum Edit {
    /// So many members are added. Always the first.
    Reserve(u64),
    /// The encoded records of members, from a number on.
    Records {
        /// The number of the first of them.
        first: u64,
        /// Their records.
        records: Vec<String>,
    },
    /// How members are wired.
    Span(Span),
    /// What is counted before what is released.
    Barrier(Barrier),
    /// A member that only stands for others.
    StandIn {
        /// Its number.
        number: u64,
        /// The shape of their results ([`crate::workflow::Shape`]), in JSON.
        shape: String,
    },
    /// Members that may begin now.
    Release(Release),
    /// A member that stands for nothing is settled. Comes last.
    Settle(u64),
    /// A piece of data that the members share.
    Data {
        /// The name of the data.
        digest: String,
        /// The number of the piece, from 0.
        piece: u64,
        /// How many pieces there are.
        of: u64,
        /// The piece.
        text: String,
    },
    /// A task that runs outside of the job when a member, or the job, has ended.
    Callback(Callback),
}

/// Members `lo..hi`, wired alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The first member.
    pub lo: u64,
    /// The first member behind them.
    pub hi: u64,
    /// The barriers that wait for them: `e` (the end of the job), `+d` (the barrier of the member that
    /// stands `d` behind each, which waits for it alone and is nowhere written down), or a number; joined
    /// by commas.
    pub feeds: String,
    /// Who takes the failure of one of them: `-` (nobody: it ends the job), `+d` (the member that stands
    /// `d` behind it, also 0 or less) or `=n`.
    pub catch: String,
}

/// A barrier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Barrier {
    /// Its number: that of the first member it opens for.
    pub number: u64,
    /// How many members it waits for.
    pub missing: u64,
    /// The members it opens for.
    pub opens: Vec<Release>,
    /// The members among these that only stand for others: they are settled at once.
    pub stand_ins: Vec<u64>,
    /// How many of these may fail, if they may and not all of them.
    pub tolerates: Option<u64>,
}

impl Barrier {
    fn weight(&self) -> usize {
        1 + self.opens.len() + self.stand_ins.len()
    }
}

/// Members `lo..hi` that are released together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The first member.
    pub lo: u64,
    /// The first member behind them.
    pub hi: u64,
    /// Where they wait.
    pub queue: QueueName,
    /// How urgent they are there.
    pub priority: Priority,
    /// After how many milliseconds they are ready.
    pub delay_ms: u64,
}

/// A task that runs when something has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// The number of the member; None: the job.
    pub of: Option<u64>,
    /// When it runs.
    pub when: When,
    /// Its id.
    pub id: crate::id::TaskId,
    /// Its queue.
    pub queue: QueueName,
    /// Its priority.
    pub priority: Priority,
    /// Its encoded record, in two parts: what ended is written between them, in JSON.
    pub record: (String, String),
}

/// When a callback runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// After a success.
    Succeeded,
    /// After a failure, or when it was cancelled.
    Failed,
    /// In any case.
    Ended,
}

impl When {
    /// The word in which scripts say it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Ended => "ended",
        }
    }
}

impl Edit {
    /// About how many bytes it adds to a call.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Records { records, .. } => records.iter().map(|record| record.len() + 16).sum(),
            Self::Barrier(barrier) => 40 * barrier.weight(),
            Self::StandIn { shape, .. } => shape.len(),
            Self::Data { text, .. } => text.len(),
            Self::Callback(callback) => callback.record.0.len() + callback.record.1.len() + 60,
            _ => 40,
        }
    }

    /// How many members, wires and the like it has: what the script has to do for it.
    pub fn weight(&self) -> usize {
        match self {
            Self::Records { records, .. } => records.len(),
            Self::Barrier(barrier) => barrier.weight(),
            _ => 1,
        }
    }
}
