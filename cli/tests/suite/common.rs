//! Running the binary against a Redis and a namespace of its own.

use std::process::{Command, Stdio};
use std::time::Duration;

use celeriac_testkit::redis::fresh_namespace;
use celeriac_testkit::{Process, TestRedis};
use serde_json::Value;

/// What a healthy machine never needs.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// A namespace on a server, and the command that works on it.
pub(crate) struct Celeriac {
    pub(crate) url: String,
    pub(crate) namespace: String,
}

/// How a command ended and what it said.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Celeriac {
    /// A fresh namespace on the server that all tests share.
    pub(crate) async fn shared() -> Self {
        Self::at(TestRedis::shared().await.url())
    }

    /// A fresh namespace on any server, which need not be there.
    pub(crate) fn at(url: &str) -> Self {
        Self { url: url.to_owned(), namespace: fresh_namespace() }
    }

    /// The command with these arguments, written as one types them.
    pub(crate) fn command(&self, args: &str) -> Command {
        let mut command = bare();
        command.args(args.split_whitespace());
        command.env("CELERIAC_REDIS_URL", &self.url).env("CELERIAC_NAMESPACE", &self.namespace);
        command
    }

    /// Runs the command to its end.
    pub(crate) fn run(&self, args: &str) -> Ran {
        run(&mut self.command(args))
    }

    /// Runs the command, which must succeed, and returns what it prints.
    pub(crate) fn ok(&self, args: &str) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(0), "{args}: {ran:?}");
        ran.stdout.trim_end().to_owned()
    }

    /// Runs the command with `--json`, which must succeed, and returns what it prints.
    pub(crate) fn json(&self, args: &str) -> Value {
        let text = self.ok(&format!("{args} --json"));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args}: {error}: {text}"))
    }

    /// Starts a worker and waits until it is ready.
    pub(crate) async fn worker(&self, args: &str) -> Process {
        let worker = Process::spawn(&mut self.command(&format!("worker {args}")));
        worker.wait_for_line(|line| line.starts_with("ready: lease "), SOON).await;
        worker
    }
}

/// The command, without what the environment of the tests says.
pub(crate) fn bare() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_celeriac"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CELERIAC_") && name != "CELERIAC_REDIS_SERVER" {
            command.env_remove(name);
        }
    }
    command
}

pub(crate) fn run(command: &mut Command) -> Ran {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}
