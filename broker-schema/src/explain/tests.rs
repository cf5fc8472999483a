//! Each rule, without Redis: which facts lead to which reasons, and the sentences people read.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::outcome::{ErrorKind, TaskFailure};
use crate::requester::Requester;
use crate::worker_info::{Progress, RunningTask};

const NOW: Timestamp = Timestamp(1_000_000_000);
const ID: &str = "0193a7c2b5e07d4e8a1f3c5d7e9b1a00";

fn order() -> Order {
    order_in("mail")
}

fn order_in(queue: &str) -> Order {
    let place = Place { queue: queue.parse().expect("a queue"), priority: Priority::default() };
    Order { task: "send".to_owned(), tenant: None, cost: 1, place, meta: Meta::default() }
}

fn facts(standing: Standing) -> Facts {
    Facts {
        id: ID.parse().expect("an id"),
        now: NOW,
        standing,
        order: Some(order()),
        job: None,
        failures: 0,
        crashes: 0,
        attempts: Vec::new(),
        around: Surroundings::default(),
        workers: vec![("w1".to_owned(), worker())],
        known: Vec::new(),
    }
}

/// A worker with two slots, one of them free, that serves the queue and knows the task.
fn worker() -> WorkerInfo {
    WorkerInfo {
        host: "lynx".to_owned(),
        pid: 7,
        version: "0.1.0".to_owned(),
        queues: vec!["other".to_owned(), "mail".to_owned()],
        tasks: vec!["send".to_owned()],
        slots: 2,
        busy: 1,
        wedged: 0,
        open: BTreeMap::new(),
        buffered: 0,
        paused: None,
        order: 0,
        draining: false,
        leaving: None,
        started: NOW,
        succeeded: 0,
        failed: 0,
        visibility_ms: 30_000,
        rss_bytes: None,
        running: Vec::new(),
    }
}

fn ready(change: impl FnOnce(&mut Facts)) -> Facts {
    let mut facts = facts(Standing::Ready);
    facts.around.ahead = Some(0);
    change(&mut facts);
    facts
}

fn held(change: impl FnOnce(&mut Facts)) -> Facts {
    let claimed = Timestamp(NOW.0 - 65_000);
    let mut facts = facts(Standing::Held { lease: "w1".to_owned(), attempt: 2, claimed });
    facts.around.lease_until = Some(NOW.plus_ms(20_000));
    change(&mut facts);
    facts
}

fn job(done: u64, begun: bool) -> Option<JobFacts> {
    Some(JobFacts { total: 100, done, begun, failed_task: None, paused: None })
}

fn ended(state: State) -> Outcome {
    let stored = format!(
        r#"{{"v":1,"state":"{state}","attempt":2,"started":{},"ended":{}}}"#,
        NOW.0 - 4_000,
        NOW.0 - 1_500
    );
    serde_json::from_str(&stored).expect("an outcome")
}

fn says(facts: &Facts) -> Vec<String> {
    let reasons = Explanation::of(facts).reasons;
    SAID.with_borrow_mut(|said| said.extend(reasons.iter().map(name)));
    reasons.iter().map(ToString::to_string).collect()
}

fn name(reason: &Reason) -> String {
    let json = serde_json::to_value(reason).expect("JSON");
    json["reason"].as_str().expect("its name").to_owned()
}

thread_local! {
    static SAID: std::cell::RefCell<BTreeSet<String>> = std::cell::RefCell::default();
}

fn what_is_unknown_or_waits() {
    let mut unknown = facts(Standing::Unknown);
    unknown.order = None;
    let explanation = Explanation::of(&unknown);
    assert_eq!((explanation.state, explanation.kind), (None, "task"));
    assert_eq!(
        says(&unknown),
        ["nothing is known of it: it was never enqueued here, or its outcome is not kept any more"]
    );

    assert_eq!(
        says(&facts(Standing::Unreadable)),
        ["what is stored of it cannot be read by this version"]
    );
    let unreadable = ready(|facts| facts.order = None);
    assert_eq!(says(&unreadable), ["what is stored of it cannot be read by this version"]);
    let moving = ready(|facts| facts.around = Surroundings::default());
    assert_eq!(says(&moving), ["it is just moving from one place to another: ask again"]);

    let mut delayed = facts(Standing::Delayed(NOW.plus_ms(3_250)));
    assert_eq!(says(&delayed), ["it is not to start for another 3.2 s"]);
    delayed.failures = 1;
    assert_eq!(says(&delayed), ["its last attempt failed; the next one may begin in 3.2 s"]);
    delayed.standing = Standing::Delayed(Timestamp(NOW.0 - 200));
    delayed.workers.clear();
    assert_eq!(
        says(&delayed),
        [
            "it has been due for 200 ms, and goes to its queue when the next worker looks",
            "no worker serves queue mail"
        ]
    );

    let mut waiting = facts(Standing::Waiting);
    waiting.job = job(97, true);
    assert_eq!(says(&waiting), ["it waits for 3 of the 100 chunks of its job"]);
    let mut chunks = facts(Standing::Chunks);
    chunks.job = job(0, false);
    chunks.around = Surroundings { ahead: Some(5), ..Surroundings::default() };
    assert_eq!(
        says(&chunks),
        ["no worker has taken any of its 100 chunks yet", "5 go first in queue mail at priority 5"]
    );
    let explanation = Explanation::of(&chunks);
    assert_eq!((explanation.state, explanation.kind), (Some(State::Running), "job"));
    chunks.job = job(40, true);
    chunks.around = Surroundings::default();
    assert_eq!(says(&chunks), ["40 of its 100 chunks are done"]);
}

fn whose_turn_it_is() {
    assert_eq!(says(&ready(|_| {})), ["it is the next in queue mail"]);
    let behind = |ahead, beyond, higher| {
        says(&ready(|facts| {
            facts.around =
                Surroundings { ahead: Some(ahead), beyond, higher, ..facts.around.clone() };
        }))
    };
    assert_eq!(behind(12, false, 0), ["12 go first in queue mail at priority 5"]);
    assert_eq!(
        behind(1_000, true, 3),
        ["more than 1000 go first in queue mail at priority 5, and 3 of higher priority"]
    );
    let suspect = ready(|facts| {
        facts.crashes = 2;
        facts.around = Surroundings { suspects_ahead: Some(1), ..Surroundings::default() };
    });
    assert_eq!(
        says(&suspect),
        ["its workers were lost 2 times, so it has to run alone, after 1 other like it"]
    );
    let back = ready(|facts| {
        facts.around = Surroundings { orphan: Some("w0".to_owned()), ..Surroundings::default() };
    });
    assert_eq!(says(&back), ["its worker w0 was lost, and it is being put back"]);
    let expiring = |at| {
        let facts = ready(|facts| facts.around.expiry = Some(at));
        says(&facts).pop().expect("a reason")
    };
    assert_eq!(expiring(NOW.plus_ms(90_000)), "it is not started any more in 1 min 30 s");
    assert_eq!(
        expiring(Timestamp(NOW.0 - 1)),
        "its time to start is over: the next worker that looks ends it"
    );
}

fn what_the_workers_do() {
    let with = |workers: Vec<WorkerInfo>| {
        let facts = ready(|facts| {
            let named = workers.into_iter().enumerate();
            facts.workers = named.map(|(n, info)| (format!("w{n}"), info)).collect();
        });
        says(&facts).remove(0)
    };
    assert_eq!(with(vec![]), "no worker serves queue mail");
    let elsewhere = WorkerInfo { queues: vec!["other".to_owned()], ..worker() };
    assert_eq!(with(vec![elsewhere.clone()]), "no worker serves queue mail");
    let unknowing = WorkerInfo { tasks: vec![], ..worker() };
    assert_eq!(
        with(vec![unknowing.clone(), unknowing.clone(), elsewhere]),
        "none of the 2 workers of its queue knows send: its attempts will fail"
    );
    assert_eq!(
        with(vec![unknowing, worker()]),
        "1 of the 2 workers of its queue does not know send: an attempt there fails"
    );
    let leaving = WorkerInfo { draining: true, ..worker() };
    let pause = |who| Some(Note { at: NOW, who });
    let paused = WorkerInfo { paused: pause(Requester::new("ada").because("a leak")), ..worker() };
    assert_eq!(
        with(vec![paused.clone(), paused.clone()]),
        "all 2 workers of queue mail are paused by ada: a leak"
    );
    let silent = WorkerInfo { paused: pause(Requester::default()), ..worker() };
    assert_eq!(
        with(vec![leaving.clone(), silent]),
        "1 of the 2 workers of queue mail is paused, and 1 about to leave"
    );
    assert_eq!(with(vec![paused, worker()]), "it is the next in queue mail");
    assert_eq!(with(vec![leaving.clone()]), "the one worker of queue mail is about to leave");
    let busy = WorkerInfo { busy: 2, ..worker() };
    assert_eq!(
        with(vec![busy.clone(), busy.clone()]),
        "all 4 slots of the 2 workers of queue mail are taken"
    );
    assert_eq!(with(vec![busy.clone(), leaving]), "it is the next in queue mail");
    let wedged = WorkerInfo { wedged: 1, ..busy };
    assert_eq!(
        with(vec![wedged]),
        "all 2 slots of the one worker of queue mail are taken, 1 of them by tasks that do not stop"
    );
    let kept = |mail| {
        let open = BTreeMap::from([("mail".to_owned(), mail), ("other".to_owned(), 1)]);
        with(vec![WorkerInfo { open, ..worker() }])
    };
    assert_eq!(kept(0), "workers of queue mail keep their 1 free slot for other queues");
    assert_eq!(kept(1), "it is the next in queue mail");
}

fn what_no_worker_has() {
    let labelled = |workers: Vec<(String, WorkerInfo)>| {
        let facts = ready(|facts| {
            facts.order = Some(order_in("mail@gpu"));
            facts.workers = workers;
        });
        says(&facts).remove(0)
    };
    assert_eq!(
        labelled(vec![("w1".to_owned(), worker())]),
        "the one worker of queue mail lacks the label gpu, which it needs"
    );
    assert_eq!(
        labelled(vec![]),
        "no worker serves queue mail, and it needs one with the label gpu"
    );
    let queues = vec!["mail".to_owned(), "mail@gpu".to_owned()];
    let able = WorkerInfo { queues, ..worker() };
    assert_eq!(labelled(vec![("w1".to_owned(), able)]), "it is the next in queue mail@gpu");

    let costs =
        |cost| says(&ready(|facts| facts.order = Some(Order { cost, ..order() }))).remove(0);
    assert_eq!(costs(1), "it is the next in queue mail");
    assert_eq!(
        costs(2),
        "it takes 2 slots, and the most that a worker of queue mail has free is 1"
    );
    assert_eq!(
        costs(3),
        "it takes 3 slots, and the workers of its queue have 2 at most: its attempts will fail"
    );
}

fn what_people_and_limits_keep_back() {
    let said = |who| Note { at: Timestamp(NOW.0 - 300_000), who };
    let ada = said(Requester::new("ada").because("the provider is down"));
    let mut paused = ready(|facts| facts.around.paused = Some(ada.clone()));
    assert_eq!(
        says(&paused),
        [
            "queue mail was paused 5 min ago by ada: the provider is down",
            "it is the next in queue mail"
        ]
    );
    paused.standing = Standing::Delayed(NOW.plus_ms(2_000));
    paused.around.paused = Some(Note::default());
    assert_eq!(says(&paused), ["it is not to start for another 2.0 s", "queue mail is paused"]);

    let shut = |shut: Shut| {
        says(&ready(|facts| {
            facts.around = Surroundings { shut: vec![shut], ..Surroundings::default() };
        }))
    };
    let full = Shut {
        subject: "tenant:acme".to_owned(),
        held: 5,
        concurrency: Some(5),
        opens: None,
        before: Some(7),
    };
    assert_eq!(
        shut(full.clone()),
        ["5 of tenant:acme are held, and 5 may be at once; 7 that wait for it go first"]
    );
    let opens = Some(NOW.plus_ms(1_500));
    assert_eq!(
        shut(Shut { opens, held: 0, concurrency: None, before: None, ..full.clone() }),
        ["the rate of tenant:acme lets the next one go in 1.5 s"]
    );
    assert_eq!(
        shut(Shut { held: 4, before: Some(0), ..full }),
        ["it waited for the limit of tenant:acme, which lets more go now"]
    );

    let turn = |own, more, turns| {
        says(&ready(|facts| {
            facts.order = Some(Order { tenant: Some("acme".to_owned()), ..order() });
            let turn = Some(Turn { own, more, turns });
            facts.around = Surroundings { turn, ..Surroundings::default() };
        }))
    };
    assert_eq!(turn(0, false, Some(0)), ["it is the next of its tenant acme"]);
    assert_eq!(
        turn(1_000, true, Some(3)),
        ["more than 1000 of its tenant acme go first, whose turn comes after 3 others"]
    );

    let mut follower = facts(Standing::Waiting);
    follower.around.follows = Some(ID.to_owned());
    assert_eq!(says(&follower), [format!("it follows {ID}, and begins when that has ended")]);
    let told = held(|facts| facts.around.cancel = Some(said(Requester::new("ada"))));
    assert_eq!(says(&told)[2], "it is to be cancelled, and its worker was told 5 min ago by ada");
}

fn who_runs_it() {
    let lease = "if that worker is not heard of within 20 s, others get it";
    let running = |progress| RunningTask {
        wedged: None,
        id: ID.to_owned(),
        task: "send".to_owned(),
        queue: None,
        attempt: 2,
        since: Timestamp(NOW.0 - 5_000),
        progress,
    };
    let progress = Some(Progress { done: 3, total: 9, note: Some("third page".to_owned()) });
    let runs = held(|facts| facts.workers[0].1.running.push(running(progress)));
    assert_eq!(
        says(&runs),
        [
            "attempt 2 has been running for 5.0 s on worker w1 (lynx, process 7), 3 of 9 done (third page)",
            lease
        ]
    );
    let progress = Some(Progress { done: 3, total: 0, note: None });
    let runs = held(|facts| facts.workers[0].1.running.push(running(progress)));
    assert!(says(&runs)[0].ends_with("process 7), 3 done"));
    let silent = held(|facts| facts.workers.clear());
    assert_eq!(says(&silent), ["attempt 2 has been running for 1 min 5 s on worker w1", lease]);
    let buffered = held(|facts| facts.workers[0].1.buffered = 4);
    assert_eq!(
        says(&buffered),
        ["worker w1 took it 1 min 5 s ago, and runs others before attempt 2", lease]
    );
    let lost = held(|facts| facts.around.lease_until = Some(NOW));
    assert_eq!(says(&lost)[1], "its worker w1 was not heard of in time: others get it now");
}

fn how_it_ended() {
    let end = |outcome, change: &dyn Fn(&mut Facts)| {
        let mut facts = facts(Standing::Ended(Box::new(outcome)));
        change(&mut facts);
        says(&facts)
    };
    let kept = |facts: &mut Facts| facts.around.kept_ms = Some(86_400_000);
    assert_eq!(
        end(ended(State::Succeeded), &kept),
        [
            "it succeeded in attempt 2, which took 2.5 s, 1.5 s ago",
            "its outcome is kept for another 1 d"
        ]
    );
    let failure = TaskFailure::new(ErrorKind::Error, "no such user");
    let failed = Outcome { error: Some(failure), ..ended(State::Failed) };
    assert_eq!(
        end(failed.clone(), &|facts| facts.around.dead = true),
        [
            "it failed for good in attempt 2, 1.5 s ago: no such user",
            "it is among the dead tasks, with its arguments and attempts"
        ]
    );
    let by_chunk = Outcome { failed_task: Some(format!("{ID}:17")), ..failed };
    assert_eq!(
        end(by_chunk, &|_| {}),
        [format!("it failed for good in attempt 2, 1.5 s ago, because {ID}:17 did: no such user")]
    );
    assert_eq!(
        end(ended(State::Expired), &|_| {}),
        ["it expired before a worker started it, 1.5 s ago"]
    );
    assert_eq!(end(ended(State::Cancelled), &|_| {}), ["it is cancelled, 1.5 s ago"]);
    let by_ada = Outcome {
        by: Some("ada".to_owned()),
        why: Some("a typo".to_owned()),
        ..ended(State::Cancelled)
    };
    assert_eq!(end(by_ada.clone(), &|_| {}), ["it was cancelled by ada, 1.5 s ago: a typo"]);
    let error = TaskFailure::new(ErrorKind::Cancelled, "queue mail was purged by ada: a typo");
    assert_eq!(
        end(Outcome { error: Some(error), ..by_ada }, &|_| {}),
        ["it was cancelled by ada, 1.5 s ago: queue mail was purged by ada: a typo"]
    );

    let settled = |state| {
        let mut facts = facts(Standing::Settled(state));
        facts.id = format!("{ID}:3").parse().expect("an id");
        facts.job =
            Some(JobFacts { failed_task: Some(format!("{ID}:17")), ..job(3, true).expect("one") });
        facts.attempts = vec![Attempt {
            attempt: 4,
            outcome: "failed".into(),
            host: None,
            worker: "w1".to_owned(),
            claimed: None,
            started: None,
            ended: Timestamp(NOW.0 - 10),
            error: Some(TaskFailure::new(ErrorKind::Error, "no such user")),
            retry_in_ms: None,
            by: None,
            why: None,
        }];
        assert_eq!(Explanation::of(&facts).kind, "chunk");
        says(&facts)
    };
    assert_eq!(settled(State::Succeeded), ["it succeeded"]);
    assert_eq!(
        settled(State::Failed),
        ["it failed for good in attempt 4, 10 ms ago: no such user"]
    );
    assert_eq!(settled(State::Cancelled), [format!("it is cancelled, because {ID}:17 failed")]);

    let mut with_its_job = facts(Standing::Settled(State::Cancelled));
    with_its_job.id = format!("{ID}:3").parse().expect("an id");
    let who = Requester::new("ada").because("a typo");
    with_its_job.around.cancel = Some(Note { at: Timestamp(NOW.0 - 1_500), who });
    assert_eq!(says(&with_its_job), ["it was cancelled by ada, 1.5 s ago: a typo"]);
}

#[test]
fn every_reason_follows_from_facts_and_is_documented() {
    what_is_unknown_or_waits();
    whose_turn_it_is();
    what_the_workers_do();
    what_no_worker_has();
    what_people_and_limits_keep_back();
    who_runs_it();
    how_it_ended();
    let said = SAID.with_borrow(Clone::clone);
    let page = include_str!("../../../docs/explain.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    assert_eq!(rows.map(str::to_owned).collect::<BTreeSet<_>>(), said);
}

#[test]
fn what_others_know_comes_first_and_nothing_is_left_unexplained() {
    let known = Reason::ComesBack { lease: "w9".to_owned() };
    let with = ready(|facts| facts.known.push(known.clone()));
    assert_eq!(Explanation::of(&with).reasons[0], known);
    let standings = [
        Standing::Unknown,
        Standing::Chunks,
        Standing::Waiting,
        Standing::Delayed(NOW),
        Standing::Ready,
        Standing::Held { lease: String::new(), attempt: 1, claimed: NOW },
        Standing::Ended(Box::new(ended(State::Succeeded))),
        Standing::Settled(State::Cancelled),
    ];
    for standing in standings {
        // Nothing else is known at all.
        let mut bare = facts(standing.clone());
        bare.order = None;
        bare.workers.clear();
        assert!(!Explanation::of(&bare).reasons.is_empty(), "{standing:?}");
    }
}

#[test]
fn json_names_the_reason() {
    let json = serde_json::to_value(Explanation::of(&ready(|_| {}))).expect("JSON");
    assert_eq!(json["reasons"], serde_json::json!([{ "reason": "next", "queue": "mail" }]));
    assert_eq!((&json["state"], &json["kind"]), (&"ready".into(), &"task".into()));
}
