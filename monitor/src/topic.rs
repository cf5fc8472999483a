//! What a page is about, filters and place in a list included: its address, parsed once. An
//! address that is shared shows the same to everybody; live updates are asked for by it, too.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use axum::extract::Query;
use axum::http::Uri;
use celeriac_broker_schema::{InvalidInput, JobId, QueueName, State, TaskId, Timestamp};

use crate::error::Problem;

/// What a page is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Topic {
    Overview(Span),
    Queues,
    Queue(QueueName, Peek),
    Jobs,
    Job(JobId),
    Tasks(TaskPlace),
    Task(TaskId),
    Workers,
    Dead(DeadPlace),
    Schedules,
    Limits,
    Health,
}

/// How far back the charts go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Span {
    #[default]
    Hour,
    SixHours,
    TwoDays,
    TwoWeeks,
}

/// Which tasks are looked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct TaskPlace {
    pub(crate) state: Option<State>,
    pub(crate) queue: Option<QueueName>,
    pub(crate) task: Option<String>,
    /// The beginning of its lease.
    pub(crate) worker: Option<String>,
    /// Not longer ago than this.
    pub(crate) within: Option<Span>,
    /// Where the page before has ended.
    pub(crate) after: Option<String>,
}

/// Which of what waits in a queue is shown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Peek {
    /// What is ready, in the order in which workers take it.
    #[default]
    Next,
    /// What is ready at one priority, from this place on.
    Priority(u8, u64),
    /// What waits for a time.
    Delayed(u64),
    /// What lost its worker more than once.
    Suspects(u64),
}

/// Which dead letters are shown: groups of them, unless a group is chosen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct DeadPlace {
    pub(crate) task: Option<String>,
    pub(crate) queue: Option<QueueName>,
    /// A part of the message.
    pub(crate) error: Option<String>,
    /// The sort of error: one group.
    pub(crate) fingerprint: Option<String>,
    /// The last one of the page before.
    pub(crate) after: Option<(Timestamp, TaskId)>,
}

type Fields = BTreeMap<String, String>;

impl Topic {
    /// The topic of a page's address.
    ///
    /// # Errors
    /// No such page, or a part of the address that cannot be what it should be.
    pub(crate) fn of(uri: &Uri) -> Result<Self, Problem> {
        let fields = Query::<Fields>::try_from_uri(uri).map(|query| query.0).unwrap_or_default();
        let path = uri.path();
        let mut parts = path.split('/').skip(1);
        let found = match (parts.next(), parts.next(), parts.next()) {
            (Some(""), None, _) => Self::Overview(Span::of(&fields, "back").unwrap_or_default()),
            (Some("queues"), None, _) => Self::Queues,
            (Some("queues"), Some(name), None) => Self::Queue(read(name)?, Peek::of(&fields)),
            (Some("jobs"), None, _) => Self::Jobs,
            (Some("jobs"), Some(id), None) => Self::Job(read(id)?),
            (Some("tasks"), None, _) => Self::Tasks(TaskPlace::of(&fields)?),
            (Some("tasks"), Some(id), None) => Self::Task(read(id)?),
            (Some("workers"), None, _) => Self::Workers,
            (Some("dead"), None, _) => Self::Dead(DeadPlace::of(&fields)?),
            (Some("schedules"), None, _) => Self::Schedules,
            (Some("limits"), None, _) => Self::Limits,
            (Some("health"), None, _) => Self::Health,
            _ => return Err(Problem::no_such_page(path)),
        };
        Ok(found)
    }

    /// The path of the page's live updates.
    pub(crate) fn events_path(&self) -> String {
        match self {
            Self::Overview(Span::Hour) => "/events".to_owned(),
            other => format!("/events?page={}", encoded(&other.to_string())),
        }
    }

    /// At every how manieth look its own part is read: what costs more or changes little is read
    /// less often.
    pub(crate) fn every(&self) -> u64 {
        match self {
            Self::Jobs | Self::Job(_) | Self::Task(_) | Self::Workers => 1,
            Self::Overview(_) | Self::Queues | Self::Queue(..) | Self::Tasks(_) => 2,
            Self::Dead(_) | Self::Schedules | Self::Limits | Self::Health => 5,
        }
    }
}

/// The address of the page.
impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overview(Span::Hour) => f.write_str("/"),
            Self::Overview(span) => write!(f, "/?back={span}"),
            Self::Queues => f.write_str("/queues"),
            Self::Queue(name, peek) => write!(f, "/queues/{name}{peek}"),
            Self::Jobs => f.write_str("/jobs"),
            Self::Job(id) => write!(f, "/jobs/{id}"),
            Self::Tasks(place) => write!(f, "/tasks{place}"),
            Self::Task(id) => write!(f, "/tasks/{id}"),
            Self::Workers => f.write_str("/workers"),
            Self::Dead(place) => write!(f, "/dead{place}"),
            Self::Schedules => f.write_str("/schedules"),
            Self::Limits => f.write_str("/limits"),
            Self::Health => f.write_str("/health"),
        }
    }
}

impl Span {
    pub(crate) const ALL: [Self; 4] = [Self::Hour, Self::SixHours, Self::TwoDays, Self::TwoWeeks];

    fn of(fields: &Fields, name: &str) -> Option<Self> {
        let text = fields.get(name)?;
        Self::ALL.into_iter().find(|span| span.to_string() == *text)
    }

    pub(crate) fn ms(self) -> u64 {
        let hours = match self {
            Self::Hour => 1,
            Self::SixHours => 6,
            Self::TwoDays => 48,
            Self::TwoWeeks => 336,
        };
        hours * 3_600_000
    }

    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Hour => "1 hour",
            Self::SixHours => "6 hours",
            Self::TwoDays => "2 days",
            Self::TwoWeeks => "2 weeks",
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hour => "1h",
            Self::SixHours => "6h",
            Self::TwoDays => "2d",
            Self::TwoWeeks => "14d",
        })
    }
}

impl TaskPlace {
    /// The states that can be searched for.
    pub(crate) const STATES: [State; 6] = [
        State::Running,
        State::Ready,
        State::Delayed,
        State::Failed,
        State::Succeeded,
        State::Cancelled,
    ];

    fn of(fields: &Fields) -> Result<Self, Problem> {
        let state = text(fields, "state").map(|word| {
            let found = Self::STATES.into_iter().find(|state| state.as_str() == word);
            found.ok_or_else(|| Problem::invalid_field("state"))
        });
        Ok(Self {
            state: state.transpose()?,
            queue: text(fields, "queue").map(read).transpose()?,
            task: text(fields, "task").map(str::to_owned),
            worker: text(fields, "worker").map(str::to_owned),
            within: Span::of(fields, "within"),
            after: text(fields, "after").map(str::to_owned),
        })
    }
}

impl fmt::Display for TaskPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let within = self.within.map(|within| within.to_string());
        query(
            f,
            &[
                ("state", self.state.map(State::as_str)),
                ("queue", self.queue.as_ref().map(QueueName::as_str)),
                ("task", self.task.as_deref()),
                ("worker", self.worker.as_deref()),
                ("within", within.as_deref()),
                ("after", self.after.as_deref()),
            ],
        )
    }
}

/// What is set, without blanks around it.
fn text<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
}

impl Peek {
    fn of(fields: &Fields) -> Self {
        let from = fields.get("from").and_then(|from| from.parse().ok()).unwrap_or(0);
        match fields.get("place").map(String::as_str) {
            Some("delayed") => Self::Delayed(from),
            Some("suspects") => Self::Suspects(from),
            Some(priority) => match priority.parse() {
                Ok(priority @ 0..=9) => Self::Priority(priority, from),
                _ => Self::Next,
            },
            None => Self::Next,
        }
    }

    /// The same place, from further on.
    pub(crate) fn at(&self, from: u64) -> Self {
        match self {
            Self::Next => Self::Next,
            Self::Priority(priority, _) => Self::Priority(*priority, from),
            Self::Delayed(_) => Self::Delayed(from),
            Self::Suspects(_) => Self::Suspects(from),
        }
    }

    pub(crate) fn from(&self) -> u64 {
        match self {
            Self::Next => 0,
            Self::Priority(_, from) | Self::Delayed(from) | Self::Suspects(from) => *from,
        }
    }
}

impl fmt::Display for Peek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Next => return Ok(()),
            Self::Priority(priority, _) => write!(f, "?place={priority}")?,
            Self::Delayed(_) => f.write_str("?place=delayed")?,
            Self::Suspects(_) => f.write_str("?place=suspects")?,
        }
        match self.from() {
            0 => Ok(()),
            from => write!(f, "&from={from}"),
        }
    }
}

impl DeadPlace {
    fn of(fields: &Fields) -> Result<Self, Problem> {
        let text = |name| text(fields, name);
        let after = text("after").and_then(|after| after.split_once('-')).map(
            |(at, id)| -> Result<_, Problem> {
                let at = at.parse().map_err(|_| Problem::invalid_field("after"))?;
                Ok((Timestamp(at), read(id)?))
            },
        );
        Ok(Self {
            task: text("task").map(str::to_owned),
            queue: text("queue").map(read).transpose()?,
            error: text("error").map(str::to_owned),
            fingerprint: text("group").map(str::to_owned),
            after: after.transpose()?,
        })
    }
}

impl fmt::Display for DeadPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let after = self.after.map(|(at, id)| format!("{}-{id}", at.0));
        query(
            f,
            &[
                ("task", self.task.as_deref()),
                ("queue", self.queue.as_ref().map(QueueName::as_str)),
                ("error", self.error.as_deref()),
                ("group", self.fingerprint.as_deref()),
                ("after", after.as_deref()),
            ],
        )
    }
}

/// What is set, as `?a=b&c=d`.
fn query(f: &mut fmt::Formatter<'_>, fields: &[(&str, Option<&str>)]) -> fmt::Result {
    let mut mark = '?';
    for (name, value) in fields {
        if let Some(value) = value {
            write!(f, "{mark}{name}={}", encoded(value))?;
            mark = '&';
        }
    }
    Ok(())
}

/// As a value of a query.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z'
            | b'A'..=b'Z'
            | b'0'..=b'9'
            | b'-'
            | b'_'
            | b'.'
            | b'/'
            | b'@'
            | b':'
            | b'~' => {
                out.push(byte.into());
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// A part of a path. Names and ids need no escapes but for `@`, which some programs escape.
fn read<T: FromStr<Err = InvalidInput>>(part: &str) -> Result<T, Problem> {
    part.replace("%40", "@").parse().map_err(|error| Problem::invalid_id(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(address: &str) -> Result<Topic, Problem> {
        Topic::of(&address.parse().expect("an address"))
    }

    #[test]
    fn an_address_survives() {
        let id = "0193a7c2b5e07d4e8a1f3c5d7e9b1a00";
        for address in [
            "/",
            "/queues",
            "/queues/mail@gpu",
            "/queues/mail?place=7&from=50",
            "/queues/mail?place=delayed",
            "/queues/mail?place=suspects",
            "/jobs",
            &format!("/jobs/{id}"),
            &format!("/tasks/{id}:17"),
            "/workers",
            "/?back=2d",
            "/tasks",
            "/tasks?state=failed&queue=q&task=mail/send&worker=4f2a&within=6h&after=failed~12:ab",
            "/dead",
            &format!("/dead?task=mail/send&queue=q&error=a%20b%26c&group=f&after=12-{id}"),
            "/schedules",
            "/limits",
            "/health",
        ] {
            assert_eq!(topic(address).expect("a topic").to_string(), address);
        }
    }

    #[test]
    fn live_updates_name_the_page() {
        let peek = topic("/queues/mail?place=delayed").expect("a topic");
        assert_eq!(peek.events_path(), "/events?page=/queues/mail%3Fplace%3Ddelayed");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for (address, status) in [
            ("/nowhere", 404),
            ("/queues/a/b", 404),
            ("/jobs/xyz", 400),
            ("/queues/%20", 400),
            ("/dead?after=x-y", 400),
            ("/dead?queue=%20a%20b", 400),
        ] {
            assert_eq!(topic(address).expect_err(address).status.as_u16(), status);
        }
        assert_eq!(topic("/queues/mail?place=99"), topic("/queues/mail"));
    }
}
