//! `celeriac audit`: what people did to tasks, queues, limits, workers and schedules, the newest first.

use celeriac_broker_schema::{AuditLine, AuditPage};

use crate::args::AuditArgs;
use crate::error::CliError;
use crate::format;
use crate::globals::Globals;
use crate::output::{self, Align, Table};

/// Lines that are read at a time.
const PAGE: u32 = 500;

pub(crate) async fn run(args: &AuditArgs, globals: &Globals) -> Result<(), CliError> {
    let broker = globals.connect().await?;
    let mut page = broker.audit(args.after.as_deref(), args.limit.min(PAGE)).await?;
    while let Some(next) = page.next.as_deref().filter(|_| left(args, &page) > 0) {
        let more = broker.audit(Some(next), left(args, &page).min(PAGE)).await?;
        page.lines.extend(more.lines);
        page.next = more.next;
    }
    if globals.json {
        return output::json(&page);
    }
    if page.lines.is_empty() {
        return output::line("nobody has done anything that is kept");
    }
    output::line(table(&page).render())
}

/// How many more lines are wanted.
fn left(args: &AuditArgs, page: &AuditPage) -> u32 {
    args.limit.saturating_sub(u32::try_from(page.lines.len()).unwrap_or(u32::MAX))
}

fn table(page: &AuditPage) -> Table {
    let mut table = Table::new([
        ("WHEN", Align::Left),
        ("WHO", Align::Left),
        ("WHAT", Align::Left),
        ("TO WHAT", Align::Left),
        ("CHANGED", Align::Right),
        ("WHY", Align::Left),
    ]);
    for line in &page.lines {
        table.row([
            format::time(line.at),
            who(line),
            what(line),
            line.deed.target.clone(),
            format::grouped(line.deed.changed),
            line.deed.who.why.clone().unwrap_or_default(),
        ]);
    }
    table
}

fn who(line: &AuditLine) -> String {
    let by = line.deed.who.by.as_deref().unwrap_or("somebody");
    match &line.deed.from {
        Some(from) => format!("{by} from {from}"),
        None => by.to_owned(),
    }
}

fn what(line: &AuditLine) -> String {
    let action = &line.deed.action;
    if line.deed.failed {
        format!("{action} (failed: {})", line.deed.result)
    } else {
        action.clone()
    }
}
