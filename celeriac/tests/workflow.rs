//! Typed workflows, through a real Redis and a real worker: what each form results in, with its type.

use std::collections::BTreeMap;
use std::time::Duration;

use celeriac::workflow::{
    Ended, Enqueueable, Flow, Follower, Graph, Group, IntoFlow, Totals, chunks, fan_out, group,
    map, max, starmap, sum,
};
use celeriac::{
    Broker, Context, Data, ErrorKind, Handle, NewTask, Producer, RedisConfig, Registry,
    ResultError, Shutdown, Summary, Task, TaskError, TaskFailure, Worker, WorkerConfig,
    as_completed, as_completed_within, wait_any, wait_any_within,
};
use celeriac_testkit::TestRedis;
use celeriac_testkit::redis::fresh_namespace;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

const SOON: Duration = Duration::from_secs(60);

#[celeriac::task(name = "add")]
async fn add(a: i64, b: i64) -> Result<i64, TaskError> {
    Ok(a + b)
}

#[celeriac::task(name = "double")]
async fn double(n: i64) -> Result<i64, TaskError> {
    Ok(2 * n)
}

/// Fails on an odd number.
#[celeriac::task(name = "half", retries = 0)]
async fn half(#[serde(rename = "of")] n: i64) -> Result<i64, TaskError> {
    if n % 2 == 0 { Ok(n / 2) } else { Err(TaskError::fatal(format!("{n} is odd"))) }
}

#[celeriac::task(name = "total")]
async fn total(parts: Vec<i64>, #[serde(default)] and: Option<i64>) -> Result<i64, TaskError> {
    Ok(parts.iter().sum::<i64>() + and.unwrap_or(0))
}

#[celeriac::task(name = "sum_up")]
async fn sum_up(parts: Vec<i64>) -> Result<i64, TaskError> {
    Ok(parts.iter().sum())
}

#[celeriac::task(name = "show")]
async fn show(n: i64) -> Result<String, TaskError> {
    Ok(format!("<{n}>"))
}

#[celeriac::task(name = "join")]
async fn join(both: (i64, String), between: String) -> Result<String, TaskError> {
    Ok(format!("{}{between}{}", both.0, both.1))
}

#[celeriac::task(name = "judge")]
async fn judge(all: Vec<Result<i64, TaskFailure>>) -> Result<(i64, Vec<String>), TaskError> {
    let failed = all.iter().filter_map(|each| each.as_ref().err());
    let told = failed.map(|failure| format!("{}: {failure}", index(failure))).collect();
    Ok((all.iter().flatten().sum(), told))
}

/// Which member it was.
fn index(failure: &TaskFailure) -> u64 {
    failure.task.and_then(|task| task.chunk()).expect("a member")
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Counted {
    words: i64,
    longest: i64,
}

#[celeriac::task(name = "count")]
async fn count(line: String) -> Result<Counted, TaskError> {
    let longest = line.split(' ').map(str::len).max().unwrap_or(0);
    Ok(Counted { words: line.split(' ').count() as i64, longest: longest as i64 })
}

#[celeriac::task(name = "mean")]
async fn mean(counted: Counted, lines: i64) -> Result<i64, TaskError> {
    Ok(counted.words / lines)
}

/// Tells the test what it was told.
#[celeriac::task(name = "tell")]
async fn tell(
    parent: Ended,
    of: String,
    told: Data<UnboundedSender<(String, Ended)>>,
) -> Result<(), TaskError> {
    told.send((of, parent)).map_err(|_| TaskError::fatal("nobody listens"))
}

/// Quicksort: puts two halves and what joins them in its own place.
#[celeriac::task(name = "sort")]
async fn sort(numbers: Vec<i64>, ctx: Context) -> Result<Vec<i64>, TaskError> {
    let Some((&pivot, rest)) = numbers.split_first() else { return Ok(numbers) };
    let (less, more): (Vec<i64>, Vec<i64>) = rest.iter().partition(|n| **n < pivot);
    let halves = group([sort(less), sort(more)]);
    ctx.continue_with(halves.then(join_halves::after(pivot)).into_node()?);
    Ok(Vec::new())
}

#[celeriac::task(name = "join_halves")]
async fn join_halves(halves: Vec<Vec<i64>>, pivot: i64) -> Result<Vec<i64>, TaskError> {
    Ok([halves[0].as_slice(), &[pivot], &halves[1]].concat())
}

/// A worker and a producer of their own.
struct Stage {
    producer: Producer,
    shutdown: Shutdown,
    running: tokio::task::JoinHandle<Result<Summary, celeriac::WorkerError>>,
    told: UnboundedReceiver<(String, Ended)>,
}

impl Stage {
    async fn new() -> Self {
        let redis = TestRedis::shared().await;
        let namespace = fresh_namespace().parse().expect("a namespace");
        let config = RedisConfig::new(redis.url()).namespace(namespace);
        let (sender, told) = unbounded_channel();
        let tasks = Registry::new(sender)
            .add::<add>()
            .add::<double>()
            .add::<half>()
            .add::<total>()
            .add::<sum_up>()
            .add::<show>()
            .add::<join>()
            .add::<judge>()
            .add::<count>()
            .add::<mean>()
            .add::<tell>()
            .add::<sort>()
            .add::<join_halves>()
            .build();
        let broker = Broker::new(config.clone()).expect("a URL");
        let worker = Worker::new(broker, tasks, WorkerConfig::default()).expect("settings");
        let shutdown = Shutdown::new();
        let running = tokio::spawn(worker.run(shutdown.clone()));
        let producer = Producer::connect(config).await.expect("connects");
        Self { producer, shutdown, running, told }
    }

    async fn result<Out: serde::de::DeserializeOwned + 'static>(
        &self,
        flow: impl IntoFlow<Out = Out>,
    ) -> Out {
        let handle: Handle<Out> = self.producer.enqueue(flow.flow()).await.expect("enqueued");
        handle.result_within(SOON).await.expect("succeeds")
    }

    async fn end(self) {
        self.shutdown.drain();
        let summary = self.running.await.expect("no panic").expect("leaves in good order");
        assert_eq!(summary.left_behind, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_has_the_result_of_its_last_step() {
    let stage = Stage::new().await;
    let chain: Flow<String> =
        add(1, 2).then(double::after()).then(add::after(10)).then(show::after());
    assert_eq!(stage.result(chain).await, "<16>");
    let renamed: Flow<i64> = double(21).then(half::after());
    assert_eq!(stage.result(renamed).await, 21);
    assert_eq!(stage.result(add(1, 2).flow().then_run(double(4))).await, 8);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_have_lists_and_tuples_and_so_have_what_follows() {
    let stage = Stage::new().await;
    let list: Group<Vec<i64>> = group((0..4).map(|n| add(n, n)));
    assert_eq!(stage.result(list.clone()).await, [0, 2, 4, 6]);
    assert_eq!(stage.result(list.then(total::after(Some(100)))).await, 112);
    let both: Group<(i64, String)> = group((add(1, 2), show(7)));
    assert_eq!(stage.result(both.then(join::after(" & ".into()))).await, "3 & <7>");

    let chains = (0..3).map(|n| double(n).then(show::after()));
    type Nested = (Vec<String>, i64, Vec<(i64, i64)>);
    let nested: Group<Nested> = group((
        group(chains),
        group([double(1), double(2)]).then(total::after(None)),
        group((0..2).map(|n| group((double(n), add(n, 10))))),
    ));
    let expected = (vec!["<0>".to_owned(), "<2>".into(), "<4>".into()], 6, vec![(0, 10), (2, 11)]);
    assert_eq!(stage.result(nested).await, expected);
    assert_eq!(stage.result(group(Vec::<double>::new())).await, [0_i64; 0]);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_become_tasks_one_by_one_or_in_lists() {
    let stage = Stage::new().await;
    assert_eq!(stage.result(map(double, 1..=3)).await, [2, 4, 6]);
    assert_eq!(stage.result(starmap(add, [(1, 2), (3, 4)])).await, [3, 7]);
    let bites: Group<Vec<i64>> = chunks(sum_up, 1..=10, 4);
    assert_eq!(stage.result(bites).await, [10, 26, 19]);
    let folded: Flow<i64> = map(double, 1..=100).fold(sum_up::after(), 7);
    assert_eq!(stage.result(folded).await, 10_100);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_result_goes_to_several() {
    let stage = Stage::new().await;
    let list = add(1, 1).then(fan_out((1..=3).map(|n| add::after(n).then(double::after()))));
    assert_eq!(stage.result(list.then(total::after(None))).await, 2 * (3 + 4 + 5));
    let both: Flow<(i64, String)> = add(1, 1).then(fan_out((double::after(), show::after())));
    assert_eq!(stage.result(both).await, (4, "<2>".to_owned()));
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_values_where_that_is_wanted() {
    let stage = Stage::new().await;
    let halves = || group((2..=5).map(half));
    let collected = stage.result(halves().collect_errors()).await;
    let seen: Vec<_> = collected
        .iter()
        .map(|each| {
            each.as_ref()
                .map_err(|failure| (index(failure), failure.kind, failure.message.as_str()))
        })
        .collect();
    let odd = |at, message| Err((at, ErrorKind::Error, message));
    assert_eq!(seen, [Ok(&1), odd(1, "3 is odd"), Ok(&2), odd(3, "5 is odd")]);

    let judged = (3, vec!["1: 3 is odd".to_owned(), "3: 5 is odd".to_owned()]);
    assert_eq!(stage.result(halves().collect_errors().then(judge::after())).await, judged);
    assert_eq!(stage.result(halves().tolerate(2).then(judge::after())).await, judged);
    let handle = stage.producer.enqueue(halves().tolerate(1).then(judge::after())).await;
    let failed = handle.expect("enqueued").result_within(SOON).await.expect_err("one too many");
    assert!(matches!(failed, ResultError::Failed { .. }), "{failed}");

    let mixed: Flow<(Result<i64, TaskFailure>, Result<String, TaskFailure>)> =
        group((half(1), show(2))).collect_errors();
    let (half, shown) = stage.result(mixed).await;
    assert_eq!(
        (half.expect_err("odd").message.as_str(), shown.as_deref()),
        ("1 is odd", Ok("<2>"))
    );
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_have_the_type_that_is_asked_for() {
    let stage = Stage::new().await;
    let lines = ["a bb ccc", "dddd", "e f g h i"].map(str::to_owned);
    let counts = || map(count, lines.clone());
    let accumulators = || [sum("words"), max("longest")];
    let counted: Counted = stage.result(counts().accumulate(accumulators())).await;
    assert_eq!(counted, Counted { words: 9, longest: 4 });
    let totals: Totals = stage.result(counts().accumulate(accumulators())).await;
    let expected = [("longest".to_owned(), 4.into()), ("words".to_owned(), 9.into())];
    assert_eq!(totals, BTreeMap::from(expected));
    assert_eq!(stage.result(counts().accumulate(accumulators()).then(mean::after(3))).await, 3);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_graph_wait_for_any_others() {
    let stage = Stage::new().await;
    let mut graph = Graph::new();
    let one = graph.add(add(0, 1));
    let two = graph.add_after(one, double::after());
    let shown = graph.add_after(two, show::after());
    let joined = graph.add_after((two, shown), join::after("; ".into()));
    let all = graph.add_after(vec![one, two], total::after(None));
    let alone = graph.add_after(vec![two], total::after(None));
    let none = graph.add_after(Vec::new(), total::after(Some(9)));
    graph.run_after(joined, double(1));
    type Results = (String, i64, i64, i64, i64);
    let flow: Flow<Results> = graph.result((joined, all, alone, none, one));
    assert_eq!(stage.result(flow.clone()).await, ("2; <2>".to_owned(), 3, 2, 9, 1));

    // A graph is a part as any other.
    let within: Flow<Vec<Results>> = double(1).flow().then_run(group([flow]));
    assert_eq!(stage.result(within).await, [("2; <2>".to_owned(), 3, 2, 9, 1)]);

    let mut graph = Graph::new();
    let parts = [graph.add(half(3)), graph.add(half(4))];
    let judged = graph.add_after_end(parts.to_vec(), judge::after());
    let judged = stage.result(graph.result(judged)).await;
    assert_eq!(judged, (2, vec!["0: 3 is odd".to_owned()]));
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callbacks_are_told_what_has_ended() {
    let mut stage = Stage::new().await;
    let tell = |of: &str| tell::after(of.to_owned());
    let halves = group([half(2), half(3)].map(|each| {
        each.flow().on_success(tell("success")).on_failure(tell("failure")).on_end(tell("end"))
    }));
    let follower = judge::after().on_success(tell("follower"));
    let job = stage
        .producer
        .enqueue(halves.collect_errors().then(follower))
        .label("halves")
        .on_success(tell("job"))
        .on_failure(tell("never"))
        .on_end(tell("job end"))
        .await
        .expect("enqueued");
    job.result_within(SOON).await.expect("succeeds");
    let mut told = Vec::new();
    while told.len() < 7 {
        let (of, ended) =
            tokio::time::timeout(SOON, stage.told.recv()).await.expect("told").expect("open");
        assert_eq!(ended.job, job.id().job());
        let error = ended.error.map(|error| error.message);
        told.push((of, ended.id.chunk(), ended.state.to_string(), error));
    }
    told.sort();
    let entry = |of: &str, index: Option<u64>, state: &str, error: Option<&str>| {
        (of.to_owned(), index, state.to_owned(), error.map(str::to_owned))
    };
    let expected = [
        entry("end", Some(0), "succeeded", None),
        entry("end", Some(1), "failed", Some("3 is odd")),
        entry("failure", Some(1), "failed", Some("3 is odd")),
        entry("follower", Some(2), "succeeded", None),
        entry("job", None, "succeeded", None),
        entry("job end", None, "succeeded", None),
        entry("success", Some(0), "succeeded", None),
    ];
    assert_eq!(told, expected);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn results_come_as_they_are_there() {
    let stage = Stage::new().await;
    let enqueue = async |n: i64| stage.producer.enqueue(&half(n)).await.expect("enqueued");
    let mut handles = Vec::new();
    for n in [2, 3, 4] {
        handles.push(enqueue(n).await);
    }
    let never = stage.producer.enqueue(&double(1)).queue("nobody").await.expect("enqueued");
    handles.push(never.clone());
    let (first, result) = wait_any(&handles).await.expect("some");
    assert_eq!(result.is_err(), first == 1);

    let mut ends = as_completed_within(handles, Duration::from_millis(500));
    assert_eq!(ends.left(), 4);
    let mut told = Vec::new();
    while let Some((index, result)) = ends.next().await {
        told.push((index, result.map_err(|error| matches!(error, ResultError::Timeout { .. }))));
    }
    assert_eq!(told.last(), Some(&(3, Err(true))));
    told.sort_by_key(|(index, _)| *index);
    assert_eq!(told, [(0, Ok(1)), (1, Err(false)), (2, Ok(2)), (3, Err(true))]);

    let late = wait_any_within(std::slice::from_ref(&never), Duration::from_millis(10)).await;
    assert!(matches!(late, Some((0, Err(ResultError::Timeout { .. })))));
    assert!(wait_any::<i64>(&[]).await.is_none());
    never.cancel().await.expect("Redis is there");
    let mut jobs = Vec::new();
    for n in 0..5 {
        jobs.push(stage.producer.enqueue(map(double, 0..n)).await.expect("enqueued"));
    }
    let (mut ends, mut all) = (as_completed(jobs), Vec::new());
    while let Some((index, result)) = ends.next().await {
        all.push((index, result.expect("succeeds").len()));
    }
    all.sort_unstable();
    assert_eq!(all, [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4)]);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_and_progress_of_a_job_are_told_as_they_come() {
    let stage = Stage::new().await;
    // 0 to 9 halves, 10 is the judge; the odd ones fail and are caught.
    let halves = map(half, 0..10).collect_errors();
    let job = stage.producer.enqueue(halves.then(judge::after())).await.expect("enqueued");
    let (mut members, mut progress) = (job.members::<serde_json::Value>(), job.progress());
    let mut told = BTreeMap::new();
    while let Some(member) = soon(members.next()).await {
        let (index, result) = member.expect("the job is there");
        let result = result.map_err(|error| match error {
            ResultError::Failed { failure, .. } => failure.message,
            other => panic!("{other}"),
        });
        assert!(told.insert(index, result).is_none(), "{index} is told twice");
    }
    for (index, result) in told.range(0..10) {
        match index % 2 {
            0 => assert_eq!(result.as_ref().expect("even"), &serde_json::json!(index / 2)),
            _ => assert_eq!(result.as_ref().expect_err("odd"), &format!("{index} is odd")),
        }
    }
    assert_eq!(told.len(), 11, "{told:?}");

    // It is told from the beginning to whoever comes late, once.
    let mut last = None;
    while let Some(now) = soon(progress.next()).await {
        last = Some(now.expect("the job is there"));
    }
    let last = last.expect("told");
    assert_eq!((last.total, last.succeeded, last.failed, last.ended), (11, 6, 5, true));
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_member_that_ends_a_job_is_told_with_its_failure() {
    let stage = Stage::new().await;
    let job = stage.producer.enqueue(map(half, [3])).await.expect("enqueued");
    let mut members = job.members::<i64>();
    let (index, result) = soon(members.next()).await.expect("one").expect("the job is there");
    match result {
        Err(ResultError::Failed { id, failure, .. }) => {
            assert_eq!((index, id.chunk(), failure.message.as_str()), (0, Some(0), "3 is odd"));
        }
        other => panic!("it should have failed: {other:?}"),
    }
    assert!(soon(members.next()).await.is_none());

    let nothing = stage.producer.handle(celeriac::TaskId::new(celeriac::Timestamp(1)));
    let unknown = |error: Option<Result<(), ResultError>>| {
        matches!(error, Some(Err(ResultError::Unknown(_))))
    };
    let (mut members, mut progress) = (nothing.members::<i64>(), nothing.progress());
    assert!(unknown(soon(members.next()).await.map(|it| it.map(drop))));
    assert!(unknown(soon(progress.next()).await.map(|it| it.map(drop))));
    assert!(members.next().await.is_none() && progress.next().await.is_none());
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_continues_with_a_typed_part() {
    let stage = Stage::new().await;
    let sorted = stage.result(group([sort(vec![3, 1, 4, 1, 5, 9, 2, 6])]).flow()).await;
    assert_eq!(sorted, [[1, 1, 2, 3, 4, 5, 6, 9]]);
    stage.end().await;
}

/// A member is told while another one of its group still waits for a worker.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_goes_on_is_followed_by_hints() {
    let stage = Stage::new().await;
    let parts = group([
        double(1).flow(),
        double(2).flow().with(|task| task.queue("nobody".parse().expect("a name"))),
    ]);
    let job = stage.producer.enqueue(parts).await.expect("enqueued");
    let (mut members, mut progress) = (job.members::<i64>(), job.progress());
    let (index, result) = soon(members.next()).await.expect("one").expect("the job is there");
    assert_eq!((index, result.expect("succeeds")), (0, 2));
    let mut told = soon(progress.next()).await.expect("told").expect("the job is there");
    while told.succeeded == 0 {
        told = soon(progress.next()).await.expect("told").expect("the job is there");
    }
    assert_eq!((told.total, told.succeeded, told.ended), (2, 1, false));
    // Giving up loses nothing, and the end is told.
    let early = tokio::time::timeout(Duration::from_millis(50), progress.next()).await;
    assert!(early.is_err());
    job.cancel().await.expect("Redis is there");
    let told = soon(progress.next()).await.expect("told").expect("the job is there");
    assert!(told.ended);
    assert!(soon(members.next()).await.is_none() && soon(progress.next()).await.is_none());
    stage.end().await;
}

async fn soon<T>(next: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, next).await.expect("in time")
}

/// A task that was written by hand.
#[derive(Serialize, Deserialize)]
struct Power {
    base: i64,
    exponent: u32,
}

impl Task for Power {
    const NAME: &'static str = "power";
    type Output = i64;
}

fn tree<Out>(flow: impl IntoFlow<Out = Out>) -> String {
    format!("{:?}", flow.flow().workflow().expect("JSON").root)
}

#[test]
fn options_reach_every_task_of_a_part() {
    let five = |task: NewTask| task.retries(5).delay(Duration::from_millis(77));
    let parts = group([double(1), double(2)]).then(total::after(None)).with(five);
    let written = tree(parts);
    assert_eq!(written.matches("retries: 5").count(), 3);
    assert_eq!(written.matches("delay_ms: Some(77)").count(), 3);
    let only_last = group([double(1), double(2)]).then(total::after(None).with(five));
    assert_eq!(tree(only_last).matches("retries: 5").count(), 1);
}

#[test]
fn tasks_without_the_attribute_follow_when_told_how() {
    let by_hand: Follower<i64, i64> =
        Follower::of::<Power>(&serde_json::json!({ "exponent": 2 }), "base");
    let attribute = tree(double(3).then(add::after(4)));
    assert!(attribute.contains(r#"Field("a")"#), "{attribute}");
    let written = tree(double(3).then(by_hand));
    assert!(written.contains(r#"Field("base")"#) && written.contains("exponent"), "{written}");
}

#[tokio::test]
async fn what_is_wrong_is_told_when_it_is_enqueued() {
    let (producer, recorder) = celeriac::testing::recording();
    let told = |flow: Flow<i64>| {
        let producer = producer.clone();
        async move { producer.enqueue(flow).await.expect_err("refused").to_string() }
    };
    let mut other = Graph::new();
    let foreign = other.add(double(1));
    let mut graph = Graph::new();
    let part = graph.add_after(foreign, double::after());
    let said = told(graph.result(part)).await;
    assert!(said.contains("another graph"), "{said}");

    let misnamed: Follower<Ended, i64> = Follower::of::<double>(&(), "n");
    let said = told(double(1).flow().on_end(misnamed)).await;
    assert!(said.contains("`n` of task `double`"), "{said}");
    let said = told(map(double, 0..0).fold(sum_up::after(), 2)).await;
    assert!(said.contains("the group is empty"), "{said}");
    assert!(recorder.tasks().is_empty());
}

/// What takes anything that can be enqueued.
fn enqueue<E: Enqueueable>(producer: &Producer, what: E) -> E::Call<'_> {
    producer.enqueue(what)
}

#[tokio::test]
async fn tasks_and_workflows_are_enqueued_alike() {
    let (producer, _) = celeriac::testing::recording();
    let one: Handle<i64> = enqueue(&producer, &double(1)).retries(1).await.expect("enqueued");
    let many: Handle<Vec<i64>> = enqueue(&producer, map(double, 0..3))
        .key("three")
        .keep_result(SOON)
        .await
        .expect("enqueued");
    assert_ne!(one.id(), many.id());
}
