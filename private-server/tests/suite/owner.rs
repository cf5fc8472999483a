//! A process with a private server in it, to be killed or given another environment.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::common::ask;
use rustix::process::{Pid, Signal, kill_process};

/// Another process with a private server in it.
pub(crate) struct Owner {
    process: Child,
    pub(crate) url: String,
    pub(crate) server: u32,
    pub(crate) dir: String,
}

impl Owner {
    /// The command that starts one, so that arguments and environment can be added.
    pub(crate) fn command() -> Command {
        Command::new(env!("CARGO_BIN_EXE_private-server"))
    }

    pub(crate) fn start(command: &mut Command) -> Self {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let facts: HashMap<String, String> = lines
            .take(3)
            .map(|line| {
                let line = line.unwrap();
                let (name, value) = line.split_once(' ').unwrap();
                (name.to_owned(), value.to_owned())
            })
            .collect();
        let owner = Self {
            process,
            url: facts["url"].clone(),
            server: facts["pid"].parse().unwrap(),
            dir: facts["dir"].clone(),
        };
        assert_eq!(ask(&owner.url, "PING").unwrap(), "+PONG");
        owner
    }

    /// Lets the process stop its server and end.
    pub(crate) fn leave(&mut self) {
        drop(self.process.stdin.take());
        assert!(self.process.wait().unwrap().success());
    }

    /// `SIGKILL`.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub(crate) fn signal_server(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.server as i32).unwrap(), signal).unwrap();
    }
}
