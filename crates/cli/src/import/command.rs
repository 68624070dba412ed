//! The commands of a planned order: where they go, under which key, with what. From the plan alone.

use serde_json::{Value, json};

use super::plan::{PlannedOrder, PlannedReturn};
use crate::client::Call;

/// What is done to an order, in this order; `return` once per C invoice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Place,
    Pay,
    Ship,
    Deliver,
    Return,
}

impl Step {
    pub(crate) const ALL: [Self; 5] = [
        Self::Place,
        Self::Pay,
        Self::Ship,
        Self::Deliver,
        Self::Return,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Place => "place",
            Self::Pay => "pay",
            Self::Ship => "ship",
            Self::Deliver => "deliver",
            Self::Return => "return",
        }
    }
}

/// One command, ready to be sent any number of times.
#[derive(Debug)]
pub(crate) struct PlannedCommand {
    pub(crate) step: Step,
    path: String,
    key: String,
    body: Value,
}

impl PlannedCommand {
    /// The first four steps of an order, then its returns.
    pub(crate) fn all_of(order: &PlannedOrder) -> Vec<Self> {
        let main = [place(order), pay(order), ship(order), deliver(order)];
        main.into_iter()
            .chain(
                order
                    .returns
                    .iter()
                    .map(|planned| give_back(order, planned)),
            )
            .collect()
    }

    /// The call that sends it and waits for the outcome.
    pub(crate) fn call(&self) -> Call<'_> {
        let call = match self.step {
            Step::Place => Call::put(&self.path, &self.body),
            _ => Call::post(&self.path, &self.body),
        };
        call.key(&self.key).wait(WAIT_SECONDS)
    }
}

/// The longest wait the server grants: an import has nothing better to do with the connection.
const WAIT_SECONDS: u32 = 30;

fn place(order: &PlannedOrder) -> PlannedCommand {
    let lines = order.lines.iter().map(
        |line| json!({"sku": line.sku, "quantity": line.quantity, "unit_price_minor": line.unit_price_minor}),
    );
    PlannedCommand {
        step: Step::Place,
        path: format!("/v1/orders/{}", order.order_id),
        key: format!("retail/{}/place", order.invoice),
        body: json!({
            "customer_id": order.customer_id,
            "currency": "GBP",
            "lines": lines.collect::<Vec<_>>(),
            "note": order.note,
        }),
    }
}

fn pay(order: &PlannedOrder) -> PlannedCommand {
    command(
        order,
        Step::Pay,
        &order.invoice,
        "pay",
        &json!({"method": "card"}),
    )
}

fn ship(order: &PlannedOrder) -> PlannedCommand {
    command(
        order,
        Step::Ship,
        &order.invoice,
        "ship",
        &json!({"carrier": "royal-mail", "tracking": order.invoice}),
    )
}

fn deliver(order: &PlannedOrder) -> PlannedCommand {
    command(order, Step::Deliver, &order.invoice, "deliver", &json!({}))
}

/// A C invoice may give back to several orders: the order's invoice tells its commands apart.
fn give_back(order: &PlannedOrder, planned: &PlannedReturn) -> PlannedCommand {
    let lines = planned
        .lines
        .iter()
        .map(|(line, quantity)| json!({"line": line, "quantity": quantity}));
    let data = json!({"lines": lines.collect::<Vec<_>>()});
    command(
        order,
        Step::Return,
        &planned.invoice,
        &format!("return-{}", order.invoice),
        &data,
    )
}

fn command(
    order: &PlannedOrder,
    step: Step,
    invoice: &str,
    key_step: &str,
    data: &Value,
) -> PlannedCommand {
    PlannedCommand {
        step,
        path: format!("/v1/orders/{}/commands", order.order_id),
        key: format!("retail/{invoice}/{key_step}"),
        body: json!({"type": step.as_str(), "data": data}),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, path::Path};

    use super::PlannedCommand;
    use crate::import::{plan::Plan, retail};

    #[test]
    fn no_two_commands_of_the_sample_share_a_key() {
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/retail-sample.csv");
        let plan = Plan::of(&retail::read_file(&sample).unwrap());
        let commands: Vec<_> = plan
            .orders
            .iter()
            .flat_map(PlannedCommand::all_of)
            .collect();
        assert_eq!(
            commands.len(),
            plan.orders.len() * 4 + plan.returns().count()
        );
        let keys: HashSet<_> = commands.iter().map(|command| &command.key).collect();
        assert_eq!(keys.len(), commands.len());
    }
}
