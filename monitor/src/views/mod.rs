//! HTML. A page is a frame around fragments; the same fragments are sent again, under the same
//! ids, into pages that are open. All text is escaped by maud; there is no inline script or style.

pub(crate) mod action;
mod api;
mod audit;
mod chart;
mod format;
mod frame;
mod job;
mod jobs;
mod json;
mod login;
mod parts;
mod problem;
mod question;
mod queues;
mod status;
mod table;
mod task;
mod totals;
mod workers;

use std::sync::Arc;

use maud::{Markup, html};

use crate::auth::Role;
use crate::observation::{Detail, Link, Observation};
use crate::state::Monitor;
use crate::viewers::Topic;

pub(crate) use api::api_page;
pub(crate) use audit::audit;
pub(crate) use format::counted;
pub(crate) use frame::page;
pub(crate) use login::{login, outside_problem};
pub(crate) use problem::problem_page;
pub(crate) use question::{Question, question};

/// A part of a page that changes: an element with this id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fragment {
    pub(crate) id: &'static str,
    pub(crate) html: String,
}

impl Fragment {
    fn new(id: &'static str, markup: Markup) -> Self {
        Self { id, html: markup.into_string() }
    }
}

/// What an observation has for the live pages of a topic. What is missing stays as it is there.
pub(crate) fn live(
    monitor: &Monitor,
    topic: Topic,
    role: Role,
    observation: &Observation,
) -> Arc<[Fragment]> {
    observation.fragments(topic, role, || {
        fragments(monitor, topic, role, observation, observation.details.get(&topic))
    })
}

/// All fragments of a page for those who may do what `role` says. `detail`: what its topic is
/// about, if it was read.
pub(crate) fn fragments(
    monitor: &Monitor,
    topic: Topic,
    _role: Role,
    observation: &Observation,
    detail: Option<&Detail>,
) -> Vec<Fragment> {
    let mut fragments = vec![
        Fragment::new("status", status::status(monitor, observation)),
        Fragment::new("outage", status::outage(observation)),
    ];
    match (topic, detail) {
        (Topic::Overview, _) => fragments.extend(overview(observation)),
        (_, Some(Detail::Job(job))) => {
            let workers = observation.reading.as_ref().map_or(&[][..], |reading| &reading.workers);
            fragments.push(Fragment::new("detail", job::job(job, workers)));
        }
        (_, Some(Detail::Task(task))) => {
            fragments.push(Fragment::new("detail", task::task(task)));
        }
        (_, Some(Detail::None(problem))) => {
            fragments.push(Fragment::new("detail", problem::missing(problem)));
        }
        (_, None) => {}
    }
    fragments
}

fn overview(observation: &Observation) -> Vec<Fragment> {
    match &observation.reading {
        Some(reading) => vec![
            Fragment::new("notices", totals::notices(&reading.notices)),
            Fragment::new("totals", totals::totals(reading)),
            Fragment::new("jobs", jobs::jobs(reading)),
            Fragment::new("queues", queues::queues(reading)),
            Fragment::new("workers", workers::workers(reading)),
        ],
        None => nothing_yet(&observation.link),
    }
}

/// Before the first reading: the places where it will be.
fn nothing_yet(link: &Link) -> Vec<Fragment> {
    let (title, hint) = match link {
        Link::Away(_) => {
            ("Nothing was read yet", "This page fills by itself as soon as Redis answers.")
        }
        _ => ("Reading …", "Redis has been asked and will answer in a moment."),
    };
    let words = html! { div #notices { (parts::empty(title, &html! { (hint) })) } };
    let mut fragments = vec![Fragment::new("notices", words)];
    for id in ["totals", "jobs", "queues", "workers"] {
        fragments.push(Fragment::new(id, html! { div id=(id) hidden {} }));
    }
    fragments
}
