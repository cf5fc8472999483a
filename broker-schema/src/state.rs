//! The states of a task and the one table of transitions between them. The diagram in
//! ARCHITECTURE.md is generated from the table, and a test compares the two.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a task is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Waits for other tasks.
    Waiting,
    /// Waits for a time.
    Delayed,
    /// Waits for a worker.
    Ready,
    /// A worker holds it.
    Running,
    /// Ended with a result.
    Succeeded,
    /// Ended with an error, for good.
    Failed,
    /// Ended because somebody, or the failure of its job, said so.
    Cancelled,
    /// Ended because it was not started in time.
    Expired,
}

impl State {
    /// All states, in the order of a task's life.
    pub const ALL: [State; 8] = [
        State::Waiting,
        State::Delayed,
        State::Ready,
        State::Running,
        State::Succeeded,
        State::Failed,
        State::Cancelled,
        State::Expired,
    ];

    /// Whether a task ends here.
    pub fn is_final(self) -> bool {
        matches!(self, State::Succeeded | State::Failed | State::Cancelled | State::Expired)
    }

    /// The word for the state, the same everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Delayed => "delayed",
            State::Ready => "ready",
            State::Running => "running",
            State::Succeeded => "succeeded",
            State::Failed => "failed",
            State::Cancelled => "cancelled",
            State::Expired => "expired",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One permitted transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// The state before; None when the task comes to be.
    pub from: Option<State>,
    /// What happens.
    pub event: &'static str,
    /// The state after.
    pub to: State,
    /// The script that does it.
    pub script: &'static str,
}

const fn row(
    from: Option<State>,
    event: &'static str,
    to: State,
    script: &'static str,
) -> Transition {
    Transition { from, event, to, script }
}

/// Every permitted transition. What is not here does not happen.
pub const TRANSITIONS: &[Transition] = &[
    row(None, "enqueue", State::Ready, "enqueue"),
    row(None, "enqueue later", State::Delayed, "enqueue"),
    row(None, "enqueue a follower", State::Waiting, "enqueue"),
    row(None, "enqueue a job", State::Ready, "enqueue_range"),
    row(None, "enqueue a job's reducer", State::Waiting, "enqueue_range"),
    row(None, "enqueue a workflow", State::Ready, "enqueue_workflow"),
    row(None, "enqueue what follows", State::Waiting, "enqueue_workflow"),
    row(Some(State::Waiting), "last chunk settles", State::Ready, "complete"),
    row(Some(State::Waiting), "what it follows ends", State::Ready, "complete"),
    row(Some(State::Waiting), "a chunk fails", State::Failed, "complete"),
    row(Some(State::Waiting), "a chunk is lost too often", State::Failed, "reclaim"),
    row(Some(State::Waiting), "what it follows is lost too often", State::Ready, "reclaim"),
    row(Some(State::Waiting), "expire", State::Expired, "claim"),
    row(Some(State::Waiting), "cancel", State::Cancelled, "cancel"),
    row(Some(State::Delayed), "promote", State::Ready, "claim"),
    row(Some(State::Delayed), "expire", State::Expired, "claim"),
    row(Some(State::Delayed), "cancel", State::Cancelled, "cancel"),
    row(Some(State::Ready), "claim", State::Running, "claim"),
    row(Some(State::Ready), "expire", State::Expired, "claim"),
    row(Some(State::Ready), "cancel", State::Cancelled, "cancel"),
    row(Some(State::Ready), "its job fails", State::Cancelled, "complete"),
    row(Some(State::Delayed), "its job fails", State::Cancelled, "complete"),
    row(Some(State::Ready), "purge", State::Cancelled, "purge"),
    row(Some(State::Delayed), "purge", State::Cancelled, "purge"),
    row(Some(State::Waiting), "its job is purged", State::Cancelled, "purge"),
    row(Some(State::Running), "its job is purged", State::Cancelled, "purge"),
    row(Some(State::Running), "succeed", State::Succeeded, "complete"),
    row(Some(State::Running), "retry later", State::Delayed, "complete"),
    row(Some(State::Running), "retry now", State::Ready, "complete"),
    row(Some(State::Running), "snooze", State::Delayed, "complete"),
    row(Some(State::Running), "fail", State::Failed, "complete"),
    row(Some(State::Running), "its job fails", State::Cancelled, "complete"),
    row(Some(State::Running), "stop as told to", State::Cancelled, "complete"),
    row(Some(State::Running), "its job is cancelled", State::Cancelled, "cancel"),
    row(Some(State::Running), "release", State::Ready, "complete"),
    row(Some(State::Running), "worker lost", State::Ready, "reclaim"),
    row(Some(State::Running), "worker lost, and cancelled", State::Cancelled, "reclaim"),
    row(Some(State::Running), "worker lost too often", State::Failed, "reclaim"),
    row(Some(State::Failed), "revive", State::Ready, "revive"),
];

/// The table as a Mermaid state diagram, for ARCHITECTURE.md.
pub fn diagram() -> String {
    let mut text = String::from("stateDiagram-v2\n");
    for row in TRANSITIONS {
        let from = row.from.map_or("[*]", State::as_str);
        text.push_str(&format!("    {from} --> {}: {} ({})\n", row.to, row.event, row.script));
    }
    for state in State::ALL.into_iter().filter(|state| state.is_final()) {
        text.push_str(&format!("    {state} --> [*]\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_a_final_state_by_itself_and_every_state_is_reached() {
        let left = TRANSITIONS.iter().filter(|row| row.from.is_some_and(State::is_final));
        assert!(left.map(|row| row.event).eq(["revive"]));
        for state in State::ALL {
            assert!(TRANSITIONS.iter().any(|row| row.to == state), "{state} is never reached");
        }
    }
}
