//! Worker processes for measurements: this same program, gone when the measurement is.

use std::process::Stdio;
use std::time::Duration;

use celeriac_broker_schema::Broker;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::error::CliError;
use crate::fleet::child::lead_to;

/// Worker processes on one namespace.
pub(super) struct Workers {
    children: Vec<Child>,
}

impl Workers {
    /// Starts so many workers with so many slots each and waits until all are ready.
    pub(super) async fn start(
        broker: &Broker,
        processes: usize,
        slots: usize,
    ) -> Result<Self, CliError> {
        let mut children = Vec::new();
        for _ in 0..processes {
            children.push(spawn(broker, slots)?);
        }
        for child in &mut children {
            ready(child).await?;
        }
        Ok(Self { children })
    }

    /// Stops all and waits for their end.
    pub(super) async fn stop(mut self) {
        for child in &mut self.children {
            // Their standard input is the line by which they notice that we are gone.
            drop(child.stdin.take());
        }
        for mut child in self.children {
            if tokio::time::timeout(Duration::from_secs(10), child.wait()).await.is_err() {
                let _ = child.kill().await;
            }
        }
    }
}

fn spawn(broker: &Broker, slots: usize) -> Result<Child, CliError> {
    let spawn = |source| CliError::Spawn { name: "a worker".to_owned(), source };
    let program = std::env::current_exe().map_err(spawn)?;
    let mut command = Command::new(program);
    lead_to(broker.config(), &mut command);
    command
        .args(["worker", "--exit-with-parent", "--concurrency", &slots.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(spawn)
}

/// Waits for the line that says so; what the worker says later is dropped.
async fn ready(child: &mut Child) -> Result<(), CliError> {
    let mut log = Vec::new();
    let Some(stderr) = child.stderr.take() else { return Ok(()) };
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if line.starts_with("ready:") {
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok(());
        }
        log.push(line);
    }
    let status = child.wait().await.map_err(CliError::System)?;
    Err(CliError::ChildEnded { name: "a worker".to_owned(), status, log })
}
