//! As much of the Redis protocol as it takes to ask a server whether it is ready. No client for
//! anything else.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::address::Address;

/// How long a server on the same machine may think about one command before we give up on the
/// connection and try another.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a server answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// A status, a number or a string.
    Value(String),
    /// A refusal: `LOADING Redis is loading the dataset in memory`.
    Error(String),
}

impl Reply {
    pub(crate) fn into_text(self) -> String {
        match self {
            Self::Value(text) | Self::Error(text) => text,
        }
    }
}

/// One connection.
pub(crate) struct Connection {
    stream: BufReader<Box<dyn Stream>>,
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

impl Connection {
    pub(crate) fn open(address: &Address) -> io::Result<Self> {
        let stream: Box<dyn Stream> = match address {
            Address::Unix { socket, .. } => {
                let stream = UnixStream::connect(socket)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                Box::new(stream)
            }
            Address::Tcp { port, .. } => {
                let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, *port))?;
                stream.set_read_timeout(Some(PATIENCE))?;
                Box::new(stream)
            }
        };
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends one command and reads its reply.
    pub(crate) fn call(&mut self, command: &[&str]) -> io::Result<Reply> {
        self.stream.get_mut().write_all(&encode(command))?;
        read_reply(&mut self.stream)
    }
}

fn encode(command: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", command.len()).into_bytes();
    for word in command {
        bytes.extend(format!("${}\r\n{word}\r\n", word.len()).bytes());
    }
    bytes
}

fn read_reply(stream: &mut impl BufRead) -> io::Result<Reply> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let unexpected = || io::Error::new(io::ErrorKind::InvalidData, format!("reply {line:?}"));
    let content = line.strip_suffix("\r\n").ok_or_else(unexpected)?;
    match content.split_at_checked(1) {
        Some(("+" | ":", value)) => Ok(Reply::Value(value.to_owned())),
        Some(("-", error)) => Ok(Reply::Error(error.to_owned())),
        Some(("$", length)) => {
            let length = length.parse().map_err(|_| unexpected())?;
            read_string(stream, length).map(Reply::Value)
        }
        _ => Err(unexpected()),
    }
}

fn read_string(stream: &mut impl BufRead, length: usize) -> io::Result<String> {
    let mut bytes = vec![0; length + "\r\n".len()];
    stream.read_exact(&mut bytes)?;
    bytes.truncate(length);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_read() {
        let read = |mut bytes: &[u8]| read_reply(&mut bytes);
        assert_eq!(read(b"+PONG\r\n").unwrap(), Reply::Value("PONG".into()));
        assert_eq!(read(b":12\r\n").unwrap(), Reply::Value("12".into()));
        assert_eq!(read(b"-ERR no\r\n").unwrap(), Reply::Error("ERR no".into()));
        assert_eq!(read(b"$4\r\na\r\nb\r\n").unwrap(), Reply::Value("a\r\nb".into()));
    }

    #[test]
    fn half_replies_and_other_protocols_are_errors() {
        let read = |mut bytes: &[u8]| read_reply(&mut bytes);
        for bytes in ["", "+PON", "$4\r\nab", "$-1\r\n", "HTTP/1.1 200 OK\r\n", "*0\r\n"] {
            assert!(read(bytes.as_bytes()).is_err(), "{bytes:?}");
        }
    }
}
