//! What a running member adds to its job: it takes effect with the completion of the member, or not at all.

use celeriac_broker_schema::limits::{MAX_BATCH, MAX_BATCH_BYTES};
use celeriac_broker_schema::workflow::{Edit, MemberTerms, Stretch};

use super::compile::Compiler;
use super::{Node, Plan};
use crate::error::{InvalidWorkflow, Problem};

/// What one member wants to add.
#[derive(Debug, Clone, Default)]
pub struct Spawns {
    /// What takes its place: what follows it waits for this, and is given its result.
    pub instead: Option<Node>,
    /// What joins the group that it is in: what follows the group waits for these, too.
    pub joined: Vec<Node>,
    /// What its job does besides: only the end of the job waits for it.
    pub beside: Vec<Node>,
}

/// The same in the form in which it is told.
#[derive(Debug, Clone)]
pub struct Spawn {
    /// What is added. Members are numbered from the first one that is added.
    pub edits: Vec<Edit>,
    /// How many of them the end of the job waits for.
    pub ends: u64,
    /// Those of them that what follows the group waits for, too.
    pub joined: Vec<Stretch>,
    /// The one of them that stands for what takes the place of the member.
    pub instead: Option<u64>,
}

impl Spawns {
    /// Whether there is nothing to add.
    pub fn is_empty(&self) -> bool {
        self.instead.is_none() && self.joined.is_empty() && self.beside.is_empty()
    }

    /// Turns it into what is told. `parent`: the terms of the member that spawns.
    ///
    /// # Errors
    /// All that is wrong with it; more than one call can carry is one problem.
    pub fn into_spawn(self, parent: &MemberTerms) -> Result<Spawn, InvalidWorkflow> {
        let mut compiler = Compiler::default();
        compiler.depth = parent.depth + 1;
        let (mut instead, mut joined, mut beside) = (None, Vec::new(), Vec::new());
        if let Some(node) = self.instead {
            instead = Some(compiler.in_place_of_parent(node));
        }
        for node in self.joined {
            joined.push(compiler.beside_parent(node, parent));
        }
        for node in self.beside {
            beside.extend(compiler.besides(node));
        }
        let (mut plan, numbers) = compiler.finish(&beside)?;
        let number = |draft: usize| numbers[draft] as u64;
        let joined: Vec<u64> = joined.into_iter().map(number).collect();
        plan.refuse_what_is_not_added()?;
        let parts = plan.edits(Vec::new(), Vec::new());
        let weight = |edits: &[Edit]| edits.iter().map(Edit::weight).sum::<usize>();
        if parts.len() > 1 || parts.iter().any(|edits| weight(edits) > MAX_BATCH) {
            let reason = format!(
                "one task spawns at most about {MAX_BATCH} tasks and {MAX_BATCH_BYTES} bytes: let the tasks that it spawns spawn the rest"
            );
            return Err(InvalidWorkflow {
                problems: vec![Problem { path: String::new(), reason }],
            });
        }
        Ok(Spawn {
            edits: parts.into_iter().flatten().collect(),
            ends: plan.ends,
            joined: stretches(&joined),
            instead: instead.map(number),
        })
    }
}

/// Numbers in order as stretches.
pub(super) fn stretches(numbers: &[u64]) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    for &number in numbers {
        match stretches.last_mut() {
            Some((_, hi)) if *hi == number => *hi += 1,
            _ => stretches.push((number, number + 1)),
        }
    }
    stretches
}

impl Plan {
    /// What is added to a job that runs has no callbacks and no accumulators of its own, which are a matter of
    /// the job; better no addition than one that drops them.
    pub(super) fn refuse_what_is_not_added(&self) -> Result<(), InvalidWorkflow> {
        let mut problems = Vec::new();
        let mut refuse = |what: &str| {
            let reason = format!("what is added to a job that runs cannot have {what} of its own");
            problems.push(Problem { path: String::new(), reason });
        };
        if !self.callbacks.is_empty() {
            refuse("callbacks");
        }
        if !self.accumulate.is_empty() {
            refuse("accumulators");
        }
        if problems.is_empty() { Ok(()) } else { Err(InvalidWorkflow { problems }) }
    }
}
