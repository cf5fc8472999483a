//! `celeriac dead`: tasks that failed for good: list, group, show, revive, delete.

mod act;
mod list;
mod show;

use std::time::Duration;

use celeriac_broker_schema::time::millis;
use celeriac_broker_schema::{Broker, DeadFilter, QueueName, Timestamp};

use crate::args::values::Due;
use crate::args::{DeadAction, DeadArgs, DeadDeleteArgs, DeadFilterArgs};
use crate::error::CliError;
use crate::globals::Globals;

pub(crate) async fn run(args: DeadArgs, globals: &Globals) -> Result<(), CliError> {
    match args.action {
        None if args.group => list::groups(&args, globals).await,
        None => list::letters(&args, globals).await,
        Some(DeadAction::Show { id }) => show::run(&id, globals).await,
        Some(DeadAction::Revive(args)) => act::run(args, act::Act::Revive, globals).await,
        Some(DeadAction::Delete(args)) => {
            let DeadDeleteArgs { act, yes } = args;
            act::run(act, act::Act::Delete { yes }, globals).await
        }
    }
}

/// What the options mean. Times before now are counted from the time of Redis.
async fn filter(broker: &Broker, args: DeadFilterArgs) -> Result<DeadFilter, CliError> {
    let now = broker.dead(None, 1).await?.now;
    let before = |ago: Duration| Timestamp(now.0.saturating_sub(millis(ago)));
    let time = |due: Due| match due {
        Due::After(ago) => before(ago),
        Due::At(at) => at,
    };
    Ok(DeadFilter {
        queue: args.queue.map(QueueName::new).transpose()?,
        task: args.task,
        error: args.error,
        fingerprint: args.fingerprint,
        since: args.since.map(time),
        until: args.until.map(time).or(args.older_than.map(before)),
    })
}
