//! Why somebody is not let in, and how they are told: programs by a document, people by a page.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};

use crate::error::Problem;
use crate::views::{self, action::escaped};

/// Why a request goes no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is not known who it is, and that matters here.
    Unknown,
    /// Nothing was configured, and it does not come from this machine.
    NotHere,
    /// There is no such token.
    WrongToken,
    /// The proxy names somebody who has no role.
    NoRole,
    /// They may look, but not act.
    MayNotAct,
    /// Nothing was configured, so nobody may act.
    NobodyMayAct,
    /// A page elsewhere made the browser do it.
    CrossSite,
    /// The token of our pages is missing.
    NoFormToken,
    /// There were too many attempts.
    Wait(Duration),
}

impl Refusal {
    pub(super) fn problem(&self) -> Problem {
        let (kind, title, status, detail) = match self {
            Self::Unknown => (
                "urn:celeriac:problem:unauthenticated",
                "Not logged in",
                StatusCode::UNAUTHORIZED,
                "say who you are: log in at /login, or send `Authorization: Bearer TOKEN`",
            ),
            Self::NotHere => (
                "urn:celeriac:problem:not-local",
                "For this machine only",
                StatusCode::FORBIDDEN,
                "nothing was said about who may look, so only http://127.0.0.1 of the monitor's \
                 own machine may: give the monitor --users, --tokens or --public-view",
            ),
            Self::WrongToken => (
                "urn:celeriac:problem:unauthenticated",
                "Unknown token",
                StatusCode::UNAUTHORIZED,
                "the token is none of this monitor",
            ),
            Self::NoRole => (
                "urn:celeriac:problem:forbidden",
                "No access",
                StatusCode::FORBIDDEN,
                "you are logged in, but have no role in this monitor",
            ),
            Self::MayNotAct => (
                "urn:celeriac:problem:forbidden",
                "For operators only",
                StatusCode::FORBIDDEN,
                "you may look, but not act: ask for the role of an operator",
            ),
            Self::NobodyMayAct => (
                "urn:celeriac:problem:forbidden",
                "For operators only",
                StatusCode::FORBIDDEN,
                "this monitor only shows things: whoever shall act needs --users or --tokens with \
                 the role of an operator",
            ),
            Self::CrossSite => (
                "urn:celeriac:problem:cross-site",
                "Not from a page of this monitor",
                StatusCode::FORBIDDEN,
                "the browser does not say that this comes from one of the monitor's own pages: \
                 use those, or a program with a token",
            ),
            Self::NoFormToken => (
                "urn:celeriac:problem:form-token",
                "The page is too old",
                StatusCode::FORBIDDEN,
                "the token that the monitor's pages have is missing or of an earlier session: \
                 reload the page and try again",
            ),
            Self::Wait(_) => (
                "urn:celeriac:problem:too-many-attempts",
                "Too many attempts",
                StatusCode::TOO_MANY_REQUESTS,
                "there were too many attempts that failed: wait a minute",
            ),
        };
        Problem { kind, title, status, detail: detail.to_owned() }
    }

    /// As a document.
    pub(super) fn document(&self) -> Response {
        self.with_headers(self.problem().into_response())
    }

    /// As a page, or the way to the page where one logs in. `back`: where one wanted to go, if it can
    /// be gone to.
    pub(super) fn page(&self, back: Option<&str>, can_log_in: bool) -> Response {
        if let (Self::Unknown, Some(back), true) = (self, back, can_log_in) {
            return Redirect::to(&format!("/login?back={}", escaped(back))).into_response();
        }
        let problem = self.problem();
        let page = views::outside_problem(&problem, can_log_in);
        self.with_headers((problem.status, page).into_response())
    }

    fn with_headers(&self, mut response: Response) -> Response {
        let headers = response.headers_mut();
        match self {
            Self::Unknown | Self::WrongToken => {
                let how = HeaderValue::from_static("Bearer realm=\"celeriac\"");
                headers.insert(header::WWW_AUTHENTICATE, how);
            }
            Self::Wait(wait) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
            }
            _ => {}
        }
        response
    }
}
