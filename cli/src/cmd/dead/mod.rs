//! `celeriac dead`: tasks that failed for good: list, group, show, revive, delete.

mod act;
mod list;
mod show;

use celeriac_broker_schema::{Broker, DeadFilter, DeadLetter, QueueName, TaskId, Timestamp};

use crate::args::values::Due;
use crate::args::{DeadAction, DeadArgs, DeadFilterArgs};
use crate::error::CliError;
use crate::globals::Globals;

/// Dead letters in one call.
const PAGE: u32 = 200;

pub(crate) async fn run(args: DeadArgs, globals: &Globals) -> Result<(), CliError> {
    match args.action {
        None if args.group => list::groups(&args, globals).await,
        None => list::letters(&args, globals).await,
        Some(DeadAction::Show { id }) => show::run(&id, globals).await,
        Some(DeadAction::Revive(args)) => act::run(args, act::Act::Revive, globals).await,
        Some(DeadAction::Delete(args)) => act::run(args, act::Act::Delete, globals).await,
    }
}

/// The dead letters that are meant, page by page, the newest first. What dies meanwhile is left out.
struct Walk<'a> {
    broker: &'a Broker,
    filter: DeadFilter,
    /// Redis time when it began.
    now: Timestamp,
    /// How many dead letters there were, whether meant or not.
    total: u64,
    /// The one before the next page; none before the first.
    after: Option<(Timestamp, TaskId)>,
    over: bool,
}

impl<'a> Walk<'a> {
    async fn begin(broker: &'a Broker, args: DeadFilterArgs) -> Result<Self, CliError> {
        let first = broker.dead(None, 1).await?;
        let since = args.since.map(|since| match since {
            Due::After(ago) => Timestamp(first.now.0.saturating_sub(ago.as_millis() as u64)),
            Due::At(at) => at,
        });
        let filter = DeadFilter {
            queue: args.queue.map(QueueName::new).transpose()?,
            task: args.task,
            error: args.error,
            fingerprint: args.fingerprint,
            since,
        };
        let (now, total) = (first.now, first.total);
        Ok(Self { broker, filter, now, total, after: None, over: false })
    }

    /// Those of the next page that are meant, which may be none; None at the end.
    async fn next(&mut self) -> Result<Option<Vec<DeadLetter>>, CliError> {
        if self.over {
            return Ok(None);
        }
        let mut page = self.broker.dead(self.after, PAGE).await?;
        self.after = page.next;
        let is_over = |letter: &DeadLetter| self.filter.is_over(letter);
        self.over = page.next.is_none() || page.letters.last().is_some_and(is_over);
        page.letters.retain(|letter| self.filter.matches(letter));
        Ok(Some(page.letters))
    }
}
