//! From deliveries to batches: decodes what arrived, keeps it in order, and cuts it to size.
//!
//! Decoding is per envelope: a bad one does not take its neighbours along.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use orderly_broker::Delivery;
use orderly_domain::{CommandId, OrderId};
use orderly_protocol::{
    Envelope, EnvelopeError, Marker, ShardId, decode_commands, limits, names, shard_of,
};

use crate::failure::ShardError;
use crate::item::{ControlItem, Item, Part, Undecidable, read_control};
use crate::load::InHand;

/// From this delivery of a message on its commands run alone, each with a recorded attempt: three deliveries mean that
/// two owners lost it, and one of its neighbours may be what ends them.
const ALONE_FROM_DELIVERY: u32 = 3;

/// One thing to do, in the order it came.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// A command for this shard.
    Command(Box<Item>),
    /// A control command for this shard.
    Control(Box<ControlItem>),
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
        let (item, control) = match Envelope::decode(&bytes) {
            Ok(envelope) => {
                let control = read_control(&envelope);
                let item = Item::readable(envelope, bytes, delivery.redelivered);
                (item, control)
            }
            Err(EnvelopeError::Unreadable {
                order_id,
                command_id,
                detail,
            }) => {
                let redelivered = delivery.redelivered;
                let item = Item::unreadable(order_id, command_id, detail, bytes, redelivered);
                (item, None)
            }
            Err(EnvelopeError::NoOrder { detail }) => {
                return Work::Unreadable {
                    bytes,
                    headers: delivery.headers_json().to_string(),
                    detail,
                };
            }
        };
        if shard_of(item.order_id, self.shard_count) != self.shard.shard {
            return Work::Foreign {
                order_id: item.order_id,
                bytes: item.bytes,
            };
        }
        match control {
            None => Work::Command(Box::new(item)),
            Some(control) => Work::Control(Box::new(ControlItem {
                item,
                control,
                part: Part::Full,
            })),
        }
    }

    /// The next batch, in order, within the limits; a suspect or a control command alone. None when there is nothing to do.
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
            let alone = next.suspect || next.work.is_control() || next.work.is_last();
            let after_alone = batch.suspect || batch.control().is_some() || batch.is_last();
            if !batch.work.is_empty() && (full || alone || after_alone) {
                break;
            }
            let next = self.queue.pop_front().expect("the front was just seen");
            (lines, bytes) = (lines + next_lines, bytes + next_bytes);
            batch.suspect = next.suspect;
            batch.work.push(next.work);
            if batch.suspect
                && let [Work::Control(control)] = batch.work.as_mut_slice()
            {
                // What may have ended its process is the next command of the lane: alone it can be told.
                control.part = Part::One;
            }
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
            Work::Control(control) => Some(&control.item),
            _ => None,
        })
    }

    /// The control command that is this batch.
    pub(crate) fn control(&self) -> Option<&ControlItem> {
        match self.work.as_slice() {
            [Work::Control(control)] => Some(control),
            _ => None,
        }
    }

    /// A part of the release is committed and on its way out: what earlier deliveries left is published, too.
    pub(crate) fn part_is_done(&mut self) {
        if let [Work::Control(control)] = self.work.as_mut_slice() {
            control.item.redelivered = false;
        }
    }

    /// One of the commands that this part of a release takes is at fault: they run alone, and alone it becomes the head again.
    pub(crate) fn narrow(&mut self, why: Undecidable) {
        if let [Work::Control(control)] = self.work.as_mut_slice() {
            control.part = match control.part {
                Part::Full => Part::One,
                Part::One | Part::GivenUp(_) => Part::GivenUp(why),
            };
        }
    }

    /// Whether the next command of a release is not to be decided.
    pub(crate) fn is_given_up(&self) -> bool {
        let part = self.control().map(|control| &control.part);
        matches!(part, Some(Part::GivenUp(_)))
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

    /// Marks the only command of this batch as one that its lane must hold; of a control command, the one that it releases
    /// next.
    pub(crate) fn give_up(&mut self, reason: Undecidable) {
        match self.work.as_mut_slice() {
            [Work::Command(item)] => item.command = Err(reason),
            [Work::Control(control)] => control.part = Part::GivenUp(reason),
            _ => {}
        }
    }
}

impl Work {
    fn is_control(&self) -> bool {
        matches!(self, Self::Control(_))
    }

    /// Order lines and bytes, as the batch limits count them.
    fn weight(&self) -> (usize, usize) {
        match self {
            Self::Command(item) => (item.lines(), item.bytes.len()),
            Self::Control(control) => (0, control.item.bytes.len()),
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
            Self::Control(control) => Some((Some(control.item.order_id), control.item.bytes)),
            Self::Foreign { order_id, bytes } => Some((Some(order_id), bytes)),
            Self::Unreadable { bytes, .. } => Some((None, bytes)),
            Self::Marker(_) => None,
        }
    }
}
