//! The broker's calls about workflows.

use serde_json::value::RawValue;

use super::{Broker, Inner};
use crate::error::BrokerError;
use crate::id::{ChunkIndex, ClientId, JobId, TaskId};
use crate::outcome::Outcome;
use crate::requester::Requester;
use crate::script::{
    self, Completed, Far, JobControlled, JobDeleted, JobRetried, PartTaken, Released, Results,
    RetryBegun, WantedResults, WorkflowPart,
};
use crate::workflow::{Data, Known, Missing, Shape, Stretch};

impl Broker {
    /// Enqueues a part of a workflow, numbered as a batch of [`Broker::enqueue`].
    ///
    /// # Errors
    /// Whatever keeps us from the server; the part may have been enqueued.
    pub async fn enqueue_workflow(
        &self,
        producer: &ClientId,
        number: u64,
        part: &WorkflowPart,
    ) -> Result<PartTaken, BrokerError> {
        let Inner { connections, keys, .. } = &*self.inner;
        script::enqueue_workflow(connections, keys, producer, number, part).await
    }

    /// Pauses a job: nothing more of it is given to workers. What they hold goes on.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn pause_job(
        &self,
        job: JobId,
        who: &Requester,
    ) -> Result<JobControlled, BrokerError> {
        let Inner { connections, keys, .. } = &*self.inner;
        script::job_control(connections, keys, job, true, who).await
    }

    /// The end of that: what was kept back goes back to its lists, a thousand elements in a call. If that is
    /// interrupted, resume it again.
    ///
    /// # Errors
    /// Whatever keeps us from the server; some of it may be back.
    pub async fn resume_job(
        &self,
        job: JobId,
        who: &Requester,
    ) -> Result<JobControlled, BrokerError> {
        let Inner { connections, keys, .. } = &*self.inner;
        script::job_control(connections, keys, job, false, who).await
    }

    /// Tries the failed part of a workflow again, under a new id: what has succeeded stays, what has begun and
    /// not ended begins again. If that is interrupted, retry the new job (or the old one) once more.
    ///
    /// # Errors
    /// Whatever keeps us from the server; a part of it may have begun.
    pub async fn retry_job(&self, job: JobId, who: &Requester) -> Result<JobRetried, BrokerError> {
        let Inner { connections, keys, .. } = &*self.inner;
        let (now, _) = self.job(job).await?;
        let new = TaskId::new(now).job();
        let id = match script::retry_job(connections, keys, job, new, who).await? {
            RetryBegun::Releasing(id) => id,
            RetryBegun::Not(why) => return Ok(why),
        };
        let mut from = 0;
        loop {
            let (members, next) = script::unsettled(connections, keys, id, from).await?;
            let bite = (from, next);
            match script::release_again(connections, keys, id, bite, &members).await? {
                Released::Expected(index) => from = index,
                Released::Over => break,
                Released::Done => match next {
                    Some(next) => from = next,
                    None => break,
                },
            }
        }
        Ok(JobRetried::Retried(id))
    }

    /// Removes all that is kept of a job that has ended, before its retention is over.
    ///
    /// # Errors
    /// Whatever keeps us from the server; it may have been deleted.
    pub async fn delete_job(&self, job: JobId) -> Result<JobDeleted, BrokerError> {
        let Inner { connections, keys, .. } = &*self.inner;
        script::delete_job(connections, keys, job).await
    }

    /// How far stretches of the members of a workflow are, in their order.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn tree(&self, job: JobId, stretches: &[Stretch]) -> Result<Vec<Far>, BrokerError> {
        let Inner { connections, keys, .. } = &*self.inner;
        script::tree(connections, keys, job, stretches).await
    }

    /// Reads a stored outcome. The result of a workflow is put together of those of its members.
    ///
    /// # Errors
    /// Whatever keeps us from the server; an inner error says in words why the outcome cannot be read.
    pub async fn read_outcome(
        &self,
        id: TaskId,
        stored: &str,
    ) -> Result<Result<Outcome, String>, BrokerError> {
        let mut outcome: Outcome = match serde_json::from_str(stored) {
            Ok(outcome) => outcome,
            Err(error) => return Ok(Err(error.to_string())),
        };
        if let Some(shape) = outcome.members.take() {
            match self.assemble(id.job(), 0, &shape).await? {
                Ok(result) => outcome.result = Some(result),
                Err(reason) => return Ok(Err(reason)),
            }
        }
        Ok(Ok(outcome))
    }

    /// What members of a workflow came to, as much as one call reads.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn results(
        &self,
        job: JobId,
        wanted: &WantedResults,
    ) -> Result<Results, BrokerError> {
        let Inner { connections, keys, .. } = &*self.inner;
        script::results(connections, keys, job, wanted).await
    }

    /// How far a job is, and which of its members have settled, from byte `first` of their bits on. If a
    /// client is given, it is told once when that changes ([`Broker::subscribe`]).
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn completed(
        &self,
        job: JobId,
        client: Option<&ClientId>,
        first: u64,
    ) -> Result<Completed, BrokerError> {
        let Inner { connections, keys, .. } = &*self.inner;
        script::completed(connections, keys, job, client, first).await
    }

    /// Data that the tasks of a job share, by its name. None if the job has none of that name; an inner error
    /// says in words what is wrong with it.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn data(
        &self,
        job: JobId,
        digest: &str,
    ) -> Result<Option<Result<Data, String>>, BrokerError> {
        script::data(&self.inner.connections, &self.inner.keys, job, digest).await
    }

    /// Puts the input of a member together: fetches, page by page, what its shape is made of. `own` is the
    /// index of the member; 0 for the result of the whole job.
    ///
    /// # Errors
    /// Whatever keeps us from the server; an inner error says in words what is wrong with the input itself.
    pub async fn assemble(
        &self,
        job: JobId,
        own: ChunkIndex,
        shape: &Shape,
    ) -> Result<Result<Box<RawValue>, String>, BrokerError> {
        let mut known = Known::default();
        loop {
            let missing = match shape.build(own, &known) {
                Ok(json) => return Ok(Ok(json)),
                Err(missing) => missing,
            };
            if let Some(broken) = missing.broken {
                return Ok(Err(broken));
            }
            if let Err(gone) = self.fetch(job, missing, &mut known).await? {
                return Ok(Err(gone));
            }
        }
    }

    async fn fetch(
        &self,
        job: JobId,
        missing: Missing,
        known: &mut Known,
    ) -> Result<Result<(), String>, BrokerError> {
        let mut totals = missing.totals;
        for barrier in missing.fed {
            let (mut stretches, mut from) = (Vec::new(), Some(0));
            while let Some(next) = from {
                let fed = Some((barrier, next));
                let wanted = WantedResults { fed, ..WantedResults::default() };
                let page = self.results(job, &wanted).await?;
                stretches.extend(page.fed);
                from = page.next_fed;
            }
            known.fed.insert(barrier, stretches);
        }
        let mut rest = missing.members;
        while totals || !rest.is_empty() {
            let members = bite(&rest);
            let wanted = WantedResults { members, totals, fed: None };
            let page = self.results(job, &wanted).await?;
            if page.state.is_none() {
                return Ok(Err("its job is gone, and with it the results it is given".to_owned()));
            }
            if totals {
                known.totals = page.totals;
                totals = false;
            }
            let indices = wanted.members.iter().flat_map(|(lo, hi)| *lo..*hi);
            let read = page.values.len() as u64;
            for (index, value) in indices.zip(page.values) {
                match value {
                    Some(value) => known.values.insert(index, value),
                    None => return Ok(Err(format!("the result of member {index} is not there"))),
                };
            }
            rest = behind(rest, read);
        }
        Ok(Ok(()))
    }
}

/// The first members of these stretches, as many as are asked for at once.
fn bite(stretches: &[Stretch]) -> Vec<Stretch> {
    let (mut bite, mut room) = (Vec::new(), script::RESULTS_BITE);
    for (lo, hi) in stretches {
        let hi = (*hi).min(lo + room);
        room -= hi - lo;
        bite.push((*lo, hi));
        if room == 0 {
            break;
        }
    }
    bite
}

/// These stretches without their first members.
fn behind(stretches: Vec<Stretch>, mut read: u64) -> Vec<Stretch> {
    let cut = |(lo, hi): Stretch| {
        let gone = read.min(hi - lo);
        read -= gone;
        (lo + gone < hi).then_some((lo + gone, hi))
    };
    stretches.into_iter().filter_map(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::{behind, bite};

    #[test]
    fn stretches_are_read_in_bites() {
        let all = vec![(0, 3), (10, 2_000)];
        assert_eq!(bite(&all), [(0, 3), (10, 1_007)]);
        assert_eq!(behind(all.clone(), 2), [(2, 3), (10, 2_000)]);
        assert_eq!(behind(all.clone(), 5), [(12, 2_000)]);
        assert_eq!(behind(all, 1_993), []);
    }
}
