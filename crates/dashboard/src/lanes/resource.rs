//! Lanes as JSON.

use orderly_protocol::serde_json::{Value, json};
use orderly_protocol::{Envelope, describe_faults, lane, timestamp};
use orderly_store::{Lane, LaneEntry, Pause};
use serde::Serialize;

/// A lane in a list.
#[derive(Serialize)]
pub(super) struct LaneResource {
    order_id: String,
    /// Why, as a stable code: the failure of its head, `paused`, or `releasing`.
    reason: String,
    detail: String,
    /// The first command that waits.
    head: Option<HeadResource>,
    /// How many commands wait.
    entries: i64,
    parked_at: String,
    /// Seconds since then, by the database's clock.
    parked_seconds: i64,
    /// The operator's pause, if there is one.
    paused: Option<PauseResource>,
    /// Equal for lanes that failed alike; null where nothing failed.
    fingerprint: Option<String>,
}

#[derive(Serialize)]
struct HeadResource {
    command_id: String,
    #[serde(rename = "type")]
    action_type: String,
}

#[derive(Serialize)]
struct PauseResource {
    /// The id of the key.
    by: String,
    reason: String,
    since: String,
    until: Option<String>,
}

/// A command of a lane.
#[derive(Serialize)]
pub(super) struct EntryResource {
    position: i64,
    command_id: String,
    #[serde(rename = "type")]
    action_type: String,
    producer: String,
    accepted_at: String,
    parked_at: String,
    /// Its data, where the envelope can be read.
    data: Option<Value>,
    /// What is wrong with it, where that can be told without its order.
    unreadable: Option<String>,
}

impl From<&Lane> for LaneResource {
    fn from(lane: &Lane) -> Self {
        Self {
            order_id: lane.order_id.to_string(),
            reason: lane.state.reason.clone(),
            detail: lane.state.detail.clone(),
            head: lane.head.as_ref().map(|head| HeadResource {
                command_id: head.command_id.to_string(),
                action_type: head.action_type.clone(),
            }),
            entries: lane.commands,
            parked_at: timestamp::format(lane.state.parked_at),
            parked_seconds: lane.seconds,
            paused: lane.state.pause.as_ref().map(PauseResource::from),
            fingerprint: fingerprint(lane),
        }
    }
}

/// Of the lane's failure, if its head has failed.
pub(super) fn fingerprint(lane: &Lane) -> Option<String> {
    let state = &lane.state;
    let failed = !matches!(state.reason.as_str(), lane::PAUSED | lane::RELEASING);
    let head = lane.head.as_ref().filter(|_| failed)?;
    let found = lane::failure_fingerprint(&state.reason, &head.action_type, &state.detail);
    Some(found)
}

impl From<&Pause> for PauseResource {
    fn from(pause: &Pause) -> Self {
        Self {
            by: pause.by.clone(),
            reason: pause.reason.clone(),
            since: timestamp::format(pause.at),
            until: pause.until.map(timestamp::format),
        }
    }
}

impl From<&LaneEntry> for EntryResource {
    fn from(entry: &LaneEntry) -> Self {
        let (data, unreadable) = match Envelope::decode(&entry.envelope) {
            Ok(envelope) => {
                let data = orderly_protocol::serde_json::from_str(envelope.data.get()).ok();
                let faults = envelope.command().err();
                (data, faults.map(|faults| describe_faults(&faults)))
            }
            Err(error) => (None, Some(error.to_string())),
        };
        Self {
            position: entry.position,
            command_id: entry.command_id.to_string(),
            action_type: entry.action_type.clone(),
            producer: entry.producer.0.to_string(),
            accepted_at: timestamp::format(entry.accepted_at),
            parked_at: timestamp::format(entry.parked_at),
            data,
            unreadable,
        }
    }
}

/// Why an order is not moving, as the order shows it. `reason` may get more values: `parked` behind a command that cannot be
/// decided, `paused` by an operator, `releasing`.
pub(crate) fn waiting(lane: &Lane) -> Value {
    let reason = match lane.state.reason.as_str() {
        lane::RELEASING => "releasing",
        lane::PAUSED => "paused",
        _ => "parked",
    };
    json!({
        "reason": reason,
        "code": lane.state.reason,
        "detail": lane.state.detail,
        "since": timestamp::format(lane.state.parked_at),
        "seconds": lane.seconds,
        "behind": lane.head.as_ref().map(|head| head.command_id.to_string()),
        "commands": lane.commands,
        "paused": lane.state.pause.as_ref().map(PauseResource::from),
    })
}
