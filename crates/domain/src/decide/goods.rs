//! Goods that leave and come back: never more than a line has left to ship or to return.

use crate::{Event, Fault, LineQuantity, Order, OrderLine, Rejection, RejectionCode, Return, Ship};

pub(super) fn ship(order: &Order, ship: &Ship, mut faults: Vec<Fault>) -> Result<Event, Rejection> {
    let lines = match &ship.lines {
        Some(lines) => {
            faults.extend(excess(order, lines, "to be shipped", OrderLine::unshipped));
            in_line_order(lines)
        }
        None => remaining(order),
    };
    Rejection::unless_none(order.version, faults)?;

    Ok(Event::Shipped {
        lines,
        carrier: ship.carrier.clone(),
        tracking: ship.tracking.clone(),
    })
}

pub(super) fn take_back(
    order: &Order,
    goods: &Return,
    mut faults: Vec<Fault>,
) -> Result<Event, Rejection> {
    faults.extend(excess(
        order,
        &goods.lines,
        "to be returned",
        OrderLine::returnable,
    ));
    Rejection::unless_none(order.version, faults)?;

    Ok(Event::Returned {
        lines: in_line_order(&goods.lines),
    })
}

/// A fault for each line that the order does not have, or has less left of than asked for.
fn excess(
    order: &Order,
    lines: &[LineQuantity],
    what: &str,
    left: fn(&OrderLine) -> i64,
) -> Vec<Fault> {
    let fault = |(i, asked): (usize, &LineQuantity)| {
        let number = asked.line;
        let Some(line) = order.line(number) else {
            let detail = format!(
                "The order has {} lines, no line {number}.",
                order.lines.len()
            );
            let pointer = format!("/lines/{i}/line");
            return Some(Fault::new(pointer, RejectionCode::InvalidQuantity, detail));
        };
        let (quantity, left) = (asked.quantity, left(line));
        if quantity <= left {
            return None;
        }
        let detail = format!(
            "Line {number} ({}) has {left} left {what}, not {quantity}.",
            line.sku
        );
        let pointer = format!("/lines/{i}/quantity");
        Some(Fault::new(pointer, RejectionCode::InvalidQuantity, detail))
    };
    lines.iter().enumerate().filter_map(fault).collect()
}

fn in_line_order(lines: &[LineQuantity]) -> Vec<LineQuantity> {
    let mut lines = lines.to_vec();
    lines.sort_by_key(|line| line.line);
    lines
}

fn remaining(order: &Order) -> Vec<LineQuantity> {
    let lines = (1..).zip(&order.lines);
    let left = lines.map(|(line, ordered)| LineQuantity {
        line,
        quantity: ordered.unshipped(),
    });
    left.filter(|line| line.quantity > 0).collect()
}
