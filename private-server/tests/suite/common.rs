//! What the tests of the private server share: talking to a server without a client library, and
//! looking at processes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Sends one inline command to the server behind a URL without a password, on a connection of its
/// own, and returns the first line of the reply.
pub(crate) fn ask(url: &str, command: &str) -> std::io::Result<String> {
    let patience = Some(Duration::from_secs(1));
    let mut stream: Box<dyn ReadWrite> = if let Some(rest) = url.strip_prefix("redis://") {
        let stream = TcpStream::connect(rest.trim_end_matches('/'))?;
        stream.set_read_timeout(patience)?;
        Box::new(stream)
    } else {
        let stream = UnixStream::connect(socket_of(url))?;
        stream.set_read_timeout(patience)?;
        Box::new(stream)
    };
    stream.write_all(format!("{command}\r\n").as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

/// The path in a URL of the form `redis+unix:///path`.
pub(crate) fn socket_of(url: &str) -> PathBuf {
    url.strip_prefix("redis+unix://").unwrap().into()
}

pub(crate) trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

/// Waits until `condition` holds, and fails with `what` if that takes more than ten seconds.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "not within ten seconds: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The processes of a group that run: those that have ended and only wait to be reaped don't count.
pub(crate) fn running_in_group(group: u32) -> Vec<u32> {
    let ps =
        std::process::Command::new("ps").args(["-A", "-o", "pid=,pgid=,stat="]).output().unwrap();
    assert!(ps.status.success());
    let rows = String::from_utf8(ps.stdout).unwrap();
    let mut pids = Vec::new();
    for row in rows.lines() {
        let [pid, pgid, stat] = row.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("ps prints {row:?}");
        };
        if pgid == group.to_string() && !stat.starts_with('Z') {
            pids.push(pid.parse().unwrap());
        }
    }
    pids
}

/// Lines of configuration, for `Options::extra`.
pub(crate) fn lines(lines: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
    lines.iter().map(owned).collect()
}
