//! Many tasks, streamed: while one batch is on its way, the next lines are read. When the source
//! pauses, what has come so far is sent.

use std::time::Duration;

use celeriac_producer::{EnqueueError, Many, Producer};
use serde::Serialize;
use tokio::sync::mpsc::error::TryRecvError;

use super::lines::{self, Block, Line};
use super::spec::TaskSpec;
use crate::args::Input;
use crate::error::CliError;
use crate::format::{counted, grouped};
use crate::globals::Globals;
use crate::output;

/// What became of the lines.
#[derive(Debug, Default, Serialize)]
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
    globals: &Globals,
) -> Result<(), CliError> {
    let blocks = lines::read(input)?;
    let producer = Producer::new(globals.connect().await?).wait_while_full(wait_while_full);
    let mut stream = Stream { many: producer.many(), input, defaults, skip_bad, number: 0, bad: 0 };
    let ended = stream.run(blocks).await;
    let report = stream.report();
    if globals.json {
        output::json(&report)?;
    } else {
        output::line(format_args!(
            "{} enqueued{}",
            counted(report.enqueued, "task"),
            report.rest()
        ))?;
    }
    match ended {
        Err(error) => Err(CliError::Stream { enqueued: report.enqueued, source: Box::new(error) }),
        Ok(()) if report.bad > 0 => {
            Err(CliError::Skipped { input: input.to_string(), skipped: report.bad })
        }
        Ok(()) => Ok(()),
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
                    blocks.recv().await
                }
            };
            let Some(block) = block else { break };
            match self.push_block(block).await {
                Ok(()) => {}
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
            Ok(_) => Ok(()),
            Err(EnqueueError::Invalid(error)) => Err(self.bad_line(error.to_string())),
            Err(error) => Err(error.into()),
        }
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
