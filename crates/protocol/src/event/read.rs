//! Rebuilds events from their data.

use orderly_domain::{Effect, Event, Status};
use serde_json::Value;

use super::{EventHeader, EventUnreadable};
use crate::field::Faults;
use crate::json::parse_json;
use crate::pointer::Pointer;
use crate::read::{Fields, FromJson, text, wrong_type};

/// The event called `event_type` (as `placed`) with this data.
///
/// # Errors
/// If no event has this name, or the data is not exactly of its form.
pub fn parse_event(event_type: &str, data: &str) -> Result<Event, EventUnreadable> {
    parse_event_data(event_type, data).map(|(_, event)| event)
}

/// The event called `event_type` with this data, and where its order stood after it.
///
/// # Errors
/// If no event has this name, or the data is not exactly of its form.
pub fn parse_event_data(
    event_type: &str,
    data: &str,
) -> Result<(EventHeader, Event), EventUnreadable> {
    let value = parse_json(data.as_bytes()).map_err(EventUnreadable::Json)?;
    let mut faults = Faults::default();
    let read = match Fields::of(&value, Pointer::Root, &mut faults) {
        None => None,
        Some(mut fields) => {
            let header = read_header(&mut fields);
            let event = read_event(event_type, header.as_ref(), &mut fields)
                .map_err(|UnknownType| EventUnreadable::UnknownType(event_type.to_owned()))?;
            fields.close();
            header.zip(event)
        }
    };
    faults.settle(read).map_err(EventUnreadable::Form)
}

struct UnknownType;

fn read_header(fields: &mut Fields<'_, '_>) -> Option<EventHeader> {
    let order_id = fields.required("order_id");
    let version = fields.required("version");
    let status = fields.required("status");
    let held = fields.required("held");
    let customer_id = fields.required("customer_id");
    let currency = fields.required("currency");
    Some(EventHeader {
        order_id: order_id?,
        version: version?,
        status: status?,
        held: held?,
        customer_id: customer_id?,
        currency: currency?,
    })
}

/// Asks for the fields of one event. What it does not ask for, the caller finds unknown.
fn read_event(
    event_type: &str,
    header: Option<&EventHeader>,
    fields: &mut Fields<'_, '_>,
) -> Result<Option<Event>, UnknownType> {
    Ok(match event_type {
        "placed" => placed(header, fields),
        "amended" => {
            fields.take("total_minor");
            fields
                .required("lines")
                .map(|lines| Event::Amended { lines })
        }
        "address_set" => fields
            .required("address")
            .map(|address| Event::AddressSet { address }),
        "annotated" => {
            let (key, value) = (fields.required("key"), fields.required("value"));
            key.zip(value)
                .map(|(key, value)| Event::Annotated { key, value })
        }
        "held" => fields
            .required("reason")
            .map(|reason| Event::Held { reason }),
        "released" => Some(Event::Released),
        "payment_requested" => payment_requested(fields),
        "payment_waived" => fields
            .required("method")
            .map(|method| Event::PaymentWaived { method }),
        "payment_authorized" => payment_taken(fields).map(|taken| Event::PaymentAuthorized {
            payment_id: taken.payment_id,
            amount_minor: taken.amount_minor,
            reference: taken.reference,
            effect: taken.effect,
        }),
        "payment_captured" => payment_taken(fields).map(|taken| Event::PaymentCaptured {
            payment_id: taken.payment_id,
            amount_minor: taken.amount_minor,
            reference: taken.reference,
            effect: taken.effect,
        }),
        "payment_declined" => {
            let (payment_id, reference) =
                (fields.required("payment_id"), fields.required("reference"));
            payment_id
                .zip(reference)
                .map(|(payment_id, reference)| Event::PaymentDeclined {
                    payment_id,
                    reference,
                })
        }
        "shipped" => shipped(fields),
        "delivered" => Some(Event::Delivered),
        "cancelled" => {
            let (reason, effect) = (fields.required("reason"), fields.optional("effect"));
            reason
                .zip(effect)
                .map(|(reason, effect)| Event::Cancelled { reason, effect })
        }
        "refund_requested" => refund_requested(fields),
        "refund_completed" => {
            let (refund_id, amount) = (
                fields.required("refund_id"),
                fields.required("amount_minor"),
            );
            refund_id
                .zip(amount)
                .map(|(refund_id, amount_minor)| Event::RefundCompleted {
                    refund_id,
                    amount_minor,
                })
        }
        "refund_failed" => {
            let (refund_id, amount) = (
                fields.required("refund_id"),
                fields.required("amount_minor"),
            );
            refund_id
                .zip(amount)
                .map(|(refund_id, amount_minor)| Event::RefundFailed {
                    refund_id,
                    amount_minor,
                })
        }
        "returned" => fields
            .required("lines")
            .map(|lines| Event::Returned { lines }),
        _ => return Err(UnknownType),
    })
}

fn placed(header: Option<&EventHeader>, fields: &mut Fields<'_, '_>) -> Option<Event> {
    // For watchers; it follows from the lines.
    fields.take("total_minor");
    let lines = fields.required("lines");
    let note = fields.optional("note");
    let header = header?;
    Some(Event::Placed {
        customer_id: header.customer_id.clone(),
        currency: header.currency,
        lines: lines?,
        note: note?,
    })
}

fn payment_requested(fields: &mut Fields<'_, '_>) -> Option<Event> {
    let payment_id = fields.required("payment_id");
    let amount_minor = fields.required("amount_minor");
    let method = fields.required("method");
    Some(Event::PaymentRequested {
        payment_id: payment_id?,
        amount_minor: amount_minor?,
        method: method?,
    })
}

/// What an authorization and a capture have in common.
struct PaymentTaken {
    payment_id: orderly_domain::PaymentId,
    amount_minor: i64,
    reference: String,
    effect: Option<Effect>,
}

fn payment_taken(fields: &mut Fields<'_, '_>) -> Option<PaymentTaken> {
    let payment_id = fields.required("payment_id");
    let amount_minor = fields.required("amount_minor");
    let reference = fields.required("reference");
    let effect = fields.optional("effect");
    Some(PaymentTaken {
        payment_id: payment_id?,
        amount_minor: amount_minor?,
        reference: reference?,
        effect: effect?,
    })
}

fn shipped(fields: &mut Fields<'_, '_>) -> Option<Event> {
    let lines = fields.required("lines");
    let carrier = fields.required("carrier");
    let tracking = fields.required("tracking");
    Some(Event::Shipped {
        lines: lines?,
        carrier: carrier?,
        tracking: tracking?,
    })
}

fn refund_requested(fields: &mut Fields<'_, '_>) -> Option<Event> {
    let refund_id = fields.required("refund_id");
    let payment_id = fields.required("payment_id");
    let amount_minor = fields.required("amount_minor");
    let reason = fields.required("reason");
    Some(Event::RefundRequested {
        refund_id: refund_id?,
        payment_id: payment_id?,
        amount_minor: amount_minor?,
        reason: reason?,
    })
}

impl FromJson for Effect {
    fn read(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(value, at, faults)?;
        let kind = fields.required_with("type", |value, at, faults| {
            text(value, at, faults, "void or refund", |text| match text {
                "void" => Some(false),
                "refund" => Some(true),
                _ => None,
            })
        });
        let payment_id = fields.required("payment_id");
        let effect = if kind? {
            let refund_id = fields.required("refund_id");
            let amount_minor = fields.required("amount_minor");
            Self::Refund {
                refund_id: refund_id?,
                payment_id: payment_id?,
                amount_minor: amount_minor?,
            }
        } else {
            Self::Void {
                payment_id: payment_id?,
            }
        };
        fields.close();
        Some(effect)
    }
}

impl FromJson for Status {
    fn read(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<Self> {
        text(value, at, faults, "the status of an order", Self::parse)
    }
}

impl FromJson for bool {
    fn read(value: &Value, at: Pointer<'_>, faults: &mut Faults) -> Option<Self> {
        let read = value.as_bool();
        if read.is_none() {
            wrong_type("a boolean", value, at, faults);
        }
        read
    }
}
