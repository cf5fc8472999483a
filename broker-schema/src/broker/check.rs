//! All that the shard holds, for those who check what must hold.

use super::{Broker, Inner};
use crate::check::{Contents, Held, Violation, violations};
use crate::error::BrokerError;
use crate::script;

impl Broker {
    /// Reads all that the shard holds, in small pages, each of which is an instant of its own: what
    /// changes meanwhile is seen before or after, or in parts of both. With more than `most` keys and
    /// elements it is a part ([`Contents::partial`]). To see all keys is to look at every key of the
    /// server.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn contents(&self, most: usize) -> Result<Contents, BrokerError> {
        let Inner { connections, keys, .. } = &*self.inner;
        let (mut contents, mut cursor, mut read) = (Contents::default(), 0, 0);
        loop {
            let page = script::contents(connections, keys, cursor).await?;
            contents.now = page.now;
            for (name, mut stored, size) in page.keys {
                read += 1 + known(&stored.held);
                if known(&stored.held) == 0 && size > 0 && !contents.keys.contains_key(&name) {
                    let mut at = 0;
                    while !matches!(stored.held, Held::Text(_) | Held::Stream(_)) {
                        let before = known(&stored.held);
                        at = script::elements(connections, keys, &name, at, &mut stored.held)
                            .await?;
                        read += known(&stored.held) - before;
                        if at == 0 || read > most {
                            break;
                        }
                    }
                }
                contents.keys.insert(name, stored);
            }
            contents.partial = read > most;
            if page.next == 0 || contents.partial {
                return Ok(contents);
            }
            cursor = page.next;
        }
    }

    /// What is wrong in Redis, of all that must hold ([`check`](crate::check)). It reads everything,
    /// up to `most` keys and elements, and so several times if something seems to be wrong: where work goes
    /// on, only what stays the same from one time to the next is told. Returns also whether all was read.
    ///
    /// # Errors
    /// Whatever keeps us from the server.
    pub async fn check(&self, most: usize) -> Result<(Vec<Violation>, bool), BrokerError> {
        /// What one reading sees in parts of two states is hardly seen so three times.
        const READINGS: usize = 3;
        let contents = self.contents(most).await?;
        let (mut found, whole) = (violations(&contents), !contents.partial);
        for _ in 1..READINGS {
            if found.is_empty() {
                break;
            }
            let again = violations(&self.contents(most).await?);
            found.retain(|violation| again.contains(violation));
        }
        Ok((found, whole))
    }
}

/// So many elements are known.
fn known(held: &Held) -> usize {
    match held {
        Held::List(elements) => elements.len(),
        Held::Set(members) => members.len(),
        Held::Hash(fields) => fields.len(),
        Held::Sorted(members) => members.len(),
        Held::Text(_) | Held::Stream(_) => 0,
    }
}
