//! `data`: data that the tasks of a job share, piece by piece.

use crate::connection::Connections;
use crate::error::BrokerError;
use crate::id::JobId;
use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::script;
use crate::workflow::Data;

script!(DATA, "data", " flags=no-writes", ["base"]);

/// None if the job has no such data, or not all of it yet.
pub(crate) async fn data(
    connections: &Connections,
    keys: &Keys,
    job: JobId,
    digest: &str,
) -> Result<Option<Result<Data, String>>, BrokerError> {
    let (mut stored, mut piece) = (String::new(), 0);
    loop {
        let mut command = DATA.command(keys.prefix());
        command.arg(job.to_string()).arg(digest).arg(piece);
        let value = connections.run(&DATA, &command).await?;
        let mut reply = Reply::new(DATA.name, value)?;
        let (pieces, text) = (reply.number("pieces")?, reply.text("piece")?);
        if piece >= pieces || text.is_empty() {
            return Ok(None);
        }
        stored.push_str(&text);
        piece += 1;
        if piece == pieces {
            return Ok(Some(Data::read(digest, &stored)));
        }
    }
}
