//! What a storm may hurt. Whoever started it says how its processes are started and its servers killed; the storm knows when.

use anyhow::Result;
use futures_util::future::BoxFuture;
use tokio::process::Command;

/// A process that the storm starts for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Takes commands.
    Ingress,
    /// Applies them.
    Worker,
}

/// A server that Orderly rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// `PostgreSQL`.
    Database,
    /// One of the `RabbitMQ` nodes.
    Broker(usize),
}

/// Ports on the loopback address by which a process reaches the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ways {
    /// Of `PostgreSQL`.
    pub database: u16,
    /// Of `RabbitMQ`, whichever node.
    pub broker: u16,
}

/// Ports on the loopback address on which the servers themselves listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Servers {
    /// Of `PostgreSQL`.
    pub database: u16,
    /// Of each `RabbitMQ` node.
    pub brokers: Vec<u16>,
}

/// An Orderly that was started to be hurt.
pub trait Deployment: Sync {
    /// A process that is not running, and that reaches the servers by these ways. Only one of a name runs at a time.
    ///
    /// # Errors
    /// When it cannot be started from here.
    fn process(&self, name: &str, role: Role, ways: Ways) -> Result<Command>;

    /// Where the servers listen.
    fn servers(&self) -> Servers;

    /// The database, for locks and faults of its own.
    fn database_url(&self) -> &str;

    /// Ends a server as a crash of its machine would.
    fn kill(&self, server: Server) -> BoxFuture<'_, ()>;

    /// Starts it again, on its port and its data; returns when it serves.
    fn start(&self, server: Server) -> BoxFuture<'_, Result<()>>;

    /// Stops a server where it stands, as a machine that hangs.
    ///
    /// # Errors
    /// When it does not run.
    fn freeze(&self, server: Server) -> Result<()>;

    /// Lets it go on.
    ///
    /// # Errors
    /// As [`Deployment::freeze`].
    fn thaw(&self, server: Server) -> Result<()>;

    /// Whether one of the `RabbitMQ` nodes sees all others, and was parted from none.
    fn is_in_cluster(&self, broker: usize) -> BoxFuture<'_, bool>;

    /// Ends and starts a node's application, for one that does not find back to the others.
    fn rejoin(&self, broker: usize) -> BoxFuture<'_, Result<()>>;

    /// Raises the broker's alarm for a full disk, or ends it.
    fn alarm(&self, raised: bool) -> BoxFuture<'_, Result<()>>;
}
