//! Commands, each as a test would say it.

use orderly_domain::{
    Action, Address, Amend, Annotate, Cancel, Currency, Hold, LineQuantity, NewLine, Pay,
    PaymentResult, Place, RecordPayment, RecordRefund, RefundOrder, RefundResult, Return,
    SetAddress, Ship,
};

use super::{payment_id, refund_id};

pub(crate) fn place(lines: &[NewLine]) -> Action {
    Action::Place(Place {
        customer_id: "customer".to_owned(),
        currency: Currency::new("EUR").unwrap(),
        lines: lines.to_vec(),
        note: None,
    })
}

pub(crate) fn amend(lines: &[NewLine]) -> Action {
    Action::Amend(Amend {
        lines: lines.to_vec(),
    })
}

pub(crate) fn address() -> Address {
    Address {
        name: "Ada Byron".to_owned(),
        street: vec!["12 St James's Square".to_owned()],
        city: "London".to_owned(),
        region: None,
        postal_code: Some("SW1Y 4JH".to_owned()),
        country: "GB".to_owned(),
    }
}

pub(crate) fn set_address() -> Action {
    Action::SetAddress(SetAddress { address: address() })
}

pub(crate) fn annotate(key: &str, value: &str) -> Action {
    Action::Annotate(Annotate {
        key: key.to_owned(),
        value: value.to_owned(),
    })
}

pub(crate) fn hold() -> Action {
    Action::Hold(Hold {
        reason: "fraud check".to_owned(),
    })
}

pub(crate) fn pay() -> Action {
    Action::Pay(Pay {
        method: "card".to_owned(),
    })
}

pub(crate) fn record_payment(payment: u128, result: PaymentResult, amount_minor: i64) -> Action {
    let reference = "gateway-1".to_owned();
    Action::RecordPayment(RecordPayment {
        payment_id: payment_id(payment),
        result,
        amount_minor,
        reference,
    })
}

pub(crate) fn ship(lines: &[LineQuantity]) -> Action {
    let (carrier, tracking) = ("post".to_owned(), "T1".to_owned());
    Action::Ship(Ship {
        lines: Some(lines.to_vec()),
        carrier,
        tracking,
    })
}

pub(crate) fn ship_all() -> Action {
    let (carrier, tracking) = ("post".to_owned(), "T1".to_owned());
    Action::Ship(Ship {
        lines: None,
        carrier,
        tracking,
    })
}

pub(crate) fn cancel() -> Action {
    Action::Cancel(Cancel {
        reason: "changed my mind".to_owned(),
    })
}

pub(crate) fn refund(amount_minor: i64) -> Action {
    Action::Refund(RefundOrder {
        amount_minor,
        reason: "scratched".to_owned(),
    })
}

pub(crate) fn record_refund(refund: u128, result: RefundResult) -> Action {
    Action::RecordRefund(RecordRefund {
        refund_id: refund_id(refund),
        result,
    })
}

pub(crate) fn return_lines(lines: &[LineQuantity]) -> Action {
    Action::Return(Return {
        lines: lines.to_vec(),
    })
}
