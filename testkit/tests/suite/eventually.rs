//! Waiting for a state: success, failure, an attempt that hangs.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use celeriac_testkit::eventually;

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn runs_until_the_first_success() {
    let mut runs = 0;
    let value = eventually(LONG, async || {
        runs += 1;
        if runs < 3 { Err(format!("only {runs}")) } else { Ok("done") }
    })
    .await;
    assert_eq!((value, runs), ("done", 3));
}

#[tokio::test]
async fn a_plain_closure_with_an_async_block_will_do() {
    assert_eq!(eventually(LONG, || async { Ok(1) }).await, 1);
}

#[tokio::test]
async fn the_panic_tells_the_last_failure_and_the_place() {
    let mut runs = 0;
    let attempt = async || -> Result<(), String> {
        runs += 1;
        Err(format!("failure {runs}"))
    };
    let message = panic_of(eventually(SHORT, attempt)).await;
    assert!(message.contains(&format!("failure {runs}")), "{message}");
    assert!(message.contains(file!()), "{message}");
}

#[tokio::test]
async fn an_attempt_that_hangs_is_cut_off() {
    let attempt = || std::future::pending::<Result<(), String>>();
    let message = panic_of(eventually(SHORT, attempt)).await;
    assert!(message.contains("never ended"), "{message}");
}

/// What a future says when it panics.
async fn panic_of(future: impl Future<Output = ()>) -> String {
    let mut future = std::pin::pin!(future);
    let caught = std::future::poll_fn(|context| {
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        match polled {
            Ok(poll) => poll.map(Ok),
            Err(panic) => std::task::Poll::Ready(Err(panic)),
        }
    });
    let panic = caught.await.expect_err("it panics");
    *panic.downcast::<String>().unwrap()
}
