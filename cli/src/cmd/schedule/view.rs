//! Showing schedules and their next times.

use std::time::{SystemTime, UNIX_EPOCH};

use celeriac_broker_schema::script::ScheduleView;
use celeriac_broker_schema::time::millis;
use celeriac_broker_schema::{ScheduleSpec, TaskId, Timestamp};
use celeriac_producer::{Missed, Overlap, ScheduleName, Timing};
use serde::Serialize;
use serde_json::value::RawValue;

use super::schedules;
use crate::args::NextArgs;
use crate::error::CliError;
use crate::format::{grouped, time, time_and_distance};
use crate::globals::Globals;
use crate::output::{self, Align, Table, facts};

/// Schedules asked for in one call.
const PAGE: u32 = 200;

#[derive(Serialize)]
struct List {
    /// Redis time.
    now: Timestamp,
    schedules: Vec<Line>,
}

/// A schedule as JSON.
#[derive(Debug, Serialize)]
struct Line {
    name: String,
    revision: u64,
    /// `active`, `paused`, `over` (never due again) or `unreadable`.
    state: &'static str,
    /// The timing, for people.
    when: String,
    cron: Option<String>,
    zone: Option<String>,
    every_ms: Option<u64>,
    task: String,
    queue: String,
    /// The record of the task.
    record: Option<Box<RawValue>>,
    missed_runs: Option<Missed>,
    overlap: Option<Overlap>,
    expires_after_ms: Option<u64>,
    due: Option<Timestamp>,
    paused: Option<PausedLine>,
    created: Timestamp,
    changed: Timestamp,
    last: Option<LastLine>,
    runs: u64,
    missed: u64,
    overlapped: u64,
    refused: u64,
    last_refusal: Option<RefusalLine>,
}

#[derive(Debug, Serialize)]
struct RefusalLine {
    at: Timestamp,
    why: String,
}

#[derive(Debug, Serialize)]
struct PausedLine {
    at: Timestamp,
    by: String,
    why: String,
}

#[derive(Debug, Serialize)]
struct LastLine {
    task: TaskId,
    at: Timestamp,
    due: Option<Timestamp>,
    running: bool,
}

impl Line {
    fn new(view: ScheduleView) -> Self {
        // What a newer version wrote may be unreadable; the rest is not.
        let spec = ScheduleSpec::decode(&view.spec).ok();
        let spec = spec.as_ref();
        let record = spec.and_then(|spec| spec.task().ok());
        let (cron, zone, every_ms) = match spec.map(|spec| &spec.timing) {
            Some(Timing::Cron(timing)) => {
                (Some(timing.expression().to_owned()), Some(timing.zone().to_owned()), None)
            }
            Some(Timing::Every { every_ms, .. }) => (None, None, Some(*every_ms)),
            None => (None, None, None),
        };
        let state = match (spec, &view.paused, view.due) {
            (None, ..) => "unreadable",
            (_, Some(_), _) => "paused",
            (_, None, None) => "over",
            (_, None, Some(_)) => "active",
        };
        let unknown = || "?".to_owned();
        Self {
            name: view.name.as_str().to_owned(),
            revision: view.revision,
            state,
            when: spec.map_or_else(unknown, |spec| spec.timing.describe()),
            cron,
            zone,
            every_ms,
            task: record.as_ref().map_or_else(unknown, |record| record.task.to_string()),
            queue: record.map_or_else(unknown, |record| record.options().queue.to_string()),
            record: spec.and_then(|spec| RawValue::from_string(spec.record.clone()).ok()),
            missed_runs: spec.map(|spec| spec.missed),
            overlap: spec.map(|spec| spec.overlap),
            expires_after_ms: spec.and_then(|spec| spec.expires_after_ms),
            due: view.due,
            paused: view.paused.map(|paused| PausedLine {
                at: paused.at,
                by: paused.by,
                why: paused.why,
            }),
            created: view.created,
            changed: view.changed,
            last: view.last.map(|last| LastLine {
                task: last.task,
                at: last.at,
                due: last.due,
                running: last.running,
            }),
            runs: view.runs,
            missed: view.missed,
            overlapped: view.overlapped,
            refused: view.refused,
            last_refusal: view
                .last_refusal
                .map(|(at, why)| RefusalLine { at, why: why.to_string() }),
        }
    }
}

pub(super) async fn list(globals: &Globals) -> Result<(), CliError> {
    let schedules = schedules(globals).await?;
    let mut list = List { now: Timestamp(0), schedules: Vec::new() };
    loop {
        let page = schedules.list(list.schedules.len() as u64, PAGE).await?;
        list.now = page.now;
        let none_left = page.page.is_empty();
        list.schedules.extend(page.page.into_iter().map(Line::new));
        if none_left || list.schedules.len() as u64 >= page.total {
            break;
        }
    }
    if globals.json {
        return output::json(&list);
    }
    if list.schedules.is_empty() {
        return output::line("there is no schedule; make one with `celeriac schedule add`");
    }
    output::line(table(&list).render())
}

fn table(list: &List) -> Table {
    let mut table = Table::new([
        ("SCHEDULE", Align::Left),
        ("STATE", Align::Left),
        ("TASK", Align::Left),
        ("WHEN", Align::Left),
        ("DUE", Align::Left),
        ("RUNS", Align::Right),
        ("MISSED", Align::Right),
        ("OVERLAPPED", Align::Right),
    ]);
    for line in &list.schedules {
        table.row([
            line.name.clone(),
            line.state.to_owned(),
            line.task.clone(),
            line.when.clone(),
            line.due.map(|due| time_and_distance(due, list.now)).unwrap_or_default(),
            grouped(line.runs),
            grouped(line.missed),
            grouped(line.overlapped),
        ]);
    }
    table
}

pub(super) async fn show(name: &ScheduleName, globals: &Globals) -> Result<(), CliError> {
    let (now, view) = schedules(globals).await?.get(name).await?;
    let line = Line::new(view);
    if globals.json {
        return output::json(&line);
    }
    let mut pairs = vec![
        ("schedule", line.name),
        ("state", line.state.to_owned()),
        ("when", line.when),
        ("task", line.task),
        ("queue", line.queue),
    ];
    if let Some(record) = &line.record {
        pairs.push(("record", record.get().to_owned()));
    }
    if let Some(due) = line.due {
        pairs.push(("due", time_and_distance(due, now)));
    }
    if let Some(PausedLine { at, by, why }) = line.paused {
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        pairs.push(("paused", format!("{} by {by}{why}", time_and_distance(at, now))));
    }
    if let Some(last) = line.last {
        let running = if last.running { ", has not ended" } else { "" };
        pairs.push((
            "last run",
            format!("{} at {}{running}", last.task, time_and_distance(last.at, now)),
        ));
    }
    pairs.push(("runs", grouped(line.runs)));
    pairs.push(("missed", grouped(line.missed)));
    pairs.push(("overlapped", grouped(line.overlapped)));
    if let Some(RefusalLine { at, why }) = line.last_refusal {
        let last = time_and_distance(at, now);
        let refused = grouped(line.refused);
        pairs.push(("refused", format!("{refused}, the last at {last}: its queue was {why}")));
    }
    pairs.push(("created", time_and_distance(line.created, now)));
    output::line(facts(&pairs))
}

#[derive(Serialize)]
struct NextTime {
    at: Timestamp,
    /// As the clocks of its zone show it.
    local: String,
}

pub(super) async fn next(args: &NextArgs, globals: &Globals) -> Result<(), CliError> {
    let number = usize::from(args.number);
    let (now, timing, times) = if is_expression(&args.what) {
        let timing = Timing::cron(&args.what, args.zone.as_deref().unwrap_or("UTC"))?;
        let now = local_now();
        let times = timing.upcoming(now).take(number).collect();
        (now, timing, times)
    } else {
        next_of(&super::named(&args.what)?, number, globals).await?
    };
    let zone = match (&args.zone, &timing) {
        (Some(zone), _) => zone,
        (None, Timing::Cron(timing)) => timing.zone(),
        (None, Timing::Every { .. }) => "UTC",
    };
    let times: Vec<NextTime> =
        times.into_iter().map(|at| NextTime { at, local: in_zone(at, zone) }).collect();
    if globals.json {
        return output::json(&times);
    }
    for NextTime { at, local } in &times {
        let distance = time_and_distance(*at, now);
        let distance = distance.split_once(' ').map_or("", |(_, distance)| distance);
        output::line(format_args!("{local} {distance}"))?;
    }
    if times.is_empty() {
        globals.talk("it is paused, or will never be due again");
    }
    Ok(())
}

/// A name has neither spaces nor an @.
fn is_expression(what: &str) -> bool {
    what.starts_with('@') || what.contains(char::is_whitespace)
}

async fn next_of(
    name: &ScheduleName,
    number: usize,
    globals: &Globals,
) -> Result<(Timestamp, Timing, Vec<Timestamp>), CliError> {
    let (now, view) = schedules(globals).await?.get(name).await?;
    let spec = ScheduleSpec::decode(&view.spec)
        .map_err(|error| CliError::Arguments(format!("schedule {name}: {error}")))?;
    // The next run may be one that was put off (`skip`).
    let times = match view.due {
        Some(due) => {
            let later = spec.timing.upcoming(due.max(now));
            std::iter::once(due).chain(later).take(number).collect()
        }
        None => Vec::new(),
    };
    Ok((now, spec.timing, times))
}

/// For an expression alone, which is asked about without Redis.
fn local_now() -> Timestamp {
    Timestamp(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis))
}

/// `Mon 2026-03-30 09:00:00 +02:00`.
fn in_zone(at: Timestamp, zone: &str) -> String {
    let zoned = i64::try_from(at.0)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .and_then(|time| time.in_tz(zone).ok());
    zoned.map_or_else(|| time(at), |time| time.strftime("%a %Y-%m-%d %H:%M:%S %:z").to_string())
}
