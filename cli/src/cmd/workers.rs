//! `celeriac workers`: who works here, and on what; and, in [`orders`], what they are told to do.

mod orders;

use std::time::Duration;

use celeriac_broker_schema::{Timestamp, WorkerInfo};

use crate::args::WorkersArgs;
use crate::error::CliError;
use crate::fleet_view::{FleetView, WorkerLine};
use crate::format::{grouped, mebibytes, span};
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

/// What it has been running for longest.
fn runs(worker: &WorkerLine, now: Timestamp) -> String {
    let info = &worker.info;
    match info.running.first() {
        _ if info.draining => "draining".to_owned(),
        _ if info.paused.is_some() => paused(info, now),
        None => "-".to_owned(),
        Some(task) => {
            let wedged = if task.wedged.is_some() { ", wedged" } else { "" };
            let since = span(Duration::from_millis(now.since(task.since)));
            format!("{} for {since}{wedged}", task.task)
        }
    }
}

/// Since when it takes nothing new, who said so, and why.
fn paused(info: &WorkerInfo, now: Timestamp) -> String {
    let Some(paused) = &info.paused else { return String::new() };
    let by = paused.who.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    let why = paused.who.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    format!("paused for {}{by}{why}", span(Duration::from_millis(now.since(paused.at))))
}
