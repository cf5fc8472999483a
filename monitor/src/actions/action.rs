//! The closed list of what an operator can do, with all that each needs, valid.

use celeriac_broker_schema::script::{Control, Order};
use celeriac_broker_schema::{
    CancelFilter, DeadFilter, LeaseId, Limit, QueueName, ScheduleName, Subject, TaskId,
};

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Cancel(Vec<TaskId>),
    CancelMatching(CancelFilter),
    Revive(Vec<TaskId>),
    ReviveMatching(DeadFilter),
    Discard(Vec<TaskId>),
    DiscardMatching(DeadFilter),
    Control(QueueName, Control),
    Purge { queue: QueueName, delayed: bool },
    Move { from: QueueName, to: QueueName, delayed: bool },
    SetLimit(Subject, Limit),
    RemoveLimit(Subject),
    Fair(QueueName, bool),
    Order(LeaseId, Order),
    PauseSchedule(ScheduleName),
    ResumeSchedule(ScheduleName),
    RunSchedule(ScheduleName),
    SkipSchedule(ScheduleName),
    RemoveSchedule(ScheduleName),
}
