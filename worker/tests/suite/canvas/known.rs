//! Forms of workflows that are known to go wrong elsewhere: joins that hang or come twice, nested results that
//! are lost or change places, errors that nobody hears of.

use celeriac_broker_schema::Accumulate;

use super::part::{Act, Errors, Grow, Knot, Ledger, Part};
use super::random::{name_all, run_and_compare};

fn act(add: i64) -> Part {
    Part::Act(Act { add, priority: 5, ..Act::default() })
}

fn broken() -> Part {
    Part::Act(Act { broken: true, priority: 5, ..Act::default() })
}

fn retried() -> Part {
    Part::Act(Act { add: 5, failures: 2, priority: 5, ..Act::default() })
}

fn grows(grow: Grow, part: Part) -> Part {
    Part::Act(Act { add: 1, priority: 5, grows: vec![(grow, part)], ..Act::default() })
}

fn chain<const N: usize>(steps: [Part; N]) -> Part {
    Part::Chain(steps.into())
}

fn group<const N: usize>(members: [Part; N]) -> Part {
    with(Errors::Fail, members)
}

fn with<const N: usize>(on_error: Errors, members: [Part; N]) -> Part {
    Part::Group { members: members.into(), on_error }
}

fn chord<const N: usize>(members: [Part; N], body: Part) -> Part {
    chain([group(members), body])
}

fn acts(n: i64) -> Vec<Part> {
    (0..n).map(act).collect()
}

fn total(members: i64, how: Accumulate) -> Part {
    let acts = (0..members).map(|add| Act { add, priority: 5, ..Act::default() });
    Part::Total { members: acts.collect(), on_error: Errors::Fail, name: String::new(), how }
}

/// Each is run by workers and compared with the reference in memory, which the first few are compared with by
/// hand in `workflow.rs`.
macro_rules! comes_to_what_it_must {
    ($($name:ident: $part:expr,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                let mut part = $part;
                name_all(&mut part);
                run_and_compare(part, Ledger::default()).await;
            }
        )*
    };
}

comes_to_what_it_must! {
    // The forms that are documented there.
    a_chain: chain([act(1), act(2), act(3)]),
    a_group: group([act(1), act(2), act(3)]),
    a_chord: chord([act(1), act(2)], act(3)),
    a_chord_of_one: chord([act(1)], act(2)),
    a_chord_of_nothing: chord([], act(2)),
    a_group_of_nothing: group([]),
    a_chain_of_one: chain([act(1)]),
    a_chain_in_a_chain: chain([act(1), chain([act(2), act(3)]), act(4)]),
    a_group_of_chains: group([chain([act(1), act(2)]), chain([act(3), act(4)])]),
    a_chain_of_groups: chain([group([act(1), act(2)]), group([act(3), act(4)]), group([act(5)])]),
    a_chain_that_ends_with_a_group: chain([act(1), group([act(2), act(3)])]),
    a_chain_that_ends_with_a_chord: chain([act(1), chord([act(2), act(3)], act(4))]),
    a_task_then_a_group_then_tasks: chain([act(1), group([act(2), act(3)]), act(4), act(5)]),
    a_group_of_one_in_a_chain: chain([act(1), group([act(2)]), act(3)]),
    a_large_group: Part::Group { members: acts(300), on_error: Errors::Fail },
    a_long_chain: Part::Chain(acts(60)),

    // Joins that hung, came twice or were called in the wrong order.
    a_chord_in_a_chord: chord([chord([act(1), act(2)], act(3)), act(4)], act(5)),
    a_chord_three_deep: chord([chord([chord([act(1), act(2)], act(3)), act(4)], act(5)), act(6)], act(7)),
    a_chord_whose_members_end_with_groups: chord([chain([act(1), group([act(2), act(3)])]), act(4)], act(5)),
    nested_groups_keep_their_order: chord([group([act(1), act(2)]), act(3), group([group([act(4)]), act(5)])], act(6)),
    a_group_behind_a_group_in_a_chord: chord([chain([group([act(1), act(2)]), group([act(3), act(4)])])], act(5)),
    a_chord_whose_body_is_a_chord: chord([act(1), act(2)], chord([act(3), act(4)], act(5))),
    a_chord_whose_body_is_a_group: chord([act(1), act(2)], group([act(3), act(4)])),
    chords_in_a_row: chain([
        group([act(1), act(2)]), act(3), group([act(4), act(5)]), act(6), group([act(7), act(8)]), act(9)
    ]),
    a_member_of_a_chord_is_tried_again: chord([retried(), act(1), retried()], act(2)),
    the_body_of_a_chord_is_tried_again: chord([act(1), act(2)], retried()),
    groups_of_nothing_in_groups: chord([group([]), group([group([])]), act(1)], act(2)),
    a_group_of_nothing_between_tasks: chain([act(1), group([]), act(2)]),
    a_group_of_nothing_whose_failure_is_caught: with(Errors::Collect, [group([]), act(1)]),
    only_a_group_of_nothing_whose_failure_is_caught: with(Errors::Collect, [group([])]),
    nothing_is_tolerated: chain([with(Errors::Tolerate(1), [group([]), group([])]), act(1)]),

    // Errors that nobody heard of, or that hung what waited for them.
    the_first_task_of_a_chain_in_a_chord_fails: chord([chain([broken(), act(1)]), act(2)], act(3)),
    the_last_task_of_a_chain_in_a_chord_fails: chord([chain([act(1), broken()]), act(2)], act(3)),
    all_members_of_a_chord_fail: chord([broken(), broken()], act(3)),
    the_body_of_a_chord_fails: chord([act(1), act(2)], broken()),
    a_chord_in_a_chord_fails: chord([chord([broken(), act(1)], act(2)), act(3)], act(4)),
    a_chord_in_a_chord_fails_and_that_is_caught:
        chain([with(Errors::Collect, [chord([broken(), act(1)], act(2)), act(3)]), act(4)]),
    the_body_of_a_chord_in_a_chord_fails_and_that_is_caught:
        chain([with(Errors::Collect, [chord([act(0), act(1)], broken()), act(3)]), act(4)]),
    caught_in_what_is_caught: with(Errors::Collect, [with(Errors::Tolerate(0), [broken(), act(1)]), act(2)]),
    more_than_is_tolerated_in_what_is_tolerated: with(Errors::Tolerate(1), [
        with(Errors::Tolerate(1), [broken(), broken(), act(1)]), chain([act(1), broken()]), act(2)
    ]),
    a_fold_fails_and_that_is_caught: with(Errors::Collect, [
        Part::Fold { members: vec![act(1), broken(), act(2)], with: Act { priority: 5, ..Act::default() }, width: 2 },
        act(3),
    ]),
    a_graph_goes_on_without_what_failed: Part::Graph(vec![
        Knot { part: broken(), after: [].into(), collect: false },
        Knot { part: act(1), after: [].into(), collect: false },
        Knot { part: act(2), after: [0, 1].into(), collect: true },
    ]),
    a_part_of_a_graph_is_followed_in_both_ways: Part::Graph(vec![
        Knot { part: group([act(1), act(2)]), after: [].into(), collect: false },
        Knot { part: act(3), after: [0].into(), collect: false },
        Knot { part: act(4), after: [0].into(), collect: true },
    ]),

    // Tasks that are replaced, and groups that grow.
    a_task_of_a_chord_is_replaced_by_a_chord:
        chord([grows(Grow::Instead, chord([act(1), act(2)], act(3))), act(4)], act(5)),
    a_task_is_replaced_by_one_that_is_replaced:
        chain([act(1), grows(Grow::Instead, grows(Grow::Instead, act(3))), act(4)]),
    a_task_is_replaced_by_nothing: chain([grows(Grow::Instead, group([])), act(1)]),
    the_last_task_is_replaced_by_nothing: grows(Grow::Instead, group([])),
    a_task_is_replaced_by_what_fails: chord([grows(Grow::Instead, broken()), act(4)], act(5)),
    a_task_is_replaced_by_what_fails_and_that_is_caught:
        chain([with(Errors::Collect, [grows(Grow::Instead, broken()), act(4)]), act(5)]),
    what_joins_a_chord_is_waited_for: chord([grows(Grow::Join, retried()), act(4)], act(5)),
    what_joins_what_is_tolerated_counts:
        chain([with(Errors::Tolerate(0), [grows(Grow::Join, broken()), act(4)]), act(5)]),
    what_fails_beside_a_job_fails_it: chain([grows(Grow::Beside, broken()), act(5)]),

    // Accumulators.
    two_groups_have_an_accumulator_each: group([total(5, Accumulate::Sum), total(7, Accumulate::Count)]),
    one_group_with_an_accumulator_behind_another: chain([total(5, Accumulate::Max), total(7, Accumulate::Count)]),
}
