//! Where a private server listens, and with which settings.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use crate::common::{ask, lines, socket_of};
use celeriac_private_server::{Listen, Options, PrivateServer, StartError};

#[test]
fn the_default_is_a_unix_socket_that_only_this_user_can_reach() {
    let server = PrivateServer::start(Options::default()).unwrap();

    let socket = socket_of(&server.url());
    assert_eq!(ask(&server.url(), "PING").unwrap(), "+PONG");
    assert!(socket.as_os_str().len() < 100, "{socket:?}");
    for private in [socket.parent().unwrap(), server.data_dir()] {
        let mode = private.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{private:?}");
    }
}

#[test]
fn a_free_port_of_loopback_on_request() {
    let server =
        PrivateServer::start(Options { listen: Listen::FreePort, ..Options::default() }).unwrap();

    assert!(server.url().starts_with("redis://127.0.0.1:"));
    assert_eq!(ask(&server.url(), "PING").unwrap(), "+PONG");
}

#[test]
fn many_servers_start_side_by_side() {
    let options = Options { listen: Listen::FreePort, ..Options::default() };
    let start_one = |_| {
        let options = options.clone();
        std::thread::spawn(|| PrivateServer::start(options).unwrap())
    };
    let threads = Vec::from_iter((0..4).map(start_one));
    let servers = Vec::from_iter(threads.into_iter().map(|t| t.join().unwrap()));

    for (number, server) in servers.iter().enumerate() {
        ask(&server.url(), &format!("SET of {number}")).unwrap();
    }
    for (number, server) in servers.iter().enumerate() {
        let reply = ask(&server.url(), "INCRBY of 10").unwrap();
        assert_eq!(reply, format!(":{}", number + 10));
    }
}

#[test]
fn a_server_with_a_password_refuses_those_without_it() {
    let password = "p@ss word:/?#\"\\é";
    let mut server =
        PrivateServer::start(Options { password: Some(password.to_owned()), ..Options::default() })
            .unwrap();

    let url = server.url();
    let (bare, query) = url.split_once('?').unwrap();
    assert_eq!(query, "pass=p%40ss%20word%3A%2F%3F%23%22%5C%C3%A9");
    assert!(ask(bare, "PING").unwrap().starts_with("-NOAUTH"));
    server.restart().unwrap();
    assert!(ask(bare, "PING").unwrap().starts_with("-NOAUTH"));
}

#[test]
fn settings_are_those_of_a_queue_and_extra_lines_win() {
    let server = PrivateServer::start(Options {
        append_only: false,
        extra: lines(&[("save", "900 1"), ("client-output-buffer-limit", "normal 0 0 0")]),
        ..Options::default()
    })
    .unwrap();
    let url = server.url();

    assert_eq!(setting(&url, "maxmemory-policy"), "noeviction");
    assert_eq!(setting(&url, "appendonly"), "no");
    assert_eq!(setting(&url, "save"), "900 1");
    assert_eq!(setting(&url, "bind"), "127.0.0.1");
}

#[test]
fn a_directive_with_a_line_break_is_refused() {
    let error = PrivateServer::start(Options {
        extra: lines(&[("save", "900 1\nrequirepass x")]),
        ..Options::default()
    })
    .unwrap_err();
    assert!(matches!(error, StartError::BadDirective { .. }), "{error:?}");
}

#[test]
fn cluster_mode_owns_all_slots_also_after_a_restart() {
    let mut server =
        PrivateServer::start(Options { cluster_mode: true, ..Options::default() }).unwrap();
    let url = server.url();
    assert!(url.starts_with("redis://127.0.0.1:"), "{url}");
    assert!(ask(&url, "MSET a 1 b 2").unwrap().starts_with("-CROSSSLOT"));
    assert_eq!(ask(&url, "SET key value").unwrap(), "+OK");
    server.restart().unwrap();
    assert_eq!(ask(&url, "APPEND key s").unwrap(), ":6");
}

/// The value of one setting of the server behind a Unix socket.
fn setting(url: &str, name: &str) -> String {
    let mut stream = UnixStream::connect(socket_of(url)).unwrap();
    write!(stream, "CONFIG GET {name}\r\nQUIT\r\n").unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    // An array of two strings, each after a line with its length.
    reply.lines().nth(4).unwrap().to_owned()
}
