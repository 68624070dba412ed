//! An order as `GET /v1/orders/{id}` shows it. For readers: nothing is decided on it.

use std::collections::BTreeMap;

use orderly_domain::{Currency, Order, OrderId, PaymentId, RefundId, Version, allowed_commands};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::serde_id;
use crate::timestamp::{self, Timestamp};

/// An amount with its currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoneyResource {
    /// Minor units, as cents.
    pub amount_minor: i64,
    /// ISO 4217 code.
    pub currency: String,
}

/// An order and what can be done with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderResource {
    /// Its id.
    #[serde(with = "serde_id")]
    pub order_id: OrderId,
    /// Number of applied commands; also its `ETag`, as `"v7"`.
    #[serde(with = "serde_id::version")]
    pub version: Version,
    /// Where it stands.
    pub status: String,
    /// Whether it is held.
    pub held: bool,
    /// Why.
    pub hold_reason: Option<String>,
    /// The shop's own id of the customer.
    pub customer_id: String,
    /// Price of all lines.
    pub total: MoneyResource,
    /// Taken from the customer.
    pub captured: MoneyResource,
    /// Paid back.
    pub refunded: MoneyResource,
    /// Asked to be paid back, not answered yet.
    pub refund_pending: MoneyResource,
    /// Its lines, number 1 first.
    pub lines: Vec<LineResource>,
    /// Where to.
    pub address: Option<AddressResource>,
    /// Free text given when it was placed.
    pub note: Option<String>,
    /// Notes by key.
    pub annotations: BTreeMap<String, String>,
    /// Every payment asked for, oldest first.
    pub payments: Vec<PaymentResource>,
    /// Every refund asked for, oldest first.
    pub refunds: Vec<RefundResource>,
    /// When it was placed.
    #[serde(with = "timestamp")]
    pub created_at: Timestamp,
    /// When its last event was recorded.
    #[serde(with = "timestamp")]
    pub updated_at: Timestamp,
    /// What a producer can send now.
    pub allowed_commands: Vec<String>,
    /// Why it is not moving, if it is not.
    pub waiting: Option<Value>,
}

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineResource {
    /// Its number, from 1; `ship` and `return` name it.
    pub line: u32,
    /// What.
    pub sku: String,
    /// How many were ordered.
    pub quantity: i64,
    /// How many left.
    pub shipped: i64,
    /// How many came back.
    pub returned: i64,
    /// Price of one.
    pub unit_price: MoneyResource,
}

/// A postal address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressResource {
    /// Who receives it.
    pub name: String,
    /// Street lines.
    pub street: Vec<String>,
    /// Town.
    pub city: String,
    /// State, province or county.
    pub region: Option<String>,
    /// Postal code.
    pub postal_code: Option<String>,
    /// ISO 3166-1 alpha-2.
    pub country: String,
}

/// One payment of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentResource {
    /// Its id.
    #[serde(with = "serde_id")]
    pub payment_id: PaymentId,
    /// What was asked for.
    pub amount: MoneyResource,
    /// How.
    pub method: String,
    /// requested, authorized, captured or declined.
    pub status: String,
    /// The gateway's own id, once known.
    pub reference: Option<String>,
}

/// One refund of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundResource {
    /// Its id.
    #[serde(with = "serde_id")]
    pub refund_id: RefundId,
    /// How much.
    pub amount: MoneyResource,
    /// pending, refunded or failed.
    pub status: String,
}

impl OrderResource {
    /// `order` as of `updated_at`. `waiting` says why it is not moving, if it is not.
    #[must_use]
    pub fn new(
        order: &Order,
        created_at: Timestamp,
        updated_at: Timestamp,
        waiting: Option<Value>,
    ) -> Self {
        let money = |amount_minor| money(amount_minor, order.currency);
        Self {
            order_id: order.order_id,
            version: order.version,
            status: order.status.as_str().to_owned(),
            held: order.held(),
            hold_reason: order.hold.clone(),
            customer_id: order.customer_id.clone(),
            total: money(order.total_minor()),
            captured: money(order.captured_minor()),
            refunded: money(order.refunded_minor()),
            refund_pending: money(order.refund_pending_minor()),
            lines: lines(order),
            address: order.address.as_ref().map(AddressResource::from),
            note: order.note.clone(),
            annotations: order.annotations.clone(),
            payments: payments(order),
            refunds: refunds(order),
            created_at,
            updated_at,
            allowed_commands: allowed_commands(Some(order))
                .into_iter()
                .map(str::to_owned)
                .collect(),
            waiting,
        }
    }

    /// Its `ETag` header, as `"v7"` with the quotes.
    #[must_use]
    pub fn etag(&self) -> String {
        format!("\"v{}\"", self.version)
    }
}

fn money(amount_minor: i64, currency: Currency) -> MoneyResource {
    MoneyResource {
        amount_minor,
        currency: currency.as_str().to_owned(),
    }
}

fn lines(order: &Order) -> Vec<LineResource> {
    let numbered = (1..).zip(&order.lines);
    numbered
        .map(|(line, of)| LineResource {
            line,
            sku: of.sku.as_str().to_owned(),
            quantity: of.quantity,
            shipped: of.shipped,
            returned: of.returned,
            unit_price: money(of.unit_price_minor, order.currency),
        })
        .collect()
}

fn payments(order: &Order) -> Vec<PaymentResource> {
    let resource = |payment: &orderly_domain::Payment| PaymentResource {
        payment_id: payment.payment_id,
        amount: money(payment.amount_minor, order.currency),
        method: payment.method.clone(),
        status: payment.status.as_str().to_owned(),
        reference: payment.reference.clone(),
    };
    order.payments.iter().map(resource).collect()
}

fn refunds(order: &Order) -> Vec<RefundResource> {
    let resource = |refund: &orderly_domain::Refund| RefundResource {
        refund_id: refund.refund_id,
        amount: money(refund.amount_minor, order.currency),
        status: refund.status.as_str().to_owned(),
    };
    order.refunds.iter().map(resource).collect()
}

impl From<&orderly_domain::Address> for AddressResource {
    fn from(address: &orderly_domain::Address) -> Self {
        Self {
            name: address.name.clone(),
            street: address.street.clone(),
            city: address.city.clone(),
            region: address.region.clone(),
            postal_code: address.postal_code.clone(),
            country: address.country.clone(),
        }
    }
}
