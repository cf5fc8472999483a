//! Telling a worker to stop: first in good order, then at once. And hearing it from the system.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Tells a worker to stop. Clones are the same switch.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    drain: CancellationToken,
    now: CancellationToken,
}

impl Shutdown {
    /// A switch that is not thrown.
    pub fn new() -> Self {
        Self::default()
    }

    /// Take nothing new, hand back what has not begun, finish what runs, leave.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Hand everything back and leave.
    pub fn now(&self) {
        self.drain.cancel();
        self.now.cancel();
    }

    /// Whether the worker is to leave.
    pub fn is_draining(&self) -> bool {
        self.drain.is_cancelled()
    }

    pub(crate) fn is_now(&self) -> bool {
        self.now.is_cancelled()
    }

    /// Waits until the worker is to leave.
    pub async fn draining(&self) {
        self.drain.cancelled().await;
    }

    pub(crate) async fn told_now(&self) {
        self.now.cancelled().await;
    }
}

/// Lets SIGTERM and SIGINT throw the switch: the first one drains, the second one hands
/// everything back at once. Runs until then; spawn it beside the worker.
///
/// # Errors
/// If the system does not let us listen to signals.
pub async fn listen_to_signals(shutdown: Shutdown) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    for throw in [Shutdown::drain, Shutdown::now] {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        throw(&shutdown);
    }
    Ok(())
}
