//! Dead letters are revived or thrown away: those that are named, or all that are meant.

use celeriac_broker_schema::script::Revived;
use celeriac_broker_schema::{Broker, TaskId};
use serde::Serialize;

use super::Walk;
use crate::args::DeadActArgs;
use crate::error::CliError;
use crate::format::counted;
use crate::globals::Globals;
use crate::output;

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Revive,
    Delete,
}

/// What became of one of them.
#[derive(Debug, Serialize)]
struct Done {
    id: TaskId,
    /// `revived`, `deleted`, `unknown`, `job_over`, `locked`, `unreadable`; with --dry-run `meant`.
    result: &'static str,
}

pub(super) async fn run(args: DeadActArgs, act: Act, globals: &Globals) -> Result<(), CliError> {
    if !args.all && args.filter != Default::default() {
        let message = "the options that say which ones are meant need --all";
        return Err(CliError::Arguments(message.to_owned()));
    }
    let broker = globals.connect().await?;
    let done = if args.all {
        let mut walk = Walk::begin(&broker, args.filter).await?;
        let mut done = Vec::new();
        while let Some(page) = walk.next().await? {
            let ids: Vec<TaskId> = page.iter().map(|letter| letter.id).collect();
            done.extend(carry_out(&broker, &ids, act, args.dry_run).await?);
        }
        done
    } else {
        let ids = args.ids.iter().map(|id| id.parse()).collect::<Result<Vec<TaskId>, _>>()?;
        carry_out(&broker, &ids, act, args.dry_run).await?
    };
    report(&done, act, args.dry_run, globals)
}

async fn carry_out(
    broker: &Broker,
    ids: &[TaskId],
    act: Act,
    dry_run: bool,
) -> Result<Vec<Done>, CliError> {
    let mut done = Vec::with_capacity(ids.len());
    match act {
        _ if dry_run => {
            for id in ids {
                let result =
                    if broker.dead_letter(*id).await?.is_some() { "meant" } else { "unknown" };
                done.push(Done { id: *id, result });
            }
        }
        Act::Revive => {
            let revived = broker.revive(ids).await?;
            done.extend(revived.into_iter().map(|(id, word)| Done { id, result: word.as_str() }));
        }
        Act::Delete => {
            for id in ids {
                let gone = broker.discard(&[*id]).await? > 0;
                done.push(Done { id: *id, result: if gone { "deleted" } else { "unknown" } });
            }
        }
    }
    Ok(done)
}

fn report(done: &[Done], act: Act, dry_run: bool, globals: &Globals) -> Result<(), CliError> {
    if globals.json {
        output::json(&done)?;
    } else {
        for Done { id, result } in done {
            output::line(format_args!("{id} {result}"))?;
        }
    }
    let good = match act {
        _ if dry_run => "meant",
        Act::Revive => Revived::Revived.as_str(),
        Act::Delete => "deleted",
    };
    let count = |word: &str| done.iter().filter(|done| done.result == word).count() as u64;
    globals.talk(format_args!("{} {good}", counted(count(good), "dead letter")));
    match done.iter().find(|done| done.result != good) {
        None => Ok(()),
        Some(Done { id, result: "unknown" }) => Err(CliError::NotDead(*id)),
        Some(_) => Err(CliError::NotRevived(done.len() as u64 - count(good))),
    }
}
