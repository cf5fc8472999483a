//! `celeriac workers`: who works here, and on what; and, in [`orders`], what they are told to do.

mod orders;

use std::time::Duration;

use celeriac_broker_schema::{Note, Timestamp};

use crate::args::WorkersArgs;
use crate::error::CliError;
use crate::fleet_view::{FleetView, WorkerLine};
use crate::format::{counted, grouped, mebibytes, span};
use crate::globals::Globals;
use crate::output::{self, Align, Table};

pub(crate) async fn run(args: &WorkersArgs, globals: &Globals) -> Result<(), CliError> {
    if let Some(order) = &args.order {
        return orders::run(order, globals).await;
    }

    let fleet = FleetView::read(&globals.connect().await?).await?;
    if globals.json {
        return output::json(&fleet);
    }
    if fleet.workers.is_empty() {
        output::line("no worker is alive; start one with `celeriac worker`")?;
    } else {
        output::line(table(&fleet).render())?;
    }
    match fleet.unreadable {
        0 => Ok(()),
        number => {
            output::line(format_args!("\n{number} more, of a version that this one cannot read"))
        }
    }
}

fn table(fleet: &FleetView) -> Table {
    let mut table = Table::new([
        ("LEASE", Align::Left),
        ("HOST", Align::Left),
        ("PID", Align::Right),
        ("QUEUES", Align::Left),
        ("BUSY", Align::Right),
        ("HELD", Align::Right),
        ("SUCCEEDED", Align::Right),
        ("FAILED", Align::Right),
        ("UP", Align::Right),
        ("MEMORY", Align::Right),
        ("RUNS", Align::Left),
    ]);
    for worker in &fleet.workers {
        table.row(row(worker, fleet.now));
    }
    table
}

fn row(worker: &WorkerLine, now: Timestamp) -> [String; 11] {
    let info = &worker.info;
    [
        worker.lease.clone(),
        info.host.clone(),
        info.pid.to_string(),
        info.queues.join(","),
        format!("{}/{}", info.busy, info.slots),
        grouped(u64::from(info.buffered)),
        grouped(info.succeeded),
        grouped(info.failed),
        span(Duration::from_millis(now.since(info.started))),
        info.rss_bytes.map_or_else(|| "?".to_owned(), mebibytes),
        runs(worker, now),
    ]
}

/// What it has been running for longest, or why it takes nothing new; and how many of its slots are
/// kept by what does not stop.
fn runs(worker: &WorkerLine, now: Timestamp) -> String {
    let info = &worker.info;
    let runs = match (info.running.first(), &info.leaving, &info.paused) {
        (_, Some(leaving), _) if info.draining => said("draining", leaving, now),
        _ if info.draining => "draining".to_owned(),
        (_, _, Some(paused)) => said("paused", paused, now),
        (None, ..) => "-".to_owned(),
        (Some(task), ..) => {
            let since = span(Duration::from_millis(now.since(task.since)));
            format!("{} for {since}", task.task)
        }
    };
    match u64::from(info.wedged_slots()) {
        0 => runs,
        wedged => format!("{} wedged; {runs}", counted(wedged, "slot")),
    }
}

/// Since when it takes nothing new, who said so, and why.
fn said(what: &str, note: &Note, now: Timestamp) -> String {
    let since = span(Duration::from_millis(now.since(note.at)));
    format!("{what} for {since}{}{}", note.who.by_whom(), note.who.and_why())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A worker that tells this besides, or in the place of, what all tell.
    fn worker(more: Value) -> WorkerLine {
        let mut info = json!({
            "host": "h", "pid": 1, "version": "0", "queues": ["a"], "tasks": [], "slots": 2, "busy": 0,
            "buffered": 0, "draining": false, "started": 0, "succeeded": 0, "failed": 0,
            "visibility_ms": 1000, "running": [],
        });
        let fields = info.as_object_mut().expect("an object");
        fields.extend(more.as_object().expect("an object").clone());
        let info = serde_json::from_value(info).expect("a description");
        WorkerLine { lease: "l".to_owned(), expires: Timestamp(0), info }
    }

    #[test]
    fn who_said_what_and_what_does_not_stop_is_told() {
        let sum = |wedged: Value| json!([{ "id": "i", "task": "sum", "attempt": 1, "since": 5000, "wedged": wedged }]);
        let note = json!({ "at": 4000, "by": "ada", "why": "upgrade" });
        for (more, says) in [
            (json!({}), "-"),
            (json!({ "running": sum(Value::Null) }), "sum for 5.0 s"),
            (json!({ "running": sum(Value::Null), "wedged": 3 }), "3 slots wedged; sum for 5.0 s"),
            // As earlier versions tell it.
            (json!({ "running": sum(9000.into()) }), "1 slot wedged; sum for 5.0 s"),
            (json!({ "draining": true }), "draining"),
            (
                json!({ "draining": true, "wedged": 1, "leaving": note }),
                "1 slot wedged; draining for 6.0 s by ada: upgrade",
            ),
            (json!({ "paused": note }), "paused for 6.0 s by ada: upgrade"),
            (json!({ "paused": { "at": 4000 } }), "paused for 6.0 s"),
        ] {
            assert_eq!(runs(&worker(more), Timestamp(10_000)), says);
        }
    }
}
