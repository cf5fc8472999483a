//! The file of `celeriac worker --tasks-file`: commands that run as tasks. Read as a whole before
//! the worker starts, and refused as a whole, with every problem and where it is.

mod fields;
mod program;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use celeriac_broker_schema::TaskName;
use celeriac_broker_schema::limits::MAX_RESULT_BYTES;
use celeriac_worker::process::ProcessTask;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::args::values::duration;
use crate::error::CliError;
use crate::tasks_file::fields::Fields;

/// Reads the file.
///
/// # Errors
/// A file that cannot be read, or every problem of what it says. Its tasks must not be named as one
/// of `taken`.
pub(crate) fn read(path: &Path, taken: &[&str]) -> Result<Vec<(TaskName, ProcessTask)>, CliError> {
    let file = |source| CliError::File { path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(file)?;
    // What it names is found from where it is, wherever the worker was started.
    let folder = std::path::absolute(path).map_err(file)?;
    let folder = folder.parent().unwrap_or(Path::new("/")).to_owned();
    let mut reader = Reader { folder, taken, problems: Vec::new() };
    let tasks = reader.file(&text);
    match reader.problems {
        problems if problems.is_empty() => Ok(tasks),
        problems => Err(CliError::TasksFile { path: path.to_owned(), problems }),
    }
}

struct Reader<'a> {
    folder: PathBuf,
    taken: &'a [&'a str],
    problems: Vec<String>,
}

/// The fields of a task, as far as they are valid.
struct Parts {
    command: Option<Vec<String>>,
    /// None if it is not there.
    dir: Option<PathBuf>,
    env: Vec<(String, String)>,
    timeout: Option<Duration>,
    grace: Option<Duration>,
    max_output: Option<usize>,
}

impl Reader<'_> {
    fn file(&mut self, text: &str) -> Vec<(TaskName, ProcessTask)> {
        let whole = match serde_json::from_str::<Box<RawValue>>(text) {
            Ok(whole) => whole,
            Err(error) => {
                self.problem("the file", format_args!("it is no JSON: {error}"));
                return Vec::new();
            }
        };
        let mut tasks = Vec::new();
        let mut named = false;
        for (field, value) in self.fields("the file", &whole) {
            if field == "tasks" {
                named = true;
                for (name, task) in self.fields("tasks", &value) {
                    tasks.extend(self.task(&name, &task));
                }
            } else {
                self.problem(&field, "there is no such field: the file has the one field tasks");
            }
        }
        if !named && self.problems.is_empty() {
            self.problem("tasks", r#"missing: write {"tasks": {"NAME": {"command": […]}}}"#);
        }
        tasks
    }

    fn task(&mut self, name: &str, value: &RawValue) -> Option<(TaskName, ProcessTask)> {
        let path = format!("tasks.{name}");
        if self.taken.contains(&name) {
            self.problem(&path, "a built-in task has this name: choose another one");
        }
        let valid = name.parse().map_err(|error| self.problem(&path, error)).ok();
        let parts = self.parts(&path, value);
        let task = self.built(&format!("{path}.command"), parts);
        Some((valid?, task?))
    }

    fn parts(&mut self, path: &str, value: &RawValue) -> Parts {
        let dir = Some(self.folder.clone());
        let mut parts =
            Parts { command: None, dir, env: vec![], timeout: None, grace: None, max_output: None };
        let mut has_command = false;
        let before = self.problems.len();
        for (field, value) in self.fields(path, value) {
            let path = format!("{path}.{field}");
            match field.as_str() {
                "command" => {
                    has_command = true;
                    parts.command = self.command(&path, &value);
                }
                "dir" => parts.dir = self.dir(&path, &value),
                "env" => parts.env = self.env(&path, &value),
                "timeout" => parts.timeout = self.parsed(&path, &value, positive),
                "grace" => parts.grace = self.parsed(&path, &value, duration),
                "max_output" => parts.max_output = self.parsed(&path, &value, bytes),
                _ => self.problem(
                    &path,
                    "there is no such field: there are command, dir, env, timeout, grace and max_output",
                ),
            }
        }
        if !has_command && self.problems.len() == before {
            self.problem(&format!("{path}.command"), r#"missing: write ["PROGRAM", "ARGUMENT"]"#);
        }
        parts
    }

    fn command(&mut self, path: &str, value: &RawValue) -> Option<Vec<String>> {
        let what = r#"a list of texts, such as ["python3", "resize.py"]"#;
        let command: Vec<String> = self.value(path, value, what)?;
        if command.first().is_none_or(String::is_empty) {
            self.problem(path, "it is empty: name a program");
            return None;
        }
        if command.iter().any(|part| part.contains('\0')) {
            self.problem(path, "it has a character that no argument can have (U+0000)");
            return None;
        }
        Some(command)
    }

    fn dir(&mut self, path: &str, value: &RawValue) -> Option<PathBuf> {
        let dir: String = self.value(path, value, "a text")?;
        let dir = self.folder.join(dir);
        if !dir.is_dir() {
            self.problem(path, format_args!("there is no directory {}", dir.display()));
            return None;
        }
        Some(dir)
    }

    fn env(&mut self, path: &str, value: &RawValue) -> Vec<(String, String)> {
        let mut env = Vec::new();
        for (name, value) in self.fields(path, value) {
            let path = format!("{path}.{name}");
            if name.is_empty() || name.contains(['=', '\0']) {
                self.problem(&path, "no variable can have this name");
            }
            match self.value::<String>(&path, &value, "a text") {
                Some(value) if value.contains('\0') => {
                    self.problem(&path, "it has a character that no variable can have (U+0000)");
                }
                Some(value) => env.push((name, value)),
                None => {}
            }
        }
        env
    }

    /// The task, if there is a program to run.
    fn built(&mut self, path: &str, parts: Parts) -> Option<ProcessTask> {
        let (command, dir) = (parts.command?, parts.dir?);
        let (name, args) = command.split_first()?;
        let own = parts.env.iter().find(|(name, _)| name == "PATH");
        let places = own.map(|(_, path)| OsString::from(path)).or_else(|| std::env::var_os("PATH"));
        let Some(program) = program::find(name, &dir, places.as_deref()) else {
            let place = if name.contains('/') { "there" } else { "on PATH" };
            self.problem(path, format_args!("no program {name:?} that may be run is {place}"));
            return None;
        };
        let mut task = ProcessTask::new(program, args).dir(dir);
        for (name, value) in parts.env {
            task = task.env(name, value);
        }
        if let Some(timeout) = parts.timeout {
            task = task.timeout(timeout);
        }
        if let Some(grace) = parts.grace {
            task = task.grace(grace);
        }
        Some(match parts.max_output {
            Some(bytes) => task.max_output(bytes),
            None => task,
        })
    }

    /// The fields of an object, none if it is none.
    fn fields(&mut self, path: &str, value: &RawValue) -> Vec<(String, Box<RawValue>)> {
        let Some(Fields(fields)) = self.value(path, value, "an object") else { return Vec::new() };
        let mut seen = BTreeSet::new();
        for (name, _) in &fields {
            if !seen.insert(name) {
                self.problem(path, format_args!("{name:?} stands there twice"));
            }
        }
        fields
    }

    fn parsed<T>(
        &mut self,
        path: &str,
        value: &RawValue,
        parse: fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text: String = self.value(path, value, "a text, with a unit")?;
        parse(&text).map_err(|problem| self.problem(path, problem)).ok()
    }

    fn value<T: DeserializeOwned>(
        &mut self,
        path: &str,
        value: &RawValue,
        what: &str,
    ) -> Option<T> {
        let read = serde_json::from_str(value.get());
        read.map_err(|_| self.problem(path, format_args!("it must be {what}"))).ok()
    }

    fn problem(&mut self, path: &str, problem: impl std::fmt::Display) {
        self.problems.push(format!("{path}: {problem}"));
    }
}

fn positive(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("use more than 0".to_owned()),
        time => Ok(time),
    }
}

/// `64KiB`, `1MiB`, `500B`.
fn bytes(text: &str) -> Result<usize, String> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("B", 1)];
    let parsed = units.iter().find_map(|(unit, factor)| {
        text.strip_suffix(unit)?.trim().parse::<usize>().ok()?.checked_mul(*factor)
    });
    let fits = parsed.filter(|bytes| (1..=MAX_RESULT_BYTES).contains(bytes));
    fits.ok_or_else(|| format!("{text:?} is not valid: write 1B to 1MiB, such as 64KiB"))
}

#[cfg(test)]
mod tests;
