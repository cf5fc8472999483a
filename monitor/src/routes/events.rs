//! Live updates, as server-sent events: after each look at Redis the fragments that have changed
//! since the last event, all of them at first. A viewer that does not keep up misses looks, not
//! fragments. So a reconnect needs no replay, and `Last-Event-ID` is not asked.
//!
//! | event | data |
//! | --- | --- |
//! | `build` | the build of the assets; the first event |
//! | `fragments` | `[[id, html], …]` |
//! | `beat` | nothing; comes when nothing has changed for a while |

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::{HeaderName, Uri, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::auth::{self, Role};
use crate::error::Problem;
use crate::observation::Observation;
use crate::routes::assets;
use crate::state::Monitor;
use crate::topic::Topic;
use crate::viewers::Viewer;
use crate::views::{self, Fragment};

/// After how long a browser reconnects.
const RETRY: Duration = Duration::from_secs(2);
/// The longest silence; the script takes three of them for a dead connection.
const BEAT: Duration = Duration::from_secs(5);

/// The updates of the page whose address stands in `page`, or before `/events`.
pub(super) async fn events(
    State(monitor): State<Monitor>,
    who: auth::Viewer,
    uri: Uri,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let page = match &asked.page {
        Some(page) => page.as_str(),
        None => uri.path().strip_suffix("/events").filter(|path| !path.is_empty()).unwrap_or("/"),
    };
    let topic = page.parse().map_err(|_| Problem::no_such_page(page));
    open(monitor, who, Topic::of(&topic?)?)
}

#[derive(Deserialize)]
pub(super) struct Asked {
    page: Option<String>,
}

fn open(monitor: Monitor, who: auth::Viewer, topic: Topic) -> Result<Response, Problem> {
    let most = monitor.config().max_viewers;
    let viewer = monitor.join(topic).ok_or_else(|| Problem::too_many_viewers(most))?;
    let updates = Updates {
        observations: monitor.observations(),
        monitor,
        viewer,
        role: who.role,
        until: who.until,
        sent: Vec::new(),
        begun: false,
    };
    // Proxies must neither collect nor change what is sent.
    let headers = [
        (header::CACHE_CONTROL, "no-cache, no-transform"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Sse::new(updates.into_stream())).into_response())
}

/// Returns when the session has ended.
async fn over(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => pending().await,
    }
}

struct Updates {
    monitor: Monitor,
    observations: watch::Receiver<Arc<Observation>>,
    viewer: Viewer,
    /// What actions the page offers.
    role: Role,
    /// When the session ends of the one who looks.
    until: Option<Instant>,
    /// What the page shows.
    sent: Vec<Fragment>,
    begun: bool,
}

impl Updates {
    fn into_stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut updates| async move {
            let closing = updates.monitor.closing().clone();
            let ends = updates.until;
            let event = tokio::select! {
                event = updates.next() => Some(event),
                () = over(ends) => None,
                () = closing.cancelled() => None,
            };
            event.map(|event| (Ok(event), updates))
        })
    }

    async fn next(&mut self) -> Event {
        if !self.begun {
            self.begun = true;
            return Event::default().event("build").retry(RETRY).data(assets::build());
        }
        let silent_until = Instant::now() + BEAT;
        loop {
            let observation = self.observations.borrow_and_update().clone();
            if let Some(event) = self.changes(&observation) {
                return event;
            }
            let left = silent_until.saturating_duration_since(Instant::now());
            if timeout(left, self.observations.changed()).await.is_err() {
                return Event::default().event("beat").data("");
            }
        }
    }

    /// An event with the fragments that the page does not show yet, if there are any.
    fn changes(&mut self, observation: &Observation) -> Option<Event> {
        let fragments = views::live(&self.monitor, self.viewer.topic(), self.role, observation);
        let mut changed = Vec::new();
        for fragment in fragments.iter() {
            match self.sent.iter_mut().find(|sent| sent.id == fragment.id) {
                Some(sent) if *sent == *fragment => continue,
                Some(sent) => sent.clone_from(fragment),
                None => self.sent.push(fragment.clone()),
            }
            changed.push((fragment.id, &fragment.html));
        }
        if changed.is_empty() {
            return None;
        }
        let data = serde_json::to_string(&changed).expect("strings can be written as JSON");
        let id = observation.number.to_string();
        Some(Event::default().event("fragments").id(id).data(data))
    }
}
