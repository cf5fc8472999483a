//! The tasks of the load: what a worker runs. Each writes into the ledger.

use std::time::{Duration, Instant};

use celeriac::{Chunk, Context, Data, Registry, TaskError, Tasks};
use serde::{Deserialize, Serialize};

use crate::ledger::Ledger;

/// All of them, for a worker that writes into this ledger.
pub fn tasks(ledger: Ledger) -> Tasks {
    Registry::new(ledger)
        .add::<work>()
        .add::<limited>()
        .add::<spin>()
        .add::<steps>()
        .add::<chunk>()
        .add::<total>()
        .build()
}

async fn work_for(ms: u64, fails: u32, ctx: &Context, ledger: &Ledger) -> Result<u64, TaskError> {
    let execution = ledger.begin(ctx);
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
    if ctx.attempt() <= fails {
        execution.ends("failed");
        return Err(TaskError::new("it fails as it was told to"));
    }
    execution.ends("ok");
    Ok(ms)
}

/// Takes so long, and fails so often.
#[celeriac::task(name = "chaos.work")]
pub async fn work(
    ms: u64,
    fails: u32,
    ctx: Context,
    ledger: Data<Ledger>,
) -> Result<u64, TaskError> {
    work_for(ms, fails, &ctx, &ledger).await
}

/// The same, by a name that has a limit.
#[celeriac::task(name = "chaos.limited")]
pub async fn limited(ms: u64, ctx: Context, ledger: Data<Ledger>) -> Result<u64, TaskError> {
    work_for(ms, 0, &ctx, &ledger).await
}

/// Computes for so long.
#[celeriac::task(name = "chaos.spin", cpu)]
pub fn spin(us: u64, ctx: Context, ledger: Data<Ledger>) -> Result<u64, TaskError> {
    let execution = ledger.begin(&ctx);
    let (begin, mut state) = (Instant::now(), us | 1);
    while begin.elapsed() < Duration::from_micros(us) && !ctx.is_cancelled() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    }
    execution.ends("ok");
    Ok(std::hint::black_box(state) & 1 | 1)
}

/// How far the steps are.
#[derive(Debug, Default, Serialize, Deserialize)]
struct At {
    next: u64,
    sum: u64,
}

/// Adds up the numbers below `n`, one by one, and goes on where the attempt before was.
#[celeriac::task(name = "chaos.steps")]
pub async fn steps(n: u64, ms: u64, ctx: Context, ledger: Data<Ledger>) -> Result<u64, TaskError> {
    let execution = ledger.begin(&ctx);
    let mut at: At = ctx.restored()?.unwrap_or_default();
    while at.next < n {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        at.sum += at.next;
        at.next += 1;
        ctx.checkpoint(&at)?;
    }
    execution.ends("ok");
    Ok(at.sum)
}

/// What a chunk adds to the sums of its job.
#[derive(Debug, Serialize, Deserialize)]
pub struct Sums {
    n: u64,
    v: u64,
}

/// One chunk: counts itself, and its index. Every 13th fails at first; the last one for good, if told so.
#[celeriac::task(name = "chaos.chunk", idempotent)]
pub async fn chunk(
    ms: u64,
    doomed: bool,
    chunk: Chunk,
    ctx: Context,
    ledger: Data<Ledger>,
) -> Result<Sums, TaskError> {
    let execution = ledger.begin(&ctx);
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
    let fails = ctx.attempt() == 1 && chunk.index % 13 == 12;
    if fails || doomed && chunk.index + 1 == chunk.count {
        execution.ends("failed");
        return Err(TaskError::new("it fails as it was told to"));
    }
    execution.ends("ok");
    Ok(Sums { n: 1, v: chunk.index })
}

/// The reducer: hands the sums on.
#[celeriac::task(name = "chaos.total")]
pub async fn total(n: u64, v: u64, ctx: Context, ledger: Data<Ledger>) -> Result<Sums, TaskError> {
    ledger.begin(&ctx).ends("ok");
    Ok(Sums { n, v })
}
