//! The whole state of an order as the store keeps it. Read only by this program, strictly: an unknown schema or field
//! means that a newer version wrote it, and deciding on half of a state would be worse than stopping.

use orderly_domain::{Order, OrderLine, Payment, PaymentStatus, Refund, RefundStatus};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use crate::field::{Faults, FieldFault, INVALID_VALUE, describe_faults};
use crate::json::{JsonFault, parse_json};
use crate::pointer::Pointer;
use crate::read::{Fields, FromJson, document, text};
use crate::write::{Json, entry_if_some};

/// The schema that this version writes, and the only one it reads.
const SCHEMA: i64 = 1;

/// The state of `order` as JSON.
#[must_use]
pub fn order_state(order: &Order) -> String {
    serde_json::to_string(&Json(order)).expect("string keys and plain values are always JSON")
}

/// The order with this state.
///
/// # Errors
/// If it is not exactly of schema 1.
pub fn parse_order_state(state: &str) -> Result<Order, StateUnreadable> {
    let value = parse_json(state.as_bytes()).map_err(StateUnreadable::Json)?;
    document(&value).map_err(StateUnreadable::Form)
}

/// The state of an order does not have the form that this version knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateUnreadable {
    /// Not JSON.
    #[error("order state is not JSON")]
    Json(#[source] JsonFault),
    /// JSON of another schema.
    #[error("order state is not of schema 1: {}", describe_faults(.0))]
    Form(Vec<FieldFault>),
}

impl Serialize for Json<'_, Order> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let order = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("schema", &SCHEMA)?;
        map.serialize_entry("order_id", &Json(&order.order_id))?;
        map.serialize_entry("version", &Json(&order.version))?;
        map.serialize_entry("status", order.status.as_str())?;
        entry_if_some(&mut map, "hold", order.hold.as_ref())?;
        map.serialize_entry("customer_id", &order.customer_id)?;
        map.serialize_entry("currency", &Json(&order.currency))?;
        map.serialize_entry("lines", &Json(&order.lines))?;
        entry_if_some(&mut map, "note", order.note.as_ref())?;
        entry_if_some(&mut map, "address", order.address.as_ref().map(Json))?;
        map.serialize_entry("annotations", &order.annotations)?;
        map.serialize_entry("payments", &Json(&order.payments))?;
        map.serialize_entry("refunds", &Json(&order.refunds))?;
        map.end()
    }
}

impl Serialize for Json<'_, OrderLine> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(5))?;
        map.serialize_entry("sku", self.0.sku.as_str())?;
        map.serialize_entry("quantity", &self.0.quantity)?;
        map.serialize_entry("unit_price_minor", &self.0.unit_price_minor)?;
        map.serialize_entry("shipped", &self.0.shipped)?;
        map.serialize_entry("returned", &self.0.returned)?;
        map.end()
    }
}

impl Serialize for Json<'_, Payment> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("payment_id", &Json(&self.0.payment_id))?;
        map.serialize_entry("amount_minor", &self.0.amount_minor)?;
        map.serialize_entry("method", &self.0.method)?;
        map.serialize_entry("status", self.0.status.as_str())?;
        entry_if_some(&mut map, "reference", self.0.reference.as_ref())?;
        map.end()
    }
}

impl Serialize for Json<'_, Refund> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("refund_id", &Json(&self.0.refund_id))?;
        map.serialize_entry("amount_minor", &self.0.amount_minor)?;
        map.serialize_entry("status", self.0.status.as_str())?;
        map.end()
    }
}

impl FromJson for Order {
    fn read(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(value, at, faults)?;
        let schema = fields.required_with("schema", |value, at, faults| {
            let schema = i64::read(value, at, faults)?;
            if schema != SCHEMA {
                faults.add(
                    at,
                    INVALID_VALUE,
                    format!("Must be {SCHEMA}, not {schema}."),
                );
            }
            (schema == SCHEMA).then_some(())
        });
        // Another schema's fields are its own: naming each as unknown would bury the one fault that counts.
        schema?;
        let order_id = fields.required("order_id");
        let version = fields.required("version");
        let status = fields.required("status");
        let hold = fields.optional("hold");
        let customer_id = fields.required("customer_id");
        let currency = fields.required("currency");
        let lines = fields.required("lines");
        let note = fields.optional("note");
        let address = fields.optional("address");
        let annotations = fields.required("annotations");
        let payments = fields.required("payments");
        let refunds = fields.required("refunds");
        fields.close();
        Some(Self {
            order_id: order_id?,
            version: version?,
            status: status?,
            hold: hold?,
            customer_id: customer_id?,
            currency: currency?,
            lines: lines?,
            note: note?,
            address: address?,
            annotations: annotations?,
            payments: payments?,
            refunds: refunds?,
        })
    }
}

impl FromJson for OrderLine {
    fn read(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(value, at, faults)?;
        let sku = fields.required("sku");
        let quantity = fields.required("quantity");
        let unit_price_minor = fields.required("unit_price_minor");
        let shipped = fields.required("shipped");
        let returned = fields.required("returned");
        fields.close();
        Some(Self {
            sku: sku?,
            quantity: quantity?,
            unit_price_minor: unit_price_minor?,
            shipped: shipped?,
            returned: returned?,
        })
    }
}

impl FromJson for Payment {
    fn read(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(value, at, faults)?;
        let payment_id = fields.required("payment_id");
        let amount_minor = fields.required("amount_minor");
        let method = fields.required("method");
        let status = fields.required_with("status", |value, at, faults| {
            text(
                value,
                at,
                faults,
                "the status of a payment",
                PaymentStatus::parse,
            )
        });
        let reference = fields.optional("reference");
        fields.close();
        Some(Self {
            payment_id: payment_id?,
            amount_minor: amount_minor?,
            method: method?,
            status: status?,
            reference: reference?,
        })
    }
}

impl FromJson for Refund {
    fn read(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(value, at, faults)?;
        let refund_id = fields.required("refund_id");
        let amount_minor = fields.required("amount_minor");
        let status = fields.required_with("status", |value, at, faults| {
            text(
                value,
                at,
                faults,
                "the status of a refund",
                RefundStatus::parse,
            )
        });
        fields.close();
        Some(Self {
            refund_id: refund_id?,
            amount_minor: amount_minor?,
            status: status?,
        })
    }
}
