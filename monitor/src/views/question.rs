//! The page that asks before something is done: for what is missing, and whether it is meant.

use maud::{Markup, html};

use crate::actions::{Field, Fields, Kind, Sort};
use crate::auth::Viewer;
use crate::state::Monitor;
use crate::views::frame::still;

/// Ids that are shown; all of them are sent.
const SHOWN: usize = 5;

/// What is asked.
pub(crate) struct Question<'a> {
    pub(crate) kind: Kind,
    /// What was said already.
    pub(crate) fields: &'a Fields,
    /// Where it leads back to.
    pub(crate) back: &'a str,
    /// What it is about by now: `1,200 tasks`.
    pub(crate) about: Option<String>,
    /// What was wrong.
    pub(crate) wrong: &'a [String],
}

/// The whole page.
pub(crate) fn question(monitor: &Monitor, viewer: &Viewer, asked: &Question<'_>) -> Markup {
    let kind = asked.kind;
    let main = html! {
        section.card.question {
            h1 { (kind.title()) "?" }
            @if let Some(about) = &asked.about { p.lead { "This is about " strong { (about) } " by now." } }
            @if let Some(danger) = kind.danger() { p.notice { (danger) } }
            @if !asked.wrong.is_empty() {
                ul.notice role="alert" { @for wrong in asked.wrong { li { (wrong) } } }
            }
            form.fields method="post" action={ "/actions/" (kind.word()) } {
                input type="hidden" name="csrf" value=(viewer.csrf);
                input type="hidden" name="back" value=(asked.back);
                input type="hidden" name="confirmed" value="yes";
                @for field in kind.fields() { (input(field, asked.fields)) }
                label for="f-why" { "Why (for the others)" }
                input #f-why name="why" value=(asked.fields.text("why")) maxlength="500" autocomplete="off";
                div.buttons {
                    button.danger[kind.danger().is_some()] { (kind.title()) }
                    a href=(asked.back) { "Do nothing" }
                }
            }
        }
    };
    still(monitor, viewer, kind.title(), main)
}

fn input(field: &Field, given: &Fields) -> Markup {
    let id = format!("f-{}", field.name);
    let value = given.text(field.name);
    if field.many {
        return many(field, given);
    }
    html! {
        @match field.sort {
            Sort::Yes => {
                label {
                    input type="checkbox" name=(field.name) value="yes" checked[value == "yes"];
                    " " (field.label)
                }
            }
            Sort::OneOf(words) => {
                label for=(id) { (field.label) }
                select id=(id) name=(field.name) {
                    @if !field.required { option value="" { "any" } }
                    @for word in words { option value=(word) selected[*word == value] { (word) } }
                }
            }
            Sort::Text | Sort::Number => {
                @let kind = if field.sort == Sort::Number { "numeric" } else { "text" };
                label for=(id) { (field.label) }
                input id=(id) name=(field.name) value=(value) inputmode=(kind) required[field.required] autocomplete="off" spellcheck="false";
            }
        }
    }
}

fn many(field: &Field, given: &Fields) -> Markup {
    let values: Vec<&str> = given.texts(field.name).collect();
    html! {
        @if values.is_empty() {
            label for={ "f-" (field.name) } { (field.label) }
            input id={ "f-" (field.name) } name=(field.name) required autocomplete="off" spellcheck="false";
        }
        @for value in &values { input type="hidden" name=(field.name) value=(value); }
        @if !values.is_empty() {
            ul.ids {
                @for value in values.iter().take(SHOWN) { li { code { (value) } } }
                @if values.len() > SHOWN { li { "and " (values.len() - SHOWN) " more" } }
            }
        }
    }
}
