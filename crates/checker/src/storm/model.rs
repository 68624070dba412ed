//! An order as its description says it behaves, written a second time and small: what a storm's commands and the payment
//! company's answers do to it. Knows nothing of crate domain.

use std::collections::BTreeMap;

use serde_json::Value;

mod goods;
mod money;

pub(super) use goods::{lines, parts};

use super::history::{Action, Event, Goods, Kind, Money};
use money::Ledger;

/// An order after some of its events.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) version: u64,
    pub(super) status: Status,
    pub(super) held: bool,
    pub(super) annotations: BTreeMap<String, String>,
    /// Who receives it.
    pub(super) recipient: Option<String>,
    pub(super) lines: Vec<Goods>,
    ledger: Ledger,
}

/// Where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Placed,
    PaymentPending,
    Paid,
    PartiallyShipped,
    Shipped,
    Delivered,
    Cancelled,
    Returned,
}

impl Status {
    pub(super) fn as_str(self) -> &'static str {
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
}

/// The code with which a command must be rejected, or none if it is legal. Stock is not looked at.
pub(super) fn refusal(
    order: Option<&Model>,
    action: &Action,
    expected_version: Option<u64>,
) -> Option<&'static str> {
    illegal(order, action.kind(), expected_version).or_else(|| order?.excess(action))
}

/// The same without a look at amounts and quantities.
fn illegal(
    order: Option<&Model>,
    kind: Kind,
    expected_version: Option<u64>,
) -> Option<&'static str> {
    use Status::{
        Cancelled, Delivered, Paid, PartiallyShipped, PaymentPending, Placed, Returned, Shipped,
    };
    let Some(order) = order else {
        return (kind != Kind::Place).then_some("order_not_found");
    };
    if kind == Kind::Place {
        return Some("order_exists");
    }
    if expected_version.is_some_and(|expected| expected != order.version) {
        return Some("version_conflict");
    }
    let waits_for_release = matches!(
        kind,
        Kind::Amend | Kind::Pay | Kind::Ship | Kind::Deliver | Kind::Refund | Kind::Return
    );
    if order.held && waits_for_release {
        return Some("order_held");
    }
    let is_final = matches!(order.status, Cancelled | Returned);
    let legal = match kind {
        Kind::Place => false,
        Kind::Amend | Kind::Pay => order.status == Placed,
        Kind::SetAddress => matches!(
            order.status,
            Placed | PaymentPending | Paid | PartiallyShipped
        ),
        Kind::Annotate => !is_final,
        Kind::Hold => !is_final && !order.held,
        Kind::Release => !is_final && order.held,
        Kind::Ship => matches!(order.status, Paid | PartiallyShipped),
        Kind::Deliver => order.status == Shipped,
        Kind::Cancel => matches!(order.status, Placed | PaymentPending | Paid),
        Kind::Refund => matches!(
            order.status,
            Paid | PartiallyShipped | Shipped | Delivered | Returned
        ),
        Kind::Return => matches!(order.status, Shipped | Delivered),
    };
    (!legal).then_some("illegal_transition")
}

impl Model {
    /// The order after `event`.
    ///
    /// # Errors
    /// With what is wrong, if the event is not possible there or says something else than follows.
    pub(super) fn after(before: Option<Self>, event: &Event) -> Result<Self, String> {
        let kind = Kind::of_event(&event.name);
        if let Some(kind) = kind
            && let Some(code) = illegal(before.as_ref(), kind, None)
        {
            return Err(format!("{} was not possible: {code}", kind.as_str()));
        }
        let mut order = match before {
            Some(before) => before,
            None if kind == Some(Kind::Place) => Self::placed(event)?,
            None => return Err(format!("{} before it was placed", event.name)),
        };
        match kind {
            Some(kind) => order.commanded(kind, event)?,
            None => order.answered(event)?,
        }
        order.version += 1;
        let says = (event.data["status"].as_str(), event.data["held"].as_bool());
        let follows = (Some(order.status.as_str()), Some(order.held));
        if says != follows {
            return Err(format!(
                "it says status and held are {says:?}, but {follows:?} follows"
            ));
        }
        Ok(order)
    }

    /// Whether the payment company owes no answer.
    pub(super) fn is_settled(&self) -> bool {
        self.ledger.is_settled()
    }

    /// Taken and given back.
    pub(super) fn money(&self) -> Money {
        self.ledger.money()
    }

    fn placed(event: &Event) -> Result<Self, String> {
        Ok(Self {
            version: 0,
            status: Status::Placed,
            held: false,
            annotations: BTreeMap::new(),
            recipient: None,
            lines: goods::ordered(event)?,
            ledger: Ledger::default(),
        })
    }

    fn commanded(&mut self, kind: Kind, event: &Event) -> Result<(), String> {
        match kind {
            Kind::Place => {}
            Kind::Amend => self.lines = goods::ordered(event)?,
            Kind::SetAddress => {
                let name = event.data["address"]["name"].as_str();
                self.recipient = Some(name.ok_or("it has no address")?.to_owned());
            }
            Kind::Annotate => {
                let (key, value) = (text(event, "key")?, text(event, "value")?);
                self.annotations.insert(key, value);
            }
            Kind::Hold => self.held = true,
            Kind::Release => self.held = false,
            Kind::Pay => self.pay(event)?,
            Kind::Ship => self.ship(event)?,
            Kind::Deliver => self.status = Status::Delivered,
            Kind::Cancel => self.cancel(event)?,
            Kind::Refund => self.refund(event)?,
            Kind::Return => self.take_back(event)?,
        }
        Ok(())
    }

    /// The code for a command that asks for more than there is.
    fn excess(&self, action: &Action) -> Option<&'static str> {
        let (fits, code) = match action {
            Action::Ship { parts } => (self.has_left(parts, Goods::unshipped), "invalid_quantity"),
            Action::Return { parts } => {
                (self.has_left(parts, Goods::returnable), "invalid_quantity")
            }
            Action::Refund { amount_minor } => {
                (*amount_minor <= self.ledger.refundable(), "invalid_amount")
            }
            _ => return None,
        };
        (!fits).then_some(code)
    }
}

fn text(event: &Event, member: &str) -> Result<String, String> {
    let text = event.data[member].as_str();
    text.map(str::to_owned)
        .ok_or_else(|| format!("it has no {member}"))
}

fn amount(data: &Value, member: &str) -> Result<i64, String> {
    data[member]
        .as_i64()
        .ok_or_else(|| format!("it has no {member}"))
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, says: &T, follows: &T) -> Result<(), String> {
    if says == follows {
        return Ok(());
    }
    Err(format!("its {what} is {says:?}, but {follows:?} follows"))
}
