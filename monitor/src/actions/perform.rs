//! The one way of an action: done, noted, logged.

use celeriac_broker_schema::{Deed, Requester};

use super::fields::Fields;
use super::kind::Kind;
use super::read::read;
use super::run::{Done, run};
use crate::auth::{Peer, Viewer};
use crate::error::Problem;
use crate::state::Monitor;

/// Who acts, from where.
pub(crate) struct Actor<'a> {
    pub(crate) viewer: &'a Viewer,
    pub(crate) peer: &'a Peer,
}

/// Reads the fields of an action, does it and notes that. The gate has let through operators only; that
/// is asked for here once more, where it happens.
///
/// # Errors
/// The problem to answer with. One that came up while it was done is noted, too.
pub(crate) async fn perform(
    monitor: &Monitor,
    kind: Kind,
    fields: &Fields,
    actor: &Actor<'_>,
) -> Result<Done, Problem> {
    if !actor.viewer.role.may_act() {
        return Err(Problem::operators_only());
    }
    let action = read(kind, fields).map_err(|wrong| Problem::invalid_action(&wrong))?;
    let who = requester(fields, actor);
    // Before it begins: the log tells also of one that never came to its end.
    let (by, from) = (who.by.as_deref().unwrap_or_default(), &actor.peer.address);
    tracing::info!(by, ?from, action = kind.word(), target = target(fields), "an operator acts");
    let result = run(&action, monitor.broker(), &who).await;
    note(monitor, deed(kind, fields, who, actor, &result)).await;
    result
}

fn requester(fields: &Fields, actor: &Actor<'_>) -> Requester {
    let by = actor.viewer.name.clone();
    let why = Some(fields.text("why").trim().to_owned()).filter(|why| !why.is_empty());
    Requester { by, why }
}

fn deed(
    kind: Kind,
    fields: &Fields,
    who: Requester,
    actor: &Actor<'_>,
    result: &Result<Done, Problem>,
) -> Deed {
    let (changed, text) = match result {
        Ok(done) if done.more => (done.changed, format!("{}; there is more", done.what)),
        Ok(done) => (done.changed, done.what.clone()),
        Err(problem) => (0, problem.detail.clone()),
    };
    Deed {
        action: kind.word().to_owned(),
        target: target(fields),
        who,
        with: "monitor".to_owned(),
        from: actor.peer.address.map(|address| address.to_canonical().to_string()),
        changed,
        result: text,
        failed: result.is_err(),
    }
}

/// What it is about: `queue=mail delayed=yes`.
fn target(fields: &Fields) -> String {
    let named = fields.without(&["why"]);
    let parts = named.0.iter().filter(|(_, value)| !value.is_empty());
    let parts: Vec<String> = parts.map(|(name, value)| format!("{name}={value}")).collect();
    parts.join(" ")
}

/// What was done is done, whether it can be noted or not. The log has it in any case.
async fn note(monitor: &Monitor, deed: Deed) {
    let Deed { action, changed, result, failed, .. } = &deed;
    tracing::info!(action, changed, result, failed, "an operator has acted");
    if let Err(error) = monitor.broker().note_audit(&deed).await {
        tracing::warn!(%error, action, "this is missing in the audit list");
    }
}
