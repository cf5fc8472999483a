//! Exit codes: one number for each meaning, the table that `celeriac --help` shows, and the way
//! from an error to both its message and its number.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use crate::error::CliError;

/// How the command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Success = 0,
    TaskFailed = 1,
    Usage = 2,
    Unreachable = 3,
    Refused = 4,
    Unknown = 5,
    NotEnded = 6,
    InvalidInput = 7,
    ProblemsFound = 8,
    ThisMachine = 9,
    Internal = 10,
    /// 128 + SIGINT, as a shell reports it.
    Interrupted = 130,
    /// 128 + SIGTERM.
    Terminated = 143,
}

impl Exit {
    pub(crate) const ALL: [Exit; 13] = [
        Exit::Success,
        Exit::TaskFailed,
        Exit::Usage,
        Exit::Unreachable,
        Exit::Refused,
        Exit::Unknown,
        Exit::NotEnded,
        Exit::InvalidInput,
        Exit::ProblemsFound,
        Exit::ThisMachine,
        Exit::Internal,
        Exit::Interrupted,
        Exit::Terminated,
    ];

    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Exit::Success => "done; with --wait: the task or job succeeded",
            Exit::TaskFailed => "the task or job failed, was cancelled or expired",
            Exit::Usage => "the command line cannot be understood",
            Exit::Unreachable => "Redis is not reachable, or not ready yet",
            Exit::Refused => {
                "refused: user or password, out of memory, unsuitable server, closed or full queue"
            }
            Exit::Unknown => {
                "no such task, job, schedule, limit or dead letter, or nothing of it is kept"
            }
            Exit::NotEnded => "the task or job has not ended (yet, or within --wait-timeout)",
            Exit::InvalidInput => {
                "not valid (name, id, lease, arguments, line), too many limits, no --yes, not revivable"
            }
            Exit::ProblemsFound => {
                "doctor or --check found a problem, or an order was not taken up in time"
            }
            Exit::ThisMachine => {
                "this machine is in the way: a port, a file, a process, no Redis server program"
            }
            Exit::Internal => "a bug, or a reply of Redis that is not understood",
            Exit::Interrupted => "interrupted by Ctrl-C or a signal",
            Exit::Terminated => "told to end (SIGTERM) while it waited; the task or job goes on",
        }
    }
}

/// The section of `--help`.
pub(crate) fn help() -> String {
    let mut text = String::from("Exit codes:");
    for exit in Exit::ALL {
        text.push_str(&format!("\n{:>5}  {}", exit.code(), exit.meaning()));
    }
    text
}

/// Tells what went wrong, if anything did, and gives the process its exit code.
pub(crate) fn report(result: Result<(), CliError>) -> ExitCode {
    let error = match result {
        Ok(()) => return ExitCode::SUCCESS,
        // Whoever reads our output has seen enough (`celeriac jobs | head -1`).
        Err(CliError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            return ExitCode::SUCCESS;
        }
        Err(error) => error,
    };
    let mut stderr = io::stderr().lock();
    let bold = stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let paint = |word: &str, colour: u8| match bold {
        true => format!("\x1b[1;{colour}m{word}\x1b[0m"),
        false => word.to_owned(),
    };
    // If nobody can be told, the exit code still tells.
    let _ = writeln!(stderr, "{} {error}", paint("error:", 31));
    if let Some(hint) = error.hint() {
        let _ = writeln!(stderr, "{} {hint}", paint("hint:", 36));
    }
    ExitCode::from(error.exit().code())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_meaning_has_a_number_of_its_own() {
        let codes: BTreeSet<u8> = Exit::ALL.into_iter().map(Exit::code).collect();
        let meanings: BTreeSet<&str> = Exit::ALL.into_iter().map(Exit::meaning).collect();
        assert_eq!((codes.len(), meanings.len()), (Exit::ALL.len(), Exit::ALL.len()));
        for exit in Exit::ALL {
            assert!(help().contains(exit.meaning()));
        }
    }
}
