//! The clock that times are compared by: Postgres's, the one that all processes share.

use orderly_protocol::Timestamp;

use crate::store::bounded;
use crate::{Store, StoreError};

impl Store {
    /// The time now, by the clock of Postgres.
    ///
    /// # Errors
    /// Any fault of the database.
    pub async fn now(&self) -> Result<Timestamp, StoreError> {
        bounded(sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#).fetch_one(self.pool()))
            .await
    }
}
