//! The command palette and the help: filled and opened by the script.

use maud::{Markup, html};

/// What the keys do; the script has the same list.
const KEYS: [(&str, &str); 8] = [
    ("Ctrl K or /", "go to a page, a task or a job"),
    (
        "g then o q j t w d s l h a",
        "overview, queues, jobs, tasks, workers, dead letters, schedules, limits, health, audit",
    ),
    ("j k", "next and previous row"),
    ("Enter", "open the row"),
    ("r", "read the page anew"),
    ("t", "light, dark, or as the system says"),
    ("?", "this help"),
    ("Esc", "close"),
];

pub(crate) fn palette() -> Markup {
    html! {
        dialog #palette aria-label="Go to" {
            form method="dialog" {
                label.unseen for="palette-input" { "Page, queue, or id of a task or job" }
                input #palette-input type="text" role="combobox" aria-expanded="true" aria-controls="palette-list" aria-autocomplete="list" autocomplete="off" spellcheck="false" placeholder="Page, queue, or id of a task or job";
                ul #palette-list role="listbox" aria-label="Places" {}
            }
        }
    }
}

pub(crate) fn help() -> Markup {
    html! {
        dialog #help aria-labelledby="help-title" {
            form method="dialog" {
                h2 #help-title { "Keyboard shortcuts" }
                dl.keys {
                    @for (keys, what) in KEYS { div { dt { kbd { (keys) } } dd { (what) } } }
                }
                label.choice { input #single-keys type="checkbox" checked; " Shortcuts of a single key" }
                p.muted { "Times are those of your time zone; point at one for the exact value." }
                button { "Close" }
            }
        }
    }
}
