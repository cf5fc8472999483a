//! Anything may happen to anything: each task stays in one place, and what is counted is there.

use super::*;

on_both_servers![whatever_happens_everything_is_in_one_place,];

/// As [`entry_of`], in a queue.
fn entry_at(name: &str, task: &str, tenant: Option<&str>, of: &str) -> Entry {
    let mut entry = entry_of(name, task, tenant);
    let record = Record::decode(&entry.record).expect("a record");
    let options = TaskOptions { queue: queue(of), ..record.options() };
    let task = task.parse().expect("a name");
    let encoded = Record::new(&task, record.args, &options).encode().expect("a record");
    entry.queue = queue(of);
    Entry { record: encoded, ..entry }
}

/// A world in which anything may come next. The same seed is the same story.
struct Story {
    world: World,
    seed: u64,
    number: u32,
    alive: Vec<String>,
    held: Vec<(String, String)>,
}

impl Story {
    fn random(&mut self, below: usize) -> usize {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.seed >> 33) as usize % below
    }

    fn any(&mut self) -> &'static str {
        [QUEUE, "x"][self.random(2)]
    }

    async fn enqueue(&mut self) {
        for _ in 0..=self.random(5) {
            self.number += 1;
            let name = format!("n{}", self.number);
            let tenant = [None, Some("x"), Some("y")][self.random(3)];
            let task = ["t", "u"][self.random(2)];
            let later = self.random(6) == 0;
            let mut entry = entry_at(&name, task, tenant, self.any());
            if later {
                entry.start = Start { delay_ms: Some(HOUR_MS), ..Start::default() };
            }
            if self.random(5) == 0 {
                let mode = [UniqueMode::KeepLast, UniqueMode::UntilDone, DEBOUNCE][self.random(3)];
                entry.unique = keyed(&name, mode).unique;
                entry.start = Start::default();
            }
            self.world.enqueue_all(&[entry]).await;
            self.alive.push(name);
        }
    }

    async fn claim(&mut self) {
        let (lease, want) = (["w1", "w2"][self.random(2)], 1 + self.random(5));
        let grant = self.world.claim_as(lease, Ask::want(want).from(&[QUEUE, "x"])).await;
        let given = names(&grant.tasks).into_iter().map(|name| (lease.to_owned(), name));
        self.held.extend(given);
    }

    async fn end_one(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let which = self.random(self.held.len());
        let (lease, name) = self.held.swap_remove(which);
        let ending = match self.random(6) {
            0 => failed(&name),
            1 => retry(&name, 0),
            2 => retry(&name, HOUR_MS),
            3 => released(&name),
            _ => done(&name),
        };
        self.world.complete(&lease, &[ending]).await;
    }

    async fn act(&mut self) {
        match self.random(13) {
            0..=2 => self.enqueue().await,
            3..=5 => self.claim().await,
            6 | 7 if !self.alive.is_empty() => {
                let which = self.random(self.alive.len());
                let name = self.alive.swap_remove(which);
                let nobody = Requester::default();
                self.world.broker.cancel(&[id(&name)], &nobody).await.expect("an answer");
            }
            8 => {
                let most = [None, Some(3)][self.random(2)];
                let from = self.any();
                self.world.carry(from, if from == "x" { QUEUE } else { "x" }, most).await;
            }
            9 if self.random(3) == 0 => {
                let (of, delayed) = (self.any(), self.random(2) == 0);
                self.world.purge(of, delayed).await;
            }
            10 => {
                let control = [Control::Pause, Control::Resume][self.random(2)];
                let of = self.any();
                self.world.control(of, control).await;
            }
            11 => {
                let (of, on) = (self.any(), self.random(2) == 0);
                self.world.broker.fair(&queue(of), on, &ada()).await.expect("it is set");
            }
            _ => self.end_one().await,
        }
    }

    async fn check(&self) {
        self.world.assert_depths().await;
        self.world.assert_one_place().await;
        self.world.assert_places().await;
    }
}

async fn whatever_happens_everything_is_in_one_place(world: World) {
    for (subject, most) in [("task:t", 4), ("tenant:*", 3), ("queue:x", 5)] {
        world.limit(subject, Some(at_once(most))).await;
    }
    world.limit("task:u", Some(rate(1, 2, 2))).await;
    for lease in ["w1", "w2"] {
        world.open(lease).await;
    }
    let mut story = Story { world, seed: 7_919, number: 0, alive: vec![], held: vec![] };
    for step in 0..400 {
        story.act().await;
        if step % 4 == 0 {
            story.check().await;
        }
    }
    // All of it comes to an end.
    for of in [QUEUE, "x"] {
        story.world.control(of, Control::Resume).await;
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    while story.world.broker.snapshot(9, 9).await.expect("a snapshot").tasks > 0
        || story.world.state().await.contains_key("tombstones")
    {
        assert!(Instant::now() < deadline, "something is left: {:?}", story.world.state().await);
        story.world.delays_pass().await;
        story.claim().await;
        while !story.held.is_empty() {
            story.end_one().await;
        }
        story.check().await;
    }
    for of in [QUEUE, "x"] {
        story.world.purge(of, true).await;
    }
    story.check().await;
    let state = story.world.state().await;
    for key in ["held", "holding", "locks", "moved", "tombstones", "waiting", "unique:k"] {
        assert!(!state.contains_key(key), "{key} is left: {state:#?}");
    }
}
