//! Numbers that repeat what lists, hashes and bitmaps say: I4, I5, I6, I8 and I13.

use std::collections::{BTreeMap, BTreeSet};

use super::element::Element;
use super::places::{How, in_flight, waiting};
use super::{Contents, Found, Invariant};

/// I4: `chunks` against the lists.
pub(super) fn depths(contents: &Contents, found: &mut Found) {
    let mut truth: BTreeMap<String, i64> = BTreeMap::new();
    let mut add = |queue: &str, priority: &str, by: i64| {
        *truth.entry(format!("{queue}:{priority}")).or_default() += by;
    };
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    for one in waiting(contents) {
        let by = match (one.how, one.element) {
            // What stands behind a turn counts with it: the first of them is the turn itself.
            (How::Ready, Element::Turn(_)) => -1,
            (How::Ready, element) => count(element.count()) - 1,
            (How::Suspect | How::Kept, _) => 0,
            (How::Behind, _) => 1,
            (How::Parked, Element::Turn(_)) => 0,
            // A suspect counts once, as in its list.
            (How::Parked, element) if one.suspect => count(element.count()).min(1),
            (How::Parked, element) => count(element.count()),
        };
        add(one.queue, one.priority, by);
    }
    for list in contents.hash("tombstones").values() {
        let (queue, priority) = list.rsplit_once(':').unwrap_or((list, ""));
        add(queue, priority, -1);
    }
    let counted: BTreeMap<&str, i64> = contents
        .hash("chunks")
        .iter()
        .map(|(list, n)| (list.as_str(), n.parse().unwrap_or(i64::MIN)))
        .collect();
    let lists: BTreeSet<&str> =
        truth.keys().map(String::as_str).chain(counted.keys().copied()).collect();
    for list in lists {
        let (is, says) =
            (truth.get(list).copied().unwrap_or(0), counted.get(list).copied().unwrap_or(0));
        found.expect(is == says, Invariant::Depths, list, || {
            format!("{is} wait beyond the length of the list, and {says} are counted")
        });
    }
}

/// I5 and I6.
pub(super) fn jobs(contents: &Contents, found: &mut Found) {
    let open = contents.sorted("jobs:open");
    for job in open.keys() {
        let there = contents.keys.contains_key(&format!("job:{job}"));
        found.expect(there, Invariant::JobState, job, || "an open job is gone".to_owned());
    }
    for (name, stored) in contents.with("job:") {
        if name.contains(':') {
            continue;
        }
        let fields = contents.hash(&format!("job:{name}"));
        let number = |field: &str| fields.get(field).and_then(|n| n.parse::<u64>().ok());
        let state = fields.get("state").map_or("", String::as_str);
        let is_open = matches!(state, "running" | "reducing");
        found.expect(open.contains_key(name) == is_open, Invariant::JobState, name, || {
            format!("it is {state}, but that is not how it is listed")
        });
        found.expect(stored.expires != is_open, Invariant::JobState, name, || {
            let kept = if stored.expires { "expires" } else { "is kept for ever" };
            format!("it is {state}, and {kept}")
        });
        barrier(contents, name, state, found);
        let (Some(total), Some(done), Some(failed)) =
            (number("total"), number("done"), number("failed"))
        else {
            found.add(Invariant::JobCounts, name, "its counts are no numbers");
            continue;
        };
        let bitmap = format!("job:{name}:done");
        // The bits of a job that is over may be gone a moment before it, and huge ones are not read.
        if contents.keys.contains_key(&bitmap) && !contents.text(&bitmap).is_empty() {
            let bits = contents.bits(&bitmap);
            // Of a workflow: members that others failed for.
            let skipped = number("skipped").unwrap_or(0);
            found.expect(bits == done + failed + skipped, Invariant::JobCounts, name, || {
                format!("{bits} of its bits are set; {done} are done and {failed} failed")
            });
        }
        // A workflow also succeeds without those that wait in a branch that has failed, and may be open while
        // all that was added so far is done.
        if fields.contains_key("graph") {
            continue;
        }
        let all = matches!(state, "reducing" | "succeeded");
        let counts = match fields.contains_key("graph") {
            // Its end is a barrier of its own, and failures may be tolerated.
            true => done + failed <= total,
            false if all => done == total,
            false => state != "running" || done < total,
        };
        found.expect(counts, Invariant::JobCounts, name, || {
            format!("it is {state} with {done} of {total} chunks done")
        });
    }
}

fn barrier(contents: &Contents, job: &str, state: &str, found: &mut Found) {
    let (waits, has_input) =
        (contents.hash("waiting").contains_key(job), contents.hash("inputs").contains_key(job));
    let has_record = contents.hash("tasks").contains_key(job);
    let fits = match state {
        "running" => waits == has_record && !has_input,
        "reducing" => !waits && has_record && has_input,
        _ => !waits && !has_input && !has_record,
    };
    found.expect(fits, Invariant::JobState, job, || {
        format!("it is {state}; its reducer waits: {waits}, has its input: {has_input}, has a record: {has_record}")
    });
}

/// I8.
pub(super) fn holding(contents: &Contents, found: &mut Found) {
    let flying: BTreeSet<&str> = in_flight(contents).map(|(_, name, _)| name).collect();
    let mut truth: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, text) in contents.hash("holding") {
        found.expect(flying.contains(name.as_str()), Invariant::Holding, name, || {
            "it holds a place, and is not in flight".to_owned()
        });
        let mut words = text.split(' ');
        let count: u64 = words.next().and_then(|n| n.parse().ok()).unwrap_or(0);
        for subject in words {
            *truth.entry(subject).or_default() += count;
        }
    }
    let held = contents.hash("held");
    let subjects: BTreeSet<&str> =
        truth.keys().copied().chain(held.keys().map(String::as_str)).collect();
    for subject in subjects {
        let is = truth.get(subject).copied().unwrap_or(0);
        let says = held.get(subject).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        found.expect(is == says, Invariant::Holding, subject, || {
            format!("{is} places are held, and {says} are counted")
        });
    }
}

/// I13.
pub(super) fn totals(contents: &Contents, found: &mut Found) {
    for (name, n) in contents.hash("stats") {
        found.expect(n.parse::<u64>().is_ok(), Invariant::Totals, name, || format!("it is {n}"));
    }
}
