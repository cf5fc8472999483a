//! The sender loop: one call to Redis at a time, while the next batch collects. An idle producer
//! sends at once, a busy one in large batches.

use std::sync::Arc;
use std::time::Duration;

use celeriac_broker_schema::limits::{MAX_BATCH, MAX_BATCH_BYTES};
use celeriac_broker_schema::script::{Duplicate, Entry, RangeJob};
use celeriac_broker_schema::{Broker, BrokerError, ClientId, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::error::EnqueueError;
use crate::producer::Patience;

/// Duplicates among the tasks of a submission.
pub(crate) type Answer = Result<Vec<Duplicate>, EnqueueError>;

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
                What::Tasks(entries) => {
                    held = self.send_tasks(entries, next.since, next.answer).await;
                }
            }
        }
    }

    async fn send_job(&mut self, job: &RangeJob, since: Instant) -> Answer {
        self.number += 1;
        let (broker, client, number) = (self.broker.clone(), self.client.clone(), self.number);
        let (now, duplicate) = persist(broker.server(), self.patience, since, || {
            broker.enqueue_range(&client, number, job)
        })
        .await?;
        self.clock.set(now);
        Ok(duplicate.into_iter().collect())
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
                What::Job(_) => false,
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

    async fn send_batch(&mut self, entries: &[Entry], since: Instant) -> Answer {
        self.number += 1;
        let (broker, client, number) = (self.broker.clone(), self.client.clone(), self.number);
        let sent: Result<(Timestamp, Vec<Duplicate>), _> =
            persist(broker.server(), self.patience, since, || {
                broker.enqueue(&client, number, entries)
            })
            .await;
        let (now, duplicates) = sent?;
        self.clock.set(now);
        Ok(duplicates)
    }
}

/// Gives each submission its part of the answer.
fn distribute(entries: &[Entry], answers: Vec<(usize, oneshot::Sender<Answer>)>, sent: Answer) {
    let mut rest = entries;
    for (count, answer) in answers {
        let (own, others) = rest.split_at(count);
        rest = others;
        let own = sent.clone().map(|mut duplicates| {
            duplicates.retain(|duplicate| own.iter().any(|entry| entry.id == duplicate.id));
            duplicates
        });
        // Whoever does not wait for the answer does not want it.
        let _ = answer.send(own);
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
