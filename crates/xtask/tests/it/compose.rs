//! The compose file as the tests see it: anchors and merges resolved, typed where a test looks. Whether it is a valid compose file
//! is for Docker Compose to say.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Name to value, in a stable order.
pub(crate) type Map<T> = BTreeMap<String, T>;

#[derive(Deserialize)]
pub(crate) struct Compose {
    pub(crate) services: Map<Service>,
    pub(crate) secrets: Map<FromFile>,
    pub(crate) configs: Map<FromFile>,
}

/// A secret or a config.
#[derive(Deserialize)]
pub(crate) struct FromFile {
    pub(crate) file: PathBuf,
}

#[derive(Deserialize)]
pub(crate) struct Service {
    pub(crate) image: String,
    pub(crate) restart: String,
    #[serde(default)]
    pub(crate) command: Vec<String>,
    #[serde(default)]
    pub(crate) environment: Map<String>,
    #[serde(default)]
    pub(crate) ports: Vec<String>,
    #[serde(default)]
    pub(crate) depends_on: Map<Dependency>,
    pub(crate) healthcheck: HealthCheck,
    pub(crate) pull_policy: Option<String>,
    pub(crate) user: String,
    read_only: bool,
    cap_drop: Vec<String>,
    security_opt: Vec<String>,
    mem_limit: String,
    logging: Logging,
}

#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) condition: String,
}

#[derive(Deserialize)]
pub(crate) struct HealthCheck {
    #[serde(default)]
    pub(crate) test: Vec<String>,
    #[serde(default)]
    pub(crate) disable: bool,
}

#[derive(Deserialize)]
struct Logging {
    driver: String,
    options: Map<String>,
}

/// The image of every role and tool.
pub(crate) const ORDERLY: &str = "orderly";

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap()
}

pub(crate) fn read() -> Compose {
    let text = fs::read_to_string(root().join("docker-compose.yml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

impl Compose {
    /// The services that run the product's own image.
    pub(crate) fn ours(&self) -> impl Iterator<Item = (&String, &Service)> {
        let ours = |(_, service): &(&String, &Service)| service.image == ORDERLY;
        self.services.iter().filter(ours)
    }
}

#[test]
fn every_container_is_unprivileged_and_bounded() {
    for (name, service) in read().services {
        assert!(service.read_only, "{name}: its root can be written");
        assert_eq!(service.cap_drop, ["ALL"], "{name}");
        assert_eq!(service.security_opt, ["no-new-privileges:true"], "{name}");
        let root = ["", "0", "root"].contains(&service.user.split(':').next().unwrap());
        assert!(!root, "{name} runs as root");
        assert!(!service.mem_limit.is_empty(), "{name}");
        // This one keeps a few files of bounded size; Docker's default keeps everything.
        assert_eq!(service.logging.driver, "local", "{name}");
        assert!(service.logging.options.contains_key("max-size"), "{name}");
    }
}

#[test]
fn two_ports_are_open_and_on_loopback_alone() {
    let compose = read();
    let open: Vec<_> = compose
        .services
        .iter()
        .flat_map(|(name, service)| service.ports.iter().map(move |port| (&**name, &**port)))
        .collect();
    assert_eq!(
        open,
        [
            ("dashboard", "127.0.0.1:8081:8080"),
            ("ingress", "127.0.0.1:8080:8080")
        ]
    );
}

#[test]
fn every_config_is_in_the_repository() {
    for (name, config) in read().configs {
        assert!(root().join(config.file).is_file(), "{name}");
    }
}
