//! JSON for people: indented, but with every number and string as it was written (a parser
//! would round large numbers).

use maud::{Markup, html};
use serde_json::value::RawValue;

/// How much of a document is shown; all of it is in the JSON API.
const SHOWN: usize = 16 << 10;

/// A document, indented and cut to a length that a page can bear.
pub(crate) fn json(document: &RawValue) -> Markup {
    let text = document.get();
    let shown = &text[..boundary(text, SHOWN)];
    html! {
        pre.json tabindex="0" { code { (indent(shown)) } }
        @if shown.len() < text.len() {
            p.muted { "The first " (SHOWN >> 10) " KiB of " (text.len()) " bytes; the JSON API has all of it." }
        }
    }
}

fn boundary(text: &str, most: usize) -> usize {
    if text.len() <= most {
        return text.len();
    }
    (0..=most).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0)
}

/// Line breaks and two spaces for each level; everything else is copied.
fn indent(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut level = 0_usize;
    let (mut in_string, mut escaped) = (false, false);
    let mut chars = text.chars().filter(not_blank_outside_strings()).peekable();
    while let Some(c) = chars.next() {
        if in_string {
            out.push(c);
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            '"' => {
                in_string = true;
                out.push(c);
            }
            '{' | '[' if matches!(chars.peek(), Some('}' | ']')) => {
                out.push(c);
                out.extend(chars.next());
            }
            '{' | '[' => {
                level += 1;
                out.push(c);
                new_line(&mut out, level);
            }
            '}' | ']' => {
                level = level.saturating_sub(1);
                new_line(&mut out, level);
                out.push(c);
            }
            ',' => {
                out.push(c);
                new_line(&mut out, level);
            }
            ':' => out.push_str(": "),
            other => out.push(other),
        }
    }
    out
}

fn new_line(out: &mut String, level: usize) {
    out.push('\n');
    // A document of nothing but brackets must not become a page of nothing but spaces.
    out.extend(std::iter::repeat_n("  ", level.min(32)));
}

fn not_blank_outside_strings() -> impl FnMut(&char) -> bool {
    let (mut in_string, mut escaped) = (false, false);
    move |c| {
        let keep = in_string || !c.is_ascii_whitespace();
        if in_string {
            in_string = escaped || *c != '"';
            escaped = !escaped && *c == '\\';
        } else {
            in_string = *c == '"';
        }
        keep
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_strings_are_copied() {
        let text =
            r#"{ "n":18446744073709551616.50, "s": "a, [b]: \"{c}\" \\", "e":{}, "l":[1,2]}"#;
        let shown = indent(text);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(
            lines,
            [
                "{",
                r#"  "n": 18446744073709551616.50,"#,
                r#"  "s": "a, [b]: \"{c}\" \\","#,
                r#"  "e": {},"#,
                r#"  "l": ["#,
                "    1,",
                "    2",
                "  ]",
                "}"
            ]
        );
    }

    #[test]
    fn long_documents_are_cut_at_a_character() {
        let text = format!("\"{}\"", "ä".repeat(SHOWN));
        let document = RawValue::from_string(text).expect("JSON");
        assert!(json(&document).into_string().len() < SHOWN + 500);
    }
}
