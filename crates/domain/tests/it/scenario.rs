//! The words that every test speaks: `given(events).when(action).then(event)` or `.rejected(code)`.

mod commands;
mod events;

pub(crate) use commands::*;
pub(crate) use events::*;

use orderly_domain::{
    Action, Command, CommandId, Decision, Event, LineQuantity, NewLine, Order, OrderId, PaymentId,
    RefundId, Rejection, RejectionCode, Sku, StockLevel, StockLevels, Version, decide, evolve,
    movements,
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

pub(crate) fn payment_id(n: u128) -> PaymentId {
    PaymentId(Uuid::from_u128(n))
}

pub(crate) fn refund_id(n: u128) -> RefundId {
    RefundId(Uuid::from_u128(n))
}
