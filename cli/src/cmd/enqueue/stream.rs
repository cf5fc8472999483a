//! Many tasks, streamed: while one batch is on its way, the next lines are read. When the source
//! pauses, what has come so far is sent. What Redis has is told: one id a line, in their order.

use std::collections::{HashMap, VecDeque};
use std::io::ErrorKind;
use std::time::Duration;

use celeriac_broker_schema::TaskId;
use celeriac_producer::{EnqueueError, Many, Producer};
use tokio::sync::mpsc::error::TryRecvError;

use super::lines::{self, Block, Line};
use super::spec::TaskSpec;
use super::{Enqueued, wait};
use crate::args::{Input, WaitArgs};
use crate::cmd::result;
use crate::error::CliError;
use crate::fleet::Interrupt;
use crate::format::{counted, grouped};
use crate::globals::Globals;
use crate::output;

/// What became of the lines.
#[derive(Debug, Default)]
struct Report {
    /// Tasks that Redis has.
    enqueued: u64,
    /// Lines whose key stands for an earlier task.
    duplicates: u64,
    /// Lines that are not valid.
    bad: u64,
}

pub(super) async fn run(
    input: &Input,
    defaults: &TaskSpec,
    skip_bad: bool,
    wait_while_full: Duration,
    wait: &WaitArgs,
    globals: &Globals,
) -> Result<(), CliError> {
    let blocks = lines::read(input)?;
    let producer = Producer::new(globals.connect().await?).wait_while_full(wait_while_full);
    let mut stream = Stream {
        many: producer.many(),
        input,
        defaults,
        skip_bad,
        number: 0,
        bad: 0,
        pushed: VecDeque::new(),
        answered: 0,
        duplicates: 0,
        told: Told::new(wait.wait, globals.json),
    };
    let ended = stream.run(blocks).await;
    // Also when it ends early: what is enqueued is enqueued.
    stream.tell()?;
    let report = stream.report();
    if let Err(error) = ended {
        return Err(CliError::Stream { enqueued: report.enqueued, source: Box::new(error) });
    }
    globals.talk(format_args!("{} enqueued{}", counted(report.enqueued, "task"), report.rest()));
    if wait.wait {
        let ids = stream.told.kept;
        let all = wait::for_all(&producer, ids, wait.wait_timeout, globals);
        let waited = result::unless_told_to_stop(Interrupt::listen()?, None, all).await;
        // What went wrong with tasks is told; lines that were skipped are the greater trouble.
        if report.bad == 0 || !matches!(waited, Ok(()) | Err(CliError::SomeFailed { .. })) {
            return waited;
        }
    }
    match report.bad {
        0 => Ok(()),
        skipped => Err(CliError::Skipped { input: input.to_string(), skipped }),
    }
}

/// The ids of what Redis has: printed at once, or kept for a command that waits.
struct Told {
    waits: bool,
    json: bool,
    kept: Vec<TaskId>,
    /// Nobody reads them any more. The tasks are enqueued all the same.
    unheard: bool,
}

impl Told {
    fn new(waits: bool, json: bool) -> Self {
        Self { waits, json, kept: Vec::new(), unheard: false }
    }

    fn add(&mut self, ids: &[Enqueued]) -> Result<(), CliError> {
        if self.waits {
            self.kept.extend(ids.iter().map(|enqueued| enqueued.id));
        } else if !ids.is_empty() && !self.unheard {
            let line = |enqueued: &Enqueued| match self.json {
                true => serde_json::to_string(enqueued).expect("our own types are always JSON"),
                false => enqueued.id.to_string(),
            };
            let lines: Vec<String> = ids.iter().map(line).collect();
            match output::line(lines.join("\n")) {
                Err(CliError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => {
                    self.unheard = true;
                }
                other => return other,
            }
        }
        Ok(())
    }
}

impl Report {
    /// `, 2 were there already, 1 line is not valid`
    fn rest(&self) -> String {
        let mut text = String::new();
        if self.duplicates > 0 {
            text.push_str(&format!(", {} were there already (same key)", grouped(self.duplicates)));
        }
        if self.bad > 0 {
            text.push_str(&format!(", lines not valid: {}", grouped(self.bad)));
        }
        text
    }
}

struct Stream<'a> {
    many: Many,
    input: &'a Input,
    defaults: &'a TaskSpec,
    skip_bad: bool,
    /// Of the last line.
    number: u64,
    bad: u64,
    /// Those of which it is not known yet whether Redis has them, in the order of their lines.
    pushed: VecDeque<TaskId>,
    /// How many of all were answered, and how many were duplicates, when it was last told.
    answered: u64,
    duplicates: usize,
    told: Told,
}

impl Stream<'_> {
    async fn run(
        &mut self,
        mut blocks: tokio::sync::mpsc::Receiver<Block>,
    ) -> Result<(), CliError> {
        loop {
            let block = match blocks.try_recv() {
                Ok(block) => Some(block),
                Err(TryRecvError::Disconnected) => None,
                Err(TryRecvError::Empty) => {
                    // The source is slower than we are: nothing is held back for its sake.
                    self.many.flush().await?;
                    self.tell()?;
                    blocks.recv().await
                }
            };
            let Some(block) = block else { break };
            match self.push_block(block).await {
                Ok(()) => self.tell()?,
                Err(error @ CliError::Enqueue(_)) => return Err(error),
                Err(error) => {
                    // The source is bad from here on; what was good so far is enqueued.
                    self.many.flush().await?;
                    return Err(error);
                }
            }
        }
        Ok(self.many.flush().await?)
    }

    async fn push_block(&mut self, block: Block) -> Result<(), CliError> {
        let failed = |source| CliError::File { path: self.input.to_string().into(), source };
        for line in block.map_err(failed)? {
            self.number += 1;
            match self.push(line).await {
                Err(CliError::Line { line, reason, .. }) if self.skip_bad => {
                    self.bad += 1;
                    output::talk(format_args!("line {line} skipped: {reason}"));
                }
                Err(error) => {
                    self.bad += u64::from(matches!(error, CliError::Line { .. }));
                    return Err(error);
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }

    async fn push(&mut self, line: Line) -> Result<(), CliError> {
        let text = match line {
            Line::TooLong => return Err(self.bad_line("it is too long for a task".to_owned())),
            Line::Text(text) if text.trim_ascii().is_empty() => return Ok(()),
            Line::Text(text) => text,
        };
        let spec = TaskSpec::from_line(&text).map_err(|reason| self.bad_line(reason))?;
        let task =
            spec.or(self.defaults).into_task().map_err(|error| self.bad_line(error.to_string()))?;
        match self.many.push(task).await {
            Ok(id) => {
                self.pushed.push_back(id);
                Ok(())
            }
            Err(EnqueueError::Invalid(error)) => Err(self.bad_line(error.to_string())),
            Err(error) => Err(error.into()),
        }
    }

    /// Tells of those that Redis has by now. Batches are answered in their order.
    fn tell(&mut self) -> Result<(), CliError> {
        let enqueued = self.many.enqueued();
        let new = enqueued.duplicates[self.duplicates..].iter();
        let first: HashMap<TaskId, TaskId> =
            new.map(|duplicate| (duplicate.id, duplicate.first)).collect();
        self.duplicates = enqueued.duplicates.len();
        let answered = enqueued.count + enqueued.duplicates.len() as u64;
        let settled = usize::try_from(answered - self.answered).unwrap_or(usize::MAX);
        self.answered = answered;
        let ids = self.pushed.drain(..settled).map(|id| match first.get(&id) {
            Some(&id) => Enqueued { id, duplicate: true },
            None => Enqueued { id, duplicate: false },
        });
        self.told.add(&ids.collect::<Vec<_>>())
    }

    fn bad_line(&self, reason: String) -> CliError {
        CliError::Line { input: self.input.to_string(), line: self.number, reason }
    }

    fn report(&self) -> Report {
        let enqueued = self.many.enqueued();
        Report {
            enqueued: enqueued.count,
            duplicates: enqueued.duplicates.len() as u64,
            bad: self.bad,
        }
    }
}
