//! What a private server takes from the environment: the program and the place of its socket.

use std::path::Path;
use std::process::Command;

use crate::common::socket_of;
use crate::owner::Owner;

/// What a process prints that finds no server.
fn refusal(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn no_server_on_path_is_an_error_that_says_so() {
    let text = refusal(Owner::command().env("PATH", "/nowhere"));
    assert!(text.contains("neither valkey-server nor redis-server"), "{text}");
}

#[test]
fn a_named_program_that_is_missing_is_an_error_that_names_it() {
    let text = refusal(Owner::command().env("CELERIAC_REDIS_SERVER", "/nowhere/server"));
    assert!(text.contains("/nowhere/server cannot be run"), "{text}");
}

#[test]
fn the_named_program_is_used_without_path() {
    let found = celeriac_private_server::find().unwrap();
    let mut command = Owner::command();
    command.env("CELERIAC_REDIS_SERVER", found.path());
    Owner::start(command.env("PATH", "/nowhere")).leave();
}

#[test]
fn the_socket_is_in_the_runtime_dir_of_the_user() {
    let runtime_dir = tempfile::tempdir_in("/tmp").unwrap();
    let mut owner = Owner::start(Owner::command().env("XDG_RUNTIME_DIR", runtime_dir.path()));
    assert!(socket_of(&owner.url).starts_with(runtime_dir.path()), "{}", owner.url);
    owner.leave();
    assert_eq!(runtime_dir.path().read_dir().unwrap().count(), 0);
}

#[test]
fn the_socket_is_elsewhere_if_the_runtime_dir_cannot_be_used() {
    let runtime_dir = tempfile::tempdir().unwrap();
    let too_long = runtime_dir.path().join("x".repeat(100));
    std::fs::create_dir(&too_long).unwrap();
    for unusable in [too_long.as_path(), Path::new("/nowhere"), Path::new("relative")] {
        let mut owner = Owner::start(Owner::command().env("XDG_RUNTIME_DIR", unusable));
        assert!(socket_of(&owner.url).starts_with("/tmp"), "{}", owner.url);
        owner.leave();
    }
    assert_eq!(too_long.read_dir().unwrap().count(), 0);
}
