//! Workflows: what follows what, what is given what, and what becomes of failures.

use std::collections::BTreeMap;

use celeriac_broker_schema::workflow::{Data, Target, digest};
use celeriac_broker_schema::{Accumulate, Outcome, State};
use celeriac_producer::task::Task;
use celeriac_producer::workflow::{
    Broadcast, Callbacks, Fold, GraphNode, Group, Node, OnError, Step, Workflow,
};
use celeriac_producer::{EnqueueError, NewTask};
use celeriac_worker::task::{Context, TaskError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::common::{LONG, Running, assert_finished, broker, one_slot, producer, until};
use crate::stage::Stage;

/// Adds all numbers in its arguments, however deep in lists; an error counts as 1,000.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Sum(Value);

impl Task for Sum {
    const NAME: &'static str = "sum";
    type Output = i64;
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Broken(Value);

impl Task for Broken {
    const NAME: &'static str = "broken";
    type Output = i64;
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Count(Value);

impl Task for Count {
    const NAME: &'static str = "count";
    type Output = Value;
}

fn sum(value: &Value) -> i64 {
    match value {
        Value::Number(n) => n.as_i64().unwrap_or(0),
        Value::Array(items) => items.iter().map(sum).sum(),
        Value::Object(fields) if fields.contains_key("Err") => 1_000,
        Value::Object(fields) => fields.values().map(sum).sum(),
        _ => 0,
    }
}

/// Numbers in every form that is accumulated; the map has an entry by the last digit.
fn counted(args: &Value) -> Value {
    let n = sum(args);
    json!({ "n": n, "one": 1, "by": { (n % 10).to_string(): 1, "all": n } })
}

fn stage() -> celeriac_worker::task::Tasks {
    Stage::new()
        .registry()
        .cpu_task(|Sum(args): Sum| Ok::<_, TaskError>(sum(&args)))
        .cpu_task(|Broken(_): Broken| Err::<i64, _>(TaskError::fatal("it is broken")))
        .cpu_task(|Count(args): Count| Ok::<_, TaskError>(counted(&args)))
        .build()
}

fn call(name: &str, args: Value) -> Node {
    NewTask::new(name, &args).unwrap().into()
}

fn add(args: Value) -> Node {
    call("sum", args)
}

fn group(members: Vec<Node>) -> Node {
    Node::Group(Group { members, ..Group::default() })
}

fn tolerant(members: Vec<Node>, on_error: OnError) -> Node {
    Node::Group(Group { members, on_error, accumulate: BTreeMap::new() })
}

/// Runs it on one worker and looks that nothing is left behind.
async fn run(workflow: impl Into<Workflow>) -> Outcome {
    let broker = broker().await;
    let worker = Running::start(&broker, stage(), one_slot());
    let handle = producer(&broker).enqueue_workflow(workflow).await.unwrap();
    let outcome = handle.outcome_within(LONG).await.unwrap();
    worker.drain().await;
    assert_finished(&broker).await;
    outcome
}

async fn result(workflow: impl Into<Workflow>) -> Value {
    let outcome = run(workflow).await;
    assert_eq!(outcome.state, State::Succeeded, "{outcome:?}");
    serde_json::from_str(outcome.result.unwrap().get()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_step_of_a_chain_is_given_the_result_before_it() {
    let chain = Node::Chain(vec![add(json!([1, 2])), add(json!([10])), add(json!([100]))]);
    assert_eq!(result(chain).await, json!(113));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_gives_its_results_in_order() {
    let members = (0..50).map(|i| add(json!([i, i]))).collect();
    assert_eq!(result(group(members)).await, json!((0..50).map(|i| 2 * i).collect::<Vec<_>>()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chord_is_given_the_results_of_its_group() {
    let members = (1..=20).map(|i| add(json!([i]))).collect();
    let chord = Node::Chain(vec![group(members), add(json!([1_000]))]);
    assert_eq!(result(chord).await, json!(1_210));
}

#[tokio::test(flavor = "multi_thread")]
async fn canvases_nest() {
    let inner = Node::Chain(vec![group(vec![add(json!([1])), add(json!([2]))]), add(json!([]))]);
    let chains = (0..3)
        .map(|i| Node::Chain(vec![add(json!([i])), inner.clone(), add(json!([i]))]))
        .collect();
    let all = Node::Chain(vec![
        add(json!([5])),
        group(vec![group(chains), add(json!([7])), group(vec![])]),
    ]);
    // 5 → each chain: 5 + i, twice with 1 and 2, their sum, + i.
    let chain = |i: i64| (5 + i + 1) + (5 + i + 2) + i;
    assert_eq!(result(all).await, json!([[chain(0), chain(1), chain(2)], 12, []]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_final_failure_ends_the_job_and_is_named() {
    let chord =
        Node::Chain(vec![group(vec![add(json!([1])), call("broken", json!([]))]), add(json!([]))]);
    let outcome = run(chord).await;
    assert_eq!(outcome.state, State::Failed);
    assert!(outcome.failed_task.unwrap().ends_with(":1"));
    assert_eq!(
        (outcome.error.unwrap().message.as_str(), outcome.attempt),
        ("it is broken", Some(1))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_collected_where_that_is_wanted() {
    let chain = Node::Chain(vec![add(json!([1])), call("broken", json!([])), add(json!([]))]);
    let parts =
        vec![add(json!([1])), chain, group(vec![call("broken", json!([])), add(json!([2]))])];
    let chord = Node::Chain(vec![tolerant(parts.clone(), OnError::Collect), add(json!([]))]);
    assert_eq!(result(chord).await, json!(2_001));
    let alone = result(tolerant(parts, OnError::Collect)).await;
    assert_eq!(alone[0], json!({ "Ok": 1 }));
    assert_eq!(alone[1]["Err"]["message"], json!("it is broken"));
    assert_eq!(alone[2]["Err"]["message"], json!("it is broken"));
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_failures_are_tolerated_and_not_one_more() {
    let parts = |failures: usize| {
        let broken = (0..failures).map(|_| call("broken", json!([])));
        broken.chain((0..3).map(|i| add(json!([i])))).collect::<Vec<_>>()
    };
    let chord = |failures| {
        Node::Chain(vec![tolerant(parts(failures), OnError::Tolerate(2)), add(json!([]))])
    };
    assert_eq!(result(chord(2)).await, json!(2_003));
    assert_eq!(run(chord(3)).await.state, State::Failed);
    let nested = tolerant(vec![chord(3), add(json!([1]))], OnError::Collect);
    let both = result(nested).await;
    assert_eq!(
        (&both[0]["Err"]["message"], &both[1]),
        (&json!("it is broken"), &json!({ "Ok": 1 }))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_accumulated_in_place_of_being_kept() {
    let members = (1..=100).map(|i| call("count", json!([i]))).collect();
    let accumulate = [
        ("n", Accumulate::Sum),
        ("one", Accumulate::Max),
        ("results", Accumulate::Count),
        ("by", Accumulate::Merge),
    ];
    let accumulate = accumulate.map(|(name, how)| (name.to_owned(), how)).into();
    let counted = Node::Group(Group { members, accumulate, ..Group::default() });
    let totals = result(counted.clone()).await;
    assert_eq!((&totals["n"], &totals["one"]), (&json!(5_050), &json!(1)));
    assert_eq!((&totals["results"], &totals["by"]["all"]), (&json!(100), &json!(5_050)));
    assert_eq!((&totals["by"]["7"], totals["by"].as_object().unwrap().len()), (&json!(10), 11));
    let summed = result(Node::Chain(vec![counted, add(json!([]))])).await;
    assert_eq!(summed, json!(5_050 + 1 + 100 + 100 + 5_050));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fold_goes_in_bites() {
    let of = group((1..=100).map(|i| add(json!([i]))).collect());
    let with = Step {
        task: NewTask::new("sum", &json!([])).unwrap(),
        into: Some(Target::First),
        callbacks: Callbacks::default(),
    };
    let fold = Node::Fold(Box::new(Fold { of, with, width: 7 }));
    assert_eq!(result(fold).await, json!(5_050));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graph_waits_for_what_it_is_told() {
    let part = |name: &str, node: Node, after: &[&str]| GraphNode {
        name: name.to_owned(),
        node,
        after: after.iter().map(|&name| name.to_owned()).collect(),
        collect: false,
    };
    let graph = Node::Graph(vec![
        part("end", add(json!([])), &["left", "right"]),
        part("left", add(json!([1])), &["begin"]),
        part("right", group(vec![add(json!([2])), add(json!([3]))]), &["begin"]),
        part("begin", add(json!([10])), &[]),
        part("aside", add(json!([4])), &["begin", "left"]),
    ]);
    assert_eq!(result(graph).await, json!({ "end": 11 + 12 + 13, "aside": 10 + 11 + 4 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn callbacks_run_outside_of_the_job() {
    let broker = broker().await;
    let worker = Running::start(&broker, stage(), one_slot());
    let mut workflow: Workflow = group(vec![add(json!([1])), call("broken", json!([]))]).into();
    workflow.callbacks.on_failure = vec![NewTask::new("sum", &json!({ "n": 3 })).unwrap()];
    workflow.callbacks.on_success = vec![NewTask::new("broken", &json!({})).unwrap()];
    workflow.callbacks.on_end = vec![NewTask::new("sum", &json!({ "n": 4 })).unwrap()];
    let handle = producer(&broker).enqueue_workflow(workflow).await.unwrap();
    assert_eq!(handle.outcome_within(LONG).await.unwrap().state, State::Failed);
    let succeeded = |seen: &celeriac_broker_schema::script::Snapshot| {
        seen.stats.get("succeeded").copied() == Some(3)
    };
    until(&broker, succeeded).await;
    assert_eq!(worker.drain().await.succeeded, 3, "the other member and two callbacks");
    assert_finished(&broker).await;
}

/// Sums a list by halves: a list of more than two numbers is replaced by two tasks and their sum.
#[derive(Serialize, Deserialize)]
struct Halves {
    numbers: Vec<i64>,
}

impl Task for Halves {
    const NAME: &'static str = "halves";
    type Output = i64;
}

fn halves(ctx: Context, Halves { numbers }: Halves) -> Result<i64, TaskError> {
    if let [one] = numbers[..] {
        return Ok(one);
    }
    let (left, right) = numbers.split_at(numbers.len() / 2);
    let half = |numbers: &[i64]| call("halves", json!({ "numbers": numbers }));
    ctx.continue_with(Node::Chain(vec![group(vec![half(left), half(right)]), add(json!([]))]));
    Ok(0)
}

/// A tree of so many levels, of which each node is a task: it joins its two children to its group.
#[derive(Serialize, Deserialize)]
struct Tree {
    levels: u32,
}

impl Task for Tree {
    const NAME: &'static str = "tree";
    type Output = Value;
}

fn tree(ctx: Context, Tree { levels }: Tree) -> Result<Value, TaskError> {
    for _ in 0..if levels > 1 { 2 } else { 0 } {
        ctx.spawn_into_group(call("tree", json!({ "levels": levels - 1 })));
    }
    ctx.spawn(add(json!([1])));
    Ok(json!({ "nodes": 1 }))
}

fn spawning() -> celeriac_worker::task::Tasks {
    Stage::new()
        .registry()
        .cpu_task(halves)
        .cpu_task(tree)
        .cpu_task(|Sum(args): Sum| Ok::<_, TaskError>(sum(&args)))
        .cpu_task(|Broken(_): Broken| Err::<i64, _>(TaskError::fatal("it is broken")))
        .build()
}

async fn grown(workflow: impl Into<Workflow>) -> (Outcome, u64) {
    let broker = broker().await;
    let worker = Running::start(&broker, spawning(), one_slot());
    let handle = producer(&broker).enqueue_workflow(workflow).await.unwrap();
    let outcome = handle.outcome_within(LONG).await.unwrap();
    let succeeded = worker.drain().await.succeeded;
    assert_finished(&broker).await;
    (outcome, succeeded)
}

fn result_of(outcome: &Outcome) -> Value {
    serde_json::from_str(outcome.result.as_ref().unwrap().get()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_replaced_by_what_it_continues_with() {
    let numbers: Vec<i64> = (1..=33).collect();
    let halves = call("halves", json!({ "numbers": numbers }));
    let (outcome, _) = grown(halves.clone()).await;
    assert_eq!(result_of(&outcome), json!(561), "{outcome:?}");
    let chord =
        Node::Chain(vec![group(vec![halves.clone(), add(json!([1])), halves]), add(json!([]))]);
    assert_eq!(result_of(&grown(chord).await.0), json!(561 + 1 + 561));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_joins_a_group_is_waited_for_and_accumulated() {
    let accumulate = BTreeMap::from([("nodes".to_owned(), Accumulate::Sum)]);
    let members = vec![call("tree", json!({ "levels": 6 }))];
    let counted = Node::Group(Group { members, accumulate, ..Group::default() });
    let (outcome, succeeded) = grown(Node::Chain(vec![counted, add(json!([]))])).await;
    assert_eq!(result_of(&outcome), json!(63));
    assert_eq!(succeeded, 63 + 63 + 1, "each node, one task besides for each, and the last");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_has_no_more_members_and_none_deeper_than_it_may() {
    for most in [(40, 1_000), (1_000, 3)] {
        let numbers: Vec<i64> = (1..=33).collect();
        let mut workflow = Workflow::from(call("halves", json!({ "numbers": numbers })));
        workflow.most = most;
        let (outcome, _) = grown(workflow).await;
        assert_eq!(outcome.state, State::Failed);
        assert!(outcome.error.unwrap().message.contains("than it may have"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_outside_of_workflows_cannot_spawn() {
    let broker = broker().await;
    let worker = Running::start(&broker, spawning(), one_slot());
    let tree = NewTask::new("tree", &json!({ "levels": 1 })).unwrap();
    let outcome = producer(&broker).enqueue_task(tree).await.unwrap().outcome().await.unwrap();
    assert!(outcome.error.unwrap().message.contains("not part of a workflow"));
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_streamed_in_while_its_first_members_run() {
    let broker = broker().await;
    let worker = Running::start(&broker, stage(), one_slot());
    let mut job =
        producer(&broker).open_job(Group::default(), vec![add(json!([1_000]))]).await.unwrap();
    job.push(add(json!([1]))).await.unwrap();
    job.push(Node::Chain(vec![add(json!([2])), add(json!([3]))])).await.unwrap();
    job.flush().await.unwrap();
    let ran = |seen: &celeriac_broker_schema::script::Snapshot| {
        seen.stats.get("succeeded").is_some_and(|n| *n >= 3)
    };
    until(&broker, ran).await;

    // Its producer is gone; another one goes on.
    let (id, pushed) = (job.handle().id().job(), job.pushed());
    drop(job);
    let other = producer(&broker);
    let mut job = other.continue_job(id).await.unwrap();
    assert_eq!((job.pushed(), pushed), (3, 3));
    for i in 0..700 {
        job.push(add(json!([i]))).await.unwrap();
    }
    let handle = job.close().await.unwrap();

    let outcome = handle.outcome_within(LONG).await.unwrap();
    assert_eq!(result_of(&outcome), json!(1_000 + 1 + 5 + 699 * 700 / 2));
    let late = other.continue_job(id).await;
    assert!(matches!(late, Err(EnqueueError::JobOver { .. })), "{late:?}");
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_group_alone_gives_its_results_in_order() {
    let broker = broker().await;
    let worker = Running::start(&broker, stage(), one_slot());
    let group = Group { on_error: OnError::Collect, ..Group::default() };
    let mut job = producer(&broker).open_job(group, Vec::new()).await.unwrap();
    for member in [add(json!([1])), call("broken", json!([])), add(json!([3]))] {
        job.push(member).await.unwrap();
        job.flush().await.unwrap();
    }
    let outcome = job.close().await.unwrap().outcome_within(LONG).await.unwrap();
    let results = result_of(&outcome);
    assert_eq!((&results[0], &results[2]), (&json!({ "Ok": 1 }), &json!({ "Ok": 3 })));
    assert_eq!(results[1]["Err"]["message"], json!("it is broken"));
    worker.drain().await;
    assert_finished(&broker).await;
}

/// Adds the numbers of shared data, and one of its own.
#[derive(Serialize, Deserialize)]
struct SumShared {
    own: i64,
    numbers: Broadcast<Vec<i64>>,
}

impl Task for SumShared {
    const NAME: &'static str = "sum_shared";
    type Output = i64;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_is_put_once_and_shared_by_tasks() {
    let broker = broker().await;
    let tasks = Stage::new()
        .registry()
        .cpu_task(|SumShared { own, numbers }: SumShared| {
            Ok::<_, TaskError>(own + numbers.iter().sum::<i64>())
        })
        .build();
    let worker = Running::start(&broker, tasks, one_slot());
    // Put by hand: this process, in which the worker runs, does not have it.
    let json = serde_json::value::to_raw_value(&(0..50_000).collect::<Vec<i64>>()).unwrap();
    let digest = digest(json.get().as_bytes());
    let task = |own: i64| call("sum_shared", json!({ "own": own, "numbers": { "$data": digest } }));
    let mut workflow = Workflow::from(group((0..20).map(task).collect()));
    workflow.data.push(Data { digest: digest.clone(), json });
    let handle = producer(&broker).enqueue_workflow(workflow).await.unwrap();
    let outcome = handle.outcome_within(LONG).await.unwrap();
    let sum = 49_999 * 50_000 / 2;
    assert_eq!(result_of(&outcome), json!((0..20).map(|own| own + sum).collect::<Vec<i64>>()));

    let missing = json!({ "own": 1, "numbers": { "$data": "0123" } });
    let handle = producer(&broker).enqueue_workflow(call("sum_shared", missing)).await.unwrap();
    let failed = handle.outcome_within(LONG).await.unwrap();
    assert!(failed.error.unwrap().message.contains("has no data 0123"));
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_group_and_what_follows_it_accumulate_apart() {
    let broker = broker().await;
    let worker = Running::start(&broker, stage(), one_slot());
    let counting = |name: &str, members: Vec<Node>| Group {
        members,
        accumulate: BTreeMap::from([(name.to_owned(), Accumulate::Count)]),
        ..Group::default()
    };
    let then = Node::Group(counting("behind", vec![call("count", json!([1]))]));
    let open = counting("before", Vec::new());
    let mut job = producer(&broker).open_job(open, vec![then]).await.unwrap();
    for i in 0..3 {
        job.push(call("count", json!([i]))).await.unwrap();
    }
    let outcome = job.close().await.unwrap().outcome_within(LONG).await.unwrap();
    assert_eq!(result_of(&outcome), json!({ "behind": 1 }));
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_together_keeps_its_order_and_two_who_push_are_told_apart() {
    let broker = broker().await;
    let worker = Running::start(&broker, stage(), one_slot());
    let (ada, bob) = (producer(&broker), producer(&broker));
    let mut job = ada.open_job(Group::default(), Vec::new()).await.unwrap();
    let chain = Node::Chain(vec![add(json!([2])), add(json!([3]))]);
    for member in [add(json!([1])), chain, add(json!([4]))] {
        job.push(member).await.unwrap();
    }
    let mut other = bob.continue_job(job.handle().id().job()).await.unwrap();
    job.flush().await.unwrap();
    other.push(add(json!([100]))).await.unwrap();
    let refused = other.flush().await;
    assert!(matches!(refused, Err(EnqueueError::WrongPart { expected: 2, .. })), "{refused:?}");
    let with_callback = Step {
        task: NewTask::new("sum", &json!([])).unwrap(),
        into: None,
        callbacks: Callbacks {
            on_end: vec![NewTask::new("sum", &json!({})).unwrap()],
            ..Callbacks::default()
        },
    };
    assert!(matches!(job.push(with_callback).await, Err(EnqueueError::Workflow(_))));

    let outcome = job.close().await.unwrap().outcome_within(LONG).await.unwrap();
    assert_eq!(result_of(&outcome), json!([1, 5, 4]));
    worker.drain().await;
    assert_finished(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delay_begins_when_what_comes_before_has_ended() {
    let broker = broker().await;
    let worker = Running::start(&broker, stage(), one_slot());
    let later = |n: i64| {
        let task = NewTask::new("sum", &json!([n])).unwrap();
        Node::from(task.delay(std::time::Duration::from_millis(30)))
    };
    let chain = Node::Chain(vec![add(json!([1])), group(vec![later(10), later(20)]), later(5)]);
    let handle = producer(&broker).enqueue_workflow(chain).await.unwrap();
    let outcome = handle.outcome_within(LONG).await.unwrap();
    assert_eq!(result_of(&outcome), json!(11 + 21 + 5));
    worker.drain().await;
    assert_finished(&broker).await;
}
