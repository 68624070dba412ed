//! The state machine as one table: every command in every state, held and not.

use orderly_domain::{
    Action, ActionKind, Event, PaymentResult, RefundResult, RejectionCode, Status, allowed_commands,
};

use crate::scenario::{
    amend, annotate, cancel, cancelled, captured, given, held, hold, line, new_line, pay,
    payment_requested, place, placed, record_payment, record_refund, refund, refund_requested,
    return_lines, returned, set_address, ship_all, shipped,
};

/// A cell is the state after the command, or the rejection: `-` `illegal_transition`, `!` `order_held`, `exists`
/// `order_exists`, `no-pay` `unknown_payment`, `no-ref` `unknown_refund`. `paid` and later have payment 1, captured,
/// and refund 2, pending; `pending` and `cancelled` have payment 1, open.
const FREE: &str = "
command         placed    pending   paid      part      shipped   delivered cancelled returned
place           exists    exists    exists    exists    exists    exists    exists    exists
amend           placed    -         -         -         -         -         -         -
set_address     placed    pending   paid      part      -         -         -         -
annotate        placed    pending   paid      part      shipped   delivered -         -
hold            placed    pending   paid      part      shipped   delivered -         -
release         -         -         -         -         -         -         -         -
pay             pending   -         -         -         -         -         -         -
record_payment  no-pay    paid      -         -         -         -         cancelled -
ship            -         -         shipped   shipped   -         -         -         -
deliver         -         -         -         -         delivered -         -         -
cancel          cancelled cancelled cancelled -         -         -         -         -
refund          -         -         paid      part      shipped   delivered -         returned
record_refund   no-ref    no-ref    paid      part      shipped   delivered no-ref    returned
return          -         -         -         -         shipped   delivered -         -
";

/// The same on a held order. No command leads to a held order in a final state.
const HELD: &str = "
command         placed    pending   paid      part      shipped   delivered
place           exists    exists    exists    exists    exists    exists
amend           !         !         !         !         !         !
set_address     placed    pending   paid      part      -         -
annotate        placed    pending   paid      part      shipped   delivered
hold            -         -         -         -         -         -
release         placed    pending   paid      part      shipped   delivered
pay             !         !         !         !         !         !
record_payment  no-pay    paid      -         -         -         -
ship            !         !         !         !         !         !
deliver         !         !         !         !         !         !
cancel          cancelled cancelled cancelled -         -         -
refund          !         !         !         !         !         !
record_refund   no-ref    no-ref    paid      part      shipped   delivered
return          !         !         !         !         !         !
";

fn status(name: &str) -> Option<Status> {
    match name {
        "pending" => Some(Status::PaymentPending),
        "part" => Some(Status::PartiallyShipped),
        name => Status::parse(name),
    }
}

fn code(cell: &str) -> RejectionCode {
    match cell {
        "-" => RejectionCode::IllegalTransition,
        "!" => RejectionCode::OrderHeld,
        "exists" => RejectionCode::OrderExists,
        "no-pay" => RejectionCode::UnknownPayment,
        "no-ref" => RejectionCode::UnknownRefund,
        cell => panic!("no such cell: {cell}"),
    }
}

/// What happened to an order in this state.
fn history(status: Status) -> Vec<Event> {
    let mut events = vec![placed(&[new_line("apple", 4, 250)])];
    if status != Status::Placed {
        events.push(payment_requested(1, 1_000));
    }
    match status {
        Status::Placed | Status::PaymentPending => return events,
        Status::Cancelled => events.push(cancelled()),
        _ => events.extend([captured(1, 1_000), refund_requested(2, 1, 400)]),
    }
    match status {
        Status::PartiallyShipped => events.push(shipped(&[line(1, 1)])),
        Status::Shipped => events.push(shipped(&[line(1, 4)])),
        Status::Delivered => events.extend([shipped(&[line(1, 4)]), Event::Delivered]),
        Status::Returned => events.extend([shipped(&[line(1, 4)]), returned(&[line(1, 4)])]),
        _ => {}
    }
    events
}

/// A command of this kind that nothing but state, hold, payments and refunds can stand against.
fn command(kind: ActionKind) -> Action {
    match kind {
        ActionKind::Place => place(&[new_line("apple", 1, 250)]),
        ActionKind::Amend => amend(&[new_line("pear", 2, 100)]),
        ActionKind::SetAddress => set_address(),
        ActionKind::Annotate => annotate("colour", "blue"),
        ActionKind::Hold => hold(),
        ActionKind::Release => Action::Release,
        ActionKind::Pay => pay(),
        ActionKind::RecordPayment => record_payment(1, PaymentResult::Captured, 1_000),
        ActionKind::Ship => ship_all(),
        ActionKind::Deliver => Action::Deliver,
        ActionKind::Cancel => cancel(),
        ActionKind::Refund => refund(600),
        ActionKind::RecordRefund => record_refund(2, RefundResult::Refunded),
        ActionKind::Return => return_lines(&[line(1, 1)]),
    }
}

/// The cells of a table: command, state before, cell.
fn cells(table: &str) -> Vec<(ActionKind, Status, &str)> {
    let mut rows = table.trim().lines().map(|row| row.split_whitespace());
    let states: Vec<_> = rows
        .next()
        .unwrap()
        .skip(1)
        .map(|name| status(name).unwrap())
        .collect();
    let mut cells = Vec::new();
    for mut row in rows {
        let kind = ActionKind::parse(row.next().unwrap()).unwrap();
        let row: Vec<_> = row.collect();
        assert_eq!(
            row.len(),
            states.len(),
            "the row of {} is whole",
            kind.as_str()
        );
        cells.extend(
            states
                .iter()
                .zip(row)
                .map(|(state, cell)| (kind, *state, cell)),
        );
    }
    cells
}

fn check(table: &str, is_held: bool) {
    for (kind, before, cell) in cells(table) {
        let mut events = history(before);
        if is_held {
            events.push(held());
        }
        let given = given(&events);
        assert_eq!(
            (given.order().status, given.order().held()),
            (before, is_held)
        );
        let name = kind.as_str();
        let allowed = allowed_commands(given.order.as_ref()).contains(&name);

        let when = given.when(command(kind));
        if let Some(after) = status(cell) {
            let (_, world) = when.applied();
            assert_eq!(world.order().status, after, "{name} in {before:?}");
            let recorded = [ActionKind::RecordPayment, ActionKind::RecordRefund].contains(&kind);
            assert_eq!(allowed, !recorded, "{name} in {before:?}: allowed_commands");
        } else {
            let rejection = when.rejection();
            assert_eq!(rejection.code, code(cell), "{name} in {before:?}");
            assert!(!allowed, "{name} in {before:?}: allowed_commands");
        }
    }
}

#[test]
fn every_command_in_every_state_does_what_the_table_says() {
    assert_eq!(cells(FREE).len(), 14 * 8, "no cell is missing");
    check(FREE, false);
}

#[test]
fn every_command_on_a_held_order_does_what_the_table_says() {
    assert_eq!(cells(HELD).len(), 14 * 6, "no cell is missing");
    check(HELD, true);
}

#[test]
fn only_place_is_possible_without_an_order() {
    assert_eq!(allowed_commands(None), ["place"]);
    for kind in ActionKind::ALL {
        let when = given(&[]).when(command(kind));
        if kind == ActionKind::Place {
            assert_eq!(when.applied().1.order().status, Status::Placed);
        } else {
            let rejection = when.rejected(RejectionCode::OrderNotFound);
            assert_eq!(rejection.version.0, 0, "{}", kind.as_str());
        }
    }
}

#[test]
fn a_hold_changes_only_the_flag_and_a_cancellation_ends_it() {
    for before in Status::ALL.into_iter().filter(|status| !status.is_final()) {
        let world = given(&history(before)).when(hold()).applied().1;
        assert!(world.order().held() && world.order().status == before);
        let world = world.when(Action::Release).applied().1;
        assert!(!world.order().held() && world.order().status == before);
    }
    for before in [Status::Placed, Status::PaymentPending, Status::Paid] {
        let mut events = history(before);
        events.push(held());
        assert!(!given(&events).when(cancel()).applied().1.order().held());
    }
}
