//! The words that every test speaks: `given(events).when(action).then(event)` or `.rejected(code)`.

use orderly_domain::{
    Action, Address, Amend, Annotate, Cancel, Command, CommandId, Currency, Decision, Event, Hold,
    LineQuantity, NewLine, Order, OrderId, Pay, PaymentId, PaymentResult, Place, RecordPayment,
    RecordRefund, RefundId, RefundOrder, RefundResult, Rejection, RejectionCode, Return,
    SetAddress, Ship, Sku, StockLevel, StockLevels, Version, decide, evolve, movements,
};
use uuid::Uuid;

/// The order of every scenario.
pub(crate) const ORDER: OrderId = OrderId(Uuid::from_u128(0xF00D));
/// The command under test; what it causes carries this id.
pub(crate) const COMMAND: CommandId = CommandId(Uuid::from_u128(0xC0DE));
/// Pieces on hand of apple and pear before anything happened.
pub(crate) const ON_HAND: i64 = 100;

pub(crate) struct Given {
    pub(crate) order: Option<Order>,
    pub(crate) stock: StockLevels,
    expected_version: Option<Version>,
}

pub(crate) struct When {
    given: Given,
    decision: Decision,
}

/// An order to which `events` happened, with 100 apples and pears on hand before.
pub(crate) fn given(events: &[Event]) -> Given {
    let mut stock = StockLevels::default();
    for name in ["apple", "pear"] {
        stock.insert(
            sku(name),
            Some(StockLevel {
                on_hand: ON_HAND,
                reserved: 0,
            }),
        );
    }
    stock.insert(sku("unicorn"), None);
    let mut given = Given {
        order: None,
        stock,
        expected_version: None,
    };
    for event in events {
        given.happen(event);
    }
    given
}

impl Given {
    /// Replaces the stock of one SKU.
    pub(crate) fn stock(mut self, name: &str, on_hand: i64, reserved: i64) -> Self {
        self.stock
            .insert(sku(name), Some(StockLevel { on_hand, reserved }));
        self
    }

    pub(crate) fn expecting_version(mut self, version: u64) -> Self {
        self.expected_version = Some(Version(version));
        self
    }

    pub(crate) fn when(self, action: Action) -> When {
        let expected_version = self.expected_version;
        let command = Command {
            command_id: COMMAND,
            order_id: ORDER,
            expected_version,
            action,
        };
        let decision = decide(self.order.as_ref(), &self.stock, &command).unwrap();
        When {
            given: self,
            decision,
        }
    }

    fn happen(&mut self, event: &Event) {
        for movement in movements(self.order.as_ref(), event) {
            self.stock.apply(&movement).unwrap();
        }
        self.order = Some(evolve(self.order.as_ref(), ORDER, event).unwrap());
    }
}

impl When {
    /// The command was applied as this event. Gives the world after it.
    pub(crate) fn then(self, expected: &Event) -> Given {
        let (event, after) = self.applied();
        assert_eq!(event, *expected);
        after
    }

    /// The command was applied. Gives its event and the world after it.
    pub(crate) fn applied(mut self) -> (Event, Given) {
        match self.decision {
            Decision::Applied(event) => {
                self.given.happen(&event);
                (event, self.given)
            }
            Decision::Rejected(rejection) => panic!("was rejected: {rejection:?}"),
        }
    }

    pub(crate) fn rejected(self, code: RejectionCode) -> Rejection {
        let rejection = self.rejection();
        assert_eq!(rejection.code, code, "{rejection:?}");
        rejection
    }

    pub(crate) fn rejection(self) -> Rejection {
        match self.decision {
            Decision::Rejected(rejection) => rejection,
            Decision::Applied(event) => panic!("was applied: {event:?}"),
        }
    }
}

impl Given {
    pub(crate) fn order(&self) -> &Order {
        self.order.as_ref().unwrap()
    }

    /// On hand and reserved.
    pub(crate) fn level(&self, name: &str) -> (i64, i64) {
        let level = self.stock.level(&sku(name)).unwrap().unwrap();
        (level.on_hand, level.reserved)
    }
}

/// Pointer and code of each fault.
pub(crate) fn places(rejection: &Rejection) -> Vec<(&str, RejectionCode)> {
    rejection
        .faults
        .iter()
        .map(|fault| (fault.pointer.as_str(), fault.code))
        .collect()
}

pub(crate) fn sku(name: &str) -> Sku {
    Sku::new(name).unwrap()
}

pub(crate) fn new_line(name: &str, quantity: i64, unit_price_minor: i64) -> NewLine {
    NewLine {
        sku: sku(name),
        quantity,
        unit_price_minor,
    }
}

pub(crate) fn line(line: u32, quantity: i64) -> LineQuantity {
    LineQuantity { line, quantity }
}

// Commands.

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

// Events, as these commands make them.

pub(crate) fn placed(lines: &[NewLine]) -> Event {
    Event::Placed {
        customer_id: "customer".to_owned(),
        currency: Currency::new("EUR").unwrap(),
        lines: lines.to_vec(),
        note: None,
    }
}

pub(crate) fn held() -> Event {
    Event::Held {
        reason: "fraud check".to_owned(),
    }
}

pub(crate) fn payment_requested(payment: u128, amount_minor: i64) -> Event {
    let method = "card".to_owned();
    Event::PaymentRequested {
        payment_id: payment_id(payment),
        amount_minor,
        method,
    }
}

pub(crate) fn authorized(payment: u128, amount_minor: i64) -> Event {
    Event::PaymentAuthorized {
        payment_id: payment_id(payment),
        amount_minor,
        reference: "gateway-1".to_owned(),
        effect: None,
    }
}

pub(crate) fn captured(payment: u128, amount_minor: i64) -> Event {
    Event::PaymentCaptured {
        payment_id: payment_id(payment),
        amount_minor,
        reference: "gateway-1".to_owned(),
        effect: None,
    }
}

pub(crate) fn declined(payment: u128) -> Event {
    let reference = "gateway-1".to_owned();
    Event::PaymentDeclined {
        payment_id: payment_id(payment),
        reference,
    }
}

pub(crate) fn shipped(lines: &[LineQuantity]) -> Event {
    let (carrier, tracking) = ("post".to_owned(), "T1".to_owned());
    Event::Shipped {
        lines: lines.to_vec(),
        carrier,
        tracking,
    }
}

pub(crate) fn cancelled() -> Event {
    Event::Cancelled {
        reason: "changed my mind".to_owned(),
        effect: None,
    }
}

pub(crate) fn refund_requested(refund: u128, payment: u128, amount_minor: i64) -> Event {
    Event::RefundRequested {
        refund_id: refund_id(refund),
        payment_id: payment_id(payment),
        amount_minor,
        reason: "scratched".to_owned(),
    }
}

pub(crate) fn returned(lines: &[LineQuantity]) -> Event {
    Event::Returned {
        lines: lines.to_vec(),
    }
}

pub(crate) fn payment_id(n: u128) -> PaymentId {
    PaymentId(Uuid::from_u128(n))
}

pub(crate) fn refund_id(n: u128) -> RefundId {
    RefundId(Uuid::from_u128(n))
}

/// Events that lead to an order of 4 apples at 250, paid with payment 1.
pub(crate) fn paid_order() -> Vec<Event> {
    vec![
        placed(&[new_line("apple", 4, 250)]),
        payment_requested(1, 1_000),
        captured(1, 1_000),
    ]
}

/// The same, shipped whole.
pub(crate) fn shipped_order() -> Vec<Event> {
    let mut events = paid_order();
    events.push(shipped(&[line(1, 4)]));
    events
}
