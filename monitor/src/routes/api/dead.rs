//! Dead letters: a list, groups of the same sort of error, and single ones.

use celeriac_broker_schema::{
    DeadCursor, DeadFilter, DeadGroup, DeadLetter, QueueName, TaskFailure, TaskId, TaskName,
    Timestamp,
};

use super::cursor::Cursor;
use super::query::{Limit, query};
use super::refusal::Refusal;
use super::reply::Told;
use super::shapes::{DeadGroups, DeadLetters};
use super::table::{Call, Table, words};
use crate::state::Monitor;

/// Most pages of the engine that one answer adds up: a thousand dead letters.
const PAGES: usize = 5;

pub(super) fn add(table: &mut Table) {
    table.get(
        "/dead",
        words(
            "listDead",
            "dead letters",
            "Tasks that failed for good",
            "The newest first, those that all that is set holds for.",
        ),
        list,
    );
    table.get(
        "/dead/groups",
        words(
            "groupDead",
            "dead letters",
            "Dead letters by sort of error",
            "Counts of a thousand dead letters at a time, by task and fingerprint.",
        ),
        groups,
    );
    table.get(
        "/dead/{id}",
        words("getDead", "dead letters", "One dead letter", "With its arguments and all attempts."),
        one,
    );
}

query! {
    struct DeadQuery {
        /// Of this queue.
        queue: QueueName,
        /// Of the task with this name.
        task: TaskName,
        /// Whose error says this somewhere, or is of this kind; upper and lower case are the same.
        error: String,
        /// Whose error has this fingerprint.
        fingerprint: String,
        /// That failed for good at this time or later.
        since: Timestamp,
        /// That failed for good before this time.
        until: Timestamp,
        /// Most dead letters of a page.
        limit: Limit<50, 200>,
        /// `next` of the page before.
        cursor: Cursor,
    }
}

query! {
    struct GroupsQuery {
        /// Of this queue.
        queue: QueueName,
        /// Of the task with this name.
        task: TaskName,
        /// Whose error says this somewhere, or is of this kind; upper and lower case are the same.
        error: String,
        /// That failed for good at this time or later.
        since: Timestamp,
        /// That failed for good before this time.
        until: Timestamp,
        /// `next` of the page before.
        cursor: Cursor,
    }
}

fn cursor(list: &str, (at, id): DeadCursor) -> Cursor {
    Cursor::new(list, format_args!("{at} {id}"))
}

fn read_cursor(text: &str) -> Option<DeadCursor> {
    let (at, id) = text.split_once(' ')?;
    Some((Timestamp(at.parse().ok()?), id.parse().ok()?))
}

async fn list(call: Call<(), DeadQuery>) -> Result<Told<DeadLetters>, Refusal> {
    let DeadQuery { queue, task, error, fingerprint, since, until, limit, cursor: after } =
        call.query;
    let task = task.map(|task| task.to_string());
    let filter = DeadFilter { queue, task, error, fingerprint, since, until };
    let after = Cursor::read(after.as_ref(), "dead", read_cursor)?;
    let mut page = call.monitor.broker().dead_where(&filter, after).await?;
    let limit = Limit::of(limit) as usize;
    if page.letters.len() > limit {
        page.letters.truncate(limit);
        page.next = page.letters.last().map(|last| (last.at, last.id));
    }
    page.letters.iter_mut().for_each(|letter| hide(letter, &call.monitor));
    Ok(Told::new(DeadLetters {
        now: page.now,
        total: page.total,
        letters: page.letters,
        next: page.next.map(|next| cursor("dead", next)),
    }))
}

async fn groups(call: Call<(), GroupsQuery>) -> Result<Told<DeadGroups>, Refusal> {
    let GroupsQuery { queue, task, error, since, until, cursor: after } = call.query;
    let task = task.map(|task| task.to_string());
    let filter = DeadFilter { queue, task, error, fingerprint: None, since, until };
    let broker = call.monitor.broker();
    let after = Cursor::read(after.as_ref(), "groups", read_cursor)?;
    let mut all = broker.dead_groups(&filter, after).await?;
    for _ in 1..PAGES {
        let Some(next) = all.next else { break };
        let page = broker.dead_groups(&filter, Some(next)).await?;
        all.groups.merge(page.groups);
        all.next = page.next;
    }
    let mut groups = all.groups.sorted();
    groups.iter_mut().for_each(|group| hide_of_group(group, &call.monitor));
    Ok(Told::new(DeadGroups {
        now: all.now,
        total: all.total,
        groups,
        next: all.next.map(|next| cursor("groups", next)),
    }))
}

async fn one(call: Call<TaskId>) -> Result<Told<DeadLetter>, Refusal> {
    let letter = call.monitor.broker().dead_letter(call.path).await?;
    let shown = |mut letter| {
        hide(&mut letter, &call.monitor);
        Told::new(letter)
    };
    letter.map(shown).ok_or_else(|| {
        Refusal::not_found(
            "urn:celeriac:problem:unknown-dead-letter",
            "Unknown dead letter",
            format!("task {} is not among the dead letters: it did not fail for good, was revived, or is not kept any more", call.path),
        )
    })
}

/// Leaves out what is not to be shown.
fn hide(letter: &mut DeadLetter, monitor: &Monitor) {
    let hidden = &monitor.config().redaction;
    hidden.args(Some(&letter.task), &mut letter.args);
    let of_attempts = letter.attempts.iter_mut().filter_map(|attempt| attempt.error.as_mut());
    for failure in of_attempts.chain([&mut letter.error]) {
        hidden.failure(Some(&letter.task), failure);
    }
}

fn hide_of_group(group: &mut DeadGroup, monitor: &Monitor) {
    let mut failure = TaskFailure::new(group.kind, std::mem::take(&mut group.message));
    monitor.config().redaction.failure(Some(&group.task), &mut failure);
    group.message = failure.message;
}
