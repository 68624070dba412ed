//! Bodies of the requests by which operators act on lanes and orders. Faults point into the body as it was sent.

use orderly_domain::CommandId;
use serde_json::Value;

use super::{ControlAct, ControlKind, Replacement, read_head, read_line, read_seconds};
use crate::field::{Faults, INVALID_VALUE};
use crate::pointer::Pointer;
use crate::read::{Fields, FromJson};
use crate::{FieldFault, limits};

/// The body of `POST /v1/lanes/{order_id}/retry|skip|edit|discard`.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneRequest {
    /// What to do.
    pub act: ControlAct,
    /// Why.
    pub reason: String,
    /// Only say what would happen.
    pub dry_run: bool,
}

/// The body of `POST /v1/lanes/retry|skip|discard`: the same for every lane that failed alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneGroupRequest {
    /// Of the failure, as [`crate::lane::failure_fingerprint`] makes it.
    pub fingerprint: String,
    /// Why.
    pub reason: String,
    /// Lanes to act on at the most.
    pub limit: u32,
    /// Lanes to act on within a second.
    pub per_second: u32,
    /// Only say which lanes it would be.
    pub dry_run: bool,
}

/// The body of `POST /v1/orders/{id}/pause|resume`.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderRequest {
    /// What to do.
    pub act: ControlAct,
    /// Why.
    pub reason: String,
}

impl ControlKind {
    /// What this does to the head of one lane.
    fn of_head(self, head: CommandId, replacement: Option<Replacement>) -> Option<ControlAct> {
        match self {
            Self::LaneRetry => Some(ControlAct::Retry { head }),
            Self::LaneSkip => Some(ControlAct::Skip { head }),
            Self::LaneDiscard => Some(ControlAct::Discard { head }),
            Self::LaneEdit => Some(ControlAct::Edit {
                head,
                replacement: replacement?,
            }),
            Self::OrderPause | Self::OrderResume => None,
        }
    }
}

impl LaneRequest {
    /// Reads the body of a request that does `kind` to one lane.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn parse(kind: ControlKind, body: &Value) -> Result<Self, Vec<FieldFault>> {
        let mut faults = Faults::default();
        let read = read_lane_request(kind, body, &mut faults);
        faults.settle(read)
    }
}

fn read_lane_request(kind: ControlKind, body: &Value, faults: &mut Faults) -> Option<LaneRequest> {
    let mut fields = Fields::of(body, Pointer::Root, faults)?;
    let head = read_head(&mut fields);
    let reason = fields.required_with("reason", read_line);
    let dry_run = fields.optional("dry_run");
    let replacement = if kind == ControlKind::LaneEdit {
        fields.required("replacement").map(Some)
    } else {
        Some(None)
    };
    fields.close();
    Some(LaneRequest {
        act: kind.of_head(head?, replacement?)?,
        reason: reason?,
        dry_run: dry_run?.unwrap_or(false),
    })
}

impl LaneGroupRequest {
    /// The control command of this kind for one of the lanes.
    #[must_use]
    pub fn act(kind: ControlKind, head: CommandId) -> Option<ControlAct> {
        kind.of_head(head, None)
    }

    /// Reads the body.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn parse(body: &Value) -> Result<Self, Vec<FieldFault>> {
        let mut faults = Faults::default();
        let read = read_group_request(body, &mut faults);
        faults.settle(read)
    }
}

fn read_group_request(body: &Value, faults: &mut Faults) -> Option<LaneGroupRequest> {
    let mut fields = Fields::of(body, Pointer::Root, faults)?;
    let fingerprint = fields.required("fingerprint");
    let reason = fields.required_with("reason", read_line);
    let limit = fields.optional_with("limit", within(limits::GROUP_LANES));
    let per_second = fields.optional_with("per_second", within(limits::GROUP_PER_SECOND));
    let dry_run = fields.optional("dry_run");
    fields.close();
    Some(LaneGroupRequest {
        fingerprint: fingerprint?,
        reason: reason?,
        limit: limit?.unwrap_or(limits::GROUP_LANES),
        per_second: per_second?.unwrap_or(limits::GROUP_PER_SECOND),
        dry_run: dry_run?.unwrap_or(false),
    })
}

fn within(most: u32) -> impl FnOnce(&Value, Pointer<'_>, &mut Faults) -> Option<u32> {
    move |value, at, faults| {
        let number = i64::read(value, at, faults)?;
        let number = u32::try_from(number).ok();
        let number = number.filter(|number| (1..=most).contains(number));
        if number.is_none() {
            faults.add(at, INVALID_VALUE, format!("Must be 1 to {most}."));
        }
        number
    }
}

impl OrderRequest {
    /// Reads the body of a request that pauses an order.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn parse_pause(body: &Value) -> Result<Self, Vec<FieldFault>> {
        let mut faults = Faults::default();
        let read = read_pause_request(body, &mut faults);
        faults.settle(read)
    }

    /// Reads the body of a request that resumes an order.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn parse_resume(body: &Value) -> Result<Self, Vec<FieldFault>> {
        let mut faults = Faults::default();
        let read = Fields::of(body, Pointer::Root, &mut faults).and_then(|mut fields| {
            let reason = fields.required_with("reason", read_line);
            fields.close();
            let act = ControlAct::Resume { pause: None };
            reason.map(|reason| Self { act, reason })
        });
        faults.settle(read)
    }
}

fn read_pause_request(body: &Value, faults: &mut Faults) -> Option<OrderRequest> {
    let mut fields = Fields::of(body, Pointer::Root, faults)?;
    let reason = fields.required_with("reason", read_line);
    let expires_in_seconds = fields.optional_with("expires_in_seconds", read_seconds);
    fields.close();
    Some(OrderRequest {
        act: ControlAct::Pause {
            expires_in_seconds: expires_in_seconds?,
        },
        reason: reason?,
    })
}
