//! How many workers a backlog needs: one pure function, with its reasons in words. For autoscalers,
//! which ask again and again and smooth what they hear.

use schemars::JsonSchema;
use serde::Serialize;

/// What is known of the queues that are asked about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Known {
    /// Tasks and chunks that are ready.
    pub(crate) ready: u64,
    /// Slots that are taken now, on workers that serve the queues.
    pub(crate) busy: u64,
    /// Workers that serve the queues.
    pub(crate) workers: u64,
    /// Tasks that come in per second.
    pub(crate) in_per_s: f64,
    /// The mean time of an attempt in milliseconds, if any was measured lately.
    pub(crate) run_ms: Option<f64>,
    /// Slots of one worker, if any serves the queues or somebody said so.
    pub(crate) slots: Option<f64>,
}

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Wanted {
    /// In what time the backlog is to be done, in milliseconds.
    pub(crate) target_ms: u64,
    /// No fewer workers.
    pub(crate) min: u64,
    /// No more workers.
    pub(crate) max: u64,
}

/// The answer, with all that it follows from.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Advice {
    /// So many workers, within the bounds.
    pub(crate) workers: u64,
    /// The same without the bounds.
    pub(crate) needed: u64,
    /// What the answer follows from, in words.
    pub(crate) because: String,
    pub(crate) ready: u64,
    pub(crate) busy: u64,
    /// Workers that serve the queues now.
    pub(crate) present: u64,
    pub(crate) in_per_s: f64,
    pub(crate) run_ms: Option<f64>,
    pub(crate) slots_per_worker: f64,
    pub(crate) target_ms: u64,
}

/// How many workers do the backlog in the time wanted while new tasks come in, without taking the
/// slots away from what runs.
pub(crate) fn advise(known: &Known, wanted: &Wanted) -> Advice {
    let slots = known.slots.filter(|slots| *slots >= 1.0).unwrap_or(1.0);
    let (needed, because) = match known.run_ms {
        _ if known.ready == 0 && known.busy == 0 => {
            (0, "nothing is ready and nothing runs".to_owned())
        }
        Some(run_ms) => measured(known, wanted, run_ms, slots),
        None => (
            known.workers.max(1),
            "no run time was measured lately: one worker, or those that there are".to_owned(),
        ),
    };
    Advice {
        workers: needed.clamp(wanted.min, wanted.max.max(wanted.min)),
        needed,
        because,
        ready: known.ready,
        busy: known.busy,
        present: known.workers,
        in_per_s: known.in_per_s,
        run_ms: known.run_ms,
        slots_per_worker: slots,
        target_ms: wanted.target_ms,
    }
}

fn measured(known: &Known, wanted: &Wanted, run_ms: f64, slots: f64) -> (u64, String) {
    let target_s = wanted.target_ms.max(1) as f64 / 1000.0;
    let per_s = known.ready as f64 / target_s + known.in_per_s;
    let wanted_slots = per_s * run_ms / 1000.0;
    let busy = known.busy as f64;
    let workers = (wanted_slots.max(busy) / slots).ceil().max(1.0) as u64;
    let mut because = format!(
        "{} ready in {target_s} s and {:.2} more per second, {run_ms:.1} ms each, take {wanted_slots:.1} slots",
        known.ready, known.in_per_s
    );
    if busy > wanted_slots {
        because.push_str(&format!("; {busy} are taken by what runs"));
    }
    because.push_str(&format!("; a worker has {slots}"));
    if known.slots.is_none() {
        because.push_str(", as far as anybody knows: tell with slots=");
    }
    (workers, because)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted = Wanted { target_ms: 60_000, min: 0, max: 100 };

    fn known() -> Known {
        Known {
            ready: 0,
            busy: 0,
            workers: 0,
            in_per_s: 0.0,
            run_ms: Some(500.0),
            slots: Some(4.0),
        }
    }

    fn workers(known: Known) -> u64 {
        advise(&known, &WANTED).workers
    }

    #[test]
    fn a_backlog_is_done_in_time() {
        // 1,200 tasks of 0.5 s are 600 s of work; in 60 s that takes 10 slots, and 3 workers of 4.
        assert_eq!(workers(Known { ready: 1_200, ..known() }), 3);
        assert_eq!(workers(Known { ready: 1_200, slots: Some(1.0), ..known() }), 10);
        // 6 more per second take 3 slots all the time: 13 in all.
        assert_eq!(workers(Known { ready: 1_200, in_per_s: 6.0, ..known() }), 4);
        assert_eq!(workers(Known { ready: 1, ..known() }), 1);
    }

    #[test]
    fn nothing_to_do_needs_nobody() {
        assert_eq!(workers(Known { workers: 7, in_per_s: 0.1, ..known() }), 0);
        let min = Wanted { min: 2, ..WANTED };
        let advice = advise(&known(), &min);
        assert_eq!((advice.workers, advice.needed), (2, 0));
    }

    #[test]
    fn what_runs_keeps_its_slots() {
        assert_eq!(workers(Known { busy: 17, ..known() }), 5);
        assert_eq!(workers(Known { busy: 17, ready: 12_000, ..known() }), 25);
    }

    #[test]
    fn without_measurements_it_begins_with_one() {
        let unmeasured = Known { ready: 1_000_000, run_ms: None, ..known() };
        assert_eq!(workers(unmeasured), 1);
        assert_eq!(workers(Known { workers: 3, ..unmeasured }), 3);
        let advice = advise(&unmeasured, &WANTED);
        assert!(advice.because.contains("no run time"), "{}", advice.because);
    }

    #[test]
    fn bounds_hold_and_are_told() {
        let advice = advise(&Known { ready: 1_000_000, ..known() }, &WANTED);
        assert_eq!((advice.workers, advice.needed), (100, 2_084));
        // A mistake in the bounds harms nobody.
        let crossed = Wanted { min: 5, max: 2, ..WANTED };
        assert_eq!(super::advise(&known(), &crossed).workers, 5);
    }

    #[test]
    fn unknown_slots_are_one_and_that_is_said() {
        let advice = advise(&Known { ready: 1_200, slots: None, ..known() }, &WANTED);
        assert_eq!(advice.workers, 10);
        assert!(advice.because.contains("slots="), "{}", advice.because);
    }
}
