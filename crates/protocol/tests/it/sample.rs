//! One fixed value of everything that goes over the wire.

use orderly_domain::{
    Action, Address, Amend, Annotate, Cancel, CommandId, Currency, Effect, Event, Hold,
    LineQuantity, NewLine, Order, OrderId, OrderLine, Pay, Payment, PaymentId, PaymentResult,
    PaymentStatus, Place, ProducerId, RecordPayment, RecordRefund, Refund, RefundId, RefundOrder,
    RefundResult, RefundStatus, Return, SetAddress, Ship, Sku, Status, Version,
};
use orderly_protocol::{
    CommandOutcome, Envelope, Outcome, RecordedEvent, RejectionBody, Timestamp, action_data,
    event_data, fingerprint,
};
use time::macros::datetime;
use uuid::uuid;

pub(crate) const ORDER: OrderId = OrderId(uuid!("0190a5c1-2b3c-7d4e-8f50-617283940516"));
pub(crate) const COMMAND: CommandId = CommandId(uuid!("2ed6657d-e927-568b-95e1-2665a8aea6a2"));
pub(crate) const PRODUCER: ProducerId = ProducerId(uuid!("6ba7b810-9dad-11d1-80b4-00c04fd430c8"));
pub(crate) const PAYMENT: PaymentId = PaymentId(uuid!("919108f7-52d1-4320-9bac-f847db4148a8"));
pub(crate) const REFUND: RefundId = RefundId(uuid!("017f22e2-79b0-7cc3-98c4-dc0c0c07398f"));
pub(crate) const ACCEPTED: Timestamp = datetime!(2026-11-23 08:30:00.000_125 UTC);
pub(crate) const DECIDED: Timestamp = datetime!(2026-11-23 08:30:00.004_5 UTC);
pub(crate) const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

pub(crate) fn currency() -> Currency {
    Currency::new("EUR").unwrap()
}

fn sku(text: &str) -> Sku {
    Sku::new(text).unwrap()
}

fn new_lines() -> Vec<NewLine> {
    vec![
        NewLine {
            sku: sku("85123A"),
            quantity: 6,
            unit_price_minor: 255,
        },
        NewLine {
            sku: sku("TÊTE-À-TÊTE/1"),
            quantity: 1,
            unit_price_minor: 0,
        },
    ]
}

fn line_quantities() -> Vec<LineQuantity> {
    vec![
        LineQuantity {
            line: 1,
            quantity: 4,
        },
        LineQuantity {
            line: 2,
            quantity: 1,
        },
    ]
}

fn address() -> Address {
    Address {
        name: "Grace \"Amazing\" Hopper".to_owned(),
        street: vec!["1 Navy Way".to_owned(), "c/o ~UNIVAC~".to_owned()],
        city: "Arlington".to_owned(),
        region: Some("VA".to_owned()),
        postal_code: Some("22202".to_owned()),
        country: "US".to_owned(),
    }
}

fn plain_address() -> Address {
    Address {
        region: None,
        postal_code: None,
        ..address()
    }
}

/// Every command, some in two forms. The name tells them apart.
pub(crate) fn actions() -> Vec<(&'static str, Action)> {
    let place = |note: Option<&str>| {
        Action::Place(Place {
            customer_id: "17850".to_owned(),
            currency: currency(),
            lines: new_lines(),
            note: note.map(str::to_owned),
        })
    };
    let ship = |lines| {
        let (carrier, tracking) = ("Royal Mail".to_owned(), "RM123456785GB".to_owned());
        Action::Ship(Ship {
            lines,
            carrier,
            tracking,
        })
    };
    let record_payment = |result| {
        let reference = "pi_3Nq".to_owned();
        Action::RecordPayment(RecordPayment {
            payment_id: PAYMENT,
            result,
            amount_minor: 1530,
            reference,
        })
    };
    let record_refund = |result| {
        Action::RecordRefund(RecordRefund {
            refund_id: REFUND,
            result,
        })
    };
    vec![
        ("place", place(None)),
        (
            "place-note",
            place(Some("Leave it at the 🚪, please.\n\tThanks")),
        ),
        ("amend", Action::Amend(Amend { lines: new_lines() })),
        (
            "set_address",
            Action::SetAddress(SetAddress { address: address() }),
        ),
        (
            "set_address-plain",
            Action::SetAddress(SetAddress {
                address: plain_address(),
            }),
        ),
        (
            "annotate",
            Action::Annotate(Annotate {
                key: "erp/id".to_owned(),
                value: "4711".to_owned(),
            }),
        ),
        ("hold", Action::Hold(Hold { reason: reason() })),
        ("release", Action::Release),
        (
            "pay",
            Action::Pay(Pay {
                method: "card".to_owned(),
            }),
        ),
        (
            "record_payment-authorized",
            record_payment(PaymentResult::Authorized),
        ),
        (
            "record_payment-captured",
            record_payment(PaymentResult::Captured),
        ),
        (
            "record_payment-declined",
            record_payment(PaymentResult::Declined),
        ),
        ("ship", ship(None)),
        ("ship-lines", ship(Some(line_quantities()))),
        ("deliver", Action::Deliver),
        ("cancel", Action::Cancel(Cancel { reason: reason() })),
        (
            "refund",
            Action::Refund(RefundOrder {
                amount_minor: 1530,
                reason: reason(),
            }),
        ),
        (
            "record_refund-refunded",
            record_refund(RefundResult::Refunded),
        ),
        ("record_refund-failed", record_refund(RefundResult::Failed)),
        (
            "return",
            Action::Return(Return {
                lines: line_quantities(),
            }),
        ),
    ]
}

/// The envelope of a command, with every optional field unless `bare`.
pub(crate) fn envelope(action: &Action, bare: bool) -> Envelope {
    let data = action_data(action);
    let expected_version = (!bare).then_some(Version(7));
    Envelope {
        command_id: COMMAND,
        order_id: ORDER,
        action_type: action.name().to_owned(),
        data: serde_json::value::to_raw_value(&data).unwrap(),
        expected_version,
        producer: PRODUCER,
        idempotency_key: (!bare).then(|| "retail/536365/place".to_owned()),
        fingerprint: fingerprint(action.name(), Some(ORDER), &data, expected_version),
        accepted_at: ACCEPTED,
        traceparent: (!bare).then(|| TRACE.to_owned()),
        reply_to: (!bare).then(|| "orders.reply.ingress-1".to_owned()),
    }
}

/// Every event, those with an effect in every form.
pub(crate) fn events() -> Vec<(&'static str, Event)> {
    [order_events(), payment_events(), cancelled_events()].concat()
}

fn reason() -> String {
    "customer's wish".to_owned()
}

fn void() -> Effect {
    Effect::Void {
        payment_id: PAYMENT,
    }
}

fn full_refund() -> Effect {
    let refund_id = RefundId(COMMAND.0);
    Effect::Refund {
        refund_id,
        payment_id: PAYMENT,
        amount_minor: 1530,
    }
}

fn order_events() -> Vec<(&'static str, Event)> {
    let placed = |note: Option<&str>| Event::Placed {
        customer_id: "17850".to_owned(),
        currency: currency(),
        lines: new_lines(),
        note: note.map(str::to_owned),
    };
    let annotated = Event::Annotated {
        key: "erp/id".to_owned(),
        value: "4711".to_owned(),
    };
    let shipped = Event::Shipped {
        lines: line_quantities(),
        carrier: "Royal Mail".to_owned(),
        tracking: "RM123456785GB".to_owned(),
    };
    vec![
        ("placed", placed(None)),
        (
            "placed-note",
            placed(Some("Leave it at the 🚪, please.\n\tThanks")),
        ),
        ("amended", Event::Amended { lines: new_lines() }),
        ("address_set", Event::AddressSet { address: address() }),
        (
            "address_set-plain",
            Event::AddressSet {
                address: plain_address(),
            },
        ),
        ("annotated", annotated),
        ("held", Event::Held { reason: reason() }),
        ("released", Event::Released),
        ("shipped", shipped),
        ("delivered", Event::Delivered),
        (
            "returned",
            Event::Returned {
                lines: line_quantities(),
            },
        ),
    ]
}

fn payment_events() -> Vec<(&'static str, Event)> {
    let (payment_id, refund_id, amount_minor) = (PAYMENT, REFUND, 1530);
    let reference = || "pi_3Nq".to_owned();
    let method = || "card".to_owned();
    let authorized = |effect| Event::PaymentAuthorized {
        payment_id,
        amount_minor,
        reference: reference(),
        effect,
    };
    let captured = |effect| Event::PaymentCaptured {
        payment_id,
        amount_minor,
        reference: reference(),
        effect,
    };
    let requested = Event::PaymentRequested {
        payment_id,
        amount_minor,
        method: method(),
    };
    let declined = Event::PaymentDeclined {
        payment_id,
        reference: reference(),
    };
    let refund_requested = Event::RefundRequested {
        refund_id,
        payment_id,
        amount_minor,
        reason: reason(),
    };
    vec![
        ("payment_requested", requested),
        ("payment_waived", Event::PaymentWaived { method: method() }),
        ("payment_authorized", authorized(None)),
        ("payment_authorized-void", authorized(Some(void()))),
        ("payment_captured", captured(None)),
        ("payment_captured-refund", captured(Some(full_refund()))),
        ("payment_declined", declined),
        ("refund_requested", refund_requested),
        (
            "refund_completed",
            Event::RefundCompleted {
                refund_id,
                amount_minor,
            },
        ),
        (
            "refund_failed",
            Event::RefundFailed {
                refund_id,
                amount_minor,
            },
        ),
    ]
}

fn cancelled_events() -> Vec<(&'static str, Event)> {
    let cancelled = |effect| Event::Cancelled {
        reason: reason(),
        effect,
    };
    vec![
        ("cancelled", cancelled(None)),
        ("cancelled-void", cancelled(Some(void()))),
        ("cancelled-refund", cancelled(Some(full_refund()))),
    ]
}

/// A row of the event log. Its order is [`order`], whatever the event: what the header says is not derived from it.
pub(crate) fn recorded(event: &Event) -> RecordedEvent {
    RecordedEvent {
        order_id: ORDER,
        version: Version(8),
        command_id: COMMAND,
        event_type: event.name().to_owned(),
        data: event_data(&order(), event),
        recorded_at: DECIDED,
        traceparent: Some(TRACE.to_owned()),
    }
}

/// An order with something in every field.
pub(crate) fn order() -> Order {
    let payment = |status, reference: Option<&str>| Payment {
        payment_id: PAYMENT,
        amount_minor: 1530,
        method: "card".to_owned(),
        status,
        reference: reference.map(str::to_owned),
    };
    let refund = |status| Refund {
        refund_id: REFUND,
        amount_minor: 255,
        status,
    };
    Order {
        order_id: ORDER,
        version: Version(8),
        status: Status::PartiallyShipped,
        hold: Some("fraud check".to_owned()),
        customer_id: "17850".to_owned(),
        currency: currency(),
        lines: vec![
            OrderLine {
                sku: sku("85123A"),
                quantity: 6,
                unit_price_minor: 255,
                shipped: 4,
                returned: 1,
            },
            OrderLine {
                sku: sku("TÊTE-À-TÊTE/1"),
                quantity: 1,
                unit_price_minor: 0,
                shipped: 0,
                returned: 0,
            },
        ],
        note: Some("Leave it at the 🚪, please.\n\tThanks".to_owned()),
        address: Some(address()),
        annotations: [("erp/id".to_owned(), "4711".to_owned())].into(),
        payments: vec![
            payment(PaymentStatus::Requested, None),
            payment(PaymentStatus::Authorized, Some("pi_1")),
            payment(PaymentStatus::Declined, Some("pi_2")),
            payment(PaymentStatus::Captured, Some("pi_3Nq")),
        ],
        refunds: vec![
            refund(RefundStatus::Pending),
            refund(RefundStatus::Refunded),
            refund(RefundStatus::Failed),
        ],
    }
}

/// An order with nothing in every field that may be empty.
pub(crate) fn bare_order() -> Order {
    Order {
        version: Version(1),
        status: Status::Placed,
        hold: None,
        note: None,
        address: None,
        annotations: [].into(),
        payments: Vec::new(),
        refunds: Vec::new(),
        ..order()
    }
}

pub(crate) fn outcome(outcome: Outcome) -> CommandOutcome {
    let rejection = || RejectionBody {
        code: "insufficient_stock".to_owned(),
        detail: "One line asks for more than is available.".to_owned(),
        errors: vec![orderly_protocol::FieldFault {
            pointer: "/lines/0/quantity".to_owned(),
            code: "insufficient_stock".to_owned(),
            detail: "SKU 85123A has 2 available; 6 are asked for.".to_owned(),
        }],
        allowed_commands: vec!["place".to_owned()],
    };
    let applied = outcome == Outcome::Applied;
    CommandOutcome {
        command_id: COMMAND,
        order_id: ORDER,
        producer: PRODUCER,
        action_type: "place".to_owned(),
        fingerprint: envelope(&actions()[0].1, true).fingerprint,
        outcome,
        version: Version(u64::from(applied)),
        rejection: (!applied).then(rejection),
        accepted_at: ACCEPTED,
        decided_at: DECIDED,
    }
}
