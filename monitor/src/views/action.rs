//! Buttons that act. Live fragments are rendered once for all who may do the same, so a button holds
//! nothing of the one who looks: it belongs to the one form of the page ([`form`]), which does.

use std::fmt::Write;

use maud::{Markup, html};

use crate::actions::Kind;
use crate::auth::{Role, Viewer};

/// The id of the form that all buttons of a page belong to.
const FORM: &str = "act";

/// A button that does something with what `fields` name, for those who may act; nothing for others.
/// `danger`: it destroys something, and is shown so. What needs more than `fields` tell is asked
/// for on a page of its own: a label that ends with `…` leads there in any case.
pub(crate) fn action_form(
    role: Role,
    kind: Kind,
    fields: &[(&str, &str)],
    label: &str,
    danger: bool,
) -> Markup {
    let class = if danger { "act danger" } else { "act" };
    let mut fields = fields.to_vec();
    if label.ends_with('…') {
        fields.push(("ask", "yes"));
    }
    html! {
        @if role.may_act() {
            button class=(class) type="submit" form=(FORM) formaction=(path(kind, &fields)) { (label) }
        }
    }
}

/// The form itself, once on every page, with what proves that it is ours.
pub(crate) fn form(viewer: &Viewer) -> Markup {
    html! {
        @if viewer.role.may_act() {
            form id=(FORM) method="post" hidden {
                input type="hidden" name="csrf" value=(viewer.csrf);
                input type="hidden" name="back" value=(viewer.here);
            }
        }
    }
}

/// Who looks, and the way in or out.
pub(crate) fn who(viewer: &Viewer) -> Markup {
    html! {
        @if let Some(name) = &viewer.name {
            div.who {
                span title=(viewer.role.word()) { (name) }
                @if viewer.session {
                    form method="post" action="/logout" {
                        input type="hidden" name="csrf" value=(viewer.csrf);
                        button { "Log out" }
                    }
                }
            }
        } @else if viewer.login {
            div.who { a href={ "/login?back=" (escaped(&viewer.here)) } { "Log in" } }
        }
    }
}

/// What the last action did.
pub(crate) fn notice(viewer: &Viewer) -> Markup {
    html! {
        @if let Some(notice) = &viewer.notice { p.notice.done role="status" { (notice) } }
    }
}

fn path(kind: Kind, fields: &[(&str, &str)]) -> String {
    let mut path = format!("/actions/{}", kind.word());
    for (i, (name, value)) in fields.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ =
            write!(path, "{}{}={}", if i == 0 { '?' } else { '&' }, escaped(name), escaped(value));
    }
    path
}

/// Percent-encoded for a query.
pub(crate) fn escaped(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b':' => {
                out.push(byte.into());
            }
            _ => drop(write!(out, "%{byte:02X}")),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_sort_stay_one_value() {
        let fields = [("queue", "a&b=c \"ä\""), ("id", "1:2")];
        let button = action_form(Role::Operator, Kind::PauseQueue, &fields, "Pause", false);
        assert_eq!(
            button.into_string(),
            "<button class=\"act\" type=\"submit\" form=\"act\" \
             formaction=\"/actions/pause-queue?queue=a%26b%3Dc%20%22%C3%A4%22&amp;id=1:2\">Pause</button>"
        );
    }

    #[test]
    fn a_viewer_is_offered_nothing() {
        let button = action_form(Role::Viewer, Kind::Cancel, &[("id", "1")], "Cancel", true);
        assert_eq!(button.into_string(), "");
        assert_eq!(form(&Viewer::default()).into_string(), "");
    }
}
