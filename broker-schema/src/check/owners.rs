//! Keys and their owners, and what is kept beside tasks: I7, I9, I10 and I11.

use std::collections::BTreeSet;

use super::element::Element;
use super::places::{in_flight, waiting};
use super::{Contents, Found, Held, Invariant, Stored};
use crate::keys::{KeyRow, TABLE};

/// An expired lease that nobody has noticed for so long, although somebody is there to do so.
const OVERDUE_MS: f64 = 60_000.0;

/// I11.
pub(super) fn keys(contents: &Contents, found: &mut Found) {
    for (name, stored) in &contents.keys {
        let mut rows = TABLE.iter().filter(|row| is_of(row, name)).peekable();
        if rows.peek().is_none() {
            found.add(Invariant::Keys, name, "no row of the table of keys is about it");
            continue;
        }
        let kind = stored.held.kind();
        let Some(row) = rows.find(|row| row.kind == kind) else {
            found.add(Invariant::Keys, name, format!("a {kind} is not what it should be"));
            continue;
        };
        if let Some(problem) = problem_of(row, name, stored, contents) {
            found.add(Invariant::Keys, name, problem);
        }
    }
}

fn problem_of(
    row: &KeyRow,
    name: &str,
    stored: &Stored,
    contents: &Contents,
) -> Option<&'static str> {
    let job = || {
        let id = name.split(':').nth(1).unwrap_or("");
        contents.keys.get(&format!("job:{id}"))
    };
    let whole = !contents.partial;
    match row.expiry {
        "never" if stored.expires => return Some("it expires, and something is lost"),
        "never" | "the time to live of the key, if it has one" => {}
        // The key itself is judged by the state of its job.
        "when the job has ended: its retention" => {}
        "as the job" => match job() {
            Some(job) if job.expires != stored.expires => {
                return Some("it does not end with its job");
            }
            None if whole && !stored.expires => return Some("its job is gone"),
            _ => {}
        },
        _ if !stored.expires => return Some("it stays for ever"),
        _ => {}
    }
    let orphaned = match row.pattern {
        "job:<id>:checkpoints" | "job:<id>:running" => job().is_none_or(|job| job.expires),
        "orders:<lease>" => !contents.sorted("leases").contains_key(&name["orders:".len()..]),
        "schedule:<name>" => !contents.sorted("schedules").contains_key(&name["schedule:".len()..]),
        "bell:<queue>" => matches!(&stored.held, Held::List(tokens) if tokens.len() > 1),
        _ => false,
    };
    (whole && orphaned).then_some("what it belongs to is gone, or there is too much of it")
}

/// Whether a key is of the kind that a row describes. The last part of a name may have colons if
/// people choose it.
fn is_of(row: &KeyRow, name: &str) -> bool {
    if row.holds.starts_with("(fleet)") {
        return false;
    }
    let mut parts = row.pattern.split(':').peekable();
    let mut rest = Some(name);
    while let Some(part) = parts.next() {
        let Some(text) = rest else { return false };
        let is_free = parts.peek().is_none() && ["<key>", "<name>", "<tenant>"].contains(&part);
        let (head, tail) = match text.split_once(':') {
            Some((head, tail)) if !is_free => (head, Some(tail)),
            _ => (text, None),
        };
        if !part.starts_with('<') && part != head {
            return false;
        }
        rest = tail;
    }
    rest.is_none()
}

/// I7.
pub(super) fn leases(contents: &Contents, found: &mut Found) {
    let leases = contents.sorted("leases");
    let orphans: BTreeSet<&str> = contents.list("orphans").iter().map(String::as_str).collect();
    for (lease, _) in contents.with("inflight:") {
        found.expect(leases.contains_key(lease), Invariant::Leases, lease, || {
            "tasks are in flight under a lease that is not there".to_owned()
        });
    }
    for (lease, _) in contents.with("orphan:") {
        found.expect(orphans.contains(lease), Invariant::Leases, lease, || {
            "what it held is put back by nobody".to_owned()
        });
    }
    for lease in &orphans {
        let there = contents.keys.contains_key(&format!("orphan:{lease}"));
        found.expect(there, Invariant::Leases, lease, || {
            "it is to be emptied, and holds nothing".to_owned()
        });
    }
    let now = contents.now.0 as f64;
    let others = leases.values().any(|deadline| *deadline > now);
    for (lease, deadline) in leases {
        let held = contents.keys.contains_key(&format!("inflight:{lease}"));
        found.expect(held, Invariant::Leases, lease, || "a lease without its calls".to_owned());
        let overdue = others && now - deadline > OVERDUE_MS;
        found.expect(!overdue, Invariant::Leases, lease, || {
            "it expired more than a minute ago, and still holds its tasks".to_owned()
        });
    }
    for lease in contents.hash("hosts").keys() {
        let known = leases.contains_key(lease) || orphans.contains(lease.as_str());
        found.expect(known, Invariant::Leases, lease, || {
            "the machine of a lease that is gone".to_owned()
        });
    }
}

/// I9.
pub(super) fn locks(contents: &Contents, found: &mut Found) {
    let tasks = contents.hash("tasks");
    for (id, lock) in contents.hash("locks") {
        if !tasks.contains_key(id) {
            found.add(Invariant::Locks, id, "a lock without its task");
            continue;
        }
        let mut parts = lock.splitn(5, ':');
        let (mode, more) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        let key = parts.nth(2).unwrap_or("");
        let fits = match mode {
            "w" => contents.hash("waiting").contains_key(id) && tasks.contains_key(more),
            _ => contents.text(&format!("unique:{key}")) == id.as_bytes(),
        };
        found.expect(fits, Invariant::Locks, id, || {
            format!("its lock ({mode}) of key {key:?} does not lead back to it")
        });
    }
    for (key, stored) in contents.with("unique:").filter(|(_, stored)| !stored.expires) {
        let Held::Text(id) = &stored.held else { continue };
        let id = String::from_utf8_lossy(id);
        let lock = contents.hash("locks").get(id.as_ref());
        let fits = lock.is_some_and(|lock| lock.splitn(5, ':').nth(4) == Some(key));
        found.expect(fits, Invariant::Locks, &format!("unique:{key}"), || {
            format!("it stands for {id}, which has no such lock")
        });
    }
}

/// I10.
pub(super) fn beside(contents: &Contents, found: &mut Found) {
    let tasks = contents.hash("tasks");
    let flying: BTreeSet<&str> = in_flight(contents).map(|(_, name, _)| name).collect();
    for key in ["history", "checkpoints", "moved", "cancels", "inputs", "waiting"] {
        for id in contents.hash(key).keys() {
            found.expect(tasks.contains_key(id), Invariant::Beside, id, || {
                format!("{key} has it, and there is no such task")
            });
        }
    }
    for id in contents.hash("cancels").keys() {
        found.expect(flying.contains(id.as_str()), Invariant::Beside, id, || {
            "it is to be cancelled by its worker, and no worker holds it".to_owned()
        });
    }
    for id in contents.sorted("expiry").keys() {
        let waits = tasks.contains_key(id) && !flying.contains(id.as_str());
        found
            .expect(waits, Invariant::Beside, id, || "it may expire, and does not wait".to_owned());
    }
    let open = contents.sorted("jobs:open");
    for id in contents.hash("watchers").keys() {
        let ends = tasks.contains_key(id) || open.contains_key(id);
        found.expect(ends, Invariant::Beside, id, || {
            "somebody waits for it, and it has ended".to_owned()
        });
    }
    for job in contents.set("jobs:speculate") {
        found.expect(open.contains_key(job), Invariant::Beside, job, || {
            "it may start chunks twice, and is over".to_owned()
        });
    }
    dead(contents, found);
    tombstones(contents, found);
}

fn dead(contents: &Contents, found: &mut Found) {
    let (times, kept) = (contents.sorted("dead"), contents.hash("dead:tasks"));
    let ids: BTreeSet<&String> = times.keys().chain(kept.keys()).collect();
    for id in ids {
        let both = times.contains_key(id) && kept.contains_key(id);
        found.expect(both, Invariant::Beside, id, || "half of a dead letter".to_owned());
        let again = contents.hash("tasks").contains_key(id);
        found.expect(!again, Invariant::Beside, id, || "it is dead, and goes on".to_owned());
    }
}

fn tombstones(contents: &Contents, found: &mut Found) {
    let stones = contents.hash("tombstones");
    if stones.is_empty() {
        return;
    }
    let all = waiting(contents);
    let stand: BTreeSet<&str> = all
        .iter()
        .filter_map(|one| match one.element {
            Element::Task(id) => Some(id),
            _ => None,
        })
        .collect();
    for id in stones.keys() {
        let fits = stand.contains(id.as_str()) && !contents.hash("tasks").contains_key(id);
        found.expect(fits, Invariant::Beside, id, || {
            "it is marked as cancelled in a list, and is not that".to_owned()
        });
    }
}
