//! What runs on this machine, as /proc tells it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longer than any clean stop takes.
const LIMIT: Duration = Duration::from_secs(30);

/// Ids of the processes that work inside `folder`.
pub(crate) fn inside(folder: &Path) -> Vec<i32> {
    all(|pid| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(folder)))
}

/// Ids of the guardians of `folder`.
pub(crate) fn guardians(folder: &Path) -> Vec<i32> {
    all(|pid| {
        fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| {
            let line = String::from_utf8_lossy(&line).into_owned();
            let mut arguments = line.split('\0');
            arguments.any(|argument| argument == "orderly-devenv-guardian")
                && arguments.any(|argument| Path::new(argument).starts_with(folder))
        })
    })
}

/// Waits until `condition` holds; `what` says so if it never does.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < LIMIT, "never became true: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until neither a server nor a guardian of `folder` (or a folder in it) is left.
pub(crate) fn wait_until_none_is_left(folder: &Path) {
    wait_until("no process is left", || {
        guardians(folder).is_empty() && inside(folder).is_empty()
    });
}

/// A folder that every user can pass through, as `PostgreSQL`'s own user must.
pub(crate) fn open_folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// The entries of a folder.
pub(crate) fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn all(matches: impl Fn(i32) -> bool) -> Vec<i32> {
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| matches(*pid))
        .collect()
}
