//! Lines from a file or from standard input, read ahead by a thread of its own: in blocks of what
//! is there right now, so that a slow source is not waited for and a fast one costs little.
//!
//! Bounded: no line may be longer than [`MAX_LINE`], no block goes on above [`BLOCK`], and few
//! blocks wait.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use celeriac_broker_schema::limits::MAX_ARGS_BYTES;
use tokio::sync::mpsc;

use crate::args::Input;
use crate::error::CliError;

/// The longest arguments, with room for everything else that stands in a line.
const MAX_LINE: usize = MAX_ARGS_BYTES + (64 << 10);
/// Bytes after which a block is handed over although there is more.
const BLOCK: usize = 256 << 10;
/// Blocks that wait for being enqueued.
const AHEAD: usize = 4;

/// One line without its line break.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Text(Vec<u8>),
    /// It is longer than [`MAX_LINE`]; its content was thrown away.
    TooLong,
}

/// What came in one go. The last block of a source that fails is its error.
pub(super) type Block = io::Result<Vec<Line>>;

/// Opens the source and begins to read. The blocks end when the source does.
pub(super) fn read(input: &Input) -> Result<mpsc::Receiver<Block>, CliError> {
    let source: Box<dyn Read + Send> = match input {
        Input::Stdin => Box::new(io::stdin()),
        Input::File(path) => {
            let failed = |source| CliError::File { path: path.clone(), source };
            Box::new(File::open(path).map_err(failed)?)
        }
    };
    let (sender, blocks) = mpsc::channel(AHEAD);
    // A thread, not a task: a read from a terminal cannot be interrupted, and must not keep the
    // process from ending.
    std::thread::spawn(move || send_blocks(BufReader::with_capacity(BLOCK, source), &sender));
    Ok(blocks)
}

fn send_blocks(mut source: impl Buffered, sender: &mpsc::Sender<Block>) {
    loop {
        let block = next_block(&mut source);
        let is_last = block.is_err();
        let at_end = block.as_ref().is_ok_and(Vec::is_empty);
        // If nobody takes it, the command has ended.
        if at_end || sender.blocking_send(block).is_err() || is_last {
            return;
        }
    }
}

/// A reader that tells what can be read without waiting.
trait Buffered: BufRead {
    fn buffered(&self) -> &[u8];
}

impl<R: Read> Buffered for BufReader<R> {
    fn buffered(&self) -> &[u8] {
        self.buffer()
    }
}

/// At least one line, waited for, and those after it that are here already. Empty at the end.
fn next_block(source: &mut impl Buffered) -> Block {
    let (mut lines, mut bytes) = (Vec::new(), 0);
    while let Some(line) = next_line(source)? {
        bytes += if let Line::Text(text) = &line { text.len() } else { 0 };
        lines.push(line);
        if bytes >= BLOCK || !source.buffered().contains(&b'\n') {
            break;
        }
    }
    Ok(lines)
}

fn next_line(source: &mut impl Buffered) -> io::Result<Option<Line>> {
    let mut text = Vec::new();
    let read = source.take(MAX_LINE as u64 + 1).read_until(b'\n', &mut text)?;
    if read == 0 {
        return Ok(None);
    }
    if text.last() == Some(&b'\n') {
        text.pop();
    } else if read > MAX_LINE {
        source.skip_until(b'\n')?;
        return Ok(Some(Line::TooLong));
    }
    Ok(Some(Line::Text(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: &[Line]) -> Vec<&str> {
        let text = |line: &'_ Line| match line {
            Line::Text(text) => std::str::from_utf8(text).unwrap().to_owned().leak() as &str,
            Line::TooLong => "(too long)",
        };
        lines.iter().map(text).collect()
    }

    #[test]
    fn a_block_is_what_is_there() {
        let source = b"a\n\nb\r\nc".as_slice();
        let mut source = BufReader::new(source);
        assert_eq!(texts(&next_block(&mut source).unwrap()), ["a", "", "b\r"]);
        assert_eq!(texts(&next_block(&mut source).unwrap()), ["c"]);
        assert!(next_block(&mut source).unwrap().is_empty());
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped() {
        let long = vec![b'x'; MAX_LINE + 10];
        let source = [b"a\n", long.as_slice(), b"\nb\n", &long].concat();
        let mut source = BufReader::with_capacity(64, source.as_slice());
        let mut lines = Vec::new();
        loop {
            match next_block(&mut source).unwrap() {
                block if block.is_empty() => break,
                block => lines.extend(block),
            }
        }
        assert_eq!(texts(&lines), ["a", "(too long)", "b", "(too long)"]);
    }
}
