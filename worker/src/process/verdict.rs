//! What the end of a process means for its task.

use std::io;
use std::path::Path;
use std::process::ExitStatus;

use serde_json::value::RawValue;

use crate::process::group::End;
use crate::process::pipes::Heard;
use crate::task::{RunResult, TaskError};

/// `EX_USAGE` and `EX_DATAERR` of `sysexits.h`: every further attempt would end the same.
const FATAL_CODES: [i32; 2] = [64, 65];

/// `EX_TEMPFAIL`.
const RETRY_CODE: i32 = 75;

/// How much of an output that is no JSON is shown, in characters.
const EXCERPT_CHARS: usize = 80;

/// How much of the last line of standard error stands in the message, in characters.
const LINE_CHARS: usize = 500;

/// How a process of a task ended and what it said.
pub(super) struct Exit<'a> {
    pub(super) name: &'a str,
    pub(super) end: End,
    /// Whether it ended because it was told to stop.
    pub(super) told: bool,
    pub(super) heard: &'a Heard,
    pub(super) max_output: usize,
}

pub(super) fn judge(exit: Exit<'_>) -> RunResult {
    let Exit { name, end, told, heard, max_output } = exit;
    let judged = match end {
        // What stops in good order because it was told to, and says nothing, has no result.
        End::Exited(status) if status.success() && !(told && is_blank(&heard.stdout)) => {
            result(name, &heard.stdout)
        }
        _ if told => Err(TaskError::cancelled()),
        End::Exited(status) => Err(failure(name, status, &heard.stderr.text())),
        End::TooMuch => Err(TaskError::bad_result(
            name,
            format!(
                "its command wrote more than {max_output} bytes to standard output, and was killed; put large data elsewhere and write its address"
            ),
        )),
        End::Unknown(error) => Err(TaskError::new(format!(
            "how the command of task `{name}` ended is unknown: {error}"
        ))),
    };
    judged.map_err(|error| error.with_trace(heard.stderr.text()))
}

/// A program that cannot be started now may be there for the next attempt.
pub(super) fn cannot_start(name: &str, program: &Path, error: &io::Error) -> TaskError {
    let program = program.display();
    TaskError::new(format!("the command of task `{name}` cannot be started: {program}: {error}"))
}

fn is_blank(stdout: &[u8]) -> bool {
    stdout.iter().all(u8::is_ascii_whitespace)
}

fn result(name: &str, stdout: &[u8]) -> RunResult {
    let text = std::str::from_utf8(stdout).map_err(|error| {
        TaskError::bad_result(name, format!("its command wrote no UTF-8: {error}"))
    })?;
    let text = match text.trim() {
        "" => "null",
        text => text,
    };
    RawValue::from_string(text.to_owned()).map_err(|error| {
        let excerpt: String = text.chars().take(EXCERPT_CHARS).collect();
        let reason = format!("its command wrote no JSON to standard output: {error}: {excerpt:?}");
        TaskError::bad_result(name, reason)
    })
}

fn failure(name: &str, status: ExitStatus, complaint: &str) -> TaskError {
    let last: String = complaint.lines().last().unwrap_or("").chars().take(LINE_CHARS).collect();
    let colon = if last.is_empty() { "" } else { ": " };
    let message = format!("the command of task `{name}` ended with {status}{colon}{last}");
    match status.code() {
        Some(code) if FATAL_CODES.contains(&code) => TaskError::fatal(message),
        Some(RETRY_CODE) => TaskError::new(format!("{message} (it asks for another attempt)")),
        _ => TaskError::new(message),
    }
}
