//! From deliveries to batches: decodes what arrived, keeps it in order, and cuts it to size.
//!
//! Decoding is per envelope: a bad one does not take its neighbours along.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use orderly_broker::Delivery;
use orderly_domain::{Action, Command, CommandId, OrderId, ProducerId};
use orderly_protocol::{
    Envelope, EnvelopeError, Fingerprint, Marker, ShardId, Timestamp, decode_commands,
    describe_faults, limits, names, shard_of,
};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::failure::ShardError;
use crate::guard::guarded;
use crate::load::InHand;

/// From this delivery of a message on its commands run alone, each with a recorded attempt: three deliveries mean that
/// two owners lost it, and one of its neighbours may be what ends them.
const ALONE_FROM_DELIVERY: u32 = 3;

/// One thing to do, in the order it came.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// A command for this shard.
    Command(Box<Item>),
    /// A command whose order lives on another shard.
    Foreign {
        /// Whose shard it belongs to.
        order_id: OrderId,
        /// The envelope as it came.
        bytes: Bytes,
    },
    /// A marker of the resize that ends this shard's generation.
    Marker(Marker),
    /// Bytes that cannot be read, or name no order.
    Unreadable {
        /// As they came.
        bytes: Bytes,
        /// The message's headers, as JSON.
        headers: String,
        /// What is wrong.
        detail: String,
    },
}

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

/// Why a command cannot be decided now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Undecidable {
    pub(crate) code: &'static str,
    pub(crate) detail: String,
}

/// What one transaction takes on.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) work: Vec<Work>,
    /// The last message that ends within this batch: acking it acks all before it.
    pub(crate) last_delivery: Option<Delivery>,
    /// How many messages end within this batch.
    pub(crate) messages: u64,
    /// A suspect: it runs alone, with its attempt recorded.
    pub(crate) suspect: bool,
}

/// What arrived and is not yet applied.
#[derive(Debug)]
pub(crate) struct Intake {
    shard: ShardId,
    shard_count: i32,
    queue: VecDeque<Queued>,
    /// A message that this build cannot read: nothing behind it may be taken.
    unknown: Option<Delivery>,
}

#[derive(Debug)]
struct Queued {
    work: Work,
    /// Set on the last envelope of a message.
    ends: Option<Delivery>,
    suspect: bool,
}

impl Intake {
    pub(crate) fn new(shard: ShardId, shard_count: i32) -> Self {
        Self {
            shard,
            shard_count,
            queue: VecDeque::new(),
            unknown: None,
        }
    }

    /// Whether more may be taken from the broker: a batch is not full yet, and nothing stands in the way.
    pub(crate) fn has_room(&self) -> bool {
        self.queue.len() < limits::BATCH_COMMANDS && self.unknown.is_none()
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.unknown.is_none()
    }

    /// What of it an autoscaler wants to know.
    pub(crate) fn in_hand(&self) -> InHand {
        let items = || {
            self.queue.iter().filter_map(|queued| match &queued.work {
                Work::Command(item) => Some(item),
                _ => None,
            })
        };
        let orders: BTreeSet<_> = items().map(|item| item.order_id).collect();
        InHand {
            orders: orders.len(),
            oldest: items().find_map(|item| item.accepted_at),
        }
    }

    /// Takes one message apart. A message of an unknown schema ends the intake: a worker that knows it must go on there.
    pub(crate) fn push(&mut self, delivery: Delivery) {
        if self.unknown.is_some() {
            return;
        }
        let mut suspect = delivery.delivery_count.saturating_add(1) >= ALONE_FROM_DELIVERY;
        let work = match delivery.schema.as_deref() {
            Some(names::COMMANDS_SCHEMA) => self.decode(&delivery),
            Some(names::MARKERS_SCHEMA) => {
                // Nobody dies of one, and it can be parked nowhere.
                suspect = false;
                vec![decode_marker(&delivery)]
            }
            _ => {
                self.unknown = Some(delivery);
                return;
            }
        };
        let last = work.len().saturating_sub(1);
        let mut ends = Some(delivery);
        for (index, work) in work.into_iter().enumerate() {
            let ends = if index == last { ends.take() } else { None };
            self.queue.push_back(Queued {
                work,
                ends,
                suspect,
            });
        }
    }

    fn decode(&self, delivery: &Delivery) -> Vec<Work> {
        let body = &delivery.body;
        match decode_commands(body) {
            Ok(envelopes) if envelopes.is_empty() => {
                vec![unreadable(
                    delivery,
                    "the message holds no command".to_owned(),
                )]
            }
            Ok(envelopes) => envelopes
                .into_iter()
                .map(|raw| {
                    let bytes = body.slice_ref(raw.get().as_bytes());
                    self.sort(bytes, delivery)
                })
                .collect(),
            Err(error) => vec![unreadable(delivery, error.to_string())],
        }
    }

    fn sort(&self, bytes: Bytes, delivery: &Delivery) -> Work {
        let item = match Envelope::decode(&bytes) {
            Ok(envelope) => Item::readable(envelope, bytes, delivery.redelivered),
            Err(EnvelopeError::Unreadable {
                order_id,
                command_id,
                detail,
            }) => Item::unreadable(order_id, command_id, detail, bytes, delivery.redelivered),
            Err(EnvelopeError::NoOrder { detail }) => {
                return Work::Unreadable {
                    bytes,
                    headers: delivery.headers_json().to_string(),
                    detail,
                };
            }
        };
        if shard_of(item.order_id, self.shard_count) == self.shard.shard {
            Work::Command(Box::new(item))
        } else {
            Work::Foreign {
                order_id: item.order_id,
                bytes: item.bytes,
            }
        }
    }

    /// The next batch, in order, within the limits; a suspect alone. None when there is nothing to do.
    ///
    /// # Errors
    /// Everything before a message of an unknown schema is done.
    pub(crate) fn next_batch(&mut self) -> Result<Option<Batch>, ShardError> {
        if self.queue.is_empty() {
            return match self.unknown.take() {
                Some(delivery) => Err(ShardError::UnknownSchema {
                    schema: delivery.schema.clone(),
                }),
                None => Ok(None),
            };
        }
        let mut batch = Batch::default();
        let (mut lines, mut bytes) = (0, 0);
        while let Some(next) = self.queue.front() {
            let (next_lines, next_bytes) = next.work.weight();
            let full = batch.work.len() >= limits::BATCH_COMMANDS
                || lines + next_lines > limits::BATCH_LINES
                || bytes + next_bytes > limits::BATCH_BYTES;
            let alone = next.suspect || batch.suspect || next.work.is_last() || batch.is_last();
            if !batch.work.is_empty() && (full || alone) {
                break;
            }
            let next = self.queue.pop_front().expect("the front was just seen");
            (lines, bytes) = (lines + next_lines, bytes + next_bytes);
            batch.suspect = next.suspect;
            batch.work.push(next.work);
            if next.ends.is_some() {
                batch.last_delivery = next.ends;
                batch.messages += 1;
            }
        }
        Ok(Some(batch))
    }
}

fn decode_marker(delivery: &Delivery) -> Work {
    Marker::decode(&delivery.body).map_or_else(
        |error| unreadable(delivery, error.to_string()),
        Work::Marker,
    )
}

fn unreadable(delivery: &Delivery, detail: String) -> Work {
    Work::Unreadable {
        bytes: delivery.body.clone(),
        headers: delivery.headers_json().to_string(),
        detail,
    }
}

impl Batch {
    /// Whether it is marker 2 of its shard, alone.
    pub(crate) fn is_last(&self) -> bool {
        matches!(self.work[..], [Work::Marker(Marker::Second)])
    }

    /// The commands of the batch, in order.
    pub(crate) fn items(&self) -> impl Iterator<Item = &Item> {
        self.work.iter().filter_map(|work| match work {
            Work::Command(item) => Some(item.as_ref()),
            _ => None,
        })
    }

    /// Their ids, in order.
    pub(crate) fn command_ids(&self) -> Vec<CommandId> {
        self.items().map(|item| item.command_id).collect()
    }

    /// The orders of its commands, in id order, each once.
    pub(crate) fn order_ids(&self) -> Vec<OrderId> {
        let ids: BTreeSet<_> = self.items().map(|item| item.order_id).collect();
        ids.into_iter().collect()
    }

    /// The same work, one piece a batch; the last one keeps what there is to ack.
    pub(crate) fn into_singles(self) -> impl Iterator<Item = Self> {
        let last = self.work.len().saturating_sub(1);
        let mut delivery = self.last_delivery;
        let messages = self.messages;
        let suspect = self.suspect;
        self.work
            .into_iter()
            .enumerate()
            .map(move |(index, work)| Self {
                work: vec![work],
                last_delivery: if index == last { delivery.take() } else { None },
                messages: if index == last { messages } else { 0 },
                suspect,
            })
    }

    /// Marks the only command of this batch as one that its lane must hold.
    pub(crate) fn give_up(&mut self, reason: Undecidable) {
        if let [Work::Command(item)] = self.work.as_mut_slice() {
            item.command = Err(reason);
        }
    }
}

impl Work {
    /// Order lines and bytes, as the batch limits count them.
    fn weight(&self) -> (usize, usize) {
        match self {
            Self::Command(item) => (item.lines(), item.bytes.len()),
            Self::Foreign { bytes, .. } | Self::Unreadable { bytes, .. } => (0, bytes.len()),
            Self::Marker(_) => (0, 0),
        }
    }

    fn is_last(&self) -> bool {
        matches!(self, Self::Marker(Marker::Second))
    }

    /// What of it goes on to another shard, once this one is drained: whose order it is, if anybody's, and its bytes.
    pub(crate) fn forward(self) -> Option<(Option<OrderId>, Bytes)> {
        match self {
            Self::Command(item) => Some((Some(item.order_id), item.bytes)),
            Self::Foreign { order_id, bytes } => Some((Some(order_id), bytes)),
            Self::Unreadable { bytes, .. } => Some((None, bytes)),
            Self::Marker(_) => None,
        }
    }
}

impl Item {
    fn readable(envelope: Envelope, bytes: Bytes, redelivered: bool) -> Self {
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
    fn unreadable(
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

    fn lines(&self) -> usize {
        match self.command.as_ref().map(|command| &command.action) {
            Ok(Action::Place(place)) => place.lines.len(),
            Ok(Action::Amend(amend)) => amend.lines.len(),
            _ => 0,
        }
    }
}
