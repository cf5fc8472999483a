//! Kills the processes of a test that dies itself: Ctrl-C and `SIGKILL` run no destructors, and
//! processes in groups of their own would live on.
//!
//! A shell reads the ids of process groups from a pipe that only this process can write. When the
//! pipe ends, this process is gone, and what was not called off is killed.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};

const SHELL_SCRIPT: &str = r#"
trap '' HUP INT TERM
groups=
while read -r verb group; do
    case $verb in
    watch) groups="$groups $group" ;;
    forget)
        rest=
        for other in $groups; do
            [ "$other" = "$group" ] || rest="$rest $other"
        done
        groups=$rest
        ;;
    esac
done
for group in $groups; do
    kill -KILL "-$group"
done
"#;

static SHELL: LazyLock<Mutex<Child>> = LazyLock::new(|| {
    let shell = Command::new("/bin/sh")
        .args(["-c", SHELL_SCRIPT, "celeriac-undertaker"])
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("there is a shell");
    Mutex::new(shell)
});

/// Has a process group killed when this process dies.
pub(crate) fn watch(group: u32) {
    tell("watch", group);
}

/// Calls that off. To be called before the last process of the group is reaped, because from then
/// on its id may belong to others.
pub(crate) fn forget(group: u32) {
    tell("forget", group);
}

fn tell(verb: &str, group: u32) {
    let mut shell = SHELL.lock().unwrap_or_else(PoisonError::into_inner);
    let pipe = shell.stdin.as_mut().expect("it is piped");
    writeln!(pipe, "{verb} {group}").expect("the undertaker lives as long as we do");
}
