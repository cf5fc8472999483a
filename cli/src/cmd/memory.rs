//! `celeriac doctor --memory`: what takes the memory of Redis, by what it is for. It only looks.

use std::collections::BTreeMap;

use celeriac_broker_schema::Broker;
use celeriac_broker_schema::script::KeyMemory;
use serde::Serialize;

use crate::error::CliError;
use crate::format::{grouped, mebibytes};
use crate::globals::Globals;
use crate::output::{self, Align, Table};

/// The memory of the server, and how much of it may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Budget {
    pub(super) used_bytes: u64,
    /// 0: no limit is set.
    pub(super) max_bytes: u64,
}

/// Above this share of the limit there is reason to act while there is time.
const EARLY_PERCENT: u64 = 80;
/// Above this one enqueueing will soon be refused.
const LATE_PERCENT: u64 = 95;

impl Budget {
    pub(super) async fn read(broker: &Broker) -> Result<Self, CliError> {
        Ok(Self::from_info(&broker.info("memory").await?))
    }

    fn from_info(info: &str) -> Self {
        let number = |name: &str| {
            let mut lines = info.lines().filter_map(|line| line.trim().split_once(':'));
            lines.find(|(key, _)| *key == name).and_then(|(_, value)| value.parse().ok())
        };
        let or_zero = |name| number(name).unwrap_or(0);
        Self { used_bytes: or_zero("used_memory"), max_bytes: or_zero("maxmemory") }
    }

    /// The share in use, in percent; none without a limit.
    fn percent(self) -> Option<u64> {
        (self.max_bytes > 0).then(|| self.used_bytes.saturating_mul(100) / self.max_bytes)
    }

    /// What is to be said about it, and whether it is urgent.
    pub(super) fn warning(self) -> Option<(String, bool)> {
        let percent = self.percent().filter(|percent| *percent >= EARLY_PERCENT)?;
        let (used, max) = (mebibytes(self.used_bytes), mebibytes(self.max_bytes));
        let what = format!(
            "Redis uses {percent} % of its memory ({used} of {max}); when it is full, enqueueing is refused"
        );
        Some((what, percent >= LATE_PERCENT))
    }
}

/// What the keys of a kind take.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Share {
    keys: u64,
    bytes: u64,
    /// Whether the size of one of them was estimated from samples.
    estimated: bool,
}

impl Share {
    fn add(&mut self, key: &KeyMemory) {
        self.keys += 1;
        self.bytes += key.bytes;
        self.estimated |= key.estimated;
    }
}

#[derive(Serialize)]
struct Report {
    namespace: String,
    #[serde(flatten)]
    budget: Budget,
    /// All of this namespace.
    total: Share,
    kinds: BTreeMap<&'static str, Share>,
    /// The lists of each queue, a part of the kind `queues`.
    queues: BTreeMap<String, Share>,
}

pub(crate) async fn run(globals: &Globals) -> Result<(), CliError> {
    let broker = globals.connect().await?;
    let mut report = Report {
        namespace: globals.redis.namespace.to_string(),
        budget: Budget::read(&broker).await?,
        total: Share::default(),
        kinds: KINDS.iter().map(|(kind, _)| (*kind, Share::default())).collect(),
        queues: BTreeMap::new(),
    };
    let mut cursor = Some(0);
    while let Some(at) = cursor {
        let page = broker.memory(at).await?;
        page.keys.iter().for_each(|key| report.add(key));
        cursor = page.next;
    }
    if globals.json { output::json(&report) } else { output::line(report.text()) }
}

/// What keys are for: kinds with the beginnings of the names of their keys. The first that fits
/// counts.
const KINDS: &[(&str, &[&str])] = &[
    ("tasks", &["tasks", "expiry", "waiting", "inputs"]),
    ("queues", &["ready:", "suspects:", "chunks", "delayed", "bell:", "queues"]),
    ("in flight", &["leases", "inflight:", "orphan"]),
    ("checkpoints", &["checkpoints"]),
    ("history", &["history"]),
    ("jobs", &["job:", "jobs:"]),
    ("results", &["result:"]),
    ("streams", &["stream:"]),
    ("dead", &["dead"]),
    ("other", &[""]),
];

fn kind_of(name: &str) -> &'static str {
    if name.starts_with("job:") {
        match name.rsplit(':').next() {
            Some("checkpoints") => return "checkpoints",
            Some("history" | "losses") => return "history",
            _ => {}
        }
    }
    let fits = |(_, begins): &&(&str, &[&str])| begins.iter().any(|begin| name.starts_with(begin));
    KINDS.iter().find(fits).map_or("other", |(kind, _)| kind)
}

/// The queue whose list a key is.
fn queue_of(name: &str) -> Option<&str> {
    let ready = name.strip_prefix("ready:").and_then(|rest| Some(rest.rsplit_once(':')?.0));
    ready.or_else(|| name.strip_prefix("suspects:"))
}

impl Report {
    fn add(&mut self, key: &KeyMemory) {
        self.total.add(key);
        self.kinds.entry(kind_of(&key.name)).or_default().add(key);
        if let Some(queue) = queue_of(&key.name) {
            self.queues.entry(queue.to_owned()).or_default().add(key);
        }
    }

    fn text(&self) -> String {
        let mut table = Table::new([
            ("WHAT", Align::Left),
            ("KEYS", Align::Right),
            ("MEMORY", Align::Right),
            ("SHARE", Align::Right),
        ]);
        let total = self.total.bytes.max(1);
        let mut row = |name: String, share: &Share| {
            let about = if share.estimated { "~" } else { "" };
            let percent = format!("{} %", share.bytes * 100 / total);
            table.row([
                name,
                grouped(share.keys),
                format!("{about}{}", mebibytes(share.bytes)),
                percent,
            ]);
        };
        for (kind, _) in KINDS {
            row((*kind).to_owned(), &self.kinds[kind]);
            if *kind == "queues" {
                self.queues.iter().for_each(|(queue, share)| row(format!("  {queue}"), share));
            }
        }
        row("all".to_owned(), &self.total);
        let mut text = table.render();
        if self.total.estimated {
            text.push_str(
                "\n~ of large keys some elements were measured, and the others taken to be alike",
            );
        }
        let Budget { used_bytes, max_bytes } = self.budget;
        let limit = match self.budget.percent() {
            Some(percent) => format!("{percent} % of the {} it may use", mebibytes(max_bytes)),
            None => "no limit is set (maxmemory)".to_owned(),
        };
        text.push_str(&format!("\n\nRedis as a whole: {}, {limit}", mebibytes(used_bytes)));
        if let Some((warning, _)) = self.budget.warning() {
            text.push_str(&format!("\nwarning: {warning}"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_kind() {
        for (name, kind) in [
            ("tasks", "tasks"),
            ("ready:a.b:5", "queues"),
            ("suspects:a", "queues"),
            ("inflight:l", "in flight"),
            ("orphans", "in flight"),
            ("job:1", "jobs"),
            ("job:1:done", "jobs"),
            ("job:1:history", "history"),
            ("job:1:losses", "history"),
            ("job:1:checkpoints", "checkpoints"),
            ("jobs:open", "jobs"),
            ("result:1", "results"),
            ("stream:1", "streams"),
            ("dead:tasks", "dead"),
            ("stats", "other"),
        ] {
            assert_eq!(kind_of(name), kind, "{name}");
        }
        assert_eq!(queue_of("ready:a.b:5"), Some("a.b"));
        assert_eq!((queue_of("suspects:a"), queue_of("tasks")), (Some("a"), None));
    }

    #[test]
    fn the_budget_warns_early() {
        let budget = |used| {
            Budget::from_info(&format!("# Memory\r\nused_memory:{used}\r\nmaxmemory:1000\r\n"))
        };
        assert_eq!(budget(790).warning(), None);
        assert!(
            budget(800).warning().is_some_and(|(what, urgent)| what.contains("80 %") && !urgent)
        );
        assert!(budget(950).warning().is_some_and(|(_, urgent)| urgent));
        assert_eq!(Budget { used_bytes: 10, max_bytes: 0 }.warning(), None);
    }
}
