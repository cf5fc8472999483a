//! What the keys of a shard are for, by their names.

/// What keys are for: kinds with the names of their keys, or their beginnings up to a `:`. A test
/// compares it with the table of all keys.
pub(super) const KINDS: &[(&str, &[&str])] = &[
    ("tasks", &["tasks", "expiry", "waiting", "inputs", "moved", "cancels", "tombstones"]),
    (
        "queues",
        &[
            "ready:",
            "suspects:",
            "turn:",
            "chunks",
            "delayed",
            "bell:",
            "queues",
            "queues:",
            "controls",
            "controls:",
            "fair",
        ],
    ),
    ("in flight", &["leases", "inflight:", "orphan:", "orphans", "hosts", "orders:"]),
    ("limits", &["limits:", "limited:", "rate:", "holding", "held", "parked", "parked:"]),
    ("unique keys", &["unique:", "locks", "producer:"]),
    ("schedules", &["schedules", "schedules:", "schedule:", "watch:"]),
    ("checkpoints", &["checkpoints"]),
    ("history", &["history"]),
    ("jobs", &["job:", "jobs:"]),
    ("results", &["result:"]),
    ("streams", &["stream:"]),
    ("dead", &["dead", "dead:"]),
    ("watchers", &["watch", "watchers"]),
    ("figures", &["figures", "figures:", "recent:"]),
    ("settings and totals", &["settings", "stats", "audit"]),
    ("other", &[]),
];

pub(super) fn kind_of(name: &str) -> &'static str {
    if name.starts_with("job:") {
        match name.rsplit(':').next() {
            Some("checkpoints") => return "checkpoints",
            Some("history" | "losses") => return "history",
            _ => {}
        }
    }
    let is = |known: &&str| match known.ends_with(':') {
        true => name.starts_with(known),
        false => name == *known,
    };
    KINDS.iter().find(|(_, names)| names.iter().any(is)).map_or("other", |(kind, _)| kind)
}

/// The queue whose list a key is.
pub(super) fn queue_of(name: &str) -> Option<&str> {
    let (place, rest) = name.split_once(':')?;
    // Names of queues have no colons.
    matches!(place, "ready" | "suspects" | "turn").then(|| rest.split(':').next())?
}

/// The job to which a key belongs.
pub(super) fn job_of(name: &str) -> Option<&str> {
    name.strip_prefix("job:")?.split(':').next()
}

#[cfg(test)]
mod tests {
    use celeriac_broker_schema::keys::TABLE;

    use super::*;

    #[test]
    fn every_key_of_the_table_has_a_kind() {
        // What workers tell of themselves is not in the shard, and not measured.
        let of_shard = TABLE.iter().filter(|row| !row.holds.starts_with("(fleet)"));
        let unknown: Vec<&str> =
            of_shard.map(|row| row.pattern).filter(|pattern| kind_of(pattern) == "other").collect();
        assert!(unknown.is_empty(), "of no kind: {unknown:?}");
    }

    #[test]
    fn every_kind_has_keys_in_the_table() {
        for (kind, names) in &KINDS[..KINDS.len() - 1] {
            for name in *names {
                let is = |pattern: &str| match name.ends_with(':') {
                    true => pattern.starts_with(name),
                    false => pattern == *name,
                };
                assert!(TABLE.iter().any(|row| is(row.pattern)), "{kind}: {name}");
            }
        }
    }

    #[test]
    fn kinds_go_by_what_keys_are_for() {
        for (name, kind) in [
            ("ready:a.b:5", "queues"),
            ("turn:q:5:tenant", "queues"),
            ("orphans", "in flight"),
            ("parked:task:mail", "limits"),
            ("unique:k", "unique keys"),
            ("watch:schedules", "schedules"),
            ("watch", "watchers"),
            ("job:1", "jobs"),
            ("job:1:done", "jobs"),
            ("job:1:history", "history"),
            ("job:1:checkpoints", "checkpoints"),
            ("dead:tasks", "dead"),
            ("what a newer version writes", "other"),
        ] {
            assert_eq!(kind_of(name), kind, "{name}");
        }
    }

    #[test]
    fn queues_and_jobs_are_found_in_names() {
        for (name, queue) in [
            ("ready:a.b:5", Some("a.b")),
            ("suspects:a", Some("a")),
            ("turn:a:5:tenant", Some("a")),
            ("tasks", None),
            ("bell:a", None),
        ] {
            assert_eq!(queue_of(name), queue, "{name}");
        }
        assert_eq!(
            [job_of("job:1:done"), job_of("job:1"), job_of("jobs:open")],
            [Some("1"), Some("1"), None]
        );
    }
}
