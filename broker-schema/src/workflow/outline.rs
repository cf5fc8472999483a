//! What a workflow looks like, for people: a tree of a bounded number of parts, stored with its job. How
//! many members of each part are done is counted by their stretches (`script/tree.rs`).

use serde::{Deserialize, Serialize};

use super::Stretch;
use crate::id::ChunkIndex;

/// An outline has at most so many parts; what does not fit is summed up as [`OutlineKind::More`]. Workers
/// are told it with each claim, so it must stay small.
pub const MOST_PARTS: usize = 120;
/// A part lies in at most so many stretches that are counted.
const MOST_STRETCHES: usize = 32;

/// A part of a workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outline {
    /// What it is.
    #[serde(rename = "k")]
    pub kind: OutlineKind,
    /// In a graph, its name there.
    #[serde(default, rename = "p", skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// The name of the task.
    #[serde(default, rename = "t", skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// What people call the task.
    #[serde(default, rename = "l", skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// How many tasks it stands for by itself, without its parts.
    #[serde(default, rename = "n", skip_serializing_if = "crate::worker_info::is_zero")]
    pub tasks: u64,
    /// Where these lie among the members of the job; of very scattered ones not all.
    #[serde(default, rename = "at", skip_serializing_if = "Vec::is_empty")]
    pub stretches: Vec<Stretch>,
    /// Its parts.
    #[serde(default, rename = "c", skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Outline>,
}

/// What a part of an outline is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutlineKind {
    /// A task, or many equal ones side by side or one after the other.
    Task,
    /// One after the other.
    Chain,
    /// Side by side.
    Group,
    /// Results that are folded; its last part is the task that does so.
    Fold,
    /// Any graph.
    Graph,
    /// What an outline has no room for.
    More,
}

impl Outline {
    /// A part without tasks.
    pub fn new(kind: OutlineKind) -> Self {
        let (part, task, label) = (None, None, None);
        Self { kind, part, task, label, tasks: 0, stretches: Vec::new(), parts: Vec::new() }
    }

    /// Adds a member to those that it stands for.
    pub fn add(&mut self, index: ChunkIndex) {
        self.tasks += 1;
        let has_room = self.stretches.len() < MOST_STRETCHES;
        match self.stretches.iter_mut().rev().find(|(_, hi)| *hi == index) {
            Some((_, hi)) => *hi += 1,
            None if has_room => self.stretches.push((index, index + 1)),
            None => {}
        }
    }

    /// Calls this for each part, the outer ones first.
    pub fn each<'a>(&'a self, run: &mut impl FnMut(&'a Self)) {
        run(self);
        self.parts.iter().for_each(|part| part.each(run));
    }
}
