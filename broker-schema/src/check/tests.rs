//! Each invariant is broken once, and found.

use std::collections::BTreeMap;

use super::{Contents, Held, Invariant, Stored, violations};
use crate::time::Timestamp;

/// Contents from short texts: `[("tasks", hash(&[("a", "{}")]))]`.
fn contents(keys: &[(&str, Held)]) -> Contents {
    let of = |(name, held): &(&str, Held)| {
        let expires = ["result:", "producer:"].iter().any(|start| name.starts_with(start));
        ((*name).to_owned(), Stored { expires, held: held.clone() })
    };
    Contents { now: Timestamp(100_000), keys: keys.iter().map(of).collect(), partial: false }
}

fn hash(fields: &[(&str, &str)]) -> Held {
    Held::Hash(fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
}

fn list(elements: &[&str]) -> Held {
    Held::List(elements.iter().map(|text| (*text).into()).collect())
}

fn set(members: &[&str]) -> Held {
    Held::Set(members.iter().map(|text| (*text).into()).collect())
}

fn sorted(members: &[(&str, f64)]) -> Held {
    Held::Sorted(members.iter().map(|(name, score)| ((*name).into(), *score)).collect())
}

/// The numbers of what is found, with the subjects.
fn found(keys: &[(&str, Held)]) -> Vec<(Invariant, String)> {
    let found = violations(&contents(keys));
    found.into_iter().map(|violation| (violation.invariant, violation.subject)).collect()
}

fn queues() -> (&'static str, Held) {
    ("queues", set(&["q"]))
}

/// A job of eight chunks: 0 is done, 1 goes its own way, 2..4 are held, 4..8 wait.
fn job() -> BTreeMap<&'static str, Held> {
    BTreeMap::from([
        queues(),
        ("jobs:open", sorted(&[("ab", 1.0)])),
        ("job:ab", hash(&[("state", "running"), ("total", "8"), ("done", "1"), ("failed", "0")])),
        ("job:ab:done", Held::Text(vec![0b1000_0000])),
        ("job:ab:out", Held::Text(vec![0b0100_0000])),
        ("delayed", sorted(&[("5:q:ab:1", 9.0)])),
        ("leases", sorted(&[("w", 200_000.0)])),
        ("inflight:w", hash(&[("#", "1"), ("ab:2-4", "1:7:5:q:2")])),
        ("ready:q:5", list(&["ab:4-8"])),
        ("chunks", hash(&[("q:5", "3")])),
    ])
}

fn with(
    mut keys: BTreeMap<&'static str, Held>,
    key: &'static str,
    held: Held,
) -> Vec<(Invariant, String)> {
    keys.insert(key, held);
    found(&keys.into_iter().collect::<Vec<_>>())
}

#[test]
fn a_sound_state_has_no_violations() {
    assert_eq!(found(&[]), []);
    assert_eq!(found(&job().into_iter().collect::<Vec<_>>()), []);
    let parked = [
        queues(),
        ("tasks", hash(&[("a", "{}"), ("b", "{}"), ("c", "{}"), ("d", "{}")])),
        ("ready:q:5", list(&["a", "@ada", "gone"])),
        ("turn:q:5:ada", list(&["b", "c"])),
        ("parked:task:t", sorted(&[("d 5 q", 4.0)])),
        ("parked", sorted(&[("task:t", f64::INFINITY)])),
        ("tombstones", hash(&[("gone", "q:5")])),
        // One more behind the turn, one parked, one that is not counted any more.
        ("chunks", hash(&[("q:5", "1")])),
    ];
    assert_eq!(found(&parked), []);
}

#[test]
fn i1_a_task_is_in_one_place() {
    let tasks = ("tasks", hash(&[("a", "{}")]));
    assert_eq!(found(std::slice::from_ref(&tasks)), [(Invariant::OnePlace, "a".to_owned())]);
    let twice =
        [tasks, queues(), ("ready:q:5", list(&["a"])), ("delayed", sorted(&[("5:q:a", 1.0)]))];
    assert_eq!(found(&twice), [(Invariant::OnePlace, "a".to_owned())]);
}

#[test]
fn i2_i3_a_chunk_is_in_one_place_and_what_is_left_is_counted() {
    let lost = with(job(), "delayed", sorted(&[]));
    assert_eq!(lost, [(Invariant::ChunkPlace, "ab:1".to_owned())]);
    let twice = with(job(), "delayed", sorted(&[("5:q:ab:1", 9.0), ("5:q:ab:4", 9.0)]));
    assert_eq!(twice, [(Invariant::ChunkPlace, "ab:4".to_owned())]);
    let left = with(job(), "inflight:w", hash(&[("#", "1"), ("ab:2-4", "1:7:5:q:1")]));
    assert_eq!(left, [(Invariant::RunLeft, "ab:2-4".to_owned())]);
    let back = with(job(), "inflight:w", hash(&[("#", "1"), ("ab:2-4", "1:7:5:q:1:3-4")]));
    assert_eq!(back, [(Invariant::ChunkPlace, "ab:3".to_owned())]);
}

#[test]
fn i4_depths_are_the_truth() {
    assert_eq!(with(job(), "chunks", hash(&[])), [(Invariant::Depths, "q:5".to_owned())]);
}

#[test]
fn i5_i6_jobs_count_their_bits_and_are_listed_as_they_are() {
    let job_of =
        |state, done| hash(&[("state", state), ("total", "8"), ("done", done), ("failed", "0")]);
    let counts = with(job(), "job:ab", job_of("running", "2"));
    assert_eq!(counts, [(Invariant::JobCounts, "ab".to_owned())]);
    let state = with(job(), "job:ab", job_of("failed", "1"));
    assert_eq!(state[0], (Invariant::JobState, "ab".to_owned()));
    let reducer = with(job(), "waiting", hash(&[("ab", "5:q")]));
    assert!(reducer.contains(&(Invariant::JobState, "ab".to_owned())), "{reducer:?}");
}

#[test]
fn i7_nothing_is_in_flight_but_under_a_lease() {
    assert_eq!(with(job(), "leases", sorted(&[])), [(Invariant::Leases, "w".to_owned())]);
    let overdue = with(job(), "leases", sorted(&[("w", 1_000.0), ("v", 200_000.0)]));
    // The other one has no calls.
    let expected = ["v", "w"].map(|lease| (Invariant::Leases, lease.to_owned()));
    assert_eq!(overdue, expected);
    let orphan = found(&[("orphan:w", hash(&[("#", "1")]))]);
    assert_eq!(orphan, [(Invariant::Leases, "w".to_owned())]);
}

#[test]
fn i8_what_is_held_is_in_flight() {
    let held = [("holding", hash(&[("a", "1 task:t")])), ("held", hash(&[("task:t", "2")]))];
    let expected = ["a", "task:t"].map(|name| (Invariant::Holding, name.to_owned()));
    assert_eq!(found(&held), expected);
}

#[test]
fn i9_no_lock_without_its_task_and_no_key_without_its_lock() {
    let lock = found(&[("locks", hash(&[("a", "d::5:q:k")]))]);
    assert_eq!(lock, [(Invariant::Locks, "a".to_owned())]);
    let key = found(&[("unique:k:x", Held::Text(b"a".to_vec()))]);
    assert_eq!(key, [(Invariant::Locks, "unique:k:x".to_owned())]);
}

#[test]
fn i10_nothing_is_kept_beside_what_is_no_more() {
    for key in ["history", "checkpoints", "moved", "inputs", "watchers"] {
        assert_eq!(found(&[(key, hash(&[("a", "1")]))]), [(Invariant::Beside, "a".to_owned())]);
    }
    let half = found(&[("dead", sorted(&[("a", 1.0)]))]);
    assert_eq!(half, [(Invariant::Beside, "a".to_owned())]);
}

#[test]
fn i11_every_key_is_known_and_has_its_expiry() {
    let unknown = found(&[("nonsense", list(&["a"]))]);
    assert_eq!(unknown, [(Invariant::Keys, "nonsense".to_owned())]);
    let kind = found(&[("tasks", list(&["a"]))]);
    assert_eq!(kind, [(Invariant::Keys, "tasks".to_owned())]);
    let mut kept = contents(&[("result:a", Held::Text(b"{}".to_vec()))]);
    assert_eq!(violations(&kept), []);
    kept.keys.values_mut().for_each(|stored| stored.expires = false);
    assert_eq!(violations(&kept)[0].invariant, Invariant::Keys);
}

#[test]
fn i12_what_waits_can_be_found() {
    let nameless = found(&[("tasks", hash(&[("a", "{}")])), ("ready:q:5", list(&["a"]))]);
    assert_eq!(nameless, [(Invariant::Reach, "q".to_owned())]);
    let parked =
        [queues(), ("parked:task:t", sorted(&[("a 5 q", 4.0)])), ("chunks", hash(&[("q:5", "1")]))];
    assert_eq!(found(&parked), [(Invariant::Reach, "parked:task:t".to_owned())]);
}

#[test]
fn i13_no_total_is_below_zero() {
    assert_eq!(
        found(&[("stats", hash(&[("failed", "-1")]))]),
        [(Invariant::Totals, "failed".to_owned())]
    );
}

#[test]
fn of_a_part_only_keys_are_judged() {
    let mut part = contents(&[("tasks", hash(&[("a", "{}")])), ("nonsense", list(&["a"]))]);
    part.partial = true;
    let numbers: Vec<Invariant> = violations(&part).iter().map(|it| it.invariant).collect();
    assert_eq!(numbers, [Invariant::Keys]);
}

#[test]
fn every_invariant_has_its_number() {
    for (number, invariant) in (1..).zip(Invariant::ALL) {
        assert_eq!(invariant.to_string(), format!("I{number}"));
        assert_eq!(serde_json::to_value(invariant).expect("text"), invariant.to_string());
    }
}

#[test]
fn the_page_on_reliability_has_every_invariant() {
    let page = include_str!("../../../docs/reliability.md");
    for invariant in Invariant::ALL {
        let row = format!("\n| {invariant} | {} |\n", invariant.sentence());
        assert!(page.contains(&row), "docs/reliability.md has no row{row}");
    }
}
