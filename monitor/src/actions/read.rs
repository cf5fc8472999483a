//! From fields to an [`Action`]: everything is checked, and all that is wrong is told at once.

use std::fmt::Display;
use std::num::NonZeroU64;
use std::str::FromStr;
use std::time::Duration;

use celeriac_broker_schema::script::{Control, Order};
use celeriac_broker_schema::{
    CancelFilter, DeadFilter, LeaseId, Limit, QueueName, Rate, State, TaskId, Timestamp,
};

use super::action::Action;
use super::fields::Fields;
use super::kind::{Kind, Sort};

/// Most ids of one action.
const IDS: usize = 500;

/// The longest value of a field, in bytes.
const LONGEST: usize = 2_000;

/// Most queues that a worker is told to serve.
const QUEUES: usize = 100;

/// Reads the fields of an action. Those that prove that a form is ours are not among them.
///
/// # Errors
/// All that is wrong.
pub(crate) fn read(kind: Kind, fields: &Fields) -> Result<Action, Vec<String>> {
    let mut reader = Reader { fields, wrong: Vec::new() };
    reader.check_names(kind);
    let action = reader.action(kind);
    match action {
        Some(action) if reader.wrong.is_empty() => Ok(action),
        _ => Err(reader.wrong),
    }
}

struct Reader<'a> {
    fields: &'a Fields,
    wrong: Vec<String>,
}

impl Reader<'_> {
    /// A field that is misspelt must not widen what is done.
    fn check_names(&mut self, kind: Kind) {
        for (name, value) in &self.fields.0 {
            let shown: String = name.chars().take(80).collect();
            let field = kind.fields().iter().find(|field| field.name == name);
            if field.is_none() && name != "why" {
                self.wrong.push(format!("there is no field {shown:?} in {}", kind.word()));
            }
            if value.len() > LONGEST {
                self.wrong.push(format!("field {shown:?} is longer than {LONGEST} bytes"));
            }
            let many = field.is_some_and(|field| field.many);
            if !many && self.fields.texts(name).count() > 1 {
                self.wrong.push(format!("field {shown:?} is there more than once"));
            }
        }
        for field in kind.fields() {
            let text = self.fields.text(field.name).trim();
            if field.required && text.is_empty() {
                self.wrong.push(format!("field {:?} is missing", field.name));
            }
            match field.sort {
                Sort::Yes if !["", "yes", "no"].contains(&text) => {
                    self.wrong.push(format!("field {:?} must be yes or no", field.name));
                }
                Sort::OneOf(words) if !text.is_empty() && !words.contains(&text) => {
                    let words = words.join(" or ");
                    self.wrong.push(format!("field {:?} must be {words}", field.name));
                }
                _ => {}
            }
        }
        self.wrong.dedup();
    }

    fn action(&mut self, kind: Kind) -> Option<Action> {
        Some(match kind {
            Kind::Cancel => Action::Cancel(self.whole_ids()?),
            Kind::CancelMatching => Action::CancelMatching(self.cancel_filter()?),
            Kind::Revive => Action::Revive(self.ids()?),
            Kind::ReviveMatching => Action::ReviveMatching(self.dead_filter()?),
            Kind::Discard => Action::Discard(self.ids()?),
            Kind::DiscardMatching => Action::DiscardMatching(self.dead_filter()?),
            Kind::PauseQueue => Action::Control(self.value("queue")?, Control::Pause),
            Kind::ResumeQueue => Action::Control(self.value("queue")?, Control::Resume),
            Kind::CloseQueue => Action::Control(self.value("queue")?, Control::Close),
            Kind::OpenQueue => Action::Control(self.value("queue")?, Control::Open),
            Kind::LimitQueue => {
                let max = self.value::<NonZeroU64>("max");
                Action::Control(self.value("queue")?, max.map_or(Control::Unlimit, Control::Limit))
            }
            Kind::PurgeQueue => {
                Action::Purge { queue: self.value("queue")?, delayed: self.yes("delayed") }
            }
            Kind::MoveQueue => self.carry()?,
            Kind::SetLimit => {
                let limit = self.limit();
                Action::SetLimit(self.value("subject")?, limit?)
            }
            Kind::RemoveLimit => Action::RemoveLimit(self.value("subject")?),
            Kind::FairOn => Action::Fair(self.value("queue")?, true),
            Kind::FairOff => Action::Fair(self.value("queue")?, false),
            Kind::DrainWorker => Action::Order(self.lease()?, Order::Drain),
            Kind::PauseWorker => Action::Order(self.lease()?, Order::Pause),
            Kind::ResumeWorker => Action::Order(self.lease()?, Order::Resume),
            Kind::SetSlots => {
                let slots = self.slots();
                Action::Order(self.lease()?, Order::Concurrency(slots?))
            }
            Kind::SetQueues => {
                let queues = self.queues();
                Action::Order(self.lease()?, Order::Queues(queues?))
            }
            Kind::PauseSchedule => Action::PauseSchedule(self.value("schedule")?),
            Kind::ResumeSchedule => Action::ResumeSchedule(self.value("schedule")?),
            Kind::RunSchedule => Action::RunSchedule(self.value("schedule")?),
            Kind::SkipSchedule => Action::SkipSchedule(self.value("schedule")?),
            Kind::RemoveSchedule => Action::RemoveSchedule(self.value("schedule")?),
        })
    }

    /// A field that is there and not empty.
    fn text(&self, name: &str) -> Option<&str> {
        Some(self.fields.text(name).trim()).filter(|text| !text.is_empty())
    }

    fn yes(&self, name: &str) -> bool {
        self.fields.text(name) == "yes"
    }

    /// The value of a field; None if it is not there, or wrong.
    fn value<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        match self.text(name)?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.wrong.push(format!("field {name:?}: {error}"));
                None
            }
        }
    }

    fn ids(&mut self) -> Option<Vec<TaskId>> {
        let (mut ids, mut odd) = (Vec::new(), 0);
        for text in self.fields.texts("id").map(str::trim) {
            match text.parse() {
                Ok(id) if !ids.contains(&id) => ids.push(id),
                Ok(_) => {}
                Err(error) if odd < 3 => {
                    self.wrong.push(format!("field \"id\": {error}"));
                    odd += 1;
                }
                Err(_) => {}
            }
            if ids.len() > IDS {
                self.wrong.push(format!("there are more than {IDS} ids: do it in parts"));
                return None;
            }
        }
        Some(ids).filter(|ids| !ids.is_empty())
    }

    fn whole_ids(&mut self) -> Option<Vec<TaskId>> {
        let ids = self.ids()?;
        for chunk in ids.iter().filter(|id| id.chunk().is_some()).take(3) {
            let job = chunk.job();
            self.wrong.push(format!("chunk {chunk} cannot be cancelled alone: cancel job {job}"));
        }
        Some(ids)
    }

    fn cancel_filter(&mut self) -> Option<CancelFilter> {
        let state = match self.text("state") {
            Some("ready") => Some(State::Ready),
            Some("delayed") => Some(State::Delayed),
            _ => None,
        };
        let (task, tenant) = (self.value("task"), self.value("tenant"));
        let tag = self.text("tag").map(str::to_owned);
        let older_than = self.value::<Span>("older_than").map_or(Duration::ZERO, |span| span.0);
        let all = CancelFilter::of(self.value("queue")?);
        Some(CancelFilter { task, tenant, tag, state, older_than, ..all })
    }

    fn dead_filter(&mut self) -> Option<DeadFilter> {
        let filter = DeadFilter {
            queue: self.value("queue"),
            task: self.text("task").map(str::to_owned),
            error: self.text("error").map(str::to_owned),
            fingerprint: self.text("fingerprint").map(str::to_owned),
            since: self.value("since").map(Timestamp),
            until: self.value("until").map(Timestamp),
        };
        // Nothing said is no way to say "all".
        if (filter == DeadFilter::default()) != self.yes("all") && self.wrong.is_empty() {
            self.wrong
                .push("say which dead letters, or that all are meant, and not both".to_owned());
        }
        Some(filter)
    }

    fn carry(&mut self) -> Option<Action> {
        let delayed = self.yes("delayed");
        let (from, to) = (self.value::<QueueName>("queue"), self.value("to"));
        let (from, to) = (from?, to?);
        if from == to {
            self.wrong.push(format!("queue {from} cannot be moved to itself"));
        }
        Some(Action::Move { from, to, delayed })
    }

    fn limit(&mut self) -> Option<Limit> {
        let rate = self.value::<PerTime>("rate");
        let burst = self.value::<u64>("burst");
        let concurrency = self.value("concurrency");
        if rate.is_none() && burst.is_some() {
            self.wrong.push("field \"burst\" goes with a rate".to_owned());
        }
        let rate = rate.map(|PerTime { tasks, per_ms }| {
            // As many as come in a second come at once after a pause, unless it is said.
            let burst = burst.unwrap_or_else(|| (tasks * 1_000 / per_ms.max(1)).max(1));
            Rate { tasks, per_ms, burst }
        });
        match Limit::new(rate, concurrency) {
            Ok(limit) => Some(limit),
            Err(error) => {
                self.wrong.push(error.to_string());
                None
            }
        }
    }

    /// Leases are made of letters and digits; nothing else can be part of the name of a key.
    fn lease(&mut self) -> Option<LeaseId> {
        let text = self.text("worker")?;
        let odd = text.len() > 64 || !text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let lease = LeaseId::from_wire(text);
        if odd {
            self.wrong.push("field \"worker\" is no lease".to_owned());
        }
        Some(lease)
    }

    fn slots(&mut self) -> Option<u32> {
        let slots = self.value::<u32>("slots")?;
        if !(1..=MOST_SLOTS).contains(&slots) {
            self.wrong.push(format!("field \"slots\" must be 1 to {MOST_SLOTS}"));
        }
        Some(slots)
    }

    fn queues(&mut self) -> Option<Vec<QueueName>> {
        let text = self.text("queues")?.to_owned();
        let (mut queues, mut wrong) = (Vec::new(), Vec::new());
        for name in text.split(',').map(str::trim) {
            match name.parse() {
                Ok(name) if !queues.contains(&name) => queues.push(name),
                Ok(_) => {}
                Err(error) => wrong.push(format!("field \"queues\": {error}")),
            }
        }
        self.wrong.extend(wrong.into_iter().take(3));
        if queues.len() > QUEUES {
            self.wrong.push(format!("there are more than {QUEUES} queues"));
        }
        Some(queues)
    }
}

/// Most tasks that a worker can be told to run at once.
const MOST_SLOTS: u32 = 10_000;

/// `10m`
struct Span(Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
        let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = units.iter().find(|(name, _)| *name == &text[number.len()..]);
        let ms = unit.and_then(|(_, ms)| number.parse::<u64>().ok()?.checked_mul(*ms));
        let ms = ms.ok_or("write a number with a unit, such as 30s, 5m, 2h or 1d")?;
        Ok(Self(Duration::from_millis(ms)))
    }
}

/// `100/s`, `5/10m`
struct PerTime {
    tasks: u64,
    per_ms: u64,
}

impl FromStr for PerTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('/').and_then(|(tasks, per)| {
            let one = if per.starts_with(|c: char| c.is_ascii_digit()) { "" } else { "1" };
            let per: Span = format!("{one}{per}").parse().ok()?;
            let per_ms = u64::try_from(per.0.as_millis()).ok()?;
            // What is larger is refused below, and must not overflow before.
            Some(Self { tasks: tasks.parse::<u32>().ok()?.into(), per_ms })
        });
        parsed.ok_or_else(|| {
            "write how many in which time, such as 100/s, 5/10s or 1000/1d".to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0193a7c2b5e07d4e8a1f3c5d7e9b1a00";

    fn of(kind: Kind, query: &str) -> Result<Action, Vec<String>> {
        read(kind, &Fields::of_form(query.as_bytes()))
    }

    fn wrong(kind: Kind, query: &str) -> String {
        of(kind, query).expect_err("it is wrong").join("; ")
    }

    #[test]
    fn every_kind_can_be_read_and_misses_what_it_needs() {
        for kind in Kind::ALL {
            let value = |name: &str| match name {
                "id" => ID,
                "max" | "burst" | "concurrency" | "slots" | "since" | "until" => "5",
                "state" => "ready",
                "older_than" => "5m",
                "rate" => "5/s",
                "delayed" => "yes",
                "all" => "no",
                "to" => "other",
                "subject" => "task:mail.send",
                _ => "abc",
            };
            let query: Vec<String> =
                kind.fields().iter().map(|f| format!("{}={}", f.name, value(f.name))).collect();
            assert!(
                of(kind, &query.join("&")).is_ok(),
                "{kind:?}: {:?}",
                of(kind, &query.join("&"))
            );
            assert!(of(kind, "").is_err(), "{kind:?} does something with nothing");
            assert!(wrong(kind, "quueue=a").contains("no field \"quueue\""), "{kind:?}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let told =
            wrong(Kind::CancelMatching, "queue=a%00b&task=&state=x&older_than=5&tag=a&tag=b");
        for part in
            ["\"queue\"", "\"state\" must be ready or delayed", "\"older_than\"", "more than once"]
        {
            assert!(told.contains(part), "{part} is not in: {told}");
        }
    }

    #[test]
    fn nothing_said_is_not_everything() {
        assert!(wrong(Kind::DiscardMatching, "").contains("say which"));
        assert!(wrong(Kind::DiscardMatching, "all=no").contains("say which"));
        assert!(wrong(Kind::DiscardMatching, "all=yes&queue=a").contains("not both"));
        let all = Action::DiscardMatching(DeadFilter::default());
        assert_eq!(of(Kind::DiscardMatching, "all=yes"), Ok(all));
        let unlimited = Action::Control("a".parse().expect("a name"), Control::Unlimit);
        assert_eq!(of(Kind::LimitQueue, "queue=a&max="), Ok(unlimited));
        assert!(of(Kind::LimitQueue, "queue=a&max=0").is_err());
    }

    #[test]
    fn numbers_and_lists_have_bounds() {
        let ids = |n: usize| {
            let ids: Vec<String> =
                (0..n).map(|i| format!("id=0193a7c2b5e07d4e8a1f3c5d{i:08x}")).collect();
            ids.join("&")
        };
        assert!(matches!(of(Kind::Revive, &ids(500)), Ok(Action::Revive(ids)) if ids.len() == 500));
        assert!(wrong(Kind::Revive, &ids(501)).contains("more than 500"));
        assert!(
            matches!(of(Kind::Revive, &format!("id={ID}&id={ID}")), Ok(Action::Revive(ids)) if ids.len() == 1)
        );
        assert!(wrong(Kind::Cancel, &format!("id={ID}:3")).contains("cancel job"));
        for bad in ["slots=0", "slots=-1", "slots=99999999999", "slots=x", "slots="] {
            assert!(of(Kind::SetSlots, &format!("worker=abc&{bad}")).is_err(), "{bad}");
        }
        for bad in [
            "rate=1/0s",
            "rate=0/s",
            "rate=5",
            "rate=99999999/s",
            "burst=5",
            "concurrency=0",
            "rate=99999999999999999999/s",
        ] {
            assert!(of(Kind::SetLimit, &format!("subject=queue:a&{bad}")).is_err(), "{bad}");
        }
        assert!(wrong(Kind::PauseWorker, "worker=a:b").contains("no lease"));
        assert!(wrong(Kind::MoveQueue, "queue=a&to=a").contains("to itself"));
        assert!(wrong(Kind::SetQueues, "worker=abc&queues=a,,b").contains("\"queues\""));
        assert!(
            wrong(Kind::PauseQueue, &format!("queue=a&why={}", "x".repeat(2_001)))
                .contains("longer")
        );
    }
}
