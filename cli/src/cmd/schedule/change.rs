//! Making and changing schedules. Each change tells when the schedule is due after it.

use celeriac_broker_schema::script::ScheduleView;
use celeriac_broker_schema::{ScheduleSpec, TaskId, TaskName, Timestamp, Timing};
use celeriac_producer::{NewTask, Producer, Replace, Schedule, ScheduleName};
use serde::Serialize;
use serde_json::value::RawValue;

use super::schedules;
use crate::args::{TaskArgs, WhenArgs, WhoArgs};
use crate::cmd::enqueue::spec::TaskSpec;
use crate::deed::note;
use crate::error::CliError;
use crate::format;
use crate::globals::Globals;
use crate::output;
use crate::requester::requester;

/// A schedule as the command line describes it.
pub(super) fn new(task: &str, when: &WhenArgs, options: TaskArgs) -> Result<Schedule, CliError> {
    let none = RawValue::from_string("{}".to_owned()).expect("an empty object is JSON");
    let task = NewTask::from_raw(TaskName::new(task.to_owned())?, none, Default::default());
    let schedule = match (&when.cron, when.every) {
        (Some(expression), _) => Schedule::cron(expression, task),
        (None, Some(interval)) => Schedule::every(interval, task),
        (None, None) => {
            let text = "say when it runs: --cron EXPRESSION or --every TIME";
            return Err(CliError::Arguments(text.to_owned()));
        }
    };
    with_options(schedule, when, options)
}

fn with_options(
    mut schedule: Schedule,
    when: &WhenArgs,
    options: TaskArgs,
) -> Result<Schedule, CliError> {
    if let Some(zone) = &when.zone {
        schedule = schedule.zone(zone);
    }
    if let Some(missed) = when.missed {
        schedule = schedule.missed(missed);
    }
    if let Some(overlap) = when.overlap {
        schedule = schedule.overlap(overlap);
    }
    let spec = TaskSpec::from_options(options)?;
    let schedule = schedule.with(|task| {
        let task = when.expires.into_iter().fold(task, NewTask::expires_after);
        spec.change(task)
    });
    schedule.check()?;
    Ok(schedule)
}

#[derive(Serialize)]
struct DueLine<'a> {
    name: &'a str,
    /// When it is due; null: it is paused, or will never be.
    due: Option<Timestamp>,
}

fn tell_due(
    name: &ScheduleName,
    due: Option<Timestamp>,
    globals: &Globals,
) -> Result<(), CliError> {
    if globals.json {
        return output::json(&DueLine { name: name.as_str(), due });
    }
    match due {
        Some(due) => output::line(format_args!("{name} is due at {}", format::time(due))),
        None => output::line(format_args!("{name} is paused, or will never be due again")),
    }
}

pub(super) async fn put(
    name: &ScheduleName,
    schedule: &Schedule,
    replace: bool,
    globals: &Globals,
) -> Result<(), CliError> {
    let replace = if replace { Replace::Any } else { Replace::Nothing };
    let due = schedules(globals).await?.put(name, schedule, replace).await?;
    tell_due(name, due, globals)
}

pub(super) async fn edit(
    name: &ScheduleName,
    when: &WhenArgs,
    options: TaskArgs,
    globals: &Globals,
) -> Result<(), CliError> {
    let schedules = schedules(globals).await?;
    let (_, view) = schedules.get(name).await?;
    let mut schedule = Schedule::of(&view).map_err(|error| {
        CliError::Arguments(format!("schedule {name} cannot be edited: {error}"))
    })?;
    if when.zone.is_some() && when.cron.is_none() && runs_in_intervals(&view) {
        return Err(CliError::Arguments(format!(
            "schedule {name} runs in equal intervals, which have no time zone: --zone goes with --cron"
        )));
    }
    if let Some(expression) = &when.cron {
        schedule = schedule.by_cron(expression);
    }
    if let Some(interval) = when.every {
        schedule = schedule.by_interval(interval);
    }
    if options.queue.as_ref().is_some_and(|queue| queue.contains('@')) {
        // It says what the task needs from now on.
        schedule = schedule.with(|mut task| {
            task.needs = None;
            task
        });
    }
    let schedule = with_options(schedule, when, options)?;
    let due = schedules.put(name, &schedule, Replace::Revision(view.revision)).await?;
    tell_due(name, due, globals)
}

fn runs_in_intervals(view: &ScheduleView) -> bool {
    ScheduleSpec::decode(&view.spec).is_ok_and(|spec| matches!(spec.timing, Timing::Every { .. }))
}

pub(super) async fn pause(
    name: &ScheduleName,
    who: &WhoArgs,
    globals: &Globals,
) -> Result<(), CliError> {
    let (broker, who) = (globals.connect().await?, requester(who));
    let [by, why] = [&who.by, &who.why].map(|text| text.as_deref().unwrap_or_default());
    Producer::new(broker.clone()).schedules().pause(name, by, why).await?;
    note(&broker, "pause-schedule", format!("schedule={name}"), &who, 1).await;
    if globals.json {
        return output::json(&DueLine { name: name.as_str(), due: None });
    }
    output::line(format_args!("{name} is paused"))
}

pub(super) async fn resume(name: &ScheduleName, globals: &Globals) -> Result<(), CliError> {
    let due = schedules(globals).await?.resume(name).await?;
    tell_due(name, due, globals)
}

pub(super) async fn skip(name: &ScheduleName, globals: &Globals) -> Result<(), CliError> {
    let (skipped, due) = schedules(globals).await?.skip(name).await?;
    globals.talk(format_args!("left out: {}", format::time(skipped)));
    tell_due(name, due, globals)
}

#[derive(Serialize)]
struct Enqueued {
    id: TaskId,
}

pub(super) async fn run_now(name: &ScheduleName, globals: &Globals) -> Result<(), CliError> {
    let id = schedules(globals).await?.run_now(name).await?;
    if globals.json { output::json(&Enqueued { id }) } else { output::line(id) }
}

pub(super) async fn remove(name: &ScheduleName, globals: &Globals) -> Result<(), CliError> {
    schedules(globals).await?.remove(name).await?;
    if globals.json {
        return output::json(&DueLine { name: name.as_str(), due: None });
    }
    output::line(format_args!("{name} is removed"))
}
