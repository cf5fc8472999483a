//! HTML. A page is a frame around fragments; the same fragments are sent again, under the same
//! ids, into pages that are open. All text is escaped by maud; there is no inline script or style.

pub(crate) mod action;
mod api;
mod audit;
mod chart;
mod chunks;
mod dead;
mod dialogs;
mod format;
mod frame;
mod health;
mod job;
mod jobs;
mod json;
mod lanes;
mod limits;
mod login;
mod nav;
mod parts;
mod problem;
mod question;
mod queue;
mod queues;
mod schedules;
mod status;
mod table;
mod task;
mod tasks;
mod totals;
mod workers;

use std::sync::Arc;

use maud::{Markup, html};

use crate::auth::Role;
use crate::observation::{Detail, Link, Observation, Reading};
use crate::state::Monitor;
use crate::topic::Topic;

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

/// The elements that the page of a topic may have, but for those that every page has.
pub(crate) fn ids(topic: &Topic) -> &'static [&'static str] {
    match topic {
        Topic::Overview(_) => &["notices", "totals", "charts", "jobs", "queues", "workers"],
        Topic::Queues => &["title", "queues"],
        Topic::Jobs => &["title", "jobs"],
        Topic::Workers => &["title", "workers"],
        Topic::Job(_) => &["detail", "chunks", "more"],
        _ => &["detail"],
    }
}

/// What an observation has for the live pages of a topic. What is missing stays as it is there.
pub(crate) fn live(
    monitor: &Monitor,
    topic: &Topic,
    role: Role,
    observation: &Observation,
) -> Arc<[Fragment]> {
    observation.fragments(topic, role, || {
        fragments(monitor, topic, role, observation, observation.details.get(topic))
    })
}

/// All fragments of a page for those who may do what `role` says. `detail`: what its topic is
/// about, if it was read.
pub(crate) fn fragments(
    monitor: &Monitor,
    topic: &Topic,
    role: Role,
    observation: &Observation,
    detail: Option<&Detail>,
) -> Vec<Fragment> {
    let mut fragments = vec![
        Fragment::new("status", status::status(monitor, observation)),
        Fragment::new("outage", status::outage(observation)),
        Fragment::new("nav", nav::nav(&topic.to_string(), observation)),
    ];
    let reading = observation.reading.as_deref();
    match (topic, reading, detail) {
        (Topic::Overview(span), ..) => {
            fragments.extend(overview(observation, role));
            if let Some(Detail::Overview(history)) = detail {
                let charts = Fragment::new("charts", chart::charts(history, *span));
                // After the sums, where there are any.
                fragments.insert(fragments.len().min(5), charts);
            }
        }
        (Topic::Workers, Some(reading), _) => {
            fragments.push(titled("Workers", "Who is there, and what runs since when."));
            fragments.push(Fragment::new("workers", workers::workers(reading, role)));
        }
        (_, Some(reading), Some(Detail::Queues(history))) => {
            fragments.push(titled("Queues", "What waits for a worker, and for how long."));
            fragments.push(Fragment::new("queues", queues::queues(reading, Some(history))));
        }
        (_, Some(reading), Some(Detail::Jobs(jobs))) => {
            fragments.push(titled("Jobs", "Work that is split into chunks, the newest first."));
            fragments.push(Fragment::new("jobs", jobs::jobs(reading, jobs)));
        }
        (_, _, Some(detail)) => fragments.extend(of_detail(monitor, topic, role, reading, detail)),
        (_, _, None) => {}
    }
    fragments
}

fn of_detail(
    monitor: &Monitor,
    topic: &Topic,
    role: Role,
    reading: Option<&Reading>,
    detail: &Detail,
) -> Vec<Fragment> {
    let workers = reading.map_or(&[][..], |reading| &reading.workers);
    let markup = match (detail, topic) {
        (Detail::Job(detail, map), _) => {
            let map = map.as_ref().map(|map| chunks::chunks(detail.job.id, map));
            return vec![
                Fragment::new("detail", job::job(detail, role)),
                Fragment::new("chunks", map.unwrap_or_else(|| nothing("chunks"))),
                Fragment::new("more", job::more(detail, workers)),
            ];
        }
        (Detail::None(problem), _) => {
            let mut fragments = vec![Fragment::new("detail", problem::missing(problem))];
            let others = ids(topic).iter().filter(|id| **id != "detail");
            fragments.extend(others.map(|id| Fragment::new(id, nothing(id))));
            return fragments;
        }
        (Detail::Queue(detail, history), Topic::Queue(_, peek)) => {
            queue::queue(detail, history, peek, role, reading)
        }
        (Detail::Tasks(found), Topic::Tasks(place)) => tasks::tasks(found, place),
        (Detail::Task(task, why), _) => task::task(task, role, why.as_ref()),
        (Detail::Dead(found), Topic::Dead(place)) => dead::dead(found, place, role),
        (Detail::Schedules(found), _) => schedules::schedules(found, role),
        (Detail::Limits(found), _) => limits::limits(found, role),
        (Detail::Health(found), _) => health::health(found, monitor, reading),
        _ => return Vec::new(),
    };
    vec![Fragment::new("detail", markup)]
}

/// The place of what is not there (yet).
fn nothing(id: &str) -> Markup {
    html! { div id=(id) hidden {} }
}

fn titled(title: &str, lead: &str) -> Fragment {
    let markup = html! { header #title.head { h1 { (title) } p.muted { (lead) } } };
    Fragment::new("title", markup)
}

fn overview(observation: &Observation, role: Role) -> Vec<Fragment> {
    match &observation.reading {
        Some(reading) => vec![
            Fragment::new("notices", totals::notices(&reading.notices)),
            Fragment::new("totals", totals::totals(reading)),
            Fragment::new("jobs", jobs::jobs(reading, &reading.jobs)),
            Fragment::new("queues", queues::queues(reading, None)),
            Fragment::new("workers", workers::workers(reading, role)),
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
    let words =
        html! { div #notices { h1 { "Overview" } (parts::empty(title, &html! { (hint) })) } };
    let mut fragments = vec![Fragment::new("notices", words)];
    for id in ["totals", "jobs", "queues", "workers"] {
        fragments.push(Fragment::new(id, nothing(id)));
    }
    fragments
}
