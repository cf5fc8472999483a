//! Tests of the search, with programs that print a version and do nothing else.

use super::*;

/// Makes a program that answers `--version` with one line. A shell writes it: a process that
/// forks while another of its threads writes a program can make that program "busy".
fn program(dir: &Path, name: &str, prints: &str) -> PathBuf {
    let path = dir.join(name);
    let write = r#"printf '#!/bin/sh\necho "%s"\n' "$2" > "$1" && chmod 755 "$1""#;
    let status =
        Command::new("/bin/sh").args(["-c", write, "sh"]).arg(&path).arg(prints).status().unwrap();
    assert!(status.success());
    path
}

fn path_of(dirs: &[&Path]) -> OsString {
    std::env::join_paths(dirs).unwrap()
}

fn version(major: u32, minor: u32, patch: u32) -> Version {
    Version { major, minor, patch }
}

#[test]
fn valkey_is_preferred_to_redis() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    program(first.path(), "redis-server", "Redis server v=8.0.2 sha=0");
    let valkey = program(second.path(), "valkey-server", "Valkey server v=8.1.1 sha=0");

    let found = find_in(None, &path_of(&[first.path(), second.path()])).unwrap();

    assert_eq!(found.path(), valkey);
    assert_eq!(found.product(), Product::Valkey);
    assert_eq!(found.version(), version(8, 1, 1));
}

#[test]
fn a_program_that_is_too_old_is_passed_over_when_a_newer_one_exists() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    program(first.path(), "redis-server", "Redis server v=6.0.16 sha=0");
    let newer = program(second.path(), "redis-server", "Redis server v=7.0.0 sha=0");

    let found = find_in(None, &path_of(&[first.path(), second.path()])).unwrap();

    assert_eq!(found.path(), newer);
}

#[test]
fn too_old_says_which_version_was_found_and_where() {
    let dir = tempfile::tempdir().unwrap();
    let old = program(dir.path(), "redis-server", "Redis server v=6.2.14 sha=0");

    let refusal = find_in(None, dir.path().as_os_str()).unwrap_err();

    assert!(matches!(refusal, FindError::TooOld { .. }), "{refusal:?}");
    let text = refusal.to_string();
    assert!(text.contains("Redis 6.2.14"), "{text}");
    assert!(text.contains(old.to_str().unwrap()), "{text}");
}

#[test]
fn not_found_names_the_command_of_the_package_manager_that_is_there() {
    for (manager, command) in INSTALL {
        let dir = tempfile::tempdir().unwrap();
        program(dir.path(), manager, "");

        let refusal = find_in(None, dir.path().as_os_str()).unwrap_err();

        assert!(matches!(refusal, FindError::NotFound { .. }), "{refusal:?}");
        assert!(refusal.to_string().contains(command), "{refusal}");
    }
}

#[test]
fn not_found_without_a_package_manager_names_the_versions() {
    let dir = tempfile::tempdir().unwrap();
    let refusal = find_in(None, dir.path().as_os_str()).unwrap_err();
    assert!(refusal.to_string().contains("Redis 7.0"), "{refusal}");
}

#[test]
fn the_named_program_wins_and_is_not_replaced_when_it_is_bad() {
    let dir = tempfile::tempdir().unwrap();
    program(dir.path(), "valkey-server", "Valkey server v=9.0.0 sha=0");
    let named = program(dir.path(), "mine", "Redis server v=7.4.1 sha=0");
    let search = dir.path().as_os_str();

    let found = find_in(Some(named.clone().into()), search).unwrap();
    assert_eq!(found.path(), named);

    let missing = dir.path().join("missing");
    let refusal = find_in(Some(missing.into()), search).unwrap_err();
    assert!(matches!(refusal, FindError::NotRunnable { .. }), "{refusal:?}");
}

#[test]
fn a_program_without_a_version_is_refused_with_what_it_printed() {
    let dir = tempfile::tempdir().unwrap();
    program(dir.path(), "redis-server", "hello");
    let refusal = find_in(None, dir.path().as_os_str()).unwrap_err();
    assert!(refusal.to_string().contains("hello"), "{refusal}");
}

#[test]
fn versions_are_read_in_all_their_forms() {
    let parsed = |text| parse_version(text);
    assert_eq!(
        parsed("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64"),
        Some((Product::Redis, version(7, 0, 15)))
    );
    assert_eq!(
        parsed("Valkey server v=9.0.0-rc1 sha=0"),
        Some((Product::Valkey, version(9, 0, 0)))
    );
    assert_eq!(parsed("Redis server v=8.4 sha=0"), Some((Product::Redis, version(8, 4, 0))));
    assert_eq!(parsed("Redis server version 2.4.10"), None);
    assert!(version(7, 1, 9) < Product::Valkey.oldest());
    assert!(version(7, 0, 0) >= Product::Redis.oldest());
}
