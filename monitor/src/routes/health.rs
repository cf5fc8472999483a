//! For supervisors: is the process up, and does Redis answer?

use std::time::Duration;

use axum::extract::State;
use tokio::time::timeout;

use crate::auth::Viewer;
use crate::error::Problem;
use crate::state::Monitor;

/// Shorter than what a supervisor waits.
const PING: Duration = Duration::from_secs(2);

/// The process answers; nothing else is asked.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Redis answers.
pub(super) async fn readyz(
    State(monitor): State<Monitor>,
    viewer: Viewer,
) -> Result<&'static str, Problem> {
    let answer = match timeout(PING, monitor.broker().ping()).await {
        Ok(pong) => pong.map_err(Problem::from),
        Err(_) => Err(Problem::redis_unavailable(format!(
            "Redis at {} has not answered for {} s",
            monitor.broker().server(),
            PING.as_secs()
        ))),
    };
    match answer {
        Ok(()) => Ok("ok\n"),
        // Where Redis is, is not for everybody.
        Err(_) if viewer.outside => Err(Problem::redis_unavailable("Redis does not answer")),
        Err(problem) => Err(problem),
    }
}
