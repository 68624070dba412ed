//! Postgres: migrations, the batch transaction, ownership of shards, and everything the roles read.
//!
//! The only crate that names sqlx. It decides nothing: rules come from `orderly-domain`, and the constraints of the
//! schema stand behind them.

#![allow(
    clippy::module_name_repetitions,
    reason = "items are used by their crate path, where the repetition is what makes them readable"
)]

mod attempt;
mod audit;
mod batch;
mod cell;
mod clock;
mod command;
mod dead_letter;
mod drain;
mod error;
mod event;
mod generation;
mod health;
mod holder;
mod key;
mod lane;
mod listen;
mod migrate;
mod order;
mod order_list;
mod ownership;
mod pause;
mod relay;
mod resize;
mod stock;
mod store;
mod verify;
mod worker;

pub use attempt::Attempt;
pub use audit::{Actor, ActorKey, AuditEntry, AuditFilter, AuditPage, AuditPlace};
pub use batch::{
    BatchTransaction, Conflict, ControlRecord, DeadLetter, Found, Known, LaneEntry, LaneState,
    LaneWrite, LoadedLane, LoadedOrder, NewEvent, NewOutcome, OrderWrite, Parked, ParkedReason,
    Pause, Releasing, StockWriteRow, Writes,
};
pub use command::ParkedCommand;
pub use dead_letter::{
    DeadLetterResolution, DeadLetterRow, DeadLetterSummary, HeldDeadLetter, ResolutionKind,
};
pub use drain::{DrainRefusal, WorkerDrain};
pub use error::{FaultClass, StoreError};
pub use generation::{GenerationWatch, Layout, LoadedLayout, ServedGeneration};
pub use health::{DatabaseHealth, SchemaDifference};
pub use key::{ApiKey, NewApiKey};
pub use lane::{ExpiredPause, Lane, LaneHead};
pub use order::OrderRow;
pub use order_list::{OrderFilter, OrderPage, OrderPlace, OrderSummary};
pub use ownership::Fence;
pub use pause::ShardPause;
pub use relay::RelayLock;
pub use resize::{Resize, ResizeRefusal, ResizeStep};
pub use stock::{StockRow, StockWrite, StockWriteResult};
pub use store::{SessionProfile, Store, StoreOptions};
pub use verify::{LedgerMovement, LedgerWrite, ProjectedOrder, Snapshot};
pub use worker::{FleetLoad, LiveWorker, ShardRow, ShardStanding, WorkerLoad, WorkerRow};
