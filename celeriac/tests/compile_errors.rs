//! What the compiler tells users about mistakes. The messages are pinned: they are part of the
//! interface. After a wanted change: `TRYBUILD=overwrite cargo test -p celeriac --test
//! compile_errors`, then read the difference.

use std::process::Command;

/// The compiler whose words are pinned where it, not the attribute, does the talking.
const COMPILER: &str = "rustc 1.95.";

#[test]
fn the_attribute_explains_mistakes() {
    trybuild::TestCases::new().compile_fail("tests/ui/attribute/*.rs");
}

#[test]
fn the_types_explain_mistakes() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().expect("the compiler starts");
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    if version.starts_with(COMPILER) {
        trybuild::TestCases::new().compile_fail("tests/ui/types/*.rs");
    } else {
        eprintln!("skipped: the messages are those of {COMPILER}x, this is {version}");
    }
}
