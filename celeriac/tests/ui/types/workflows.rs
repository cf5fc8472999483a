//! Workflows whose types do not fit.
#![allow(unused)]

use celeriac::workflow::{Graph, IntoFlow, fan_out, group, map, starmap};
use celeriac::{Producer, TaskError};

#[celeriac::task(name = "load")]
async fn load(url: String) -> Result<String, TaskError> {
    Ok(url)
}

#[celeriac::task(name = "count")]
async fn count(text: String) -> Result<u64, TaskError> {
    Ok(text.len() as u64)
}

#[celeriac::task(name = "sum")]
async fn sum(numbers: Vec<u64>, start: u64) -> Result<u64, TaskError> {
    Ok(numbers.iter().sum::<u64>() + start)
}

#[celeriac::task(name = "tick")]
async fn tick() -> Result<(), TaskError> {
    Ok(())
}

fn a_step_takes_something_else() {
    let _ = load(String::new()).then(sum::after(0));
}

fn the_callback_of_a_chord_takes_no_list() {
    let _ = group([load(String::new())]).then(count::after());
}

fn a_whole_task_follows_nothing() {
    let _ = load(String::new()).then(count(String::new()));
}

fn a_task_without_arguments_has_no_after() {
    let _ = load(String::new()).then(tick::after());
}

fn members_of_a_list_are_of_one_kind() {
    let _ = group([load(String::new()), count(String::new())]);
}

fn members_are_tasks() {
    let _ = group([1, 2]);
    let _ = group((load(String::new()), 2));
}

fn a_follower_begins_nothing() {
    let _ = group([count::after()]);
}

fn failures_are_not_results() {
    let _ = group([count(String::new())]).collect_errors().then(sum::after(0));
}

fn a_fold_gives_what_it_takes() {
    let _ = group([load(String::new())]).fold(sum::after(0), 10);
}

fn parts_of_a_graph_fit() {
    let mut graph = Graph::new();
    let (a, b) = (graph.add(load(String::new())), graph.add(tick()));
    let _ = graph.add_after((a, b), count::after());
    let _ = graph.add_after(5, count::after());
}

fn all_are_given_the_same() {
    let _ = load(String::new()).then(fan_out((count::after(), sum::after(0))));
}

fn functions_take_the_arguments() {
    let _ = map(count, [1, 2]);
    let _ = starmap(sum, [(1, 2)]);
}

fn a_task_is_enqueued_by_reference(producer: &Producer) {
    let _ = producer.enqueue(load(String::new()));
    let _ = producer.enqueue(count::after());
}

async fn results_have_the_type_of_the_last_step(producer: &Producer) {
    let handle = producer.enqueue(group([count(String::new())])).await.unwrap();
    let text: String = handle.result().await.unwrap();
}

fn main() {}
