//! Random commands. Half follow the life of an order, so that all its states are reached; half are anything at all.

use orderly_domain::{
    Action, Command, LineQuantity, NewLine, Order, OrderLine, PaymentId, PaymentResult, RefundId,
    RefundResult, Status, Version,
};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;
use uuid::Uuid;

use super::world::{ORDERS, SKUS, World};
use crate::scenario::{
    amend, annotate, cancel, hold, new_line, pay, place, record_payment, record_refund, refund,
    return_lines, set_address, ship, ship_all,
};

/// A command as far as it can be drawn without knowing the order it meets.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    order: usize,
    /// 0 expects the right version, another number one that is off by it.
    version: Option<u64>,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    /// What comes next in the life of an order; of goods, one piece or all.
    Advance {
        one_piece: bool,
    },
    Place(Vec<NewLine>),
    Amend(Vec<NewLine>),
    SetAddress,
    Annotate(u8),
    Hold,
    Release,
    Pay,
    /// Of the last payment or of an unknown one; with the amount asked for, or off by one.
    RecordPayment {
        known: bool,
        result: PaymentResult,
        exact: bool,
    },
    Ship(Option<Vec<LineQuantity>>),
    Deliver,
    Cancel,
    /// Percent of what can be refunded.
    Refund(i64),
    RecordRefund {
        known: bool,
        result: RefundResult,
    },
    /// None is all that can come back.
    Return(Option<Vec<LineQuantity>>),
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let version = prop_oneof![8 => Just(None), 2 => (0..3_u64).prop_map(Some)];
    let advance = any::<bool>().prop_map(|one_piece| What::Advance { one_piece });
    let what = prop_oneof![1 => advance, 1 => anything()];
    (0..ORDERS, version, what).prop_map(|(order, version, what)| Step {
        order,
        version,
        what,
    })
}

fn anything() -> impl Strategy<Value = What> {
    let payment_result = || {
        select(vec![
            PaymentResult::Authorized,
            PaymentResult::Captured,
            PaymentResult::Declined,
        ])
    };
    let refund_result = || select(vec![RefundResult::Refunded, RefundResult::Failed]);
    prop_oneof![
        2 => new_lines().prop_map(What::Place),
        3 => new_lines().prop_map(What::Amend),
        1 => Just(What::SetAddress),
        1 => (0..4_u8).prop_map(What::Annotate),
        2 => Just(What::Hold),
        4 => Just(What::Release),
        1 => Just(What::Pay),
        3 => (any::<bool>(), payment_result(), any::<bool>())
            .prop_map(|(known, result, exact)| What::RecordPayment { known, result, exact }),
        3 => proptest::option::of(line_quantities()).prop_map(What::Ship),
        1 => Just(What::Deliver),
        1 => Just(What::Cancel),
        2 => select(vec![-1, 0, 30, 100, 101]).prop_map(What::Refund),
        2 => (any::<bool>(), refund_result())
            .prop_map(|(known, result)| What::RecordRefund { known, result }),
        2 => proptest::option::of(line_quantities()).prop_map(What::Return),
    ]
}

fn new_lines() -> impl Strategy<Value = Vec<NewLine>> {
    let name = prop_oneof![20 => select(SKUS.to_vec()), 1 => Just("unicorn")];
    let quantity = prop_oneof![20 => 1..9_i64, 1 => -1..1_i64];
    let price = prop_oneof![20 => 0..4_i64, 1 => -1..0_i64];
    let line = (name, quantity, price).prop_map(|(name, n, price)| new_line(name, n, price));
    vec(line, 0..4)
}

fn line_quantities() -> impl Strategy<Value = Vec<LineQuantity>> {
    let line = (0..4_u32, 0..5_i64).prop_map(|(line, quantity)| LineQuantity { line, quantity });
    vec(line, 0..3)
}

impl Step {
    pub(crate) fn command(&self, world: &World) -> (usize, Command) {
        let order = world.order(self.order);
        let version = order.map_or(0, |order| order.version.0);
        let expected = self.version.map(|off| Version(version + off));
        world.command(self.order, expected, self.what.action(order))
    }
}

impl What {
    fn action(&self, order: Option<&Order>) -> Action {
        match self {
            Self::Advance { one_piece } => next_in_life(order, *one_piece),
            Self::Place(lines) => place(lines),
            Self::Amend(lines) => amend(lines),
            Self::SetAddress => set_address(),
            // One key in four is refused: it is empty.
            Self::Annotate(key) => annotate(&"k".repeat(usize::from(*key)), "value"),
            Self::Hold => hold(),
            Self::Release => Action::Release,
            Self::Pay => pay(),
            Self::RecordPayment {
                known,
                result,
                exact,
            } => {
                let payment = order
                    .and_then(|order| order.payments.last())
                    .filter(|_| *known);
                let id = payment.map_or(PaymentId(Uuid::nil()), |payment| payment.payment_id);
                let amount = payment.map_or(0, |payment| payment.amount_minor);
                record_payment(id.0.as_u128(), *result, amount + i64::from(!*exact))
            }
            Self::Ship(None) => ship_all(),
            Self::Ship(Some(lines)) => ship(lines),
            Self::Deliver => Action::Deliver,
            Self::Cancel => cancel(),
            Self::Refund(percent) => {
                let most = order.map_or(0, Order::refundable_minor);
                refund((most * percent + 99) / 100)
            }
            Self::RecordRefund { known, result } => {
                let refund = order
                    .and_then(|order| order.refunds.last())
                    .filter(|_| *known);
                let id = refund.map_or(RefundId(Uuid::nil()), |refund| refund.refund_id);
                record_refund(id.0.as_u128(), *result)
            }
            Self::Return(Some(lines)) => return_lines(lines),
            Self::Return(None) => {
                let all = order.map(|order| left(order, OrderLine::returnable));
                return_lines(&all.unwrap_or_default())
            }
        }
    }
}

fn next_in_life(order: Option<&Order>, one_piece: bool) -> Action {
    let Some(order) = order else {
        return place(&[new_line(SKUS[0], 3, 2), new_line(SKUS[1], 2, 5)]);
    };
    match order.status {
        Status::Placed => pay(),
        Status::PaymentPending => {
            let payment = order.open_payment().unwrap();
            let id = payment.payment_id.0.as_u128();
            record_payment(id, PaymentResult::Captured, payment.amount_minor)
        }
        Status::Paid | Status::PartiallyShipped if one_piece => {
            ship(&first_piece(&left(order, OrderLine::unshipped)))
        }
        Status::Paid | Status::PartiallyShipped => ship_all(),
        Status::Shipped if !one_piece => Action::Deliver,
        Status::Shipped => return_lines(&first_piece(&left(order, OrderLine::returnable))),
        Status::Delivered => return_lines(&left(order, OrderLine::returnable)),
        Status::Cancelled | Status::Returned => refund(order.refundable_minor()),
    }
}

fn left(order: &Order, of: fn(&OrderLine) -> i64) -> Vec<LineQuantity> {
    let lines = (1..).zip(&order.lines);
    let left = lines.map(|(line, ordered)| LineQuantity {
        line,
        quantity: of(ordered),
    });
    left.filter(|line| line.quantity > 0).collect()
}

fn first_piece(lines: &[LineQuantity]) -> Vec<LineQuantity> {
    lines
        .iter()
        .take(1)
        .map(|first| LineQuantity {
            quantity: 1,
            ..*first
        })
        .collect()
}
