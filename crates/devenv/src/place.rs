//! Where the data lies and whose it is.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};

use crate::error::DevEnvError;
use crate::files;

/// A user of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// The data folder, and the account that `PostgreSQL` runs under if it is not our own.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) folder: PathBuf,
    /// `Some` when we are root: `PostgreSQL` refuses to run as root.
    pub(crate) postgres: Option<Account>,
}

impl Place {
    /// Settles where the data lies: at `wanted`, unless `PostgreSQL`'s own user cannot reach it.
    ///
    /// Root's home, for one, is closed to the user `postgres`. The data then lies in `/var/tmp/orderly-0/`, in a
    /// folder named by a hash of the wanted path, so that the same clone finds the same data again.
    pub(crate) fn settle(wanted: &Path) -> Result<Self, DevEnvError> {
        let wanted = std::path::absolute(wanted).map_err(files::io("find", wanted))?;
        let postgres = postgres_account()?;
        let folder = match postgres {
            Some(account) if !enterable(&wanted, account) => fallback(&wanted)?,
            _ => wanted,
        };
        files::create_folder(&folder, 0o755, None)?;
        // The owner test of a running server compares with what /proc shows, which has no links in it.
        let folder = fs::canonicalize(&folder).map_err(files::io("find", &folder))?;
        Ok(Self { folder, postgres })
    }
}

/// The account for `PostgreSQL`: its own if we are root, else none, which is ours.
fn postgres_account() -> Result<Option<Account>, DevEnvError> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    let user = User::from_name("postgres")
        .ok()
        .flatten()
        .ok_or(DevEnvError::NoPostgresUser)?;
    Ok(Some(Account {
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
    }))
}

/// Can `account` pass through every folder on the way to `path`? Folders that do not exist yet are made passable.
fn enterable(path: &Path, account: Account) -> bool {
    path.ancestors()
        .filter_map(|folder| fs::metadata(folder).ok())
        .all(|folder| {
            let bit = if folder.uid() == account.uid {
                0o100
            } else if folder.gid() == account.gid {
                0o010
            } else {
                0o001
            };
            folder.mode() & bit != 0
        })
}

fn fallback(wanted: &Path) -> Result<PathBuf, DevEnvError> {
    let own = Uid::effective().as_raw();
    let parent = PathBuf::from(format!("/var/tmp/orderly-{own}"));
    files::create_folder(&parent, 0o711, None)?;
    // /var/tmp is everybody's: the name may have been taken, or be a link laid out for us.
    let found = fs::symlink_metadata(&parent).map_err(files::io("read", &parent))?;
    if !found.is_dir() || found.uid() != own {
        return Err(DevEnvError::ForeignFolder(parent));
    }
    Ok(parent.join(format!(
        "{:016x}",
        fnv1a(wanted.as_os_str().as_encoded_bytes())
    )))
}

/// FNV-1a: the same name for the same path from every build, which the standard hasher does not promise.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const NOBODY: Account = Account {
        uid: 65_534,
        gid: 65_534,
    };

    #[test]
    fn folder_behind_a_closed_door_is_not_enterable() {
        let door = tempfile::tempdir().unwrap();
        let inner = door.path().join("a/b");
        fs::set_permissions(door.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert!(!enterable(&inner, NOBODY));
        fs::set_permissions(door.path(), fs::Permissions::from_mode(0o711)).unwrap();
        assert!(enterable(&inner, NOBODY));
    }

    #[test]
    fn fallback_name_never_changes() {
        // A published FNV-1a vector.
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn data_lies_where_postgres_can_reach_it() {
        let door = tempfile::tempdir().unwrap();
        fs::set_permissions(door.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let place = Place::settle(&door.path().join("data")).unwrap();
        if let Some(account) = place.postgres {
            assert!(place.folder.starts_with("/var/tmp/orderly-0"));
            assert!(enterable(&place.folder, account));
            fs::remove_dir(&place.folder).unwrap();
        } else {
            assert_eq!(
                place.folder,
                door.path().canonicalize().unwrap().join("data")
            );
        }
    }
}
