//! Figures: told by workers and producers, and read as series over time.

use super::{Broker, Inner};
use crate::error::BrokerError;
use crate::figures::{Counts, Figures};
use crate::history::{Bucket, History, HistoryQuery, Step};
use crate::script::{self, Buckets, Tallied, Tally};
use crate::time::Timestamp;

/// How often figures are read anew because minutes were added up meanwhile.
const TRIES: usize = 3;

/// All that was ever counted, by queue and task.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FiguresInAll {
    /// Queue, name of the tasks, and their figures. With more than about a hundred pairs, some go
    /// under the name of [`crate::history::OTHER`].
    pub pairs: Vec<(String, String, Figures)>,
    /// What was counted in the namespace, whoever did it.
    pub counts: Counts,
}

impl Broker {
    /// Adds what a worker or a producer has counted to the figures of this minute. What is lost on its
    /// way is lost: figures decide nothing. With very many pairs it takes several calls.
    ///
    /// # Errors
    /// Whatever keeps us from the server; a part may have been added.
    pub async fn tally(&self, tally: &Tally) -> Result<Tallied, BrokerError> {
        let Inner { connections, keys, .. } = &*self.inner;
        let (first, rest) = tally.pairs.split_at(tally.pairs.len().min(script::TALLY_MOST_PAIRS));
        let mut told =
            script::tally(connections, keys, tally.over_ms, first, &tally.recent).await?;
        for pairs in rest.chunks(script::TALLY_MOST_PAIRS) {
            told = script::tally(connections, keys, tally.over_ms, pairs, &[]).await?;
        }
        Ok(told)
    }

    /// Figures over time: counts, how long tasks waited and ran, and what was ready. Of a long time
    /// it takes several calls, each of them bounded.
    ///
    /// ```no_run
    /// # async fn example(broker: celeriac_broker_schema::Broker) -> Result<(), Box<dyn std::error::Error>> {
    /// use celeriac_broker_schema::figures::Event;
    /// use celeriac_broker_schema::history::{By, HistoryQuery};
    ///
    /// let hour = broker.history(&HistoryQuery::back(3_600_000).by(By::Queue)).await?;
    /// for series in &hour.series {
    ///     let succeeded = series.points.iter().map(|point| point.figures.counts.of(Event::Succeeded));
    ///     println!("{}: {}", series.name.as_deref().unwrap_or("all"), succeeded.sum::<u64>());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn history(&self, query: &HistoryQuery) -> Result<History, BrokerError> {
        let level = match query.step {
            Step::Minute => None,
            Step::TenMinutes => Some("ten"),
            Step::Hour => Some("hour"),
        };
        let now = self.buckets("minute", Timestamp(1), Timestamp(0)).await?.now;
        let from = query.from(now);
        let page = match level {
            None => self.buckets("minute", from, now).await?,
            Some(level) => self.rolled(level, from, now).await?,
        };
        let step = query.step.ms();
        let buckets: Vec<Bucket> = page
            .buckets
            .into_iter()
            .map(|b| Bucket { at: Timestamp(b.at.0 / step * step), ..b })
            .collect();
        Ok(History::of(query, now, page.since, &buckets))
    }

    /// All that was ever counted: for whoever keeps series elsewhere.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn figures_in_all(&self) -> Result<FiguresInAll, BrokerError> {
        let now = self.buckets("minute", Timestamp(1), Timestamp(0)).await?.now;
        let page = self.rolled("total", Timestamp(0), now).await?;
        let mut all = FiguresInAll::default();
        let mut pairs = std::collections::BTreeMap::<(String, String), Figures>::new();
        for bucket in page.buckets {
            all.counts.merge(&bucket.all);
            for (queue, task, figures) in bucket.pairs {
                pairs.entry((queue, task)).or_default().merge(&figures);
            }
        }
        all.pairs = pairs.into_iter().map(|((queue, task), f)| (queue, task, f)).collect();
        Ok(all)
    }

    /// The buckets of a coarse level, and the minutes that are not in them yet.
    async fn rolled(
        &self,
        level: &str,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Buckets, BrokerError> {
        let mut tries = 0;
        loop {
            let mut coarse = self.buckets(level, from, to).await?;
            // Before the first telling there are none, and no more than are kept.
            let kept = to.0.saturating_sub(Step::Minute.kept_ms());
            let since = if coarse.until.0 == 0 { to } else { coarse.until };
            let minutes = self.buckets("minute", since.max(from).max(Timestamp(kept)), to).await?;
            // Nothing must be missed or counted twice.
            let again = self.buckets(level, Timestamp(1), Timestamp(0)).await?;
            tries += 1;
            if again.until == coarse.until || tries == TRIES {
                coarse.buckets.extend(minutes.buckets);
                return Ok(coarse);
            }
        }
    }

    /// All buckets of a level in this time.
    async fn buckets(
        &self,
        level: &str,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Buckets, BrokerError> {
        let Inner { connections, keys, .. } = &*self.inner;
        let mut all = script::history(connections, keys, level, (from, to)).await?;
        while let Some(next) = all.next {
            let page = script::history(connections, keys, level, (next, to)).await?;
            all.next = page.next;
            all.buckets.extend(page.buckets);
        }
        Ok(all)
    }
}
