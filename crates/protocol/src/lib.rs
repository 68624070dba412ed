//! The wire of Orderly, version 1: what commands, events, states, answers and names look like outside the process.
//!
//! Owns every JSON shape, id rule, hash and name that another program may rely on. Does no I/O, reads no clock, and
//! knows no rule of an order beyond how its parts are written and read.

#![allow(
    clippy::missing_panics_doc,
    reason = "each `expect` here states what cannot fail, except where a `# Panics` section says otherwise"
)]
#![allow(
    clippy::ref_option,
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands fields over by reference"
)]

mod action;
pub mod api_key;
pub mod audit;
mod cloudevent;
mod control;
mod envelope;
mod event;
mod field;
mod fingerprint;
pub mod ids;
mod json;
pub mod lane;
pub mod limits;
mod marker;
mod message;
pub mod names;
mod order_resource;
mod order_state;
mod outcome;
mod pointer;
mod problem;
mod read;
pub mod receipt;
mod reply;
mod request;
mod serde_id;
pub mod session;
mod shard;
pub mod timestamp;
mod token;
mod write;

pub use action::{action_data, parse_action};
pub use cloudevent::{CloudEvent, EventsUnreadable, decode_events, encode_events};
pub use control::{
    Control, ControlAct, ControlKind, LaneGroupRequest, LaneRequest, OrderRequest, Replacement,
};
pub use envelope::{Envelope, EnvelopeError};
pub use event::{
    EventHeader, EventUnreadable, RecordedEvent, event_data, parse_event, parse_event_data,
};
pub use field::{FieldFault, describe_faults};
pub use fingerprint::{Fingerprint, fingerprint};
pub use json::{JsonFault, parse_json};
pub use marker::Marker;
pub use message::{MessageUnreadable, decode_commands, encode_commands};
pub use order_resource::{MoneyResource, OrderResource};
pub use order_state::{StateUnreadable, order_state, parse_order_state};
pub use outcome::{
    CommandLinks, CommandOutcome, CommandResource, CommandStatus, Outcome, RejectionBody,
};
pub use problem::{Problem, ProblemCode};
pub use reply::Reply;
pub use request::{
    BatchCommand, CommandRequest, PlaceRequest, parse_batch_command, parse_command_request,
    parse_place_request,
};
pub use shard::{ShardId, shard_of};
pub use timestamp::Timestamp;

pub use serde_json;
pub use time;
pub use uuid;
