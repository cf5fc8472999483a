//! What the stylesheet promises: every colour of text can be read on what it lies on, in light
//! and in dark (WCAG 2.2, AA).

use std::collections::HashMap;

const CSS: &str = include_str!("../../assets/monitor.css");

/// Light and dark.
type Pair = [u32; 2];

fn tokens() -> HashMap<&'static str, Pair> {
    let declarations = CSS.split(';').filter_map(|line| line.trim().rsplit_once(": light-dark("));
    declarations
        .map(|(name, pair)| {
            let name = name.rsplit("--").next().expect("a name");
            let mut colours = pair.trim_end_matches(')').split(", ").map(|colour| {
                u32::from_str_radix(colour.trim_start_matches('#'), 16).expect("a colour")
            });
            let mut next = || colours.next().expect("two colours");
            (name, [next(), next()])
        })
        .collect()
}

fn luminance(colour: u32) -> f64 {
    let channel = |shift: u32| {
        let value = f64::from(colour >> shift & 0xff) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * channel(16) + 0.7152 * channel(8) + 0.0722 * channel(0)
}

fn contrast(a: u32, b: u32) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

fn assert_contrast(tokens: &HashMap<&str, Pair>, front: &str, back: &str, least: f64) {
    for (i, theme) in ["light", "dark"].into_iter().enumerate() {
        let found = contrast(tokens[front][i], tokens[back][i]);
        assert!(found >= least, "{front} on {back}, {theme}: {found:.2}");
    }
}

#[test]
fn text_can_be_read() {
    let tokens = tokens();
    for front in ["text", "muted", "accent"] {
        for back in ["canvas", "surface", "raised"] {
            assert_contrast(&tokens, front, back, 4.5);
        }
    }
    let states: Vec<_> = tokens.keys().filter_map(|name| name.strip_suffix("-ink")).collect();
    assert_eq!(states.len(), 8, "{states:?}");
    for state in states {
        assert_contrast(&tokens, &format!("{state}-ink"), &format!("{state}-tint"), 4.5);
        assert_contrast(&tokens, &format!("{state}-ink"), "surface", 4.5);
    }
}

#[test]
fn bars_and_focus_can_be_seen() {
    let tokens = tokens();
    for back in ["canvas", "surface"] {
        assert_contrast(&tokens, "focus", back, 3.0);
        assert_contrast(&tokens, "line-strong", back, 3.0);
    }
    assert_contrast(&tokens, "running-fill", "raised", 3.0);
    assert_contrast(&tokens, "failed-fill", "raised", 3.0);
}

#[test]
fn colours_are_named_in_one_place() {
    let (tokens, rest) = CSS.split_once("--radius:").expect("the end of the colours");
    assert!(tokens.contains("--canvas"));
    assert!(
        !rest.contains('#') || rest.split('#').skip(1).all(|rest| !is_colour(rest)),
        "a colour outside the tokens"
    );
}

fn is_colour(rest: &str) -> bool {
    let digits = rest.chars().take_while(char::is_ascii_hexdigit).count();
    matches!(digits, 3 | 6 | 8)
}
