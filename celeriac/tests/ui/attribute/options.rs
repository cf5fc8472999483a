//! Options that do not exist or have wrong values. The task stays usable.
#![allow(unused)]

use celeriac::TaskError;

#[celeriac::task(name = "unknown", retires = 3)]
async fn unknown() -> Result<(), TaskError> {
    Ok(())
}

#[celeriac::task(name = "durations", timeout = "30 seconds", keep = "1.5h", backoff = "1x")]
async fn durations() -> Result<(), TaskError> {
    Ok(())
}

#[celeriac::task(name = "out-of-bounds", timeout = "0s", backoff = "10m..1s", priority = 10, retries = -1)]
async fn out_of_bounds() -> Result<(), TaskError> {
    Ok(())
}

#[celeriac::task(name = "a b", queue = "", timeout = 30, priority = "high", cpu = true)]
async fn wrong_values() -> Result<(), TaskError> {
    Ok(())
}

#[celeriac::task(name = "twice", retries = 3, retries = 4)]
async fn twice() -> Result<(), TaskError> {
    Ok(())
}

#[celeriac::task(name = "places", needs = "gpu@2", tenant = "a b", cost = 0, idempotent = true)]
async fn places() -> Result<(), TaskError> {
    Ok(())
}

#[celeriac::task(name = "retention", keep = "1d", keep_on_failure = "1h", idempotent, idempotent)]
async fn retention() -> Result<(), TaskError> {
    Ok(())
}

fn main() {
    let _ = unknown();
}
