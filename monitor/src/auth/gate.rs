//! In front of all routes.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;

use super::forgery::{from_hex, is_ours};
use super::guard::{Guard, How, Known};
use super::peer::Peer;
use super::refusal::Refusal;
use super::session::{self, NOTICE, cookie_value, removed};
use super::viewer::{Role, Viewer};
use crate::state::Monitor;

/// The header in which a script of our pages proves that it is ours.
const FORM_TOKEN: &str = "x-csrf-token";

/// Lets in who may, and tells the routes who it is.
pub(crate) async fn gate(State(monitor): State<Monitor>, request: Request, next: Next) -> Response {
    let guard = monitor.guard();
    let (mut parts, body) = request.into_parts();
    let peer = guard.peer(&parts.extensions, &parts.headers);
    let viewer = match guard.admit(&parts, &peer) {
        Ok(viewer) => viewer,
        Err(refusal) => return refuse(&refusal, &parts, &peer, guard),
    };
    let (noticed, secure) = (viewer.notice.is_some(), peer.secure);
    parts.extensions.insert(viewer);
    parts.extensions.insert(peer);
    let mut response = next.run(Request::from_parts(parts, body)).await;
    if noticed && is_page(response.headers()) {
        let gone = HeaderValue::try_from(removed(NOTICE, secure)).expect("words of ours");
        response.headers_mut().append(header::SET_COOKIE, gone);
    }
    response
}

/// Answers somebody who is not let in.
fn refuse(refusal: &Refusal, parts: &Parts, peer: &Peer, guard: &Guard) -> Response {
    let path = parts.uri.path();
    tracing::debug!(?refusal, path, from = ?peer.address, "refused");
    let accepted = parts.headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let wants_page = accepted.is_some_and(|accepted| accepted.contains("text/html"));
    if path.starts_with("/api/") || !wants_page {
        return refusal.document();
    }
    let back = (parts.method == Method::GET).then(|| here(parts));
    refusal.page(back.as_deref(), guard.access().can_log_in())
}

/// What everybody may ask for.
fn is_open(path: &str) -> bool {
    ["/login", "/logout", "/healthz", "/readyz"].contains(&path) || path.starts_with("/assets/")
}

impl Guard {
    /// Who may go on, as what.
    fn admit(&self, parts: &Parts, peer: &Peer) -> Result<Viewer, Refusal> {
        let (path, access) = (parts.uri.path(), self.access());
        let known = match self.who(&parts.headers, peer) {
            Err(_) if is_open(path) => None,
            known => known?,
        };
        let may_look =
            known.is_some() || access.public_view || (!access.is_set() && peer.is_here());
        if !may_look && !is_open(path) {
            return Err(if access.is_set() { Refusal::Unknown } else { Refusal::NotHere });
        }
        let viewer = Viewer { outside: !may_look, ..self.viewer(known.as_ref(), parts) };
        if ![Method::GET, Method::HEAD, Method::OPTIONS].contains(&parts.method) {
            self.admit_change(known.as_ref(), &viewer, parts, peer)?;
        }
        Ok(viewer)
    }

    /// Whether they may change something, and mean to.
    fn admit_change(
        &self,
        known: Option<&Known>,
        viewer: &Viewer,
        parts: &Parts,
        peer: &Peer,
    ) -> Result<(), Refusal> {
        let (path, access) = (parts.uri.path(), self.access());
        if !viewer.role.may_act() && !is_open(path) {
            return Err(match known {
                Some(_) => Refusal::MayNotAct,
                None if access.knows_anybody() => Refusal::Unknown,
                None => Refusal::NobodyMayAct,
            });
        }
        // Who sends a token means it: no browser does so by itself.
        if known.is_some_and(|known| known.how == How::Token) {
            return Ok(());
        }
        if !Self::is_same_origin(&parts.headers, peer) {
            return Err(Refusal::CrossSite);
        }
        // Forms have it in their body; whoever reads that compares it.
        let given = parts.headers.get(FORM_TOKEN).and_then(|token| token.to_str().ok());
        if path.starts_with("/api/") && !is_ours(&viewer.csrf, given.unwrap_or_default()) {
            return Err(Refusal::NoFormToken);
        }
        Ok(())
    }

    fn viewer(&self, known: Option<&Known>, parts: &Parts) -> Viewer {
        let session = known.and_then(|known| match &known.how {
            How::Session(session) => Some(session),
            _ => None,
        });
        let left = |ends: u64| Duration::from_millis(ends.saturating_sub(session::now()));
        Viewer {
            name: known.map(|known| known.name.clone()),
            role: known.map_or(Role::Viewer, |known| known.role),
            csrf: self.form_token(known),
            here: here(parts),
            notice: notice(&parts.headers),
            login: self.access().can_log_in(),
            session: session.is_some(),
            until: session.map(|session| Instant::now() + left(session.ends)),
            outside: false,
        }
    }
}

fn here(parts: &Parts) -> String {
    parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned()
}

fn notice(headers: &HeaderMap) -> Option<String> {
    let bytes = from_hex(cookie_value(headers, NOTICE)?)?;
    String::from_utf8(bytes).ok().filter(|text| !text.is_empty())
}

fn is_page(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("text/html"))
}
