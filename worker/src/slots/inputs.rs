//! What members of a workflow are given: the results of those before them, fetched when it is their turn.

use std::time::Duration;

use celeriac_broker_schema::{ErrorKind, Record, TaskFailure};

use crate::attempt::{refuse, release};
use crate::outbox::Ended;
use crate::shared::Shared;
use crate::unit::{Unit, Work};

/// How long it is waited before an input is asked for again while Redis is away.
const PAUSE: Duration = Duration::from_millis(100);

/// Fetches the input of a unit that follows others. What cannot be given it ends here.
pub(super) async fn fetch(shared: &Shared, unit: &mut Unit) -> Result<(), Box<Ended>> {
    let Work::Chunk { run, index } = &unit.work else { return Ok(()) };
    if !run.is_member() || unit.input.is_some() {
        return Ok(());
    }
    if !unit.record().is_some_and(follows_others) {
        return Ok(());
    }
    // What cannot be read is refused when it is prepared.
    let record = unit.record().and_then(|record| std::str::from_utf8(record).ok());
    let member = record.and_then(|text| Record::decode(text).ok()).and_then(|record| record.member);
    let Some(shape) = member.and_then(|member| member.input) else { return Ok(()) };
    let (job, index) = (run.run.job, *index);
    loop {
        match shared.broker.assemble(job, index, &shape).await {
            Ok(Ok(input)) => {
                unit.input = Some(input);
                return Ok(());
            }
            Ok(Err(reason)) => {
                let failure = TaskFailure::new(ErrorKind::BadArguments, reason);
                return Err(Box::new(refuse(shared, unit, failure, None)));
            }
            Err(error) => tracing::debug!(%error, "the input of a task is fetched again"),
        }
        if shared.is_lost(unit.epoch) || shared.shutdown.is_draining() {
            let ending = release(unit, false);
            return Err(Box::new(Ended::before_it_began(unit, ending)));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether a record names an input, without reading all of it: most do not. It is the first field of its kind.
fn follows_others(record: &[u8]) -> bool {
    const FIELD: &[u8] = br#""member":{"in":"#;
    record.windows(FIELD.len()).any(|part| part == FIELD)
}
