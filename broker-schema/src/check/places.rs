//! Where tasks and chunks are: I1, I2, I3 and I12.

use std::collections::{BTreeMap, BTreeSet};

use super::element::{Element, Flight};
use super::{Contents, Found, Held, Invariant};

/// Something that waits in a list or beside one.
pub(super) struct Waiting<'a> {
    /// The key in which it stands.
    pub(super) key: String,
    pub(super) element: Element<'a>,
    pub(super) queue: &'a str,
    pub(super) priority: &'a str,
    pub(super) how: How,
    /// Whether it is parked on its way from the suspects.
    pub(super) suspect: bool,
}

/// In which kind of key it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Ready,
    Suspect,
    /// Behind the turn of its tenant.
    Behind,
    Parked,
    /// Of a job that is paused; not counted as ready.
    Kept,
}

/// All that is ready.
pub(super) fn waiting(contents: &Contents) -> Vec<Waiting<'_>> {
    let mut all = Vec::new();
    for (name, _) in contents.with("ready:") {
        let (queue, priority) = name.split_once(':').unwrap_or((name, ""));
        let key = format!("ready:{name}");
        for text in contents.list(&key) {
            let element = Element::read(text);
            all.push(Waiting {
                key: key.clone(),
                element,
                queue,
                priority,
                how: How::Ready,
                suspect: false,
            });
        }
    }
    for (queue, _) in contents.with("suspects:") {
        let key = format!("suspects:{queue}");
        for text in contents.list(&key) {
            let (priority, text) = text.split_once(':').unwrap_or(("", text));
            let element = Element::read(text);
            all.push(Waiting {
                key: key.clone(),
                element,
                queue,
                priority,
                how: How::Suspect,
                suspect: true,
            });
        }
    }
    for (name, _) in contents.with("turn:") {
        let mut parts = name.splitn(3, ':');
        let (queue, priority) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        let key = format!("turn:{name}");
        for text in contents.list(&key) {
            let element = Element::read(text);
            all.push(Waiting {
                key: key.clone(),
                element,
                queue,
                priority,
                how: How::Behind,
                suspect: false,
            });
        }
    }
    for (subject, stored) in contents.with("parked:") {
        let Held::Sorted(members) = &stored.held else { continue };
        for member in members.keys() {
            let mut words = member.split(' ');
            let element = Element::read(words.next().unwrap_or(""));
            let priority = words.next().unwrap_or("");
            let queue = words.next().unwrap_or("");
            let (key, suspect) = (format!("parked:{subject}"), words.next().is_some());
            all.push(Waiting { key, element, queue, priority, how: How::Parked, suspect });
        }
    }
    for (name, _) in contents.with("job:").filter(|(name, _)| name.ends_with(":parked")) {
        let key = format!("job:{name}");
        for text in contents.list(&key) {
            let mut parts = text.splitn(3, ':');
            let (priority, queue) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
            let (key, element) = (key.clone(), Element::read(parts.next().unwrap_or("")));
            all.push(Waiting { key, element, queue, priority, how: How::Kept, suspect: false });
        }
    }
    all
}

/// What is not due yet, with its place.
pub(super) fn delayed(contents: &Contents) -> impl Iterator<Item = (Element<'_>, &str)> {
    contents.sorted("delayed").keys().map(|member| {
        let mut parts = member.splitn(3, ':').skip(1);
        let (queue, id) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        (Element::read(id), queue)
    })
}

/// What leases hold, and what held those that expired: key, name and what is said of it.
pub(super) fn in_flight(contents: &Contents) -> impl Iterator<Item = (String, &str, &str)> {
    ["inflight:", "orphan:"].into_iter().flat_map(move |start| {
        contents.with(start).flat_map(move |(lease, stored)| {
            let Held::Hash(fields) = &stored.held else { return Vec::new() };
            let entries = fields.iter().filter(|(name, _)| *name != "#");
            entries
                .map(|(name, value)| (format!("{start}{lease}"), name.as_str(), value.as_str()))
                .collect()
        })
    })
}

/// Where a thing was found.
type Places<K> = BTreeMap<K, Vec<String>>;

/// I1.
pub(super) fn tasks(contents: &Contents, found: &mut Found) {
    let mut places: Places<&str> = BTreeMap::new();
    let mut put = |element: Element<'_>, at: String| {
        // Borrowed from `contents` through the element, whose text lives there.
        if let Element::Task(id) = element
            && let Some((id, _)) = contents.hash("tasks").get_key_value(id)
        {
            places.entry(id).or_default().push(at);
        }
    };
    for one in waiting(contents) {
        put(one.element, one.key);
    }
    delayed(contents).for_each(|(element, _)| put(element, "delayed".to_owned()));
    contents.hash("waiting").keys().for_each(|id| put(Element::Task(id), "waiting".to_owned()));
    in_flight(contents).for_each(|(key, name, _)| put(Element::read(name), key));
    for id in contents.hash("tasks").keys() {
        match places.get(id.as_str()).map_or(&[][..], Vec::as_slice) {
            [_] => {}
            [] => found.add(Invariant::OnePlace, id, "it has not ended, and is nowhere"),
            many => {
                let what = format!("it is in {} places: {}", many.len(), many.join(", "));
                found.add(Invariant::OnePlace, id, what);
            }
        }
    }
}

/// I2 and I3.
pub(super) fn chunks(contents: &Contents, found: &mut Found) {
    let mut places: BTreeMap<&str, Vec<(u64, u64, bool, String)>> = BTreeMap::new();
    let mut put = |element: Element<'_>, at: String| {
        if let Element::Chunks { job, lo, hi, alone } = element
            && let Some((job, _)) = contents.sorted("jobs:open").get_key_value(job)
        {
            places.entry(job).or_default().push((lo, hi, alone, at));
        }
    };
    waiting(contents).into_iter().for_each(|one| put(one.element, one.key));
    delayed(contents).for_each(|(element, _)| put(element, "delayed".to_owned()));
    for (key, name, value) in in_flight(contents) {
        let Element::Chunks { job, lo, hi, alone } = Element::read(name) else { continue };
        let pieces = without(lo, hi, &Flight::read(value).handed_back);
        left(contents, job, alone, &pieces, (&key, name, value), found);
        for (lo, hi) in pieces {
            put(Element::Chunks { job, lo, hi, alone }, key.clone());
        }
    }
    for job in contents.sorted("jobs:open").keys() {
        let fields = contents.hash(&format!("job:{job}"));
        if fields.get("state").is_some_and(|state| state == "running") {
            let held = places.remove(job.as_str()).unwrap_or_default();
            one_place(contents, job, &held, fields.contains_key("speculate"), found);
        }
    }
}

/// What is left of `lo..hi` without these stretches.
fn without(lo: u64, hi: u64, gone: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut gone = gone.to_vec();
    gone.sort_unstable();
    let (mut pieces, mut from) = (Vec::new(), lo);
    for (first, last) in gone {
        if from < first {
            pieces.push((from, first.min(hi)));
        }
        from = from.max(last);
    }
    if from < hi {
        pieces.push((from, hi));
    }
    pieces
}

/// Whether a chunk of a stretch is still to be done there.
fn is_open(contents: &Contents, job: &str, index: u64, alone: bool) -> bool {
    !contents.bit(&format!("job:{job}:done"), index)
        && (alone || !contents.bit(&format!("job:{job}:out"), index))
}

fn left(
    contents: &Contents,
    job: &str,
    alone: bool,
    pieces: &[(u64, u64)],
    (key, name, value): (&str, &str, &str),
    found: &mut Found,
) {
    let fields = contents.hash(&format!("job:{job}"));
    // What is in flight of a job that is over is dropped when its worker tells of it; and of chunks that
    // were started twice, one of the two may be settled.
    let is_running = fields.get("state").is_some_and(|state| state == "running");
    if !is_running || fields.contains_key("speculate") || key.starts_with("orphan:") {
        return;
    }
    let open: usize = pieces
        .iter()
        .map(|(lo, hi)| (*lo..*hi).filter(|index| is_open(contents, job, *index, alone)).count())
        .sum();
    let counted = Flight::read(value).left;
    found.expect(counted == u64::try_from(open).ok(), Invariant::RunLeft, name, || {
        format!("{open} of its chunks are open, and {key} counts {counted:?}")
    });
}

/// So many chunks of one job are named at most.
const MOST_NAMED: usize = 20;

fn one_place(
    contents: &Contents,
    job: &str,
    held: &[(u64, u64, bool, String)],
    twice: bool,
    found: &mut Found,
) {
    let fields = contents.hash(&format!("job:{job}"));
    let total: u64 = fields.get("total").and_then(|total| total.parse().ok()).unwrap_or(0);
    let mut seen: Vec<u8> = vec![0; usize::try_from(total).unwrap_or(0)];
    for (lo, hi, alone, _) in held {
        for index in *lo..(*hi).min(total) {
            if is_open(contents, job, index, *alone)
                && let Some(count) = usize::try_from(index).ok().and_then(|at| seen.get_mut(at))
            {
                *count = count.saturating_add(1);
            }
        }
    }
    let mut named = 0;
    // Members of a workflow wait for one another, and of a branch that failed the rest is of no use.
    let is_workflow = fields.contains_key("graph");
    let begun = format!("job:{job}:begun");
    let some_failed = fields.get("failed").is_some_and(|failed| failed != "0");
    let may_be_nowhere = |index| is_workflow && (some_failed || !contents.bit(&begun, index));
    for (index, count) in (0_u64..).zip(seen) {
        let wanted = !contents.bit(&format!("job:{job}:done"), index);
        let fits = match (wanted, count) {
            (true, 0) => may_be_nowhere(index),
            (false, _) | (true, 1) => true,
            (true, 2) => twice,
            _ => false,
        };
        if fits || named == MOST_NAMED {
            continue;
        }
        named += 1;
        let at = |(lo, hi, _, _): &&(u64, u64, bool, String)| (*lo..*hi).contains(&index);
        let keys: BTreeSet<&str> = held.iter().filter(at).map(|(.., key)| key.as_str()).collect();
        let what = match count {
            0 => "it is not settled, and is nowhere".to_owned(),
            n => format!("it is in {n} places: {}", Vec::from_iter(keys).join(", ")),
        };
        found.add(Invariant::ChunkPlace, format!("{job}:{index}"), what);
    }
}

/// I12.
pub(super) fn reach(contents: &Contents, found: &mut Found) {
    let (names, idle) = (contents.set("queues"), contents.sorted("queues:idle"));
    let known = |queue: &str| names.contains(queue) || idle.contains_key(queue);
    let mut unknown = BTreeSet::new();
    for one in waiting(contents) {
        if !known(one.queue) {
            unknown.insert(one.queue);
        }
    }
    for queue in unknown {
        found.add(Invariant::Reach, queue, "tasks wait in a queue whose name is not kept");
    }
    for (name, _) in contents.with("turn:") {
        let mut parts = name.splitn(3, ':');
        let [Some(queue), Some(priority), Some(tenant)] = [(); 3].map(|()| parts.next()) else {
            continue;
        };
        let turn = format!("@{tenant}");
        let stands = contents.list(&format!("ready:{queue}:{priority}")).contains(&turn);
        let member = format!("{turn} {priority} {queue}");
        let is_parked = contents.sorted(&format!("parked:tenant:{tenant}")).contains_key(&member);
        found.expect(stands || is_parked, Invariant::Reach, &format!("turn:{name}"), || {
            "tasks wait behind a turn that is not there".to_owned()
        });
    }
    for (subject, _) in contents.with("parked:") {
        let driven = contents.sorted("parked").contains_key(subject);
        found.expect(driven, Invariant::Reach, &format!("parked:{subject}"), || {
            "tasks are kept back, and nobody will look for them".to_owned()
        });
    }
}
