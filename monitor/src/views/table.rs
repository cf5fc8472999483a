//! Tables that stay tables for assistive technology when the stylesheet stacks their cells on a
//! narrow screen: hence the explicit roles.

use maud::{Markup, html};

/// A column: its heading, and what its cells are like.
#[derive(Clone, Copy)]
pub(crate) struct Column {
    head: &'static str,
    class: &'static str,
}

/// Short text.
pub(crate) const fn text(head: &'static str) -> Column {
    Column { head, class: "text" }
}

/// Numbers.
pub(crate) const fn figures(head: &'static str) -> Column {
    Column { head, class: "num" }
}

/// What needs a line of its own on a narrow screen.
pub(crate) const fn wide(head: &'static str) -> Column {
    Column { head, class: "wide" }
}

/// A row: what it is about, and its cells. The first cell is its heading.
pub(crate) struct Row<const N: usize> {
    /// Tells rows apart, so that an update finds the row that it is about.
    pub(crate) key: String,
    pub(crate) cells: [Markup; N],
}

/// A table; `caption` is for those who do not see the heading above it.
pub(crate) fn table<const N: usize>(
    caption: &str,
    columns: &[Column; N],
    rows: impl Iterator<Item = Row<N>>,
) -> Markup {
    html! {
        table role="table" {
            caption.unseen { (caption) }
            thead role="rowgroup" {
                tr role="row" {
                    @for column in columns {
                        th class=(column.class) role="columnheader" scope="col" { (column.head) }
                    }
                }
            }
            tbody role="rowgroup" {
                @for row in rows { (table_row(columns, row)) }
            }
        }
    }
}

fn table_row<const N: usize>(columns: &[Column; N], row: Row<N>) -> Markup {
    html! {
        tr role="row" data-key=(row.key) {
            @for (i, (column, cell)) in columns.iter().zip(row.cells).enumerate() {
                @if i == 0 {
                    th role="rowheader" scope="row" { (cell) }
                } @else {
                    td class=(column.class) role="cell" data-label=(column.head) { div { (cell) } }
                }
            }
        }
    }
}
