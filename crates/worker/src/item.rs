//! One command as it came, with what is known of it even when it cannot be read.

use bytes::Bytes;
use orderly_domain::{Action, Command, CommandId, OrderId, ProducerId, guarded};
use orderly_protocol::{Control, Envelope, EnvelopeError, Fingerprint, Timestamp, describe_faults};
use orderly_store::LaneEntry;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A command as it came, with what is known of it even when it cannot be read.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) command_id: CommandId,
    pub(crate) order_id: OrderId,
    pub(crate) producer: ProducerId,
    pub(crate) action_type: String,
    pub(crate) fingerprint: Fingerprint,
    /// None when the envelope cannot be read: then the time of the batch stands for it.
    pub(crate) accepted_at: Option<Timestamp>,
    pub(crate) traceparent: Option<String>,
    pub(crate) reply_to: Option<String>,
    pub(crate) bytes: Bytes,
    /// The command, or why its order's lane must hold it.
    pub(crate) command: Result<Command, Undecidable>,
    pub(crate) redelivered: bool,
}

/// A control command as it came. It is a batch of its own, or several: what it releases is cut to their size.
#[derive(Clone, Debug)]
pub(crate) struct ControlItem {
    pub(crate) item: Item,
    /// What to do, or why it cannot be read.
    pub(crate) control: Result<Control, Undecidable>,
    pub(crate) part: Part,
}

/// How much of a lane the next transaction of a release takes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// As much as a batch may hold.
    Full,
    /// One command: one of the others is at fault, or ends its process.
    One,
    /// One command that is not decided, but becomes the head again: it is at fault.
    GivenUp(Undecidable),
}

/// Why a command cannot be decided now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Undecidable {
    pub(crate) code: &'static str,
    pub(crate) detail: String,
}

/// What a control command asks for; none for any other.
pub(crate) fn read_control(envelope: &Envelope) -> Option<Result<Control, Undecidable>> {
    let read = envelope.control()?;
    Some(read.map_err(|faults| Undecidable {
        code: "unreadable_command",
        detail: describe_faults(&faults),
    }))
}

impl Item {
    /// A command out of a lane, as this build reads it now. Who sent it and what it is stays as it was recorded.
    pub(crate) fn parked(order_id: OrderId, entry: &LaneEntry) -> Self {
        let bytes = Bytes::copy_from_slice(&entry.envelope);
        let read = match Envelope::decode(&bytes) {
            Ok(envelope) => Self::readable(envelope, bytes, false),
            Err(EnvelopeError::Unreadable { detail, .. } | EnvelopeError::NoOrder { detail }) => {
                Self::unreadable(order_id, Some(entry.command_id), detail, bytes, false)
            }
        };
        Self {
            command_id: entry.command_id,
            order_id,
            producer: entry.producer,
            action_type: entry.action_type.clone(),
            fingerprint: entry.fingerprint,
            accepted_at: Some(entry.accepted_at),
            ..read
        }
    }

    pub(crate) fn readable(envelope: Envelope, bytes: Bytes, redelivered: bool) -> Self {
        let command = match guarded(|| envelope.command()) {
            Ok(read) => read.map_err(|faults| describe_faults(&faults)),
            Err(panic) => Err(panic),
        };
        let command = command.map_err(|detail| Undecidable {
            code: "unreadable_command",
            detail,
        });
        Self {
            command_id: envelope.command_id,
            order_id: envelope.order_id,
            producer: envelope.producer,
            action_type: envelope.action_type,
            fingerprint: envelope.fingerprint,
            accepted_at: Some(envelope.accepted_at),
            traceparent: envelope.traceparent,
            reply_to: envelope.reply_to,
            bytes,
            command,
            redelivered,
        }
    }

    /// The order is known, so its lane can hold the bytes in their place. What is missing is derived from the bytes, so
    /// that a redelivery is recognised.
    pub(crate) fn unreadable(
        order_id: OrderId,
        command_id: Option<CommandId>,
        detail: String,
        bytes: Bytes,
        redelivered: bool,
    ) -> Self {
        let hash = Fingerprint(Sha256::digest(&bytes).into());
        Self {
            command_id: command_id.unwrap_or_else(|| CommandId(Uuid::new_v5(&order_id.0, &hash.0))),
            order_id,
            producer: ProducerId(Uuid::nil()),
            action_type: "unreadable".to_owned(),
            fingerprint: hash,
            accepted_at: None,
            traceparent: None,
            reply_to: None,
            bytes,
            command: Err(Undecidable {
                code: "unreadable_envelope",
                detail,
            }),
            redelivered,
        }
    }

    pub(crate) fn lines(&self) -> usize {
        match self.command.as_ref().map(|command| &command.action) {
            Ok(Action::Place(place)) => place.lines.len(),
            Ok(Action::Amend(amend)) => amend.lines.len(),
            _ => 0,
        }
    }
}
