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
