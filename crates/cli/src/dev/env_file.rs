//! DATA_DIR/env: how other commands in this directory find what `orderly dev` runs.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::Context;

/// The file; removed when this is dropped, since what it names has ended then.
pub(super) struct EnvFile {
    path: PathBuf,
}

impl EnvFile {
    /// Writes it for its owner's eyes only: it holds a key.
    pub(super) fn write(
        data_dir: &Path,
        url: &str,
        key: &str,
        database_url: &str,
        amqp_url: &str,
    ) -> anyhow::Result<Self> {
        let path = data_dir.join("env");
        let describe = || format!("write {}", path.display());
        fs::create_dir_all(data_dir).with_context(describe)?;
        // One that a crash left behind may have another mode.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(describe);
            }
            _ => {}
        }
        let lines = [
            ("ORDERLY_URL", url),
            ("ORDERLY_API_KEY", key),
            ("ORDERLY_DATABASE_URL", database_url),
            ("ORDERLY_AMQP_URL", amqp_url),
        ]
        .map(|(name, value)| format!("export {name}='{value}'\n"));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .with_context(describe)?;
        file.write_all(lines.concat().as_bytes())
            .with_context(describe)?;
        Ok(Self { path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for EnvFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, "the env file was not removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::{EnvFile, fs};

    #[test]
    fn the_file_is_private_and_ends_with_its_owner() {
        let directory = std::env::temp_dir().join(format!("orderly-env-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("env"), "left behind").unwrap();
        let file = EnvFile::write(
            &directory,
            "http://h:1",
            "ord_dev_k",
            "postgres://d",
            "amqp://a",
        )
        .unwrap();
        let text = fs::read_to_string(file.path()).unwrap();
        assert!(
            text.starts_with("export ORDERLY_URL='http://h:1'\n"),
            "{text}"
        );
        assert_eq!(
            fs::metadata(file.path()).unwrap().permissions().mode() & 0o777,
            0o600
        );
        drop(file);
        assert!(!directory.join("env").exists());
        fs::remove_dir(&directory).unwrap();
    }
}
