//! What a batch hands over to be written: plain rows, decided elsewhere.

use super::lane::{ControlRecord, LaneWrite};
use orderly_domain::{CommandId, OrderId, ProducerId, Sku, StockLevel, StockMovement, Version};
use orderly_protocol::{Fingerprint, Outcome, RecordedEvent, RejectionBody, ShardId, Timestamp};

/// Everything one batch writes.
#[derive(Clone, Debug, Default)]
pub struct Writes {
    /// Final outcomes, in the order they were decided.
    pub outcomes: Vec<NewOutcome>,
    /// Events, in the order they happened.
    pub events: Vec<NewEvent>,
    /// Every changed order once, as it is after the batch.
    pub orders: Vec<OrderWrite>,
    /// Every changed stock level once, as it is after the batch.
    pub stock: Vec<StockWriteRow>,
    /// The stock ledger: what each event moved.
    pub movements: Vec<(OrderId, Version, StockMovement)>,
    /// Reuses of command ids.
    pub conflicts: Vec<Conflict>,
    /// What a control command leaves of its order's lane.
    pub lane: Option<LaneWrite>,
    /// What a control command did.
    pub control: Option<ControlRecord>,
    /// Commands that join a lane, in order.
    pub parked: Vec<Parked>,
    /// What cannot be read, or names no order.
    pub dead_letters: Vec<DeadLetter>,
}

/// What became of a command.
#[derive(Clone, Debug)]
pub struct NewOutcome {
    /// Which command.
    pub command_id: CommandId,
    /// For which order.
    pub order_id: OrderId,
    /// Whose.
    pub producer: ProducerId,
    /// `place`, `pay` …
    pub action_type: String,
    /// Of its request.
    pub fingerprint: Fingerprint,
    /// Final.
    pub outcome: Outcome,
    /// The version it made, or was decided against.
    pub version: Version,
    /// Why not applied.
    pub rejection: Option<RejectionBody>,
    /// When the ingress took it.
    pub accepted_at: Timestamp,
}

/// An event, with the delivery in whose transaction it is written.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// The event.
    pub event: RecordedEvent,
    /// The command id of the delivery: a redelivery publishes its events again by this.
    pub delivery_id: CommandId,
}

/// An order after the batch.
#[derive(Clone, Debug)]
pub struct OrderWrite {
    /// Which.
    pub order_id: OrderId,
    /// The version the batch loaded; 0 for a new order.
    pub loaded: Version,
    /// The version it leaves.
    pub version: Version,
    /// Where it stands.
    pub status: &'static str,
    /// Whether it is held.
    pub held: bool,
    /// The shop's own id of the customer.
    pub customer_id: String,
    /// Of its amounts.
    pub currency: String,
    /// Minor units.
    pub total_minor: i64,
    /// Minor units.
    pub captured_minor: i64,
    /// Minor units.
    pub refunded_minor: i64,
    /// Minor units.
    pub refund_pending_minor: i64,
    /// The whole of it, as JSON.
    pub state: String,
}

/// A stock level after the batch.
#[derive(Clone, Debug)]
pub struct StockWriteRow {
    /// Which.
    pub sku: Sku,
    /// Its level.
    pub level: StockLevel,
}

/// A command whose id belongs to another request.
#[derive(Clone, Debug)]
pub struct Conflict {
    /// The id.
    pub command_id: CommandId,
    /// Of the request that was not applied.
    pub fingerprint: Fingerprint,
    /// The order it names.
    pub order_id: OrderId,
    /// Whose.
    pub producer: ProducerId,
    /// `place`, `pay` …
    pub action_type: String,
    /// When the ingress took it.
    pub accepted_at: Timestamp,
}

/// A command that joins its order's lane.
#[derive(Clone, Debug)]
pub struct Parked {
    /// Whose lane.
    pub order_id: OrderId,
    /// Its place in the lane.
    pub position: i64,
    /// Why the lane begins, when this command is its head.
    pub reason: Option<ParkedReason>,
    /// Which command.
    pub command_id: CommandId,
    /// Whose.
    pub producer: ProducerId,
    /// `place`, `pay` …, as the envelope says.
    pub action_type: String,
    /// Of its request.
    pub fingerprint: Fingerprint,
    /// The bytes as they came.
    pub envelope: Vec<u8>,
    /// When the ingress took it.
    pub accepted_at: Timestamp,
}

/// Why a lane begins.
#[derive(Clone, Debug)]
pub struct ParkedReason {
    /// A stable code.
    pub code: &'static str,
    /// A sentence for a person.
    pub detail: String,
}

/// Bytes that cannot be read, or name no order.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// SHA-256 of the bytes.
    pub body_hash: [u8; 32],
    /// The bytes as they came.
    pub body: Vec<u8>,
    /// The message's headers, as JSON.
    pub headers: String,
    /// A stable code.
    pub reason: &'static str,
    /// A sentence for a person.
    pub detail: String,
    /// Where it came from.
    pub shard: ShardId,
}

/// Postgres keeps every character in a text but NUL (in `jsonb` not even escaped). What cannot be applied has to be kept
/// whatever it says, or it would come back for ever; its bytes stay exact beside these words.
pub(super) fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
