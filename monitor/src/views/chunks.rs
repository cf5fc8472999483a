//! The map of a job's chunks: one cell for each, or for as many as it takes to fit.

use std::fmt::Write;

use celeriac_broker_schema::JobId;
use maud::{Markup, html};

use crate::model::{Cell, Map};
use crate::views::format::number;

/// Cells in a row. A phone shows the same drawing, smaller.
const COLUMNS: usize = 50;
/// Most troubled cells that are listed.
const LISTED: usize = 12;

/// The map, and the same in words for those who do not see it.
pub(crate) fn chunks(id: JobId, map: &Map) -> Markup {
    let rows = map.cells.len().div_ceil(COLUMNS);
    let letters: String = map.cells.iter().map(|cell| cell.letter()).collect();
    html! {
        section #chunks.card aria-labelledby="chunks-title" {
            header {
                h2 #chunks-title { "Chunks" }
                p.muted {
                    (number(map.total))
                    @if map.size > 1 { ", a cell is " (number(map.size)) " of them" }
                    span #chunk-told role="status" data-keep {}
                }
            }
            svg.map role="img" tabindex="0" aria-label=(summary(map)) viewBox={ "0 0 " (COLUMNS) " " (rows) }
                data-job=(id) data-cells=(letters) data-size=(map.size) data-total=(map.total) data-columns=(COLUMNS) {
                @for (cell, letter, _) in Cell::ALL {
                    @let path = path(map, cell);
                    @if !path.is_empty() { path class={ "c-" (letter) } d=(path) {} }
                }
            }
            ul.legend {
                @for (cell, letter, word) in Cell::ALL {
                    @let count = map.cells.iter().filter(|each| **each == cell).count();
                    @if count > 0 { li data-cell=(letter) data-word=(word) { span class={ "swatch c-" (letter) } {} (word) " " span.muted { (count) } } }
                }
            }
            (troubled(id, map))
            form.go action="/find" method="get" {
                label for="chunk" { "Chunk" }
                input #chunk name="chunk" inputmode="numeric" pattern="[0-9]+" size="8" required;
                input type="hidden" name="id" value=(id);
                button { "Show" }
            }
        }
    }
}

/// The cells of a kind as squares with a little room between them.
fn path(map: &Map, kind: Cell) -> String {
    let mut path = String::new();
    for (i, _) in map.cells.iter().enumerate().filter(|(_, cell)| **cell == kind) {
        // Writing to a string cannot fail.
        let _ = write!(path, "M{}.06 {}.06h.88v.88h-.88z", i % COLUMNS, i / COLUMNS);
    }
    path
}

fn summary(map: &Map) -> String {
    let mut words = Vec::new();
    for (cell, _, word) in Cell::ALL {
        let count = map.cells.iter().filter(|each| **each == cell).count();
        if count > 0 {
            words.push(format!("{count} {word}"));
        }
    }
    format!("Map of {} cells: {}", map.cells.len(), words.join(", "))
}

fn troubled(id: JobId, map: &Map) -> Markup {
    let troubled = map.troubled();
    html! {
        @if !troubled.is_empty() {
            h3 { "In trouble" }
            ul.plain.wrapped {
                @for (first, cell) in troubled.iter().take(LISTED) {
                    @let last = (first + map.size).min(map.total) - 1;
                    @let word = Cell::ALL.iter().find(|(each, ..)| each == cell).map_or("", |(.., word)| word);
                    li { a href={ "/tasks/" (id) ":" (first) } { "#" (first) @if last > *first { " – #" (last) } } " " (word) }
                }
                @if troubled.len() > LISTED { li.muted { (troubled.len() - LISTED) " more cells" } }
            }
        }
    }
}
