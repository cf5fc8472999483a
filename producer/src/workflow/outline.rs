//! What a workflow looks like, for people: drawn from the paths of its tasks while the plan is made.

use celeriac_broker_schema::workflow::{MOST_PARTS, Outline, OutlineKind};

use super::Step;

/// Labels are cut to so many characters.
const MOST_LABEL: usize = 40;

/// Draws an outline, task by task, in the order in which they stand in the tree.
#[derive(Debug)]
pub(super) struct Drawing {
    /// Its one part is the outline.
    root: Place,
    parts: usize,
}

/// A part, and where it stands in the one around it.
#[derive(Debug)]
struct Place {
    outline: Outline,
    key: String,
    within: Vec<Place>,
}

impl Place {
    fn new(kind: OutlineKind, key: &str) -> Self {
        Self { outline: Outline::new(kind), key: key.to_owned(), within: Vec::new() }
    }

    fn finish(self) -> Outline {
        let parts = self.within.into_iter().map(Self::finish).collect();
        Outline { parts, ..self.outline }
    }

    /// What there is no room for.
    fn more(&mut self, index: u64) {
        if self.within.last().is_none_or(|last| last.outline.kind != OutlineKind::More) {
            self.within.push(Self::new(OutlineKind::More, ""));
        }
        if let Some(last) = self.within.last_mut() {
            last.outline.add(index);
        }
    }

    /// A task in this part, drawn together with an equal one before it.
    fn task(&mut self, key: &str, step: &Step, index: u64, parts: &mut usize) {
        let task = Some(step.task.name().as_str());
        let label = step.task.meta.label.as_ref();
        let label: Option<String> = label.map(|label| label.chars().take(MOST_LABEL).collect());
        let is_named = self.outline.kind == OutlineKind::Graph;
        let equal = |last: &&mut Self| {
            let Outline { kind, task: of, label: as_, .. } = &last.outline;
            !is_named && *kind == OutlineKind::Task && of.as_deref() == task && *as_ == label
        };
        if let Some(last) = self.within.last_mut().filter(equal) {
            return last.outline.add(index);
        }
        if *parts >= MOST_PARTS {
            return self.more(index);
        }
        *parts += 1;
        let mut place = Self::new(OutlineKind::Task, key);
        place.outline.task = task.map(str::to_owned);
        place.outline.label = label;
        place.outline.part = is_named.then(|| key.to_owned());
        place.outline.add(index);
        self.within.push(place);
    }

    /// The part that stands at a key; None if there is no room for it.
    fn part(&mut self, kind: OutlineKind, key: &str, parts: &mut usize) -> Option<&mut Self> {
        let is_it = |place: &Self| place.key == key && place.outline.kind == kind;
        // Mostly the last one.
        let at = self.within.iter().rposition(is_it);
        let at = match at {
            Some(at) => at,
            None if *parts >= MOST_PARTS => return None,
            None => {
                *parts += 1;
                let mut place = Self::new(kind, key);
                let is_named = self.outline.kind == OutlineKind::Graph;
                place.outline.part = is_named.then(|| key.to_owned());
                self.within.push(place);
                self.within.len() - 1
            }
        };
        self.within.get_mut(at)
    }
}

impl Default for Drawing {
    fn default() -> Self {
        Self { root: Place::new(OutlineKind::More, ""), parts: 0 }
    }
}

impl Drawing {
    /// Adds the task at a path of the tree (`/chain/1/group/0`), which is this member of the job.
    pub(super) fn add(&mut self, path: &str, step: &Step, index: u64) {
        let mut place = &mut self.root;
        let mut key = "";
        let mut steps = path.split('/').skip(1);
        while let Some(kind) = steps.next() {
            let kind = match kind {
                "chain" => OutlineKind::Chain,
                "group" => OutlineKind::Group,
                "fold" => OutlineKind::Fold,
                "graph" => OutlineKind::Graph,
                // Behind a slash in the name of a part.
                _ => break,
            };
            if place.within.iter().all(|part| part.key != key) && self.parts >= MOST_PARTS {
                return place.more(index);
            }
            match place.part(kind, key, &mut self.parts) {
                Some(part) => place = part,
                None => return,
            }
            // The task that folds stands in no place of its own.
            key = steps.next().unwrap_or("with");
        }
        place.task(key, step, index, &mut self.parts);
    }

    /// The outline; None if there are no tasks.
    pub(super) fn finish(mut self) -> Option<Outline> {
        self.root.within.pop().map(Place::finish)
    }
}

#[cfg(test)]
mod tests {
    use celeriac_broker_schema::workflow::OutlineKind;

    use super::super::Workflow;
    use super::*;

    fn drawn(json: &str) -> Outline {
        Workflow::from_json(json).unwrap().plan().unwrap().outline.unwrap()
    }

    fn line(outline: &Outline) -> String {
        let parts: Vec<String> = outline.parts.iter().map(line).collect();
        let name = match outline.kind {
            OutlineKind::Task => outline.task.clone().unwrap_or_default(),
            kind => format!("{kind:?}").to_lowercase(),
        };
        let at: Vec<String> =
            outline.stretches.iter().map(|(lo, hi)| format!("{lo}-{hi}")).collect();
        let part = outline.part.as_ref().map(|part| format!("{part}=")).unwrap_or_default();
        let parts = if parts.is_empty() { String::new() } else { format!("[{}]", parts.join(" ")) };
        format!("{part}{name}{}{parts}", at.join(","))
    }

    #[test]
    fn equal_tasks_are_one_part() {
        for (json, told) in [
            (r#"{"task":"a"}"#, "a0-1"),
            (
                r#"{"chord":{"map":{"task":"a","over":[1,2,3]},"then":{"task":"b"}}}"#,
                "chain[group[a0-3] b3-4]",
            ),
            (
                r#"{"group":[{"chain":[{"task":"a"},{"task":"b"}]},{"chain":[{"task":"a"},{"task":"b"}]}]}"#,
                "group[chain[a0-1 b2-3] chain[a1-2 b3-4]]",
            ),
            (
                r#"{"fold":{"of":{"map":{"task":"a","over":[1,2,3]}},"with":{"task":"f"},"width":2}}"#,
                "fold[a0-3 f3-6]",
            ),
            (
                r#"{"graph":{"x":{"task":"a"},"y":{"group":[{"task":"a"}],"after":["x"]}}}"#,
                "graph[x=a0-1 y=group[a1-2]]",
            ),
        ] {
            assert_eq!(line(&drawn(json)), told, "{json}");
        }
    }

    #[test]
    fn what_has_no_room_is_summed_up() {
        let chains = vec![r#"{"chain":[{"task":"a"},{"task":"b"}]}"#; 500].join(",");
        let outline = drawn(&format!(r#"{{"group":[{chains}]}}"#));
        let (mut parts, mut tasks) = (0, 0);
        outline.each(&mut |part| {
            parts += 1;
            tasks += part.tasks;
        });
        assert!(parts <= MOST_PARTS + 2, "{parts} parts");
        assert_eq!(tasks, 1_000);
        assert_eq!(outline.parts.last().map(|part| part.kind), Some(OutlineKind::More));
        let bytes = serde_json::to_string(&outline).unwrap().len();
        assert!(bytes < 8_000, "{bytes} bytes");
    }
}
