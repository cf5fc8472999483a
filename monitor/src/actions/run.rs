//! Carries an action out: in bounded calls of the engine, and not for ever. What takes longer is
//! told as such, and goes on when it is done again.

use std::time::Duration;

use celeriac_broker_schema::limits::DEFAULT_KEEP_MS;
use celeriac_broker_schema::script::{
    Cancelled, Control, LimitChanged, Order, OrderSeen, Purged, Revived,
};
use celeriac_broker_schema::{
    Broker, BrokerError, CancelFilter, DeadFilter, LeaseId, Requester, TaskId,
};
use celeriac_producer::{Producer, ScheduleError};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;

use super::action::Action;
use crate::error::Problem;
use crate::views::counted;

/// Tasks after which an action takes a rest.
const MOST: u64 = 5_000;

/// Elements of queues after which it does: they cost less.
const MOST_ELEMENTS: u64 = 50_000;

/// After so long it does in any case.
const LONGEST: Duration = Duration::from_secs(20);

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Done {
    /// In a sentence.
    pub(crate) what: String,
    /// How many tasks or other things are different now.
    pub(crate) changed: u64,
    /// Whether there may be more to do: do it again.
    pub(crate) more: bool,
    /// Those that were named and left as they are, with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) left: Vec<Left>,
}

/// Something that was left as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Left {
    pub(crate) id: TaskId,
    pub(crate) why: &'static str,
}

impl Done {
    fn new(what: impl Into<String>, changed: u64) -> Self {
        Self { what: what.into(), changed, more: false, left: Vec::new() }
    }

    /// What was, or is, so.
    fn set(what: String, changed: bool) -> Self {
        let as_before = if changed { "" } else { ", as it was before" };
        Self::new(format!("{what}{as_before}"), changed.into())
    }
}

/// Does it.
///
/// # Errors
/// The problem to answer with: Redis is away, or it cannot be done. A part may have been done.
pub(super) async fn run(
    action: &Action,
    broker: &Broker,
    who: &Requester,
) -> Result<Done, Problem> {
    match action {
        Action::Cancel(ids) => Ok(cancel(broker, ids, who).await?),
        Action::CancelMatching(filter) => Ok(cancel_matching(broker, filter, who).await?),
        Action::Revive(ids) => Ok(revived(broker.revive(ids, who).await?)),
        Action::ReviveMatching(filter) => Ok(revive_matching(broker, filter, who).await?),
        Action::Discard(ids) => Ok(discard(broker, ids).await?),
        Action::DiscardMatching(filter) => Ok(discard_matching(broker, filter).await?),
        Action::Control(queue, control) => {
            let changed = broker.control_queue(queue, *control, who).await?;
            Ok(Done::set(format!("queue {queue} {}", now_is(*control)), changed))
        }
        Action::Purge { queue, delayed } => {
            let keep = Duration::from_millis(DEFAULT_KEEP_MS);
            let (Purged { tasks, jobs, .. }, more) =
                broker.purge_some(queue, *delayed, keep, MOST_ELEMENTS, who).await?;
            let (what, jobs_what) = (counted(tasks, "task"), counted(jobs, "job"));
            let what = format!("queue {queue} purged: {what} and {jobs_what} cancelled");
            Ok(Done { more, ..Done::new(what, tasks + jobs) })
        }
        Action::Move { from, to, delayed } => {
            let moved = broker.move_queue(from, to, Some(MOST_ELEMENTS), *delayed).await?;
            let what = format!("moved from {from} to {to}: {}", counted(moved.tasks, "task"));
            Ok(Done { more: moved.elements >= MOST_ELEMENTS, ..Done::new(what, moved.tasks) })
        }
        Action::SetLimit(subject, limit) => {
            let changed = broker.limit(subject, Some(limit), who).await?;
            limited(&format!("the limit on {subject} is set"), changed)
        }
        Action::RemoveLimit(subject) => {
            let changed = broker.limit(subject, None, who).await?;
            limited(&format!("there is no limit on {subject}"), changed)
        }
        Action::Fair(queue, on) => {
            let not = if *on { "" } else { " do not" };
            let changed = broker.fair(queue, *on, who).await?;
            Ok(Done::set(format!("the tenants of queue {queue}{not} take turns"), changed))
        }
        Action::Order(lease, order) => give(broker, lease, order, who).await,
        schedule => act_on_schedule(schedule, broker, who).await,
    }
}

fn now_is(control: Control) -> String {
    match control {
        Control::Pause => "is paused".to_owned(),
        Control::Resume => "is not paused".to_owned(),
        Control::Close => "is closed".to_owned(),
        Control::Open => "is open".to_owned(),
        Control::Limit(max) => format!("is limited to {}", counted(max.get(), "task")),
        Control::Unlimit => "has no limit".to_owned(),
    }
}

async fn cancel(broker: &Broker, ids: &[TaskId], who: &Requester) -> Result<Done, BrokerError> {
    let mut tally = Tally::default();
    let answers = broker.cancel(ids, who).await?;
    tally.add(ids.iter().copied().zip(answers));
    Ok(tally.done(false))
}

async fn cancel_matching(
    broker: &Broker,
    filter: &CancelFilter,
    who: &Requester,
) -> Result<Done, BrokerError> {
    let (mut tally, mut after, end) = (Tally::default(), None, Instant::now() + LONGEST);
    loop {
        let page = broker.cancel_where(filter, after, who).await?;
        tally.add(page.answers);
        after = page.next;
        let enough = tally.changed() >= MOST || Instant::now() >= end;
        if after.is_none() || enough {
            tally.left.clear();
            return Ok(tally.done(after.is_some()));
        }
    }
}

/// What became of tasks that were to be cancelled.
#[derive(Default)]
struct Tally {
    cancelled: u64,
    told: u64,
    left: Vec<Left>,
}

impl Tally {
    fn add(&mut self, answers: impl IntoIterator<Item = (TaskId, Cancelled)>) {
        for (id, answer) in answers {
            let why = match answer {
                Cancelled::Done => {
                    self.cancelled += 1;
                    continue;
                }
                Cancelled::Told(_) => {
                    self.told += 1;
                    continue;
                }
                Cancelled::Ended => "had ended before",
                Cancelled::Unknown => "is not known",
                Cancelled::IsChunk => "is a chunk: cancel its job",
            };
            self.left.push(Left { id, why });
        }
    }

    fn changed(&self) -> u64 {
        self.cancelled + self.told
    }

    fn done(self, more: bool) -> Done {
        let mut what = format!("{} cancelled", counted(self.cancelled, "task"));
        if self.told > 0 {
            what.push_str(&format!("; {} told to stop", counted(self.told, "running task")));
        }
        what.push_str(&left_words(&self.left));
        let changed = self.changed();
        Done { more, left: self.left, ..Done::new(what, changed) }
    }
}

/// Those that were left as they are: the one, or how many.
fn left_words(left: &[Left]) -> String {
    match left {
        [] => String::new(),
        [one] => format!("; {} {}", one.id, one.why),
        many => format!("; {} left as they are", many.len()),
    }
}

fn revived(answers: Vec<(TaskId, Revived)>) -> Done {
    let (mut changed, mut left) = (0, Vec::new());
    for (id, answer) in answers {
        let why = match answer {
            Revived::Revived => {
                changed += 1;
                continue;
            }
            Revived::Unknown => "is no dead letter",
            Revived::JobOver => "is part of a job that has ended",
            Revived::Locked => "has a key that another task has by now",
            _ => "cannot be read",
        };
        left.push(Left { id, why });
    }
    let what = format!("{} revived{}", counted(changed, "task"), left_words(&left));
    Done { left, ..Done::new(what, changed) }
}

async fn revive_matching(
    broker: &Broker,
    filter: &DeadFilter,
    who: &Requester,
) -> Result<Done, BrokerError> {
    let (mut answers, mut changed, mut after) = (Vec::new(), 0, None);
    let end = Instant::now() + LONGEST;
    loop {
        let page = broker.revive_where(filter, after, who).await?;
        changed += page.done.iter().filter(|(_, word)| *word == Revived::Revived).count() as u64;
        answers.extend(page.done);
        after = page.next;
        if after.is_none() || changed >= MOST || Instant::now() >= end {
            let mut done = revived(answers);
            done.left.clear();
            return Ok(Done { more: after.is_some(), ..done });
        }
    }
}

async fn discard(broker: &Broker, ids: &[TaskId]) -> Result<Done, BrokerError> {
    let gone = broker.discard(ids).await?;
    let left = ids.iter().zip(&gone).filter(|(_, gone)| !**gone);
    let left: Vec<Left> = left.map(|(id, _)| Left { id: *id, why: "is no dead letter" }).collect();
    let changed = (ids.len() - left.len()) as u64;
    let what = format!("{} deleted{}", counted(changed, "dead letter"), left_words(&left));
    Ok(Done { left, ..Done::new(what, changed) })
}

async fn discard_matching(broker: &Broker, filter: &DeadFilter) -> Result<Done, BrokerError> {
    let (mut changed, mut after, end) = (0, None, Instant::now() + LONGEST);
    loop {
        let page = broker.discard_where(filter, after).await?;
        changed += page.done.iter().filter(|(_, gone)| *gone).count() as u64;
        after = page.next;
        if after.is_none() || changed >= MOST || Instant::now() >= end {
            let what = format!("{} deleted", counted(changed, "dead letter"));
            return Ok(Done { more: after.is_some(), ..Done::new(what, changed) });
        }
    }
}

fn limited(what: &str, changed: LimitChanged) -> Result<Done, Problem> {
    match changed {
        LimitChanged::Changed { .. } => Ok(Done::set(what.to_owned(), true)),
        LimitChanged::Unchanged => Ok(Done::set(what.to_owned(), false)),
        LimitChanged::Full => Err(Problem::not_now("there are as many limits as there may be")),
    }
}

async fn give(
    broker: &Broker,
    lease: &LeaseId,
    order: &Order,
    who: &Requester,
) -> Result<Done, Problem> {
    let told = match order {
        Order::Drain => "told to finish and leave".to_owned(),
        Order::Pause => "told to pause".to_owned(),
        Order::Resume => "told to go on".to_owned(),
        Order::Concurrency(slots) => {
            format!("told to run {} at once", counted((*slots).into(), "task"))
        }
        Order::Queues(queues) => {
            let names: Vec<String> = queues.iter().map(ToString::to_string).collect();
            format!("told to serve {}", names.join(", "))
        }
    };
    match broker.order(lease, order, who).await? {
        OrderSeen::Kept(_) => Ok(Done::new(format!("worker {lease} is {told}"), 1)),
        OrderSeen::Lost => Err(Problem::unknown("worker", lease)),
    }
}

async fn act_on_schedule(
    action: &Action,
    broker: &Broker,
    who: &Requester,
) -> Result<Done, Problem> {
    let schedules = Producer::new(broker.clone()).schedules();
    let what = match action {
        Action::PauseSchedule(name) => {
            let [by, why] = [&who.by, &who.why].map(|text| text.as_deref().unwrap_or_default());
            schedules.pause(name, by, why).await?;
            format!("schedule {name} is paused")
        }
        Action::ResumeSchedule(name) => {
            schedules.resume(name).await?;
            format!("schedule {name} is not paused")
        }
        Action::RunSchedule(name) => {
            let id = schedules.run_now(name).await?;
            format!("schedule {name} runs now, as {id}")
        }
        Action::SkipSchedule(name) => {
            schedules.skip(name).await?;
            format!("the next run of schedule {name} is left out")
        }
        Action::RemoveSchedule(name) => {
            schedules.remove(name).await?;
            format!("schedule {name} is deleted")
        }
        other => unreachable!("{other:?} is no action on a schedule"),
    };
    Ok(Done::new(what, 1))
}

impl From<ScheduleError> for Problem {
    fn from(error: ScheduleError) -> Self {
        match error {
            ScheduleError::Broker(error) => error.into(),
            ScheduleError::Unknown(name) => Self::unknown("schedule", name),
            other => Self::not_now(other.to_string()),
        }
    }
}
