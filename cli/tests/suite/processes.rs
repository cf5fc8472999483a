//! What a command leaves behind: every process that descends from it has its environment, also
//! those that have lost their parents.

use std::process::Command;

use celeriac_testkit::redis::fresh_namespace;

/// A mark in the environment of a command.
pub(crate) struct Mark(String);

impl Mark {
    pub(crate) fn on(command: &mut Command) -> Self {
        let mark = fresh_namespace();
        command.env("TEST_MARK", &mark);
        Self(format!("TEST_MARK={mark}"))
    }

    /// The living processes that have it: id and command line. Linux tells (`/proc`); elsewhere
    /// nobody is found.
    pub(crate) fn processes(&self) -> Vec<(u32, String)> {
        let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
        let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        ids.filter_map(|id| Some((id, self.command_line(id)?))).collect()
    }

    fn command_line(&self, id: u32) -> Option<String> {
        // A process that has ended, and only waits to be reaped, has no environment any more.
        let environment = std::fs::read(format!("/proc/{id}/environ")).ok()?;
        let has_mark = environment.split(|byte| *byte == 0).any(|entry| entry == self.0.as_bytes());
        let line = std::fs::read(format!("/proc/{id}/cmdline")).ok()?;
        has_mark.then(|| String::from_utf8_lossy(&line).replace('\0', " "))
    }

    /// The processes whose command line contains `part`.
    pub(crate) fn with(&self, part: &str) -> Vec<u32> {
        let found = self.processes().into_iter().filter(|(_, line)| line.contains(part));
        found.map(|(id, _)| id).collect()
    }
}
