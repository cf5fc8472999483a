//! `celeriac doctor --deep`: asks of all that is in Redis whether what must hold does.

use celeriac_broker_schema::Broker;
use celeriac_broker_schema::check::Violation;
use celeriac_broker_schema::health::{Finding, notice, problem};

use crate::error::CliError;
use crate::format::{counted, grouped};

/// Keys and elements that are read at most: some hundred megabytes here, and a few seconds of Redis,
/// a millisecond at a time.
const MOST_READ: usize = 2_000_000;
/// So many violations are told one by one.
const MOST_TOLD: usize = 50;

pub(super) async fn findings(broker: &Broker) -> Result<Vec<Finding>, CliError> {
    let (violations, whole) = broker.check(MOST_READ).await?;
    Ok(told(&violations, whole))
}

fn told(violations: &[Violation], whole: bool) -> Vec<Finding> {
    let of = |violation: &Violation| {
        problem(
            format!("{violation} ({})", violation.invariant.sentence()),
            "this is a bug, or somebody wrote to Redis past the scripts: report it with this line (docs/reliability.md)",
        )
    };
    let mut findings: Vec<Finding> = violations.iter().take(MOST_TOLD).map(of).collect();
    let more = violations.len().saturating_sub(MOST_TOLD) as u64;
    if more > 0 {
        let what = format!("{} of this kind", counted(more, "more problem"));
        findings.push(problem(what, "repair those that are told, and look again"));
    }
    if !whole {
        let what = format!(
            "the namespace has more than {} keys and elements: of the rest nothing was looked at, and of those only their kinds",
            grouped(MOST_READ as u64)
        );
        findings.push(notice(what, "look again when less is queued or kept"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use celeriac_broker_schema::check::Invariant;

    use super::*;
    use crate::cmd::doctor::Severity;

    fn violation(subject: usize) -> Violation {
        let (invariant, subject) = (Invariant::OnePlace, subject.to_string());
        Violation { invariant, subject, what: "it is nowhere".to_owned() }
    }

    #[test]
    fn what_does_not_hold_is_a_problem_and_a_part_is_a_notice() {
        assert_eq!(told(&[], true), []);
        let one = told(&[violation(7)], true);
        assert_eq!(one[0].severity, Severity::Problem);
        assert!(one[0].what.starts_with("I1 7: it is nowhere ("), "{one:?}");
        let part = told(&[], false);
        assert_eq!(part[0].severity, Severity::Notice);
    }

    #[test]
    fn many_are_summed_up() {
        let many: Vec<Violation> = (0..70).map(violation).collect();
        let found = told(&many, true);
        assert_eq!(found.len(), MOST_TOLD + 1);
        assert_eq!(found[MOST_TOLD].what, "20 more problems of this kind");
    }
}
