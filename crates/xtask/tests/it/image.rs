//! The image and what compose says of it.

use std::fs;

use crate::compose::{read, root};

/// The rest of the only line of the Dockerfile that begins with `instruction`.
fn instruction(dockerfile: &str, instruction: &str) -> String {
    let lines: Vec<&str> = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix(instruction))
        .collect();
    let [only] = lines[..] else {
        panic!("{instruction} stands {} times", lines.len());
    };
    only.trim().to_owned()
}

#[test]
fn image_and_compose_file_agree() {
    let dockerfile = fs::read_to_string(root().join("deploy/Dockerfile")).unwrap();
    let address = instruction(&dockerfile, "ENV ORDERLY_HTTP_ADDR=");
    let port = instruction(&dockerfile, "EXPOSE ");
    assert_eq!(address, format!("0.0.0.0:{port}"));
    let user = instruction(&dockerfile, "USER ");
    let compose = read();
    for (name, service) in compose.ours() {
        assert_eq!(service.user, user, "{name}");
        assert_eq!(service.environment["ORDERLY_HTTP_ADDR"], address, "{name}");
        // Whatever a public registry calls by that name, it is not this.
        assert_eq!(service.pull_policy.as_deref(), Some("never"), "{name}");
    }
}

#[test]
fn the_image_is_built_by_a_toolchain_that_the_workspace_allows() {
    let dockerfile = fs::read_to_string(root().join("deploy/Dockerfile")).unwrap();
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let version = |text: &str| -> Vec<u32> {
        let digits = text.trim_matches('"').split('.');
        digits.map(|number| number.parse().unwrap()).collect()
    };
    let least = version(instruction(&manifest, "rust-version = ").as_str());
    let builders: Vec<&str> = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("FROM rust:"))
        .collect();
    assert!(!builders.is_empty());
    for builder in builders {
        let used = version(builder.split('-').next().unwrap());
        assert!(used >= least, "{builder} is older than {least:?}");
    }
}
