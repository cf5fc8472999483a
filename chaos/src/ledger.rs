//! What tasks write down of themselves, outside Redis: a line when an execution begins and one when
//! it ends, in a file for each process. A line is one `write`, so that it survives the death of its
//! process.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use celeriac::{Context, TaskId};

/// Milliseconds by the clock of this machine, which all processes of a run share with Redis.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The writing side, in a worker. Clones write into the same file.
#[derive(Debug, Clone)]
pub struct Ledger {
    file: Arc<File>,
    pid: u32,
}

impl Ledger {
    /// The file of this process in a directory.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let pid = std::process::id();
        let file = directory.join(format!("{pid}.log"));
        let file = OpenOptions::new().append(true).create(true).open(file)?;
        Ok(Self { file: Arc::new(file), pid })
    }

    /// An execution begins. It ends when what is returned is told so, or dropped.
    pub fn begin(&self, ctx: &Context) -> Execution<'_> {
        let (id, attempt) = (ctx.id(), ctx.attempt());
        self.write('S', id, attempt, "-");
        Execution { ledger: self, id, attempt, ended: AtomicBool::new(false) }
    }

    fn write(&self, what: char, id: TaskId, attempt: u32, word: &str) {
        let line = format!("{what} {id} {attempt} {} {} {word}\n", self.pid, now_ms());
        // Without its ledger an execution proves nothing, and its worker must not go on.
        (&*self.file).write_all(line.as_bytes()).expect("the ledger can be written");
    }
}

/// An execution under way.
pub struct Execution<'a> {
    ledger: &'a Ledger,
    id: TaskId,
    attempt: u32,
    ended: AtomicBool,
}

impl Execution<'_> {
    /// It has ended so.
    pub fn ends(&self, word: &str) {
        if !self.ended.swap(true, Ordering::Relaxed) {
            self.ledger.write('E', self.id, self.attempt, word);
        }
    }
}

impl Drop for Execution<'_> {
    fn drop(&mut self) {
        self.ends("dropped");
    }
}

/// One execution, as it was written down.
#[derive(Debug, Clone)]
pub struct Line {
    /// The process.
    pub pid: u32,
    /// The number of the attempt.
    pub attempt: u32,
    /// When it began.
    pub began: u64,
    /// When and how it ended; nothing if its process died before.
    pub ended: Option<(u64, String)>,
}

/// All executions, by the id of the task or chunk, in the order of their beginnings.
pub type Book = HashMap<String, Vec<Line>>;

/// Reads what all processes wrote.
///
/// # Errors
/// If a file cannot be read.
pub fn read(directory: &Path) -> io::Result<Book> {
    let mut book = Book::new();
    for entry in fs::read_dir(directory)? {
        for line in fs::read_to_string(entry?.path())?.lines() {
            note(&mut book, line);
        }
    }
    book.values_mut().for_each(|lines| lines.sort_by_key(|line| line.began));
    Ok(book)
}

fn note(book: &mut Book, line: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    let [what, id, attempt, pid, at, word] = words[..] else { return };
    let (Ok(attempt), Ok(pid), Ok(at)) = (attempt.parse(), pid.parse(), at.parse()) else { return };
    let lines = book.entry(id.to_owned()).or_default();
    if what == "S" {
        lines.push(Line { pid, attempt, began: at, ended: None });
        return;
    }
    let same =
        |line: &&mut Line| line.pid == pid && line.attempt == attempt && line.ended.is_none();
    if let Some(line) = lines.iter_mut().rfind(same) {
        line.ended = Some((at, word.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executions_are_read_as_they_were_written() {
        let directory = tempfile::tempdir().expect("a directory");
        let ledger = Ledger::open(directory.path()).expect("a ledger");
        let ctx = Context::for_test();
        ledger.begin(&ctx).ends("ok");
        drop(ledger.begin(&ctx));
        std::mem::forget(ledger.begin(&ctx));
        let book = read(directory.path()).expect("a book");
        let lines = &book[&ctx.id().to_string()];
        let ends: Vec<Option<&str>> =
            lines.iter().map(|line| line.ended.as_ref().map(|(_, word)| word.as_str())).collect();
        assert_eq!(ends, [Some("ok"), Some("dropped"), None]);
        assert!(lines.iter().all(|line| line.pid == std::process::id() && line.attempt == 1));
    }
}
