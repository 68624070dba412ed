//! The only crate that names lapin: topology, supervised connection, confirmed publisher, shard consumer, stream reader.
//!
//! It exists to make the traps of AMQP 0.9.1, RabbitMQ and lapin impossible for the rest of the code: there is no
//! `basic.cancel`, `nack`, `reject`, `recover` or `get` here, since each reorders a quorum queue; a publish is confirmed
//! or unknown, never guessed; a connection that failed in any way is thrown away whole. It knows no business rule.
//!
//! Publishing and consuming want separate connections: a broker in memory or disk alarm stops reading from connections
//! that publish, and acks would wait behind it (RabbitMQ docs, "Blocked connections").

#![allow(
    clippy::module_name_repetitions,
    reason = "items are used by their crate path, where the repetition is what makes them readable"
)]
#![allow(clippy::doc_markdown, reason = "RabbitMQ is a name, not code")]

mod backoff;
mod channel;
mod command_publisher;
mod config;
mod connection;
mod consumer;
mod delivery;
mod error;
mod link;
mod message;
mod publisher;
mod reply;
mod resize;
mod resume;
mod rights;
mod socket;
mod stream;
mod subscription;
pub mod topology;
mod turns;

pub use backoff::Backoff;
pub use command_publisher::{CommandPublisher, GenerationSource, Layout, PublishError};
pub use config::BrokerConfig;
pub use connection::Connection;
pub use delivery::Delivery;
pub use error::{BrokerError, ClientError, PublishUnknown, UrlError};
pub use message::{Confirm, Message};
pub use publisher::Publisher;
pub use reply::ReplyConsumer;
pub use resize::ResizeLink;
pub use resume::Resumed;
pub use rights::{MissingRight, missing_rights};
pub use stream::{StreamMessage, StreamOffset, StreamReader};
pub use subscription::ShardSubscription;
pub use turns::{Turn, Turns};
