//! How a running task of a workflow adds to its job.

use celeriac_producer::workflow::{Node, Spawns};

use super::Context;

impl Context {
    /// Adds a part to the job of this task. Only the end of the job waits for it, and what it returns is not
    /// part of the result. It is added when this attempt succeeds, in the same step, or not at all.
    ///
    /// All three of these methods are for tasks of a workflow: in others, an attempt that calls them fails
    /// for good. How many tasks a job may come to have, and how deep they may spawn one another, is said when
    /// it is enqueued.
    ///
    /// ```
    /// # use celeriac_worker::task::{Context, TaskError};
    /// # use celeriac_producer::NewTask;
    /// fn visit(ctx: &Context, links: &[String]) -> Result<usize, TaskError> {
    ///     for link in links {
    ///         ctx.spawn(NewTask::new("visit", &[link])?);
    ///     }
    ///     Ok(links.len())
    /// }
    /// # assert_eq!(visit(&Context::for_test(), &["/".to_owned()]).unwrap(), 1);
    /// ```
    pub fn spawn(&self, part: impl Into<Node>) {
        self.add(|spawns| spawns.beside.push(part.into()));
    }

    /// Adds a part to the group that this task is in, or in general: whatever waits for this task waits for the
    /// part, too. Its results are given to what follows if that takes what was added to its group; its numbers are
    /// accumulated as those of this task.
    pub fn spawn_into_group(&self, part: impl Into<Node>) {
        self.add(|spawns| spawns.joined.push(part.into()));
    }

    /// Puts a part in the place of this task: whatever waits for this task waits for the part and is given its
    /// result. What the handler returns is dropped. The last call counts.
    pub fn continue_with(&self, part: impl Into<Node>) {
        self.add(|spawns| spawns.instead = Some(part.into()));
    }

    fn add(&self, change: impl FnOnce(&mut Spawns)) {
        change(self.spawns().get_or_insert_default());
    }

    /// What is to be added, and nothing from now on.
    pub(crate) fn take_spawns(&self) -> Option<Box<Spawns>> {
        self.spawns().take()
    }
}
