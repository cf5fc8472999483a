//! `celeriac queues`: what waits where, and whether anybody serves it.

use celeriac_broker_schema::Timestamp;
use celeriac_broker_schema::script::QueueView;
use serde::Serialize;

use crate::error::CliError;
use crate::fleet_view::FleetView;
use crate::format::grouped;
use crate::globals::Globals;
use crate::output::{self, Align, Table};

/// Most queues shown; a namespace has a handful.
const MOST: u32 = 1_000;

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
}

pub(crate) async fn run(globals: &Globals) -> Result<(), CliError> {
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
    let QueueView { name, elements, ready, suspects } = queue;
    QueueLine { workers: fleet.serving(&name), name, ready, suspects, elements }
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
    let Queues { tasks, delayed, waiting, dead, .. } = queues;
    let [tasks, delayed, waiting, dead] =
        [tasks, delayed, waiting, dead].map(|number| grouped(*number));
    output::line(format_args!(
        "\ntasks: {tasks} not ended, of them {delayed} delayed and {waiting} waiting for others; {dead} dead"
    ))
}
