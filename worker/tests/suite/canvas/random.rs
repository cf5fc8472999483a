//! Random workflows, run by real workers, come to what a reference in memory says: with and without faults
//! meanwhile.
//!
//! `CELERIAC_SEED` (64 hex digits, printed when this fails) repeats a run, `CELERIAC_CASES` says how many
//! workflows it tries.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};

use celeriac_broker_schema::{Accumulate, Broker, State};
use celeriac_testkit::{Proxy, TestRedis};
use celeriac_worker::WorkerConfig;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::part::{Act, Errors, Grow, Knot, Ledger, Part};
use super::reference::Expected;
use crate::common::{
    LONG, Running, assert_finished, broker, by_way_of, config, leases, lose, producer, stat,
};

#[test]
fn any_workflow_comes_to_what_it_must() {
    check(16, part(), async |part| run_and_compare(part, Ledger::default()).await);
}

#[test]
fn any_workflow_comes_to_what_it_must_whatever_is_lost_meanwhile() {
    let faults = prop::collection::vec((1..12_usize, any::<bool>()), 1..4);
    check(12, (part(), faults), async |(part, faults)| {
        let (broker, ledger) = (broker().await, Ledger::default());
        let proxy = Proxy::start(TestRedis::shared().await.url()).await;
        // What is lost is to be run again, however often that happens here.
        let config = || WorkerConfig { crash_limit: 100, ..config() };
        let near = Running::start(&broker, ledger.tasks(), config());
        let far = by_way_of(&proxy.url(), &broker);
        let far = Running::start(&far, ledger.tasks(), config());
        let expected = Expected::of(&part);
        let handle = producer(&broker).enqueue_workflow(part.node()).await.unwrap();
        let harm = harm(&broker, &proxy, &ledger, faults);
        let outcome = tokio::select! {
            biased;
            () = harm => handle.outcome_within(LONG).await,
            outcome = handle.outcome_within(LONG) => outcome,
        };
        let outcome = outcome.unwrap();
        expected.assert_is(&outcome);
        near.drain().await;
        // The answer to its farewell, or to the opening of its last lease, may be what is lost.
        far.shutdown.drain();
        let _ = tokio::time::timeout(LONG, far.ended).await.expect("it leaves").unwrap();
        for lease in leases(&broker).await {
            lose(&broker, &lease).await;
        }
        assert_finished(&broker).await;
        let all: usize = expected.runs.values().sum();
        let counted = stat(&broker, "succeeded").await as usize;
        let least = outcome.state == State::Succeeded && !expected.fails;
        assert!(if least { counted == all } else { counted <= all }, "{counted} of {all}");
    });
}

/// Runs it on two workers, without faults.
pub(super) async fn run_and_compare(part: Part, ledger: Ledger) {
    let broker = broker().await;
    let workers = [(); 2].map(|()| Running::start(&broker, ledger.tasks(), config()));
    let expected = Expected::of(&part);
    let handle = producer(&broker).enqueue_workflow(part.node()).await.unwrap();
    let outcome = handle.outcome_within(LONG).await.unwrap();
    expected.assert_is(&outcome);
    for worker in workers {
        worker.drain().await;
    }
    assert_finished(&broker).await;
    assert_once(&ledger);
    let ran = &ledger.book().succeeded;
    let least = outcome.state == State::Succeeded && !expected.fails;
    assert!(
        if least {
            *ran == expected.runs
        } else {
            ran.iter().all(|(id, n)| expected.runs[id] >= *n)
        },
        "{ran:?} ran, not {:?}",
        expected.runs
    );
}

/// Gives acts and accumulators the names that they need.
pub(super) fn name_all(part: &mut Part) {
    number(part, &AtomicU32::new(0), true);
}

/// Of each member each attempt begins once.
fn assert_once(ledger: &Ledger) {
    let begun = &ledger.book().begun;
    assert!(begun.values().all(|times| *times == 1), "{begun:?}");
}

/// As soon as so many more attempts have begun, a lease is lost, or the answer to a call.
async fn harm(broker: &Broker, proxy: &Proxy, ledger: &Ledger, faults: Vec<(usize, bool)>) {
    let mut at = 0;
    for (more, lost) in faults {
        at += more;
        ledger.has_begun(at).await;
        if !lost {
            proxy.drop_next_reply();
        } else if let Some(lease) = leases(broker).await.first() {
            lose(broker, lease).await;
        }
    }
}

fn act() -> impl Strategy<Value = Act> {
    let failures = prop_oneof![6 => Just(0), 1 => 1..3_u32];
    (0..1_000_i64, failures, prop::bool::weighted(0.12), prop_oneof![4 => Just(5), 1 => Just(7)])
        .prop_map(|(add, failures, broken, priority)| Act {
            add,
            failures,
            broken,
            priority,
            ..Act::default()
        })
}

fn errors() -> impl Strategy<Value = Errors> {
    prop_oneof![Just(Errors::Fail), Just(Errors::Collect), (0..3_u64).prop_map(Errors::Tolerate)]
}

fn knots(parts: impl Strategy<Value = Part>) -> impl Strategy<Value = Part> {
    let after = prop::collection::btree_set(0..4_usize, 0..3);
    prop::collection::vec((parts, after, any::<bool>()), 1..5).prop_map(|knots| {
        let knots = knots.into_iter().enumerate().map(|(i, (part, after, collect))| Knot {
            part,
            after: after.into_iter().filter(|before| *before < i).collect(),
            collect,
        });
        Part::Graph(knots.collect())
    })
}

/// A workflow, with the numbers of its acts.
fn part() -> impl Strategy<Value = Part> {
    let leaf = act().prop_map(Part::Act);
    let tree = leaf.prop_recursive(4, 24, 4, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..5);
        let some = prop::collection::vec(inner.clone(), 1..5);
        let how = prop_oneof![
            Just(Accumulate::Sum),
            Just(Accumulate::Min),
            Just(Accumulate::Max),
            Just(Accumulate::Count)
        ];
        let total = (prop::collection::vec(act(), 0..5), errors(), how).prop_map(
            |(members, on_error, how)| Part::Total { members, on_error, name: String::new(), how },
        );
        let grow = prop_oneof![
            inner.clone().prop_map(|part| (Grow::Instead, part)),
            inner.clone().prop_map(|part| (Grow::Beside, part)),
            act().prop_map(|act| (Grow::Join, Part::Act(act))),
        ];
        let growing = (act(), prop::collection::vec(grow, 1..3)).prop_map(|(mut act, grows)| {
            act.grows = grows;
            Part::Act(act)
        });
        prop_oneof![
            3 => some.clone().prop_map(Part::Chain),
            3 => (list, errors()).prop_map(|(members, on_error)| Part::Group { members, on_error }),
            1 => total,
            1 => (some, act(), 2..4_usize)
                .prop_map(|(members, with, width)| Part::Fold { members, with, width }),
            2 => knots(inner),
            2 => growing,
        ]
    });
    tree.prop_map(|mut part| {
        name_all(&mut part);
        part
    })
}

/// Gives all acts and accumulators their names, and leaves out what is not allowed: accumulators in what is
/// spawned, and two things in the place of one.
fn number(part: &mut Part, next: &AtomicU32, first: bool) {
    let new = || next.fetch_add(1, Ordering::Relaxed);
    match part {
        Part::Act(act) => number_act(act, next),
        Part::Chain(parts) | Part::Group { members: parts, .. } => {
            parts.iter_mut().for_each(|part| number(part, next, first));
        }
        Part::Total { members, name, .. } if first => {
            *name = format!("t{}", new());
            for act in members {
                act.field = Some(name.clone());
                number_act(act, next);
            }
        }
        Part::Total { members, on_error, .. } => {
            let members = std::mem::take(members).into_iter().map(Part::Act).collect();
            *part = Part::Group { members, on_error: *on_error };
            number(part, next, first);
        }
        Part::Fold { members, with, .. } => {
            members.iter_mut().for_each(|part| number(part, next, first));
            number_act(with, next);
        }
        Part::Graph(knots) => knots.iter_mut().for_each(|knot| number(&mut knot.part, next, first)),
    }
}

fn number_act(act: &mut Act, next: &AtomicU32) {
    act.id = next.fetch_add(1, Ordering::Relaxed);
    let mut replaced = BTreeSet::new();
    act.grows.retain(|(grow, _)| *grow != Grow::Instead || replaced.insert(()));
    for (grow, part) in &mut act.grows {
        if let (Grow::Join, Part::Act(joined)) = (grow, &mut *part) {
            joined.field.clone_from(&act.field);
        }
        number(part, next, false);
    }
}

/// Runs random workflows; on a failure the smallest one that fails is shown.
fn check<T: std::fmt::Debug>(
    cases: u32,
    sequence: impl Strategy<Value = T>,
    test: impl AsyncFn(T),
) {
    let seed = seed();
    let cases = std::env::var("CELERIAC_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(cases);
    let config =
        Config { cases, failure_persistence: None, max_shrink_iters: 60, ..Config::default() };
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let outcome = runner.run(&sequence, |case| {
        runtime.block_on(test(case));
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
