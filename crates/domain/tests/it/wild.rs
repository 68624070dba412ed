//! Nothing panics: any command, event and number, also on a state that no command could have made.

use std::collections::BTreeMap;

use orderly_domain::{
    Action, Command, CommandId, Effect, Event, MAX_AMOUNT_MINOR, NewLine, Order, OrderLine,
    Payment, PaymentResult, PaymentStatus, Refund, RefundResult, RefundStatus, Sku, Status,
    StockLevel, StockLevels, Version, allowed_commands, decide, evolve, movements,
};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use proptest::sample::select;
use uuid::Uuid;

use crate::scenario::{
    ORDER, amend, annotate, authorized, cancel, captured, declined, given, hold, line, new_line,
    pay, payment_id, payment_requested, place, placed, record_payment, record_refund, refund,
    refund_id, refund_requested, return_lines, returned, ship, ship_all, shipped,
};

fn number() -> impl Strategy<Value = i64> {
    let edges = [
        i64::MIN,
        -1,
        0,
        1,
        1_000_000,
        MAX_AMOUNT_MINOR,
        MAX_AMOUNT_MINOR + 1,
        i64::MAX,
    ];
    prop_oneof![any::<i64>(), select(edges.to_vec()), 0..5_i64]
}

fn sku() -> impl Strategy<Value = Sku> {
    select(vec!["apple", "pear", "unicorn"]).prop_map(|name| Sku::new(name).unwrap())
}

fn text() -> impl Strategy<Value = String> {
    select(vec![
        String::new(),
        "text".to_owned(),
        "\0".to_owned(),
        "😀".repeat(3_000),
    ])
}

fn new_lines() -> impl Strategy<Value = Vec<NewLine>> {
    let line = (sku(), number(), number());
    vec(
        line.prop_map(|(sku, count, price)| new_line(sku.as_str(), count, price)),
        0..4,
    )
}

fn lines() -> impl Strategy<Value = Vec<orderly_domain::LineQuantity>> {
    let number_of_line = prop_oneof![1 => any::<u32>(), 9 => 0..3_u32];
    vec(
        (number_of_line, number()).prop_map(|(at, count)| line(at, count)),
        0..4,
    )
}

fn payment_result() -> impl Strategy<Value = PaymentResult> {
    select(vec![
        PaymentResult::Authorized,
        PaymentResult::Captured,
        PaymentResult::Declined,
    ])
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        new_lines().prop_map(|lines| place(&lines)),
        new_lines().prop_map(|lines| amend(&lines)),
        (text(), text()).prop_map(|(key, value)| annotate(&key, &value)),
        lines().prop_map(|lines| ship(&lines)),
        lines().prop_map(|lines| return_lines(&lines)),
        (0..3_u128, payment_result(), number())
            .prop_map(|(id, result, amount)| record_payment(id, result, amount)),
        number().prop_map(refund),
        (0..3_u128).prop_map(|id| record_refund(id, RefundResult::Refunded)),
        select(vec![
            hold(),
            pay(),
            ship_all(),
            cancel(),
            Action::Release,
            Action::Deliver
        ]),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        new_lines().prop_map(|lines| placed(&lines)),
        new_lines().prop_map(|lines| Event::Amended { lines }),
        lines().prop_map(|lines| shipped(&lines)),
        lines().prop_map(|lines| returned(&lines)),
        (0..3_u128, number()).prop_map(|(id, amount)| payment_requested(id, amount)),
        (0..3_u128, number()).prop_map(|(id, amount)| authorized(id, amount)),
        (0..3_u128, number()).prop_map(|(id, amount)| captured(id, amount)),
        (0..3_u128).prop_map(declined),
        (0..3_u128, number()).prop_map(|(id, amount)| refund_requested(id, 1, amount)),
        number().prop_map(|amount_minor| {
            let (refund_id, payment_id) = (refund_id(1), payment_id(1));
            let effect = Some(Effect::Refund {
                refund_id,
                payment_id,
                amount_minor,
            });
            Event::Cancelled {
                reason: String::new(),
                effect,
            }
        }),
    ]
}

fn order() -> impl Strategy<Value = Order> {
    let line = (sku(), number(), number(), number(), number());
    let line = line.prop_map(
        |(sku, quantity, unit_price_minor, shipped, returned)| OrderLine {
            sku,
            quantity,
            unit_price_minor,
            shipped,
            returned,
        },
    );
    let payment = (0..3_u128, number(), select(PaymentStatus::ALL.to_vec()));
    let payment = payment.prop_map(|(id, amount_minor, status)| Payment {
        payment_id: payment_id(id),
        amount_minor,
        method: String::new(),
        status,
        reference: None,
    });
    let refund = (0..3_u128, number(), select(RefundStatus::ALL.to_vec()));
    let refund = refund.prop_map(|(id, amount_minor, status)| Refund {
        refund_id: refund_id(id),
        amount_minor,
        status,
    });
    let hold = prop_oneof![3 => Just(None), 1 => Just(Some("held".to_owned()))];
    let version = prop_oneof![Just(u64::MAX), 1..9_u64].prop_map(Version);
    let status = select(Status::ALL.to_vec());
    (
        status,
        hold,
        version,
        vec(line, 0..4),
        vec(payment, 0..3),
        vec(refund, 0..3),
    )
        .prop_map(|(status, hold, version, lines, payments, refunds)| {
            let order = given(&[placed(&[new_line("apple", 1, 1)])]).order.unwrap();
            let annotations = BTreeMap::new();
            Order {
                status,
                hold,
                version,
                lines,
                payments,
                refunds,
                annotations,
                ..order
            }
        })
}

fn stock() -> impl Strategy<Value = StockLevels> {
    (vec((number(), number()), 2), any::<bool>()).prop_map(|(levels, loaded)| {
        let mut stock = StockLevels::default();
        for (name, (on_hand, reserved)) in ["apple", "pear"].into_iter().zip(levels) {
            stock.insert(
                Sku::new(name).unwrap(),
                Some(StockLevel { on_hand, reserved }),
            );
        }
        if loaded {
            stock.insert(Sku::new("unicorn").unwrap(), None);
        }
        stock
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_command_panics(
        order in proptest::option::of(order()),
        stock in stock(),
        action in action(),
    ) {
        let command_id = CommandId(Uuid::from_u128(7));
        let command = Command { command_id, order_id: ORDER, expected_version: None, action };
        // Any answer is good, also that a SKU was not loaded.
        drop(decide(order.as_ref(), &stock, &command));
        drop(allowed_commands(order.as_ref()));
    }

    #[test]
    fn no_event_panics(
        order in proptest::option::of(order()),
        mut stock in stock(),
        event in event(),
    ) {
        for movement in movements(order.as_ref(), &event) {
            drop(stock.apply(&movement));
        }
        drop(evolve(order.as_ref(), ORDER, &event));
    }

    #[test]
    fn no_sum_panics(order in order()) {
        // Every one of these adds, subtracts or multiplies what the state says.
        let mut sums = vec![order.total_minor(), order.captured_minor(), order.refunded_minor()];
        sums.extend([order.refund_pending_minor(), order.refundable_minor()]);
        sums.extend(order.lines.iter().flat_map(|line| [line.unshipped(), line.returnable()]));
        drop(sums);
    }

    #[test]
    fn no_stock_write_panics(on_hand in number(), reserved in number(), by in number()) {
        let level = StockLevel { on_hand, reserved };
        let written = [level.set(by), level.adjust(by), level.set(level.available())];
        for after in written.into_iter().flatten() {
            assert!(after.reserved <= after.on_hand && after.on_hand <= MAX_AMOUNT_MINOR);
        }
    }
}
