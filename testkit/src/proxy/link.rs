//! One connection through the proxy: requests one way, replies the other, under the faults of the
//! moment. It ends when Redis closes, when it is cut, or when the proxy goes; a client that closes
//! still gets its outstanding replies.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::Shared;
use super::request::complete_requests;
use super::upstream::{ReadHalf, WriteHalf};

const CHUNK: usize = 64 * 1024;

/// Carries a connection until it ends. Errors of either side end it as a close does.
pub(super) async fn run(shared: Arc<Shared>, client: TcpStream) {
    let _open = Open::count(&shared);
    let _ = carry(&shared, client).await;
}

async fn carry(shared: &Shared, client: TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    let half_closes = shared.faults.borrow().half_closes;
    let (from_redis, to_redis) = shared.upstream.connect().await?;
    let (from_client, to_client) = client.into_split();
    let mute = AtomicBool::new(false);
    let requests = Requests { shared, from_client, to_redis, mute: &mute };
    let replies = Replies { shared, from_redis, to_client, mute: &mute, half_closes };
    tokio::select! {
        result = requests.forward() => result,
        result = replies.forward() => result,
    }
}

struct Requests<'a> {
    shared: &'a Shared,
    from_client: OwnedReadHalf,
    to_redis: WriteHalf,
    /// Set before a request is sent whose reply the client must not see.
    mute: &'a AtomicBool,
}

impl Requests<'_> {
    /// Returns only on an error: the end of the requests is not the end of the connection.
    async fn forward(mut self) -> io::Result<()> {
        let mut buffer = Vec::with_capacity(CHUNK);
        while self.from_client.read_buf(&mut buffer).await? > 0 {
            let complete = complete_requests(&buffer);
            if complete == 0 {
                continue;
            }
            self.shared.hold_back(|faults| faults.request_delay).await;
            if self.shared.take_victim(&buffer[..complete]) {
                self.mute.store(true, Ordering::SeqCst);
                self.to_redis.write_all(&buffer[..complete]).await?;
                self.shared.count(|connections| connections.replies_lost += 1);
                break;
            }
            self.to_redis.write_all(&buffer[..complete]).await?;
            buffer.drain(..complete);
        }
        self.shared.hold_back(|faults| faults.request_delay).await;
        // Redis reads this end of file after all requests, so it has carried them out when it
        // closes in its turn. Only then `Replies` ends the connection: a client that sees it closed
        // knows that the request whose reply it lost is done.
        self.to_redis.shutdown().await?;
        pending().await
    }
}

struct Replies<'a> {
    shared: &'a Shared,
    from_redis: ReadHalf,
    to_client: OwnedWriteHalf,
    mute: &'a AtomicBool,
    /// How many half closes there had been when the connection began.
    half_closes: u64,
}

impl Replies<'_> {
    /// Returns when Redis has closed the connection.
    async fn forward(mut self) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK];
        loop {
            let half_closes = self.half_closes;
            let length = tokio::select! {
                length = self.from_redis.read(&mut chunk) => length?,
                () = self.shared.until(|faults| faults.half_closes > half_closes) => {
                    return self.half_close(chunk).await;
                }
            };
            self.shared.hold_back(|faults| faults.reply_delay).await;
            if length == 0 {
                return Ok(());
            }
            if !self.mute.load(Ordering::SeqCst) {
                self.to_client.write_all(&chunk[..length]).await?;
            }
        }
    }

    /// Tells the client that no more will come, and throws away what does.
    async fn half_close(mut self, mut chunk: Vec<u8>) -> io::Result<()> {
        self.to_client.shutdown().await?;
        while self.from_redis.read(&mut chunk).await? > 0 {}
        Ok(())
    }
}

/// Counts a connection as open as long as it exists.
struct Open<'a> {
    shared: &'a Shared,
}

impl<'a> Open<'a> {
    fn count(shared: &'a Shared) -> Self {
        shared.count(|connections| {
            connections.total += 1;
            connections.open += 1;
        });
        Self { shared }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.shared.count(|connections| connections.open -= 1);
    }
}
