//! File operations whose errors name the file.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, chown};
use std::path::Path;

use crate::error::DevEnvError;
use crate::place::Account;

/// Attaches the action and the path to an I/O error.
pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> DevEnvError {
    let path = path.to_owned();
    move |source| DevEnvError::Io {
        action,
        path,
        source,
    }
}

/// Creates a folder (and its parents) with `mode`, owned by `owner` if one is given.
pub(crate) fn create_folder(
    path: &Path,
    mode: u32,
    owner: Option<Account>,
) -> Result<(), DevEnvError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(io("create", path))?;
    if let Some(owner) = owner {
        chown(path, Some(owner.uid), Some(owner.gid)).map_err(io("hand over", path))?;
    }
    Ok(())
}

/// Writes a file that only its owner may read: it holds a secret. Appears whole or not at all.
pub(crate) fn write_secret(
    path: &Path,
    content: &str,
    owner: Option<Account>,
) -> Result<(), DevEnvError> {
    let new = path.with_extension("new");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .map_err(io("create", &new))?;
    file.write_all(content.as_bytes())
        .map_err(io("write", &new))?;
    if let Some(owner) = owner {
        chown(&new, Some(owner.uid), Some(owner.gid)).map_err(io("hand over", &new))?;
    }
    fs::rename(&new, path).map_err(io("write", path))
}
