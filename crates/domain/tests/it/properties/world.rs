//! Several orders, their logs and the stock they share, with the checks that must hold at every moment.

use std::collections::BTreeMap;

use orderly_domain::{
    Action, Command, CommandId, Decision, Event, Order, OrderId, PaymentStatus, Rejection,
    RejectionCode, Sku, Status, StockLevel, StockLevels, StockMovement, Version, allowed_commands,
    decide, evolve, movements,
};
use uuid::Uuid;

use crate::scenario::sku;

/// The SKUs that exist.
pub(crate) const SKUS: [&str; 3] = ["apple", "pear", "plum"];
/// How many orders share them.
pub(crate) const ORDERS: usize = 3;

pub(crate) struct World {
    orders: [Option<Order>; ORDERS],
    logs: [Vec<Event>; ORDERS],
    stock: StockLevels,
    on_hand_at_first: BTreeMap<Sku, i64>,
    ledger: Vec<StockMovement>,
    sent: u128,
}

/// What came of a command.
pub(crate) enum Answer {
    Applied(&'static str),
    Rejected(RejectionCode),
}

impl World {
    pub(crate) fn new(on_hand: &[i64]) -> Self {
        let on_hand_at_first: BTreeMap<_, _> = SKUS
            .iter()
            .map(|name| sku(name))
            .zip(on_hand.iter().copied())
            .collect();
        let mut stock = StockLevels::default();
        stock.insert(sku("unicorn"), None);
        for (sku, on_hand) in &on_hand_at_first {
            stock.insert(
                sku.clone(),
                Some(StockLevel {
                    on_hand: *on_hand,
                    reserved: 0,
                }),
            );
        }
        Self {
            orders: Default::default(),
            logs: Default::default(),
            stock,
            on_hand_at_first,
            ledger: Vec::new(),
            sent: 0,
        }
    }

    pub(crate) fn order(&self, index: usize) -> Option<&Order> {
        self.orders[index].as_ref()
    }

    pub(crate) fn orders(&self) -> impl Iterator<Item = &Order> {
        self.orders.iter().flatten()
    }

    /// A command with an id of its own.
    pub(crate) fn command(
        &self,
        index: usize,
        expected_version: Option<Version>,
        action: Action,
    ) -> (usize, Command) {
        let command_id = CommandId(Uuid::from_u128(1_000 + self.sent));
        (
            index,
            Command {
                command_id,
                order_id: order_id(index),
                expected_version,
                action,
            },
        )
    }

    pub(crate) fn send(&mut self, (index, command): &(usize, Command)) -> Answer {
        self.sent += 1;
        let before = self.orders[*index].clone();
        let decision = decide(before.as_ref(), &self.stock, command).unwrap();
        assert_eq!(
            decide(before.as_ref(), &self.stock, command),
            Ok(decision.clone())
        );
        match decision {
            Decision::Applied(event) => {
                check_allowed(before.as_ref(), command);
                self.happen(*index, &event);
                Answer::Applied(event.name())
            }
            Decision::Rejected(rejection) => {
                check_rejection(before.as_ref(), &rejection);
                Answer::Rejected(rejection.code)
            }
        }
    }

    fn happen(&mut self, index: usize, event: &Event) {
        let before = self.orders[index].as_ref();
        for movement in movements(before, event) {
            self.stock.apply(&movement).unwrap();
            self.ledger.push(movement);
        }
        let after = evolve(before, order_id(index), event).unwrap();
        let version = before.map_or(Version::NONE, |order| order.version);
        assert_eq!(
            after.version,
            Version(version.0 + 1),
            "versions have no gap"
        );
        self.logs[index].push(event.clone());
        self.orders[index] = Some(after);
    }

    pub(crate) fn check_books(&self) {
        for (sku, first) in &self.on_hand_at_first {
            self.check_stock(sku, *first);
        }
        self.orders().for_each(check_order);
    }

    fn check_stock(&self, sku: &Sku, first: i64) {
        let StockLevel { on_hand, reserved } = self.stock.level(sku).unwrap().unwrap();
        assert!(
            0 <= reserved && reserved <= on_hand,
            "{sku} is oversold: {reserved} of {on_hand}"
        );

        let moved = self.ledger.iter().filter(|movement| movement.sku == *sku);
        let (in_house, promised) = moved.fold((first, 0), |sum, one| {
            (sum.0 + one.on_hand, sum.1 + one.reserved)
        });
        assert_eq!(
            (on_hand, reserved),
            (in_house, promised),
            "the ledger of {sku} is the level"
        );

        let lines = |order: &&Order| order.status != Status::Cancelled;
        let lines = self.orders().filter(lines).flat_map(|order| &order.lines);
        let of_sku: Vec<_> = lines.filter(|line| line.sku == *sku).collect();
        let unshipped: i64 = of_sku.iter().map(|line| line.quantity - line.shipped).sum();
        let out: i64 = of_sku.iter().map(|line| line.shipped - line.returned).sum();
        assert_eq!(
            reserved, unshipped,
            "{sku}: reserved is what live orders wait for"
        );
        assert_eq!(on_hand + out, first, "{sku}: no piece is lost or made");
    }

    /// Every order is the fold of its log.
    pub(crate) fn check_replay(&self) {
        for (index, log) in self.logs.iter().enumerate() {
            let replayed = log.iter().fold(None, |order: Option<Order>, event| {
                Some(evolve(order.as_ref(), order_id(index), event).unwrap())
            });
            assert_eq!(replayed, self.orders[index]);
            assert_eq!(
                replayed.map_or(0, |order| order.version.0),
                log.len() as u64
            );
        }
    }
}

fn order_id(index: usize) -> OrderId {
    OrderId(Uuid::from_u128(index as u128))
}

fn check_allowed(before: Option<&Order>, command: &Command) {
    let name = command.action.name();
    if !name.starts_with("record_") {
        let allowed = allowed_commands(before);
        assert!(
            allowed.contains(&name),
            "{name} was applied, but allowed was {allowed:?}"
        );
    }
}

fn check_rejection(before: Option<&Order>, rejection: &Rejection) {
    let version = before.map_or(Version::NONE, |order| order.version);
    assert_eq!(rejection.version, version);
    assert_eq!(
        Some(rejection.code),
        rejection.faults.first().map(|fault| fault.code)
    );
    assert!(rejection.detail.starts_with(&rejection.faults[0].detail));
}

fn check_order(order: &Order) {
    for line in &order.lines {
        assert!(
            0 <= line.returned && line.returned <= line.shipped,
            "{line:?}"
        );
        assert!(line.shipped <= line.quantity, "{line:?}");
    }
    let all_shipped = order.lines.iter().all(|line| line.shipped == line.quantity);
    let all_returned = order
        .lines
        .iter()
        .all(|line| line.returned == line.quantity);
    let none_shipped = order.lines.iter().all(|line| line.shipped == 0);
    let goods_fit = match order.status {
        Status::Placed | Status::PaymentPending | Status::Paid | Status::Cancelled => none_shipped,
        Status::PartiallyShipped => !none_shipped && !all_shipped,
        Status::Shipped | Status::Delivered => all_shipped && !all_returned,
        Status::Returned => all_returned,
    };
    assert!(goods_fit, "{:?} with {:?}", order.status, order.lines);
    assert!(
        !(order.status.is_final() && order.held()),
        "a final order is not held"
    );

    let captured = order.captured_minor();
    let (refunded, pending) = (order.refunded_minor(), order.refund_pending_minor());
    assert!(
        refunded + pending <= captured,
        "{refunded} + {pending} of {captured} is paid back"
    );
    assert!(
        captured == 0 || captured == order.total_minor(),
        "what is captured is the total"
    );
    assert!(order.status != Status::Cancelled || order.refundable_minor() == 0 || failed(order));

    let open = order
        .payments
        .iter()
        .filter(|payment| !payment.status.is_final())
        .count();
    let taken = order
        .payments
        .iter()
        .filter(|p| p.status == PaymentStatus::Captured)
        .count();
    assert!(
        open + taken <= 1,
        "one payment at a time: {:?}",
        order.payments
    );
    let may_be_open = [Status::PaymentPending, Status::Cancelled].contains(&order.status);
    assert!(
        open == 0 || may_be_open,
        "an open payment in {:?}",
        order.status
    );
}

/// Whether the gateway could not pay something back.
fn failed(order: &Order) -> bool {
    order
        .refunds
        .iter()
        .any(|refund| refund.status == orderly_domain::RefundStatus::Failed)
}
