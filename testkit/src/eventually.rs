//! Waits for a state that announces itself by no event: asks again until a deadline.

use std::panic::Location;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

/// How often is asked.
const POLL: Duration = Duration::from_millis(20);

/// Runs `attempt` until it gives `Ok`, and returns that. An attempt that hangs is cut off at the
/// deadline.
///
/// ```
/// # use std::time::Duration;
/// # use celeriac_testkit::eventually;
/// # async fn count() -> usize { 3 }
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let n = eventually(Duration::from_secs(5), async || match count().await {
///     n if n >= 3 => Ok(n),
///     n => Err(format!("only {n} done")),
/// })
/// .await;
/// assert_eq!(n, 3);
/// # }
/// ```
///
/// # Panics
/// When `deadline` has passed, with the last failure.
#[track_caller]
pub fn eventually<T>(
    deadline: Duration,
    mut attempt: impl AsyncFnMut() -> Result<T, String>,
) -> impl Future<Output = T> {
    let caller = Location::caller();
    async move {
        let end = Instant::now() + deadline;
        let mut last = "the first attempt never ended".to_owned();
        loop {
            match timeout_at(end, attempt()).await {
                Ok(Ok(value)) => return value,
                Ok(Err(failure)) => last = failure,
                Err(_) => {}
            }
            assert!(Instant::now() < end, "not within {deadline:?} at {caller}: {last}");
            sleep(POLL).await;
        }
    }
}
