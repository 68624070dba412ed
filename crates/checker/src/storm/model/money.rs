//! The money of an order: what is asked of the payment company, and what its answers do. Never more goes back than came.

use super::{Model, Status, amount, equal, text};
use crate::storm::history::{Event, Money};

/// Payments and refunds, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    payments: Vec<Payment>,
    refunds: Vec<Refund>,
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

impl Ledger {
    pub(super) fn money(&self) -> Money {
        let captured = self
            .payments
            .iter()
            .filter(|it| it.state == Charge::Captured);
        let of = |state: Payback| {
            let refunds = self.refunds.iter().filter(|it| it.state == state);
            refunds.map(|it| it.amount).sum()
        };
        Money {
            captured: captured.map(|it| it.amount).sum(),
            refunded: of(Payback::Done),
            pending: of(Payback::Pending),
        }
    }

    /// Captured, and neither paid back nor about to be.
    pub(super) fn refundable(&self) -> i64 {
        let money = self.money();
        money.captured - money.refunded - money.pending
    }

    /// Whether the payment company owes no answer.
    pub(super) fn is_settled(&self) -> bool {
        let pending = |it: &Refund| it.state == Payback::Pending;
        self.open_payment().is_none() && !self.refunds.iter().any(pending)
    }

    fn open_payment(&self) -> Option<&Payment> {
        let open = |it: &&Payment| matches!(it.state, Charge::Requested | Charge::Authorized);
        self.payments.iter().find(open)
    }

    fn owe(&mut self, id: String, amount: i64) {
        self.refunds.push(Refund {
            id,
            amount,
            state: Payback::Pending,
        });
    }
}

impl Model {
    pub(super) fn pay(&mut self, event: &Event) -> Result<(), String> {
        let payment = Payment {
            id: event.command_id.to_string(),
            amount: self.total(),
            state: Charge::Requested,
        };
        equal("payment_id", &text(event, "payment_id")?, &payment.id)?;
        let asked = amount(&event.data, "amount_minor")?;
        equal("amount_minor", &asked, &payment.amount)?;
        self.ledger.payments.push(payment);
        self.status = Status::PaymentPending;
        Ok(())
    }

    pub(super) fn cancel(&mut self, event: &Event) -> Result<(), String> {
        let refundable = self.ledger.refundable();
        let effect = match self.ledger.open_payment() {
            Some(_) => Some("void"),
            None => (refundable > 0).then_some("refund"),
        };
        self.effect(event, effect, refundable)?;
        self.status = Status::Cancelled;
        // Nothing is left that could wait for a release.
        self.held = false;
        Ok(())
    }

    pub(super) fn refund(&mut self, event: &Event) -> Result<(), String> {
        let asked = amount(&event.data, "amount_minor")?;
        let refundable = self.ledger.refundable();
        if asked > refundable {
            return Err(format!(
                "{asked} is to be paid back, of {refundable} that are left"
            ));
        }
        let id = event.command_id.to_string();
        equal("refund_id", &text(event, "refund_id")?, &id)?;
        self.ledger.owe(id, asked);
        Ok(())
    }

    /// What the payment company says of a payment or refund that was asked for.
    pub(super) fn answered(&mut self, event: &Event) -> Result<(), String> {
        match event.name.as_str() {
            "payment_authorized" => self.charged(event, Charge::Authorized),
            "payment_captured" => self.charged(event, Charge::Captured),
            "payment_declined" => self.charged(event, Charge::Declined),
            "refund_completed" => self.paid_back(event, Payback::Done),
            "refund_failed" => self.paid_back(event, Payback::Failed),
            other => Err(format!("{other} is none of a storm's events")),
        }
    }

    fn paid_back(&mut self, event: &Event, payback: Payback) -> Result<(), String> {
        let id = text(event, "refund_id")?;
        let refund = self.ledger.refunds.iter_mut().find(|it| it.id == id);
        let refund = refund.ok_or_else(|| format!("there is no refund {id}"))?;
        if refund.state != Payback::Pending {
            return Err(format!("the refund {id} was answered before"));
        }
        refund.state = payback;
        let says = amount(&event.data, "amount_minor")?;
        equal("amount_minor", &says, &refund.amount)
    }

    fn charged(&mut self, event: &Event, charge: Charge) -> Result<(), String> {
        let id = text(event, "payment_id")?;
        let payment = self.ledger.payments.iter_mut().find(|it| it.id == id);
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
            let says = amount(&event.data, "amount_minor")?;
            equal("amount_minor", &says, &asked)?;
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
            let says = amount(effect, "amount_minor")?;
            equal("effect's amount", &says, &refundable)?;
            self.ledger.owe(event.command_id.to_string(), refundable);
        }
        Ok(())
    }
}
