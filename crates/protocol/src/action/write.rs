//! Writes the data of a command: what `parse_action` reads back as the same command.

use orderly_domain::{Action, PaymentResult, RefundResult};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use crate::write::{Json, entry_if_some};

/// The data of `action` as JSON; [`Action::name`] is the type that goes with it.
#[must_use]
pub fn action_data(action: &Action) -> Value {
    serde_json::to_value(Json(action)).expect("string keys and plain values are always JSON")
}

impl Serialize for Json<'_, Action> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Action::SetAddress(set) = self.0 {
            return Json(&set.address).serialize(serializer);
        }
        let mut map = serializer.serialize_map(None)?;
        write_fields(self.0, &mut map)?;
        map.end()
    }
}

fn write_fields<M: SerializeMap>(action: &Action, map: &mut M) -> Result<(), M::Error> {
    match action {
        Action::Place(place) => {
            map.serialize_entry("customer_id", &place.customer_id)?;
            map.serialize_entry("currency", &Json(&place.currency))?;
            map.serialize_entry("lines", &Json(&place.lines))?;
            entry_if_some(map, "note", place.note.as_ref())
        }
        Action::Amend(amend) => map.serialize_entry("lines", &Json(&amend.lines)),
        Action::Annotate(annotate) => {
            map.serialize_entry("key", &annotate.key)?;
            map.serialize_entry("value", &annotate.value)
        }
        Action::Hold(hold) => map.serialize_entry("reason", &hold.reason),
        Action::Pay(pay) => map.serialize_entry("method", &pay.method),
        Action::RecordPayment(record) => {
            map.serialize_entry("payment_id", &Json(&record.payment_id))?;
            map.serialize_entry("result", payment_result(record.result))?;
            map.serialize_entry("amount_minor", &record.amount_minor)?;
            map.serialize_entry("reference", &record.reference)
        }
        Action::Ship(ship) => {
            entry_if_some(map, "lines", ship.lines.as_ref().map(Json))?;
            map.serialize_entry("carrier", &ship.carrier)?;
            map.serialize_entry("tracking", &ship.tracking)
        }
        Action::Cancel(cancel) => map.serialize_entry("reason", &cancel.reason),
        Action::Refund(refund) => {
            map.serialize_entry("amount_minor", &refund.amount_minor)?;
            map.serialize_entry("reason", &refund.reason)
        }
        Action::RecordRefund(record) => {
            map.serialize_entry("refund_id", &Json(&record.refund_id))?;
            map.serialize_entry("result", refund_result(record.result))
        }
        Action::Return(returned) => map.serialize_entry("lines", &Json(&returned.lines)),
        // The address is the whole of its command's data: written by the caller.
        Action::SetAddress(_) | Action::Release | Action::Deliver => Ok(()),
    }
}

fn payment_result(result: PaymentResult) -> &'static str {
    match result {
        PaymentResult::Authorized => "authorized",
        PaymentResult::Captured => "captured",
        PaymentResult::Declined => "declined",
    }
}

fn refund_result(result: RefundResult) -> &'static str {
    match result {
        RefundResult::Refunded => "refunded",
        RefundResult::Failed => "failed",
    }
}
