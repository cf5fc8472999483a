//! Handlers that ask for state which the worker does not have.
#![allow(unused)]

use celeriac::{Data, Registry, TaskError};

#[derive(Clone)]
struct Db;

#[celeriac::task(name = "load")]
async fn load(id: u64, db: Data<Db>) -> Result<u64, TaskError> {
    Ok(id)
}

async fn handler(db: Data<Db>, task: load) -> Result<u64, TaskError> {
    Ok(task.id)
}

fn main() {
    let _ = Registry::new(()).add::<load>();
    let _ = Registry::new("settings").task(handler);
}
