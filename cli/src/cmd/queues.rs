//! `celeriac queues`: what waits where, whether anybody serves it, and what people said of it.

use celeriac_broker_schema::script::{Controls, QueueView};
use celeriac_broker_schema::{Note, Timestamp};
use serde::Serialize;

use super::queue_actions;
use crate::args::QueuesArgs;
use crate::error::CliError;
use crate::fleet_view::FleetView;
use crate::format::{counted, grouped, time_and_distance};
use crate::globals::Globals;
use crate::output::{self, Align, Table};

/// Most queues shown; a namespace has a handful.
pub(super) const MOST: u32 = 1_000;

#[derive(Serialize)]
struct Queues {
    /// Redis time.
    now: Timestamp,
    queues: Vec<QueueLine>,
    /// Tasks that have not ended (chunks not counted).
    tasks: u64,
    delayed: u64,
    waiting: u64,
    dead: u64,
}

#[derive(Serialize)]
struct QueueLine {
    name: String,
    /// Tasks and chunks that wait for a worker.
    ready: u64,
    /// Of them those that lost their worker twice or more.
    suspects: u64,
    /// List elements at each priority, from 0. A range of chunks is one.
    elements: [u64; 10],
    /// Workers that serve it.
    workers: usize,
    /// Whether it is paused, closed or limited: by whom, when and why.
    #[serde(flatten)]
    controls: Controls,
}

pub(crate) async fn run(args: QueuesArgs, globals: &Globals) -> Result<(), CliError> {
    match args.action {
        Some(action) => queue_actions::run(action, globals).await,
        None => list(globals).await,
    }
}

async fn list(globals: &Globals) -> Result<(), CliError> {
    let broker = globals.connect().await?;
    // At least one job is always asked for: none would mean all.
    let snapshot = broker.snapshot(MOST, 1).await?;
    let fleet = FleetView::read(&broker).await?;
    let queues = Queues {
        now: snapshot.now,
        queues: snapshot.queues.into_iter().map(|queue| line(queue, &fleet)).collect(),
        tasks: snapshot.tasks,
        delayed: snapshot.delayed,
        waiting: snapshot.waiting,
        dead: snapshot.dead,
    };
    if globals.json {
        return output::json(&queues);
    }
    print(&queues)
}

fn line(queue: QueueView, fleet: &FleetView) -> QueueLine {
    let QueueView { name, elements, ready, suspects, controls } = queue;
    QueueLine { workers: fleet.serving(&name), name, ready, suspects, elements, controls }
}

fn print(queues: &Queues) -> Result<(), CliError> {
    let mut table = Table::new([
        ("QUEUE", Align::Left),
        ("READY", Align::Right),
        ("SUSPECTS", Align::Right),
        ("WORKERS", Align::Right),
    ]);
    for queue in &queues.queues {
        let numbers = [queue.ready, queue.suspects, queue.workers as u64].map(grouped);
        table.row([vec![queue.name.clone()], numbers.to_vec()].concat());
    }
    if queues.queues.is_empty() {
        output::line("no queue has been used yet")?;
    } else {
        output::line(table.render())?;
    }
    for queue in &queues.queues {
        for said in said_of(queue, queues.now) {
            output::line(format_args!("\nqueue {} {said}", queue.name))?;
        }
    }
    let Queues { tasks, delayed, waiting, dead, .. } = queues;
    let [tasks, delayed, waiting, dead] =
        [tasks, delayed, waiting, dead].map(|number| grouped(*number));
    output::line(format_args!(
        "\ntasks: {tasks} not ended, of them {delayed} delayed and {waiting} waiting for others; {dead} dead"
    ))
}

/// What people said of a queue, one sentence each.
fn said_of(queue: &QueueLine, now: Timestamp) -> Vec<String> {
    let Controls { paused, closed, limit } = &queue.controls;
    let by = |Note { at, who }: &Note| {
        format!("{} since {}{}", who.by_whom(), time_and_distance(*at, now), who.and_why())
    };
    let mut said = Vec::new();
    said.extend(paused.as_ref().map(|note| format!("is paused{}", by(note))));
    said.extend(closed.as_ref().map(|note| format!("is closed to producers{}", by(note))));
    said.extend(
        limit.as_ref().map(|limit| {
            format!("is limited to {}{}", counted(limit.max, "task"), by(&limit.note))
        }),
    );
    said
}
