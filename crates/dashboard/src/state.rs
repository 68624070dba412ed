//! What the handlers share.

use axum::extract::FromRef;
use orderly_broker::CommandPublisher;
use orderly_http::Keyring;
use orderly_store::Store;

use crate::{Controls, CookieSecurity, Depths, EventHub, Scaling};

/// What the handlers work with. Cheap to clone.
#[derive(Clone)]
pub struct DashboardState {
    /// The database.
    pub store: Store,
    /// Who may call.
    pub keyring: Keyring,
    /// Live events.
    pub events: EventHub,
    /// Sends the commands of operators.
    pub publisher: CommandPublisher,
    /// What waits in the queues.
    pub depths: Depths,
    /// The way of control commands.
    pub controls: Controls,
    /// How many workers there should be.
    pub scaling: Scaling,
    /// The part of new API keys that says where they belong: 1 to 16 lower case letters and digits, as `live`.
    pub key_environment: String,
    /// When the cookie of a session may travel over TLS only.
    pub cookie_security: CookieSecurity,
}

impl FromRef<DashboardState> for Store {
    fn from_ref(state: &DashboardState) -> Self {
        state.store.clone()
    }
}

impl FromRef<DashboardState> for Keyring {
    fn from_ref(state: &DashboardState) -> Self {
        state.keyring.clone()
    }
}

impl FromRef<DashboardState> for EventHub {
    fn from_ref(state: &DashboardState) -> Self {
        state.events.clone()
    }
}

impl FromRef<DashboardState> for Depths {
    fn from_ref(state: &DashboardState) -> Self {
        state.depths.clone()
    }
}

impl FromRef<DashboardState> for Controls {
    fn from_ref(state: &DashboardState) -> Self {
        state.controls.clone()
    }
}

impl FromRef<DashboardState> for Scaling {
    fn from_ref(state: &DashboardState) -> Self {
        state.scaling.clone()
    }
}
