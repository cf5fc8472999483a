//! Schedules.

use celeriac_broker_schema::script::ScheduleView;
use celeriac_broker_schema::{Note, Requester, ScheduleName, ScheduleSpec, Timing};

use super::cursor::Cursor;
use super::query::{Limit, query};
use super::refusal::Refusal;
use super::reply::Told;
use super::shapes::{LastRun, OneSchedule, Schedule, Schedules};
use super::table::{Call, Table, words};
use crate::redact::Redaction;

/// Times that are told beyond the next one.
const UPCOMING: usize = 3;

pub(super) fn add(table: &mut Table) {
    table.get("/schedules", words("listSchedules", "schedules", "All schedules", ""), list);
    table.get("/schedules/{name}", words("getSchedule", "schedules", "One schedule", ""), one);
}

query! {
    struct SchedulesQuery {
        /// Most schedules of a page.
        limit: Limit<50, 200>,
        /// `next` of the page before.
        cursor: Cursor,
    }
}

async fn list(call: Call<(), SchedulesQuery>) -> Result<Told<Schedules>, Refusal> {
    let offset =
        Cursor::read(call.query.cursor.as_ref(), "schedules", |at| at.parse::<u64>().ok())?;
    let (offset, limit) = (offset.unwrap_or(0), Limit::of(call.query.limit));
    let hidden = &call.monitor.config().redaction;
    let found = call.monitor.broker().schedules(None, offset, limit).await?;
    let next = offset + found.page.len() as u64;
    Ok(Told::new(Schedules {
        now: found.now,
        total: found.total,
        schedules: found.page.iter().map(|view| told(view, hidden)).collect(),
        next: (next < found.total && !found.page.is_empty())
            .then(|| Cursor::new("schedules", next)),
    }))
}

async fn one(call: Call<ScheduleName>) -> Result<Told<OneSchedule>, Refusal> {
    let hidden = &call.monitor.config().redaction;
    let found = call.monitor.broker().schedules(Some(&call.path), 0, 1).await?;
    match found.page.first() {
        Some(view) => Ok(Told::new(OneSchedule { now: found.now, schedule: told(view, hidden) })),
        None => Err(Refusal::not_found(
            "urn:celeriac:problem:unknown-schedule",
            "Unknown schedule",
            format!("there is no schedule {}", call.path),
        )),
    }
}

fn told(view: &ScheduleView, hidden: &Redaction) -> Schedule {
    let spec = ScheduleSpec::decode(&view.spec);
    let unreadable = spec.as_ref().err().map(ToString::to_string);
    let spec = spec.ok();
    let record = spec.as_ref().and_then(|spec| spec.task().ok());
    let (cron, zone, every_ms) = match spec.as_ref().map(|spec| &spec.timing) {
        Some(Timing::Cron(cron)) => {
            (Some(cron.expression().to_owned()), Some(cron.zone().to_owned()), None)
        }
        Some(Timing::Every { every_ms, .. }) => (None, None, Some(*every_ms)),
        None => (None, None, None),
    };
    let upcoming = view
        .due
        .zip(spec.as_ref())
        .map(|(due, spec)| spec.timing.upcoming(due).take(UPCOMING).collect());
    let paused = view.paused.as_ref().map(|paused| {
        let said = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        Note { at: paused.at, who: Requester { by: said(&paused.by), why: said(&paused.why) } }
    });
    let last = view.last.as_ref().map(|last| LastRun {
        task: last.task,
        at: last.at,
        due: last.due,
        running: last.running,
    });
    let name = record.as_ref().map(|record| record.task.to_string());
    let mut args = record.as_ref().map(|record| record.args.to_owned());
    hidden.args(name.as_deref(), &mut args);
    Schedule {
        name: view.name.to_string(),
        revision: view.revision,
        unreadable,
        task: name,
        queue: record.as_ref().map(|record| record.options().queue.to_string()),
        args,
        cron,
        zone,
        every_ms,
        missed_policy: spec.as_ref().map(|spec| spec.missed),
        overlap_policy: spec.as_ref().map(|spec| spec.overlap),
        due: view.due,
        upcoming: upcoming.unwrap_or_default(),
        paused,
        created: view.created,
        changed: view.changed,
        last,
        runs: view.runs,
        missed: view.missed,
        overlapped: view.overlapped,
        refused: view.refused,
    }
}
