//! Pages for those who are not let in: they tell nothing of what is behind.

use maud::{DOCTYPE, Markup, html};

use crate::auth::Viewer;
use crate::error::Problem;
use crate::routes::assets;
use crate::views::problem::missing;

/// The page where one logs in. `back`: where that leads to.
pub(crate) fn login(viewer: &Viewer, back: &str, trouble: Option<&str>) -> Markup {
    let main = html! {
        h1 { "Log in" }
        @if viewer.login {
            form.login method="post" action="/login" {
                @if let Some(trouble) = trouble { p.notice role="alert" { (trouble) } }
                input type="hidden" name="csrf" value=(viewer.csrf);
                input type="hidden" name="back" value=(back);
                label for="name" { "Name" }
                input #name name="name" autocomplete="username" autocapitalize="none" spellcheck="false" autofocus;
                label for="password" { "Password, or a token" }
                input #password name="password" type="password" autocomplete="current-password" required;
                button { "Log in" }
            }
        } @else {
            p.lead { "Nobody can log in here with a password." }
            p { "Whoever runs this monitor has to give it " code { "--users" } " or " code { "--tokens" } "." }
        }
    };
    bare("Log in", &main)
}

/// A problem, for somebody who may not see anything else.
pub(crate) fn outside_problem(problem: &Problem, can_log_in: bool) -> axum::response::Html<String> {
    let main = html! {
        (missing(problem))
        @if can_log_in { p { a href="/login" { "Log in" } } }
    };
    axum::response::Html(bare(problem.title, &main).into_string())
}

fn bare(title: &str, main: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Celeriac" }
                link rel="icon" type="image/svg+xml" href=(assets::url("icon.svg"));
                link rel="stylesheet" href=(assets::url("monitor.css"));
                script src=(assets::url("theme.js")) {}
            }
            body { main #main.outside tabindex="-1" { (main) } }
        }
    }
}
