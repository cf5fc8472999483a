//! The list of dead letters, one by one or in groups.

use celeriac_broker_schema::{DeadGroup, DeadGroupsPage, DeadLetter, ErrorKind, Timestamp};
use serde::Serialize;

use super::filter;
use crate::args::DeadArgs;
use crate::error::CliError;
use crate::format::{grouped, time_and_distance};
use crate::globals::Globals;
use crate::output::{self, Align, Table};

/// So much of a message fits into a line.
const SHORT: usize = 80;

#[derive(Serialize)]
struct Letters {
    /// Redis time.
    now: Timestamp,
    /// Dead letters in all, whether asked for or not.
    total: u64,
    /// Whether there are more than are shown.
    more: bool,
    letters: Vec<DeadLetter>,
}

pub(super) async fn letters(args: &DeadArgs, globals: &Globals) -> Result<(), CliError> {
    let broker = globals.connect().await?;
    let filter = filter(&broker, args.filter.clone()).await?;
    let limit = args.limit as usize;
    let mut page = broker.dead_where(&filter, None).await?;
    let (now, total) = (page.now, page.total);
    let mut letters = page.letters;
    while let Some(next) = page.next.filter(|_| letters.len() <= limit) {
        page = broker.dead_where(&filter, Some(next)).await?;
        letters.append(&mut page.letters);
    }
    let more = letters.len() > limit;
    letters.truncate(limit);
    let found = Letters { now, total, more, letters };
    if globals.json {
        return output::json(&found);
    }
    if found.letters.is_empty() {
        return output::line(nothing(found.total));
    }
    let mut table = Table::new([
        ("ID", Align::Left),
        ("DIED", Align::Left),
        ("TASK", Align::Left),
        ("QUEUE", Align::Left),
        ("ATTEMPTS", Align::Right),
        ("KIND", Align::Left),
        ("ERROR", Align::Left),
    ]);
    for letter in &found.letters {
        table.row([
            letter.id.to_string(),
            time_and_distance(letter.at, found.now),
            letter.task.clone(),
            letter.queue.to_string(),
            grouped(attempts(letter)),
            kind(letter.error.kind),
            short(&letter.error.message),
        ]);
    }
    output::line(table.render())?;
    if found.more {
        globals
            .talk(format_args!("there are more: see --limit, --group and the options to filter"));
    }
    Ok(())
}

#[derive(Serialize)]
struct Groups {
    now: Timestamp,
    total: u64,
    /// How many groups there are, also those that are not shown.
    groups_total: u64,
    groups: Vec<DeadGroup>,
}

pub(super) async fn groups(args: &DeadArgs, globals: &Globals) -> Result<(), CliError> {
    let broker = globals.connect().await?;
    let filter = filter(&broker, args.filter.clone()).await?;
    let DeadGroupsPage { now, total, groups: mut all, mut next } =
        broker.dead_groups(&filter, None).await?;
    while let Some(after) = next {
        let page = broker.dead_groups(&filter, Some(after)).await?;
        all.merge(page.groups);
        next = page.next;
    }
    let mut groups = all.sorted();
    let groups_total = groups.len() as u64;
    groups.truncate(args.limit as usize);
    let found = Groups { now, total, groups_total, groups };
    if globals.json {
        return output::json(&found);
    }
    if found.groups.is_empty() {
        return output::line(nothing(found.total));
    }
    let mut table = Table::new([
        ("COUNT", Align::Right),
        ("TASK", Align::Left),
        ("KIND", Align::Left),
        ("FINGERPRINT", Align::Left),
        ("LAST", Align::Left),
        ("ERROR", Align::Left),
    ]);
    for group in &found.groups {
        table.row([
            grouped(group.count),
            group.task.clone(),
            kind(group.kind),
            group.fingerprint.clone(),
            time_and_distance(group.last, found.now),
            short(&group.message),
        ]);
    }
    output::line(table.render())
}

/// How many attempts it had: a revival is a mark between them.
fn attempts(letter: &DeadLetter) -> u64 {
    letter.attempts.iter().filter(|attempt| attempt.outcome != "revived").count() as u64
}

fn nothing(total: u64) -> String {
    match total {
        0 => "nothing is dead".to_owned(),
        total => format!("none of the dead letters ({} in all) is meant", grouped(total)),
    }
}

/// The word for a kind of trouble, as it is stored.
pub(super) fn kind(kind: ErrorKind) -> String {
    let word = serde_json::to_value(kind).ok();
    word.and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

fn short(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    match line.char_indices().nth(SHORT) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}
