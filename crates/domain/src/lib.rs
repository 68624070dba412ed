//! The rules of an order: what a command may do, what happened, and what an order is now.
//!
//! `decide` answers a command with one event or a rejection; `evolve` applies an event. Both are synchronous, total and
//! free of effects: no I/O, no clock, no randomness. Everything a decision needs is handed in.

mod command;
mod decide;
mod event;
mod evolve;
mod faults;
mod guard;
mod id;
mod kind;
pub mod limits;
mod money;
mod movement;
mod order;
mod payment;
mod rejection;
mod stock;

pub use command::{
    Action, Address, Amend, Annotate, Cancel, Command, Hold, LineQuantity, NewLine, Pay,
    PaymentResult, Place, RecordPayment, RecordRefund, RefundOrder, RefundResult, Return,
    SetAddress, Ship,
};
pub use decide::{Decision, SkuNotLoaded, allowed_commands, decide};
pub use event::{Effect, Event};
pub use evolve::{Unreplayable, evolve};
pub use guard::{guarded, in_guarded_decision};
pub use id::{CommandId, OrderId, PaymentId, ProducerId, RefundId, Sku, Version};
pub use kind::ActionKind;
pub use money::{Currency, MAX_AMOUNT_MINOR};
pub use movement::movements;
pub use order::{Order, OrderLine, Status};
pub use payment::{Payment, PaymentStatus, Refund, RefundStatus};
pub use rejection::{Fault, Rejection, RejectionCode};
pub use stock::{StockLevel, StockLevels, StockMovement, StockWriteError};
