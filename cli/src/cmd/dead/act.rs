//! Dead letters are revived or thrown away: those that are named, or all that are meant.

use celeriac_broker_schema::script::Revived;
use celeriac_broker_schema::{Broker, DeadFilter, Requester, TaskId};
use serde::Serialize;

use super::filter;
use crate::args::DeadActArgs;
use crate::cmd::refuse;
use crate::deed::{self, note};
use crate::error::CliError;
use crate::format::counted;
use crate::globals::Globals;
use crate::output;
use crate::requester::requester;

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Revive,
    /// Whether it was said that it is meant.
    Delete {
        yes: bool,
    },
}

impl Act {
    /// The word for one that it was done to.
    fn good(self) -> &'static str {
        match self {
            Self::Revive => Revived::Revived.as_str(),
            Self::Delete { .. } => "deleted",
        }
    }
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
    let who = requester(&args.who);
    let done = if args.all {
        let filter = filter(&broker, args.filter).await?;
        if act == (Act::Delete { yes: false }) && !args.dry_run {
            return not_meant(all_meant(&broker, &filter).await?, globals);
        }
        act_on_all(&broker, &filter, act, args.dry_run, &who).await?
    } else {
        let ids = args.ids.iter().map(|id| id.parse()).collect::<Result<Vec<TaskId>, _>>()?;
        act_on(&broker, &ids, act, args.dry_run, &who).await?
    };
    if !args.dry_run {
        noted(&broker, &done, act, args.all, &who).await;
    }
    report(&done, act, args.dry_run, &who, globals)
}

/// Notes it as the monitor does.
async fn noted(broker: &Broker, done: &[Done], act: Act, all: bool, who: &Requester) {
    let action = match (act, all) {
        (Act::Revive, false) => "revive",
        (Act::Revive, true) => "revive-matching",
        (Act::Delete { .. }, false) => "discard",
        (Act::Delete { .. }, true) => "discard-matching",
    };
    let good = act.good();
    let changed = done.iter().filter(|done| done.result == good).count() as u64;
    let ids: Vec<TaskId> = done.iter().map(|done| done.id).collect();
    note(broker, action, deed::ids(&ids), who, changed).await;
}

/// What it would have been done to.
#[derive(Serialize)]
struct Meant {
    dead_letters: usize,
}

fn not_meant(done: Vec<Done>, globals: &Globals) -> Result<(), CliError> {
    let text = format!(
        "this would throw {} away; with --yes it is done, and --dry-run shows which ones they are",
        counted(done.len() as u64, "dead letter")
    );
    refuse(text, &Meant { dead_letters: done.len() }, globals)
}

async fn all_meant(broker: &Broker, filter: &DeadFilter) -> Result<Vec<Done>, CliError> {
    let (mut meant, mut after) = (Vec::new(), None);
    loop {
        let page = broker.dead_where(filter, after).await?;
        meant.extend(page.letters.iter().map(|letter| Done { id: letter.id, result: "meant" }));
        after = page.next;
        if after.is_none() {
            return Ok(meant);
        }
    }
}

async fn act_on_all(
    broker: &Broker,
    filter: &DeadFilter,
    act: Act,
    dry_run: bool,
    who: &Requester,
) -> Result<Vec<Done>, CliError> {
    if dry_run {
        return all_meant(broker, filter).await;
    }
    let (mut done, mut after) = (Vec::new(), None);
    loop {
        match act {
            Act::Revive => {
                let page = broker.revive_where(filter, after, who).await?;
                done.extend(page.done.into_iter().map(Done::revived));
                after = page.next;
            }
            Act::Delete { .. } => {
                let page = broker.discard_where(filter, after).await?;
                done.extend(page.done.into_iter().map(Done::deleted));
                after = page.next;
            }
        }
        if after.is_none() {
            return Ok(done);
        }
    }
}

async fn act_on(
    broker: &Broker,
    ids: &[TaskId],
    act: Act,
    dry_run: bool,
    who: &Requester,
) -> Result<Vec<Done>, CliError> {
    Ok(match act {
        _ if dry_run => {
            let mut done = Vec::with_capacity(ids.len());
            for id in ids {
                let there = broker.dead_letter(*id).await?.is_some();
                done.push(Done { id: *id, result: if there { "meant" } else { "unknown" } });
            }
            done
        }
        Act::Revive => broker.revive(ids, who).await?.into_iter().map(Done::revived).collect(),
        Act::Delete { .. } => {
            let gone = broker.discard(ids).await?;
            ids.iter().copied().zip(gone).map(Done::deleted).collect()
        }
    })
}

impl Done {
    fn revived((id, word): (TaskId, Revived)) -> Self {
        Self { id, result: word.as_str() }
    }

    fn deleted((id, gone): (TaskId, bool)) -> Self {
        Self { id, result: if gone { "deleted" } else { "unknown" } }
    }
}

fn report(
    done: &[Done],
    act: Act,
    dry_run: bool,
    who: &Requester,
    globals: &Globals,
) -> Result<(), CliError> {
    if globals.json {
        output::json(&done)?;
    } else {
        for Done { id, result } in done {
            output::line(format_args!("{id} {result}"))?;
        }
    }
    let good = if dry_run { "meant" } else { act.good() };
    let count = |word: &str| done.iter().filter(|done| done.result == word).count() as u64;
    let who = if dry_run { String::new() } else { format!(" {who}") };
    globals.talk(format_args!("{} {good}{who}", counted(count(good), "dead letter")));
    match done.iter().find(|done| done.result != good) {
        None => Ok(()),
        Some(Done { id, result: "unknown" }) => Err(CliError::NotDead(*id)),
        Some(_) => Err(CliError::NotRevived(done.len() as u64 - count(good))),
    }
}
