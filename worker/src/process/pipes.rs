//! The three pipes of a process: arguments in, the result out, and the end of what it complains.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};

/// How much of standard error is kept: what stands last says why.
const TAIL_BYTES: usize = 8 << 10;

/// What is read at once.
const BUFFER_BYTES: usize = 8 << 10;

/// Our ends.
pub(super) struct Pipes {
    pub(super) stdin: ChildStdin,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
}

/// What the process has said so far.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Tail,
}

/// It wrote more to standard output than it may.
#[derive(Debug)]
pub(super) struct TooMuch;

impl Pipes {
    /// Writes the arguments and reads until both outputs are closed; at once returns if there is
    /// too much of it.
    pub(super) async fn talk(
        self,
        args: &str,
        max: usize,
        heard: &mut Heard,
    ) -> Result<(), TooMuch> {
        let Self { stdin, stdout, stderr } = self;
        let Heard { stdout: result, stderr: tail } = heard;
        let write = async {
            write(stdin, args).await;
            Ok(())
        };
        let complain = async {
            read_tail(stderr, tail).await;
            Ok(())
        };
        tokio::try_join!(write, read(stdout, max, result), complain).map(|_| ())
    }
}

/// A process need not read what it does not want: a closed pipe is no error.
async fn write(mut stdin: ChildStdin, args: &str) {
    if stdin.write_all(args.as_bytes()).await.is_ok() {
        // Scripts read lines.
        let _ = stdin.write_all(b"\n").await;
    }
}

async fn read(
    mut pipe: impl AsyncRead + Unpin,
    max: usize,
    into: &mut Vec<u8>,
) -> Result<(), TooMuch> {
    let mut buffer = [0; BUFFER_BYTES];
    while let Ok(n @ 1..) = pipe.read(&mut buffer).await {
        if into.len() + n > max {
            return Err(TooMuch);
        }
        into.extend_from_slice(&buffer[..n]);
    }
    Ok(())
}

async fn read_tail(mut pipe: impl AsyncRead + Unpin, tail: &Tail) {
    let mut buffer = [0; BUFFER_BYTES];
    while let Ok(n @ 1..) = pipe.read(&mut buffer).await {
        tail.add(&buffer[..n]);
    }
}

/// The end of what was written to standard error. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Tail(Arc<Mutex<VecDeque<u8>>>);

impl Tail {
    fn add(&self, bytes: &[u8]) {
        let mut kept = self.kept();
        kept.extend(bytes);
        let surplus = kept.len().saturating_sub(TAIL_BYTES);
        kept.drain(..surplus);
    }

    /// As text; what is no UTF-8 is shown as �.
    pub(super) fn text(&self) -> String {
        let bytes: Vec<u8> = self.kept().iter().copied().collect();
        String::from_utf8_lossy(&bytes).trim_end().to_owned()
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn output_is_bounded_to_the_byte() {
        let mut kept = Vec::new();
        assert!(read(&b"12345"[..], 5, &mut kept).await.is_ok());
        assert_eq!(kept, b"12345");
        assert!(read(&b"123456"[..], 5, &mut Vec::new()).await.is_err());
    }

    #[test]
    fn of_complaints_the_end_is_kept() {
        let tail = Tail::default();
        tail.add(&[b'a'; TAIL_BYTES]);
        tail.add(b"the end\n");
        let text = tail.text();
        assert!(text.len() < TAIL_BYTES && text.ends_with("athe end"), "{text}");
    }
}
