//! `celeriac queues ACTION`: what operators do to queues. Each says what it did.

use celeriac_broker_schema::script::{Control, Moved, Purged, Reason};
use celeriac_broker_schema::{Broker, QueueName};
use serde::Serialize;

use crate::args::{LimitArgs, MoveArgs, PurgeArgs, QueueAction, ReasonArgs};
use crate::error::CliError;
use crate::fleet_view::this_host;
use crate::format::{counted, grouped};
use crate::globals::Globals;
use crate::output;

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
    control(args.queue.parse()?, verb, &args.reason, said, globals).await
}

async fn limit(args: LimitArgs, globals: &Globals) -> Result<(), CliError> {
    let (verb, said) = match args.limit.0 {
        Some(limit) => {
            (Control::Limit(limit), format!("is limited to {}", counted(limit.get(), "task")))
        }
        None => (Control::Unlimit, "has no limit".to_owned()),
    };
    control(args.queue.parse()?, verb, &args.reason, &said, globals).await
}

async fn control(
    queue: QueueName,
    verb: Control,
    reason: &ReasonArgs,
    said: &str,
    globals: &Globals,
) -> Result<(), CliError> {
    let changed = globals.connect().await?.control_queue(&queue, verb, &read(reason)).await?;
    if globals.json {
        return output::json(&Controlled { queue, changed });
    }
    output::line(format_args!(
        "queue {queue} {said}{}",
        if changed { "" } else { ", as it was before" }
    ))
}

async fn purge(args: PurgeArgs, globals: &Globals) -> Result<(), CliError> {
    let queue: QueueName = args.queue.parse()?;
    let broker = globals.connect().await?;
    if !args.yes {
        let ready = ready(&broker, &queue).await?;
        return Err(CliError::Arguments(format!(
            "this would cancel all that waits in queue {queue}, {} by now; with --yes it is done",
            counted(ready, "task")
        )));
    }
    let reason = read(&args.reason);
    let purged = broker.purge_queue(&queue, args.delayed, args.keep, &reason).await?;
    if globals.json {
        return output::json(&purged);
    }
    let Purged { tasks, jobs, .. } = purged;
    output::line(format_args!(
        "queue {queue} purged: {} and {} cancelled",
        counted(tasks, "task"),
        counted(jobs, "job")
    ))
}

/// Tasks and chunks that are ready in a queue.
async fn ready(broker: &Broker, queue: &QueueName) -> Result<u64, CliError> {
    let queues = broker.snapshot(super::queues::MOST, 1).await?.queues;
    Ok(queues.iter().find(|view| view.name == queue.as_str()).map_or(0, |view| view.ready))
}

async fn carry(args: MoveArgs, globals: &Globals) -> Result<(), CliError> {
    let (from, to): (QueueName, QueueName) = (args.from.parse()?, args.to.parse()?);
    if from == to {
        return Err(CliError::Arguments(format!("queue {from} cannot be moved to itself")));
    }
    let broker = globals.connect().await?;
    let moved = broker.move_queue(&from, &to, args.count, args.delayed).await?;
    if globals.json {
        return output::json(&moved);
    }
    let Moved { elements, tasks } = moved;
    let ranges = if elements == tasks {
        String::new()
    } else {
        format!(" in {} elements", grouped(elements))
    };
    output::line(format_args!("moved from {from} to {to}: {}{ranges}", counted(tasks, "task")))
}

fn read(args: &ReasonArgs) -> Reason {
    let user = || {
        let user = std::env::var("USER").ok().filter(|user| !user.is_empty());
        format!("{}@{}", user.as_deref().unwrap_or("somebody"), this_host())
    };
    Reason::new(&args.by.clone().unwrap_or_else(user), &args.why)
}
