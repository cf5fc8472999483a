//! The listening side of the proxy: takes connections, or refuses them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::{TcpListener, TcpSocket};

use super::{Shared, link};

/// A port that stays ours while nobody listens on it: a second socket is bound to it throughout.
pub(super) struct Port {
    address: SocketAddr,
    _reservation: TcpSocket,
}

impl Port {
    pub(super) fn reserve() -> io::Result<Self> {
        let reservation = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        Ok(Self { address: reservation.local_addr()?, _reservation: reservation })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    fn listen(&self) -> io::Result<TcpListener> {
        bind(self.address)?.listen(1024)
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Accepts connections, except while they are refused. Does not end by itself.
pub(super) async fn run(shared: Arc<Shared>, port: Port) {
    loop {
        let listener = port.listen().expect("nobody else may listen on our port");
        shared.listening.send_replace(true);
        tokio::select! {
            () = accept(&shared, &listener) => {}
            () = shared.until(|faults| faults.refuse) => {}
        }
        // Without a listener, the operating system refuses connections for us.
        drop(listener);
        shared.listening.send_replace(false);
        shared.until(|faults| !faults.refuse).await;
    }
}

async fn accept(shared: &Arc<Shared>, listener: &TcpListener) {
    loop {
        let (client, _) = listener.accept().await.expect("connections can be accepted");
        let mut links = shared.links();
        // Those that have ended need not be remembered.
        while links.try_join_next().is_some() {}
        links.spawn(link::run(Arc::clone(shared), client));
    }
}
