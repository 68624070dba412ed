//! Role dashboard: the web page and its session, everything that is read over HTTP, live events, and writes of stock and keys.
//!
//! Reads come from Postgres, live events from the stream. Stock and keys are written in one transaction each by crate
//! store, under the rules of crate domain. What operators do to a lane, or to what could not be read, is sent to the order's
//! shard. It decides nothing about orders.

#![allow(
    clippy::module_name_repetitions,
    reason = "items are used by their crate path, where the repetition is what makes them readable"
)]

mod audit;
mod dead_letters;
mod etag;
mod failure;
mod keys;
mod lanes;
mod operator;
mod orders;
mod page;
mod request;
mod scaling;
mod session;
mod shards;
mod sse;
mod state;
mod stock;
mod workers;

use axum::Router;
use axum::routing::{delete, get, post};

pub use dead_letters::count_dead_letters;
pub use lanes::Controls;
pub use scaling::Scaling;
pub use session::CookieSecurity;
pub use shards::Depths;
pub use sse::EventHub;
pub use state::DashboardState;

/// The routes of this role. Probes and what holds for every listener are crate http's.
pub fn router(state: DashboardState) -> Router {
    Router::new()
        .route("/", get(page::index))
        .route("/assets/{edition}/{file}", get(page::asset))
        .route(
            "/session",
            get(session::show::handle)
                .post(session::open::handle)
                .delete(session::end::handle),
        )
        .route("/v1/orders", get(orders::list::handle))
        .route("/v1/orders/{order_id}", get(orders::show::handle))
        .route("/v1/orders/{order_id}/events", get(orders::events::handle))
        .route("/v1/stock", get(stock::list::handle))
        .route(
            "/v1/stock/{sku}",
            get(stock::show::handle).put(stock::set::handle),
        )
        .route("/v1/stock/{sku}/adjustments", post(stock::adjust::handle))
        .route(
            "/v1/keys",
            get(keys::list::handle).post(keys::create::handle),
        )
        .route("/v1/keys/{key_id}", delete(keys::revoke::handle))
        .route("/v1/shards", get(shards::list::handle))
        .route("/v1/shards/resize", post(shards::resize::handle))
        .route("/v1/shards/resize/abort", post(shards::abort::handle))
        .route("/v1/shards/plan", post(shards::plan::handle))
        .route("/v1/shards/{shard}/pause", post(shards::pause::one))
        .route("/v1/shards/{shard}/resume", post(shards::resume::one))
        .route("/v1/workers/{worker}/drain", post(workers::drain))
        .route("/v1/workers/{worker}/resume", post(workers::resume))
        .route("/v1/pause", post(shards::pause::all))
        .route("/v1/resume", post(shards::resume::all))
        .route("/v1/audit", get(audit::list::handle))
        .route("/v1/dead-letters", get(dead_letters::list::handle))
        .route("/v1/dead-letters/{id}", get(dead_letters::show::handle))
        .route(
            "/v1/dead-letters/{id}/retry",
            post(dead_letters::retry::handle),
        )
        .route(
            "/v1/dead-letters/{id}/edit",
            post(dead_letters::edit::handle),
        )
        .route(
            "/v1/dead-letters/{id}/discard",
            post(dead_letters::discard::handle),
        )
        .route("/v1/scaling", get(scaling::handle))
        .route("/v1/events", get(sse::events))
        .merge(lanes::routes())
        .with_state(state)
}
