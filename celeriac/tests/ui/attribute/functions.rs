//! Functions that cannot be tasks.
#![allow(unused)]

use celeriac::{Attempt, TaskError};

#[celeriac::task(name = "computes_and_awaits", cpu)]
async fn computes_and_awaits() -> Result<(), TaskError> {
    Ok(())
}

#[celeriac::task(name = "neither_async_nor_cpu")]
fn neither_async_nor_cpu() -> Result<(), TaskError> {
    Ok(())
}

struct Service;

impl Service {
    #[celeriac::task(name = "method")]
    async fn method(&self, id: u64) -> Result<(), TaskError> {
        Ok(())
    }
}

#[celeriac::task(name = "generic")]
async fn generic<T>(value: T, other: impl Copy) -> Result<(), TaskError> {
    Ok(())
}

#[celeriac::task(name = "parameters")]
async fn parameters((a, b): (u8, u8), _: u8, text: &str, list: Vec<&'static str>) -> Result<(), TaskError> {
    Ok(())
}

#[celeriac::task(name = "returns_nothing")]
async fn returns_nothing(id: u64) {}

#[celeriac::task(name = "dangerous")]
async unsafe fn dangerous() -> Result<(), TaskError> {
    Ok(())
}

#[celeriac::task(name = "greedy")]
async fn greedy(
    a: Attempt,
    b: Attempt,
    c: Attempt,
    d: Attempt,
    e: Attempt,
    f: Attempt,
    g: Attempt,
) -> Result<(), TaskError> {
    Ok(())
}

#[celeriac::task(name = "not-a-function")]
struct NotAFunction;

fn main() {}
