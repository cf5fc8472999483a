//! Walks a folder: each task looks at one folder and spawns a task for each folder in it. What they find is
//! accumulated; the report is made when the last of them has ended, however many there come to be.
//!
//! `CELERIAC_REDIS_URL=redis://127.0.0.1:6379/ cargo run -p celeriac --example walk -- docs`

use std::error::Error;
use std::path::{Path, PathBuf};

use celeriac::workflow::{IntoFlow, map, sum};
use celeriac::{Broker, Context, Producer, RedisConfig, Registry, Shutdown, TaskError};
use celeriac::{Worker, WorkerConfig};
use serde::{Deserialize, Serialize};

/// What is in a folder, without the folders in it.
#[derive(Serialize, Deserialize)]
struct Found {
    folders: u64,
    files: u64,
    bytes: u64,
}

#[celeriac::task(name = "walk/folder", queue = "walk", cpu)]
fn walk(folder: PathBuf, ctx: Context) -> Result<Found, TaskError> {
    let mut found = Found { folders: 1, files: 0, bytes: 0 };
    for entry in std::fs::read_dir(&folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            // It joins the group that this task is in: the report waits for it, too.
            ctx.spawn_into_group(walk(entry.path()).flow().into_node()?);
        } else if kind.is_file() {
            found.files += 1;
            found.bytes += entry.metadata()?.len();
        }
    }
    Ok(found)
}

#[celeriac::task(name = "walk/report", queue = "walk")]
async fn report(found: Found, folder: PathBuf) -> Result<String, TaskError> {
    let Found { folders, files, bytes } = found;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    Ok(format!("{name}: {folders} folders, {files} files, {bytes} bytes"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::var("CELERIAC_REDIS_URL");
    let config = url.map_or_else(|_| RedisConfig::default(), RedisConfig::new);
    let own = std::env::temp_dir().join(format!("celeriac-walk-{}", std::process::id()));
    let folder = match std::env::args_os().nth(1) {
        Some(folder) => PathBuf::from(folder),
        None => grow_tree(&own.join("tree"), 5)?,
    };

    let tasks = Registry::new(()).add::<walk>().add::<report>().build();
    let settings = WorkerConfig { queues: vec!["walk".parse()?], ..WorkerConfig::default() };
    let worker = Worker::new(Broker::new(config.clone())?, tasks, settings)?;
    let shutdown = Shutdown::new();
    let running = tokio::spawn(worker.run(shutdown.clone()));

    let producer = Producer::connect(config).await?;
    let found =
        map(walk, [folder.clone()]).accumulate([sum("folders"), sum("files"), sum("bytes")]);
    let report = producer.enqueue(found.then(report::after(folder))).await?;
    println!("{}", report.result().await?);

    shutdown.drain();
    running.await??;
    let _ = std::fs::remove_dir_all(own);
    Ok(())
}

/// Something to walk: a file and two folders in each folder.
fn grow_tree(folder: &Path, levels: u32) -> std::io::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("leaf.txt"), "leaf")?;
    if levels > 1 {
        grow_tree(&folder.join("left"), levels - 1)?;
        grow_tree(&folder.join("right"), levels - 1)?;
    }
    Ok(folder.to_owned())
}
