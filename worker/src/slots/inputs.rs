//! What members of a workflow are given: the results of those before them, fetched when it is their turn.

use std::sync::Arc;
use std::time::Duration;

use celeriac_broker_schema::{ErrorKind, Record, TaskFailure};
use celeriac_producer::workflow::{self as broadcast, references};

use crate::attempt::{refuse, release};
use crate::outbox::Ended;
use crate::shared::Shared;
use crate::unit::{Unit, Work};

/// How long it is waited before an input is asked for again while Redis is away.
const PAUSE: Duration = Duration::from_millis(100);

/// Fetches the input of a unit that follows others. What cannot be given it ends here.
pub(super) async fn fetch(shared: &Shared, unit: &mut Unit) -> Result<(), Box<Ended>> {
    let Work::Chunk { run, .. } = &unit.work else { return Ok(()) };
    if !run.is_member() || unit.input.is_some() {
        return Ok(());
    }
    let Some(record) = unit.record() else { return Ok(()) };
    let wanted = references(record);
    if !wanted.is_empty() {
        fetch_data(shared, unit, wanted).await?;
    }
    let Work::Chunk { run, index } = &unit.work else { return Ok(()) };
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
        give_up_or_wait(shared, unit).await?;
    }
}

/// Fetches the data that its arguments refer to, unless this process has it.
async fn fetch_data(
    shared: &Shared,
    unit: &mut Unit,
    wanted: Vec<String>,
) -> Result<(), Box<Ended>> {
    for digest in wanted {
        let data = match broadcast::shared(&digest) {
            Some(data) => data,
            None => fetch_one(shared, unit, &digest).await?,
        };
        unit.data.push(data);
    }
    Ok(())
}

async fn fetch_one(
    shared: &Shared,
    unit: &Unit,
    digest: &str,
) -> Result<Arc<broadcast::Shared>, Box<Ended>> {
    let refused = |reason: String| {
        let failure = TaskFailure::new(ErrorKind::BadArguments, reason);
        Err(Box::new(refuse(shared, unit, failure, None)))
    };
    loop {
        match shared.broker.data(unit.id().job(), digest).await {
            Ok(Some(Ok(data))) => return Ok(broadcast::keep(data.json)),
            Ok(Some(Err(reason))) => {
                return refused(format!("its data {digest} cannot be read: {reason}"));
            }
            Ok(None) => return refused(format!("its job has no data {digest}")),
            Err(error) => tracing::debug!(%error, "the data of a task is fetched again"),
        }
        give_up_or_wait(shared, unit).await?;
    }
}

/// Waits before something is fetched again; hands the unit back if there is no time for that.
async fn give_up_or_wait(shared: &Shared, unit: &Unit) -> Result<(), Box<Ended>> {
    if shared.is_lost(unit.epoch) || shared.shutdown.is_draining() {
        let ending = release(unit, false);
        return Err(Box::new(Ended::before_it_began(unit, ending)));
    }
    tokio::time::sleep(PAUSE).await;
    Ok(())
}

/// Whether a record names an input, without reading all of it: most do not. It is the first field of its kind.
fn follows_others(record: &[u8]) -> bool {
    const FIELD: &[u8] = br#""member":{"in":"#;
    record.windows(FIELD.len()).any(|part| part == FIELD)
}
