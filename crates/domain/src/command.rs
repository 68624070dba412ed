//! What a producer can ask of an order. Only the shape; which values are allowed is `faults`, when is `decide`.

use crate::{ActionKind, CommandId, Currency, OrderId, PaymentId, RefundId, Sku, Version};

/// One command for one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The unit of idempotence.
    pub command_id: CommandId,
    /// The order it is for.
    pub order_id: OrderId,
    /// The version the producer saw (`If-Match`), if it insists on it.
    pub expected_version: Option<Version>,
    /// What to do.
    pub action: Action,
}

/// What a command does. Each is one event or a rejection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Create the order and reserve its stock.
    Place(Place),
    /// Replace all lines.
    Amend(Amend),
    /// Set the delivery address.
    SetAddress(SetAddress),
    /// Attach a note under a key.
    Annotate(Annotate),
    /// Stop the order until it is released.
    Hold(Hold),
    /// End a hold.
    Release,
    /// Ask for the total to be paid.
    Pay(Pay),
    /// What the payment gateway said of a payment.
    RecordPayment(RecordPayment),
    /// Send goods.
    Ship(Ship),
    /// Everything arrived.
    Deliver,
    /// Give the order up before anything was shipped.
    Cancel(Cancel),
    /// Pay money back.
    Refund(RefundOrder),
    /// What the payment gateway said of a refund.
    RecordRefund(RecordRefund),
    /// Goods came back.
    Return(Return),
}

impl Action {
    /// Which command it is.
    #[must_use]
    pub fn kind(&self) -> ActionKind {
        match self {
            Self::Place(_) => ActionKind::Place,
            Self::Amend(_) => ActionKind::Amend,
            Self::SetAddress(_) => ActionKind::SetAddress,
            Self::Annotate(_) => ActionKind::Annotate,
            Self::Hold(_) => ActionKind::Hold,
            Self::Release => ActionKind::Release,
            Self::Pay(_) => ActionKind::Pay,
            Self::RecordPayment(_) => ActionKind::RecordPayment,
            Self::Ship(_) => ActionKind::Ship,
            Self::Deliver => ActionKind::Deliver,
            Self::Cancel(_) => ActionKind::Cancel,
            Self::Refund(_) => ActionKind::Refund,
            Self::RecordRefund(_) => ActionKind::RecordRefund,
            Self::Return(_) => ActionKind::Return,
        }
    }

    /// Its name on the wire: `place`, `set_address` …
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.kind().as_str()
    }

    /// The SKUs it names, as often as it names them.
    pub fn skus(&self) -> impl Iterator<Item = &Sku> {
        let lines = match self {
            Self::Place(place) => place.lines.as_slice(),
            Self::Amend(amend) => amend.lines.as_slice(),
            _ => &[],
        };
        lines.iter().map(|line| &line.sku)
    }

    /// Whether deciding it can need the stock of the SKUs it names ([`Action::skus`]) or of those its order has
    /// ([`crate::Order::skus`]).
    #[must_use]
    pub fn touches_stock(&self) -> bool {
        matches!(
            self,
            Self::Place(_) | Self::Amend(_) | Self::Ship(_) | Self::Cancel(_) | Self::Return(_)
        )
    }
}

/// A line as a producer asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLine {
    /// What.
    pub sku: Sku,
    /// How many, 1 to 1,000,000.
    pub quantity: i64,
    /// Price of one, in minor units of the order's currency, 0 or more.
    pub unit_price_minor: i64,
}

/// Part of an order's line, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineQuantity {
    /// The line's number, from 1.
    pub line: u32,
    /// How many of it, 1 or more.
    pub quantity: i64,
}

/// Data of `place`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The shop's own id of the customer.
    pub customer_id: String,
    /// One currency for the whole order.
    pub currency: Currency,
    /// 1 to 1,000 lines, numbered by position.
    pub lines: Vec<NewLine>,
    /// Free text.
    pub note: Option<String>,
}

/// Data of `amend`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amend {
    /// All lines of the order from now on; numbers start anew.
    pub lines: Vec<NewLine>,
}

/// A postal address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Who receives it.
    pub name: String,
    /// Street lines, 1 to 4.
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

/// Data of `set_address`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAddress {
    /// Where to.
    pub address: Address,
}

/// Data of `annotate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotate {
    /// Under what.
    pub key: String,
    /// What.
    pub value: String,
}

/// Data of `hold`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Why, for people.
    pub reason: String,
}

/// Data of `pay`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pay {
    /// How, in the gateway's words.
    pub method: String,
}

/// What became of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentResult {
    /// Reserved on the customer's account.
    Authorized,
    /// Taken.
    Captured,
    /// Refused.
    Declined,
}

/// Data of `record_payment`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordPayment {
    /// Which payment.
    pub payment_id: PaymentId,
    /// What became of it.
    pub result: PaymentResult,
    /// Amount, minor units.
    pub amount_minor: i64,
    /// The gateway's own id.
    pub reference: String,
}

/// Data of `ship`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ship {
    /// What; none means all that remains.
    pub lines: Option<Vec<LineQuantity>>,
    /// Who carries it.
    pub carrier: String,
    /// The carrier's number.
    pub tracking: String,
}

/// Data of `cancel`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancel {
    /// Why, for people.
    pub reason: String,
}

/// Data of `refund`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundOrder {
    /// Amount, minor units, 1 or more.
    pub amount_minor: i64,
    /// Why, for people.
    pub reason: String,
}

/// What became of a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundResult {
    /// Paid back.
    Refunded,
    /// Did not work; the amount is free again.
    Failed,
}

/// Data of `record_refund`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordRefund {
    /// Which refund.
    pub refund_id: RefundId,
    /// What became of it.
    pub result: RefundResult,
}

/// Data of `return`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Return {
    /// What came back.
    pub lines: Vec<LineQuantity>,
}
