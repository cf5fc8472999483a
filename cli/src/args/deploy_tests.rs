//! The files for containers call this command: what they say must be what it understands.

use std::time::Duration;

use celeriac_worker::WorkerConfig;

use super::values::duration;
use super::*;

const COMPOSE: &str = include_str!("../../../docker-compose.yml");
const DOCKERFILE: &str = include_str!("../../../Dockerfile");

/// The JSON array that follows `key` in each line that begins with it.
fn arrays(text: &str, key: &str) -> Vec<Vec<String>> {
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix(key));
    lines.filter_map(|array| serde_json::from_str(array.trim()).ok()).collect()
}

fn read(args: &[String]) -> Cli {
    let line = std::iter::once("celeriac").chain(args.iter().map(String::as_str));
    let matches = Cli::command().try_get_matches_from(line);
    let cli = matches.and_then(|matches| Cli::from_matches(&matches));
    cli.unwrap_or_else(|error| panic!("{args:?}: {error}"))
}

#[test]
fn the_image_runs_a_command_that_exists() {
    assert_eq!(arrays(DOCKERFILE, "ENTRYPOINT"), [["celeriac"]]);
    let commands = arrays(DOCKERFILE, "CMD");
    assert!(!commands.is_empty());
    for command in commands {
        assert!(matches!(read(&command).command, Command::Worker(_)), "{command:?}");
    }
}

#[test]
fn services_and_their_health_checks_are_understood() {
    let services = arrays(COMPOSE, "command:");
    assert_eq!(services.len(), 2, "{services:?}");
    for command in services {
        assert!(
            matches!(read(&command).command, Command::Worker(_) | Command::Monitor(_)),
            "{command:?}"
        );
    }
    let checks: Vec<_> =
        arrays(COMPOSE, "test:").into_iter().filter(|test| test[1] == "celeriac").collect();
    assert_eq!(checks.len(), 2, "{checks:?}");
    for check in checks {
        read(&check[2..]);
    }
}

#[test]
fn commands_in_comments_are_understood() {
    let typed: Vec<_> =
        COMPOSE.lines().filter_map(|line| line.split_once("exec worker celeriac ")).collect();
    assert!(!typed.is_empty());
    for (_, args) in typed {
        read(&args.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    }
}

#[test]
fn a_worker_may_drain_before_it_is_killed() {
    let grace = COMPOSE.lines().filter_map(|line| line.trim().strip_prefix("stop_grace_period:"));
    let grace: Vec<Duration> = grace.map(|text| duration(text.trim()).unwrap()).collect();
    assert_eq!(grace.len(), 1);
    for command in arrays(COMPOSE, "command:") {
        if let Command::Worker(args) = read(&command).command {
            let drain = args.drain_timeout.unwrap_or(WorkerConfig::default().drain_timeout);
            assert!(grace[0] > drain, "{grace:?} is not longer than {drain:?}");
        }
    }
}

#[test]
fn services_name_redis_as_the_command_reads_it() {
    let command = Cli::command();
    let variables: Vec<_> =
        command.get_arguments().filter_map(|arg| arg.get_env()?.to_str()).collect();
    let named: Vec<_> = COMPOSE
        .lines()
        .filter_map(|line| line.trim().split_once(':'))
        .map(|(name, _)| name)
        .collect();
    let ours: Vec<_> = named.into_iter().filter(|name| name.starts_with("CELERIAC_")).collect();
    assert!(ours.contains(&"CELERIAC_REDIS_URL"));
    assert!(ours.iter().all(|name| variables.contains(name)), "{ours:?} of {variables:?}");
}
