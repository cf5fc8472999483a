//! A plan: the members of a job by number, how they are wired, and what begins at once. It is what is
//! sent, in pieces.

use std::collections::BTreeMap;

use celeriac_broker_schema::workflow::{
    Barrier, MemberTerms, Outline, Release, Shape, Span, Target,
};
use celeriac_broker_schema::{Accumulate, InvalidInput, Priority, QueueName};

use super::Callbacks;
use super::compile::{Compiler, Draft, Join};
use super::outline::Drawing;
use super::spans::{Catch, Feed, Wire, spans};
use crate::error::{InvalidWorkflow, Problem};

/// A workflow in the form in which it is enqueued. Members are numbered from 0.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The record of each member; None for those that only stand for others.
    pub(crate) records: Vec<Option<String>>,
    /// How they are wired.
    pub(crate) spans: Vec<Span>,
    /// What is counted before what is released.
    pub(crate) barriers: Vec<Barrier>,
    /// What begins at once.
    pub(crate) sources: Vec<Release>,
    /// Members that stand for nothing: they are settled at once.
    pub(crate) settled: Vec<u64>,
    /// Members that stand for others, with the shape of their results.
    pub(crate) stand_ins: Vec<(u64, Shape)>,
    /// How many members the end of the job waits for.
    pub(crate) ends: u64,
    /// The shape of the result, by the numbers of members.
    pub(crate) exit: Shape,
    /// What runs when a member has ended.
    pub(crate) callbacks: Vec<(u64, Callbacks)>,
    /// What it looks like, for people.
    pub(crate) outline: Option<Outline>,
    /// What is accumulated.
    pub(crate) accumulate: BTreeMap<String, Accumulate>,
}

/// Where members wait: those that are released as one must have it in common, the name and the tenant
/// since limits go by them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    queue: QueueName,
    priority: Priority,
    delay_ms: u64,
    task: String,
    tenant: Option<String>,
}

impl Plan {
    /// How many members it has.
    pub fn members(&self) -> u64 {
        self.records.len() as u64
    }

    /// How many members begin at once.
    pub fn begin_at_once(&self) -> u64 {
        self.sources.iter().map(|release| release.hi - release.lo).sum()
    }

    /// How many barriers are kept for it, behind which members wait.
    pub fn barriers(&self) -> u64 {
        self.barriers.len() as u64
    }

    /// How many bytes the records of its members have.
    pub fn bytes(&self) -> u64 {
        self.records.iter().flatten().map(|record| record.len() as u64).sum()
    }

    pub(super) fn new(
        compiler: Compiler,
        numbers: &[usize],
        leaves: &[usize],
        exit: Shape,
    ) -> Result<Self, InvalidWorkflow> {
        let Compiler { drafts, joins, accumulate, slots, depth, .. } = compiler;
        let number = |id: usize| numbers[id] as u64;
        let mut kept = vec![false; drafts.len()];
        for draft in &drafts {
            let shapes = draft.input.iter().chain(&draft.stands_for);
            shapes.for_each(|shape| mark(shape, &mut kept));
        }
        mark(&exit, &mut kept);

        let mut by_number: Vec<(usize, &Draft)> = drafts.iter().enumerate().collect();
        by_number.sort_unstable_by_key(|(id, _)| numbers[*id]);
        let places: Vec<Option<Place>> = by_number.iter().map(|(_, draft)| place(draft)).collect();

        let implied = |join: &Join| match (join.waits_for, &join.opens[..]) {
            (Some(before), [behind]) if join.tolerates.is_none() => {
                let (from, to) = (&places[numbers[before]], &places[numbers[*behind]]);
                from.as_ref().zip(to.as_ref()).is_some_and(|(from, to)| {
                    from.queue == to.queue && from.priority == to.priority && to.delay_ms == 0
                })
            }
            _ => false,
        };
        let feed = |join: &Join| {
            let first = number(join.opens[0]);
            if implied(join) { Feed::Next(first) } else { Feed::Barrier(first) }
        };
        let wires = by_number.iter().map(|(_, draft)| match draft.as_parent {
            true => Wire { feeds: vec![Feed::AsParent], catch: Catch::AsParent },
            false => Wire {
                feeds: draft.feeds.iter().map(|barrier| feed(&joins[*barrier])).collect(),
                catch: draft.catch.map_or(Catch::Nobody, |slot| Catch::By(number(slots[slot]))),
            },
        });
        let spans = spans(wires);

        let mut barriers = Vec::new();
        for join in &joins {
            // Nobody follows, or it is implied by the wire of the one member that it waits for.
            if join.opens.is_empty() || implied(join) {
                continue;
            }
            let mut opened: Vec<u64> = join.opens.iter().map(|id| number(*id)).collect();
            opened.sort_unstable();
            let opens = releases(&opened, &places);
            let stands_in = |number: &u64| places[at(*number)].is_none();
            barriers.push(Barrier {
                number: number(join.opens[0]),
                missing: join.missing,
                opens,
                stand_ins: opened.into_iter().filter(stands_in).collect(),
                tolerates: join.tolerates,
            });
        }
        let first: Vec<u64> = by_number
            .iter()
            .filter(|(_, draft)| draft.waits.is_none())
            .map(|(id, _)| number(*id))
            .collect();
        let sources = releases(&first, &places);

        let nothing = |(_, draft): &&(usize, &Draft)| draft.waits.is_none() && draft.step.is_none();
        let settled = by_number.iter().filter(nothing).map(|(id, _)| number(*id)).collect();

        let mut drawing = Drawing::default();
        for (id, draft) in drafts.iter().enumerate() {
            if let Some(step) = &draft.step {
                drawing.add(&draft.path, step, number(id));
            }
        }
        let mut problems = Vec::new();
        let mut records = Vec::with_capacity(drafts.len());
        let (mut stand_ins, mut callbacks) = (Vec::new(), Vec::new());
        for (id, draft) in &by_number {
            let own = number(*id);
            if let Some(step) = &draft.step
                && !step.callbacks.is_empty()
            {
                callbacks.push((own, step.callbacks.clone()));
            }
            if let Some(shape) = &draft.stands_for {
                stand_ins.push((own, renumbered(shape, numbers, own)));
            }
            let record = record(draft, own, numbers, kept[*id], depth, accumulate.len())
                .unwrap_or_else(|error| {
                    let path = draft.path.clone();
                    problems.push(Problem { path, reason: error.to_string() });
                    None
                });
            records.push(record);
        }
        if !problems.is_empty() {
            return Err(InvalidWorkflow { problems });
        }
        Ok(Self {
            records,
            spans,
            barriers,
            sources,
            settled,
            stand_ins,
            ends: leaves.len() as u64,
            exit: renumbered(&exit, numbers, 0),
            callbacks,
            outline: drawing.finish(),
            accumulate,
        })
    }
}

fn at(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The place of a member; None if it only stands for others.
fn place(draft: &Draft) -> Option<Place> {
    let task = &draft.step.as_ref()?.task;
    Some(Place {
        queue: task.options.queue.clone(),
        priority: task.options.priority,
        delay_ms: task.start.delay_ms.unwrap_or(0),
        task: task.name.as_str().to_owned(),
        tenant: task.options.tenant.as_ref().map(|tenant| tenant.as_str().to_owned()),
    })
}

/// Puts members that lie together and have the same place together. Those that stand for others are left
/// out.
fn releases(members: &[u64], places: &[Option<Place>]) -> Vec<Release> {
    let mut releases: Vec<Release> = Vec::new();
    let mut last: Option<&Place> = None;
    for &member in members {
        let Some(place) = &places[at(member)] else { continue };
        match releases.last_mut() {
            Some(release) if release.hi == member && last == Some(place) => release.hi += 1,
            _ => releases.push(Release {
                lo: member,
                hi: member + 1,
                queue: place.queue.clone(),
                priority: place.priority,
                delay_ms: place.delay_ms,
            }),
        }
        last = Some(place);
    }
    releases
}

fn record(
    draft: &Draft,
    own: u64,
    numbers: &[usize],
    keep: bool,
    depth: u32,
    all: usize,
) -> Result<Option<String>, InvalidInput> {
    let Some(step) = &draft.step else { return Ok(None) };
    let terms = MemberTerms {
        into: step.into.clone().filter(|_| draft.input.is_some()).unwrap_or(Target::First),
        input: draft.input.as_ref().map(|shape| renumbered(shape, numbers, own)),
        keep: keep || draft.keeps,
        accumulates: draft.accumulates,
        only: draft
            .only
            .as_ref()
            .filter(|only| only.len() != all)
            .map_or_else(Vec::new, |only| only.to_vec()),
        depth,
    };
    let mut record = step.task.record()?;
    // What is kept of it, and for how long, is a matter of its job.
    (record.keep_ms, record.keep_failed_ms) = (None, None);
    record.member = (terms != MemberTerms::default()).then_some(terms);
    record.encode().map(Some)
}

/// Marks the drafts whose results are in a shape.
fn mark(shape: &Shape, kept: &mut [bool]) {
    shape.each_member(&mut |id| {
        if let Some(kept) = usize::try_from(id).ok().and_then(|id| kept.get_mut(id)) {
            *kept = true;
        }
    });
}

/// A shape of drafts as one of distances from member `own`.
fn renumbered(shape: &Shape, numbers: &[usize], own: u64) -> Shape {
    let own = i64::try_from(own).unwrap_or(i64::MAX);
    shape.mapped(&|id| {
        let number = usize::try_from(id).ok().and_then(|id| numbers.get(id)).copied();
        number.map_or(id, |number| i64::try_from(number).unwrap_or(i64::MAX) - own)
    })
}
