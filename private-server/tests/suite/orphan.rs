//! A private server whose owner is killed dies with it and leaves nothing behind.

use std::path::Path;

use crate::common::{ask, running_in_group, socket_of, wait_until};
use crate::owner::Owner;
use celeriac_private_server::{Options, PrivateServer};
use rustix::process::Signal;

fn wait_until_gone(owner: &Owner) {
    wait_until("server and watchdog end", || running_in_group(owner.server).is_empty());
    assert!(ask(&owner.url, "PING").is_err());
}

#[test]
fn the_server_of_a_killed_owner_dies_and_its_directories_go() {
    let mut owner = Owner::start(&mut Owner::command());
    owner.kill();
    wait_until_gone(&owner);
    assert!(!Path::new(&owner.dir).exists());
    assert!(!socket_of(&owner.url).parent().unwrap().exists());
}

#[test]
fn the_data_of_a_killed_owner_stays_and_can_be_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut owner = Owner::start(Owner::command().arg(dir.path()));
    ask(&owner.url, "SET key value").unwrap();
    owner.kill();
    wait_until_gone(&owner);

    let server = PrivateServer::start(Options {
        data_dir: Some(dir.path().to_owned()),
        ..Options::default()
    })
    .unwrap();
    assert_eq!(ask(&server.url(), "STRLEN key").unwrap(), ":5");
}

#[test]
fn a_frozen_server_dies_with_its_owner_too() {
    let mut owner = Owner::start(&mut Owner::command());
    owner.signal_server(Signal::STOP);
    owner.kill();
    wait_until_gone(&owner);
}

#[test]
fn the_watchdog_of_a_crashed_server_goes_with_the_owner() {
    let mut owner = Owner::start(&mut Owner::command());
    owner.signal_server(Signal::KILL);
    owner.kill();
    wait_until_gone(&owner);
    assert!(!Path::new(&owner.dir).exists());
}

#[test]
fn an_owner_that_leaves_in_good_order_stops_its_server() {
    let mut owner = Owner::start(&mut Owner::command());
    owner.leave();
    wait_until_gone(&owner);
    assert!(!Path::new(&owner.dir).exists());
}
