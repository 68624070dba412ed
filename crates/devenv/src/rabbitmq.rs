//! `RabbitMQ` and its port mapper: nodes of its own, without plugins (streams need none over AMQP 0.9.1) unless its management API is
//! asked for.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use nix::sys::signal::Signal;

use crate::clients::Clients;
use crate::error::DevEnvError;
use crate::files;
use crate::process::ServerProcess;
use crate::readiness::Readiness;
use crate::settings::{Node, random_hex};
use crate::spec::Spec;

/// The node's only user.
pub(crate) const USER: &str = "orderly";
const FOLDER: &str = "rabbitmq";
const EPMD_FOLDER: &str = "epmd";

/// Where a broker lives.
fn folder(clients: &Clients, node: Node) -> PathBuf {
    let name = match node.number {
        1 => FOLDER.to_owned(),
        number => format!("{FOLDER}{number}"),
    };
    clients.place.folder.join(name)
}

fn node_name(node: Node) -> String {
    match node.number {
        1 => "rabbit@localhost".to_owned(),
        number => format!("rabbit{number}@localhost"),
    }
}

/// A broker's process, not started.
pub(crate) fn server(clients: &Clients, node: Node) -> ServerProcess {
    let mut environment = environment(clients, node);
    // Both the listeners and the distribution would else be open to the network.
    environment.push((
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
        "-kernel inet_dist_use_interface {127,0,0,1}".into(),
    ));
    ServerProcess::new(Spec {
        name: "RabbitMQ",
        folder: folder(clients, node),
        program: clients.binaries.rabbitmq.join("rabbitmq-server"),
        arguments: Vec::new(),
        environment,
        account: None,
        // The port opens before the boot ends; `rabbitmqctl await_startup` costs a second of CPU. With a notification
        // socket set the start script also becomes the Erlang machine instead of staying its parent: one pid to know.
        readiness: Readiness::Notifies,
        stop: Signal::SIGTERM,
    })
}

/// The port mapper's process, not started. Ours alone, so that no other Erlang program shares or inherits it.
pub(crate) fn port_mapper(clients: &Clients) -> ServerProcess {
    let port = clients.settings.epmd_port;
    ServerProcess::new(Spec {
        name: "epmd",
        folder: clients.place.folder.join(EPMD_FOLDER),
        program: clients.binaries.epmd.clone(),
        arguments: ["-port", &port.to_string(), "-address", "127.0.0.1"]
            .map(OsString::from)
            .to_vec(),
        environment: Vec::new(),
        account: None,
        // NAMES_REQ (110); the answer begins with the mapper's own port.
        readiness: Readiness::Answers {
            port,
            ask: "\0\u{1}n".to_owned(),
            answer: "\0\0",
        },
        stop: Signal::SIGTERM,
    })
}

/// Writes the configuration and starts port mapper and brokers; the later ones join the first.
pub(crate) fn start(
    clients: &Clients,
    port_mapper: &ServerProcess,
    brokers: &[ServerProcess],
) -> Result<(), DevEnvError> {
    files::create_folder(&clients.place.folder.join(EPMD_FOLDER), 0o700, None)?;
    let cookie = random_hex()?;
    for node in clients.settings.brokers() {
        configure(clients, node, &cookie)?;
    }
    port_mapper.start_blocking()?;
    // One after the other: nodes that join at once may each wait for another.
    brokers.iter().try_for_each(ServerProcess::start_blocking)
}

/// The environment that makes the broker's programs talk about this node and no other.
pub(crate) fn environment(clients: &Clients, node: Node) -> Vec<(&'static str, OsString)> {
    let settings = &clients.settings;
    let folder = folder(clients, node);
    let file = |name: &str| folder.join(name).into_os_string();
    vec![
        ("HOME", file("home")),
        ("LANG", "C.UTF-8".into()),
        ("RABBITMQ_NODENAME", node_name(node).into()),
        ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1".into()),
        ("RABBITMQ_NODE_PORT", node.amqp_port.to_string().into()),
        ("RABBITMQ_DIST_PORT", node.dist_port.to_string().into()),
        ("RABBITMQ_MNESIA_BASE", file("mnesia")),
        ("RABBITMQ_LOG_BASE", file("logs")),
        ("RABBITMQ_PID_FILE", file("node.pid")),
        ("RABBITMQ_CONF_ENV_FILE", file("environment.conf")),
        ("RABBITMQ_CONFIG_FILE", file("rabbitmq.conf")),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", file("enabled_plugins")),
        ("RABBITMQ_GENERATED_CONFIG_DIR", file("generated")),
        ("ERL_EPMD_PORT", settings.epmd_port.to_string().into()),
        ("ERL_EPMD_ADDRESS", "127.0.0.1".into()),
        // Every Erlang program would else start a port mapper that nobody ends when it finds none.
        ("ERL_AFLAGS", "-start_epmd false".into()),
    ]
}

fn configure(clients: &Clients, node: Node, new_cookie: &str) -> Result<(), DevEnvError> {
    let folder = folder(clients, node);
    for name in ["home", "mnesia", "logs", "generated"] {
        files::create_folder(&folder.join(name), 0o700, None)?;
    }
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).map_err(files::io("write", &path))
    };
    // Read by the shell scripts instead of the machine's own /etc/rabbitmq/rabbitmq-env.conf.
    write("environment.conf", "")?;
    let management = clients
        .settings
        .management_port
        .filter(|_| node.number == 1);
    let plugins = match management {
        Some(_) => "[rabbitmq_management].\n",
        None => "[].\n",
    };
    write("enabled_plugins", plugins)?;
    let cookie = folder.join("home/.erlang.cookie");
    if !cookie.exists() {
        files::write_secret(&cookie, new_cookie, None)?;
    }
    let mut config = format!(
        "listeners.tcp.default = 127.0.0.1:{port}\n\
         default_user = {USER}\n\
         default_pass = {password}\n\
         log.file.level = info\n",
        port = node.amqp_port,
        password = clients.settings.password,
    );
    if let Some(port) = management {
        config.push_str("management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = ");
        config.push_str(&port.to_string());
        config.push('\n');
    }
    if !clients.settings.more_brokers.is_empty() {
        config.push_str(
            "cluster_partition_handling = pause_minority\n\
             cluster_formation.peer_discovery_backend = classic_config\n\
             cluster_formation.classic_config.nodes.1 = rabbit@localhost\n",
        );
    }
    files::write_secret(&folder.join("rabbitmq.conf"), &config, None)
}
