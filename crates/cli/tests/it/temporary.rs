//! A folder for everything temporary of one program, and the proof that nothing of it stays.

use std::{path::PathBuf, process::Command};

use crate::system::bare;

/// Gone with the test.
pub(crate) struct Temporary(PathBuf);

impl Temporary {
    pub(crate) fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("orderly-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    /// The program, without any settings: what it starts, it starts here.
    pub(crate) fn orderly(&self, args: &[&str]) -> Command {
        let mut command = bare(args);
        command.env("TMPDIR", &self.0);
        command
    }

    /// Ids of processes that name the folder.
    pub(crate) fn processes(&self) -> String {
        let found = Command::new("pgrep")
            .arg("-f")
            .arg(&self.0)
            .output()
            .unwrap();
        String::from_utf8(found.stdout).unwrap()
    }

    pub(crate) fn assert_nothing_is_left(&self) {
        let left: Vec<_> = std::fs::read_dir(&self.0).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
        assert_eq!(self.processes(), "");
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // It is empty, unless the test failed.
        std::fs::remove_dir_all(&self.0).ok();
    }
}
