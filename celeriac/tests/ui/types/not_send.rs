//! A task that cannot move between threads.
#![allow(unused)]

use std::rc::Rc;

use celeriac::TaskError;

#[celeriac::task(name = "holds_an_rc")]
async fn holds_an_rc(n: u64) -> Result<u64, TaskError> {
    let n = Rc::new(n);
    std::future::ready(()).await;
    Ok(*n)
}

fn main() {}
