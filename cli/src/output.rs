//! Writing: data to standard output, talk to standard error. Tables are plain columns; nothing is
//! said by colour alone.

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;

use crate::error::CliError;

/// Writes data: text with a line break at its end.
pub(crate) fn line(text: impl Display) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(CliError::Output)
}

/// Writes data: bytes as they are.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(CliError::Output)
}

/// Writes data: one line of JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<(), CliError> {
    line(serde_json::to_string(value).expect("our own types are always JSON"))
}

/// Writes data in place of what stands in the line of the terminal.
pub(crate) fn live(text: &str) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    // Carriage return, and the sequence that erases the line.
    write!(stdout, "\r\x1b[2K{text}").and_then(|()| stdout.flush()).map_err(CliError::Output)
}

/// Writes talk. If nobody listens, the command goes on.
pub(crate) fn talk(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Which side of its column a cell is on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    /// For numbers.
    Right,
}

/// Rows under a line of titles.
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(columns: impl Into<Vec<(&'static str, Align)>>) -> Self {
        Self { columns: columns.into(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: impl Into<Vec<String>>) {
        self.rows.push(cells.into());
    }

    /// Whether it has no rows.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines of the table, the titles first.
    pub(crate) fn render(&self) -> String {
        let titles: Vec<String> =
            self.columns.iter().map(|(title, _)| (*title).to_owned()).collect();
        let all = || std::iter::once(&titles).chain(&self.rows);
        let width = |column: usize| all().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let lines = all().map(|row| {
            let cells =
                row.iter().zip(&self.columns).zip(&widths).map(|((cell, (_, align)), width)| {
                    match align {
                        Align::Left => format!("{cell:<width$}"),
                        Align::Right => format!("{cell:>width$}"),
                    }
                });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Names and values, one pair a line, the values in one column.
pub(crate) fn facts(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines = pairs.iter().map(|(name, value)| format!("{name:<width$}  {value}"));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new([("QUEUE", Align::Left), ("READY", Align::Right)]);
        table.row(["default".to_owned(), "12".to_owned()]);
        table.row(["ä".to_owned(), "1,000,000".to_owned()]);
        assert_eq!(table.render(), "QUEUE        READY\ndefault         12\nä        1,000,000");
        assert_eq!(facts(&[("a", "1".to_owned()), ("long", "2".to_owned())]), "a     1\nlong  2");
    }
}
