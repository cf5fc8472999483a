//! `celeriac monitor`: where it listens, and how its health is asked for.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;

use celeriac_testkit::{Process, eventually};

use crate::common::{Celeriac, SOON, run};

async fn address(monitor: &Process) -> String {
    let ready = monitor.wait_for_line(|line| line.starts_with("ready: http://"), SOON).await;
    ready["ready: http://".len()..].trim_end_matches('/').to_owned()
}

#[tokio::test]
async fn it_says_where_it_is_and_is_healthy() {
    let celeriac = Celeriac::shared().await;
    let monitor = Process::spawn(&mut celeriac.command("monitor --listen 127.0.0.1:0"));
    let address = address(&monitor).await;
    // It looks at Redis for the first time just now.
    eventually(SOON, async || match celeriac.run(&format!("monitor --check --listen {address}")) {
        ran if ran.code == Some(0) => Ok(()),
        ran => Err(format!("{ran:?}")),
    })
    .await;
    // As a container asks it, which listens on all addresses.
    let port = address.rsplit_once(':').unwrap().1;
    celeriac.ok(&format!("monitor --check --listen 0.0.0.0:{port}"));
    monitor.terminate();
    assert_eq!(monitor.wait(SOON).await.code(), Some(0), "{monitor}");
    let ran = celeriac.run(&format!("monitor --check --listen {address}"));
    assert_eq!(ran.code, Some(8), "{ran:?}");
    assert!(ran.stderr.contains("is not healthy: Connection refused"), "{ran:?}");
}

#[tokio::test]
async fn something_else_on_the_port_is_not_healthy() {
    let celeriac = Celeriac::shared().await;
    // It takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let ran = celeriac.run(&format!("monitor --check --listen {}", silent.local_addr().unwrap()));
    assert_eq!(ran.code, Some(8), "{ran:?}");
    assert!(ran.stderr.contains("no answer within 2.5s"), "{ran:?}");
}

#[tokio::test]
async fn a_taken_port_is_an_error_unless_any_will_do() {
    let celeriac = Celeriac::shared().await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap();
    let ran = celeriac.run(&format!("monitor --listen {listen}"));
    assert_eq!(ran.code, Some(9), "{ran:?}");
    assert!(ran.stderr.contains(&format!("cannot listen on {listen}")), "{ran:?}");
    assert!(ran.stderr.contains("\nhint: choose another one with --listen"), "{ran:?}");
    let monitor =
        Process::spawn(&mut celeriac.command(&format!("monitor --or-any-port --listen {listen}")));
    assert_ne!(address(&monitor).await, listen.to_string());
}

#[tokio::test]
async fn it_leaves_with_its_parent() {
    let celeriac = Celeriac::shared().await;
    let monitor =
        Process::spawn(&mut celeriac.command("monitor --listen 127.0.0.1:0 --exit-with-parent"));
    monitor.wait(SOON).await;
}

const TOKEN: &str = "a-token-that-nobody-guesses";
const KEY: &str = "a key that signs logins, of some length";

/// The status of an answer.
fn ask(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

fn get(address: &str, token: &str) -> String {
    let header = format!("Host: {address}\r\nAuthorization: Bearer {token}\r\n");
    ask(address, &format!("GET /api/v1/overview HTTP/1.0\r\n{header}\r\n"))
}

#[tokio::test]
async fn an_address_that_others_reach_needs_a_word() {
    let celeriac = Celeriac::shared().await;
    let ran = celeriac.run("monitor --listen 0.0.0.0:0");
    assert_eq!(ran.code, Some(7), "{ran:?}");
    assert!(ran.stderr.contains("--users, --tokens or --trust-header"), "{ran:?}");
    let monitor = Process::spawn(&mut celeriac.command("monitor --listen 0.0.0.0:0 --public-view"));
    address(&monitor).await;
}

#[tokio::test]
async fn secrets_come_from_files_or_the_environment_and_are_never_told() {
    let celeriac = Celeriac::shared().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tokens");
    std::fs::write(&file, format!("# who\nops:operator:{TOKEN}\n")).unwrap();
    let mut by_file = celeriac.command("monitor -v -v --listen 127.0.0.1:0");
    by_file.arg("--tokens").arg(&file);
    let mut by_variable = celeriac.command("monitor -v -v --listen 127.0.0.1:0");
    by_variable.env("CELERIAC_MONITOR_TOKENS", format!("ops:operator:{TOKEN}"));
    for mut command in [by_file, by_variable] {
        command.env("CELERIAC_MONITOR_SESSION_KEY", KEY).env("CELERIAC_LOG", "trace");
        let monitor = Process::spawn(&mut command);
        let address = address(&monitor).await;
        // It looks at Redis for the first time just now.
        eventually(SOON, async || match get(&address, TOKEN) {
            status if status == "200" => Ok(()),
            status => Err(status),
        })
        .await;
        assert_eq!(get(&address, "another"), "401");
        let body = r#"{"queue":"mail"}"#;
        let head = "POST /api/v1/actions/pause-queue HTTP/1.0\r\nContent-Type: application/json";
        let length = body.len();
        let request = format!(
            "{head}\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        assert_eq!(ask(&address, &request), "200");
        monitor.terminate();
        monitor.wait(SOON).await;
        let log = monitor.lines().join("\n");
        assert!(log.contains("pause-queue"), "{log}");
        assert!(!log.contains(TOKEN) && !log.contains(KEY), "{log}");
    }
}

#[tokio::test]
async fn all_that_is_wrong_is_told_and_no_secret() {
    let celeriac = Celeriac::shared().await;
    let mut command = celeriac.command("monitor --redact x --trust-header X-User --trust-role ada");
    command.env("CELERIAC_MONITOR_TOKENS", "5ecret-5ecret\na:boss:5ecret");
    let ran = run(&mut command);
    assert_eq!(ran.code, Some(7), "{ran:?}");
    for part in
        ["\"x\" is no rule", "line 1", "role of token a", "16 characters", "proxies", "\"ada\""]
    {
        assert!(ran.stderr.contains(part), "{part} is not in {ran:?}");
    }
    assert!(!ran.stderr.contains("5ecret"), "{ran:?}");
    let ran = celeriac.run("monitor --users /no/such/file");
    assert_eq!(ran.code, Some(9), "{ran:?}");
    assert!(ran.stderr.contains("/no/such/file"), "{ran:?}");
}

#[tokio::test]
async fn the_hash_of_a_password_is_printed() {
    let celeriac = Celeriac::shared().await;
    let mut command = celeriac.command("monitor --hash-password");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"a password\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let hash = String::from_utf8(output.stdout).unwrap();
    assert!(hash.starts_with("$argon2id$") && hash.trim_end().lines().count() == 1, "{hash}");
    // Nothing at all is no password.
    assert_eq!(celeriac.run("monitor --hash-password").code, Some(7));
}
