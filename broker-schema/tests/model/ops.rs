//! The calls of a random sequence, made on the reference and on Redis alike.

use std::collections::{BTreeMap, HashMap};

use celeriac_broker_schema::State;
use celeriac_broker_schema::check::{Violation, violations};
use celeriac_broker_schema::script::{Claimed, Ending, Grant, RangeJob, Run};
use celeriac_broker_schema::state::TRANSITIONS;
use proptest::prelude::*;

use crate::compare::{assert_equal, places};
use crate::reference::{Element, End, Held, Place, Reference};
use crate::support::{self, Ask, HOUR_MS, World, delta, entry_in, priority, queue};

/// Workers at a time.
const SLOTS: usize = 3;

/// One step of a sequence.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Enqueue {
        tasks: usize,
        place: Place,
        later: bool,
    },
    EnqueueJob {
        chunks: u64,
        place: Place,
        reducer: bool,
    },
    Claim {
        slot: usize,
        wish: Wish,
    },
    Complete {
        slot: usize,
        picks: Vec<Pick>,
        stale: usize,
        wish: Wish,
    },
    /// The reply of the last call of this worker is lost, and the call is made again.
    Repeat {
        slot: usize,
    },
    /// The lease of this worker is over; somebody will notice.
    Lose {
        slot: usize,
    },
    /// All delays have passed.
    Due,
    Reclaim,
}

/// What a worker asks for.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    want: usize,
    suspect: bool,
    queues: &'static [&'static str],
}

/// Which of the things in flight ends, and how.
#[derive(Debug, Clone)]
pub(crate) struct Pick {
    which: usize,
    /// Chunks that end together, if they succeed or go back.
    span: usize,
    how: How,
}

#[derive(Debug, Clone, Copy)]
enum How {
    Succeed,
    RetryNow,
    RetryLater,
    Snooze,
    Release,
    Fail,
}

/// What sequences are mostly about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mix {
    Tasks,
    Ranges,
}

pub(crate) fn op(mix: Mix) -> BoxedStrategy<Op> {
    let (tasks, jobs) = match mix {
        Mix::Tasks => (6, 1),
        Mix::Ranges => (1, 4),
    };
    let slot = 0..SLOTS;
    prop_oneof![
        tasks => (1..6_usize, place(), any::<bool>())
            .prop_map(|(tasks, place, later)| Op::Enqueue { tasks, place, later }),
        jobs => (1..20_u64, place(), any::<bool>())
            .prop_map(|(chunks, place, reducer)| Op::EnqueueJob { chunks, place, reducer }),
        8 => (slot.clone(), wish(8)).prop_map(|(slot, wish)| Op::Claim { slot, wish }),
        12 => (slot.clone(), prop::collection::vec(pick(), 0..8), 0..20_usize, wish(4))
            .prop_map(|(slot, picks, stale, wish)| Op::Complete { slot, picks, stale, wish }),
        2 => slot.clone().prop_map(|slot| Op::Repeat { slot }),
        3 => slot.prop_map(|slot| Op::Lose { slot }),
        2 => Just(Op::Due),
        2 => Just(Op::Reclaim),
    ]
    .boxed()
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![Just(("a", 5)), Just(("a", 9)), Just(("b", 5))]
}

fn wish(most: usize) -> impl Strategy<Value = Wish> {
    let queues = prop_oneof![Just(&["a", "b"][..]), Just(&["b", "a"][..]), Just(&["a"][..])];
    (0..=most, prop::bool::weighted(0.8), queues).prop_map(|(want, suspect, queues)| Wish {
        want,
        suspect,
        queues,
    })
}

fn pick() -> impl Strategy<Value = Pick> {
    let how = prop_oneof![
        12 => Just(How::Succeed),
        3 => Just(How::RetryNow),
        3 => Just(How::RetryLater),
        2 => Just(How::Snooze),
        3 => Just(How::Release),
        1 => Just(How::Fail),
    ];
    (any::<usize>(), 1..6_usize, how).prop_map(|(which, span, how)| Pick { which, span, how })
}

/// A worker: its lease and its last call.
#[derive(Default)]
struct Slot {
    lease: String,
    last: Option<(u64, Ask, Option<Vec<Ending>>)>,
}

/// The reference and Redis, side by side.
pub(crate) struct Model {
    world: World,
    reference: Reference,
    slots: [Slot; SLOTS],
    /// Every run that was ever given out, by name.
    runs: HashMap<String, Run>,
    /// How many names and lost leases there were.
    made: u64,
}

impl Model {
    pub(crate) fn new(world: World) -> Self {
        let (reference, slots, runs) = Default::default();
        Self { world, reference, slots, runs, made: 0 }
    }

    /// Makes one step and checks everything.
    pub(crate) async fn apply(&mut self, op: &Op) {
        let before = places(&self.reference);
        let scripts = self.step(op).await;
        assert_equal(&self.reference, &self.world.state().await);
        assert_permitted(&before, &places(&self.reference), scripts);
        let contents = self.world.broker.contents(usize::MAX).await.expect("it is read");
        // Here leases are long over, and nobody has noticed.
        let wrong = |found: &Violation| !found.what.starts_with("it expired");
        let found: Vec<_> = violations(&contents).into_iter().filter(wrong).collect();
        assert_eq!(found, [], "of what must hold");
    }

    /// Returns the scripts that may have moved something.
    async fn step(&mut self, op: &Op) -> &'static [&'static str] {
        match op {
            Op::Enqueue { tasks, place, later } => {
                self.enqueue(*tasks, *place, *later).await;
                &["enqueue"]
            }
            Op::EnqueueJob { chunks, place, reducer } => {
                self.enqueue_job(*chunks, *place, *reducer).await;
                &["enqueue_range"]
            }
            Op::Claim { slot, wish } => {
                self.call(*slot, wish, None).await;
                &["claim", "reclaim"]
            }
            Op::Complete { slot, picks, stale, wish } => {
                self.open(*slot).await;
                let ends = self.ends(*slot, picks, *stale);
                self.call(*slot, wish, Some(ends)).await;
                &["complete", "claim", "reclaim"]
            }
            Op::Repeat { slot } => {
                self.repeat(*slot).await;
                &[]
            }
            Op::Lose { slot } => {
                self.lose(*slot).await;
                &[]
            }
            Op::Due => {
                self.world.delays_pass().await;
                self.reference.delayed.values_mut().for_each(|(_, _, due)| *due = true);
                &[]
            }
            Op::Reclaim => {
                self.world.reclaim(1000).await;
                self.reference.upkeep("");
                &["claim", "reclaim"]
            }
        }
    }

    fn name(&mut self, letter: char) -> String {
        self.made += 1;
        format!("{letter}{}", self.made)
    }

    async fn enqueue(&mut self, tasks: usize, place: Place, later: bool) {
        let mut entries = Vec::new();
        for _ in 0..tasks {
            let name = self.name('t');
            let mut entry = entry_in(&name, place.0, place.1);
            entry.start.delay_ms = later.then_some(HOUR_MS);
            entries.push(entry);
            self.reference.enqueue(&name, place, later);
        }
        self.world.enqueue_all(&entries).await;
    }

    async fn enqueue_job(&mut self, chunks: u64, place: Place, reducer: bool) {
        let name = self.name('J');
        let reducer: Option<Place> = reducer.then_some(("b", 7));
        let record = reducer.map(|(q, p)| (support::record(&name), queue(q), priority(p)));
        let job = RangeJob {
            queue: queue(place.0),
            priority: priority(place.1),
            reducer: record,
            ..support::job(&name, chunks)
        };
        self.world.enqueue_job(&job).await;
        self.reference.enqueue_job(&name, place, chunks, reducer);
    }

    /// Opens the lease of a worker if it has none that it believes in.
    async fn open(&mut self, slot: usize) {
        if self.slots[slot].lease.is_empty() {
            let lease = self.name('w');
            self.world.open(&lease).await;
            self.reference.leases.insert(lease.clone(), Default::default());
            self.slots[slot] = Slot { lease, last: None };
        }
    }

    async fn lose(&mut self, slot: usize) {
        self.made += 1;
        let lease = &self.slots[slot].lease;
        if let Some(known) =
            self.reference.leases.get_mut(lease).filter(|known| known.over.is_none())
        {
            known.over = Some(self.made);
            let mut end = redis::cmd("ZADD");
            end.arg(self.world.key("leases")).arg("XX").arg(self.made).arg(lease);
            self.world.redis::<u64>(&end).await;
        }
    }

    /// A claim, or a completion, on both sides.
    async fn call(&mut self, slot: usize, wish: &Wish, ends: Option<Vec<End>>) {
        self.open(slot).await;
        let lease = self.slots[slot].lease.clone();
        let Wish { want, suspect, queues } = wish.clone();
        let ask = Ask { suspect, ..Ask::want(want).from(queues) };
        let endings = ends.as_ref().map(|ends| ends.iter().map(|end| self.ending(end)).collect());
        let number = self.world.next_call(&lease);
        let endings: Option<Vec<Ending>> = endings;
        let claimed = self.world.call(&lease, number, &ask, endings.as_deref()).await;
        let Some(known) = self.reference.leases.get_mut(&lease) else {
            assert!(matches!(claimed, Claimed::Lost), "{lease} is lost: {claimed:?}");
            self.slots[slot] = Slot::default();
            return;
        };
        known.number = number;
        self.slots[slot].last = Some((number, ask, endings));
        let mut stale = self.reference.end(&lease, &ends.unwrap_or_default());
        let expected = self.reference.claim(&lease, want, suspect, queues);
        let grant = support::granted(claimed);
        assert_eq!(given(&grant), expected.into_iter().collect::<Vec<_>>());
        let mut told = support::named(&grant.stale);
        stale.sort();
        told.sort();
        assert_eq!(told, stale);
        assert!(grant.refused.is_empty(), "{:?}", grant.refused);
        self.runs.extend(grant.runs.into_iter().map(|run| (support::field(&run.field), run)));
    }

    /// Nothing changes, and the reply tells what the lease holds.
    async fn repeat(&mut self, slot: usize) {
        let Slot { lease, last: Some((number, ask, endings)) } = &self.slots[slot] else { return };
        let claimed = self.world.call(lease, *number, ask, endings.as_deref()).await;
        match self.reference.leases.get(lease) {
            None => assert!(matches!(claimed, Claimed::Lost), "{lease} is lost: {claimed:?}"),
            Some(known) => {
                let Claimed::Repeated { tasks, runs, .. } = claimed else { panic!("{claimed:?}") };
                let mut held = support::names(&tasks);
                held.extend(runs.iter().map(|run| support::field(&run.field)));
                held.sort();
                assert_eq!(held, known.held.keys().cloned().collect::<Vec<_>>());
            }
        }
    }

    /// Chooses endings: those picked among what the lease holds, and one of something else.
    fn ends(&self, slot: usize, picks: &[Pick], stale: usize) -> Vec<End> {
        let lease = &self.slots[slot].lease;
        let known = self.reference.leases.get(lease);
        let held = known.map(|lease| lease.held.clone()).unwrap_or_default();
        let mut left = held.clone();
        let mut ends: Vec<End> = picks.iter().filter_map(|pick| end_of(&mut left, pick)).collect();
        let mut others: Vec<&String> =
            self.runs.keys().filter(|name| !held.contains_key(*name)).collect();
        others.sort();
        if let Some(other) = others.get(stale) {
            let lo = self.runs[*other].lo;
            ends.push(End::ChunksSucceeded { run: (*other).clone(), lo, hi: lo + 1 });
        }
        let foreign = format!("t{stale}");
        if !held.contains_key(&foreign) {
            ends.push(End::Succeeded(foreign));
        }
        ends
    }

    fn ending(&self, end: &End) -> Ending {
        let delay = |later: bool| if later { HOUR_MS } else { 0 };
        match end {
            End::Succeeded(name) => support::succeeded(name),
            End::Retry { name, later } => support::retry(name, delay(*later)),
            End::Snoozed(name) => support::snoozed(name, HOUR_MS),
            End::Failed(name) => support::failed(name),
            End::Released(name) => support::released(name),
            End::ChunksSucceeded { run, lo, hi } => {
                let sum: u64 = (*lo..*hi).map(|index| index + 1).sum();
                let deltas = [delta("sum", "n", &sum.to_string())];
                support::chunks_succeeded(&self.runs[run], *lo, *hi, &deltas)
            }
            End::ChunkRetry { run, index, later } => {
                support::chunk_retry(&self.runs[run], *index, delay(*later))
            }
            End::ChunkSnoozed { run, index } => {
                support::chunk_snoozed(&self.runs[run], *index, HOUR_MS)
            }
            End::ChunkFailed { run, index } => support::chunk_failed(&self.runs[run], *index),
            End::ChunksReleased { run, lo, hi } => {
                support::chunks_released(&self.runs[run], *lo, *hi)
            }
        }
    }
}

/// The end of one thing of `left`, which leaves it.
fn end_of(left: &mut BTreeMap<String, Held>, pick: &Pick) -> Option<End> {
    let name = left.keys().nth(pick.which % left.len().max(1))?.clone();
    let held = left.get_mut(&name).expect("it is listed");
    if let Element::Task(_) = held.element {
        left.remove(&name);
        return Some(match pick.how {
            How::Succeed => End::Succeeded(name),
            How::RetryNow | How::RetryLater => {
                End::Retry { name, later: matches!(pick.how, How::RetryLater) }
            }
            How::Snooze => End::Snoozed(name),
            How::Release => End::Released(name),
            How::Fail => End::Failed(name),
        });
    }
    let lo = *held.chunks.iter().nth(pick.which / 7 % held.chunks.len()).expect("it has chunks");
    let span = match pick.how {
        How::Succeed | How::Release => pick.span,
        _ => 1,
    };
    let hi = (lo..).take(span).take_while(|index| held.chunks.remove(index)).last()? + 1;
    if held.chunks.is_empty() {
        left.remove(&name);
    }
    let run = name;
    Some(match pick.how {
        How::Succeed => End::ChunksSucceeded { run, lo, hi },
        How::RetryNow | How::RetryLater => {
            End::ChunkRetry { run, index: lo, later: matches!(pick.how, How::RetryLater) }
        }
        How::Snooze => End::ChunkSnoozed { run, index: lo },
        How::Release => End::ChunksReleased { run, lo, hi },
        How::Fail => End::ChunkFailed { run, index: lo },
    })
}

/// The names of all that was given, sorted.
fn given(grant: &Grant) -> Vec<String> {
    let mut names = support::names(&grant.tasks);
    names.extend(grant.runs.iter().map(|run| support::field(&run.field)));
    names.sort();
    names
}

/// Asserts that whatever moved has moved along rows of the table that these scripts have.
fn assert_permitted(
    before: &BTreeMap<String, State>,
    after: &BTreeMap<String, State>,
    scripts: &[&str],
) {
    for (name, to) in after {
        let from = before.get(name).copied();
        assert!(
            from == Some(*to) || leads(from, *to, scripts, TRANSITIONS.len()),
            "{name} went from {from:?} to {to} in {scripts:?}"
        );
    }
    let gone: Vec<&String> = before.keys().filter(|name| !after.contains_key(*name)).collect();
    assert!(gone.is_empty(), "{gone:?} are nowhere");
}

/// Whether some of these scripts' transitions lead from one state to another.
fn leads(from: Option<State>, to: State, scripts: &[&str], steps: usize) -> bool {
    // A chunk that is lost too often ends its job like one that fails.
    let of = |script| scripts.contains(&script);
    let cancels =
        to == State::Cancelled && from.is_some_and(|from| !from.is_final()) && of("reclaim");
    let mut next = TRANSITIONS.iter().filter(|row| row.from == from && of(row.script));
    cancels
        || (steps > 0
            && next.any(|row| row.to == to || leads(Some(row.to), to, scripts, steps - 1)))
}
