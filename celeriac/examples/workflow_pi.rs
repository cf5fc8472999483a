//! Pi by accumulators: points are counted side by side, the counts are added up in Redis as the tasks end,
//! and one task makes the estimate of the sums. However many tasks there are, no list of their results is
//! kept or sent anywhere.
//!
//! `CELERIAC_REDIS_URL=redis://127.0.0.1:6379/ cargo run --release -p celeriac --example workflow_pi`

use celeriac::workflow::{map, sum};
use celeriac::{Broker, Producer, RedisConfig, Registry, Shutdown, TaskError};
use celeriac::{Worker, WorkerConfig};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Hits {
    hits: u64,
    samples: u64,
}

#[celeriac::task(name = "workflow_pi/count", cpu, queue = "workflow_pi")]
fn count_hits(seed: u64) -> Result<Hits, TaskError> {
    let (samples, mut state, mut hits) = (10_000, seed.wrapping_mul(0xd1b5_4a32_d192_ed03), 0);
    for _ in 0..samples {
        let (x, y) = (random(&mut state), random(&mut state));
        hits += u64::from(x * x + y * y < 1.0);
    }
    Ok(Hits { hits, samples })
}

/// What it follows accumulates `hits` and `samples`: its first argument is the object of both.
#[celeriac::task(name = "workflow_pi/estimate", queue = "workflow_pi")]
async fn estimate(counted: Hits) -> Result<f64, TaskError> {
    Ok(4.0 * counted.hits as f64 / counted.samples as f64)
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
    let settings = WorkerConfig { queues: vec!["workflow_pi".parse()?], ..WorkerConfig::default() };
    let worker = Worker::new(Broker::new(config.clone())?, tasks, settings)?;
    let shutdown = Shutdown::new();
    let running = tokio::spawn(worker.run(shutdown.clone()));

    let producer = Producer::connect(config).await?;
    let counted = map(count_hits, 0..500).accumulate([sum("hits"), sum("samples")]);
    let pi: f64 = producer.enqueue(counted.then(estimate::after())).await?.result().await?;
    println!("pi is about {pi}");

    shutdown.drain();
    running.await??;
    Ok(())
}
