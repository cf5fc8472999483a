//! The past, read for many: whoever asks for the same within a few seconds is answered with what was
//! read for the first, so that a hundred viewers cost Redis as much as one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use celeriac_broker_schema::{Broker, BrokerError, FiguresInAll, HistoryQuery};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::model::History;

/// How long an answer is good enough. Figures are told about once a second.
const GOOD: Duration = Duration::from_secs(2);

/// Most answers that are kept.
const MOST: usize = 32;

/// What was read lately.
#[derive(Debug, Default)]
pub(crate) struct Past {
    answers: Mutex<HashMap<HistoryQuery, (Instant, Arc<History>)>>,
    in_all: Mutex<Option<(Instant, Arc<FiguresInAll>)>>,
}

impl Past {
    /// Figures over time. While they are read for one, the others wait for them.
    pub(crate) async fn history(
        &self,
        broker: &Broker,
        query: &HistoryQuery,
    ) -> Result<Arc<History>, BrokerError> {
        let mut answers = self.answers.lock().await;
        if let Some((at, history)) = answers.get(query)
            && at.elapsed() < GOOD
        {
            return Ok(Arc::clone(history));
        }
        let history = Arc::new(History::new(&broker.history(query).await?));
        if answers.len() >= MOST {
            answers.retain(|_, (at, _)| at.elapsed() < GOOD);
        }
        if answers.len() < MOST {
            answers.insert(query.clone(), (Instant::now(), Arc::clone(&history)));
        }
        Ok(history)
    }

    /// All that was ever counted.
    pub(crate) async fn in_all(&self, broker: &Broker) -> Result<Arc<FiguresInAll>, BrokerError> {
        let mut answer = self.in_all.lock().await;
        if let Some((at, all)) = &*answer
            && at.elapsed() < GOOD
        {
            return Ok(Arc::clone(all));
        }
        let all = Arc::new(broker.figures_in_all().await?);
        *answer = Some((Instant::now(), Arc::clone(&all)));
        Ok(all)
    }
}
