//! An order as its description says it behaves, written a second time and small: what a storm's commands and the payment
//! company's answers do to it. Knows nothing of crate domain.

use std::collections::BTreeMap;

use serde_json::Value;

use super::history::{Event, Kind, Line};

/// An order after some of its events.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) version: u64,
    pub(super) status: Status,
    pub(super) held: bool,
    pub(super) annotations: BTreeMap<String, String>,
    /// Its lines as `placed` has them.
    pub(super) lines: Vec<Line>,
    payments: Vec<Payment>,
    refunds: Vec<Refund>,
}

/// Where it stands. A storm ships whole orders and returns nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Placed,
    PaymentPending,
    Paid,
    Shipped,
    Delivered,
    Cancelled,
}

#[derive(Clone, Debug)]
struct Payment {
    id: String,
    amount: i64,
    state: Charge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Charge {
    Requested,
    Authorized,
    Captured,
    Declined,
}

#[derive(Clone, Debug)]
struct Refund {
    id: String,
    amount: i64,
    state: Payback,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Payback {
    Pending,
    Done,
    Failed,
}

impl Status {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Placed => "placed",
            Self::PaymentPending => "payment_pending",
            Self::Paid => "paid",
            Self::Shipped => "shipped",
            Self::Delivered => "delivered",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The code with which a command must be rejected, or none if it is legal. Stock is not looked at.
pub(super) fn refusal(
    order: Option<&Model>,
    kind: Kind,
    expected_version: Option<u64>,
) -> Option<&'static str> {
    use Status::{Cancelled, Paid, PaymentPending, Placed, Shipped};
    let Some(order) = order else {
        return (kind != Kind::Place).then_some("order_not_found");
    };
    if kind == Kind::Place {
        return Some("order_exists");
    }
    if expected_version.is_some_and(|expected| expected != order.version) {
        return Some("version_conflict");
    }
    if order.held && matches!(kind, Kind::Pay | Kind::Ship | Kind::Deliver) {
        return Some("order_held");
    }
    let legal = match kind {
        Kind::Place => false,
        Kind::Annotate => order.status != Cancelled,
        Kind::Hold => order.status != Cancelled && !order.held,
        Kind::Release => order.status != Cancelled && order.held,
        Kind::Pay => order.status == Placed,
        Kind::Ship => order.status == Paid,
        Kind::Deliver => order.status == Shipped,
        Kind::Cancel => matches!(order.status, Placed | PaymentPending | Paid),
    };
    (!legal).then_some("illegal_transition")
}

impl Model {
    /// The order after `event`.
    ///
    /// # Errors
    /// With what is wrong, if the event is not possible there or says something else than follows.
    pub(super) fn after(before: Option<&Self>, event: &Event) -> Result<Self, String> {
        let mut order = match (Kind::of_event(&event.name), before) {
            (Some(kind), _) => {
                if let Some(code) = refusal(before, kind, None) {
                    return Err(format!("{} was not possible: {code}", kind.as_str()));
                }
                match before {
                    None => Self::placed(event)?,
                    Some(before) => before.clone().commanded(kind, event)?,
                }
            }
            (None, Some(before)) => before.clone().answered(event)?,
            (None, None) => return Err(format!("{} before it was placed", event.name)),
        };
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
        let pending = |it: &Refund| it.state == Payback::Pending;
        self.open_payment().is_none() && !self.refunds.iter().any(pending)
    }

    fn placed(event: &Event) -> Result<Self, String> {
        let lines = event.data["lines"].as_array();
        let line = |line: &Value| {
            Some(Line {
                sku: line["sku"].as_str()?.to_owned(),
                quantity: line["quantity"].as_i64()?,
                unit_price_minor: line["unit_price_minor"].as_i64()?,
            })
        };
        let lines = lines.and_then(|lines| lines.iter().map(line).collect());
        Ok(Self {
            version: 0,
            status: Status::Placed,
            held: false,
            annotations: BTreeMap::new(),
            lines: lines.ok_or("it has no lines")?,
            payments: Vec::new(),
            refunds: Vec::new(),
        })
    }

    fn commanded(mut self, kind: Kind, event: &Event) -> Result<Self, String> {
        match kind {
            Kind::Place => unreachable!("an order that exists is not placed"),
            Kind::Annotate => {
                let (key, value) = (text(event, "key")?, text(event, "value")?);
                self.annotations.insert(key, value);
            }
            Kind::Hold => self.held = true,
            Kind::Release => self.held = false,
            Kind::Pay => {
                let payment = Payment {
                    id: event.command_id.to_string(),
                    amount: self.total(),
                    state: Charge::Requested,
                };
                equal("payment_id", &text(event, "payment_id")?, &payment.id)?;
                equal(
                    "amount_minor",
                    &amount(&event.data, "amount_minor")?,
                    &payment.amount,
                )?;
                self.payments.push(payment);
                self.status = Status::PaymentPending;
            }
            Kind::Ship => self.status = Status::Shipped,
            Kind::Deliver => self.status = Status::Delivered,
            Kind::Cancel => {
                let refundable = self.refundable();
                let effect = match self.open_payment() {
                    Some(_) => Some("void"),
                    None => (refundable > 0).then_some("refund"),
                };
                self.effect(event, effect, refundable)?;
                self.status = Status::Cancelled;
                // Nothing is left that could wait for a release.
                self.held = false;
            }
        }
        Ok(self)
    }

    /// What the payment company says of a payment or refund that was asked for.
    fn answered(mut self, event: &Event) -> Result<Self, String> {
        let (charge, payback) = match event.name.as_str() {
            "payment_authorized" => (Some(Charge::Authorized), None),
            "payment_captured" => (Some(Charge::Captured), None),
            "payment_declined" => (Some(Charge::Declined), None),
            "refund_completed" => (None, Some(Payback::Done)),
            "refund_failed" => (None, Some(Payback::Failed)),
            other => return Err(format!("{other} is none of a storm's events")),
        };
        if let Some(charge) = charge {
            self.charged(event, charge)?;
        }
        if let Some(payback) = payback {
            let id = text(event, "refund_id")?;
            let refund = self.refunds.iter_mut().find(|it| it.id == id);
            let refund = refund.ok_or_else(|| format!("there is no refund {id}"))?;
            if refund.state != Payback::Pending {
                return Err(format!("the refund {id} was answered before"));
            }
            equal(
                "amount_minor",
                &amount(&event.data, "amount_minor")?,
                &refund.amount,
            )?;
            refund.state = payback;
        }
        Ok(self)
    }

    fn charged(&mut self, event: &Event, charge: Charge) -> Result<(), String> {
        let id = text(event, "payment_id")?;
        let payment = self.payments.iter_mut().find(|it| it.id == id);
        let payment = payment.ok_or_else(|| format!("there is no payment {id}"))?;
        let open = match payment.state {
            Charge::Requested => true,
            Charge::Authorized => charge != Charge::Authorized,
            Charge::Captured | Charge::Declined => false,
        };
        if !open {
            return Err(format!("the payment {id} was {:?} before", payment.state));
        }
        let asked = payment.amount;
        payment.state = charge;
        if charge == Charge::Captured {
            equal(
                "amount_minor",
                &amount(&event.data, "amount_minor")?,
                &asked,
            )?;
        }
        let cancelled = self.status == Status::Cancelled;
        let effect = match charge {
            Charge::Authorized if cancelled => Some("void"),
            Charge::Captured if cancelled => Some("refund"),
            _ => None,
        };
        self.effect(event, effect, asked)?;
        if self.status == Status::PaymentPending {
            self.status = match charge {
                Charge::Captured => Status::Paid,
                Charge::Declined => Status::Placed,
                Charge::Requested | Charge::Authorized => Status::PaymentPending,
            };
        }
        Ok(())
    }

    /// Compares an event's effect with the one that follows, and books a refund.
    fn effect(
        &mut self,
        event: &Event,
        follows: Option<&str>,
        refundable: i64,
    ) -> Result<(), String> {
        let effect = &event.data["effect"];
        equal("effect", &effect["type"].as_str(), &follows)?;
        if follows == Some("refund") {
            equal(
                "effect's amount",
                &amount(effect, "amount_minor")?,
                &refundable,
            )?;
            self.refunds.push(Refund {
                id: event.command_id.to_string(),
                amount: refundable,
                state: Payback::Pending,
            });
        }
        Ok(())
    }

    fn total(&self) -> i64 {
        let prices = self
            .lines
            .iter()
            .map(|it| it.quantity * it.unit_price_minor);
        prices.sum()
    }

    fn open_payment(&self) -> Option<&Payment> {
        let open = |it: &&Payment| matches!(it.state, Charge::Requested | Charge::Authorized);
        self.payments.iter().find(open)
    }

    /// Captured, and neither paid back nor about to be.
    fn refundable(&self) -> i64 {
        let captured = self
            .payments
            .iter()
            .filter(|it| it.state == Charge::Captured);
        let refunds = self.refunds.iter().filter(|it| it.state != Payback::Failed);
        captured.map(|it| it.amount).sum::<i64>() - refunds.map(|it| it.amount).sum::<i64>()
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
