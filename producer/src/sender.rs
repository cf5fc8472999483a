//! The sender loop: one call to Redis at a time, while the next batch collects. An idle producer
//! sends at once, a busy one in large batches.

use std::sync::Arc;
use std::time::Duration;

use celeriac_broker_schema::limits::{MAX_BATCH, MAX_BATCH_BYTES};
use celeriac_broker_schema::script::{
    Answered, Duplicate, Entry, PartTaken, RangeJob, Refusal, Refused, WorkflowPart,
};
use celeriac_broker_schema::{Broker, BrokerError, ClientId};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::counted::Counted;
use crate::error::EnqueueError;
use crate::producer::Patience;

/// What became of a submission.
pub(crate) type Answer = Result<Told, EnqueueError>;

/// What Redis said to a submission that it has carried out; the tasks that are not named here are
/// enqueued.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) duplicates: Vec<Duplicate>,
    /// Tasks that their queues did not take.
    pub(crate) refused: Vec<Entry>,
    /// Why not, for the first of them; a closed queue goes before a full one. A job that was refused
    /// says only this.
    pub(crate) why: Option<Refusal>,
}

impl Told {
    /// The part of an answer that is about `own`, which begins at `first` in the batch.
    fn part(answered: &Answered, own: &[Entry], first: usize) -> Self {
        let mut told = Self::default();
        for Refused { first: from, count, why } in &answered.refused {
            let place = |at: usize| at.clamp(first, first + own.len()) - first;
            let refused = &own[place(*from)..place(from.saturating_add(*count))];
            if refused.is_empty() {
                continue;
            }
            told.refused.extend_from_slice(refused);
            if told.why.as_ref().is_none_or(|known| known.limit.is_some() && why.limit.is_none()) {
                told.why = Some(why.clone());
            }
        }
        let is_own = |id| own.iter().any(|entry| entry.id == id);
        let is_refused = |id| told.refused.iter().any(|entry| entry.id == id);
        let duplicates = answered.duplicates.iter().copied();
        told.duplicates = duplicates.filter(|d| is_own(d.id) && !is_refused(d.id)).collect();
        told
    }

    /// An error if anything was refused.
    pub(crate) fn all_taken(&self) -> Result<(), EnqueueError> {
        self.why.clone().map_or(Ok(()), |why| Err(why.into()))
    }
}

/// What somebody wants enqueued, and where the answer goes.
pub(crate) struct Submission {
    /// When the caller began to wait: its patience is counted from here.
    pub(crate) since: Instant,
    pub(crate) what: What,
    pub(crate) answer: oneshot::Sender<Answer>,
}

pub(crate) enum What {
    Tasks(Vec<Entry>),
    Job(Box<RangeJob>),
    Part(Box<WorkflowPart>),
}

/// The loop's handles and state. The batches of a producer are numbered, so that a repeated one
/// changes nothing; therefore they go one after the other, through this one place.
pub(crate) struct Sender {
    pub(crate) broker: Broker,
    pub(crate) client: ClientId,
    pub(crate) clock: Arc<Clock>,
    pub(crate) patience: Patience,
    pub(crate) submissions: mpsc::UnboundedReceiver<Submission>,
    pub(crate) number: u64,
    /// What it has enqueued, for charts.
    pub(crate) counted: Arc<Counted>,
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.counted.close();
    }
}

impl Sender {
    /// Runs until the last producer is dropped.
    pub(crate) async fn run(mut self) {
        let mut held = None;
        loop {
            let next = match held.take() {
                Some(submission) => submission,
                None => match self.submissions.recv().await {
                    Some(submission) => submission,
                    None => return,
                },
            };
            // Whoever gave up before anything was sent does not want it any more.
            if next.answer.is_closed() {
                continue;
            }
            match next.what {
                What::Job(job) => {
                    let answer = self.send_job(&job, next.since).await;
                    let _ = next.answer.send(answer);
                }
                What::Part(part) => {
                    let answer = self.send_part(&part, next.since).await;
                    let _ = next.answer.send(answer);
                }
                What::Tasks(entries) => {
                    held = self.send_tasks(entries, next.since, next.answer).await;
                }
            }
        }
    }

    async fn send_job(&mut self, job: &RangeJob, since: Instant) -> Answer {
        self.number += 1;
        let (broker, client, number) = (self.broker.clone(), self.client.clone(), self.number);
        let answered = persist(broker.server(), self.patience, since, || {
            broker.enqueue_range(&client, number, job)
        })
        .await?;
        self.clock.set(answered.now);
        self.counted.job(job, &answered);
        let why = answered.refused.into_iter().next().map(|refused| refused.why);
        Ok(Told { duplicates: answered.duplicates, refused: Vec::new(), why })
    }

    async fn send_part(&mut self, part: &WorkflowPart, since: Instant) -> Answer {
        self.number += 1;
        let (broker, client, number) = (self.broker.clone(), self.client.clone(), self.number);
        let taken = persist(broker.server(), self.patience, since, || {
            broker.enqueue_workflow(&client, number, part)
        })
        .await?;
        match taken {
            PartTaken::Taken(answered) => {
                self.clock.set(answered.now);
                let why = answered.refused.into_iter().next().map(|refused| refused.why);
                Ok(Told { duplicates: answered.duplicates, refused: Vec::new(), why })
            }
            PartTaken::Expected(expected) => {
                Err(EnqueueError::WrongPart { job: part.id, part: part.part, expected })
            }
            PartTaken::Over => Err(EnqueueError::JobOver { job: part.id }),
        }
    }

    /// Sends what has collected in one call. Returns a submission that did not fit in.
    async fn send_tasks(
        &mut self,
        mut entries: Vec<Entry>,
        since: Instant,
        answer: oneshot::Sender<Answer>,
    ) -> Option<Submission> {
        let mut answers = vec![(entries.len(), answer)];
        let mut bytes: usize = entries.iter().map(|entry| entry.record.len()).sum();
        let mut held = None;
        while let Ok(next) = self.submissions.try_recv() {
            if next.answer.is_closed() {
                continue;
            }
            let fits = match &next.what {
                What::Tasks(more) => {
                    bytes += more.iter().map(|entry| entry.record.len()).sum::<usize>();
                    entries.len() + more.len() <= MAX_BATCH && bytes <= MAX_BATCH_BYTES
                }
                What::Job(_) | What::Part(_) => false,
            };
            match next {
                Submission { what: What::Tasks(more), answer, .. } if fits => {
                    answers.push((more.len(), answer));
                    entries.extend(more);
                }
                other => {
                    held = Some(other);
                    break;
                }
            }
        }
        let sent = self.send_batch(&entries, since).await;
        distribute(&entries, answers, sent);
        held
    }

    async fn send_batch(
        &mut self,
        entries: &[Entry],
        since: Instant,
    ) -> Result<Answered, EnqueueError> {
        self.number += 1;
        let (broker, client, number) = (self.broker.clone(), self.client.clone(), self.number);
        let answered = persist(broker.server(), self.patience, since, || {
            broker.enqueue(&client, number, entries)
        })
        .await?;
        self.clock.set(answered.now);
        self.counted.tasks(entries, &answered);
        Ok(answered)
    }
}

/// Gives each submission its part of the answer.
fn distribute(
    entries: &[Entry],
    answers: Vec<(usize, oneshot::Sender<Answer>)>,
    sent: Result<Answered, EnqueueError>,
) {
    let mut first = 0;
    for (count, answer) in answers {
        let own = &entries[first..first + count];
        let told = match &sent {
            Ok(answered) => Ok(Told::part(answered, own, first)),
            Err(error) => Err(error.clone()),
        };
        first += count;
        // Whoever does not wait for the answer does not want it.
        let _ = answer.send(told);
    }
}

/// Repeats a call that is safe to repeat until it succeeds, fails for good, or patience ends.
async fn persist<T, F, Call>(
    server: &str,
    patience: Patience,
    begin: Instant,
    call: Call,
) -> Result<T, EnqueueError>
where
    F: Future<Output = Result<T, BrokerError>>,
    Call: Fn() -> F,
{
    let mut may_exist = false;
    let mut not_durable = None;
    let mut pause = Duration::from_millis(20);
    loop {
        let left = patience.left(begin.elapsed());
        let no_answer = BrokerError::NoAnswer { server: server.to_owned(), waited: left };
        // Whoever waited behind others until patience was over has nothing sent.
        let answer = if left.is_zero() {
            Err(no_answer)
        } else {
            let sent = tokio::time::timeout(left, call()).await;
            may_exist |= sent.is_err();
            sent.unwrap_or(Err(no_answer))
        };
        let source = match answer {
            Ok(value) => return Ok(value),
            Err(error) => Arc::new(error),
        };
        // How far it had come says more than that time was over while it was asked again.
        let source = match (&*source, &not_durable) {
            (BrokerError::NoAnswer { .. }, Some(known)) => Arc::clone(known),
            _ => source,
        };
        if matches!(*source, BrokerError::NotDurable { .. }) {
            not_durable = Some(Arc::clone(&source));
        }
        if !source.is_temporary() && !may_exist {
            return Err(EnqueueError::Refused(source));
        }
        may_exist |= !left.is_zero() && source.may_have_happened();
        // A refusal says nothing about a call before it whose answer was lost.
        if !source.is_temporary() || patience.left(begin.elapsed()) <= pause {
            return Err(EnqueueError::Unavailable { waited: begin.elapsed(), may_exist, source });
        }
        tracing::debug!(error = %source, "enqueue is repeated");
        // Jitter, so that the producers of a fleet do not return all at once.
        tokio::time::sleep(pause.mul_f64(rand::random::<f64>() / 2.0 + 0.5)).await;
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}
