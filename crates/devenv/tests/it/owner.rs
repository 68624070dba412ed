//! What becomes of the servers when their owner ends.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, Uid, chown};
use orderly_devenv::{DevEnv, DevEnvError, DevEnvOptions};

use crate::processes;

/// An owner in a process of its own: the binary of this crate.
struct Owner {
    child: Child,
}

impl Owner {
    /// `folder` becomes the owner's folder for temporary files.
    fn spawn(folder: &Path, arguments: &[&str]) -> Self {
        Self::spawn_command(
            &mut Command::new(env!("CARGO_BIN_EXE_devenv")),
            folder,
            arguments,
        )
    }

    fn spawn_command(command: &mut Command, folder: &Path, arguments: &[&str]) -> Self {
        let child = command
            .args(arguments)
            .env("TMPDIR", folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        Self { child }
    }

    /// The folder and the database URL, once the servers serve.
    fn ready(&mut self) -> (PathBuf, String) {
        let output = self.child.stdout.take().unwrap();
        let lines: Vec<String> = BufReader::new(output)
            .lines()
            .take(2)
            .map(Result::unwrap)
            .collect();
        let value = |line: &str| line.split_once('=').unwrap().1.to_owned();
        (PathBuf::from(value(&lines[0])), value(&lines[1]))
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn killed_owner_leaves_neither_process_nor_file() {
    let folder = processes::open_folder();
    let mut owner = Owner::spawn(folder.path(), &[]);
    let (data, _) = owner.ready();
    assert!(data.starts_with(folder.path()), "{}", data.display());
    assert!(processes::inside(&data).len() > 5);
    owner.kill();
    processes::wait_until_none_is_left(folder.path());
    assert_eq!(processes::entries(folder.path()), Vec::<PathBuf>::new());
}

#[test]
fn owner_killed_while_starting_leaves_neither_process_nor_file() {
    let folder = processes::open_folder();
    // From before the first server to about the last one's readiness.
    let mut owners: Vec<Owner> = (0..4).map(|_| Owner::spawn(folder.path(), &[])).collect();
    for owner in &mut owners {
        owner.kill();
        std::thread::sleep(Duration::from_millis(700));
    }
    processes::wait_until_none_is_left(folder.path());
    assert_eq!(processes::entries(folder.path()), Vec::<PathBuf>::new());
}

#[test]
fn interrupt_of_the_terminal_reaches_the_owner_alone() {
    let folder = processes::open_folder();
    let mut owner = Owner::spawn(folder.path(), &[]);
    let (data, _) = owner.ready();
    let group = owner.pid();
    let servers = processes::inside(&data);
    let in_group = |pid: &&i32| nix::unistd::getpgid(Some(Pid::from_raw(**pid))) == Ok(group);
    assert_eq!(servers.iter().filter(in_group).count(), 0);
    // What a terminal does on Ctrl-C. The owner stops the servers and ends well.
    killpg(group, Signal::SIGINT).unwrap();
    assert!(owner.child.wait().unwrap().success());
    assert_eq!(processes::inside(folder.path()), Vec::<i32>::new());
    assert_eq!(processes::entries(folder.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn start_after_a_crash_of_owner_and_guardian_keeps_the_data() {
    let folder = processes::open_folder();
    let data = folder.path().join("data");
    let mut owner = Owner::spawn(folder.path(), &["--data", data.to_str().unwrap()]);
    let (_, first_url) = owner.ready();

    let busy = DevEnv::start(DevEnvOptions::kept(&data)).await;
    let owner_pid = owner.pid().as_raw();
    assert!(
        matches!(&busy, Err(DevEnvError::InUse { pid, .. }) if *pid == owner_pid),
        "{busy:?}"
    );

    let guardians = processes::guardians(&data);
    assert_eq!(guardians.len(), 1);
    kill(Pid::from_raw(guardians[0]), Signal::SIGKILL).unwrap();
    owner.kill();
    let left = processes::inside(&data);
    assert!(left.len() > 5, "nothing was left to clean up: {left:?}");

    let env = DevEnv::start(DevEnvOptions::kept(&data)).await.unwrap();
    assert_eq!(env.database_url(), first_url);
    let now = processes::inside(&data);
    assert!(
        left.iter().all(|pid| !now.contains(pid)),
        "{left:?} {now:?}"
    );
    env.psql("orderly", &["create table mark ()"])
        .await
        .unwrap();
    env.rabbitmqctl(&["add_vhost", "mark"]).await.unwrap();
    env.stop().await;
    assert_eq!(processes::inside(&data), Vec::<i32>::new());

    let env = DevEnv::start(DevEnvOptions::kept(&data)).await.unwrap();
    let count = "select count(*) from pg_tables where tablename = 'mark'";
    assert_eq!(env.psql("orderly", &[count]).await.unwrap().trim(), "1");
    let vhosts = env.rabbitmqctl(&["list_vhosts"]).await.unwrap();
    assert!(vhosts.lines().any(|vhost| vhost == "mark"), "{vhosts}");
    env.stop().await;
}

#[test]
fn servers_run_without_root_as_well() {
    const NOBODY: u32 = 65_534;
    if !Uid::effective().is_root() {
        // Then every other test here shows it.
        return;
    }
    let folder = processes::open_folder();
    chown(folder.path(), Some(NOBODY.into()), Some(NOBODY.into())).unwrap();
    // The build may lie behind folders that only root can pass through.
    let program = folder.path().join("devenv");
    std::fs::copy(env!("CARGO_BIN_EXE_devenv"), &program).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(&program);
    command.uid(NOBODY).gid(NOBODY).current_dir("/");
    let mut owner = Owner::spawn_command(&mut command, folder.path(), &[]);
    let (data, _) = owner.ready();
    let servers = processes::inside(&data);
    assert!(servers.len() > 5, "{servers:?}");
    drop(owner.child.stdin.take());
    assert!(owner.child.wait().unwrap().success());
    processes::wait_until_none_is_left(folder.path());
    assert_eq!(processes::entries(folder.path()), vec![program]);
}
