//! The queues that a worker serves: with its labels, in which order, and how many of its slots each
//! may have. Pure: randomness and counts are passed in.

use std::borrow::Cow;

use celeriac_broker_schema::{InvalidInput, QueueName};

use crate::config::WorkerConfig;

/// The queues of a worker, sub-queues of its labels included.
#[derive(Debug)]
pub(crate) struct Served {
    /// As they were given.
    queues: Vec<QueueName>,
    names: Vec<QueueName>,
    /// The weight of each; None where the order is strict.
    weights: Option<Vec<f64>>,
    /// The class of each: which slots it may have.
    classes: Vec<usize>,
    reserve: Reserve,
}

impl Served {
    /// # Errors
    /// The name of a sub-queue would be too long.
    pub(crate) fn new(config: &WorkerConfig) -> Result<Self, InvalidInput> {
        let (mut names, mut weights, mut classes) = (Vec::new(), Vec::new(), Vec::new());
        let others = config.reserve.len();
        for queue in &config.queues {
            let weight = config.weights.get(queue).copied().unwrap_or(1);
            let class = config.reserve.keys().position(|reserved| reserved == queue);
            // What only few workers can run goes first.
            for label in &config.labels {
                names.push(queue.labelled(label)?);
            }
            names.push(queue.clone());
            weights.resize(names.len(), f64::from(weight));
            classes.resize(names.len(), class.unwrap_or(others));
        }
        let weights = (!config.weights.is_empty()).then_some(weights);
        Ok(Self {
            queues: config.queues.clone(),
            names,
            weights,
            classes,
            reserve: Reserve::new(config),
        })
    }

    /// The queues without the sub-queues of labels.
    pub(crate) fn queues(&self) -> &[QueueName] {
        &self.queues
    }

    /// All of them, in the order in which they were named.
    pub(crate) fn names(&self) -> &[QueueName] {
        &self.names
    }

    /// The order for one claim. Weighted queues are drawn without putting back: each is first as often
    /// as its weight says, and none starves. `random` gives numbers from 0 to 1.
    pub(crate) fn order(&self, mut random: impl FnMut() -> f64) -> Cow<'_, [QueueName]> {
        let Some(weights) = &self.weights else { return Cow::Borrowed(&self.names) };
        // Exponential clocks of these rates ring in that order (Efraimidis and Spirakis 2006).
        let clock = |weight: &f64, random: f64| -random.max(f64::MIN_POSITIVE).ln() / weight;
        let mut drawn: Vec<(f64, &QueueName)> = weights
            .iter()
            .zip(&self.names)
            .map(|(weight, name)| (clock(weight, random()), name))
            .collect();
        drawn.sort_by(|a, b| a.0.total_cmp(&b.0));
        Cow::Owned(drawn.into_iter().map(|(_, name)| name.clone()).collect())
    }

    /// What begins before what in this worker: smaller numbers first. Queues whose order is strict go
    /// one after the other, and in each of them, or in all together, higher priorities first.
    pub(crate) fn rank(&self, queue: &str, priority: u8) -> usize {
        let place = match &self.weights {
            Some(_) => 0,
            None => self.position(queue),
        };
        place * 10 + usize::from(9 - priority.min(9))
    }

    /// Which slots a queue may have.
    pub(crate) fn class(&self, queue: &str) -> usize {
        if self.reserve.is_empty() {
            return 0;
        }
        // What was claimed from a queue that is not ours any more has no slots of its own.
        self.classes.get(self.position(queue)).copied().unwrap_or(self.reserve.own.len() - 1)
    }

    fn position(&self, queue: &str) -> usize {
        self.names.iter().position(|name| name.as_str() == queue).unwrap_or(self.names.len())
    }

    pub(crate) fn reserve(&self) -> &Reserve {
        &self.reserve
    }
}

/// How the slots are shared out: each class has so many of its own, the rest is for all.
#[derive(Debug, Clone)]
pub(crate) struct Reserve {
    /// Of each class; the last one is that of the queues without a reserve.
    own: Vec<usize>,
    pool: usize,
}

impl Reserve {
    fn new(config: &WorkerConfig) -> Self {
        // Orders may have taken a queue away; its slots are for the others then.
        let of = |(queue, slots): (&QueueName, &usize)| {
            if config.queues.contains(queue) { *slots } else { 0 }
        };
        let mut own: Vec<usize> = config.reserve.iter().map(of).collect();
        own.push(0);
        let pool = config.concurrency.saturating_sub(own.iter().sum());
        Self { own, pool }
    }

    /// Whether nothing is reserved.
    pub(crate) fn is_empty(&self) -> bool {
        self.own.len() == 1
    }

    pub(crate) fn classes(&self) -> usize {
        self.own.len()
    }

    /// Slots that are left for all, while so many units of each class run.
    fn pool_left(&self, running: &[usize]) -> usize {
        let beyond: usize =
            self.own.iter().zip(running).map(|(own, n)| n.saturating_sub(*own)).sum();
        self.pool.saturating_sub(beyond)
    }

    /// Whether one more of a class may begin.
    pub(crate) fn may_begin(&self, class: usize, running: &[usize]) -> bool {
        running[class] < self.own[class] || self.pool_left(running) > 0
    }

    /// Whether a class has slots of its own that are not used.
    pub(crate) fn is_idle(&self, held: &[usize]) -> bool {
        self.own.iter().zip(held).any(|(own, held)| held < own)
    }

    /// How many more units of each class may be claimed into slots of its own, and how many of all
    /// classes together into the others, while so many of each are held; `ahead` of them beyond the
    /// slots.
    pub(crate) fn room(&self, held: &[usize], ahead: usize) -> (Vec<usize>, usize) {
        let with_ahead = |own: usize| if own == 0 { 0 } else { own + ahead };
        let own: Vec<usize> = self.own.iter().map(|own| with_ahead(*own)).collect();
        let beyond: usize = own.iter().zip(held).map(|(own, n)| n.saturating_sub(*own)).sum();
        let left = own.iter().zip(held).map(|(own, n)| own.saturating_sub(*n)).collect();
        (left, (self.pool + ahead).saturating_sub(beyond))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use super::*;

    fn queue(name: &str) -> QueueName {
        name.parse().expect("a queue")
    }

    fn config(names: &[&str]) -> WorkerConfig {
        WorkerConfig {
            queues: names.iter().map(|name| queue(name)).collect(),
            ..Default::default()
        }
    }

    fn weighted(weights: &[(&str, u32)]) -> Served {
        let names: Vec<&str> = weights.iter().map(|(name, _)| *name).collect();
        let weights = weights.iter().map(|(name, weight)| (queue(name), *weight)).collect();
        Served::new(&WorkerConfig { weights, ..config(&names) }).expect("valid")
    }

    /// A number from 0 to 1, the same in every run (xorshift, Marsaglia 2003).
    fn random() -> impl FnMut() -> f64 {
        let mut state = 88_172_645_463_325_252_u64;
        move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1_u64 << 53) as f64
        }
    }

    #[test]
    fn without_weights_the_order_is_strict() {
        let served = Served::new(&config(&["a", "b", "c"])).expect("valid");
        assert_eq!(*served.order(|| unreachable!("nothing is drawn")), ["a", "b", "c"].map(queue));
        assert!(served.rank("a", 0) < served.rank("b", 9));
        assert!(served.rank("b", 9) < served.rank("b", 8));
    }

    #[test]
    fn each_queue_is_first_as_often_as_its_weight_says() {
        let served = weighted(&[("a", 6), ("b", 3), ("c", 1)]);
        let (mut random, mut first) = (random(), HashMap::new());
        for _ in 0..20_000 {
            let order = served.order(&mut random);
            assert_eq!(order.len(), 3, "none is left out");
            *first.entry(order[0].to_string()).or_insert(0) += 1;
        }
        for (name, share) in [("a", 0.6), ("b", 0.3), ("c", 0.1)] {
            let found = f64::from(first[name]) / 20_000.0;
            assert!((found - share).abs() < 0.02, "{name}: {found}");
        }
    }

    #[test]
    fn a_draw_of_zero_is_as_good_as_any() {
        assert_eq!(weighted(&[("a", 1), ("b", 1)]).order(|| 0.0).len(), 2);
    }

    #[test]
    fn labels_come_first_with_the_weight_of_their_queue() {
        let labels = vec!["gpu".parse().expect("a label")];
        let served = Served::new(&WorkerConfig { labels, ..config(&["a", "b"]) }).expect("valid");
        assert_eq!(served.names(), ["a@gpu", "a", "b@gpu", "b"].map(queue));
        let labels = vec!["x".repeat(50).parse().expect("a label")];
        let long = "y".repeat(60);
        assert!(Served::new(&WorkerConfig { labels, ..config(&[&long]) }).is_err());
    }

    fn reserved() -> Served {
        let reserve = BTreeMap::from([(queue("mail"), 2)]);
        let config = WorkerConfig { reserve, concurrency: 4, ..config(&["mail", "batch"]) };
        Served::new(&config).expect("valid")
    }

    #[test]
    fn others_never_get_reserved_slots() {
        let served = reserved();
        let (mail, batch) = (served.class("mail"), served.class("batch"));
        assert_eq!((mail, batch, served.class("gone")), (0, 1, 1));
        let reserve = served.reserve();
        for (running, mail_may, batch_may) in [
            ([0, 0], true, true),
            ([0, 2], true, false),
            ([2, 1], true, true),
            ([2, 2], false, false),
            ([3, 1], false, false),
            ([4, 0], false, false),
        ] {
            let may = [mail, batch].map(|class| reserve.may_begin(class, &running));
            assert_eq!(may, [mail_may, batch_may], "{running:?}");
        }
    }

    #[test]
    fn a_claim_leaves_room_for_those_with_a_reserve() {
        let served = reserved();
        let reserve = served.reserve();
        assert_eq!(reserve.room(&[0, 0], 0), (vec![2, 0], 2));
        assert_eq!(reserve.room(&[0, 2], 0), (vec![2, 0], 0));
        assert_eq!(reserve.room(&[3, 0], 0), (vec![0, 0], 1));
        assert_eq!(reserve.room(&[0, 102], 100), (vec![102, 0], 0));
    }

    #[test]
    fn slots_of_a_queue_that_was_taken_away_are_for_the_others() {
        let reserve = BTreeMap::from([(queue("mail"), 2)]);
        let config = WorkerConfig { reserve, concurrency: 4, ..config(&["batch"]) };
        let served = Served::new(&config).expect("valid");
        assert_eq!(served.reserve().room(&[0, 0], 0), (vec![0, 0], 4));
    }
}
