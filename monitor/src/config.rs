//! What can be chosen about the monitor. Which Redis it reads is the business of its broker.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;

use crate::auth::Access;
use crate::error::MonitorError;
use crate::redact::Redaction;

/// How the monitor serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonitorConfig {
    /// Where it listens. Default: `127.0.0.1:5555`. Any address that others reach needs an
    /// [`access`](Self::access).
    pub listen: SocketAddr,
    /// Pages that may be live at the same time. Default: 256; each holds a socket and is sent
    /// something every second. Those beyond are told to come back later.
    pub max_viewers: usize,
    /// Who may look and who may act. Default: this machine may look, and nobody may act.
    pub access: Access,
    /// What is not shown of arguments, results and errors. Default: all of it is shown.
    pub redaction: Redaction,
}

impl Default for MonitorConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5555),
            max_viewers: 256,
            access: Access::default(),
            redaction: Redaction::default(),
        }
    }
}

impl MonitorConfig {
    /// Opens the port.
    ///
    /// # Errors
    /// [`MonitorError::Bind`] if the address is taken, or is not one of this machine;
    /// [`MonitorError::Open`] if others reach it, and it was not said who may look.
    pub async fn bind(&self) -> Result<TcpListener, MonitorError> {
        let address = self.listen;
        if !address.ip().to_canonical().is_loopback() && !self.access.is_set() {
            return Err(MonitorError::Open { address });
        }
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
