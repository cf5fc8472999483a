//! TLS: servers that show a certificate and want to see one.

use std::path::{Path, PathBuf};
use std::process::Command;

use celeriac_private_server::{Listen, Options, Role};
use celeriac_testkit::TestRedis;
use tempfile::TempDir;

use crate::common::{Celeriac, Ran, SOON, run};

/// Certificates of an authority, of a server and of a client; and of another authority.
struct Certificates {
    dir: TempDir,
}

fn openssl(dir: &Path, args: &str) {
    let ran = Command::new("openssl").args(args.split(' ')).current_dir(dir).output().unwrap();
    assert!(ran.status.success(), "openssl {args}: {}", String::from_utf8_lossy(&ran.stderr));
}

impl Certificates {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -batch";
        for authority in ["ca", "other"] {
            openssl(
                dir.path(),
                &format!(
                    "req -x509 {key} -days 2 -subj /CN={authority} -keyout {authority}.key -out {authority}.crt"
                ),
            );
        }
        std::fs::write(dir.path().join("san"), "subjectAltName=IP:127.0.0.1\n").unwrap();
        for name in ["server", "client"] {
            openssl(
                dir.path(),
                &format!("req -new {key} -subj /CN={name} -keyout {name}.key -out {name}.csr"),
            );
            openssl(
                dir.path(),
                &format!(
                    "x509 -req -days 2 -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile san -out {name}.crt"
                ),
            );
        }
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What makes a server speak TLS at this port, beside the one without.
    fn of_server(&self, port: u16) -> Vec<(String, String)> {
        let file = |name| format!("\"{}\"", self.path(name).display());
        [
            ("tls-port", port.to_string()),
            ("tls-cert-file", file("server.crt")),
            ("tls-key-file", file("server.key")),
            ("tls-ca-cert-file", file("ca.crt")),
            ("tls-auth-clients", "yes".to_owned()),
            ("tls-replication", "yes".to_owned()),
            ("tls-cluster", "yes".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    fn options(&self, ca: &str, client: bool) -> String {
        let path = |name| self.path(name).display().to_string();
        let own = match client {
            true => {
                format!("--redis-cert {} --redis-key {}", path("client.crt"), path("client.key"))
            }
            false => String::new(),
        };
        format!("--redis-ca {} {own}", path(ca))
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

async fn start(files: &Certificates, more: Options) -> (TestRedis, u16) {
    let port = free_port();
    let extra = files.of_server(port).into_iter().chain(more.extra).collect();
    let options = Options { listen: Listen::FreePort, extra, ..more };
    (TestRedis::start_with(options).await, port)
}

fn refused(ran: &Ran, code: i32, word: &str) {
    assert_eq!(ran.code, Some(code), "{ran:?}");
    assert!(ran.stderr.contains(word), "{word}: {ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn under_tls_everything_works_and_both_sides_must_show_who_they_are() {
    let files = Certificates::new();
    let (_redis, port) = start(&files, Options::default()).await;
    let celeriac = Celeriac::at(&format!("rediss://127.0.0.1:{port}/"));
    let right = files.options("ca.crt", true);
    let worker = celeriac.worker(&right).await;
    let result = celeriac.ok(&format!("enqueue echo --arg word=hello --wait {right}"));
    assert!(result.contains("hello"), "{result}");

    refused(
        &celeriac.run(&format!("queues {}", files.options("other.crt", true))),
        3,
        "certificate",
    );
    refused(&celeriac.run("queues"), 3, "--redis-ca");
    // What the server says to a client without a certificate comes after the handshake.
    refused(
        &celeriac.run(&format!("queues {}", files.options("ca.crt", false))),
        3,
        "not reachable",
    );
    let plain = Celeriac::at(&format!("redis://127.0.0.1:{port}/"));
    refused(&plain.run("queues"), 3, "not reachable");
    refused(&plain.run(&format!("queues {right}")), 7, "rediss://");
    refused(&celeriac.run(&format!("queues {}", files.options("none.crt", true))), 7, "none.crt");
    refused(
        &celeriac.run(&format!("queues {}", files.options("client.key", true))),
        7,
        "no certificate",
    );
    let half = format!("queues --redis-cert {}", files.path("client.crt").display());
    refused(&celeriac.run(&half), 7, "together");

    worker.terminate();
    assert_eq!(worker.wait(SOON).await.code(), Some(0), "{worker}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_can_come_from_the_environment_and_go_on_to_other_processes() {
    let files = Certificates::new();
    let (_redis, port) = start(&files, Options::default()).await;
    let celeriac = Celeriac::at(&format!("rediss://127.0.0.1:{port}/"));
    let mut command =
        celeriac.command("demo --samples 1000 --chunks 4 --workers 1 --port 0 --json");
    command
        .env("CELERIAC_REDIS_CA", files.path("ca.crt"))
        .env("CELERIAC_REDIS_CERT", files.path("client.crt"))
        .env("CELERIAC_REDIS_KEY", files.path("client.key"));
    let ran = run(&mut command);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn clusters_and_sentinels_are_asked_under_tls_and_so_is_who_they_name() {
    let files = Certificates::new();
    let options = files.options("ca.crt", true);
    let (_cluster, port) =
        start(&files, Options { cluster_mode: true, ..Options::default() }).await;
    Celeriac::at(&format!("rediss+cluster://127.0.0.1:{port}")).ok(&format!("queues {options}"));

    let (_primary, primary) = start(&files, Options::default()).await;
    let monitor = ("sentinel".to_owned(), format!("monitor main 127.0.0.1 {primary} 1"));
    let sentinel = Options {
        role: Role::Sentinel,
        append_only: false,
        extra: vec![monitor],
        ..Options::default()
    };
    let (_sentinel, port) = start(&files, sentinel).await;
    Celeriac::at(&format!("rediss+sentinel://127.0.0.1:{port}/main"))
        .ok(&format!("queues {options}"));
}
