//! Counts the words of the text files in a folder: each file is counted by a task of its own (map), each
//! word belongs to one of a few parts (shuffle by key), each part is added up by one task (reduce).
//!
//! `CELERIAC_REDIS_URL=redis://127.0.0.1:6379/ cargo run -p celeriac --example word_count -- docs`

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use celeriac::workflow::{fan_out, map};
use celeriac::{Broker, Producer, RedisConfig, Registry, Shutdown, TaskError};
use celeriac::{Worker, WorkerConfig};

/// Words and how often they are there.
type Counts = BTreeMap<String, u64>;

const PARTS: usize = 4;

/// Map: the words of one file, by the part that they belong to.
#[celeriac::task(name = "word_count/map", queue = "word_count", cpu)]
fn count(file: PathBuf) -> Result<Vec<Counts>, TaskError> {
    let mut parts = vec![Counts::new(); PARTS];
    let text = std::fs::read_to_string(&file).map_err(TaskError::new)?;
    for word in text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()) {
        let word = word.to_lowercase();
        *parts[part_of(&word)].entry(word).or_default() += 1;
    }
    Ok(parts)
}

/// The same part for the same word, on whatever machine.
fn part_of(word: &str) -> usize {
    word.bytes().map(usize::from).sum::<usize>() % PARTS
}

/// Reduce: one part of the words of all files.
#[celeriac::task(name = "word_count/reduce", queue = "word_count", cpu)]
fn add_up(files: Vec<Vec<Counts>>, part: usize) -> Result<Counts, TaskError> {
    let mut sum = Counts::new();
    for (word, n) in
        files.into_iter().filter_map(|mut parts| parts.get_mut(part).map(std::mem::take)).flatten()
    {
        *sum.entry(word).or_default() += n;
    }
    Ok(sum)
}

/// The words that are there most often.
#[celeriac::task(name = "word_count/top", queue = "word_count", cpu)]
fn top(parts: Vec<Counts>, how_many: usize) -> Result<Vec<(String, u64)>, TaskError> {
    let mut words: Vec<(String, u64)> = parts.into_iter().flatten().collect();
    words.sort_by(|(a, n), (b, m)| m.cmp(n).then(a.cmp(b)));
    words.truncate(how_many);
    Ok(words)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::var("CELERIAC_REDIS_URL");
    let config = url.map_or_else(|_| RedisConfig::default(), RedisConfig::new);
    let own = std::env::temp_dir().join(format!("celeriac-word-count-{}", std::process::id()));
    let folder = match std::env::args_os().nth(1) {
        Some(folder) => PathBuf::from(folder),
        None => write_rhymes(&own)?,
    };
    let files = std::fs::read_dir(&folder)?.map(|entry| entry.map(|entry| entry.path()));
    let mut files = files.collect::<Result<Vec<_>, _>>()?;
    files.retain(|file| file.extension().is_some_and(|kind| kind == "txt" || kind == "md"));

    let tasks = Registry::new(()).add::<count>().add::<add_up>().add::<top>().build();
    let settings = WorkerConfig { queues: vec!["word_count".parse()?], ..WorkerConfig::default() };
    let worker = Worker::new(Broker::new(config.clone())?, tasks, settings)?;
    let shutdown = Shutdown::new();
    let running = tokio::spawn(worker.run(shutdown.clone()));

    let producer = Producer::connect(config).await?;
    let counted = map(count, files).then(fan_out((0..PARTS).map(add_up::after)));
    let words =
        producer.enqueue(counted.then(top::after(3))).label("words").await?.result().await?;
    for (word, n) in words {
        println!("{word}: {n}");
    }

    shutdown.drain();
    running.await??;
    let _ = std::fs::remove_dir_all(own);
    Ok(())
}

/// Something to count.
fn write_rhymes(folder: &Path) -> std::io::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("row.txt"), "Row, row, row your boat gently down the stream.")?;
    std::fs::write(
        folder.join("merrily.txt"),
        "Merrily, merrily, merrily, merrily: life is but a dream.",
    )?;
    std::fs::write(folder.join("boat.txt"), "A boat, a boat to cross the ferry.")?;
    Ok(folder.to_owned())
}
