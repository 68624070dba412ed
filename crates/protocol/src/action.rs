//! Commands as JSON: a type name and its data. Reads and writes structure only; whether amounts, quantities and texts
//! are within their bounds is asked of the domain.

use orderly_domain::{
    Action, ActionKind, Amend, Annotate, Cancel, Hold, Pay, PaymentResult, Place, RecordPayment,
    RecordRefund, RefundOrder, RefundResult, Return, SetAddress, Ship,
};
use serde_json::Value;

use crate::field::{Faults, UNKNOWN_TYPE};
use crate::pointer::Pointer;
use crate::read::{Fields, FromJson, text};
use crate::{FieldFault, limits};

mod write;

pub use write::action_data;

/// Reads the command `action_type` with its `data`. Faults point into `data`.
///
/// # Errors
/// Every fault at once: an unknown type, unknown or missing fields, wrong JSON types, integers that JSON readers do not
/// keep exact, texts that are no value of their field.
pub fn parse_action(action_type: &str, data: &Value) -> Result<Action, Vec<FieldFault>> {
    let mut faults = Faults::default();
    let action = read_action(action_type, data, Pointer::Root, &mut faults);
    faults.settle(action)
}

pub(crate) fn read_action(
    action_type: &str,
    data: &Value,
    at: Pointer<'_>,
    faults: &mut Faults,
) -> Option<Action> {
    let Some(kind) = ActionKind::parse(action_type) else {
        unknown_type(action_type, at, faults);
        return None;
    };
    Some(match kind {
        ActionKind::Place => Action::Place(FromJson::read(data, at, faults)?),
        ActionKind::Amend => Action::Amend(FromJson::read(data, at, faults)?),
        ActionKind::SetAddress => Action::SetAddress(FromJson::read(data, at, faults)?),
        ActionKind::Annotate => Action::Annotate(FromJson::read(data, at, faults)?),
        ActionKind::Hold => Action::Hold(FromJson::read(data, at, faults)?),
        ActionKind::Release => read_nothing(data, at, faults).map(|()| Action::Release)?,
        ActionKind::Pay => Action::Pay(FromJson::read(data, at, faults)?),
        ActionKind::RecordPayment => Action::RecordPayment(FromJson::read(data, at, faults)?),
        ActionKind::Ship => Action::Ship(FromJson::read(data, at, faults)?),
        ActionKind::Deliver => read_nothing(data, at, faults).map(|()| Action::Deliver)?,
        ActionKind::Cancel => Action::Cancel(FromJson::read(data, at, faults)?),
        ActionKind::Refund => Action::Refund(FromJson::read(data, at, faults)?),
        ActionKind::RecordRefund => Action::RecordRefund(FromJson::read(data, at, faults)?),
        ActionKind::Return => Action::Return(FromJson::read(data, at, faults)?),
    })
}

/// Notes that no command is called `name`.
pub(crate) fn unknown_type(name: &str, at: Pointer<'_>, faults: &mut Faults) {
    // A long name is cut: the fault goes into answers, logs and lanes.
    let name: String = name.chars().take(limits::TYPE_CHARS).collect();
    let known = ActionKind::ALL.map(ActionKind::as_str).join(", ");
    faults.add(
        at,
        UNKNOWN_TYPE,
        format!("No command is called \"{name}\"; known: {known}."),
    );
}

/// Data without fields: `{}`.
fn read_nothing(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<()> {
    Fields::of(value, at, faults).map(|fields| {
        fields.close();
    })
}

impl FromJson for Place {
    fn read(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(value, at, faults)?;
        let place = read_place(&mut fields);
        fields.close();
        place
    }
}

/// Reads the fields of `place` from an object that may hold others.
pub(crate) fn read_place(fields: &mut Fields<'_, '_>) -> Option<Place> {
    let customer_id = fields.required("customer_id");
    let currency = fields.required("currency");
    let lines = fields.required("lines");
    let note = fields.optional("note");
    Some(Place {
        customer_id: customer_id?,
        currency: currency?,
        lines: lines?,
        note: note?,
    })
}

impl FromJson for Amend {
    fn read(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(value, at, faults)?;
        let lines = fields.required("lines");
        fields.close();
        Some(Self { lines: lines? })
    }
}

impl FromJson for SetAddress {
    fn read(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<Self> {
        FromJson::read(value, at, faults).map(|address| Self { address })
    }
}

impl FromJson for Annotate {
    fn read(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(value, at, faults)?;
        let key = fields.required("key");
        let text = fields.required("value");
        fields.close();
        Some(Self {
            key: key?,
            value: text?,
        })
    }
}

impl FromJson for Hold {
    fn read(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(value, at, faults)?;
        let reason = fields.required("reason");
        fields.close();
        Some(Self { reason: reason? })
    }
}

impl FromJson for Pay {
    fn read(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(value, at, faults)?;
        let method = fields.required("method");
        fields.close();
        Some(Self { method: method? })
    }
}

impl FromJson for PaymentResult {
    fn read(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<Self> {
        text(
            value,
            at,
            faults,
            "authorized, captured or declined",
            |text| match text {
                "authorized" => Some(Self::Authorized),
                "captured" => Some(Self::Captured),
                "declined" => Some(Self::Declined),
                _ => None,
            },
        )
    }
}

impl FromJson for RecordPayment {
    fn read(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(value, at, faults)?;
        let payment_id = fields.required("payment_id");
        let result = fields.required("result");
        let amount_minor = fields.required("amount_minor");
        let reference = fields.required("reference");
        fields.close();
        Some(Self {
            payment_id: payment_id?,
            result: result?,
            amount_minor: amount_minor?,
            reference: reference?,
        })
    }
}

impl FromJson for Ship {
    fn read(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(value, at, faults)?;
        let lines = fields.optional("lines");
        let carrier = fields.required("carrier");
        let tracking = fields.required("tracking");
        fields.close();
        Some(Self {
            lines: lines?,
            carrier: carrier?,
            tracking: tracking?,
        })
    }
}

impl FromJson for Cancel {
    fn read(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(value, at, faults)?;
        let reason = fields.required("reason");
        fields.close();
        Some(Self { reason: reason? })
    }
}

impl FromJson for RefundOrder {
    fn read(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(value, at, faults)?;
        let amount_minor = fields.required("amount_minor");
        let reason = fields.required("reason");
        fields.close();
        Some(Self {
            amount_minor: amount_minor?,
            reason: reason?,
        })
    }
}

impl FromJson for RefundResult {
    fn read(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<Self> {
        text(value, at, faults, "refunded or failed", |text| match text {
            "refunded" => Some(Self::Refunded),
            "failed" => Some(Self::Failed),
            _ => None,
        })
    }
}

impl FromJson for RecordRefund {
    fn read(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(value, at, faults)?;
        let refund_id = fields.required("refund_id");
        let result = fields.required("result");
        fields.close();
        Some(Self {
            refund_id: refund_id?,
            result: result?,
        })
    }
}

impl FromJson for Return {
    fn read(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(value, at, faults)?;
        let lines = fields.required("lines");
        fields.close();
        Some(Self { lines: lines? })
    }
}
