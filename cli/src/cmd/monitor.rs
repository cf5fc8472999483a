//! `celeriac monitor`: the web pages. `--check` asks the one that listens there whether it is
//! healthy, for the health check of a container.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use celeriac_broker_schema::Broker;
use celeriac_monitor::{Monitor, MonitorConfig, MonitorError, serve};
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::access::{access, print_hash};
use crate::args::MonitorArgs;
use crate::error::CliError;
use crate::fleet::{Interrupt, parent};
use crate::globals::Globals;
use crate::output;

/// How long `--check` waits for an answer: less than health checks usually do.
const CHECK_TIMEOUT: Duration = Duration::from_millis(2_500);

pub(crate) async fn run(args: MonitorArgs, globals: &Globals) -> Result<(), CliError> {
    if args.check {
        return check(args.listen, globals).await;
    }
    if args.access.hash_password {
        return print_hash(globals);
    }
    let mut interrupt = Interrupt::listen()?;
    let (access, redaction) = access(&args.access)?;
    let config =
        MonitorConfig { listen: args.listen, access, redaction, ..MonitorConfig::default() };
    let broker = Broker::new(globals.redis.clone())?;
    let listener = bind(&config, args.or_any_port).await?;
    let address = listener.local_addr().map_err(CliError::System)?;
    let shutdown = CancellationToken::new();
    if args.exit_with_parent {
        let shutdown = shutdown.clone();
        parent::when_gone(move || shutdown.cancel());
    }
    // `demo` and scripts wait for this line. Connections are taken from now on.
    globals.talk(format_args!("ready: http://{address}/"));
    globals.event(&Event::Ready { url: format!("http://{address}/") });
    let mut serving =
        std::pin::pin!(serve(listener, Monitor::new(broker, config), shutdown.clone()));
    let ended = tokio::select! {
        ended = &mut serving => ended,
        () = interrupt.wait() => {
            shutdown.cancel();
            serving.await
        }
    };
    globals.event(&Event::Stopped {});
    Ok(ended?)
}

/// What is printed with `--json`, one line each.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Event {
    Ready { url: String },
    Stopped {},
}

async fn bind(config: &MonitorConfig, or_any_port: bool) -> Result<TcpListener, MonitorError> {
    match config.bind().await {
        Err(MonitorError::Bind { source, .. })
            if or_any_port && source.kind() == io::ErrorKind::AddrInUse =>
        {
            let listen = SocketAddr::new(config.listen.ip(), 0);
            MonitorConfig { listen, ..config.clone() }.bind().await
        }
        bound => bound,
    }
}

/// What `--check` prints with `--json`.
#[derive(Serialize)]
struct Checked {
    healthy: bool,
    address: SocketAddr,
    /// Why it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

async fn check(listen: SocketAddr, globals: &Globals) -> Result<(), CliError> {
    let address = reachable(listen);
    let reason = trouble(address).await;
    if globals.json {
        output::json(&Checked { healthy: reason.is_none(), address, reason: reason.clone() })?;
    }
    if let Some(reason) = reason {
        let what = format!("the monitor at {address} is not healthy: {reason}");
        return Err(CliError::Check(what));
    }
    globals.talk(format_args!("the monitor at {address} is healthy"));
    Ok(())
}

/// What keeps the monitor there from being healthy.
async fn trouble(address: SocketAddr) -> Option<String> {
    let line = match timeout(CHECK_TIMEOUT, get_healthz(address)).await {
        Ok(Ok(line)) => line,
        Ok(Err(error)) => return Some(error.to_string()),
        Err(_) => return Some(format!("no answer within {CHECK_TIMEOUT:?}")),
    };
    (line.split(' ').nth(1) != Some("200")).then(|| format!("it answers {line:?}"))
}

/// One that listens on all addresses is asked over loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// The first line of the answer. The smallest request there is: an image without `curl` needs no
/// HTTP client for it either.
async fn get_healthz(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(16 << 10).read_to_end(&mut answer).await?;
    let text = String::from_utf8_lossy(&answer);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
