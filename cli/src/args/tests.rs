//! The command line: what it accepts, what it refuses, and what it must never show.

use super::*;

fn read(line: &str) -> Result<Cli, clap::Error> {
    Cli::command()
        .try_get_matches_from(line.split(' '))
        .and_then(|matches| Cli::from_matches(&matches))
}

#[test]
fn the_definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn redis_is_named_the_same_everywhere() {
    let command = Cli::command();
    let redis = command.get_arguments().find(|arg| arg.get_id() == "redis");
    let redis = redis.expect("there is such an option");
    assert_eq!(redis.get_env(), Some("CELERIAC_REDIS_URL".as_ref()));
    // A value from the environment may hold a password.
    assert!(redis.is_hide_env_values_set());
    for line in ["celeriac --redis redis://a up", "celeriac up --redis redis://a"] {
        let globals = read(line).unwrap().globals;
        assert_eq!(
            (globals.redis.as_deref(), globals.redis_on_command_line),
            (Some("redis://a"), true),
            "{line}"
        );
    }
    assert!(!read("celeriac up").unwrap().globals.redis_on_command_line);
}

#[test]
fn contradictions_are_refused() {
    for line in [
        "celeriac",
        "celeriac enqueue",
        "celeriac enqueue t --args {} --arg a=1",
        "celeriac enqueue t --delay 1s --at 1763726400",
        "celeriac enqueue t --delay 10",
        "celeriac enqueue t --lines - --chunks 2",
        "celeriac enqueue t --skip-bad",
        "celeriac enqueue t --split samples=10",
        "celeriac enqueue t --split samples --chunks 2",
        "celeriac enqueue t --chunks 2 --delay 1s",
        "celeriac enqueue t --chunks 2 --keep-failed 1h",
        "celeriac enqueue t --keep 1d --keep-failed 1h",
        "celeriac schedule add s t --every 1h --keep 1d --keep-failed 1h",
        "celeriac schedule add s t --every 1h --delay 1s",
        "celeriac schedule add s t --every 1h --key k",
        "celeriac enqueue t --wait-timeout 1s",
        "celeriac demo --workers 0",
        "celeriac queues --quiet --verbose",
        "celeriac worker --visibility-timeout 30",
        "celeriac monitor --listen 5555",
        "celeriac jobs --limit 0",
    ] {
        assert!(read(line).is_err(), "{line}");
    }
}

#[test]
fn all_of_enqueue_is_understood() {
    let one = "celeriac enqueue mail --arg to=ada --arg n=3 --queue q --priority 9 --delay 10s --expires 1h \
        --retries 2 --timeout 30s --keep 1d --key k --tenant x --cost 2 --wait --wait-timeout 1m --json";
    let job = "celeriac enqueue pi --split samples=100_000 --chunks 100 --sum a --min b --max c --reduce r --label l";
    for line in [
        one,
        job,
        "celeriac enqueue --lines -",
        "celeriac enqueue echo --lines f --skip-bad --queue q",
    ] {
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(read(&line).is_ok(), "{line}: {:?}", read(&line).err());
    }
}

#[test]
fn a_schedule_takes_the_options_of_a_task() {
    let command = Cli::command();
    let options = |path: &[&str]| {
        let of = path
            .iter()
            .fold(&command, |of, name| of.find_subcommand(name).expect("there is such a command"));
        of.get_arguments().filter_map(|arg| arg.get_long()).collect::<Vec<_>>()
    };
    let now = [
        "delay",
        "at",
        "key",
        "unique",
        "lines",
        "skip-bad",
        "durable",
        "wait-while-full",
        "wait",
        "wait-timeout",
    ];
    let job = ["chunks", "split", "sum", "min", "max", "reduce", "speculate"];
    let workflow = ["file", "dry-run", "schema"];
    for action in ["add", "edit"] {
        let taken = options(&["schedule", action]);
        let missing: Vec<_> = options(&["enqueue"])
            .into_iter()
            .filter(|name| !taken.contains(name) && !now.contains(name) && !job.contains(name))
            .filter(|name| !workflow.contains(name))
            .collect();
        assert_eq!(missing, [""; 0], "{action}");
    }
}

#[test]
fn bench_takes_several_parts() {
    let Command::Bench(args) =
        read("celeriac bench --only pi latency --tasks 1000 --aof both").unwrap().command
    else {
        panic!("another command");
    };
    assert_eq!(
        (args.only, args.tasks, args.aof),
        (vec!["pi".to_owned(), "latency".to_owned()], Some(1_000), Some(Aof::Both))
    );
}
