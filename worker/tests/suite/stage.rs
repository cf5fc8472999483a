//! Tasks that do what a test says, and when: they write what happens into a log outside Redis, and
//! wait at gates that the test opens.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use celeriac_producer::NewTask;
use celeriac_producer::task::Task;
use celeriac_worker::task::{Context, Data, Registry, TaskError, Tasks};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::common::{LONG, task};

/// A log of what happened and the gates that are open. Clones are the same stage.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stage {
    log: Arc<watch::Sender<Vec<String>>>,
    open: Arc<watch::Sender<BTreeSet<String>>>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The tasks of this file, for a worker.
    pub(crate) fn tasks(&self) -> Tasks {
        self.registry().build()
    }

    /// The same, to add others.
    pub(crate) fn registry(&self) -> Registry<Self> {
        Registry::new(self.clone()).task(note).task(hold).cpu_task(spin)
    }

    pub(crate) fn say(&self, what: impl Into<String>) {
        self.log.send_modify(|log| log.push(what.into()));
    }

    /// All that was said so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.borrow().clone()
    }

    /// How often this was said.
    pub(crate) fn count(&self, what: &str) -> usize {
        self.log.borrow().iter().filter(|said| *said == what).count()
    }

    /// Waits until this was said.
    #[track_caller]
    pub(crate) fn heard(&self, what: &str) -> impl Future<Output = ()> {
        self.heard_times(1, what)
    }

    /// Waits until this was said so often.
    #[track_caller]
    pub(crate) fn heard_times(&self, times: usize, what: &str) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let mut log = self.log.subscribe();
            let said = log.wait_for(|log| log.iter().filter(|said| *said == what).count() >= times);
            if tokio::time::timeout(LONG, said).await.is_err() {
                panic!("at {caller}, {what:?} was not said {times} times: {:?}", self.log());
            }
        }
    }

    /// Waits until so much was said.
    #[track_caller]
    pub(crate) fn heard_much(&self, much: usize) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let mut log = self.log.subscribe();
            let said = log.wait_for(|log| log.len() >= much);
            if tokio::time::timeout(LONG, said).await.is_err() {
                panic!("at {caller}, {} of {much} things were said", self.log.borrow().len());
            }
        }
    }

    /// Asserts that each of these was said exactly once, and nothing else.
    #[track_caller]
    pub(crate) fn assert_once(&self, mut expected: Vec<String>) {
        let mut said = self.log();
        said.sort();
        expected.sort();
        assert!(said == expected, "{}", difference(&said, &expected));
    }

    /// Lets everything pass that waits at this gate, now or later.
    pub(crate) fn open(&self, gate: impl Into<String>) {
        self.open.send_modify(|open| {
            open.insert(gate.into());
        });
    }

    fn is_open(&self, gate: &str) -> bool {
        self.open.borrow().contains(gate)
    }

    pub(crate) async fn passed(&self, gate: &str) {
        let mut open = self.open.subscribe();
        open.wait_for(|open| open.contains(gate)).await.expect("the stage outlives its tasks");
    }
}

fn difference(said: &[String], expected: &[String]) -> String {
    let count = |all: &[String], what: &String| all.iter().filter(|each| *each == what).count();
    let all: BTreeSet<&String> = said.iter().chain(expected).collect();
    let differ = all.into_iter().filter(|what| count(said, what) != count(expected, what));
    let differ = differ.map(|what| format!("{what:?} {} times", count(said, what)));
    format!("said: {}", differ.collect::<Vec<_>>().join(", "))
}

/// Says its name.
#[derive(Serialize, Deserialize)]
pub(crate) struct Note {
    name: String,
}

impl Task for Note {
    const NAME: &'static str = "note";
    type Output = String;
}

pub(crate) fn note_task(name: impl Into<String>) -> NewTask {
    task(Note::NAME, &Note { name: name.into() })
}

async fn note(stage: Data<Stage>, task: Note) -> Result<String, TaskError> {
    stage.say(&task.name);
    Ok(task.name)
}

/// Says `<name> begins`, waits at the gate of its name, and says `<name> ends`; or why it has to
/// stop.
#[derive(Serialize, Deserialize)]
pub(crate) struct Hold {
    name: String,
}

impl Task for Hold {
    const NAME: &'static str = "hold";
    /// The attempt.
    type Output = u32;
}

pub(crate) fn hold_task(name: impl Into<String>) -> NewTask {
    task(Hold::NAME, &Hold { name: name.into() })
}

async fn hold(stage: Data<Stage>, ctx: Context, task: Hold) -> Result<u32, TaskError> {
    let Hold { name } = task;
    stage.say(format!("{name} begins"));
    tokio::select! {
        () = stage.passed(&name) => {
            stage.say(format!("{name} ends"));
            Ok(ctx.attempt())
        }
        reason = ctx.cancelled() => {
            stage.say(format!("{name} stops: {reason:?}"));
            Err(TaskError::cancelled())
        }
    }
}

/// As [`Hold`], on a thread of its own. A stubborn one does not stop when it has to, and its gate
/// has the number of the attempt behind its name.
#[derive(Serialize, Deserialize)]
pub(crate) struct Spin {
    name: String,
    stubborn: bool,
}

impl Task for Spin {
    const NAME: &'static str = "spin";
    /// The attempt.
    type Output = u32;
}

pub(crate) fn spin_task(name: impl Into<String>) -> NewTask {
    task(Spin::NAME, &Spin { name: name.into(), stubborn: false })
}

pub(crate) fn stubborn_task(name: impl Into<String>) -> NewTask {
    task(Spin::NAME, &Spin { name: name.into(), stubborn: true })
}

fn spin(stage: Data<Stage>, ctx: Context, task: Spin) -> Result<u32, TaskError> {
    let Spin { name, stubborn } = task;
    let name = if stubborn { format!("{name} {}", ctx.attempt()) } else { name };
    stage.say(format!("{name} begins"));
    while !stage.is_open(&name) {
        if let Some(reason) = ctx.cancel_reason().filter(|_| !stubborn) {
            stage.say(format!("{name} stops: {reason:?}"));
            return Err(TaskError::cancelled());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    stage.say(format!("{name} ends"));
    Ok(ctx.attempt())
}
