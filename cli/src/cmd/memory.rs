//! `celeriac doctor --memory`: what takes the memory of Redis, by what it is for. It only looks.

mod kinds;

use std::collections::BTreeMap;

use celeriac_broker_schema::health::Memory;
use celeriac_broker_schema::script::KeyMemory;
use celeriac_broker_schema::{Broker, Record};
use serde::Serialize;

use self::kinds::{KINDS, job_of, kind_of, queue_of};
use crate::error::CliError;
use crate::format::{counted, grouped, mebibytes};
use crate::globals::Globals;
use crate::output::{self, Align, Table};

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
    budget: Memory,
    /// All of this namespace.
    total: Share,
    kinds: BTreeMap<&'static str, Share>,
    /// The lists of each queue, a part of the kind `queues`.
    queues: BTreeMap<String, Share>,
    /// The records of the tasks of each queue, a part of the kind `tasks`.
    records: BTreeMap<String, Records>,
    /// The largest jobs, the largest one first: their descriptions, counts, bitmaps and states.
    largest_jobs: Vec<LargeJob>,
    #[serde(skip)]
    jobs: BTreeMap<String, Share>,
    /// Bytes of the key that holds all records.
    #[serde(skip)]
    record_bytes: u64,
}

/// What the records of the tasks of a queue take.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Records {
    tasks: u64,
    bytes: u64,
    /// Whether both were estimated from some of all tasks.
    estimated: bool,
}

#[derive(Debug, Serialize)]
struct LargeJob {
    id: String,
    #[serde(flatten)]
    share: Share,
}

/// Tasks whose records are looked at, to tell what the records of each queue take.
const SAMPLE: u32 = 1_000;
/// So many of their records are read in a call, and no more once they have so many bytes.
const SAMPLE_BITE: usize = 50;
const SAMPLE_BYTES: usize = 16 << 20;
/// About what a record takes beside its own bytes: its id, and what Redis needs to find it.
const ENTRY: u64 = 90;
/// Jobs that are shown.
const LARGEST: usize = 10;

pub(crate) async fn run(globals: &Globals) -> Result<(), CliError> {
    let broker = globals.connect().await?;
    let mut report = Report {
        namespace: globals.redis.namespace.to_string(),
        budget: Memory::of_info(&broker.info("memory").await?),
        total: Share::default(),
        kinds: KINDS.iter().map(|(kind, _)| (*kind, Share::default())).collect(),
        queues: BTreeMap::new(),
        records: BTreeMap::new(),
        largest_jobs: Vec::new(),
        jobs: BTreeMap::new(),
        record_bytes: 0,
    };
    let mut cursor = Some(0);
    while let Some(at) = cursor {
        let page = broker.memory(at).await?;
        page.keys.iter().for_each(|key| report.add(key));
        cursor = page.next;
    }
    report.share_records(&broker).await?;
    report.find_largest();
    if globals.json { output::json(&report) } else { output::line(report.text()) }
}

/// Tasks and bytes of all, by how many of those looked at are in a queue and what they take.
fn shared_out(
    looked_at: &BTreeMap<String, (u64, u64)>,
    tasks: u64,
    bytes: u64,
) -> BTreeMap<String, Records> {
    let (number, weight) =
        looked_at.values().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let part = |of: u64, share: u64, all: u64| {
        u64::try_from(u128::from(of) * u128::from(share) / u128::from(all.max(1))).unwrap_or(of)
    };
    let records = |(tasks_here, weight_here): &(u64, u64)| Records {
        tasks: part(tasks, *tasks_here, number),
        bytes: part(bytes, *weight_here, weight),
        estimated: number < tasks,
    };
    looked_at.iter().map(|(queue, sum)| (queue.clone(), records(sum))).collect()
}

impl Report {
    fn add(&mut self, key: &KeyMemory) {
        self.total.add(key);
        self.kinds.entry(kind_of(&key.name)).or_default().add(key);
        if let Some(queue) = queue_of(&key.name) {
            self.queues.entry(queue.to_owned()).or_default().add(key);
        }
        if let Some(job) = job_of(&key.name) {
            self.jobs.entry(job.to_owned()).or_default().add(key);
        }
        if key.name == "tasks" {
            self.record_bytes += key.bytes;
        }
    }

    /// Shares the bytes of all records out among the queues, by the records of some tasks.
    async fn share_records(&mut self, broker: &Broker) -> Result<(), CliError> {
        let ids = broker.sample(SAMPLE).await?;
        let tasks = broker.snapshot(1, 0).await?.tasks.max(ids.len() as u64);
        let mut looked_at = BTreeMap::<String, (u64, u64)>::new();
        let mut read = 0;
        for some in ids.chunks(SAMPLE_BITE) {
            for record in broker.records(some).await?.into_iter().flatten() {
                let queue =
                    Record::decode(&record).map(|record| record.options().queue.to_string());
                let sum = looked_at.entry(queue.unwrap_or_else(|_| "?".to_owned())).or_default();
                *sum = (sum.0 + 1, sum.1 + record.len() as u64 + ENTRY);
                read += record.len();
            }
            // Large ones tell enough when there are fewer of them.
            if read > SAMPLE_BYTES {
                break;
            }
        }
        self.records = shared_out(&looked_at, tasks, self.record_bytes);
        Ok(())
    }

    fn find_largest(&mut self) {
        let mut jobs: Vec<_> = std::mem::take(&mut self.jobs).into_iter().collect();
        jobs.sort_by(|(a, one), (b, other)| other.bytes.cmp(&one.bytes).then_with(|| a.cmp(b)));
        jobs.truncate(LARGEST);
        self.largest_jobs = jobs.into_iter().map(|(id, share)| LargeJob { id, share }).collect();
    }

    fn table(&self) -> Table {
        let mut table = Table::new([
            ("WHAT", Align::Left),
            ("KEYS", Align::Right),
            ("MEMORY", Align::Right),
            ("SHARE", Align::Right),
        ]);
        let total = self.total.bytes.max(1);
        let row = |name: String, keys: String, bytes: u64, estimated: bool| {
            let about = if estimated { "~" } else { "" };
            let percent = format!("{} %", bytes * 100 / total);
            [name, keys, format!("{about}{}", mebibytes(bytes)), percent]
        };
        let share = |name: String, of: &Share| row(name, grouped(of.keys), of.bytes, of.estimated);
        for (kind, _) in KINDS {
            let of_kind = &self.kinds[kind];
            table.row(share((*kind).to_owned(), of_kind));
            match *kind {
                "tasks" => self.records.iter().for_each(|(queue, of)| {
                    let name = format!("  {} of {queue}", counted(of.tasks, "task"));
                    let estimated = of.estimated || of_kind.estimated;
                    table.row(row(name, String::new(), of.bytes, estimated));
                }),
                "queues" => self.queues.iter().for_each(|(queue, of)| {
                    table.row(share(format!("  {queue}"), of));
                }),
                _ => {}
            }
        }
        table.row(share("all".to_owned(), &self.total));
        table
    }

    fn jobs_text(&self) -> String {
        let mut table = Table::new([("LARGEST JOBS", Align::Left), ("MEMORY", Align::Right)]);
        for LargeJob { id, share } in &self.largest_jobs {
            let about = if share.estimated { "~" } else { "" };
            table.row([id.clone(), format!("{about}{}", mebibytes(share.bytes))]);
        }
        if table.is_empty() { String::new() } else { format!("\n\n{}", table.render()) }
    }

    fn text(&self) -> String {
        let mut text = self.table().render() + &self.jobs_text();
        if self.total.estimated {
            text.push_str(
                "\n\n~ of large keys some elements were measured, of many tasks some were looked at, and the others taken to be alike",
            );
        }
        let Memory { used_bytes, max_bytes } = self.budget;
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
    fn records_are_shared_out_by_what_was_looked_at() {
        let looked_at = BTreeMap::from([("a".to_owned(), (3, 100)), ("b".to_owned(), (1, 300))]);
        let records = |tasks, bytes, estimated| Records { tasks, bytes, estimated };
        assert_eq!(shared_out(&looked_at, 4, 800)["a"], records(3, 200, false));
        let of_many = shared_out(&looked_at, 4_000, 800_000);
        assert_eq!(of_many["a"], records(3_000, 200_000, true));
        assert_eq!(of_many["b"], records(1_000, 600_000, true));
        assert_eq!(shared_out(&BTreeMap::new(), 0, 0), BTreeMap::new());
    }
}
