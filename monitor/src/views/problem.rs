//! Pages for what is not there.

use axum::http::StatusCode;
use maud::{Markup, html};

use crate::auth::Viewer;
use crate::error::Problem;
use crate::state::Monitor;
use crate::views::frame::still;

/// A whole page about a problem.
pub(crate) fn problem_page(monitor: &Monitor, viewer: &Viewer, problem: &Problem) -> Markup {
    still(monitor, viewer, problem.title, missing(problem))
}

/// The place of a job or task that is not known (yet) or not readable.
pub(crate) fn missing(problem: &Problem) -> Markup {
    let hint = match problem.status {
        StatusCode::NOT_FOUND if problem.kind.contains("unknown") => {
            Some("An outcome is kept for a day, unless the task says otherwise.")
        }
        _ => None,
    };
    html! {
        div #detail.missing {
            p.code { (problem.status.as_u16()) }
            h1 { (problem.title) }
            p.lead { (sentence(&problem.detail)) }
            @if let Some(hint) = hint { p.muted { (hint) } }
            p { a href="/" { "Back to the overview" } }
        }
    }
}

/// With a capital at the beginning and a full stop at the end.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    let stop = if text.ends_with('.') { "" } else { "." };
    format!("{first}{}{stop}", chars.as_str())
}
