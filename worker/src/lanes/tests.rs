//! What begins when, and what goes back.

use celeriac_broker_schema::TaskId;
use celeriac_broker_schema::script::Delivery;

use super::*;
use crate::config::WorkerConfig;
use crate::unit::Work;

fn served(names: &[&str]) -> Served {
    let queues = names.iter().map(|name| name.parse().expect("a queue")).collect();
    Served::new(&WorkerConfig { queues, ..WorkerConfig::default() }).expect("valid")
}

fn unit(queue: &str, priority: u8, record: &str) -> Unit {
    let delivery = Delivery {
        id: TaskId::new(celeriac_broker_schema::Timestamp(1)),
        record: record.as_bytes().to_vec(),
        queue: queue.into(),
        priority,
        history: String::new(),
        input: None,
        checkpoint: None,
    };
    Unit { epoch: 1, cost: 1, work: Work::Task(Box::new(delivery)), input: None, data: Vec::new() }
}

fn heavy(cost: usize, record: &str) -> Unit {
    Unit { cost, ..unit("mail", 5, record) }
}

fn name(unit: &Unit) -> String {
    match &unit.work {
        Work::Task(delivery) => String::from_utf8(delivery.record.clone()).expect("text"),
        Work::Chunk { .. } => unreachable!("there is none"),
    }
}

fn names(mut pop: impl FnMut() -> Option<Unit>) -> Vec<String> {
    std::iter::from_fn(|| pop().map(|unit| name(&unit))).collect()
}

/// The next one that may begin, if there is one.
fn pop_first(lane: &mut Lane, may_begin: impl Fn(&Unit) -> bool) -> Option<Unit> {
    let rank = lane.first(|waiting| may_begin(&waiting.unit))?.0;
    Some(lane.pop(rank)?.unit)
}

fn filled() -> Lane {
    let (served, mut lane) = (served(&["mail", "batch"]), Lane::default());
    for unit in [
        unit("batch", 9, "b9"),
        unit("mail", 5, "first"),
        unit("mail", 5, "second"),
        unit("mail", 9, "urgent"),
    ] {
        lane.push(unit, &served);
    }
    lane
}

#[test]
fn what_comes_later_and_ranks_higher_overtakes() {
    let mut lane = filled();
    assert_eq!(names(|| pop_first(&mut lane, |_| true)), ["urgent", "first", "second", "b9"]);
    assert!(lane.is_empty());
}

#[test]
fn what_would_begin_last_goes_back_first() {
    let mut lane = filled();
    assert_eq!(
        names(|| Some(lane.pop_last_if(|_| true)?.unit)),
        ["b9", "second", "first", "urgent"]
    );
    assert!(lane.is_empty());
}

#[test]
fn what_has_no_slot_is_passed_over() {
    let mut lane = filled();
    assert_eq!(names(|| pop_first(&mut lane, |unit| unit.place().0 == "batch")), ["b9"]);
    assert!(!lane.is_empty());
}

fn lanes(slots: usize) -> Lanes {
    Lanes::new(slots, Arc::new(served(&["mail", "batch"])))
}

/// What computes next, if anything may begin now.
fn begins(lanes: &Lanes) -> Option<(String, Permit<'_>)> {
    let (unit, permit) = lanes.begin(Kind::Computing, &mut lanes.state())?;
    Some((name(&unit), permit))
}

#[test]
fn no_more_run_than_there_are_slots() {
    let lanes = lanes(2);
    lanes.push_to_compute(vec![heavy(1, "a"), heavy(1, "b"), heavy(1, "c")]);
    let (a, b) = (begins(&lanes).expect("a slot"), begins(&lanes).expect("a slot"));
    assert!(begins(&lanes).is_none());
    lanes.change(1, Arc::new(served(&["mail"])));
    drop(a);
    assert!(begins(&lanes).is_none(), "the slot was given up");
    drop(b);
    assert_eq!(begins(&lanes).expect("a slot").0, "c");
}

#[test]
fn what_costs_much_waits_for_its_room_and_nothing_overtakes_it() {
    let lanes = lanes(3);
    lanes.push_to_compute(vec![heavy(1, "light"), heavy(3, "heavy"), heavy(1, "behind")]);
    let light = begins(&lanes).expect("a slot");
    assert!(begins(&lanes).is_none());
    assert!(lanes.heavy_waits());
    lanes.push_to_await(vec![heavy(1, "beside")]);
    assert!(lanes.begin(Kind::Awaiting, &mut lanes.state()).is_none());
    drop(light);
    let heavy = begins(&lanes).expect("all slots");
    assert_eq!(heavy.0, "heavy");
    drop(heavy);
    assert_eq!(begins(&lanes).expect("a slot").0, "behind");
}

#[test]
fn who_ends_wakes_what_came_while_all_slots_were_taken() {
    let lanes = lanes(1);
    lanes.push_to_compute(vec![heavy(1, "first")]);
    let first = begins(&lanes).expect("a slot");
    assert!(!lanes.state().blocked);
    lanes.push_to_compute(vec![heavy(1, "second")]);
    assert!(lanes.state().blocked);
    drop(first);
    assert!(!lanes.state().blocked);
}

#[test]
fn what_costs_more_than_is_left_runs_alone() {
    let lanes = lanes(4);
    lanes.push_to_compute(vec![heavy(4, "heavy")]);
    lanes.change(2, Arc::new(served(&["mail"])));
    assert_eq!(begins(&lanes).expect("all slots").0, "heavy");
}

#[test]
fn no_more_is_taken_back_than_it_may_cost() {
    let lanes = lanes(1);
    lanes.push_to_compute(vec![heavy(1, "a"), heavy(2, "b"), heavy(2, "c")]);
    let taken: Vec<String> = lanes.take_last_costing(3).iter().map(name).collect();
    assert_eq!(taken, ["c"]);
    assert_eq!(lanes.buffered(), 2);
}
