//! The reference and the real state in one form, and what must hold in both.

use std::collections::{BTreeMap, BTreeSet};

use celeriac_broker_schema::{Outcome, State};
use serde_json::{Map, Value, json};

use crate::reference::{Element, Job, Reference};
use crate::support;

/// What is compared: everything that the reference knows, by key.
type Shape = BTreeMap<String, Value>;

/// Panics with what differs.
pub(crate) fn assert_equal(reference: &Reference, state: &support::State) {
    let (expected, found) = (expected(reference), found(state));
    let differs = |key: &&String| expected.get(*key) != found.get(*key);
    let keys: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    let different: Vec<String> = keys
        .into_iter()
        .filter(differs)
        .map(|key| {
            let show =
                |shape: &Shape| shape.get(key).map_or("nothing".to_owned(), Value::to_string);
            format!("{key}: expected {}, found {}", show(&expected), show(&found))
        })
        .collect();
    assert!(different.is_empty(), "{}", different.join("\n"));
}

fn texts(elements: impl Iterator<Item = String>) -> Value {
    elements.map(Value::from).collect()
}

fn expected(reference: &Reference) -> Shape {
    let mut shape = Shape::new();
    let mut chunks = Map::new();
    for ((queue, priority), list) in &reference.ready {
        let beyond = |element: &Element| match element {
            Element::Range { lo, hi, .. } => hi - lo - 1,
            _ => 0,
        };
        // The counter of a list is the truth about it.
        let more: u64 = list.iter().map(beyond).sum();
        if more > 0 {
            chunks.insert(format!("{queue}:{priority}"), more.to_string().into());
        }
        shape.insert(format!("ready:{queue}:{priority}"), texts(list.iter().map(Element::text)));
    }
    shape.insert("chunks".to_owned(), chunks.into());
    for (queue, list) in &reference.suspects {
        let entries = list.iter().map(|(priority, one)| format!("{priority}:{}", one.text()));
        shape.insert(format!("suspects:{queue}"), texts(entries));
    }
    let delayed = reference.delayed.values().map(|((queue, priority), element, _)| {
        (format!("{priority}:{queue}:{}", element.text()), json!(true))
    });
    shape.insert("delayed".to_owned(), delayed.collect::<Map<_, _>>().into());
    for (name, lease) in &reference.leases {
        let mut held: Map<String, Value> = lease
            .held
            .iter()
            .map(|(name, held)| {
                let (queue, priority) = held.place;
                let place = format!("{}:now:{priority}:{queue}", held.attempt);
                let mut value = match held.chunks.len() {
                    0 => place,
                    left => format!("{place}:{left}"),
                };
                for (lo, hi) in &held.handed_back {
                    value.push_str(&format!(":{lo}-{hi}"));
                }
                (name.clone(), value.into())
            })
            .collect();
        held.insert("#".to_owned(), lease.number.to_string().into());
        shape.insert(format!("inflight:{name}"), held.into());
    }
    expect_ends(reference, &mut shape);
    for (name, job) in &reference.jobs {
        expect_job(name, job, reference, &mut shape);
    }
    shape.retain(|_, value| !is_empty(value));
    shape
}

fn expect_ends(reference: &Reference, shape: &mut Shape) {
    let names = |names: &BTreeSet<String>| -> Value {
        names.iter().map(|name| (name.clone(), json!(true))).collect::<Map<_, _>>().into()
    };
    let mut put = |key: &str, value: Value| shape.insert(key.to_owned(), value);
    put("tasks", names(&reference.tasks));
    put("dead", names(&reference.dead));
    put("dead:tasks", names(&reference.dead));
    put("leases", names(&reference.leases.keys().cloned().collect()));
    let in_state = |states: &[&str]| {
        let jobs = reference.jobs.iter().filter(|(_, job)| states.contains(&job.state));
        jobs.map(|(name, job)| (name.clone(), job)).collect::<Vec<_>>()
    };
    let open = in_state(&["running", "reducing"]);
    put("jobs:open", names(&open.into_iter().map(|(name, _)| name).collect()));
    let waiting = in_state(&["running"]).into_iter().filter_map(|(name, job)| {
        let (queue, priority) = job.reducer?;
        Some((name, json!(format!("{priority}:{queue}"))))
    });
    put("waiting", waiting.collect::<Map<_, _>>().into());
    let inputs = reference.inputs.iter().map(|name| {
        let sum = reference.jobs[name].sum();
        (name.clone(), json!(format!(r#"{{"n":{sum}}}"#)))
    });
    put("inputs", inputs.collect::<Map<_, _>>().into());
    let tasks = reference.history.iter().filter(|(name, _)| !name.contains(':'));
    put(
        "history",
        tasks.map(|(name, counts)| (name.clone(), counted(counts))).collect::<Map<_, _>>().into(),
    );
    let stats = reference
        .stats
        .iter()
        .filter(|(_, n)| **n > 0)
        .map(|(name, n)| ((*name).to_owned(), json!(n.to_string())));
    put("stats", stats.collect::<Map<_, _>>().into());
    for (name, state) in &reference.ended {
        put(&format!("result:{name}"), json!(state.as_str()));
    }
}

fn expect_job(name: &str, job: &Job, reference: &Reference, shape: &mut Shape) {
    let mut fields = Map::new();
    let mut put = |field: &str, value: String| fields.insert(field.to_owned(), value.into());
    put("state", job.state.to_owned());
    put("done", job.done.len().to_string());
    put("failed", job.failed.len().to_string());
    if job.retried > 0 {
        put("retried", job.retried.to_string());
    }
    if !job.done.is_empty() {
        put("acc:n", job.sum().to_string());
    }
    shape.insert(format!("job:{name}"), fields.into());
    let bits = |set: &dyn Fn(u64) -> bool| -> Value {
        let length = job.total.div_ceil(8) * 8;
        (0..length).map(|bit| if set(bit) { '1' } else { '0' }).collect::<String>().into()
    };
    let settled = |bit| job.done.contains(&bit) || job.failed.contains(&bit);
    shape.insert(format!("job:{name}:done"), bits(&settled));
    if !job.out.is_empty() {
        shape.insert(format!("job:{name}:out"), bits(&|bit| job.out.contains(&bit)));
    }
    let prefix = format!("{name}:");
    let histories = reference
        .history
        .iter()
        .filter_map(|(id, counts)| Some((id.strip_prefix(&prefix)?.to_owned(), counted(counts))));
    shape.insert(format!("job:{name}:history"), histories.collect::<Map<_, _>>().into());
}

fn counted((failures, crashes): &(u32, u32)) -> Value {
    format!("{failures} {crashes}").into()
}

/// The real state without what the reference does not know: records, times, bells, attempts.
fn found(state: &support::State) -> Shape {
    let mut shape = Shape::new();
    for (key, value) in state {
        let known = match key.as_str() {
            "expires" | "queues" | "jobs:ended" => continue,
            key if key.ends_with(":losses") => continue,
            key if key.starts_with("bell:") || key.starts_with("producer:") => continue,
            "watch" => continue,
            "tasks" | "dead" | "dead:tasks" | "leases" | "delayed" | "jobs:open" => {
                map(value, |_, _| Some(json!(true)))
            }
            "history" => map(value, |_, text| Some(head(text))),
            "chunks" => map(value, |_, count| (count != "0").then(|| count.clone())),
            "stats" => map(value, |_, count| (count != "0").then(|| count.clone())),
            key if key.starts_with("result:") => outcome(value),
            key if key.ends_with(":history") => map(value, |_, text| Some(head(text))),
            key if key.starts_with("job:") && value.is_object() => map(value, |field, value| {
                let known = ["state", "done", "failed", "retried", "acc:n"].contains(&field);
                known.then(|| value.clone())
            }),
            _ => value.clone(),
        };
        shape.insert(key.clone(), known);
    }
    shape.retain(|_, value| !is_empty(value));
    shape
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}

fn map(value: &Value, each: impl Fn(&str, &Value) -> Option<Value>) -> Value {
    let fields = value.as_object().expect("a hash or a sorted set").iter();
    let mapped = fields.filter_map(|(name, value)| Some((name.clone(), each(name, value)?)));
    mapped.collect::<Map<_, _>>().into()
}

fn head(text: &Value) -> Value {
    let mut lines = text.as_str().expect("text").lines();
    let head = lines.next().expect("a line of counts").into();
    for line in lines {
        serde_json::from_str::<Value>(&line.replace("now", "1")).expect("an attempt is JSON");
    }
    head
}

/// The state that an outcome tells.
fn outcome(text: &Value) -> Value {
    let text = text.as_str().expect("text").replace(":now", ":1");
    let outcome: Outcome = serde_json::from_str(&text).expect("an outcome");
    outcome.state.as_str().into()
}

/// Where every task and chunk is that has not ended, each in exactly one place; and how the others
/// ended, as far as that is kept.
pub(crate) fn places(reference: &Reference) -> BTreeMap<String, State> {
    let mut places = Places { reference, found: BTreeMap::new() };
    for list in reference.ready.values() {
        list.iter().for_each(|element| places.add(element, State::Ready));
    }
    for (_, element) in reference.suspects.values().flatten() {
        places.add(element, State::Ready);
    }
    for (_, element, _) in reference.delayed.values() {
        places.add(element, State::Delayed);
    }
    for held in reference.leases.values().flat_map(|lease| lease.held.values()) {
        places.add_held(&held.element, &held.chunks);
    }
    for (name, job) in &reference.jobs {
        if job.state == "running" && job.reducer.is_some() {
            places.put(name.clone(), State::Waiting);
        }
        let ends = [(&job.done, State::Succeeded), (&job.failed, State::Failed)];
        for (index, state) in
            ends.iter().flat_map(|(all, state)| all.iter().map(move |i| (i, *state)))
        {
            places.put(format!("{name}:{index}"), state);
        }
        if job.state == "failed" {
            places.cancel_rest(name, job);
        }
    }
    // A job without a reducer is no task: its end is none of a task.
    let is_task = |name: &String| reference.jobs.get(name).is_none_or(|job| job.reducer.is_some());
    for (name, state) in reference.ended.iter().filter(|(name, _)| is_task(name)) {
        places.put(name.clone(), *state);
    }
    let found = places.found;
    assert!(reference.tasks.iter().all(|name| found.contains_key(name)), "a task is lost");
    for (name, job) in &reference.jobs {
        let lost = (0..job.total).find(|index| !found.contains_key(&format!("{name}:{index}")));
        assert_eq!(lost, None, "a chunk of {name} is lost");
    }
    found
}

struct Places<'a> {
    reference: &'a Reference,
    found: BTreeMap<String, State>,
}

impl Places<'_> {
    fn put(&mut self, name: String, state: State) {
        let other = self.found.insert(name.clone(), state);
        assert_eq!(other, None, "{name} is in two places");
    }

    fn is_over(&self, element: &Element) -> bool {
        element.job().is_some_and(|job| self.reference.jobs[job].state == "failed")
    }

    fn add(&mut self, element: &Element, state: State) {
        if self.is_over(element) {
            return;
        }
        let Element::Range { job, lo, hi, .. } = element else {
            return self.put(element.text(), state);
        };
        // What is settled, or went its own way, is skipped when it is met.
        let of = &self.reference.jobs[job];
        let open = |index: &u64| !of.done.contains(index) && !of.out.contains(index);
        for index in (*lo..*hi).filter(open) {
            self.put(format!("{job}:{index}"), state);
        }
    }

    fn add_held(&mut self, element: &Element, chunks: &BTreeSet<u64>) {
        match element.job() {
            None => self.put(element.text(), State::Running),
            Some(_) if self.is_over(element) => {}
            Some(job) => {
                chunks.iter().for_each(|index| self.put(format!("{job}:{index}"), State::Running));
            }
        }
    }

    fn cancel_rest(&mut self, name: &str, job: &Job) {
        for index in 0..job.total {
            if !job.done.contains(&index) && !job.failed.contains(&index) {
                self.put(format!("{name}:{index}"), State::Cancelled);
            }
        }
    }
}
