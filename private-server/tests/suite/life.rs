//! The life of a private server: what it keeps, how it is frozen, crashed, restarted and stopped.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use crate::common::{ask, lines, running_in_group, socket_of, wait_until};
use celeriac_private_server::{Listen, Options, PrivateServer, StartError};

fn start() -> PrivateServer {
    PrivateServer::start(Options::default()).unwrap()
}

#[test]
fn a_crash_and_a_restart_keep_url_and_data() {
    for listen in [Listen::UnixSocket, Listen::FreePort] {
        let mut server = PrivateServer::start(Options {
            listen,
            extra: lines(&[("appendfsync", "always")]),
            ..Options::default()
        })
        .unwrap();
        let (url, first_pid) = (server.url(), server.pid());
        ask(&url, "SET key value").unwrap();

        let status = server.kill().unwrap();
        assert_eq!(status.signal(), Some(9));
        assert!(ask(&url, "PING").is_err());
        server.restart().unwrap();

        assert_eq!(server.url(), url);
        assert_ne!(server.pid(), first_pid);
        assert_eq!(ask(&url, "STRLEN key").unwrap(), ":5");
    }
}

#[test]
fn a_restart_waits_for_the_data_to_be_loaded() {
    let mut server = PrivateServer::start(Options {
        // Loading takes a millisecond per key, and is interrupted to answer clients.
        extra: lines(&[
            ("key-load-delay", "1000"),
            ("loading-process-events-interval-bytes", "1024"),
        ]),
        ..Options::default()
    })
    .unwrap();
    let fill = "EVAL \"for i=1,300 do redis.call('set', i, string.rep('x', 100)) end\" 0";
    ask(&server.url(), fill).unwrap();

    server.restart().unwrap();

    assert_eq!(ask(&server.url(), "DBSIZE").unwrap(), ":300");
}

#[test]
fn a_frozen_server_keeps_connections_but_does_not_answer() {
    let mut server = start();
    let url = server.url();

    for _ in 0..2 {
        server.freeze().unwrap();
        assert!(ask(&url, "PING").is_err());
        server.thaw().unwrap();
        assert_eq!(ask(&url, "PING").unwrap(), "+PONG");
    }
}

#[test]
fn a_frozen_server_can_be_stopped_in_good_order() {
    let mut server = start();
    server.freeze().unwrap();
    assert_eq!(server.stop().unwrap().code(), Some(0));
}

#[test]
fn a_server_that_somebody_else_ends_is_noticed() {
    let mut server = start();
    assert_eq!(server.wait_exit(Duration::ZERO).unwrap(), None);

    ask(&server.url(), "SHUTDOWN NOSAVE").unwrap();

    let status = server.wait_exit(Duration::from_secs(10)).unwrap();
    assert_eq!(status.unwrap().code(), Some(0));
    assert!(server.freeze().is_err());
    assert_eq!(server.stop().unwrap().code(), Some(0));
}

#[test]
fn a_signal_to_our_process_group_does_not_reach_the_server() {
    let server = start();
    let group = rustix::process::getpgid(rustix::process::Pid::from_raw(server.pid() as i32));
    let group = group.unwrap().as_raw_nonzero().get() as u32;
    assert_eq!(group, server.pid());
}

#[test]
fn stopping_leaves_nothing_behind() {
    let server = start();
    let (pid, dir) = (server.pid(), server.data_dir().to_owned());
    let socket_dir = socket_of(&server.url()).parent().unwrap().to_owned();
    assert_eq!(running_in_group(pid).len(), 2, "the server and its watchdog");

    assert_eq!(server.stop().unwrap().code(), Some(0));

    assert!(!dir.exists());
    assert!(!socket_dir.exists());
    wait_until("the watchdog ends", || running_in_group(pid).is_empty());
}

#[test]
fn dropping_stops_the_server() {
    let server = start();
    let (pid, dir) = (server.pid(), server.data_dir().to_owned());
    drop(server);
    assert!(!dir.exists());
    wait_until("server and watchdog end", || running_in_group(pid).is_empty());
}

#[test]
fn a_data_dir_in_use_is_refused_and_its_server_left_alone() {
    let parent = tempfile::tempdir().unwrap();
    let options = Options { data_dir: Some(parent.path().join("new/data")), ..Options::default() };
    let first = PrivateServer::start(options.clone()).unwrap();
    ask(&first.url(), "SET key value").unwrap();

    let refusal = PrivateServer::start(options.clone()).unwrap_err();
    let StartError::DataDirInUse { holder, .. } = &refusal else {
        panic!("{refusal:?}");
    };
    assert_eq!(*holder, Some(first.pid()));
    assert!(refusal.to_string().contains("new/data"), "{refusal}");
    assert_eq!(ask(&first.url(), "PING").unwrap(), "+PONG");

    first.stop().unwrap();
    let second = PrivateServer::start(options).unwrap();
    assert_eq!(ask(&second.url(), "STRLEN key").unwrap(), ":5");
}

#[test]
fn a_data_dir_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = PrivateServer::start(Options {
        data_dir: Some(file.path().join("data")),
        ..Options::default()
    })
    .unwrap_err();
    assert!(matches!(error, StartError::DataDir { .. }), "{error:?}");
    assert!(error.to_string().contains(file.path().to_str().unwrap()), "{error}");
}

#[test]
fn a_server_that_ends_at_once_is_reported_with_its_log() {
    let error = PrivateServer::start(Options {
        extra: lines(&[("no-such-directive", "1")]),
        ..Options::default()
    })
    .unwrap_err();
    assert!(matches!(error, StartError::Exited { .. }), "{error:?}");
    assert!(error.to_string().contains("no-such-directive"), "{error}");
}

#[test]
fn a_restart_that_fails_can_be_tried_again() {
    let parent = tempfile::tempdir().unwrap();
    let mut server = PrivateServer::start(Options {
        data_dir: Some(parent.path().to_owned()),
        ..Options::default()
    })
    .unwrap();
    let url = server.url();
    let in_the_way = parent.path().join("appendonlydir");
    server.kill().unwrap();
    let aside = parent.path().join("aside");
    std::fs::rename(&in_the_way, &aside).unwrap();
    std::fs::write(&in_the_way, "a file where a directory is needed").unwrap();

    let error = server.restart().unwrap_err();
    assert!(matches!(error, StartError::Exited { .. }), "{error:?}");

    std::fs::remove_file(&in_the_way).unwrap();
    std::fs::rename(&aside, &in_the_way).unwrap();
    server.restart().unwrap();
    assert_eq!(ask(&url, "PING").unwrap(), "+PONG");
}
