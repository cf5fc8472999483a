//! One queue.

use celeriac_broker_schema::Timestamp;
use celeriac_broker_schema::script::{Controls, QueueView};
use schemars::JsonSchema;
use serde::Serialize;

/// What waits in a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Queue {
    pub(crate) name: String,
    /// Tasks and chunks that are ready.
    pub(crate) ready: u64,
    /// Of them those that lost their worker twice or more; they are given out one at a time.
    pub(crate) suspects: u64,
    /// Since when its oldest ready task waits, if it was asked for.
    #[serde(skip)]
    pub(crate) oldest: Option<Timestamp>,
    /// The priorities at which something is ready, the highest first.
    pub(crate) priorities: Vec<Ready>,
    /// Whether it is paused, closed or limited: by whom, when and why.
    #[serde(flatten)]
    pub(crate) controls: Controls,
}

/// What is ready at one priority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Ready {
    pub(crate) priority: u8,
    /// Tasks and chunks, if that is known: Redis counts the chunks of ranges for the queue as a
    /// whole.
    pub(crate) ready: Option<u64>,
    /// Elements of the list; a range is one, whatever its chunks.
    pub(crate) elements: u64,
}

impl Queue {
    pub(crate) fn new(view: &QueueView) -> Self {
        let listed = view.ready.saturating_sub(view.suspects);
        let filled = view.elements.iter().filter(|n| **n > 0).count();
        let without_ranges = view.elements.iter().sum::<u64>() == listed;
        let ready_of = |elements: u64| match filled {
            1 => Some(listed),
            _ => without_ranges.then_some(elements),
        };
        let priorities = view.elements.iter().zip(0_u8..=9).rev();
        Self {
            name: view.name.clone(),
            ready: view.ready,
            suspects: view.suspects,
            oldest: None,
            controls: view.controls.clone(),
            priorities: priorities
                .filter(|(elements, _)| **elements > 0)
                .map(|(&elements, priority)| Ready {
                    priority,
                    ready: ready_of(elements),
                    elements,
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(elements: [u64; 10], ready: u64, suspects: u64) -> Vec<(u8, Option<u64>)> {
        let view = QueueView {
            name: "q".to_owned(),
            elements,
            ready,
            suspects,
            controls: Controls::default(),
        };
        let priorities = Queue::new(&view).priorities;
        priorities.iter().map(|r| (r.priority, r.ready)).collect()
    }

    #[test]
    fn chunks_are_given_to_a_priority_only_when_that_is_certain() {
        let plain = ready([0, 2, 0, 0, 0, 3, 0, 0, 0, 1], 7, 1);
        assert_eq!(plain, [(9, Some(1)), (5, Some(3)), (1, Some(2))]);
        let one_range = ready([0, 0, 0, 0, 0, 1, 0, 0, 0, 0], 100, 0);
        assert_eq!(one_range, [(5, Some(100))]);
        let mixed = ready([0, 0, 0, 0, 0, 1, 0, 0, 0, 1], 100, 0);
        assert_eq!(mixed, [(9, None), (5, None)]);
    }
}
