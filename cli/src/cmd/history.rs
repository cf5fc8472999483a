//! `celeriac history`: what workers and producers have counted lately, step by step or by queue or task.

use celeriac_broker_schema::History;
use celeriac_broker_schema::figures::{Event, Figures, Histogram};
use celeriac_broker_schema::history::{By, HistoryQuery, Step};
use celeriac_broker_schema::time::millis;
use std::time::Duration;

use crate::args::{HistoryArgs, HistoryBy, HistoryStep};
use crate::error::CliError;
use crate::format::{grouped, span, time};
use crate::globals::Globals;
use crate::output::{self, Align, Table};

/// The counts that are shown in columns.
const SHOWN: [(Event, &str); 4] = [
    (Event::Enqueued, "ENQUEUED"),
    (Event::Succeeded, "SUCCEEDED"),
    (Event::Failed, "FAILED"),
    (Event::Retried, "RETRIED"),
];

pub(crate) async fn run(args: HistoryArgs, globals: &Globals) -> Result<(), CliError> {
    let by = match args.by {
        HistoryBy::All => By::All,
        HistoryBy::Queue => By::Queue,
        HistoryBy::Task => By::Task,
    };
    let fitting = HistoryQuery::back(millis(args.back));
    let step = args.step.map_or(fitting.step, |step| match step {
        HistoryStep::Minute => Step::Minute,
        HistoryStep::TenMinutes => Step::TenMinutes,
        HistoryStep::Hour => Step::Hour,
    });
    let query = HistoryQuery { step, by, queue: args.queue, task: args.task, ..fitting };
    let history = globals.connect().await?.history(&query).await?;
    if globals.json {
        return output::json(&history);
    }
    show(&history, by, globals)
}

fn show(history: &History, by: By, globals: &Globals) -> Result<(), CliError> {
    let Some(since) = history.since else {
        globals.talk(
            "nothing is known yet: workers and producers tell about once a second what they count",
        );
        return Ok(());
    };
    let table = if by == By::All { steps(history) } else { sums(history, by) };
    if since > history.from {
        globals.talk(format!("nothing is known of the time before {}", time(since)));
    }
    output::line(table.render().trim_end())
}

fn table(first: &'static str, ready: bool) -> Table {
    let mut columns = vec![(first, Align::Left)];
    columns.extend(SHOWN.map(|(_, title)| (title, Align::Right)));
    columns.extend(["WAIT P50", "WAIT P95", "RUN P50", "RUN P95"].map(|t| (t, Align::Right)));
    columns.extend(ready.then_some(("READY", Align::Right)));
    Table::new(columns)
}

fn cells(first: String, figures: &Figures) -> Vec<String> {
    let mut cells = vec![first];
    cells.extend(SHOWN.map(|(event, _)| grouped(figures.counts.of(event))));
    for histogram in [&figures.wait, &figures.run] {
        cells.extend([0.5, 0.95].map(|share| duration(histogram, share)));
    }
    cells
}

/// Below a second with two digits, since most tasks are short.
fn duration(histogram: &Histogram, share: f64) -> String {
    match histogram.quantile_ms(share) {
        None => "-".to_owned(),
        Some(ms) if ms < 10.0 => format!("{ms:.2} ms"),
        Some(ms) => span(Duration::from_secs_f64(ms / 1000.0)),
    }
}

fn steps(history: &History) -> Table {
    let mut table = table("FROM", true);
    for point in history.series.iter().flat_map(|series| &series.points).filter(|p| p.known) {
        let late = if point.late_ms > 0 { " (told late)" } else { "" };
        let mut row = cells(format!("{}{late}", time(point.at)), &point.figures);
        row.push(point.ready.map_or_else(|| "-".to_owned(), grouped));
        table.row(row);
    }
    table
}

fn sums(history: &History, by: By) -> Table {
    let mut table = table(if by == By::Queue { "QUEUE" } else { "TASK" }, false);
    for series in &history.series {
        let mut sum = Figures::default();
        series.points.iter().for_each(|point| sum.merge(&point.figures));
        table.row(cells(series.name.clone().unwrap_or_default(), &sum));
    }
    table
}
