//! Any sequence of calls of any workers leaves Redis in the state that the protocol says: after
//! every call the whole namespace is compared with a reference in memory, each task is in one
//! place, and only permitted transitions have happened.
//!
//! `CELERIAC_SEED` (64 hex digits, printed when this fails) repeats a run.
#![cfg(feature = "client")]

mod anything;
mod compare;
mod ops;
mod reference;
#[path = "../scripts/support.rs"]
#[allow(dead_code, unused_macros, reason = "the tests of the scripts use the rest of it")]
mod support;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::anything::Anything;
use crate::ops::{Mix, Model, Op};
use crate::support::World;

/// Runs random sequences of calls; on a failure the shortest one that fails is shown.
fn check(cases: u32, length: usize, mix: Mix) {
    let sequence = proptest::collection::vec(ops::op(mix), 1..=length);
    run(cases, sequence, async |ops: Vec<Op>| {
        let mut model = Model::new(World::on_a_single_server().await);
        for op in &ops {
            model.apply(op).await;
        }
    });
}

fn run<T: std::fmt::Debug>(cases: u32, sequence: impl Strategy<Value = T>, test: impl AsyncFn(T)) {
    let seed = seed();
    let config =
        Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let outcome = runner.run(&sequence, |ops| {
        runtime.block_on(test(ops));
        Ok(())
    });
    if let Err(failure) = outcome {
        let hex: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
        panic!("{failure}\nrepeat it with CELERIAC_SEED={hex}");
    }
}

/// The seed of this run: a new one, or the one that is asked for.
fn seed() -> [u8; 32] {
    match std::env::var("CELERIAC_SEED") {
        Ok(hex) => {
            let byte = |n: usize| u8::from_str_radix(hex.get(2 * n..2 * n + 2)?, 16).ok();
            std::array::from_fn(|n| byte(n).expect("CELERIAC_SEED has 64 hex digits"))
        }
        Err(_) => std::array::from_fn(|_| rand::random()),
    }
}

#[test]
fn tasks_are_in_one_place_and_counted_once() {
    check(32, 60, Mix::Tasks);
}

#[test]
fn chunks_are_in_one_place_and_counted_once() {
    check(32, 60, Mix::Ranges);
}

#[test]
fn whatever_producers_workers_and_operators_do_what_must_hold_holds() {
    let cases = std::env::var("CELERIAC_CASES").ok().and_then(|cases| cases.parse().ok());
    run(cases.unwrap_or(32), proptest::collection::vec(anything::op(), 1..=60), async |ops| {
        let mut anything = Anything::new(World::on_a_single_server().await);
        for op in &ops {
            anything.apply(op).await;
        }
        anything.finish().await;
    });
}
