//! [`serve`]: the one place where tasks are spawned, and their ends noticed.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::error::MonitorError;
use crate::poller::Poller;
use crate::routes::router;
use crate::state::Monitor;

/// How long requests under way may take to end after `shutdown`: one that waits for Redis, or a
/// client that does not read.
const GRACE: Duration = Duration::from_secs(5);

/// Serves the monitor until `shutdown`, then lets requests under way end, for 5 seconds at
/// most. Live pages do not hold it up. Redis need not be there, neither at the start nor later.
///
/// # Errors
/// [`MonitorError::Server`] or [`MonitorError::Poller`] if a part ended without being asked to.
pub async fn serve(
    listener: TcpListener,
    monitor: Monitor,
    shutdown: CancellationToken,
) -> Result<(), MonitorError> {
    if monitor.guard().access().is_public() {
        tracing::warn!("whoever reaches the monitor can see all names, arguments and results");
    }
    let closing = monitor.closing().clone();
    let mut poller = tokio::spawn(Poller::new(monitor.clone()).run(closing.clone()));
    let routes = router(monitor).into_make_service_with_connect_info::<SocketAddr>();
    let serving =
        axum::serve(listener, routes).with_graceful_shutdown(closing.clone().cancelled_owned());
    let mut server = tokio::spawn(async move { serving.await });

    let result = tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        _ = &mut poller => Err(MonitorError::Poller),
        ended = &mut server => {
            closing.cancel();
            return Err(server_ended(ended));
        }
    };
    closing.cancel();
    if timeout(GRACE, &mut server).await.is_err() {
        tracing::warn!("requests that did not end within {GRACE:?} are cut off");
        server.abort();
    }
    result
}

fn server_ended(ended: Result<std::io::Result<()>, tokio::task::JoinError>) -> MonitorError {
    MonitorError::Server(match ended {
        Ok(Ok(())) => std::io::Error::other("it ended without an error"),
        Ok(Err(error)) => error,
        Err(error) => std::io::Error::other(error),
    })
}
