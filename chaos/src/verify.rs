//! After a round: what Redis holds, what was acknowledged and what the ledger says are compared.

use std::collections::BTreeMap;

use celeriac::{Outcome, State};
use celeriac_broker_schema::check::{Contents, Held, violations};

use crate::faults::Done;
use crate::feed::Acked;
use crate::ledger::Book;

/// So many of one kind are told; a bug shows in thousands.
const MOST_TOLD: usize = 20;

/// What became of a round.
#[derive(Debug, Default)]
pub struct Verdict {
    /// What must not be.
    pub violations: Vec<String>,
    /// How tasks and jobs ended.
    pub outcomes: BTreeMap<String, u64>,
    /// Chunks that were done.
    pub chunks: u64,
    /// How many tasks and chunks were executed so often.
    pub executions: BTreeMap<u64, u64>,
    /// Executions beyond one for each task and chunk and each failure that was wanted.
    pub again: u64,
    /// After each kill: until the first, and the last, of what was lost began again.
    pub recoveries_ms: Vec<(u64, u64)>,
}

/// Compares everything.
pub fn verify(
    contents: &Contents,
    acked: &[Acked],
    book: &Book,
    done: &Done,
    once: bool,
) -> Verdict {
    let mut verdict = Verdict::default();
    verdict.tell("", violations(contents).iter().map(ToString::to_string).collect());
    verdict.tell("", done.wrong.clone());
    outcomes(contents, acked, &mut verdict);
    totals(contents, &mut verdict);
    executions(contents, acked, book, once, &mut verdict);
    verdict.recoveries_ms = done.kills.iter().filter_map(|kill| recovery(*kill, book)).collect();
    verdict
}

impl Verdict {
    fn tell(&mut self, prefix: &str, all: Vec<String>) {
        let more = all.len().saturating_sub(MOST_TOLD);
        self.violations.extend(all.into_iter().take(MOST_TOLD).map(|one| format!("{prefix}{one}")));
        if more > 0 {
            self.violations.push(format!("{prefix}and {more} more of this kind"));
        }
    }
}

const FINAL: [State; 4] = [State::Succeeded, State::Failed, State::Cancelled, State::Expired];

/// The state that a stored outcome tells. Long ones are cut when they are read.
fn state_of(text: &[u8]) -> Option<State> {
    let text = String::from_utf8_lossy(text);
    let (_, rest) = text.split_once("\"state\":\"")?;
    let word = rest.split('"').next()?;
    FINAL.into_iter().find(|state| state.as_str() == word)
}

/// Every acknowledged task has one outcome, and the right one.
fn outcomes(contents: &Contents, acked: &[Acked], verdict: &mut Verdict) {
    let (mut lost, mut wrong) = (Vec::new(), Vec::new());
    for Acked { id, kind, expect, .. } in acked {
        let text = contents.text(&format!("result:{id}"));
        let Some(state) = state_of(text) else {
            lost.push(format!("{kind} {id} has no outcome"));
            continue;
        };
        if !expect.states.contains(&state) {
            wrong.push(format!("{kind} {id} has {state}: {}", String::from_utf8_lossy(text)));
            continue;
        }
        let outcome: Option<Outcome> = serde_json::from_slice(text).ok();
        let (Some(outcome), Some(expected)) = (outcome, &expect.result) else { continue };
        let result = outcome.result.and_then(|result| serde_json::from_str(result.get()).ok());
        if state == State::Succeeded && result.as_ref() != Some(expected) {
            wrong.push(format!("{kind} {id} returned {result:?} and not {expected}"));
        }
    }
    verdict.tell("lost: ", lost);
    verdict.tell("wrong: ", wrong);
    for (_, stored) in contents.with("result:") {
        let Held::Text(text) = &stored.held else { continue };
        let word = state_of(text).map_or("unreadable".to_owned(), |state| state.to_string());
        *verdict.outcomes.entry(word).or_default() += 1;
    }
}

/// The totals of Redis are the outcomes, each counted once.
fn totals(contents: &Contents, verdict: &mut Verdict) {
    let mut truth: BTreeMap<&str, u64> = BTreeMap::new();
    let mut count = |name, by| *truth.entry(name).or_default() += by;
    for (id, stored) in contents.with("result:") {
        let Held::Text(text) = &stored.held else { continue };
        let state = state_of(text);
        let job = contents.hash(&format!("job:{id}"));
        if job.is_empty() {
            count("enqueued", 1);
            match state {
                Some(State::Succeeded) => count("succeeded", 1),
                Some(State::Failed) => count("failed", 1),
                Some(State::Cancelled) => count("cancelled", 1),
                Some(State::Expired) => count("expired", 1),
                _ => {}
            }
        }
    }
    for (id, _) in contents.with("job:") {
        let job = contents.hash(&format!("job:{id}"));
        let number = |field: &str| job.get(field).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        if id.contains(':') {
            continue;
        }
        count("enqueued", number("total"));
        count("succeeded", number("done"));
        count("failed", number("failed"));
        verdict.chunks += number("total");
        // The specification names the reducer; one that succeeded is a task that did.
        let reduces = job.get("spec").is_some_and(|spec| spec.contains("\"reduce\":"));
        let own = job.get("failed_task").is_some_and(|task| task == id);
        match job.get("state").map(String::as_str) {
            Some("succeeded") if reduces => count("succeeded", 1),
            Some("failed") if reduces && own => count("failed", 1),
            _ => {}
        }
    }
    let stats = contents.hash("stats");
    for name in ["enqueued", "succeeded", "failed", "cancelled", "expired"] {
        let says = stats.get(name).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        let is = truth.get(name).copied().unwrap_or(0);
        if says != is {
            verdict.violations.push(format!("count: {is} {name}, and {says} are counted"));
        }
    }
}

/// What the ledger says of executions.
fn executions(
    contents: &Contents,
    acked: &[Acked],
    book: &Book,
    once: bool,
    verdict: &mut Verdict,
) {
    let (mut never, mut early, mut twice) = (Vec::new(), Vec::new(), Vec::new());
    for lines in book.values() {
        *verdict.executions.entry(lines.len() as u64).or_default() += 1;
    }
    for Acked { id, kind, expect, at } in acked.iter().filter(|acked| acked.expect.chunks == 0) {
        let id = id.to_string();
        let lines = book.get(&id).map_or(&[][..], Vec::as_slice);
        let succeeded = state_of(contents.text(&format!("result:{id}"))) == Some(State::Succeeded);
        let ended_well = |word: &str| {
            lines.iter().any(|line| line.ended.as_ref().is_some_and(|(_, it)| it == word))
        };
        if succeeded && !ended_well("ok") {
            never.push(format!("{kind} {id} succeeded, and no execution of it did"));
        }
        if let Some(first) = lines.first().filter(|first| first.began < at + expect.delay_ms) {
            early.push(format!(
                "{kind} {id} began {} ms too early",
                at + expect.delay_ms - first.began
            ));
        }
        let wanted = u64::from(expect.failures.unwrap_or(0)) + 1;
        let failed_for_good = expect.states == [State::Failed];
        let most = if failed_for_good { wanted - 1 } else { wanted };
        let more = (lines.len() as u64).saturating_sub(most);
        verdict.again += more;
        if once && more > 0 {
            twice.push(format!("{kind} {id} ran {} times instead of {most}", lines.len()));
        }
    }
    verdict.tell("ledger: ", never);
    verdict.tell("ledger: ", early);
    verdict.tell("second run: ", twice);
}

/// After a worker was killed: how long until the first, and the last, of what it ran began again.
fn recovery((pid, at): (u32, u64), book: &Book) -> Option<(u64, u64)> {
    let mut waits = Vec::new();
    for lines in book.values() {
        let held =
            lines.iter().any(|line| line.pid == pid && line.ended.is_none() && line.began <= at);
        let next = lines.iter().filter(|line| line.pid != pid && line.began >= at);
        if let (true, Some(next)) = (held, next.map(|line| line.began).min()) {
            waits.push(next - at);
        }
    }
    Some((*waits.iter().min()?, *waits.iter().max()?))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use celeriac::{TaskId, Timestamp};
    use celeriac_broker_schema::check::Stored;

    use super::*;
    use crate::dice::Dice;
    use crate::ledger::Line;
    use crate::load;

    /// A short task that was acknowledged, succeeded, was counted and ran once.
    struct Sound {
        acked: Vec<Acked>,
        contents: Contents,
        book: Book,
    }

    fn sound() -> Sound {
        let mut dice = Dice::new(1, "test");
        let (kind, order) = std::iter::repeat_with(|| load::next(&mut dice))
            .find(|(kind, _)| *kind == "short")
            .expect("most of them are");
        let id = TaskId::new(Timestamp(1));
        let result = order.expect.result.clone().expect("it is known");
        let outcome = format!(r#"{{"v":1,"state":"succeeded","result":{result},"ended":9}}"#);
        let mut contents = Contents::default();
        let held = |held, expires| Stored { expires, held };
        contents.keys.insert(format!("result:{id}"), held(Held::Text(outcome.into()), true));
        let stats = [("enqueued", "1"), ("succeeded", "1")];
        let stats = stats.map(|(name, n)| (name.to_owned(), n.to_owned()));
        contents.keys.insert("stats".to_owned(), held(Held::Hash(stats.into()), false));
        let line = Line { pid: 1, attempt: 1, began: 100, ended: Some((110, "ok".to_owned())) };
        let acked = Acked { id, kind, expect: order.expect, at: 50 };
        Sound { acked: vec![acked], contents, book: [(id.to_string(), vec![line])].into() }
    }

    fn violations_of(change: impl FnOnce(&mut Sound), once: bool) -> Vec<String> {
        let mut it = sound();
        change(&mut it);
        verify(&it.contents, &it.acked, &it.book, &Done::default(), once).violations
    }

    #[test]
    fn what_is_as_it_must_be_is_no_violation() {
        assert_eq!(violations_of(|_| {}, true), [""; 0]);
    }

    #[test]
    fn everything_that_must_not_be_is_found() {
        let lines =
            |it: &mut Sound, change: fn(&mut Vec<Line>)| it.book.values_mut().for_each(change);
        let first = |found: Vec<String>| found.first().cloned().unwrap_or_default();
        let lost =
            first(violations_of(|it| it.contents.keys.retain(|key, _| key == "stats"), false));
        assert!(lost.contains("has no outcome"), "{lost}");
        let wrong = first(violations_of(|it| it.acked[0].expect.result = Some(77.into()), false));
        assert!(wrong.contains("and not 77"), "{wrong}");
        let state = first(violations_of(|it| it.acked[0].expect.states = &[State::Failed], false));
        assert!(state.starts_with("wrong: "), "{state}");
        let twice = violations_of(
            |it| {
                let stats: BTreeMap<String, String> = [("enqueued", "1"), ("succeeded", "2")]
                    .map(|(a, b)| (a.into(), b.into()))
                    .into();
                it.contents.keys.get_mut("stats").expect("it is there").held = Held::Hash(stats);
            },
            false,
        );
        assert_eq!(twice, ["count: 1 succeeded, and 2 are counted"]);
        let never = first(violations_of(|it| lines(it, Vec::clear), false));
        assert!(never.contains("no execution of it did"), "{never}");
        let early = first(violations_of(|it| it.acked[0].at = 200, false));
        assert!(early.contains("100 ms too early"), "{early}");
        let again = |it: &mut Sound| lines(it, |lines| lines.push(lines[0].clone()));
        let second = first(violations_of(again, true));
        assert!(second.contains("ran 2 times instead of 1"), "{second}");
        assert_eq!(violations_of(again, false), [""; 0]);
    }

    #[test]
    fn a_recovery_is_from_the_kill_to_the_next_beginning() {
        let line = |pid, began, ended: Option<u64>| Line {
            pid,
            attempt: 1,
            began,
            ended: ended.map(|at| (at, "ok".to_owned())),
        };
        let book: Book = [
            ("a".to_owned(), vec![line(1, 90, None), line(2, 1_500, Some(1_600))]),
            ("b".to_owned(), vec![line(1, 80, None), line(3, 2_500, Some(2_600))]),
            ("c".to_owned(), vec![line(1, 80, Some(95)), line(3, 110, Some(120))]),
        ]
        .into();
        assert_eq!(recovery((1, 100), &book), Some((1_400, 2_400)));
        assert_eq!(recovery((9, 100), &book), None);
    }
}
