//! The protocol of leases in a model checker: every order in which two workers, their messages and
//! Redis can act is tried, with lost and late messages, dead workers and leases that end at any
//! moment. As it is, no guarantee breaks; with any one check taken out, the checker finds how.
//!
//! This is a model, not the code: that the scripts do what the model does is the business of
//! `tests/scripts` and `tests/model`.

mod model;
mod server;
mod worker;

use model::{Budget, Model};
use server::Check;
use stateright::{Checker, HasDiscoveries, Model as _};

/// Faults of every kind, in pairs: all of them at once are more states than a test can go through.
const FAULTS: [Budget; 4] = [
    Budget { ended_leases: 1, lost: 1, ..Budget::NONE },
    Budget { ended_leases: 1, failures: 1, ..Budget::NONE },
    Budget { lost: 1, failures: 1, ..Budget::NONE },
    Budget { crashes: 1, ..Budget::NONE },
];

/// Goes through every state.
fn explore(check: Option<Check>, budget: Budget, until: HasDiscoveries) -> Vec<&'static str> {
    let model = Model { without: check, budget };
    let checker = model.checker().finish_when(until).spawn_bfs().join();
    assert!(checker.unique_state_count() > 100, "the model does next to nothing");
    checker.discoveries().into_keys().collect()
}

/// Takes a check out, and expects that this guarantee breaks.
fn without(check: Check, budget: Budget, guarantee: &'static str) {
    let until = HasDiscoveries::AnyOf([guarantee].into());
    let broken = explore(Some(check), budget, until);
    assert!(broken.contains(&guarantee), "only {broken:?} broke without {check:?}");
}

#[test]
fn g1_g2_g7_as_it_is_nothing_breaks() {
    for budget in FAULTS {
        let broken = explore(None, budget, HasDiscoveries::AnyFailures);
        assert_eq!(broken, [""; 0], "{budget:?}");
    }
}

#[test]
fn without_the_test_of_ownership_a_late_completion_counts_twice() {
    without(Check::Ownership, FAULTS[0], "each task counts once");
}

#[test]
fn without_call_numbers_a_repeated_claim_takes_what_nobody_knows_of() {
    without(Check::CallNumber, FAULTS[0], "a worker knows what it holds");
}

#[test]
fn if_only_the_last_number_is_known_a_late_call_is_carried_out_again() {
    without(Check::LateCall, FAULTS[0], "a worker knows what it holds");
}

#[test]
fn if_a_lease_is_emptied_before_it_is_removed_what_is_claimed_under_it_is_lost() {
    without(Check::LeaseRemoved, FAULTS[0], "each task is in one place");
}

#[test]
fn if_the_barrier_counts_attempts_it_opens_too_early() {
    without(Check::MemberBit, FAULTS[1], "the barrier opens once, at the end");
}
