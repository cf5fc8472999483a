//! The closed list of what an operator may do: their words in paths, what people call them, and
//! which of them destroy something.

/// What is to be done. The fields of each are told beside it; all take `why` besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// `id`, also several: tasks or jobs.
    Cancel,
    /// `queue`, and any of `task`, `tenant`, `tag`, `state`, `older_than`: what waits in a queue.
    CancelMatching,
    /// `id`, also several: dead letters.
    Revive,
    /// At least one of `queue`, `task`, `error`, `fingerprint`, `since`, `until`, or `all`.
    ReviveMatching,
    /// As [`Kind::Revive`].
    Discard,
    /// As [`Kind::ReviveMatching`].
    DiscardMatching,
    /// `queue`
    PauseQueue,
    /// `queue`
    ResumeQueue,
    /// `queue`
    CloseQueue,
    /// `queue`
    OpenQueue,
    /// `queue`, `max` (empty: no limit)
    LimitQueue,
    /// `queue`, `delayed`
    PurgeQueue,
    /// `queue`, `to`, `delayed`
    MoveQueue,
    /// `subject` (`queue:NAME`, `task:NAME`, `tenant:NAME`), `rate` (`100/s`), `burst`, `concurrency`
    SetLimit,
    /// `subject`
    RemoveLimit,
    /// `queue`: its tenants take turns
    FairOn,
    /// `queue`
    FairOff,
    /// `worker`: its lease
    DrainWorker,
    /// `worker`
    PauseWorker,
    /// `worker`
    ResumeWorker,
    /// `worker`, `slots`
    SetSlots,
    /// `worker`, `queues` (names with commas between them)
    SetQueues,
    /// `schedule`
    PauseSchedule,
    /// `schedule`
    ResumeSchedule,
    /// `schedule`
    RunSchedule,
    /// `schedule`: its next run is left out
    SkipSchedule,
    /// `schedule`
    RemoveSchedule,
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Self; 27] = [
        Self::Cancel,
        Self::CancelMatching,
        Self::Revive,
        Self::ReviveMatching,
        Self::Discard,
        Self::DiscardMatching,
        Self::PauseQueue,
        Self::ResumeQueue,
        Self::CloseQueue,
        Self::OpenQueue,
        Self::LimitQueue,
        Self::PurgeQueue,
        Self::MoveQueue,
        Self::SetLimit,
        Self::RemoveLimit,
        Self::FairOn,
        Self::FairOff,
        Self::DrainWorker,
        Self::PauseWorker,
        Self::ResumeWorker,
        Self::SetSlots,
        Self::SetQueues,
        Self::PauseSchedule,
        Self::ResumeSchedule,
        Self::RunSchedule,
        Self::SkipSchedule,
        Self::RemoveSchedule,
    ];

    /// Its word in paths and in the audit list.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::CancelMatching => "cancel-matching",
            Self::Revive => "revive",
            Self::ReviveMatching => "revive-matching",
            Self::Discard => "discard",
            Self::DiscardMatching => "discard-matching",
            Self::PauseQueue => "pause-queue",
            Self::ResumeQueue => "resume-queue",
            Self::CloseQueue => "close-queue",
            Self::OpenQueue => "open-queue",
            Self::LimitQueue => "limit-queue",
            Self::PurgeQueue => "purge-queue",
            Self::MoveQueue => "move-queue",
            Self::SetLimit => "set-limit",
            Self::RemoveLimit => "remove-limit",
            Self::FairOn => "fair-on",
            Self::FairOff => "fair-off",
            Self::DrainWorker => "drain-worker",
            Self::PauseWorker => "pause-worker",
            Self::ResumeWorker => "resume-worker",
            Self::SetSlots => "set-slots",
            Self::SetQueues => "set-queues",
            Self::PauseSchedule => "pause-schedule",
            Self::ResumeSchedule => "resume-schedule",
            Self::RunSchedule => "run-schedule",
            Self::SkipSchedule => "skip-schedule",
            Self::RemoveSchedule => "remove-schedule",
        }
    }

    /// The kind of this word.
    pub(crate) fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// What people call it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Cancel => "Cancel tasks",
            Self::CancelMatching => "Cancel what waits in a queue",
            Self::Revive => "Let dead tasks run again",
            Self::ReviveMatching => "Let all these dead tasks run again",
            Self::Discard => "Delete dead letters",
            Self::DiscardMatching => "Delete all these dead letters",
            Self::PauseQueue => "Pause a queue",
            Self::ResumeQueue => "Resume a queue",
            Self::CloseQueue => "Close a queue",
            Self::OpenQueue => "Open a queue",
            Self::LimitQueue => "Limit the length of a queue",
            Self::PurgeQueue => "Purge a queue",
            Self::MoveQueue => "Move what waits to another queue",
            Self::SetLimit => "Set a limit",
            Self::RemoveLimit => "Remove a limit",
            Self::FairOn => "Let tenants take turns",
            Self::FairOff => "Let tenants not take turns",
            Self::DrainWorker => "Drain a worker",
            Self::PauseWorker => "Pause a worker",
            Self::ResumeWorker => "Resume a worker",
            Self::SetSlots => "Set how many tasks a worker runs at once",
            Self::SetQueues => "Set the queues of a worker",
            Self::PauseSchedule => "Pause a schedule",
            Self::ResumeSchedule => "Resume a schedule",
            Self::RunSchedule => "Run a schedule now",
            Self::SkipSchedule => "Leave out the next run of a schedule",
            Self::RemoveSchedule => "Delete a schedule",
        }
    }

    /// What it does that cannot be taken back, in a sentence; None: it can be.
    pub(crate) fn danger(self) -> Option<&'static str> {
        Some(match self {
            Self::Cancel | Self::CancelMatching => {
                "What is cancelled does not run, and what runs is told to stop. It cannot be taken back."
            }
            Self::Discard | Self::DiscardMatching => {
                "Arguments and errors of these tasks are gone then, and they cannot run again."
            }
            Self::PurgeQueue => {
                "All that waits in the queue is cancelled; jobs that lose chunks are cancelled as a \
                 whole. It cannot be taken back."
            }
            Self::MoveQueue => {
                "What is moved cannot be told from what waits in the other queue already."
            }
            Self::DrainWorker => {
                "The worker finishes what it runs and leaves. Whatever started it must start it again."
            }
            Self::ReviveMatching => "All of them run again, as fast as workers take them.",
            Self::RemoveSchedule => "Its description and its counts are gone then.",
            _ => return None,
        })
    }

    /// The fields that it takes; `why` goes with all of them.
    pub(crate) fn fields(self) -> &'static [Field] {
        const QUEUE: Field = required("queue", "Queue", Sort::Text);
        const WORKER: Field = required("worker", "Worker (its lease)", Sort::Text);
        const SCHEDULE: Field = required("schedule", "Schedule", Sort::Text);
        const DELAYED: Field = optional("delayed", "Also what is delayed", Sort::Yes);
        const SUBJECT: Field =
            required("subject", "On what (queue:NAME, task:NAME or tenant:NAME)", Sort::Text);
        match self {
            Self::Cancel | Self::Revive | Self::Discard => {
                const { &[Field { many: true, ..required("id", "Id", Sort::Text) }] }
            }
            Self::CancelMatching => {
                const {
                    &[
                        QUEUE,
                        optional("task", "Tasks of this name", Sort::Text),
                        optional("tenant", "Of this tenant", Sort::Text),
                        optional("tag", "With this tag", Sort::Text),
                        optional("state", "In this state", Sort::OneOf(&["ready", "delayed"])),
                        optional(
                            "older_than",
                            "Enqueued longer ago than (10m, 2h, 1d)",
                            Sort::Text,
                        ),
                    ]
                }
            }
            Self::ReviveMatching | Self::DiscardMatching => {
                const {
                    &[
                        optional("queue", "Of this queue", Sort::Text),
                        optional("task", "Tasks of this name", Sort::Text),
                        optional("error", "Whose error says", Sort::Text),
                        optional("fingerprint", "Whose error has this fingerprint", Sort::Text),
                        optional("since", "Failed at or after (Unix milliseconds)", Sort::Number),
                        optional("until", "Failed before (Unix milliseconds)", Sort::Number),
                        optional("all", "All dead letters", Sort::Yes),
                    ]
                }
            }
            Self::PauseQueue
            | Self::ResumeQueue
            | Self::CloseQueue
            | Self::OpenQueue
            | Self::FairOn
            | Self::FairOff => const { &[QUEUE] },
            Self::LimitQueue => {
                const { &[QUEUE, optional("max", "Most tasks (empty: no limit)", Sort::Number)] }
            }
            Self::PurgeQueue => const { &[QUEUE, DELAYED] },
            Self::MoveQueue => {
                const { &[QUEUE, required("to", "To the queue", Sort::Text), DELAYED] }
            }
            Self::SetLimit => {
                const {
                    &[
                        SUBJECT,
                        optional("rate", "So many in a time (100/s, 5/10m)", Sort::Text),
                        optional("burst", "So many at once after a pause", Sort::Number),
                        optional("concurrency", "So many at a time", Sort::Number),
                    ]
                }
            }
            Self::RemoveLimit => const { &[SUBJECT] },
            Self::DrainWorker | Self::PauseWorker | Self::ResumeWorker => const { &[WORKER] },
            Self::SetSlots => const { &[WORKER, required("slots", "Slots", Sort::Number)] },
            Self::SetQueues => {
                const { &[WORKER, required("queues", "Queues, with commas between them", Sort::Text)] }
            }
            Self::PauseSchedule
            | Self::ResumeSchedule
            | Self::RunSchedule
            | Self::SkipSchedule
            | Self::RemoveSchedule => const { &[SCHEDULE] },
        }
    }
}

/// A field of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    /// What people call it.
    pub(crate) label: &'static str,
    pub(crate) sort: Sort,
    pub(crate) required: bool,
    /// Whether there may be several.
    pub(crate) many: bool,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    Text,
    Number,
    /// `yes`, or it is left out.
    Yes,
    OneOf(&'static [&'static str]),
}

const fn required(name: &'static str, label: &'static str, sort: Sort) -> Field {
    Field { name, label, sort, required: true, many: false }
}

const fn optional(name: &'static str, label: &'static str, sort: Sort) -> Field {
    Field { name, label, sort, required: false, many: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_word_of_its_own() {
        for kind in Kind::ALL {
            assert_eq!(Kind::of(kind.word()), Some(kind));
        }
        assert_eq!(Kind::of("no-such-thing"), None);
    }
}
