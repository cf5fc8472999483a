//! `celeriac limits`: what limits there are, what they hold and what waits for them; and to set,
//! change and remove them.

use std::time::Duration;

use celeriac_broker_schema::script::{Changed, Limits, SubjectView};
use celeriac_broker_schema::{Broker, Limit, QueueName, Rate, Subject, Timestamp};
use serde::Serialize;

use crate::args::values::duration_text;
use crate::args::{LimitsAction, LimitsArgs, Switch};
use crate::error::CliError;
use crate::format::{grouped, time_and_distance};
use crate::globals::Globals;
use crate::output::{self, Align, Table};

/// Most limits of each kind, and most subjects, that are shown.
const MOST: u32 = 1_000;

#[derive(Serialize)]
struct Shown {
    /// Redis time.
    now: Timestamp,
    limits: Vec<LimitLine>,
    busy: Vec<BusyLine>,
    /// Queues whose tenants take turns.
    fair: Vec<String>,
}

#[derive(Serialize)]
struct LimitLine {
    subject: Subject,
    #[serde(flatten)]
    limit: Limit,
}

#[derive(Serialize)]
struct BusyLine {
    subject: Subject,
    /// Tasks that workers hold, if the concurrency is limited.
    held: u64,
    /// Tasks that wait for this limit alone.
    waiting: u64,
    /// When its rate lets the next one go, if it is known.
    next: Option<Timestamp>,
}

#[derive(Serialize)]
struct Done {
    subject: String,
    changed: bool,
}

pub(crate) async fn run(args: LimitsArgs, globals: &Globals) -> Result<(), CliError> {
    let given = args.rate.is_some() || args.burst.is_some() || args.concurrency.is_some();
    if given && args.action != Some(LimitsAction::Set) {
        return Err(CliError::Arguments(
            "--rate, --burst and --concurrency belong to `limits set`".to_owned(),
        ));
    }
    if args.switch.is_some() != (args.action == Some(LimitsAction::Fair)) {
        return Err(CliError::Arguments(
            "write `limits fair QUEUE on` or `limits fair QUEUE off`".to_owned(),
        ));
    }
    let subject = args.subject.as_deref().unwrap_or_default();
    let changed = match args.action {
        None => return show(&globals.connect().await?, globals).await,
        Some(LimitsAction::Set) => {
            let (subject, limit) = (subject.parse()?, limit(&args)?);
            globals.connect().await?.limit(&subject, Some(&limit)).await?
        }
        Some(LimitsAction::Remove) => {
            let subject = subject.parse()?;
            globals.connect().await?.limit(&subject, None).await?
        }
        Some(LimitsAction::Fair) => {
            let queue: QueueName = subject.parse()?;
            globals.connect().await?.fair(&queue, args.switch == Some(Switch::On)).await?
        }
    };
    tell(subject, changed, globals)
}

fn limit(args: &LimitsArgs) -> Result<Limit, CliError> {
    if args.burst.is_some() && args.rate.is_none() {
        return Err(CliError::Arguments("--burst needs --rate".to_owned()));
    }
    let burst = args.burst.unwrap_or(1);
    let rate = args.rate.map(|(tasks, per_ms)| Rate { tasks, per_ms, burst });
    Ok(Limit::new(rate, args.concurrency)?)
}

fn tell(subject: &str, changed: Changed, globals: &Globals) -> Result<(), CliError> {
    let changed = match changed {
        Changed::Changed => true,
        Changed::Unchanged => false,
        Changed::Full => {
            return Err(CliError::Arguments(
                "there are as many limits of this kind as there may be: remove some, or set one for all with `*`"
                    .to_owned(),
            ));
        }
    };
    if globals.json {
        return output::json(&Done { subject: subject.to_owned(), changed });
    }
    output::line(if changed { "done" } else { "it is like that already" })
}

async fn show(broker: &Broker, globals: &Globals) -> Result<(), CliError> {
    let Limits { now, set, busy, fair } = broker.limits(MOST).await?;
    let line =
        |SubjectView { subject, held, waiting, next }| BusyLine { subject, held, waiting, next };
    let shown = Shown {
        now,
        limits: set.into_iter().map(|(subject, limit)| LimitLine { subject, limit }).collect(),
        busy: busy.into_iter().map(line).collect(),
        fair,
    };
    if globals.json {
        return output::json(&shown);
    }
    if shown.limits.is_empty() && shown.busy.is_empty() {
        output::line("there are no limits; set one with `celeriac limits set`")?;
    } else {
        output::line(table(&shown).render())?;
    }
    if shown.fair.is_empty() {
        return Ok(());
    }
    output::line(format_args!("\ntenants take turns in: {}", shown.fair.join(", ")))
}

fn table(shown: &Shown) -> Table {
    let mut table = Table::new([
        ("SUBJECT", Align::Left),
        ("RATE", Align::Right),
        ("BURST", Align::Right),
        ("AT ONCE", Align::Right),
        ("HELD", Align::Right),
        ("WAITING", Align::Right),
        ("NEXT", Align::Left),
    ]);
    let mut row = |subject: &Subject, limit: Option<&Limit>, busy: Option<&BusyLine>| {
        let rate = limit.and_then(Limit::rate);
        let dash = || "-".to_owned();
        let number = |number: Option<u64>| number.map_or_else(dash, grouped);
        table.row([
            subject.to_string(),
            rate.map_or_else(dash, rate_text),
            number(rate.map(|rate| rate.burst)),
            number(limit.and_then(Limit::concurrency)),
            number(busy.map(|busy| busy.held)),
            number(busy.map(|busy| busy.waiting)),
            busy.and_then(|busy| busy.next)
                .map_or_else(dash, |at| time_and_distance(at, shown.now)),
        ]);
    };
    for LimitLine { subject, limit } in &shown.limits {
        row(subject, Some(limit), shown.busy.iter().find(|busy| busy.subject == *subject));
    }
    // Those that go by a default, or whose limit was removed while something waited.
    let own = |busy: &&BusyLine| !shown.limits.iter().any(|line| line.subject == busy.subject);
    for busy in shown.busy.iter().filter(own) {
        row(&busy.subject, None, Some(busy));
    }
    table
}

/// `100 per 1s`.
fn rate_text(rate: Rate) -> String {
    format!("{} per {}", grouped(rate.tasks), duration_text(Duration::from_millis(rate.per_ms)))
}
