//! Functions that cannot be tasks.
#![allow(unused)]

use celeriac::{Attempt, TaskError};

#[celeriac::task(cpu)]
async fn computes_and_awaits() -> Result<(), TaskError> {
    Ok(())
}

#[celeriac::task]
fn neither_async_nor_cpu() -> Result<(), TaskError> {
    Ok(())
}

struct Service;

impl Service {
    #[celeriac::task]
    async fn method(&self, id: u64) -> Result<(), TaskError> {
        Ok(())
    }
}

#[celeriac::task]
async fn generic<T>(value: T, other: impl Copy) -> Result<(), TaskError> {
    Ok(())
}

#[celeriac::task]
async fn parameters((a, b): (u8, u8), _: u8, text: &str, list: Vec<&'static str>) -> Result<(), TaskError> {
    Ok(())
}

#[celeriac::task]
async fn returns_nothing(id: u64) {}

#[celeriac::task]
async unsafe fn dangerous() -> Result<(), TaskError> {
    Ok(())
}

#[celeriac::task]
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

#[celeriac::task]
async fn größe() -> Result<(), TaskError> {
    Ok(())
}

#[celeriac::task]
struct NotAFunction;

fn main() {}
