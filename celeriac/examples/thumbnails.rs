//! A pipeline: for each picture a chain that loads it, makes it small and stores it; a report at the end
//! tells how all of them went. A picture that cannot be read stops nothing but its own chain.
//!
//! `CELERIAC_REDIS_URL=redis://127.0.0.1:6379/ cargo run -p celeriac --example thumbnails`

use std::error::Error;

use celeriac::workflow::{IntoFlow as _, group};
use celeriac::{Broker, Producer, RedisConfig, Registry, Shutdown, TaskError, TaskFailure};
use celeriac::{Worker, WorkerConfig};
use serde::{Deserialize, Serialize};

/// Brightness, row by row.
#[derive(Serialize, Deserialize)]
struct Picture {
    name: String,
    width: usize,
    pixels: Vec<u8>,
}

/// Where pictures come from; here they are drawn.
#[celeriac::task(name = "thumbnails/load", queue = "thumbnails", retries = 0)]
async fn load(name: String) -> Result<Picture, TaskError> {
    let width = 16;
    let bright = |x: usize, y: usize| match name.as_str() {
        "slope" => Ok(x * 255 / (width - 1)),
        "bars" => Ok(if (x / 4).is_multiple_of(2) { 255 } else { 0 }),
        "frame" => Ok(if x.min(y) < 4 || x.max(y) >= 12 { 255 } else { 0 }),
        _ => Err(TaskError::fatal(format!("there is no picture named {name}"))),
    };
    let pixels = (0..width * width).map(|at| bright(at % width, at / width));
    let pixels = pixels.map(|pixel| pixel.map(|bright| bright as u8)).collect::<Result<_, _>>()?;
    Ok(Picture { name, width, pixels })
}

/// One pixel for each square of `by` times `by`.
#[celeriac::task(name = "thumbnails/shrink", queue = "thumbnails", cpu)]
fn shrink(picture: Picture, by: usize) -> Result<Picture, TaskError> {
    let Picture { name, width, pixels } = picture;
    let small = width / by;
    let mean = |at: usize| {
        let (x, y) = (at % small * by, at / small * by);
        let square = (0..by * by).map(|i| pixels[(y + i / by) * width + x + i % by]);
        (square.map(usize::from).sum::<usize>() / (by * by)) as u8
    };
    Ok(Picture { name, width: small, pixels: (0..small * small).map(mean).collect() })
}

/// Where thumbnails go; here it is text.
#[celeriac::task(name = "thumbnails/store", queue = "thumbnails")]
async fn store(picture: Picture) -> Result<String, TaskError> {
    let shade = |pixel: &u8| [' ', '.', 'o', '#'][usize::from(*pixel) / 64];
    let rows = picture.pixels.chunks(picture.width);
    let rows: Vec<String> = rows.map(|row| row.iter().map(shade).collect()).collect();
    Ok(format!("{}: [{}]", picture.name, rows.join("|")))
}

#[celeriac::task(name = "thumbnails/report", queue = "thumbnails")]
async fn report(stored: Vec<Result<String, TaskFailure>>) -> Result<String, TaskError> {
    let lines = stored.into_iter().map(|each| each.unwrap_or_else(|why| format!("failed: {why}")));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::var("CELERIAC_REDIS_URL");
    let config = url.map_or_else(|_| RedisConfig::default(), RedisConfig::new);
    let tasks = Registry::new(()).add::<load>().add::<shrink>().add::<store>().add::<report>();
    let settings = WorkerConfig { queues: vec!["thumbnails".parse()?], ..WorkerConfig::default() };
    let worker = Worker::new(Broker::new(config.clone())?, tasks.build(), settings)?;
    let shutdown = Shutdown::new();
    let running = tokio::spawn(worker.run(shutdown.clone()));

    let producer = Producer::connect(config).await?;
    let chains = ["slope", "bars", "cat", "frame"]
        .map(|name| load(name.to_owned()).then(shrink::after(4)).then(store::after()));
    let all = group(chains).collect_errors().then(report::after());
    println!("{}", producer.enqueue(all).label("thumbnails").await?.result().await?);

    shutdown.drain();
    running.await??;
    Ok(())
}
