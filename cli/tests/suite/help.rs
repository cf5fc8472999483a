//! What the command says about itself, and about command lines that it does not understand.

use crate::common::{Celeriac, bare, run};

#[test]
fn help_lists_commands_and_exit_codes() {
    let ran = run(bare().arg("--help"));
    assert_eq!(ran.code, Some(0));
    for command in [
        "demo",
        "up",
        "worker",
        "monitor",
        "enqueue",
        "schedule",
        "status",
        "explain",
        "result",
        "queues",
        "workers",
        "jobs",
        "doctor",
        "bench",
        "completions",
    ] {
        assert!(ran.stdout.contains(&format!("\n  {command} ")), "{command}: {}", ran.stdout);
    }
    assert!(ran.stdout.contains("Exit codes:\n    0  "), "{}", ran.stdout);
    assert!(ran.stdout.contains("\n    3  Redis is not reachable"), "{}", ran.stdout);
    assert!(ran.stdout.contains("\n  130  interrupted"), "{}", ran.stdout);
}

#[test]
fn help_shows_no_secret_of_the_environment() {
    let secret = Celeriac::at("redis://:s3cret@127.0.0.1:1/");
    for args in ["--help", "-h", "worker --help", "enqueue --help"] {
        let ran = secret.run(args);
        assert!(ran.stdout.contains("CELERIAC_REDIS_URL"), "{args}: {ran:?}");
        assert!(!format!("{ran:?}").contains("s3cret"), "{args}: {ran:?}");
    }
}

#[test]
fn hidden_flags_stay_hidden() {
    for command in ["worker", "monitor"] {
        let ran = run(bare().args([command, "--help"]));
        assert!(!ran.stdout.contains("exit-with-parent"), "{}", ran.stdout);
    }
}

#[test]
fn what_is_not_understood_is_a_usage_error() {
    for args in
        [&["fly"][..], &["enqueue"], &["queues", "--fast"], &["enqueue", "t", "--delay", "10"], &[]]
    {
        let ran = run(bare().args(args));
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{args:?}");
        assert!(ran.stderr.contains("--help"), "{args:?}: {}", ran.stderr);
    }
    let ran = run(bare().args(["enqueue", "t", "--delay", "10"]));
    assert!(ran.stderr.contains("write a number with a unit, such as 500ms"), "{}", ran.stderr);
}

#[test]
fn every_shell_gets_a_script() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = run(bare().args(["completions", shell]));
        assert_eq!(ran.code, Some(0));
        assert!(ran.stdout.contains("enqueue"), "{shell}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let script = format!(
        "'{}' completions bash | head -n 1; echo ${{PIPESTATUS[0]}}",
        env!("CARGO_BIN_EXE_celeriac")
    );
    let ran = run(std::process::Command::new("bash").args(["-c", &script]));
    assert!(ran.stdout.ends_with("\n0\n"), "{ran:?}");
    assert_eq!(ran.stderr, "");
}
