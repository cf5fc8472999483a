//! `scripts/setup` on machines that lack things: with each package manager it knows, as root, by sudo,
//! and with neither. The managers are stand-ins that note how they are called.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{Ran, run};

/// What the script itself needs.
const TOOLS: [&str; 3] = ["dirname", "env", "sed"];
/// The user `nobody`, who may do nothing, for tests that are run by root.
const NOBODY: u32 = 65_534;

/// Each manager, and how it is called for a compiler and for a server.
const MANAGERS: [(&str, &[&str]); 6] = [
    (
        "apt-get",
        &[
            "apt-get update -qq -o DPkg::Lock::Timeout=120",
            "apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=120 gcc libc6-dev",
            "apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=120 redis-server",
        ],
    ),
    ("dnf", &["dnf install -y -q gcc", "dnf install -y -q valkey"]),
    ("apk", &["apk add --no-cache --quiet gcc musl-dev", "apk add --no-cache --quiet valkey"]),
    ("pacman", &["pacman -S --noconfirm --needed gcc", "pacman -S --noconfirm --needed valkey"]),
    (
        "zypper",
        &[
            "zypper --non-interactive --quiet install gcc",
            "zypper --non-interactive --quiet install valkey",
        ],
    ),
    // It brings no compiler: macOS has its own.
    ("brew", &["brew install --quiet valkey"]),
];

/// Notes how it was called, and puts onto PATH what the packages would bring.
const MANAGER: &str = r#"
echo "${0##*/} $*" >> "$LOG"
for package; do
    case $package in
        gcc) cp "$BIN/../cc" "$BIN/cc" ;;
        redis-server | redis) cp "$BIN/../server" "$BIN/redis-server" ;;
        valkey) cp "$BIN/../server" "$BIN/valkey-server" ;;
    esac
done
"#;

/// A machine with nothing on its PATH but what is put there.
struct Machine {
    dir: tempfile::TempDir,
    by_nobody: bool,
}

impl Machine {
    /// One with Rust. `by_nobody`: the script is not run by root.
    fn new(by_nobody: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let machine = Self { dir, by_nobody };
        for folder in ["bin", "scripts"] {
            fs::create_dir(machine.path(folder)).unwrap();
        }
        for file in ["Cargo.toml", "scripts/setup"] {
            fs::copy(root.join(file), machine.path(file)).unwrap();
        }
        fs::write(machine.path("log"), "").unwrap();
        // All of it is there for whoever runs the script.
        for name in ["", "bin", "scripts", "log"] {
            fs::set_permissions(machine.path(name), Permissions::from_mode(0o777)).unwrap();
        }
        for tool in TOOLS.into_iter().chain(["cp"]) {
            symlink(found(tool), machine.path("bin").join(tool)).unwrap();
        }
        machine.script("cc", "exit 0");
        machine.script("server", "echo 'Redis server v=7.0.15 sha=00000000:0 bits=64'");
        machine.put("cargo", "echo 'cargo 9.9.9 (0000000 2030-01-01)'");
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn script(&self, name: &str, body: &str) {
        fs::write(self.path(name), format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(self.path(name), Permissions::from_mode(0o755)).unwrap();
    }

    /// A command on PATH.
    fn put(&self, name: &str, body: &str) {
        self.script(&format!("bin/{name}"), body);
    }

    fn put_manager(&self, name: &str) {
        self.put(name, MANAGER);
        match name {
            "apt-get" => self.put("apt-cache", "echo '  Candidate: 5:7.0.15-1~deb12u1'"),
            "brew" => self.put("cc", "exit 0"),
            _ => {}
        }
        // A service that the package would have started is switched off, where there are services.
        self.put("systemctl", "exit 0");
    }

    fn run(&self, what: &str) -> Ran {
        let mut command = Command::new(found("bash"));
        command.arg(self.path("scripts/setup")).arg(what).current_dir(self.dir.path()).env_clear();
        command.env("PATH", self.path("bin")).env("BIN", self.path("bin"));
        command.env("LOG", self.path("log"));
        if self.by_nobody && is_root() {
            command.uid(NOBODY);
        }
        run(&mut command)
    }

    /// How the stand-ins were called.
    fn calls(&self) -> Vec<String> {
        fs::read_to_string(self.path("log")).unwrap().lines().map(str::to_owned).collect()
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A tool of the real machine.
fn found(tool: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(tool));
    places.find(|place| place.is_file()).unwrap_or_else(|| panic!("no {tool} here"))
}

#[test]
fn what_is_missing_is_installed_as_root_or_by_sudo() {
    // Who is not root cannot try what root does.
    for by_nobody in if is_root() { &[false, true][..] } else { &[true] } {
        for (manager, calls) in MANAGERS {
            let machine = Machine::new(*by_nobody);
            machine.put_manager(manager);
            machine.put("sudo", r#"echo "sudo $1" >> "$LOG"; exec "$@""#);

            let ran = machine.run("demo");

            assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{manager}: {ran:?}");
            let server = if manager == "apt-get" { "redis-server" } else { "valkey-server" };
            let ready = format!("setup: ready for demo (cargo 9.9.9, {server} 7.0.15)\n");
            assert!(ran.stderr.ends_with(&ready), "{manager}: {ran:?}");
            let (by_sudo, called): (Vec<_>, Vec<_>) =
                machine.calls().into_iter().partition(|call| call.starts_with("sudo "));
            assert_eq!(called, calls, "{ran:?}");
            // One that belongs to the user does not want to be root.
            let needs_sudo = *by_nobody && manager != "brew";
            assert!(by_sudo.len() >= calls.len() || !needs_sudo, "{manager}: {by_sudo:?}");
            assert!(by_sudo.is_empty() || needs_sudo, "{manager}: {by_sudo:?}");
        }
    }
}

#[test]
fn with_neither_root_nor_sudo_it_says_what_is_missing() {
    for (manager, calls) in MANAGERS {
        let machine = Machine::new(true);
        machine.put_manager(manager);
        let ran = machine.run("demo");
        if manager == "brew" {
            assert_eq!(
                (ran.code, machine.calls()),
                (Some(0), vec![calls[0].to_owned()]),
                "{ran:?}"
            );
            continue;
        }
        assert_eq!((ran.code, machine.calls()), (Some(1), vec![]), "{manager}: {ran:?}");
        for said in [
            "setup: packages can't be installed: neither root nor sudo\n",
            &format!("setup: not installed: a C compiler ({manager}: gcc"),
            "setup: not installed: a Redis server",
            "setup: a C compiler (cc) is missing: install gcc or clang",
            "setup: a Redis (7.0 or newer) or Valkey (7.2 or newer) server is missing: install one",
        ] {
            assert!(ran.stderr.contains(said), "{manager}: {said}: {ran:?}");
        }
        assert!(ran.stderr.ends_with("setup: 2 missing, see above\n"), "{ran:?}");
    }
}

#[test]
fn without_a_package_manager_it_says_so() {
    let machine = Machine::new(true);
    let ran = machine.run("demo");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(ran.stderr.matches("no package manager known here").count(), 1, "{ran:?}");
    assert!(ran.stderr.ends_with("setup: 2 missing, see above\n"), "{ran:?}");
}

#[test]
fn what_is_there_is_left_alone() {
    let machine = Machine::new(true);
    machine.put_manager("apt-get");
    machine.put("cc", "exit 0");
    machine.put("redis-server", "echo 'Redis server v=7.2.4 sha=00000000:0'");
    let ran = machine.run("demo");
    let ready = "setup: ready for demo (cargo 9.9.9, redis-server 7.2.4)\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ready), "{ran:?}");
    assert_eq!(machine.calls(), Vec::<String>::new());

    // Not even one that is too old is replaced: it may serve somebody.
    machine.put("redis-server", "echo 'Redis server v=6.2.14 sha=00000000:0'");
    let ran = machine.run("demo");
    assert_eq!((ran.code, machine.calls()), (Some(1), vec![]), "{ran:?}");
    assert!(ran.stderr.contains("is missing, found only redis-server 6.2.14:"), "{ran:?}");
}

#[test]
fn what_it_does_not_know_is_a_usage_error() {
    let ran = Machine::new(true).run("everything");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(2), "usage: scripts/setup [demo|test]\n"));
}
