//! A job of chunks: Pi from random points, counted side by side, the counts summed up in Redis,
//! the sums turned into the estimate by a reducer. The seed alone decides the estimate, however
//! many workers take part and whatever happens to them. Not the fastest way to count points: that
//! is the built-in task `pi`.
//!
//! `CELERIAC_REDIS_URL=redis://127.0.0.1:6379/ cargo run --release -p celeriac --example pi`

use celeriac::{
    Broker, Chunk, Context, NewJob, NewTask, Producer, RedisConfig, Registry, Shutdown,
};
use celeriac::{TaskError, Worker, WorkerConfig};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Hits {
    hits: u64,
    samples: u64,
}

/// One chunk: `samples` is its share of the job, `chunk` tells which one it is.
#[celeriac::task(name = "count_hits", cpu)]
fn count_hits(samples: u64, seed: u64, chunk: Chunk, ctx: Context) -> Result<Hits, TaskError> {
    let mut state = seed ^ chunk.index.wrapping_mul(0xd1b5_4a32_d192_ed03);
    let mut hits = 0;
    for done in 0..samples {
        if done % 100_000 == 0 {
            if ctx.is_cancelled() {
                return Err(TaskError::cancelled());
            }
            ctx.progress(done, samples);
        }
        let (x, y) = (random(&mut state), random(&mut state));
        hits += u64::from(x * x + y * y < 1.0);
    }
    Ok(Hits { hits, samples })
}

/// The reducer: its arguments are the sums.
#[celeriac::task(name = "estimate")]
async fn estimate(hits: u64, samples: u64) -> Result<f64, TaskError> {
    Ok(4.0 * hits as f64 / samples as f64)
}

/// The next number in 0..1: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
fn random(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::var("CELERIAC_REDIS_URL");
    let config = url.map_or_else(|_| RedisConfig::default(), RedisConfig::new);
    let tasks = Registry::new(()).add::<count_hits>().add::<estimate>().build();
    let worker = Worker::new(Broker::new(config.clone())?, tasks, WorkerConfig::default())?;
    let shutdown = Shutdown::new();
    let running = tokio::spawn(worker.run(shutdown.clone()));

    let job = NewJob::of(&count_hits(0, 7), 100)?
        .split("samples", 10_000_000)
        .sum("hits")
        .sum("samples")
        .reduce(NewTask::of(&estimate(0, 0))?)
        .label("pi");
    let producer = Producer::connect(config).await?;
    let pi: f64 = producer.enqueue_job(job).await?.typed().result().await?;
    println!("pi is about {pi}");

    shutdown.drain();
    running.await??;
    Ok(())
}
