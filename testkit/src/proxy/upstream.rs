//! The Redis behind the proxy, by TCP or Unix socket.

use std::io;
use std::net::SocketAddr;

use ::redis::{ConnectionAddr, IntoConnectionInfo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

pub(super) type ReadHalf = Box<dyn AsyncRead + Send + Sync + Unpin>;
pub(super) type WriteHalf = Box<dyn AsyncWrite + Send + Sync + Unpin>;

#[derive(Debug)]
pub(super) struct Upstream {
    address: ConnectionAddr,
    /// User and password, encoded, as they stand before the host of a URL: `user:password@`.
    login: String,
    database: i64,
}

impl Upstream {
    pub(super) fn parse(url: &str) -> Self {
        let info =
            url.into_connection_info().unwrap_or_else(|error| panic!("bad URL {url}: {error}"));
        let settings = info.redis_settings();
        let encoded = |text: Option<&str>| percent_encoded(text.unwrap_or_default());
        let login = match (settings.username(), settings.password()) {
            (None, None) => String::new(),
            (user, password) => format!("{}:{}@", encoded(user), encoded(password)),
        };
        Self { address: info.addr().clone(), login, database: settings.db() }
    }

    /// The URL that leads to the same database by another address.
    pub(super) fn url_at(&self, address: SocketAddr) -> String {
        format!("redis://{}{address}/{}", self.login, self.database)
    }

    pub(super) async fn connect(&self) -> io::Result<(ReadHalf, WriteHalf)> {
        match &self.address {
            ConnectionAddr::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                let (read, write) = stream.into_split();
                Ok((Box::new(read), Box::new(write)))
            }
            ConnectionAddr::Unix(path) => {
                let (read, write) = UnixStream::connect(path).await?.into_split();
                Ok((Box::new(read), Box::new(write)))
            }
            other => panic!("the proxy speaks neither TLS nor anything else new: {other}"),
        }
    }
}

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
