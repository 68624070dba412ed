//! Reading a stream on from a message that was seen before. Owns the judgement whether anything is missing in between;
//! what to do about it is the reader's.

use std::time::Duration;

use tokio::time::timeout;

use crate::{
    connection::Connection,
    error::BrokerError,
    stream::{StreamMessage, StreamOffset, StreamReader},
};

/// A message that exists is delivered within milliseconds of the subscription; this leaves room for a broker that has just
/// started. Being wrong costs a repetition, never an event.
const SEEN_LIMIT: Duration = Duration::from_secs(5);

/// How a stream goes on after a message that was seen.
pub enum Resumed {
    /// Without a gap: the reader continues with the message after it.
    Continued(StreamReader),
    /// The stream was truncated past it. This is the oldest message that is kept; the reader continues after it.
    Truncated(StreamReader, StreamMessage),
    /// The stream ends before it: it was lost or lost its tail (confirms of streams are not synced to disk), and what is written
    /// next may reuse its offsets.
    Shorter,
}

impl Connection {
    /// Reads `stream` on after the message of offset `seen`.
    ///
    /// It asks for that message again: offsets have holes where the broker keeps records of its own, so only the message
    /// itself tells "nothing new" from "truncated" and from "gone".
    ///
    /// # Errors
    /// The stream does not exist, the connection is lost, or the broker did not answer.
    pub async fn resume_stream(
        &self,
        stream: &str,
        seen: u64,
        prefetch: u16,
    ) -> Result<Resumed, BrokerError> {
        let mut reader = self
            .read_stream(stream, StreamOffset::At(seen), prefetch)
            .await?;
        match timeout(SEEN_LIMIT, reader.next()).await {
            Ok(Some(Ok(message))) if message.offset == seen => Ok(Resumed::Continued(reader)),
            Ok(Some(Ok(message))) => Ok(Resumed::Truncated(reader, message)),
            Ok(Some(Err(error))) => Err(error),
            Ok(None) => Err(BrokerError::Lost {
                action: "resume a stream",
            }),
            Err(_) => Ok(Resumed::Shorter),
        }
    }
}
