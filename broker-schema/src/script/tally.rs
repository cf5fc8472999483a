//! `tally`: what a worker or producer has counted.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::figures::Figures;
use crate::history::OTHER;
use crate::keys::Keys;
use crate::recent::RecentTask;
use crate::reply::Reply;
use crate::script::script;
use crate::time::Timestamp;

script!(TALLY, "tally", " flags=allow-oom", ["base", "ready", "figures"]);

/// Most pairs of queue and task in one call.
pub(crate) const MOST_PAIRS: usize = 50;

/// What was counted since the last time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    /// For how long it was counted, in milliseconds.
    pub over_ms: u64,
    /// Queue, name of the tasks, and their figures.
    pub pairs: Vec<(String, String, Figures)>,
    /// Tasks that succeeded or were cancelled lately: a sample, if there are many.
    pub recent: Vec<RecentTask>,
}

/// Most pairs of queue and task that are told apart.
const PAIRS_APART: usize = 120;

impl Tally {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty() && self.recent.is_empty()
    }

    /// The figures of a pair of queue and task. With too many pairs, some go under the name of
    /// [`OTHER`].
    pub fn of(&mut self, queue: &str, task: &str) -> &mut Figures {
        let at = |pairs: &[(String, String, Figures)], queue: &str, task: &str| {
            pairs.iter().position(|(of, name, _)| name == task && of == queue)
        };
        let pairs = &mut self.pairs;
        let found = at(pairs, queue, task).unwrap_or_else(|| {
            let apart = pairs.len() < PAIRS_APART;
            let (queue, task) = if apart { (queue, task) } else { (OTHER, OTHER) };
            at(pairs, queue, task).unwrap_or_else(|| {
                pairs.push((queue.to_owned(), task.to_owned(), Figures::default()));
                pairs.len() - 1
            })
        });
        // The one that was asked for last is mostly the next one, too.
        pairs.swap(0, found);
        &mut pairs[0].2
    }
}

/// The answer to what was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tallied {
    /// Redis time.
    pub now: Timestamp,
    /// How many leases there are: in a large fleet everybody tells less often.
    pub leases: u64,
}

pub(crate) async fn tally(
    connections: &Connections,
    keys: &Keys,
    over_ms: u64,
    pairs: &[(String, String, Figures)],
    recent: &[RecentTask],
) -> Result<Tallied, BrokerError> {
    let mut command = TALLY.command(keys.prefix());
    command.arg(over_ms).arg(pairs.len());
    for (queue, task, figures) in pairs {
        command.arg(queue).arg(task).arg(figures.encode());
    }
    for task in recent {
        command.arg(task.state.as_str());
        command.arg(serde_json::to_string(task).expect("our own types are always JSON"));
    }
    let mut reply = Reply::new(TALLY.name, connections.run(&TALLY, &command).await?)?;
    Ok(Tallied { now: Timestamp(reply.number("now")?), leases: reply.number("leases")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Event;

    #[test]
    fn pairs_are_bounded() {
        let mut tally = Tally::default();
        for n in 0..1_000 {
            tally.of("q", &format!("t{n}")).counts.add(Event::Retried, 1);
            tally.of("q", "t0").counts.add(Event::Failed, 1);
        }

        assert_eq!(tally.pairs.len(), PAIRS_APART + 1);
        let mut of = |queue: &str, task: &str| tally.of(queue, task).counts;
        assert_eq!(of("q", "t119").of(Event::Retried), 1);
        assert_eq!(of(OTHER, OTHER).of(Event::Retried), 1_000 - PAIRS_APART as u64);
        assert_eq!(of("q", "t0").of(Event::Failed), 1_000);
    }
}
