//! Who looks at what right now: the poller reads only what somebody looks at.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::topic::Topic;

/// The live pages, counted by topic.
#[derive(Debug, Default)]
pub(crate) struct Viewers {
    counts: Mutex<BTreeMap<Topic, usize>>,
}

impl Viewers {
    /// Counts a viewer for as long as the answer lives; None if there are `most` already.
    pub(crate) fn join(self: &Arc<Self>, topic: Topic, most: usize) -> Option<Viewer> {
        let mut counts = self.counts();
        if counts.values().sum::<usize>() >= most {
            return None;
        }
        *counts.entry(topic.clone()).or_default() += 1;
        Some(Viewer { viewers: Arc::clone(self), topic })
    }

    pub(crate) fn count(&self) -> usize {
        self.counts().values().sum()
    }

    pub(crate) fn topics(&self) -> Vec<Topic> {
        self.counts().keys().cloned().collect()
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<Topic, usize>> {
        self.counts.lock().expect("no panic while the lock is held")
    }
}

/// One live page.
#[derive(Debug)]
pub(crate) struct Viewer {
    viewers: Arc<Viewers>,
    topic: Topic,
}

impl Viewer {
    pub(crate) fn topic(&self) -> &Topic {
        &self.topic
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        let mut counts = self.viewers.counts();
        if let Some(count) = counts.get_mut(&self.topic) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.topic);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::Span;

    #[test]
    fn a_viewer_counts_while_it_lives() {
        let viewers = Arc::new(Viewers::default());
        let first = viewers.join(Topic::Overview(Span::Hour), 2).expect("the first");
        let second = viewers.join(Topic::Overview(Span::Hour), 2).expect("the second");
        assert!(viewers.join(Topic::Overview(Span::Hour), 2).is_none());
        drop(first);
        assert_eq!((viewers.count(), viewers.topics()), (1, vec![Topic::Overview(Span::Hour)]));
        drop(second);
        assert_eq!((viewers.count(), viewers.topics()), (0, vec![]));
    }
}
