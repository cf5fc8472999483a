//! `schedules`: a page of all schedules, or one of them.

use std::collections::HashMap;

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::TaskId;
use crate::keys::Keys;
use crate::name::ScheduleName;
use crate::reply::Reply;
use crate::script::fire::NoRoom;
use crate::script::script;
use crate::time::Timestamp;

script!(SCHEDULES, "schedules", " flags=no-writes", ["base", "schedules"]);

/// A page of the schedules of a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedules {
    /// Redis time.
    pub now: Timestamp,
    /// How many there are in all.
    pub total: u64,
    /// Those of this page, in the order of their names.
    pub page: Vec<ScheduleView>,
}

/// One schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleView {
    /// Its name.
    pub name: ScheduleName,
    /// Its revision: it grows with every change.
    pub revision: u64,
    /// Its stored description (see [`crate::ScheduleSpec`]).
    pub spec: String,
    /// When it is due. None: it is paused, or will never be due again.
    pub due: Option<Timestamp>,
    /// Who paused it, if it is paused.
    pub paused: Option<Paused>,
    /// When it was made.
    pub created: Timestamp,
    /// When its description was last changed.
    pub changed: Timestamp,
    /// Its last run.
    pub last: Option<LastRun>,
    /// How many tasks were enqueued for it.
    pub runs: u64,
    /// Times that passed while nobody was there, and were not made up for.
    pub missed: u64,
    /// Runs that were left out since the last one had not ended.
    pub overlapped: u64,
    /// Runs that were left out since their queue took none.
    pub refused: u64,
    /// When that happened the last time, and why.
    pub last_refusal: Option<(Timestamp, NoRoom)>,
}

/// Who paused a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paused {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// Why.
    pub why: String,
}

/// The last run of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRun {
    /// Its task.
    pub task: TaskId,
    /// When it was enqueued.
    pub at: Timestamp,
    /// When the schedule was due the last time that it ran by itself.
    pub due: Option<Timestamp>,
    /// Whether the task has not ended.
    pub running: bool,
}

pub(crate) async fn schedules(
    connections: &Connections,
    keys: &Keys,
    name: Option<&ScheduleName>,
    offset: u64,
    limit: u32,
) -> Result<Schedules, BrokerError> {
    let mut command = SCHEDULES.command(keys.prefix());
    command.arg(name.map_or("", ScheduleName::as_str)).arg(offset).arg(limit);
    let mut reply = Reply::new(SCHEDULES.name, connections.run(&SCHEDULES, &command).await?)?;
    let now = Timestamp(reply.number("now")?);
    let total = reply.number("total")?;
    let mut found = reply.array("schedules")?;
    let mut page = Vec::new();
    while !found.is_empty() {
        page.push(read_schedule(&mut found)?);
    }
    Ok(Schedules { now, total, page })
}

fn read_schedule(found: &mut Reply) -> Result<ScheduleView, BrokerError> {
    let name: ScheduleName = found.parsed("name")?;
    let due = Some(Timestamp(found.number("due")?)).filter(|at| at.0 > 0);
    let running = found.number("running")? == 1;
    let mut fields: HashMap<String, String> =
        found.array("fields")?.pairs("field")?.into_iter().collect();
    let number = |field: &str| fields.get(field).and_then(|text| text.parse::<u64>().ok());
    let time = |field: &str| number(field).map(Timestamp);
    let task = fields.get("last_task").and_then(|id| id.parse().ok());
    let last = task.zip(time("last_at"));
    let last = last.map(|(task, at)| LastRun { task, at, due: time("last_due"), running });
    let (revision, created) = (number("revision"), time("created").unwrap_or_default());
    let changed = time("changed").unwrap_or(created);
    let counts =
        ["runs", "missed", "overlapped", "refused"].map(|field| number(field).unwrap_or(0));
    let [runs, missed, overlapped, refused] = counts;
    let why = fields.get("refused_why").and_then(|why| NoRoom::from_word(why));
    let last_refusal = time("refused_at").zip(why);
    let paused_at = time("paused_at");
    let mut text = |field: &str| fields.remove(field).unwrap_or_default();
    let paused = paused_at.map(|at| Paused { at, by: text("paused_by"), why: text("paused_why") });
    let spec = text("spec");
    let revision = revision.ok_or_else(|| found.error(format!("{name} has no revision")))?;
    Ok(ScheduleView {
        name,
        revision,
        spec,
        due,
        paused,
        created,
        changed,
        last,
        runs,
        missed,
        overlapped,
        refused,
        last_refusal,
    })
}
