//! The secrets that the compose file names, and the script that makes them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::compose::{read, root};

/// Runs the script on a copy, so that the secrets of a deployment from this checkout are left alone.
fn make(folder: &Path) -> BTreeMap<String, String> {
    let output = Command::new("sh")
        .arg(folder.join("deploy/secrets.sh"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let read = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap();
        (name, fs::read_to_string(entry.path()).unwrap())
    };
    let entries = fs::read_dir(folder.join("deploy/secrets")).unwrap();
    entries.map(|entry| read(entry.unwrap())).collect()
}

#[test]
fn the_script_makes_every_secret_that_a_service_reads_and_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let deploy = folder.path().join("deploy");
    fs::create_dir(&deploy).unwrap();
    fs::copy(root().join("deploy/secrets.sh"), deploy.join("secrets.sh")).unwrap();

    let made = make(folder.path());
    let permissions = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(permissions(&deploy.join("secrets")), 0o700);
    for (name, secret) in read().secrets {
        let path = folder.path().join(&secret.file);
        assert!(path.is_file(), "nobody makes {name}");
        // A container's user is not the one who ran the script.
        assert_eq!(permissions(&path), 0o444, "{name}");
    }
    let password = &made["database_password"];
    assert_eq!(password.len(), 48, "24 random bytes in hex");
    assert!(made["database_url"].contains(&format!(":{password}@postgres:")));
    let password = &made["amqp_password"];
    assert_eq!(password.len(), 48, "24 random bytes in hex");
    assert!(made["amqp_url"].contains(&format!(":{password}@rabbitmq:")));
    assert!(made["rabbitmq_login.conf"].contains(&format!("default_pass = {password}\n")));

    assert_eq!(make(folder.path()), made, "a second run changes nothing");
    fs::remove_file(deploy.join("secrets/database_url")).unwrap();
    assert_eq!(
        make(folder.path()),
        made,
        "a URL is made anew from its password"
    );
}

#[test]
fn two_deployments_share_no_secret() {
    let made = [(); 2].map(|()| {
        let folder = tempfile::tempdir().unwrap();
        let deploy = folder.path().join("deploy");
        fs::create_dir(&deploy).unwrap();
        fs::copy(root().join("deploy/secrets.sh"), deploy.join("secrets.sh")).unwrap();
        make(folder.path())
    });
    for (name, secret) in &made[0] {
        assert_ne!(*secret, made[1][name], "{name}");
    }
}
