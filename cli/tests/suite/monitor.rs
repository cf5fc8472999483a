//! `celeriac monitor`: where it listens, and how its health is asked for.

use std::net::TcpListener;

use celeriac_testkit::{Process, eventually};

use crate::common::{Celeriac, SOON};

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
