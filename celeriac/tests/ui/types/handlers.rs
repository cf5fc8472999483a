//! Handlers whose types do not fit.
#![allow(unused)]

use celeriac::{Context, Registry, Task, TaskError};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Resize {
    width: u32,
}

impl Task for Resize {
    const NAME: &'static str = "resize";
    type Output = u32;
}

async fn takes_a_number(width: u32) -> Result<u32, TaskError> {
    Ok(width)
}

async fn task_comes_first(task: Resize, ctx: Context) -> Result<u32, TaskError> {
    Ok(task.width)
}

async fn no_extractor(scale: f64, task: Resize) -> Result<u32, TaskError> {
    Ok(task.width)
}

async fn other_output(task: Resize) -> Result<String, TaskError> {
    Ok(task.width.to_string())
}

fn not_async(task: Resize) -> Result<u32, TaskError> {
    Ok(task.width)
}

fn main() {
    let _ = Registry::new(()).task(takes_a_number);
    let _ = Registry::new(()).task(task_comes_first);
    let _ = Registry::new(()).task(no_extractor);
    let _ = Registry::new(()).task(other_output);
    let _ = Registry::new(()).task(not_async);
    let _ = Registry::new(()).task(Resize { width: 1 });
    let _ = Registry::new(()).add::<Resize>();
}
