//! The command lines that the README and the pages of the documentation show are ones that it
//! understands.

use std::path::{Path, PathBuf};

use super::*;

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let in_folder = |folder: &str| std::fs::read_dir(root.join(folder)).unwrap();
    let pages = in_folder("docs").chain(in_folder("docs/reference"));
    let pages = pages.map(|entry| entry.unwrap().path());
    let is_page = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "md");
    pages.filter(is_page).chain([root.join("README.md")]).collect()
}

/// The lines of the blocks that are meant for a shell.
fn shell_lines(page: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut within = false;
    for line in page.lines() {
        match line.strip_prefix("```") {
            Some(kind) => within = !within && ["sh", "console"].contains(&kind),
            None if within => lines.push(line.trim_start_matches("$ ")),
            None => {}
        }
    }
    lines
}

/// The commands in a line, each in words: as a shell reads it, but that variables stay.
fn commands(line: &str) -> Vec<Vec<String>> {
    let (mut commands, mut words, mut word) = (Vec::new(), Vec::new(), None::<String>);
    let mut quote = None;
    // A break at the end ends the last word and the last command.
    for c in line.chars().chain(['\n']) {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => return finished(commands, words),
            (None, ' ' | ';' | '|' | '&' | '(' | ')' | '\n') => {
                words.extend(word.take());
                if c != ' ' {
                    commands.push(std::mem::take(&mut words));
                }
            }
            _ => word.get_or_insert_default().push(c),
        }
    }
    finished(commands, words)
}

fn finished(mut commands: Vec<Vec<String>>, words: Vec<String>) -> Vec<Vec<String>> {
    commands.push(words);
    commands
}

#[test]
fn commands_in_the_documentation_are_understood() {
    let mut understood = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        let typed = shell_lines(&text).into_iter().flat_map(commands);
        for words in typed.filter(|words| words.first().is_some_and(|word| word == "celeriac")) {
            // What goes to a file is the shell's affair.
            let words = words.iter().take_while(|word| *word != ">");
            let read = Cli::command().try_get_matches_from(words.clone());
            let read = read.and_then(|matches| Cli::from_matches(&matches));
            assert!(read.is_ok(), "{}: {words:?}: {:?}", page.display(), read.err());
            understood += 1;
        }
    }
    assert!(understood > 60, "only {understood} commands were found");
}

#[test]
fn lines_are_read_as_a_shell_does() {
    let words =
        |line| commands(line).into_iter().filter(|words| !words.is_empty()).collect::<Vec<_>>();
    assert_eq!(words("a 'b c' \"d\" # e"), [["a", "b c", "d"]]);
    assert_eq!(words("a '{\"x\":1}' | b; c"), [vec!["a", "{\"x\":1}"], vec!["b"], vec!["c"]]);
    assert_eq!(words("id=$(a b)"), [vec!["id=$"], vec!["a", "b"]]);
}
