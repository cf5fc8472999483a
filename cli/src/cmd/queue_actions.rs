//! `celeriac queues ACTION`: what operators do to queues. Each says what it did.

use celeriac_broker_schema::script::{Control, Moved, Purged};
use celeriac_broker_schema::{Broker, CancelFilter, QueueName, Requester, State};
use serde::Serialize;

use super::refuse;
use crate::args::{LimitArgs, MoveArgs, PurgeArgs, QueueAction, WhoArgs};
use crate::deed::note;
use crate::error::CliError;
use crate::format::counted;
use crate::globals::Globals;
use crate::output;
use crate::requester::requester;

/// What became of a pause, a limit and the like.
#[derive(Serialize)]
struct Controlled {
    queue: QueueName,
    /// Whether it was not so before.
    changed: bool,
}

pub(super) async fn run(action: QueueAction, globals: &Globals) -> Result<(), CliError> {
    let (args, verb, said) = match action {
        QueueAction::Pause(args) => (args, Control::Pause, "is paused"),
        QueueAction::Resume(args) => (args, Control::Resume, "is not paused"),
        QueueAction::Close(args) => (args, Control::Close, "is closed"),
        QueueAction::Open(args) => (args, Control::Open, "is open"),
        QueueAction::Limit(args) => return limit(args, globals).await,
        QueueAction::Purge(args) => return purge(args, globals).await,
        QueueAction::Move(args) => return carry(args, globals).await,
    };
    control(args.queue.parse()?, verb, &args.who, said, globals).await
}

async fn limit(args: LimitArgs, globals: &Globals) -> Result<(), CliError> {
    let (verb, said) = match args.limit.0 {
        Some(limit) => {
            (Control::Limit(limit), format!("is limited to {}", counted(limit.get(), "task")))
        }
        None => (Control::Unlimit, "has no limit".to_owned()),
    };
    control(args.queue.parse()?, verb, &args.who, &said, globals).await
}

async fn control(
    queue: QueueName,
    verb: Control,
    who: &WhoArgs,
    said: &str,
    globals: &Globals,
) -> Result<(), CliError> {
    let (broker, who) = (globals.connect().await?, requester(who));
    let changed = broker.control_queue(&queue, verb, &who).await?;
    let (action, target) = named(&queue, verb);
    note(&broker, action, target, &who, changed.into()).await;
    if globals.json {
        return output::json(&Controlled { queue, changed });
    }
    output::line(format_args!(
        "queue {queue} {said}{}",
        if changed { "" } else { ", as it was before" }
    ))
}

/// What the audit list calls it.
fn named(queue: &QueueName, verb: Control) -> (&'static str, String) {
    let queue = format!("queue={queue}");
    match verb {
        Control::Pause => ("pause-queue", queue),
        Control::Resume => ("resume-queue", queue),
        Control::Close => ("close-queue", queue),
        Control::Open => ("open-queue", queue),
        Control::Limit(max) => ("limit-queue", format!("{queue} max={max}")),
        Control::Unlimit => ("limit-queue", queue),
    }
}

/// What a purge did, or would do.
#[derive(Serialize)]
struct PurgeAnswer {
    queue: QueueName,
    #[serde(flatten)]
    purged: Purged,
    #[serde(flatten)]
    who: Requester,
}

async fn purge(args: PurgeArgs, globals: &Globals) -> Result<(), CliError> {
    let queue: QueueName = args.queue.parse()?;
    let broker = globals.connect().await?;
    if args.dry_run {
        let waiting = Waiting::look(&broker, queue, args.delayed).await?;
        return waiting.show("would be cancelled", globals);
    }
    if !args.yes {
        let waiting = Waiting::look(&broker, queue.clone(), args.delayed).await?;
        let text = format!(
            "this would cancel all that waits in queue {queue}, {} by now; with --yes it is done",
            counted(waiting.all(), "task")
        );
        return refuse(text, &waiting, globals);
    }
    let who = requester(&args.who);
    let purged = broker.purge_queue(&queue, args.delayed, args.keep, &who).await?;
    let target = format!("queue={queue}{}", delayed_too(args.delayed));
    note(&broker, "purge-queue", target, &who, purged.tasks + purged.jobs).await;
    if globals.json {
        return output::json(&PurgeAnswer { queue, purged, who });
    }
    let Purged { tasks, jobs, .. } = purged;
    output::line(format_args!(
        "queue {queue} purged: {} and {} cancelled",
        counted(tasks, "task"),
        counted(jobs, "job")
    ))
}

fn delayed_too(delayed: bool) -> &'static str {
    if delayed { " delayed=yes" } else { "" }
}

/// What waits in a queue.
#[derive(Serialize)]
struct Waiting {
    queue: QueueName,
    dry_run: bool,
    /// Tasks and chunks that are ready.
    ready: u64,
    /// Tasks that are delayed, if they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    delayed: Option<u64>,
}

impl Waiting {
    async fn look(broker: &Broker, queue: QueueName, delayed: bool) -> Result<Self, CliError> {
        let queues = broker.snapshot(super::queues::MOST, 1).await?.queues;
        let view = queues.iter().find(|view| view.name == queue.as_str());
        let ready = view.map_or(0, |view| view.ready);
        let delayed = if delayed { Some(delayed_in(broker, &queue).await?) } else { None };
        Ok(Self { queue, dry_run: true, ready, delayed })
    }

    fn all(&self) -> u64 {
        self.ready + self.delayed.unwrap_or(0)
    }

    fn show(&self, would: &str, globals: &Globals) -> Result<(), CliError> {
        if globals.json {
            return output::json(self);
        }
        output::line(format_args!(
            "{} in queue {} {would}",
            counted(self.all(), "task"),
            self.queue
        ))
    }
}

/// How many tasks of a queue are delayed.
async fn delayed_in(broker: &Broker, queue: &QueueName) -> Result<u64, CliError> {
    let filter = CancelFilter { state: Some(State::Delayed), ..CancelFilter::of(queue.clone()) };
    let (mut number, mut after) = (0, None);
    loop {
        let page = broker.tasks_where(&filter, after).await?;
        number += page.tasks.len() as u64;
        after = page.next;
        if after.is_none() {
            return Ok(number);
        }
    }
}

/// What a move did.
#[derive(Serialize)]
struct MoveAnswer {
    from: QueueName,
    to: QueueName,
    #[serde(flatten)]
    moved: Moved,
    #[serde(flatten)]
    who: Requester,
}

async fn carry(args: MoveArgs, globals: &Globals) -> Result<(), CliError> {
    let (from, to): (QueueName, QueueName) = (args.from.parse()?, args.to.parse()?);
    if from == to {
        return Err(CliError::Arguments(format!("queue {from} cannot be moved to itself")));
    }
    let broker = globals.connect().await?;
    if args.dry_run {
        let would = match args.count {
            None => format!("would be moved to {to}"),
            Some(most) => {
                format!("wait; no more than {} would be moved to {to}", counted(most, "element"))
            }
        };
        return Waiting::look(&broker, from, args.delayed).await?.show(&would, globals);
    }
    let who = requester(&args.who);
    let moved = broker.move_queue(&from, &to, args.count, args.delayed).await?;
    let target = format!("queue={from} to={to}{}", delayed_too(args.delayed));
    note(&broker, "move-queue", target, &who, moved.tasks).await;
    if globals.json {
        return output::json(&MoveAnswer { from, to, moved, who });
    }
    let Moved { elements, tasks } = moved;
    let ranges = if elements == tasks {
        String::new()
    } else {
        format!(" in {}", counted(elements, "element"))
    };
    output::line(format_args!("moved from {from} to {to}: {}{ranges}", counted(tasks, "task")))
}
