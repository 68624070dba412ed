//! Installs the servers that development needs, and the browser that tests look at the page with, without starting any of
//! them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::cargo;

const SCRIPT: &str = include_str!("install.sh");

/// A program that must be there, and the Debian package that brings it.
struct Need {
    package: &'static str,
    /// Any of these files or commands will do.
    present: fn() -> bool,
}

const POSTGRES: Need = Need {
    package: "postgresql",
    present: || {
        let versions = std::fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten();
        versions
            .flatten()
            .any(|version| version.path().join("bin/initdb").exists())
            || in_path("initdb")
    },
};
const RABBITMQ: Need = Need {
    package: "rabbitmq-server",
    present: || {
        Path::new("/usr/lib/rabbitmq/bin/rabbitmq-server").exists()
            || in_path("rabbitmq-env")
            || Path::new("/opt/rabbitmq/sbin/rabbitmq-env").exists()
    },
};
/// Tests alone need it.
const REDIS: Need = Need {
    package: "redis-server",
    present: || in_path("redis-server"),
};

/// Tests alone need it, and its driver: Debian's, whose versions belong together.
const CHROMIUM: Need = Need {
    package: "chromium",
    present: || in_path("chromium") || in_path("google-chrome"),
};
const CHROMIUM_DRIVER: Need = Need {
    package: "chromium-driver",
    present: || in_path("chromedriver"),
};

/// Tells a process another time: a storm of the tests does so to workers.
const FAKETIME: Need = Need {
    package: "libfaketime",
    present: || {
        let folders = std::fs::read_dir("/usr/lib").into_iter().flatten();
        folders
            .flatten()
            .any(|folder| folder.path().join("faketime/libfaketimeMT.so.1").exists())
    },
};

/// Something is missing that we may not install. The message says what to do.
#[derive(Debug)]
pub(crate) struct NotInstalled {
    packages: Vec<&'static str>,
}

impl fmt::Display for NotInstalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let packages = self.packages.join(" ");
        write!(
            f,
            "not installed: {packages}. Neither root nor sudo without a password is at hand, so please run\n\n\
             \x20   sudo apt-get install --no-install-recommends -y {packages}\n\n\
             or bring PostgreSQL 15 and RabbitMQ 3.10, or newer, in your system's own way. They need not run."
        )
    }
}

impl std::error::Error for NotInstalled {}

/// Installs what `orderly dev` needs and is missing.
pub(crate) fn for_dev() -> Result<()> {
    install(&[POSTGRES, RABBITMQ])
}

/// Installs what the tests need and is missing.
pub(crate) fn everything() -> Result<()> {
    install(&[
        POSTGRES,
        RABBITMQ,
        REDIS,
        CHROMIUM,
        CHROMIUM_DRIVER,
        FAKETIME,
    ])
}

fn install(needs: &[Need]) -> Result<()> {
    let missing = needs.iter().filter(|need| !(need.present)());
    let packages: Vec<&'static str> = missing.map(|need| need.package).collect();
    if packages.is_empty() {
        return Ok(());
    }
    let Some(mut command) = as_root().filter(|_| in_path("apt-get")) else {
        return Err(NotInstalled { packages }.into());
    };
    eprintln!("xtask: installing {}", packages.join(" "));
    command
        .args(["sh", "-c", SCRIPT, "orderly-install"])
        .args(&packages);
    cargo::run(&mut command).context("cannot install what is missing")
}

/// The beginning of a command that runs as root; `None` if we cannot become root without asking anybody.
fn as_root() -> Option<Command> {
    let id = Command::new("id").arg("-u").output().ok()?;
    if id.stdout == b"0\n" {
        return Some(Command::new("env"));
    }
    let allowed = Command::new("sudo")
        .args(["-n", "true"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !allowed.is_ok_and(|status| status.success()) {
        return None;
    }
    let mut command = Command::new("sudo");
    command.arg("-n");
    Some(command)
}

fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        // Debian keeps servers where a user's PATH does not look.
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/bin")])
        .any(|folder| folder.join(program).exists())
}
