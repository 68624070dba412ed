//! What happened to an order. Events are the truth; everything else derives from them.

use crate::{Address, Currency, LineQuantity, NewLine, PaymentId, RefundId};

/// One fact about one order. An applied command makes exactly one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The order exists and its stock is reserved.
    Placed {
        /// The shop's own id of the customer.
        customer_id: String,
        /// Of all amounts of the order.
        currency: Currency,
        /// Numbered 1..n by position.
        lines: Vec<NewLine>,
        /// Free text.
        note: Option<String>,
    },
    /// All lines were replaced.
    Amended {
        /// Numbered 1..n by position.
        lines: Vec<NewLine>,
    },
    /// The delivery address was set.
    AddressSet {
        /// Where to.
        address: Address,
    },
    /// A note was attached.
    Annotated {
        /// Under what.
        key: String,
        /// What.
        value: String,
    },
    /// The order was stopped.
    Held {
        /// Why.
        reason: String,
    },
    /// The hold ended.
    Released,
    /// The gateway is asked for the total.
    PaymentRequested {
        /// The `pay` command's id.
        payment_id: PaymentId,
        /// The total, minor units.
        amount_minor: i64,
        /// How.
        method: String,
    },
    /// The total is 0: paid without a request.
    PaymentWaived {
        /// How it would have been paid.
        method: String,
    },
    /// The gateway reserved the money.
    PaymentAuthorized {
        /// Which payment.
        payment_id: PaymentId,
        /// Minor units.
        amount_minor: i64,
        /// The gateway's own id.
        reference: String,
        /// Void, when the order was cancelled meanwhile.
        effect: Option<Effect>,
    },
    /// The gateway took the money.
    PaymentCaptured {
        /// Which payment.
        payment_id: PaymentId,
        /// Minor units.
        amount_minor: i64,
        /// The gateway's own id.
        reference: String,
        /// Full refund, when the order was cancelled meanwhile.
        effect: Option<Effect>,
    },
    /// The gateway refused.
    PaymentDeclined {
        /// Which payment.
        payment_id: PaymentId,
        /// The gateway's own id.
        reference: String,
    },
    /// Goods left.
    Shipped {
        /// Which, each line once, in line order.
        lines: Vec<LineQuantity>,
        /// Who carries them.
        carrier: String,
        /// The carrier's number.
        tracking: String,
    },
    /// Everything arrived.
    Delivered,
    /// The order was given up; its reserved stock is free.
    Cancelled {
        /// Why.
        reason: String,
        /// What must happen to the money.
        effect: Option<Effect>,
    },
    /// The gateway is asked to pay back.
    RefundRequested {
        /// The `refund` command's id.
        refund_id: RefundId,
        /// Of which captured payment.
        payment_id: PaymentId,
        /// Minor units.
        amount_minor: i64,
        /// Why.
        reason: String,
    },
    /// The gateway paid back.
    RefundCompleted {
        /// Which refund.
        refund_id: RefundId,
        /// Minor units.
        amount_minor: i64,
    },
    /// The gateway could not pay back; the amount is free again.
    RefundFailed {
        /// Which refund.
        refund_id: RefundId,
        /// Minor units.
        amount_minor: i64,
    },
    /// Goods came back and are on hand again.
    Returned {
        /// Which, each line once, in line order.
        lines: Vec<LineQuantity>,
    },
}

impl Event {
    /// Every name, in the order in which an order can meet them.
    pub const NAMES: [&str; 18] = [
        "placed",
        "amended",
        "address_set",
        "annotated",
        "held",
        "released",
        "payment_requested",
        "payment_waived",
        "payment_authorized",
        "payment_captured",
        "payment_declined",
        "shipped",
        "delivered",
        "cancelled",
        "refund_requested",
        "refund_completed",
        "refund_failed",
        "returned",
    ];

    /// Its name: `placed`, `payment_requested` … The type on the wire is built around it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Placed { .. } => "placed",
            Self::Amended { .. } => "amended",
            Self::AddressSet { .. } => "address_set",
            Self::Annotated { .. } => "annotated",
            Self::Held { .. } => "held",
            Self::Released => "released",
            Self::PaymentRequested { .. } => "payment_requested",
            Self::PaymentWaived { .. } => "payment_waived",
            Self::PaymentAuthorized { .. } => "payment_authorized",
            Self::PaymentCaptured { .. } => "payment_captured",
            Self::PaymentDeclined { .. } => "payment_declined",
            Self::Shipped { .. } => "shipped",
            Self::Delivered => "delivered",
            Self::Cancelled { .. } => "cancelled",
            Self::RefundRequested { .. } => "refund_requested",
            Self::RefundCompleted { .. } => "refund_completed",
            Self::RefundFailed { .. } => "refund_failed",
            Self::Returned { .. } => "returned",
        }
    }

    /// What the payment gateway must do because of it, beyond what its own name says.
    #[must_use]
    pub fn effect(&self) -> Option<&Effect> {
        match self {
            Self::PaymentAuthorized { effect, .. }
            | Self::PaymentCaptured { effect, .. }
            | Self::Cancelled { effect, .. } => effect.as_ref(),
            _ => None,
        }
    }
}

/// What the payment gateway must do because of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Let go of a payment that was not captured.
    Void {
        /// Which payment.
        payment_id: PaymentId,
    },
    /// Pay back what was captured.
    Refund {
        /// The id of the command whose event carries this effect.
        refund_id: RefundId,
        /// Of which captured payment.
        payment_id: PaymentId,
        /// Minor units.
        amount_minor: i64,
    },
}
