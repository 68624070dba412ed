//! What an order is now: the fold of its events.

use std::collections::BTreeMap;

use crate::{
    Address, Currency, OrderId, Payment, PaymentId, PaymentStatus, Refund, RefundId, RefundStatus,
    Sku, Version,
};

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Accepted, stock reserved, not paid.
    Placed,
    /// The gateway was asked.
    PaymentPending,
    /// Captured, or nothing to pay.
    Paid,
    /// Some goods left.
    PartiallyShipped,
    /// All goods left.
    Shipped,
    /// All goods arrived.
    Delivered,
    /// Given up before shipment. Final.
    Cancelled,
    /// All goods came back. Final.
    Returned,
}

impl Status {
    /// Every status, in the order of an order's life.
    pub const ALL: [Self; 8] = [
        Self::Placed,
        Self::PaymentPending,
        Self::Paid,
        Self::PartiallyShipped,
        Self::Shipped,
        Self::Delivered,
        Self::Cancelled,
        Self::Returned,
    ];

    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Placed => "placed",
            Self::PaymentPending => "payment_pending",
            Self::Paid => "paid",
            Self::PartiallyShipped => "partially_shipped",
            Self::Shipped => "shipped",
            Self::Delivered => "delivered",
            Self::Cancelled => "cancelled",
            Self::Returned => "returned",
        }
    }

    /// The status with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Whether no command can lead out of it. Gateway results still arrive.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Cancelled | Self::Returned)
    }
}

/// One order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its id.
    pub order_id: OrderId,
    /// Number of applied commands.
    pub version: Version,
    /// Where it stands.
    pub status: Status,
    /// Why it is held, if it is.
    pub hold: Option<String>,
    /// The shop's own id of the customer.
    pub customer_id: String,
    /// Of all its amounts.
    pub currency: Currency,
    /// Its lines, number 1 first.
    pub lines: Vec<OrderLine>,
    /// Free text given when it was placed.
    pub note: Option<String>,
    /// Where to.
    pub address: Option<Address>,
    /// Notes by key.
    pub annotations: BTreeMap<String, String>,
    /// Every payment asked for, oldest first.
    pub payments: Vec<Payment>,
    /// Every refund asked for, oldest first.
    pub refunds: Vec<Refund>,
}

impl Order {
    /// Whether it is held.
    #[must_use]
    pub fn held(&self) -> bool {
        self.hold.is_some()
    }

    /// The line with this number, counted from 1.
    #[must_use]
    pub fn line(&self, number: u32) -> Option<&OrderLine> {
        self.lines.get(line_index(number)?)
    }

    /// The SKUs of its lines, as often as lines name them.
    pub fn skus(&self) -> impl Iterator<Item = &Sku> {
        self.lines.iter().map(|line| &line.sku)
    }

    /// Price of all lines, minor units.
    #[must_use]
    pub fn total_minor(&self) -> i64 {
        sum(self
            .lines
            .iter()
            .map(|line| line.quantity.saturating_mul(line.unit_price_minor)))
    }

    /// What the gateway took, minor units.
    #[must_use]
    pub fn captured_minor(&self) -> i64 {
        let captured = self
            .payments
            .iter()
            .filter(|p| p.status == PaymentStatus::Captured);
        sum(captured.map(|payment| payment.amount_minor))
    }

    /// What was paid back, minor units.
    #[must_use]
    pub fn refunded_minor(&self) -> i64 {
        self.refunds_minor(RefundStatus::Refunded)
    }

    /// What the gateway was asked to pay back and has not answered, minor units.
    #[must_use]
    pub fn refund_pending_minor(&self) -> i64 {
        self.refunds_minor(RefundStatus::Pending)
    }

    /// What can still be paid back: captured − refunded − pending, minor units.
    #[must_use]
    pub fn refundable_minor(&self) -> i64 {
        self.captured_minor()
            .saturating_sub(self.refunded_minor())
            .saturating_sub(self.refund_pending_minor())
    }

    /// The payment with this id.
    #[must_use]
    pub fn payment(&self, payment_id: PaymentId) -> Option<&Payment> {
        self.payments
            .iter()
            .find(|payment| payment.payment_id == payment_id)
    }

    /// The payment that the gateway still has to answer for good. There is one at most: `pay` needs the one before
    /// to be declined.
    #[must_use]
    pub fn open_payment(&self) -> Option<&Payment> {
        self.payments
            .iter()
            .find(|payment| !payment.status.is_final())
    }

    /// The payment that was captured. There is one at most: a captured order cannot be paid again.
    #[must_use]
    pub fn captured_payment(&self) -> Option<&Payment> {
        self.payments
            .iter()
            .find(|payment| payment.status == PaymentStatus::Captured)
    }

    /// The refund with this id.
    #[must_use]
    pub fn refund(&self, refund_id: RefundId) -> Option<&Refund> {
        self.refunds
            .iter()
            .find(|refund| refund.refund_id == refund_id)
    }

    fn refunds_minor(&self, status: RefundStatus) -> i64 {
        let refunds = self.refunds.iter().filter(|refund| refund.status == status);
        sum(refunds.map(|refund| refund.amount_minor))
    }
}

/// Saturates: `decide` keeps every sum within [`crate::MAX_AMOUNT_MINOR`], and a reader of damaged state must not panic.
fn sum(amounts: impl Iterator<Item = i64>) -> i64 {
    amounts.fold(0, i64::saturating_add)
}

/// Where the line with this number stands in a list of lines.
pub(crate) fn line_index(number: u32) -> Option<usize> {
    usize::try_from(number.checked_sub(1)?).ok()
}

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderLine {
    /// What.
    pub sku: Sku,
    /// How many were ordered.
    pub quantity: i64,
    /// Price of one, minor units.
    pub unit_price_minor: i64,
    /// How many left, never more than ordered.
    pub shipped: i64,
    /// How many came back, never more than shipped.
    pub returned: i64,
}

impl OrderLine {
    /// Ordered and not shipped. In an order that is not cancelled this is reserved.
    #[must_use]
    pub fn unshipped(&self) -> i64 {
        self.quantity.saturating_sub(self.shipped)
    }

    /// Shipped and not returned.
    #[must_use]
    pub fn returnable(&self) -> i64 {
        self.shipped.saturating_sub(self.returned)
    }
}
