//! `celeriac limits`: what limits there are, what they hold and what waits for them; and to set,
//! change and remove them.

use std::time::Duration;

use celeriac_broker_schema::script::{FairView, LimitChanged, LimitView, Limits, SubjectView};
use celeriac_broker_schema::{Broker, Limit, Note, QueueName, Rate, Requester, Subject, Timestamp};
use serde::Serialize;

use crate::args::values::duration_text;
use crate::args::{LimitsAction, LimitsArgs, Switch};
use crate::deed::note;
use crate::error::CliError;
use crate::format::{grouped, time_and_distance};
use crate::globals::Globals;
use crate::output::{self, Align, Table};
use crate::requester::requester;

/// Most limits of each kind, and most subjects, that are shown.
const MOST: u32 = 1_000;

#[derive(Serialize)]
struct Shown {
    /// Redis time.
    now: Timestamp,
    limits: Vec<LimitLine>,
    busy: Vec<BusyLine>,
    /// Queues whose tenants take turns.
    fair: Vec<FairLine>,
}

#[derive(Serialize)]
struct LimitLine {
    subject: Subject,
    #[serde(flatten)]
    limit: Limit,
    /// Who set it, when and why, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    set: Option<Note>,
}

#[derive(Serialize)]
struct FairLine {
    queue: String,
    /// Who wanted that, when and why, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    set: Option<Note>,
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

pub(crate) async fn run(args: LimitsArgs, globals: &Globals) -> Result<(), CliError> {
    let given = args.rate.is_some() || args.burst.is_some() || args.concurrency.is_some();
    if given && args.action != Some(LimitsAction::Set) {
        return Err(CliError::Arguments(
            "--rate, --burst and --concurrency belong to `limits set`".to_owned(),
        ));
    }
    if args.who.given() && args.action.is_none() {
        return Err(CliError::Arguments(
            "--why and --by belong to what is set, removed or made fair".to_owned(),
        ));
    }
    if args.switch.is_some() != (args.action == Some(LimitsAction::Fair)) {
        return Err(CliError::Arguments(
            "write `limits fair QUEUE on` or `limits fair QUEUE off`".to_owned(),
        ));
    }
    let subject = args.subject.as_deref().unwrap_or_default();
    let who = requester(&args.who);
    match args.action {
        None => show(&globals.connect().await?, globals).await,
        Some(LimitsAction::Set) => set(subject.parse()?, Some(limit(&args)?), who, globals).await,
        Some(LimitsAction::Remove) => set(subject.parse()?, None, who, globals).await,
        Some(LimitsAction::Fair) => {
            fair(subject.parse()?, args.switch == Some(Switch::On), who, globals).await
        }
    }
}

fn limit(args: &LimitsArgs) -> Result<Limit, CliError> {
    if args.burst.is_some() && args.rate.is_none() {
        return Err(CliError::Arguments("--burst needs --rate".to_owned()));
    }
    let burst = args.burst.unwrap_or(1);
    let rate = args.rate.map(|(tasks, per_ms)| Rate { tasks, per_ms, burst });
    Ok(Limit::new(rate, args.concurrency)?)
}

/// What became of a limit.
#[derive(Serialize)]
struct LimitAnswer {
    subject: Subject,
    changed: bool,
    /// What held before, and what holds now; null: nothing.
    before: Option<Limit>,
    now: Option<Limit>,
    #[serde(flatten)]
    who: Requester,
}

async fn set(
    subject: Subject,
    now: Option<Limit>,
    who: Requester,
    globals: &Globals,
) -> Result<(), CliError> {
    let broker = globals.connect().await?;
    let (changed, before) = match broker.limit(&subject, now.as_ref(), &who).await? {
        LimitChanged::Changed { before } => (true, before),
        LimitChanged::Unchanged if now.is_none() => return Err(CliError::NoLimit(subject)),
        LimitChanged::Unchanged => (false, now),
        LimitChanged::Full => {
            return Err(CliError::Arguments(
                    "there are as many limits of this kind as there may be: remove some, or set one for all with `*`"
                        .to_owned(),
                ));
        }
    };
    let (action, told) = match &now {
        Some(limit) => ("set-limit", format!(" {}", limit_text(limit))),
        None => ("remove-limit", String::new()),
    };
    note(&broker, action, format!("subject={subject}{told}"), &who, changed.into()).await;
    if globals.json {
        return output::json(&LimitAnswer { subject, changed, before, now, who });
    }
    let text = match (now, before) {
        (Some(now), _) if !changed => format!("{}, as it was before", limit_text(&now)),
        (Some(now), None) => format!("{}; there was none before", limit_text(&now)),
        (Some(now), Some(before)) => {
            format!("{}; before: {}", limit_text(&now), limit_text(&before))
        }
        (None, before) => {
            let before = before.as_ref().map(limit_text).unwrap_or_default();
            format!("removed; before: {before}")
        }
    };
    output::line(format_args!("limit of {subject}: {text}"))
}

/// What became of turns.
#[derive(Serialize)]
struct FairAnswer {
    queue: QueueName,
    fair: bool,
    changed: bool,
    #[serde(flatten)]
    who: Requester,
}

async fn fair(
    queue: QueueName,
    fair: bool,
    who: Requester,
    globals: &Globals,
) -> Result<(), CliError> {
    let broker = globals.connect().await?;
    let changed = broker.fair(&queue, fair, &who).await?;
    let action = if fair { "fair-on" } else { "fair-off" };
    note(&broker, action, format!("queue={queue}"), &who, changed.into()).await;
    if globals.json {
        return output::json(&FairAnswer { queue, fair, changed, who });
    }
    let said = if fair { "take turns" } else { "take no turns" };
    let before = if changed { "" } else { ", as it was before" };
    output::line(format_args!("the tenants of queue {queue} {said}{before}"))
}

async fn show(broker: &Broker, globals: &Globals) -> Result<(), CliError> {
    let Limits { now, set, busy, fair } = broker.limits(MOST).await?;
    let line =
        |SubjectView { subject, held, waiting, next }| BusyLine { subject, held, waiting, next };
    let shown = Shown {
        now,
        limits: set
            .into_iter()
            .map(|LimitView { subject, limit, note: set }| LimitLine { subject, limit, set })
            .collect(),
        busy: busy.into_iter().map(line).collect(),
        fair: fair
            .into_iter()
            .map(|FairView { queue, note: set }| FairLine { queue, set })
            .collect(),
    };
    if globals.json {
        return output::json(&shown);
    }
    if shown.limits.is_empty() && shown.busy.is_empty() {
        output::line("there are no limits; set one with `celeriac limits set`")?;
    } else {
        output::line(table(&shown).render())?;
    }
    let said = |note: &Option<Note>| {
        let Note { at, who } = note.clone().unwrap_or_default();
        let since = time_and_distance(at, shown.now);
        let who = format!("{} since {since}{}", who.by_whom(), who.and_why());
        if at.0 > 0 { who } else { String::new() }
    };
    for LimitLine { subject, set, .. } in shown.limits.iter().filter(|line| line.set.is_some()) {
        output::line(format_args!("\n{subject} is limited{}", said(set)))?;
    }
    for FairLine { queue, set } in &shown.fair {
        output::line(format_args!("\ntenants take turns in queue {queue}{}", said(set)))?;
    }
    Ok(())
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
    for LimitLine { subject, limit, .. } in &shown.limits {
        row(subject, Some(limit), shown.busy.iter().find(|busy| busy.subject == *subject));
    }
    // Those that go by a default, or whose limit was removed while something waited.
    let own = |busy: &&BusyLine| !shown.limits.iter().any(|line| line.subject == busy.subject);
    for busy in shown.busy.iter().filter(own) {
        row(&busy.subject, None, Some(busy));
    }
    table
}

/// `100 per 1s, 10 at once after a pause; 5 held at most`
fn limit_text(limit: &Limit) -> String {
    let rate = limit.rate().map(|rate| match rate.burst {
        1 => rate_text(rate),
        burst => format!("{}, {} at once after a pause", rate_text(rate), grouped(burst)),
    });
    let held = limit.concurrency().map(|most| format!("{} held at most", grouped(most)));
    rate.into_iter().chain(held).collect::<Vec<_>>().join("; ")
}

/// `100 per 1s`.
fn rate_text(rate: Rate) -> String {
    format!("{} per {}", grouped(rate.tasks), duration_text(Duration::from_millis(rate.per_ms)))
}
