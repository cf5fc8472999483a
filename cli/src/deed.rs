//! Notes in the audit list what somebody typed.

use celeriac_broker_schema::{Broker, Deed, Requester};

/// Notes what was done to what, as the monitor notes the same. It is done, whether it can be noted or
/// not.
pub(crate) async fn note(
    broker: &Broker,
    action: &str,
    target: String,
    who: &Requester,
    changed: u64,
) {
    let deed = Deed {
        action: action.to_owned(),
        target,
        who: who.clone(),
        with: "cli".to_owned(),
        changed,
        ..Deed::default()
    };
    if let Err(error) = broker.note_audit(&deed).await {
        tracing::warn!(%error, action, "this is missing in the audit list");
    }
}

/// `id=1 id=2`, and how many more.
pub(crate) fn ids<T: std::fmt::Display>(ids: &[T]) -> String {
    const SHOWN: usize = 20;
    let mut text: Vec<String> = ids.iter().take(SHOWN).map(|id| format!("id={id}")).collect();
    if ids.len() > SHOWN {
        text.push(format!("and {} more", ids.len() - SHOWN));
    }
    text.join(" ")
}
