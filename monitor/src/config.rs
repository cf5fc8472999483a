//! What can be chosen about the monitor. Which Redis it reads is the business of its broker.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;

use crate::error::MonitorError;

/// How the monitor serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonitorConfig {
    /// Where it listens. Default: `127.0.0.1:5555`, because there is no login: whoever reaches
    /// the port can read names, arguments and results.
    pub listen: SocketAddr,
    /// Pages that may be live at the same time. Default: 256; each holds a socket and is sent
    /// something every second. Those beyond are told to come back later.
    pub max_viewers: usize,
}

impl Default for MonitorConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5555), max_viewers: 256 }
    }
}

impl MonitorConfig {
    /// Opens the port.
    ///
    /// # Errors
    /// [`MonitorError::Bind`] if the address is taken, or is not one of this machine.
    pub async fn bind(&self) -> Result<TcpListener, MonitorError> {
        let address = self.listen;
        TcpListener::bind(address).await.map_err(|source| MonitorError::Bind { address, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_named() {
        let mut config =
            MonitorConfig { listen: "127.0.0.1:0".parse().unwrap(), ..MonitorConfig::default() };
        let first = config.bind().await.unwrap();
        config.listen = first.local_addr().unwrap();
        let error = config.bind().await.unwrap_err().to_string();
        assert!(error.contains(&config.listen.to_string()), "{error}");
    }
}
